"""LangChain's messages as those of the GenAI conventions: a role and parts."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from .._encode import attempt
from .._model import Message

__all__ = ["message", "message_fields", "messages"]

_ROLES: Final[Mapping[str, str]] = {
    "system": "system",
    "human": "user",
    "ai": "assistant",
    "AIMessageChunk": "assistant",
    "HumanMessageChunk": "user",
    "SystemMessageChunk": "system",
    "ToolMessageChunk": "tool",
    "FunctionMessageChunk": "tool",
    "tool": "tool",
    "function": "tool",
}
_MODALITIES: Final = {"image": "image", "audio": "audio", "video": "video", "file": "document"}
_MOST_REMEMBERED: Final = 4_096
_SHORTEST_REMEMBERED: Final = 256  # characters; below, looking it up costs as much as making it

Part = Mapping[str, object]


def messages(given: Any) -> Sequence[Message]:
    """Return messages as the conventions have them; what is no message is left out."""
    if isinstance(given, (list, tuple)):
        return [made for item in given if (made := message(item)) is not None]
    made = message(given)
    return [] if made is None else [made]


def message(given: Any, finish_reason: str | None = None) -> Message | None:
    """Return one message, or None for what is none, such as a RemoveMessage.

    A message whose content is text is made once and remembered for as long as LangChain's
    own message lives, and with it the text that the gate makes of it: the history of an
    agent, sent again with each call of its model, is written once.
    """
    content = getattr(given, "content", None)
    if type(content) is str and len(content) >= _SHORTEST_REMEMBERED and finish_reason is None:
        return _remembered(given, content)
    return attempt(lambda: _made(given, finish_reason), None)


def message_fields(given: Any) -> object:
    """Return a message as plain data in the conventions' shape, for a chain's inputs and outputs."""
    made = message(given)
    if made is None:
        return {"type": str(getattr(given, "type", "message")), "id": getattr(given, "id", None)}
    fields: dict[str, object] = {"role": made.role, "parts": list(made.parts)}
    if made.name:
        fields["name"] = made.name
    return fields


# ---------------------------------------------------------------- remembering

# id of LangChain's message → itself, what was made of it, and what that was made from.
_memory: dict[int, tuple[weakref.ref[Any], Message, str, object]] = {}


def _remembered(given: Any, content: str) -> Message | None:
    known = _memory.get(id(given))
    calls = getattr(given, "tool_calls", None) or None
    if known is not None and known[0]() is given and known[2] is content and calls is None and known[3] is None:
        return known[1]
    made = attempt(lambda: _made(given, None), None)
    if made is not None and calls is None:
        attempt(lambda: _remember(given, made, content), None)
    return made


def _remember(given: Any, made: Message, content: str) -> None:
    key = id(given)
    if len(_memory) >= _MOST_REMEMBERED:
        _memory.clear()
    _memory[key] = (weakref.ref(given, lambda gone: _forget(key, gone)), made, content, None)


def _forget(key: int, gone: object) -> None:
    known = _memory.get(key)
    if known is not None and known[0] is gone:
        _memory.pop(key, None)


# ---------------------------------------------------------------- making


def _made(given: Any, finish_reason: str | None) -> Message | None:
    if isinstance(given, str):
        return Message(role="user", parts=[_text(given)])
    kind = getattr(given, "type", None)
    if not isinstance(kind, str) or kind == "remove" or not hasattr(given, "content"):
        return None
    role = _ROLES.get(kind) or str(getattr(given, "role", kind))
    name = getattr(given, "name", None)
    return Message(
        role=role,
        parts=_tool_parts(given) if role == "tool" else _parts(given),
        name=name if isinstance(name, str) else None,
        finish_reason=finish_reason,
    )


def _tool_parts(given: Any) -> list[Part]:
    content = given.content
    response = content if isinstance(content, str) else [part for block in content for part in _block(block)]
    return [{"type": "tool_call_response", "id": getattr(given, "tool_call_id", None), "response": response}]


def _parts(given: Any) -> list[Part]:
    content = given.content
    if isinstance(content, str) and not _has_more(given):
        parts = [_text(content)] if content else []
    else:
        parts = [part for block in _blocks(given) for part in _block(block)]
    seen = {part.get("id") for part in parts if part.get("type") == "tool_call"}
    parts += [_tool_call(call) for call in getattr(given, "tool_calls", ()) if call.get("id") not in seen]
    parts += [_tool_call(call) for call in getattr(given, "invalid_tool_calls", ()) if call.get("id") not in seen]
    return parts


def _has_more(given: Any) -> bool:
    """Return whether a message says more than its text, such as reasoning beside it (DeepSeek's way)."""
    more = getattr(given, "additional_kwargs", None)
    return isinstance(more, Mapping) and "reasoning_content" in more


def _blocks(given: Any) -> Sequence[Any]:
    # `content_blocks` knows every provider's blocks and has one shape for them; where it
    # fails, or where an older langchain-core has none, the content is taken as it came.
    blocks = attempt(lambda: given.content_blocks, None)
    if isinstance(blocks, list):
        return blocks
    content = given.content
    return content if isinstance(content, list) else [content]


def _block(block: Any) -> list[Part]:
    """Return the parts that one content block becomes."""
    if isinstance(block, str):
        return [_text(block)]
    if not isinstance(block, Mapping):
        return []
    if block.get("type") == "non_standard" and isinstance(block.get("value"), Mapping):
        block = block["value"]
    kind = block.get("type")
    make = _BLOCKS.get(kind) if isinstance(kind, str) else None
    made = attempt(lambda: make(block), None) if make else None
    return [{**block, "type": str(kind or "unknown")}] if made is None else [made]


def _text(text: str) -> Part:
    return {"type": "text", "content": text}


def _text_block(block: Mapping[str, Any]) -> Part:
    return _text(str(block.get("text", block.get("refusal", ""))))


def _reasoning(block: Mapping[str, Any]) -> Part | None:
    text = block.get("reasoning") or block.get("thinking") or block.get("text")
    summary = block.get("summary")
    if text is None and isinstance(summary, list):
        text = "\n".join(str(item.get("text", "")) for item in summary if isinstance(item, Mapping))
    return {"type": "reasoning", "content": text} if isinstance(text, str) else None


def _tool_call(call: Mapping[str, Any]) -> Part:
    arguments = call.get("args", call.get("input"))
    return {"type": "tool_call", "id": call.get("id"), "name": call.get("name") or "", "arguments": arguments}


def _server_call(block: Mapping[str, Any]) -> Part:
    name = str(block.get("name") or "")
    call = {"type": name, "arguments": block.get("args", block.get("input"))}
    return {"type": "server_tool_call", "id": block.get("id"), "name": name, "server_tool_call": call}


def _server_result(block: Mapping[str, Any]) -> Part:
    result = {key: value for key, value in block.items() if key not in ("type", "id", "tool_call_id", "extras")}
    return {
        "type": "server_tool_call_response",
        "id": block.get("tool_call_id", block.get("id")),
        "server_tool_call_response": {"type": str(block.get("name", "server_tool_result")), **result},
    }


def _media(block: Mapping[str, Any]) -> Part | None:
    kind = str(block["type"])
    common = {"mime_type": block.get("mime_type"), "modality": _MODALITIES[kind]}
    data = block.get("base64", block.get("data"))
    source = block.get("source")
    if data is None and isinstance(source, Mapping):  # Anthropic
        common["mime_type"] = source.get("media_type")
        data, block = source.get("data"), source
    if data is not None:
        return {"type": "blob", **common, "content": data}
    if isinstance(url := block.get("url"), str):
        return _by_url(url, common)
    file_id = block.get("file_id") or block.get("id")
    return {"type": "file", **common, "file_id": file_id} if isinstance(file_id, str) else None


def _image_url(block: Mapping[str, Any]) -> Part | None:
    held = block.get("image_url")
    url = held.get("url") if isinstance(held, Mapping) else held
    return _by_url(url, {"mime_type": None, "modality": "image"}) if isinstance(url, str) else None


def _by_url(url: str, common: Mapping[str, object]) -> Part:
    if not url.startswith("data:"):
        return {"type": "uri", **common, "uri": url}
    head, _, data = url.partition(",")
    mime_type = head[len("data:") :].partition(";")[0]
    return {"type": "blob", **common, "mime_type": mime_type or None, "content": data}


_BLOCKS: Final[Mapping[str, Callable[[Mapping[str, Any]], Part | None]]] = {
    "text": _text_block,
    "input_text": _text_block,
    "output_text": _text_block,
    "text-plain": _text_block,
    "refusal": _text_block,
    "reasoning": _reasoning,
    "thinking": _reasoning,
    "tool_call": _tool_call,
    "tool_call_chunk": _tool_call,
    "tool_use": _tool_call,
    "invalid_tool_call": _tool_call,
    "server_tool_call": _server_call,
    "server_tool_use": _server_call,
    "server_tool_result": _server_result,
    "image": _media,
    "audio": _media,
    "video": _media,
    "file": _media,
    "image_url": _image_url,
}
