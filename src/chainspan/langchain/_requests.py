"""What a model was asked for, from the many places where LangChain and its integrations say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

from .._model import ModelRequest
from ._providers import provider_name
from ._read import at, mapping, text_in

__all__ = ["request_of", "server_of"]

_MODEL: Final = ("model", "model_name", "model_id", "modelId", "deployment_name", "azure_deployment")

# Where the parameters of the conventions stand in `invocation_params`; of two places that
# both hold a value, the one named first wins. A dot steps into a mapping.
_PARAMETERS: Final[Mapping[str, tuple[str, ...]]] = {
    "temperature": (
        "temperature",
        "inferenceConfig.temperature",
        "generation_config.temperature",
        "options.temperature",
    ),
    "top_p": ("top_p", "topP", "inferenceConfig.topP", "generation_config.top_p", "options.top_p"),
    "top_k": ("top_k", "topK", "generation_config.top_k", "options.top_k"),
    "max_tokens": (
        "max_completion_tokens",
        "max_tokens",
        "max_output_tokens",
        "max_tokens_to_sample",
        "inferenceConfig.maxTokens",
        "generation_config.max_output_tokens",
        "num_predict",
        "options.num_predict",
    ),
    "frequency_penalty": ("frequency_penalty",),
    "presence_penalty": ("presence_penalty",),
    "stop_sequences": ("stop", "stop_sequences", "inferenceConfig.stopSequences"),
    "seed": ("seed", "random_seed", "options.seed"),
    "choice_count": ("n", "candidate_count"),
    "service_tier": ("service_tier",),
    "reasoning_level": ("reasoning.effort", "reasoning_effort", "output_config.effort", "thinking_level"),
    "previous_response_id": ("previous_response_id",),
    "dimensions": ("dimensions",),
}
_FROM_METADATA: Final = {"ls_temperature": "temperature", "ls_max_tokens": "max_tokens", "ls_stop": "stop_sequences"}
# The same table by place, and the mappings that may hold some: a call has ten parameters, not forty.
_PLACES: Final = {path: (name, rank) for name, paths in _PARAMETERS.items() for rank, path in enumerate(paths)}
_HOLDERS: Final = frozenset(path.partition(".")[0] for path in _PLACES if "." in path)
_TOOLS: Final = (("tools",), ("functions",), ("toolConfig", "tools"))
_TOOL_KEYS: Final = frozenset(path[0] for path in _TOOLS)
_FORMATS: Final = (
    ("response_format", "type"),
    ("text", "format", "type"),
    ("response_mime_type",),
    ("format",),
    ("output_config", "format"),
)
_FORMAT_KEYS: Final = frozenset(path[0] for path in _FORMATS)
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
_URL_KEYS: Final = frozenset(_URLS)
_PORTS: Final = {"http": 80, "https": 443}
_SIMPLE: Final = (bool, int, float, str)


def request_of(serialized: Any, kwargs: Mapping[str, Any]) -> ModelRequest:
    """Return what is known of a model call from the arguments of its start callback."""
    params = mapping(kwargs.get("invocation_params"))
    options = mapping(kwargs.get("options"))
    metadata = mapping(kwargs.get("metadata"))
    described = mapping(serialized)
    arguments = mapping(described.get("kwargs"))
    host, port = server_of(arguments)
    if host is None:
        host, port = server_of(params)
    structured = mapping(options.get("ls_structured_output_format"))
    return ModelRequest(
        provider=provider_name(metadata, _class_path(described, params)),
        model=_model(params, metadata),
        server_address=host,
        server_port=port,
        parameters=_parameters(params, metadata, arguments),
        tools=_tools(params, options),
        output_type="json" if structured or _asks_for_json(params) else None,
        output_schema=structured.get("schema"),
        stream=None,  # `invocation_params` says False under .stream() too
    )


def _class_path(described: Mapping[str, Any], params: Mapping[str, Any]) -> Sequence[str]:
    path = described.get("id")
    if isinstance(path, (list, tuple)) and path and isinstance(path[-1], str):
        return path
    if described.get("type") == "function":  # a decorated one, whose name tells nothing of the provider
        return []
    name = described.get("name") or params.get("_type")
    return [name] if isinstance(name, str) else []


def _model(params: Mapping[str, Any], metadata: Mapping[str, Any]) -> str | None:
    name = text_in(params, _MODEL) or text_in(metadata, ("ls_model_name",))
    return None if name is None else name.removeprefix("models/")


def _parameters(
    params: Mapping[str, Any], metadata: Mapping[str, Any], arguments: Mapping[str, Any]
) -> dict[str, object]:
    found: dict[str, tuple[int, object]] = {}
    _collect(params, "", found)
    for key, name in _FROM_METADATA.items():
        if name not in found and (value := _usable(metadata.get(key))) is not None:
            found[name] = (0, value)
    made: dict[str, tuple[int, object]] = {}
    _collect(arguments, "", made)  # what the model was made with; Anthropic's stop sequences are only here
    found = made | found
    if "stop_sequences" in found and isinstance(found["stop_sequences"][1], str):
        found["stop_sequences"] = (0, [found["stop_sequences"][1]])
    return {name: found[name][1] for name in _PARAMETERS if name in found} if found else {}


def _collect(source: Mapping[str, Any], prefix: str, found: dict[str, tuple[int, object]]) -> None:
    for key, held in source.items():
        path = f"{prefix}{key}" if prefix else key
        place = _PLACES.get(path)
        if place is not None:
            name, rank = place
            value = _usable(held)
            if value is not None and (name not in found or rank < found[name][0]):
                found[name] = (rank, value)
        elif not prefix and path in _HOLDERS and isinstance(held, Mapping):
            _collect(held, f"{path}.", found)


def _usable(value: Any) -> Any:
    if isinstance(value, _SIMPLE):
        return value
    if isinstance(value, (list, tuple)) and value and all(isinstance(item, str) for item in value):
        return list(value)
    return None


def _asks_for_json(params: Mapping[str, Any]) -> bool:
    if _FORMAT_KEYS.isdisjoint(params):
        return False
    asked = [at(params, path) for path in _FORMATS if path[0] in params]
    return any((isinstance(word, str) and "json" in word) or isinstance(word, Mapping) for word in asked)


def server_of(arguments: Mapping[str, Any]) -> tuple[str | None, int | None]:
    """Return host and port of the address among a model's arguments, where there is one."""
    for key in () if _URL_KEYS.isdisjoint(arguments) else _URLS:
        url = arguments.get(key)
        if isinstance(url, str) and "://" in url:
            return _host_and_port(url)
    return None, None


@lru_cache(maxsize=256)
def _host_and_port(url: str) -> tuple[str | None, int | None]:
    try:
        parts = urlsplit(url)
        return parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError:  # of a port that is no number
        return None, None


# ---------------------------------------------------------------- tool definitions


def _tools(params: Mapping[str, Any], options: Mapping[str, Any]) -> Sequence[Mapping[str, object]]:
    for source in (params, options):
        for path in () if _TOOL_KEYS.isdisjoint(source) else _TOOLS:
            found = at(source, path) if path[0] in source else None
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
