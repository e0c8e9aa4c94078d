"""Messages in the form of OpenAI's Chat Completions, which many clients share: of requests and of answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from chainspan.langchain._answers import FREE_TEXT, Call, Turn

from ._blocks import add_blocks
from ._fields import at, items, plain_mapping, text

__all__ = ["THOUGHTS", "add_calls", "add_message", "called", "calls_of", "free_text"]

# Of DeepSeek; of Groq, OpenRouter and vLLM; of Ollama; of Cohere.
THOUGHTS: Final = ("reasoning_content", "reasoning", "thinking", "tool_plan")
_GIVEN: Final = ("arguments", "input", "args", "parameters")  # the last of LangChain's, and of Cohere's first API


def add_message(turn: Turn, message: Any) -> Turn:
    """Add what a message says to a turn, and return the turn; what it does not say is null, or not there."""
    if thought := text(message, *THOUGHTS):
        turn.blocks.append({"type": "reasoning", "reasoning": thought})
    add_blocks(turn, at(message, "content") or at(message, "refusal"))
    _add_audio(turn, at(message, "audio"))
    add_calls(turn, calls_of(message))
    return turn


def add_calls(turn: Turn, calls: Iterable[Any]) -> None:
    """Add the calls of a message that lists them apart from its content; LangChain's may be in both."""
    known = {call.id for call in turn.calls if call.id is not None}
    for call in calls:
        name, given = called(call)
        arguments = free_text(given) if at(call, "custom") is not None else given
        if (call_id := text(call, "id")) not in known:
            turn.calls.append(Call(id=call_id, name=name or "", arguments=arguments))


def calls_of(message: Any) -> Iterable[Any]:
    """Return a message's calls, or pieces of them; there was one at most before there were tools."""
    alone = at(message, "function_call")
    return items(message, "tool_calls") or (() if alone is None else (alone,))


def called(call: Any) -> tuple[str | None, Any]:
    """Return what a call names, and what it gives: JSON as a text, data, or the text for a custom tool."""
    inner = at(call, "function") or at(call, "custom") or call
    given = next((held for key in _GIVEN if (held := at(inner, key)) is not None), None)
    return text(inner, "name"), given if given is None or isinstance(given, str) else plain_mapping(given)


def free_text(said: Any) -> dict[str, Any]:
    """Return the text that a custom tool is called with as the arguments of a call."""
    return {FREE_TEXT: said or ""}


def _add_audio(turn: Turn, audio: Any) -> None:
    """Add what was spoken; an answer has it as data and as text, a message of an earlier one by its id."""
    if (said := text(audio, "transcript")) and not turn.blocks:
        add_blocks(turn, said)
    if data := text(audio, "data"):
        turn.blocks.append({"type": "audio", "base64": data})
    elif (audio_id := text(audio, "id")) and not said:
        turn.blocks.append({"type": "audio", "file_id": audio_id})
