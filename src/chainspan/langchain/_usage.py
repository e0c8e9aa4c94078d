"""Token counts, from every place where LangChain and its integrations put them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from .._model import Usage
from ._read import at, mapping

__all__ = ["usage_of"]

# What the providers themselves report, as found in `response_metadata` and `llm_output`:
# OpenAI, Anthropic, Google, Bedrock, Cohere, Ollama, in the order of the names.
# A dot steps into a mapping; of several places, the first with a count that is not 0 is taken.
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
_PATHS: Final = {field: tuple(tuple(path.split(".")) for path in paths) for field, paths in _FIELDS.items()}
# What a provider counts apart from the total that it belongs to: Anthropic, Bedrock; Google.
_APART_FROM_INPUT: Final = (
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cacheReadInputTokens",
    "cacheWriteInputTokens",
)
_APART_FROM_OUTPUT: Final = ("thoughts_token_count",)
_MOST: Final = 1 << 53  # what a float counts exactly
# Where they may stand in `response_metadata` and `llm_output`; last, those mappings themselves (Ollama).
_PLACES: Final = (("token_usage",), ("usage",), ("usage_metadata",), ("tokens",), ("meta", "billed_units"))


def usage_of(message: Any, generation_info: Mapping[str, Any], llm_output: Mapping[str, Any]) -> Usage | None:
    """Return the tokens of one answer, or None where nobody counted any.

    Totals are inclusive: cached tokens are in the input, reasoning in the output, and no
    detail is larger than its total.
    """
    own = getattr(message, "usage_metadata", None)
    if isinstance(own, Mapping) and (usage := _standard(own)):
        return usage
    sources = (mapping(getattr(message, "response_metadata", None)), generation_info, llm_output)
    places = (place for source in sources for place in _places(source))
    return next((usage for place in places if (usage := _raw(place))), None)


def _places(source: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for path in _PLACES:
        found = at(source, path)
        if isinstance(found, Mapping):
            yield found
    yield source


def _standard(counts: Mapping[str, Any]) -> Usage | None:
    """Read LangChain's own form, which every integration of today fills."""
    of_input = mapping(counts.get("input_token_details"))
    of_output = mapping(counts.get("output_token_details"))
    if not of_input and not of_output:
        return _usage(_count(counts.get("input_tokens")), _count(counts.get("output_tokens")), {})
    # langchain-anthropic reports cache_creation 0, and the count by time to live.
    by_time = (of_input.get("ephemeral_5m_input_tokens"), of_input.get("ephemeral_1h_input_tokens"))
    return _usage(
        _count(counts.get("input_tokens")),
        _count(counts.get("output_tokens")),
        {
            "cache_read": _count(of_input.get("cache_read")),
            "cache_write": _count(of_input.get("cache_creation")) or _sum(by_time),
            "reasoning": _count(of_output.get("reasoning")),
            "audio_input": _count(of_input.get("audio")),
            "audio_output": _count(of_output.get("audio")),
        },
    )


def _raw(counts: Mapping[str, Any]) -> Usage | None:
    """Read the form of some provider."""
    values = {field: _first(counts, paths) for field, paths in _PATHS.items()}
    total_input, total_output = values.pop("input_tokens"), values.pop("output_tokens")
    if total_input is not None:
        total_input += _sum([counts.get(name) for name in _APART_FROM_INPUT]) or 0
    if total_output is not None:
        total_output += _sum([counts.get(name) for name in _APART_FROM_OUTPUT]) or 0
    return _usage(total_input, total_output, values)


def _usage(total_input: int | None, total_output: int | None, details: dict[str, int | None]) -> Usage | None:
    total_input = total_input or None  # no call has an empty input: 0 is an integration that did not look
    if total_input is None and not total_output:
        return None
    if not details:
        return Usage(input_tokens=total_input, output_tokens=total_output)
    cached = (details["cache_read"] or 0) + (details["cache_write"] or 0)
    if cached > (total_input or 0):
        total_input = (total_input or 0) + cached  # counted apart, by an integration that we do not know
    if (reasoning := details["reasoning"] or 0) > (total_output or 0):
        total_output = (total_output or 0) + reasoning
    for detail, total in (("audio_input", total_input), ("audio_output", total_output)):
        if (details[detail] or 0) > (total or 0):
            details[detail] = None
    return Usage(input_tokens=total_input, output_tokens=total_output, **details)


def _first(counts: Mapping[str, Any], paths: Sequence[Sequence[str]]) -> int | None:
    best: int | None = None
    for path in paths:
        found = _count(counts.get(path[0]) if len(path) == 1 else at(counts, path))
        if found:
            return found
        best = found if best is None else best  # 0 in one place may be the true count in another
    return best


def _sum(values: Iterable[Any]) -> int | None:
    known = [count for value in values if (count := _count(value)) is not None]
    return sum(known) if known else None


def _count(value: Any) -> int | None:
    if type(value) is int:
        return value if 0 <= value < _MOST else None
    return int(value) if type(value) is float and 0 <= value < _MOST else None
