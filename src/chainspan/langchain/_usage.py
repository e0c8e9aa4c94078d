"""Token counts, from every place where LangChain and its integrations put them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from .._model import Usage
from ._read import Place, at, mapping, places_among

__all__ = ["usage_of"]

# What the providers themselves report, as found in `response_metadata` and `llm_output`:
# OpenAI, Anthropic, Google, Bedrock, Cohere, Ollama, in the order of the names; then DeepSeek's, Cohere's and
# Moonshot's for what was cached, and Perplexity's for reasoning.
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
        "cacheReadInputTokenCount",
        "prompt_cache_hit_tokens",
        "cached_tokens",
    ),
    "cache_write": (
        "prompt_tokens_details.cache_write_tokens",
        "input_tokens_details.cache_write_tokens",
        "cache_creation_input_tokens",
        "cache_write_input_tokens",
        "cacheWriteInputTokens",
        "cacheWriteInputTokenCount",
    ),
    "reasoning": (
        "completion_tokens_details.reasoning_tokens",
        "output_tokens_details.reasoning_tokens",
        "thoughts_token_count",
        "reasoning_tokens",
    ),
    "audio_input": ("prompt_tokens_details.audio_tokens",),
    "audio_output": ("completion_tokens_details.audio_tokens",),
}
_TOTALS: Final = frozenset((*_FIELDS["input_tokens"], *_FIELDS["output_tokens"]))  # no usage is without one
# What a provider counts apart from the total that it belongs to: Anthropic, Bedrock; Google.
_APART_FROM_INPUT: Final = (
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_write_input_tokens",
    "cacheReadInputTokens",
    "cacheReadInputTokenCount",
    "cacheWriteInputTokens",
    "cacheWriteInputTokenCount",
    "tool_use_prompt_token_count",
)
_APART_FROM_OUTPUT: Final = ("thoughts_token_count",)
# langchain-anthropic reports cache_creation 0, and the count by time to live.
_WRITTEN_BY_TIME: Final = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
_MOST: Final = 1 << 53  # what a float counts exactly
# Where they may stand in `response_metadata` and `llm_output`; last, those mappings themselves (Ollama).
_PLACES: Final = (
    ("token_usage",),
    ("usage",),
    ("usage_metadata",),
    ("token_count",),
    ("tokens",),
    ("meta", "billed_units"),
)
_DETAILS: Final = frozenset({"input_token_details", "output_token_details"})  # of LangChain's own form
_HOLDERS: Final = frozenset(path[0] for path in _PLACES)


def usage_of(counts: Mapping[str, Any], *others: Mapping[str, Any]) -> Usage | None:
    """Return the tokens of one answer, or None where nobody counted any.

    Totals are inclusive: cached tokens are in the input, reasoning in the output, and no
    detail is larger than its total.

    Args:
        counts: In LangChain's own form.
        others: Where else a provider's own counts may stand, the best place first.
    """
    if counts and (usage := _standard(counts)) is not None:
        is_detailed = not _DETAILS.isdisjoint(counts)
        return usage if is_detailed else _detailed(usage, others)
    for source in others:
        if source and (usage := _within(source)) is not None:
            return usage
    return None


def _detailed(usage: Usage, others: Sequence[Mapping[str, Any]]) -> Usage:
    """Return the same tokens with the details that an integration hands on as they came, and in no form of LangChain's.

    Other totals are those of something else, or counted in another way.
    """
    for source in others:
        told = None if _HOLDERS.isdisjoint(source) else _within(source)
        if told is not None and (told.input_tokens, told.output_tokens) == (usage.input_tokens, usage.output_tokens):
            return told
    return usage


def _within(source: Mapping[str, Any]) -> Usage | None:
    for path in () if _HOLDERS.isdisjoint(source) else _PLACES:
        if (usage := _raw(mapping(at(source, path)))) is not None:
            return usage
    return _raw(source)


def _standard(counts: Mapping[str, Any]) -> Usage | None:
    """Read LangChain's own form, which every integration of today fills."""
    usage = _totals(_count(counts.get("input_tokens")), _count(counts.get("output_tokens")))
    of_input, of_output = counts.get("input_token_details"), counts.get("output_token_details")
    if usage is None or (of_input is None and of_output is None):
        return usage
    if of_input := mapping(of_input):
        usage.cache_read = _detail(of_input, "cache_read")
        usage.cache_write = _detail(of_input, "cache_creation") or _sum(of_input, _WRITTEN_BY_TIME)
        usage.audio_input = _count(of_input.get("audio"))
    if of_output := mapping(of_output):
        usage.reasoning = _detail(of_output, "reasoning")
        usage.audio_output = _count(of_output.get("audio"))
    return _consistent(usage, counts)


def _detail(details: Mapping[str, Any], name: str) -> int | None:
    """Return a detail's count; langchain-openai puts a service tier before the name: ``flex_cache_read``."""
    count = _count(details.get(name))
    return count or _sum(details, [key for key in details if key.endswith(f"_{name}")]) or count


@lru_cache(maxsize=256)
def _shape(keys: tuple[str, ...]) -> Sequence[Place]:
    return tuple(places_among(frozenset(keys), _FIELDS))


def _raw(counts: Mapping[str, Any]) -> Usage | None:
    """Read the form of some provider."""
    if _TOTALS.isdisjoint(counts):
        return None
    found = _found(counts)
    if "input_tokens" in found:
        found["input_tokens"] += _sum(counts, _APART_FROM_INPUT) or 0
    if "output_tokens" in found:
        found["output_tokens"] += _sum(counts, _APART_FROM_OUTPUT) or 0
    usage = _totals(found.pop("input_tokens", None), found.pop("output_tokens", None))
    if usage is None or not found:
        return usage
    for field, count in found.items():
        setattr(usage, field, count)
    return _consistent(usage, counts)


def _found(counts: Mapping[str, Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for field, key, inner in _shape(tuple(counts)):
        if found.get(field):
            continue
        count = _count(counts.get(key) if inner is None else mapping(counts.get(key)).get(inner))
        if count is not None:
            found[field] = count  # 0 in one place may be the true count in another
    return found


def _totals(total_input: int | None, total_output: int | None) -> Usage | None:
    total_input = total_input or None  # no call has an empty input: 0 is an integration that did not look
    if total_input is None and not total_output:
        return None
    return Usage(input_tokens=total_input, output_tokens=total_output)


def _consistent(usage: Usage, counts: Mapping[str, Any]) -> Usage:
    """Have no detail larger than its total, nor beside it."""
    cached = (usage.cache_read or 0) + (usage.cache_write or 0)
    if cached > (usage.input_tokens or 0):
        usage.input_tokens = (usage.input_tokens or 0) + cached  # counted apart, by an integration that we do not know
    if usage.reasoning and _is_beside(usage.reasoning, usage, counts.get("total_tokens")):
        usage.output_tokens = (usage.output_tokens or 0) + usage.reasoning
    if (usage.audio_input or 0) > (usage.input_tokens or 0):
        usage.audio_input = None
    if (usage.audio_output or 0) > (usage.output_tokens or 0):
        usage.audio_output = None
    return usage


def _is_beside(reasoning: int, usage: Usage, total: object) -> bool:
    """Return whether reasoning is not in the output: it is more, or all three make up the total, as xAI's do."""
    said = usage.output_tokens or 0
    return reasoning > said or total == (usage.input_tokens or 0) + said + reasoning


def _sum(counts: Mapping[str, Any], keys: Sequence[str]) -> int | None:
    total: int | None = None
    for key in keys:
        if (count := _count(counts.get(key))) is not None:
            total = count + (total or 0)
    return total


def _count(value: Any) -> int | None:
    if type(value) is int:
        return value if 0 <= value < _MOST else None
    return int(value) if type(value) is float and 0 <= value < _MOST else None
