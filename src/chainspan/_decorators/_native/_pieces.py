"""Pieces of streamed answers, in the shape that each provider's client gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from chainspan.langchain._answers import Choice, Turn

from ._blocks import add_blocks
from ._fields import at, items, plain_mapping, text
from ._growing import GrowingAnswer, GrowingChoice
from ._messages import THOUGHTS, called, calls_of
from ._whole import read_answer, tokens_of_cohere, usage_counts

__all__ = ["SHAPES"]

_LAST: Final = (".completed", ".incomplete", ".failed")  # how the types of OpenAI's last events end
_CALLS: Final = frozenset({"function_call", "custom_tool_call"})
_IN_DELTAS: Final = frozenset({"text", "thinking", "message", "reasoning", *_CALLS})  # whose content comes in pieces

Reader = Callable[[GrowingAnswer, Any], str]


# ---------------------------------------------------------------- OpenAI, and what has its form


def _chunk(grown: GrowingAnswer, piece: Any) -> str:
    grown.note(piece)
    said = ""
    for choice in items(piece, "choices"):
        delta, growing = at(choice, "delta"), grown.choice(at(choice, "index") or 0)
        growing.think(text(delta, *THOUGHTS))
        content = at(delta, "content") or at(delta, "refusal") or at(choice, "text") or at(delta, "audio", "transcript")
        said += growing.say(content) if isinstance(content, str) else growing.add(_in_blocks(content))
        for call in calls_of(delta):
            _call(growing, call)
        growing.stop(at(choice, "finish_reason"))
    return said


def _held_chunk(grown: GrowingAnswer, piece: Any) -> str:
    """Read an event of the client's helper, which has each chunk in one, and what it makes of that in others."""
    return _chunk(grown, at(piece, "chunk"))


def _in_blocks(content: Any) -> Choice:
    """Return a delta that comes in blocks (Mistral's reasoning models) as a piece of a choice."""
    return Choice(turn=add_blocks(Turn(role="assistant"), content))


def _call(growing: GrowingChoice, call: Any) -> None:
    (name, given), index = called(call), at(call, "index")
    is_custom = at(call, "custom") is not None
    growing.call(index if isinstance(index, int) else 0, text(call, "id"), name, given, is_custom=is_custom)


# ---------------------------------------------------------------- Anthropic, and OpenAI's Responses API


def _event(grown: GrowingAnswer, piece: Any) -> str:
    """Read an event with a type: Anthropic's, or those of OpenAI's Responses API."""
    kind = text(piece, "type") or ""
    if kind.endswith(_LAST) and (response := at(piece, "response")) is not None:
        grown.whole = read_answer(response)
        return ""
    read = _EVENTS.get(kind)
    return "" if read is None else read(grown, piece)


def _message_start(grown: GrowingAnswer, piece: Any) -> str:
    grown.note(at(piece, "message"))
    return ""


def _block_start(grown: GrowingAnswer, piece: Any) -> str:
    block, index = at(piece, "content_block"), at(piece, "index") or 0
    kind = at(block, "type")
    if kind == "tool_use":
        grown.choice().call(index, text(block, "id"), text(block, "name"))
    elif kind in _IN_DELTAS:
        grown.choice().part()
    else:
        grown.choice().hold(index, block)
    return ""


def _block_delta(grown: GrowingAnswer, piece: Any) -> str:
    delta, growing = at(piece, "delta"), grown.choice()
    growing.think(text(delta, "thinking"))
    if (partial := text(delta, "partial_json")) is not None:
        growing.call(at(piece, "index") or 0, arguments=partial)
    return growing.say(text(delta, "text"))


def _message_delta(grown: GrowingAnswer, piece: Any) -> str:
    grown.choice().stop(at(piece, "delta", "stop_reason"))
    grown.count(usage_counts(piece))
    return ""


def _response_start(grown: GrowingAnswer, piece: Any) -> str:
    grown.note(at(piece, "response"), object="response")
    return ""


def _item_start(grown: GrowingAnswer, piece: Any) -> str:
    item, index = at(piece, "item"), at(piece, "output_index") or 0
    kind = at(item, "type")
    if kind in _CALLS:
        grown.choice().call(index, text(item, "call_id"), text(item, "name"), is_custom=kind != "function_call")
    grown.choice().part()
    return ""


def _item_end(grown: GrowingAnswer, piece: Any) -> str:
    item = at(piece, "item")
    if at(item, "type") not in _IN_DELTAS:
        grown.choice().hold(at(piece, "output_index") or 0, item)
    return ""


def _text_delta(grown: GrowingAnswer, piece: Any) -> str:
    return grown.choice().say(text(piece, "delta"))


def _thought_delta(grown: GrowingAnswer, piece: Any) -> str:
    grown.choice().think(text(piece, "delta"))
    return ""


def _arguments_delta(grown: GrowingAnswer, piece: Any) -> str:
    grown.choice().call(at(piece, "output_index") or 0, arguments=text(piece, "delta"))
    return ""


def _failed(grown: GrowingAnswer, piece: Any) -> str:
    if grown.has_begun:  # else it may be of a stream of somebody's own
        grown.choice().stop(text(piece, "type"))
    return ""


# ---------------------------------------------------------------- Mistral's conversations


def _output_delta(grown: GrowingAnswer, piece: Any) -> str:
    grown.note(piece)
    return grown.choice().add(_in_blocks(at(piece, "content")))


def _function_delta(grown: GrowingAnswer, piece: Any) -> str:
    name, given = called(piece)
    grown.choice().call(at(piece, "output_index") or 0, text(piece, "tool_call_id"), name, given)
    return ""


def _execution_start(grown: GrowingAnswer, piece: Any) -> str:
    grown.choice().hold(at(piece, "output_index") or 0, {**plain_mapping(piece), "type": "tool.execution"})
    return ""


def _arguments_of_tool(grown: GrowingAnswer, piece: Any) -> str:
    grown.choice().call(at(piece, "output_index") or 0, arguments=text(piece, "arguments") or "")
    return ""


def _conversation_end(grown: GrowingAnswer, piece: Any) -> str:
    grown.count(usage_counts(piece))
    return ""


# ---------------------------------------------------------------- Cohere


def _cohere_start(grown: GrowingAnswer, piece: Any) -> str:
    grown.note(piece)
    return ""


def _cohere_delta(grown: GrowingAnswer, piece: Any) -> str:
    message, growing = at(piece, "delta", "message"), grown.choice()
    growing.think(text(message, "tool_plan") or text(at(message, "content"), "thinking"))
    if (call := at(message, "tool_calls")) is not None:
        name, given = called(call)
        growing.call(at(piece, "index") or 0, text(call, "id"), name, given)
    return growing.say(text(at(message, "content"), "text"))


def _cohere_end(grown: GrowingAnswer, piece: Any) -> str:
    grown.choice().stop(text(at(piece, "delta"), "finish_reason"))
    grown.count(tokens_of_cohere(at(piece, "delta", "usage")))
    return ""


# ---------------------------------------------------------------- Google, LangChain, Ollama: pieces are answers


def _part(grown: GrowingAnswer, piece: Any) -> str:
    answer = read_answer(piece)
    return "" if answer is None else grown.add(answer)


# ---------------------------------------------------------------- Bedrock, whose events are keys


def _converse_start(grown: GrowingAnswer, piece: Any) -> str:
    held = at(piece, "contentBlockStart")
    call = at(held, "start", "toolUse")
    if call is not None:
        grown.choice().call(at(held, "contentBlockIndex") or 0, text(call, "toolUseId"), text(call, "name"))
    return ""


def _converse_delta(grown: GrowingAnswer, piece: Any) -> str:
    held, growing = at(piece, "contentBlockDelta"), grown.choice()
    delta = at(held, "delta")
    growing.think(text(at(delta, "reasoningContent"), "text"))
    if (partial := text(at(delta, "toolUse"), "input")) is not None:
        growing.call(at(held, "contentBlockIndex") or 0, arguments=partial)
    return growing.say(text(delta, "text"))


def _converse_stop(grown: GrowingAnswer, piece: Any) -> str:
    grown.provider = "aws.bedrock"
    grown.choice().stop(at(piece, "messageStop", "stopReason"))
    return ""


def _converse_metadata(grown: GrowingAnswer, piece: Any) -> str:
    grown.count(usage_counts(at(piece, "metadata")))
    return ""


_EVENTS: Final[Mapping[str, Reader]] = {
    "chunk": _held_chunk,
    "message.output.delta": _output_delta,
    "function.call.delta": _function_delta,
    "tool.execution.started": _execution_start,
    "tool.execution.delta": _arguments_of_tool,
    "conversation.response.done": _conversation_end,
    "message-start": _cohere_start,
    "content-delta": _cohere_delta,
    "tool-plan-delta": _cohere_delta,
    "tool-call-start": _cohere_delta,
    "tool-call-delta": _cohere_delta,
    "message-end": _cohere_end,
    "message_start": _message_start,
    "content_block_start": _block_start,
    "content_block_delta": _block_delta,
    "message_delta": _message_delta,
    "error": _failed,
    "response.created": _response_start,
    "response.output_item.added": _item_start,
    "response.output_item.done": _item_end,
    "response.output_text.delta": _text_delta,
    "response.refusal.delta": _text_delta,
    "response.reasoning_summary_text.delta": _thought_delta,
    "response.reasoning_text.delta": _thought_delta,
    "response.function_call_arguments.delta": _arguments_delta,
    "response.custom_tool_call_input.delta": _arguments_delta,
}
SHAPES: Final[Sequence[tuple[str, Reader]]] = (
    ("choices", _chunk),
    ("candidates", _part),
    ("contentBlockStart", _converse_start),
    ("contentBlockDelta", _converse_delta),
    ("messageStop", _converse_stop),
    ("response_metadata", _part),
    ("done_reason", _part),
    ("metadata", _converse_metadata),
    ("type", _event),
)
"""What a piece has in each of them, the most telling first, and what reads it: adds it to an answer, and returns its
text."""
