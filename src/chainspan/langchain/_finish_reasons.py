"""Why a model stopped: in the provider's words, and in the conventions'."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from ._joined import LONGEST_JOINED, once
from ._read import mapping, text_in

__all__ = ["UNDONE", "FinishReasons", "finish_reasons"]

UNDONE: Final = frozenset({"queued", "in_progress"})
"""What is said in place of a reason of an answer that is made in the background."""

_KEYS: Final = ("finish_reason", "stop_reason", "stopReason", "done_reason")
_WITHOUT_CALLS: Final = frozenset({"completed", "STOP"})  # of OpenAI's Responses API, of Google
_CALLS: Final = "tool_call"
_WORDS: Final[Mapping[str, Sequence[str]]] = {
    "stop": ("stop", "end_turn", "stop_sequence", "completed", "complete", "eos", "eos_token", "finished"),
    "length": (
        "length",
        "max_tokens",
        "max_output_tokens",
        "model_length",
        "max_new_tokens",
        "model_context_window_exceeded",
        "incomplete",
    ),
    "tool_call": ("tool_calls", "tool_call", "tool_use", "function_call"),
    "content_filter": (
        "content_filter",
        "content_filtered",
        "safety",
        "guardrail_intervened",
        "refusal",
        "recitation",
        "blocklist",
        "prohibited_content",
        "spii",
        "image_safety",
        "image_prohibited_content",
        "image_recitation",
        "model_armor",
        "jailbreak",
    ),
    "error": (
        "error",
        "failed",
        "cancelled",
        "malformed_function_call",
        "malformed_response",
        "malformed_model_output",
        "malformed_tool_use",
        "missing_thought_signature",
        "timeout",
        "too_many_tool_calls",
        "unexpected_tool_call",
        "insufficient_system_resource",
    ),
}
_REASON_OF: Final = {word: reason for reason, words in _WORDS.items() for word in words}
_ANY_REASON: Final = "|".join(sorted(_REASON_OF, key=len, reverse=True))


class FinishReasons(NamedTuple):
    """Why a model stopped, of each choice that says so.

    Attributes:
        raw: In the provider's words.
        told: In the conventions'; a word that is not known passes as it is.
    """

    raw: Sequence[str]
    told: Sequence[str]


_NOTHING: Final = FinishReasons((), ())


def finish_reasons(choices: Sequence[Any], first: Mapping[str, Any]) -> FinishReasons:
    """Return why a model stopped.

    Args:
        choices: Its answers.
        first: What is said of the first of them.
    """
    said = _said(first)
    found = _NOTHING if said is None else _remembered(said) if len(said) <= LONGEST_JOINED else _of((said,))
    if len(choices) > 1:
        others = [_said(_facts(choice)) for choice in choices[1:]]
        found = _of((*found.raw, *[said for said in others if said is not None]))
    if not _WITHOUT_CALLS.isdisjoint(found.raw) and len(found.raw) == len(choices):
        return FinishReasons(found.raw, tuple(map(_with_calls, found.raw, found.told, choices)))
    return found


@lru_cache(maxsize=256)
def _remembered(said: str) -> FinishReasons:
    """Return the reasons that one text tells.

    LangChain puts texts of a stream's chunks together: of two choices, or where two chunks say why,
    the reason is ``stoplength`` or ``stopstop``. Those are two words, and one.
    """
    if said not in _REASON_OF and re.fullmatch(f"(?:{_ANY_REASON})+", said, re.IGNORECASE):
        return _of(tuple(dict.fromkeys(re.findall(_ANY_REASON, said, re.IGNORECASE))))
    return _of((once(said),))


def _of(raw: Sequence[str]) -> FinishReasons:
    return FinishReasons(raw, tuple([_REASON_OF.get(word) or _REASON_OF.get(word.lower(), word) for word in raw]))


def _with_calls(raw: str, told: str, choice: Any) -> str:
    """Tell calls of tools from other ends where a provider has one word for both."""
    calls = raw in _WITHOUT_CALLS and getattr(getattr(choice, "message", None), "tool_calls", None)
    return _CALLS if calls else told


def _facts(choice: Any) -> Mapping[str, Any]:
    metadata = mapping(getattr(getattr(choice, "message", None), "response_metadata", None))
    return {**mapping(getattr(choice, "generation_info", None)), **metadata}


def _said(facts: Mapping[str, Any]) -> str | None:
    said = text_in(facts, _KEYS)
    if said is not None:
        return said
    details = mapping(facts.get("incomplete_details"))
    said = text_in(details, ("reason",)) or text_in(facts, ("status",))
    if said in UNDONE:
        return None
    return said or text_in(mapping(facts.get("prompt_feedback")), ("block_reason",))
