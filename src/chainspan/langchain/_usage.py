"""Token counts, from every place where LangChain and its integrations put them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from .._model import Usage

__all__ = ["usage_of"]

# What fills each field, in order of trust; a dot steps into a mapping, a plus adds up.
# The first row of names is LangChain's own `usage_metadata`; then OpenAI, Anthropic, Google,
# Bedrock, Cohere and Ollama, as found in `llm_output` and `response_metadata`.
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
        "input_token_details.cache_read",
        "prompt_tokens_details.cached_tokens",
        "input_tokens_details.cached_tokens",
        "cache_read_input_tokens",
        "cached_content_token_count",
        "cacheReadInputTokens",
        "prompt_cache_hit_tokens",
    ),
    "cache_write": (
        "input_token_details.cache_creation",
        "input_token_details.ephemeral_5m_input_tokens+input_token_details.ephemeral_1h_input_tokens",
        "cache_creation_input_tokens",
        "cacheWriteInputTokens",
    ),
    "reasoning": (
        "output_token_details.reasoning",
        "completion_tokens_details.reasoning_tokens",
        "output_tokens_details.reasoning_tokens",
        "thoughts_token_count",
    ),
    "audio_input": ("input_token_details.audio", "prompt_tokens_details.audio_tokens"),
    "audio_output": ("output_token_details.audio", "completion_tokens_details.audio_tokens"),
}

# Where a raw provider payload counts cached tokens apart from its input tokens.
_EXCLUSIVE: Final = (
    ("cache_read_input_tokens", "cache_creation_input_tokens"),  # Anthropic
    ("cacheReadInputTokens", "cacheWriteInputTokens"),  # Bedrock
)
# Where they may stand in `response_metadata` and `llm_output`; last, those mappings themselves (Ollama).
_PLACES: Final = ("token_usage", "usage", "usage_metadata", "tokens", "meta.billed_units")


def usage_of(message: Any, generation_info: Mapping[str, Any], llm_output: Mapping[str, Any]) -> Usage | None:
    """Return the tokens of one answer, or None where nobody counted any.

    Totals are inclusive: cached tokens are in the input, reasoning in the output, and no
    detail is larger than its total.
    """
    own = getattr(message, "usage_metadata", None)
    if isinstance(own, Mapping) and (usage := _read(own)):
        return usage
    response_metadata = getattr(message, "response_metadata", None)
    for source in (response_metadata, generation_info, llm_output):
        if isinstance(source, Mapping):
            for place in _places(source):
                if usage := _read(place, raw=True):
                    return usage
    return None


def _places(source: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for path in _PLACES:
        found = _at(source, path)
        if isinstance(found, Mapping):
            yield found
    yield source


def _read(counts: Mapping[str, Any], *, raw: bool = False) -> Usage | None:
    values = {field: _first(counts, paths) for field, paths in _FIELDS.items()}
    total_input, total_output = values["input_tokens"], values["output_tokens"]
    if total_input is None and total_output is None:
        return None
    if raw and total_input is not None:
        values["input_tokens"] = total_input + sum(
            _count(counts.get(name)) or 0 for names in _EXCLUSIVE for name in names
        )
    return Usage(**_bounded(values))


def _bounded(values: dict[str, int | None]) -> dict[str, int | None]:
    """Return counts in which the details of a total never exceed it: what the provider counts apart is dropped."""
    for total, details in (
        ("input_tokens", ("cache_read", "cache_write", "audio_input")),
        ("output_tokens", ("reasoning", "audio_output")),
    ):
        left = values[total] or 0
        for detail in details:
            count = values[detail]
            if count is not None and count > left:
                values[detail] = None
    return values


def _first(counts: Mapping[str, Any], paths: tuple[str, ...]) -> int | None:
    best: int | None = None
    for path in paths:
        found = [_count(_at(counts, part)) for part in path.split("+")]
        known = [count for count in found if count is not None]
        if known and sum(known):
            return sum(known)
        best = 0 if known else best  # 0 in one place may be the true count in another
    return best


def _count(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0 or value != value:  # noqa: PLR0124
        return None
    return int(value) if value < 1 << 53 else None


def _at(source: Any, path: str) -> Any:
    for name in path.split("."):
        if not isinstance(source, Mapping):
            return None
        source = source.get(name)
    return source
