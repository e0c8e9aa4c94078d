"""What a model was asked for, from the many places where LangChain and its integrations say so."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

from .._model import ModelRequest
from ._made_with import UNTOLD, fields_of
from ._providers import (
    GEMINI,
    GOOGLES,
    HOSTED,
    SPOKEN_BY_OTHERS,
    google_service,
    provider_name,
    provider_said,
    served_at,
)
from ._read import Place, at, mapping, model_in, places_among

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
        "max_new_tokens",
        "max_gen_len",
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
    "reasoning_level": (
        "reasoning.effort",
        "reasoning_effort",
        "output_config.effort",
        "thinking_level",
        "thinking_config.thinking_level",
    ),
    "previous_response_id": ("previous_response_id",),
    "dimensions": ("dimensions",),
}
_FROM_METADATA: Final[Sequence[Place]] = (
    ("temperature", "ls_temperature", None),
    ("max_tokens", "ls_max_tokens", None),
    ("stop_sequences", "ls_stop", None),
)
_METADATA: Final = ("ls_temperature", "ls_max_tokens", "ls_stop", "ls_model_name")
_FORMATS: Final = (
    ("response_format", "type"),
    ("text", "format", "type"),
    ("response_mime_type",),
    ("format",),
    ("output_config", "format"),
    ("modalities",),
    ("response_modalities",),
)
_MODALITIES: Final = {"image": "image", "audio": "speech"}  # any of which may be asked for beside text
_URLS: Final = ("base_url", "azure_endpoint", "endpoint", "endpoint_url", "api_base", "model_id")  # the last may be one
_URL_ENDINGS: Final = ("_api_base", "_api_url")  # of OpenAI, Anthropic, Groq, OpenRouter and others, after their names
_READ: Final = frozenset(
    (
        "model_id",
        *_URLS,
        *GOOGLES,
        *(path[0] for path in _FORMATS),
        *(path.partition(".")[0] for paths in _PARAMETERS.values() for path in paths),
    )
) - {"temperature", "max_tokens"}
"""Which of a model's own fields are read, where they are not described; LangChain's metadata tells these two."""
_PORTS: Final = {"http": 80, "https": 443}
_NOWHERE: Final = (None, None)
_SIMPLE: Final = (bool, int, float, str)
_SIMPLE_TYPES: Final = frozenset(_SIMPLE)
_UNCHANGING: Final = _SIMPLE_TYPES | {type(None)}


class _Shape:
    """Where the facts may stand in a mapping that has certain keys.

    Attributes:
        keys: Under which of these.
    """

    __slots__ = ("formats", "keys", "models", "parameters", "urls")

    def __init__(self, keys: tuple[str, ...]) -> None:
        held = frozenset(keys)
        self.parameters: Sequence[Place] = tuple(places_among(held, _PARAMETERS))
        self.models = tuple(key for key in _MODEL if key in held)
        self.urls = _urls_among(keys)
        self.formats: Sequence[Sequence[str]] = tuple(path for path in _FORMATS if path[0] in held)
        read = {key: None for _, key, _ in self.parameters} | dict.fromkeys((*self.models, *self.urls))
        self.keys = tuple(read | dict.fromkeys(path[0] for path in self.formats))


@lru_cache(maxsize=256)
def _shape(keys: tuple[str, ...]) -> _Shape:
    """Work out which of all places there are, which hangs on the keys alone.

    A model is called with the same keys each time, so that a call looks at some ten places
    and not at all sixty. The values are another's and may change: they are read each time.
    """
    return _Shape(keys)


def request_of(serialized: Any, kwargs: Mapping[str, Any]) -> ModelRequest:
    """Return what is known of a model call from the arguments of its start callback.

    Most calls of a program ask for what was asked before, in values that cannot change:
    that is told by comparing them, and read once.
    """
    params, metadata = mapping(kwargs.get("invocation_params")), mapping(kwargs.get("metadata"))
    options, described = mapping(kwargs.get("options")), mapping(serialized)
    is_untold = described.get("type") == UNTOLD
    made_with = fields_of(described, _READ, _URL_ENDINGS) if is_untold else mapping(described.get("kwargs"))
    asked, made = _shape(tuple(params)), _shape(tuple(made_with))
    path = described.get("id")
    host = HOSTED.get(path[-1]) if type(path) is list and path and type(path[-1]) is str else None
    provider = host or provider_said(metadata) or provider_name(metadata, _class_path(described, params))
    if provider == GEMINI:
        provider = google_service(made_with)
    values = (*map(params.get, asked.keys), *map(made_with.get, made.keys), *map(metadata.get, _METADATA))
    types = tuple(map(type, values))
    structured = mapping(options.get("ls_structured_output_format"))
    if not structured and _UNCHANGING.issuperset(types):
        return _remembered(provider, asked, made, values, types)
    request = _request(provider, (asked, params), (made, made_with), metadata)
    if structured:
        request.output_type, request.output_schema = "json", structured.get("schema")
    return request


@lru_cache(maxsize=256)
def _remembered(
    provider: str | None, asked: _Shape, made: _Shape, values: tuple[Any, ...], types: tuple[type, ...]
) -> ModelRequest:
    """Return the request that has these values, of these types: 1, 1.0 and True are equal, and not the same."""
    del types
    params = dict(zip(asked.keys, values, strict=False))
    made_with = dict(zip(made.keys, values[len(params) :], strict=False))
    metadata = dict(zip(_METADATA, values[len(params) + len(made_with) :], strict=True))
    return _request(provider, (asked, params), (made, made_with), metadata)


def _request(
    provider: str | None,
    asked: tuple[_Shape, Mapping[str, Any]],
    made: tuple[_Shape, Mapping[str, Any]],
    metadata: Mapping[str, Any],
) -> ModelRequest:
    """Read a request from what is asked for now, what the model was made with, and LangChain's metadata."""
    (shape, params), (made_shape, made_with) = asked, made
    parameters: dict[str, object] = {}
    _collect(parameters, params, shape.parameters)
    _collect(parameters, metadata, _FROM_METADATA)
    _collect(parameters, made_with, made_shape.parameters)  # Anthropic's stop sequences are only here
    model = _model(params, shape.models, metadata) or model_in(made_with, made_shape.models)
    request = ModelRequest(provider=provider, model=model, parameters=parameters)
    address = _server(made_with, made_shape.urls)
    if address[0] is None:
        address = _server(params, shape.urls)
    request.server_address, request.server_port = address
    if provider in SPOKEN_BY_OTHERS and address[0] is not None:
        request.provider = served_at(address[0], provider)
    formats = _formats(params, shape.formats) if shape.formats else ()
    if not formats and made_shape.formats:
        formats = _formats(made_with, made_shape.formats)
    if formats:
        request.output_type = _output_type(formats)
    return request


def _class_path(described: Mapping[str, Any], params: Mapping[str, Any]) -> Sequence[str]:
    path = described.get("id")
    if isinstance(path, (list, tuple)) and path and isinstance(path[-1], str):
        return path
    if described.get("type") == "function":  # a decorated one, whose name tells nothing of the provider
        return []
    name = described.get("name") or params.get("_type")
    return [name] if isinstance(name, str) else []


def _model(params: Mapping[str, Any], keys: Sequence[str], metadata: Mapping[str, Any]) -> str | None:
    name = model_in(params, keys) or model_in(metadata, ("ls_model_name",))
    return None if name is None else name.removeprefix("models/")


def _collect(found: dict[str, object], source: Mapping[str, Any], places: Sequence[Place]) -> None:
    """Add the parameters that stand in one more source; what was found before stays."""
    for name, key, inner in places:
        if name in found:
            continue
        held = source.get(key) if inner is None else mapping(source.get(key)).get(inner)
        if held is not None and (type(held) in _SIMPLE_TYPES or (held := _usable(held)) is not None):
            found[name] = [held] if name == "stop_sequences" and isinstance(held, str) else held


def _usable(value: Any) -> Any:
    if isinstance(value, _SIMPLE):
        return value
    if isinstance(value, (list, tuple)) and value and all(isinstance(item, str) for item in value):
        return list(value)
    return None


def _formats(source: Mapping[str, Any], paths: Sequence[Sequence[str]]) -> Sequence[Any]:
    return [held for path in paths if (held := at(source, path)) is not None]


def _output_type(formats: Sequence[Any]) -> str | None:
    if any((isinstance(word, str) and "json" in word) or isinstance(word, Mapping) for word in formats):
        return "json"
    lists = [held for held in formats if isinstance(held, (list, tuple))]
    words = {str.lower(word) for held in lists for word in held if isinstance(word, str)}
    return next((told for word, told in _MODALITIES.items() if word in words), None)


def server_of(arguments: Mapping[str, Any]) -> tuple[str | None, int | None]:
    """Return host and port of the address among a model's arguments, where there is one."""
    return _server(arguments, _urls_among(arguments))


def _urls_among(keys: Collection[Any]) -> Sequence[str]:
    named = [key for key in keys if isinstance(key, str) and key.endswith(_URL_ENDINGS)]
    return (*(key for key in _URLS if key in keys), *named)


def _server(arguments: Mapping[str, Any], keys: Sequence[str]) -> tuple[str | None, int | None]:
    for key in keys:
        url = arguments.get(key)
        if isinstance(url, str) and "://" in url:
            return _host_and_port(url)
    return _NOWHERE


@lru_cache(maxsize=256)
def _host_and_port(url: str) -> tuple[str | None, int | None]:
    try:
        parts = urlsplit(url)
        return (parts.hostname, parts.port or _PORTS.get(parts.scheme)) if parts.hostname else _NOWHERE
    except ValueError:  # of a port that is no number
        return _NOWHERE
