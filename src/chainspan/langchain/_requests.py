"""What a model was asked for, from the many places where LangChain and its integrations say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from .._model import ModelRequest
from ._providers import provider_name

__all__ = ["model_request"]

_MODEL: Final = ("model", "model_name", "model_id", "modelId", "deployment_name", "azure_deployment")

# Parameter of the conventions → where it may stand in `invocation_params`, then in `metadata`.
_PARAMETERS: Final[Mapping[str, tuple[tuple[str, ...], str | None]]] = {
    "temperature": (
        ("temperature", "inferenceConfig.temperature", "generation_config.temperature", "options.temperature"),
        "ls_temperature",
    ),
    "top_p": (("top_p", "topP", "inferenceConfig.topP", "generation_config.top_p", "options.top_p"), None),
    "top_k": (("top_k", "topK", "generation_config.top_k", "options.top_k"), None),
    "max_tokens": (
        (
            "max_completion_tokens",
            "max_tokens",
            "max_output_tokens",
            "max_tokens_to_sample",
            "inferenceConfig.maxTokens",
            "generation_config.max_output_tokens",
            "num_predict",
            "options.num_predict",
        ),
        "ls_max_tokens",
    ),
    "frequency_penalty": (("frequency_penalty",), None),
    "presence_penalty": (("presence_penalty",), None),
    "stop_sequences": (("stop", "stop_sequences", "inferenceConfig.stopSequences"), "ls_stop"),
    "seed": (("seed", "random_seed", "options.seed"), None),
    "choice_count": (("n", "candidate_count"), None),
    "service_tier": (("service_tier",), None),
    "reasoning_level": (("reasoning.effort", "reasoning_effort", "output_config.effort", "thinking_level"), None),
    "previous_response_id": (("previous_response_id",), None),
    "dimensions": (("dimensions",), None),
}
_TOOLS: Final = ("tools", "functions", "toolConfig.tools")
_FORMATS: Final = ("response_format.type", "text.format.type", "response_mime_type", "format", "output_config.format")
_URLS: Final = (
    "base_url",
    "openai_api_base",
    "anthropic_api_url",
    "azure_endpoint",
    "endpoint",
    "endpoint_url",
    "mistral_api_url",
    "api_base",
)
_PORTS: Final = {"http": 80, "https": 443}
_SIMPLE: Final = (bool, int, float, str)


def model_request(serialized: Any, kwargs: Mapping[str, Any]) -> ModelRequest:
    """Return what is known of a model call from the arguments of its start callback."""
    params = _mapping(kwargs.get("invocation_params"))
    options = _mapping(kwargs.get("options"))
    metadata = _mapping(kwargs.get("metadata"))
    described = _mapping(serialized)
    host, port = _server(_mapping(described.get("kwargs")), params)
    structured = _mapping(options.get("ls_structured_output_format"))
    return ModelRequest(
        provider=provider_name(metadata, _class_path(described, params)),
        model=_model(params, metadata),
        server_address=host,
        server_port=port,
        parameters=_parameters(params, metadata),
        tools=_tools(params, options),
        output_type="json" if structured or _asks_for_json(params) else None,
        output_schema=structured.get("schema"),
        stream=None,  # `invocation_params` says False under .stream() too
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _class_path(described: Mapping[str, Any], params: Mapping[str, Any]) -> Sequence[str]:
    path = described.get("id")
    if isinstance(path, (list, tuple)) and path and isinstance(path[-1], str):
        return path
    name = described.get("name") or params.get("_type")
    return [name] if isinstance(name, str) else []


def _model(params: Mapping[str, Any], metadata: Mapping[str, Any]) -> str | None:
    for name in (*(params.get(key) for key in _MODEL), metadata.get("ls_model_name")):
        if isinstance(name, str) and name:
            return name.removeprefix("models/")
    return None


def _parameters(params: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, (paths, fallback) in _PARAMETERS.items():
        value = _first(params, paths)
        if value is None and fallback is not None:
            value = _usable(metadata.get(fallback))
        if value is not None:
            found[name] = [value] if name == "stop_sequences" and isinstance(value, str) else value
    return found


def _first(source: Mapping[str, Any], paths: Sequence[str]) -> Any:
    for path in paths:
        value = source.get(path) if "." not in path else _at(source, path)
        if (value := _usable(value)) is not None:
            return value
    return None


def _usable(value: Any) -> Any:
    if isinstance(value, _SIMPLE):
        return value
    if isinstance(value, (list, tuple)) and value and all(isinstance(item, str) for item in value):
        return list(value)
    return None


def _at(source: Any, path: str) -> Any:
    for name in path.split("."):
        if not isinstance(source, Mapping):
            return None
        source = source.get(name)
    return source


def _asks_for_json(params: Mapping[str, Any]) -> bool:
    asked = [_at(params, path) for path in _FORMATS]
    return any((isinstance(word, str) and "json" in word) or isinstance(word, Mapping) for word in asked)


def _server(arguments: Mapping[str, Any], params: Mapping[str, Any]) -> tuple[str | None, int | None]:
    for url in (source.get(key) for source in (arguments, params) for key in _URLS):
        if isinstance(url, str) and "://" in url:
            try:
                parts = urlsplit(url)
                return parts.hostname, parts.port or _PORTS.get(parts.scheme)
            except ValueError:  # of a port that is no number
                continue
    return None, None


# ---------------------------------------------------------------- tool definitions


def _tools(params: Mapping[str, Any], options: Mapping[str, Any]) -> Sequence[Mapping[str, object]]:
    for source in (params, options):
        for path in _TOOLS:
            found = _at(source, path)
            if isinstance(found, (list, tuple)) and found:
                return [tool for item in found for tool in _definitions(item)]
    return ()


def _definitions(tool: Any) -> Sequence[Mapping[str, object]]:
    """Return one definition as the conventions have it: type, name, description, parameters."""
    if isinstance(tool, str):
        return [{"type": "function", "name": tool}]
    if not isinstance(tool, Mapping):
        return []
    if isinstance(several := tool.get("function_declarations"), (list, tuple)):  # Google
        return [definition for item in several for definition in _definitions(item)]
    inner = next((tool[key] for key in ("function", "toolSpec") if isinstance(tool.get(key), Mapping)), tool)
    name = inner.get("name") or inner.get("title") or inner.get("type")
    if not isinstance(name, str):
        return []
    kind = tool.get("type")
    # ``web_search_20250305`` and its like are types of their own; a schema's ``object`` is none.
    definition: dict[str, object] = {
        "type": kind if isinstance(kind, str) and kind not in ("object", "custom") else "function",
        "name": name,
    }
    if isinstance(inner.get("description"), str):
        definition["description"] = inner["description"]
    for key in ("parameters", "input_schema", "inputSchema", "parameters_json_schema"):
        if inner.get(key) is not None:
            definition["parameters"] = inner[key]
            break
    return [definition]
