"""The way back: from the messages of a span to those of LangChain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages.tool import invalid_tool_call, tool_call

from .. import _messages as spoken
from .._encode import dumps

__all__ = ["restored"]

_BLOCK_TYPES: Final = {"document": "file"}


def restored(span: object) -> list[AnyMessage]:
    """Return the conversation that a span holds; see `chainspan.messages_from_span`."""
    return [_message(message) for message in spoken.messages_from_span(span)]


def _message(message: spoken.ChatMessage) -> AnyMessage:
    if message.role == "tool":
        return _tool_message(message)
    content = _content(message)
    if message.role == "assistant":
        return AIMessage(content=content, name=message.name, **_calls(message))
    if message.role == "system":
        return SystemMessage(content=content, name=message.name)
    if message.role == "user":
        return HumanMessage(content=content, name=message.name)
    return ChatMessage(content=content, role=message.role, name=message.name)


def _tool_message(message: spoken.ChatMessage) -> ToolMessage:
    answers = [part for part in message.parts if isinstance(part, spoken.ToolCallResponsePart)]
    if not answers:
        return ToolMessage(content=_content(message), tool_call_id="", name=message.name)
    response = answers[0].response
    content = [_restored(part) for part in response] if isinstance(response, list) else _text(response)
    return ToolMessage(content=content, tool_call_id=answers[0].id or "", name=message.name)


def _text(value: object) -> str:
    return value if isinstance(value, str) else dumps(value)


def _content(message: spoken.ChatMessage) -> Any:
    blocks = [block for part in _spread(message.parts) if (block := _block(part)) is not None]
    if len(blocks) == 1 and blocks[0].get("type") == "text" and isinstance(blocks[0].get("text"), str):
        return blocks[0]["text"]
    return blocks or ""


def _spread(parts: Sequence[spoken.Part]) -> Iterator[spoken.Part | dict[str, Any]]:
    """Yield the parts; tool calls as blocks where something comes after them, as their place would be lost."""
    last = max((index for index, part in enumerate(parts) if not isinstance(part, spoken.ToolCallPart)), default=-1)
    for index, part in enumerate(parts):
        if isinstance(part, spoken.ToolCallPart) and index < last and isinstance(part.arguments, dict):
            yield {"type": "tool_call", "id": part.id, "name": part.name, "args": part.arguments}
        else:
            yield part


def _calls(message: spoken.ChatMessage) -> dict[str, Any]:
    calls = [part for part in message.parts if isinstance(part, spoken.ToolCallPart)]
    valid = [
        tool_call(name=call.name, args=call.arguments, id=call.id) for call in calls if isinstance(call.arguments, dict)
    ]
    invalid = [
        invalid_tool_call(
            name=call.name,
            args=None if call.arguments is None else _text(call.arguments),
            id=call.id,
            error=None,
        )
        for call in calls
        if not isinstance(call.arguments, dict)
    ]
    return {"tool_calls": valid, "invalid_tool_calls": invalid}


def _restored(part: Any) -> Any:
    return _block(spoken.parse_part(part)) or part


def _block(part: spoken.Part | dict[str, Any]) -> dict[str, Any] | None:
    """Return the content block of a part; None for tool calls, which stand beside the content."""
    if isinstance(part, dict):
        return part
    make = _BLOCKS.get(type(part))
    return part.model_dump(exclude_unset=True) if make is None else make(part)


def _media(part: Any, key: str, value: str) -> dict[str, Any]:
    block = {"type": _BLOCK_TYPES.get(part.modality, part.modality), key: value, "mime_type": part.mime_type}
    return {name: held for name, held in block.items() if held is not None}


def _server_call(part: Any) -> dict[str, Any]:
    held = dict(part.server_tool_call)
    kind, arguments = held.pop("type", part.name), held.pop("arguments", None)
    block = {"type": "server_tool_call", "id": part.id, "name": kind, "args": arguments}
    more = held if kind == part.name else {"tool_name": part.name, **held}
    return {**block, "extras": more} if more else block


def _server_result(part: Any) -> dict[str, Any]:
    held = {key: value for key, value in part.server_tool_call_response.items() if key != "type"}
    return {"type": "server_tool_result", "tool_call_id": part.id, **held}


_BLOCKS: Final[Mapping[type, Callable[[Any], dict[str, Any] | None]]] = {
    spoken.TextPart: lambda part: {"type": "text", "text": part.content},
    spoken.ReasoningPart: lambda part: {"type": "reasoning", "reasoning": part.content},
    spoken.ToolCallPart: lambda _: None,
    spoken.UriPart: lambda part: _media(part, "url", part.uri),
    spoken.FilePart: lambda part: _media(part, "file_id", part.file_id),
    spoken.BlobPart: lambda part: _media(part, "base64", part.content),
    spoken.ServerToolCallPart: _server_call,
    spoken.ServerToolCallResponsePart: _server_result,
}
