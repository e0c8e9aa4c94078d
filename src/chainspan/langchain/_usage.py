"""Token counts, from every place where LangChain and its integrations put them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from .._model import Usage

__all__ = ["usage_of"]

# LangChain's own `usage_metadata`: what fills each field, in order of trust. A dot steps
# into a mapping, a plus adds up.
_STANDARD: Final[Mapping[str, tuple[str, ...]]] = {
    "input_tokens": ("input_tokens",),
    "output_tokens": ("output_tokens",),
    "cache_read": ("input_token_details.cache_read",),
    "cache_write": (
        "input_token_details.cache_creation",
        # langchain-anthropic reports 0 above, and the count here.
        "input_token_details.ephemeral_5m_input_tokens+input_token_details.ephemeral_1h_input_tokens",
    ),
    "reasoning": ("output_token_details.reasoning",),
    "audio_input": ("input_token_details.audio",),
    "audio_output": ("output_token_details.audio",),
}
# What the providers themselves report, as found in `response_metadata` and `llm_output`:
# OpenAI, Anthropic, Google, Bedrock, Cohere, Ollama, in the order of the names.
_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "input_tokens": (
        "input_tokens",
        "prompt_tokens",
        "prompt_token_count",
        "inputTokens",
        "inputTokenCount",
        "prompt_eval_count",
        "input_token_count",
    ),
    "output_tokens": (
        "output_tokens",
        "completion_tokens",
        "candidates_token_count",
        "outputTokens",
        "outputTokenCount",
        "eval_count",
        "generated_token_count",
    ),
    "cache_read": (
        "prompt_tokens_details.cached_tokens",
        "input_tokens_details.cached_tokens",
        "cache_read_input_tokens",
        "cached_content_token_count",
        "cacheReadInputTokens",
        "prompt_cache_hit_tokens",
    ),
    "cache_write": ("cache_creation_input_tokens", "cacheWriteInputTokens"),
    "reasoning": (
        "completion_tokens_details.reasoning_tokens",
        "output_tokens_details.reasoning_tokens",
        "thoughts_token_count",
    ),
    "audio_input": ("prompt_tokens_details.audio_tokens",),
    "audio_output": ("completion_tokens_details.audio_tokens",),
}

_DETAILS: Final = ("cache_read", "cache_write", "reasoning", "audio_input", "audio_output")
# Counted by Anthropic and Bedrock apart from the input tokens, which here include all.
_EXCLUSIVE: Final = (
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cacheReadInputTokens",
    "cacheWriteInputTokens",
)
_MOST: Final = 1 << 53  # what a float counts exactly
# Where they may stand in `response_metadata` and `llm_output`; last, those mappings themselves (Ollama).
_PLACES: Final = ("token_usage", "usage", "usage_metadata", "tokens", "meta.billed_units")


def usage_of(message: Any, generation_info: Mapping[str, Any], llm_output: Mapping[str, Any]) -> Usage | None:
    """Return the tokens of one answer, or None where nobody counted any.

    Totals are inclusive: cached tokens are in the input, reasoning in the output, and no
    detail is larger than its total.
    """
    own = getattr(message, "usage_metadata", None)
    if isinstance(own, Mapping) and (usage := _read(own, _STANDARD)):
        return usage
    response_metadata = getattr(message, "response_metadata", None)
    for source in (response_metadata, generation_info, llm_output):
        if isinstance(source, Mapping):
            for place in _places(source):
                if usage := _read(place, _FIELDS):
                    return usage
    return None


def _places(source: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for path in _PLACES:
        found = _at(source, path)
        if isinstance(found, Mapping):
            yield found
    yield source


def _read(counts: Mapping[str, Any], fields: Mapping[str, tuple[str, ...]]) -> Usage | None:
    total_input, total_output = _first(counts, fields["input_tokens"]), _first(counts, fields["output_tokens"])
    if total_input is None and total_output is None:
        return None
    values = {field: _first(counts, fields[field]) for field in _DETAILS}
    if fields is not _STANDARD and total_input is not None:
        total_input += sum(_count(counts.get(name)) or 0 for name in _EXCLUSIVE)
    _bound(values, ("cache_read", "cache_write", "audio_input"), total_input)
    _bound(values, ("reasoning", "audio_output"), total_output)
    return Usage(input_tokens=total_input, output_tokens=total_output, **values)


def _bound(values: dict[str, int | None], details: tuple[str, ...], total: int | None) -> None:
    """Drop details that are larger than their total: the provider counts them apart from it."""
    for detail in details:
        if (values[detail] or 0) > (total or 0):
            values[detail] = None


def _first(counts: Mapping[str, Any], paths: tuple[str, ...]) -> int | None:
    best: int | None = None
    for path in paths:
        found = _sum(counts, path) if "+" in path else _count(_at(counts, path))
        if found:
            return found
        best = found if best is None else best  # 0 in one place may be the true count in another
    return best


def _sum(counts: Mapping[str, Any], path: str) -> int | None:
    found = [_count(_at(counts, part)) for part in path.split("+")]
    known = [count for count in found if count is not None]
    return sum(known) if known else None


def _count(value: Any) -> int | None:
    if type(value) is int and 0 <= value < _MOST:
        return value
    if type(value) is float and 0 <= value < _MOST:
        return int(value)
    return None


def _at(source: Any, path: str) -> Any:
    if "." not in path:
        return source.get(path)
    for name in path.split("."):
        if not isinstance(source, Mapping):
            return None
        source = source.get(name)
    return source
