"""LangChain's messages as those of the GenAI conventions: a role and parts."""

from __future__ import annotations

import marshal
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from .._content import without_data
from .._encode import attempt, some_messages
from .._model import Message

__all__ = ["message", "message_or_fields", "messages"]

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
_MODALITIES: Final = {
    "image": "image",
    "audio": "audio",
    "video": "video",
    "file": "document",
    "document": "document",
    "input_image": "image",
    "input_audio": "audio",
    "input_file": "document",
}
_MOST_REMEMBERED: Final = 4_096
_LARGEST_STATE: Final = 16_384  # bytes

Part = Mapping[str, object]


def messages(given: Any) -> Sequence[Message]:
    """Return messages as the conventions have them; what is no message is left out."""
    items = some_messages(given if isinstance(given, (list, tuple)) else (given,))
    try:
        return _history(items)
    except Exception:  # noqa: BLE001  # of a foreign object, without which the others are taken
        return [made for item in items if (made := message(item)) is not None]


def _history(items: Sequence[Any]) -> list[Message]:
    """Take what is known of messages as `message` does, without a call for each: nearly all are known and texts.

    What is remembered goes before its message does, hence is that of the message with this id.
    """
    made = [
        known.made
        if known is not None
        and known.state is (fields := item.__dict__).get("content")
        and not fields.get("tool_calls")
        else message(item)
        for item, known in zip(items, map(_memory.get, map(id, items)), strict=True)
    ]
    return made if all(made) else [one for one in made if one is not None]  # type: ignore[return-value]  # all are some


def message(given: Any) -> Message | None:
    """Return one message, or None for what is none, such as a RemoveMessage.

    It is made once and remembered for as long as LangChain's own message lives unchanged,
    and with it the text that the gate makes of it: the history of an agent, sent again with
    each call of its model, is written once.
    """
    known = _memory.get(id(given))
    try:
        if known is None or known() is not given:
            return _remembered(given)
        fields = given.__dict__
        is_same_text = known.state is fields.get("content") and not fields.get("tool_calls")
        return known.made if is_same_text or known.state == _state(fields) else _remembered(given)
    except Exception:  # noqa: BLE001  # of a foreign object
        return None


def message_or_fields(given: Any) -> object:
    """Return a message, or what little there is to say of one that holds nothing."""
    made = message(given)
    return {"type": str(getattr(given, "type", "message")), "id": getattr(given, "id", None)} if made is None else made


# ---------------------------------------------------------------- remembering


class _Known(weakref.ref[Any]):
    """A message of LangChain's, with what was made of it and what tells whether it has changed since."""

    __slots__ = ("key", "made", "state")
    key: int
    made: Message
    state: object


_memory: dict[int, _Known] = {}  # by the id of the message


def _remembered(given: Any) -> Message | None:
    if isinstance(given, str):
        return Message("user", [_text(given)])
    if type(given) is Message:
        return given
    fields = given.__dict__  # the fields of a model; asking for one that a class has not is slow
    made = _made(given, fields)
    state = None if made is None else _state(fields)
    if made is not None and state is not None:
        known = _Known(given, _forget)
        known.key, known.made, known.state = id(given), made, state
        if len(_memory) >= _MOST_REMEMBERED:
            _memory.clear()
        _memory[known.key] = known
    return made


def _state(fields: Mapping[str, Any]) -> object:
    """Return what differs when a message has changed; None where finding out would cost more than it saves."""
    content, calls = fields.get("content"), fields.get("tool_calls")
    if type(content) is str and not calls:
        return content
    if type(content) is list and any(type(block) is dict and _is_large(block) for block in content):
        return None
    try:
        state = marshal.dumps((content, calls), 2)
    except ValueError:  # not of Python's own types
        return None
    return (state,) if len(state) <= _LARGEST_STATE else None


def _is_large(block: Mapping[str, Any]) -> bool:
    return any(len(value) > _LARGEST_STATE for value in block.values() if type(value) in (str, bytes))


def _forget(known: _Known) -> None:
    if _memory.get(known.key) is known:
        _memory.pop(known.key, None)


# ---------------------------------------------------------------- making


def _made(given: Any, fields: Mapping[str, Any]) -> Message | None:
    kind = fields.get("type")
    if not isinstance(kind, str) or kind == "remove" or "content" not in fields:
        return None
    role, name = _ROLES.get(kind) or str(fields.get("role", kind)), fields.get("name")
    return Message(
        role,
        _tool_parts(fields) if role == "tool" else _parts(given, fields),
        name if isinstance(name, str) else None,
    )


def _tool_parts(fields: Mapping[str, Any]) -> list[Part]:
    content = fields["content"]
    parts = () if isinstance(content, str) else (part for block in content for part in _block(block))
    response = content if isinstance(content, str) else [without_data(part) for part in parts]
    return [{"type": "tool_call_response", "id": fields.get("tool_call_id"), "response": response}]


def _parts(given: Any, fields: Mapping[str, Any]) -> list[Part]:
    content, more = fields["content"], fields.get("additional_kwargs")
    if isinstance(content, str):
        parts: list[Part] = [{"type": "text", "content": content}] if content else []
    else:
        parts = [part for block in _blocks(given, content) for part in _block(block)]
    thought = more.get("reasoning_content") if more else None  # beside the content: DeepSeek's way
    if isinstance(thought, str) and thought and not any(part.get("type") == "reasoning" for part in parts):
        parts.insert(0, {"type": "reasoning", "content": thought})
    called, failed = fields.get("tool_calls"), fields.get("invalid_tool_calls")
    if called or failed:
        calls = [*(called or ()), *(failed or ())]
        seen = {part.get("id") for part in parts if part.get("type") == "tool_call"}
        parts += [_tool_call(call) for call in calls if call.get("id") not in seen]
    return parts


def _blocks(given: Any, content: Any) -> Sequence[Any]:
    # `content_blocks` knows every provider's blocks and has one shape for them; where it
    # fails, or where an older langchain-core has none, the content is taken as it came.
    blocks = attempt(lambda: given.content_blocks, None)
    if isinstance(blocks, list):
        return blocks
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
    return _text(str.__str__(str(block.get("text", block.get("refusal", "")))))


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
    mime_type = block.get("mime_type")
    modality = _MODALITIES.get(kind) or _MODALITIES.get(str(mime_type).partition("/")[0], "document")
    common = {"mime_type": mime_type, "modality": modality}
    block = inner if isinstance(inner := block.get(kind), Mapping) else block  # OpenAI: the data under the type's name
    data = block.get("base64", block.get("data"))
    source = block.get("source")
    if data is None and isinstance(source, Mapping):  # Anthropic
        common["mime_type"] = source.get("media_type")
        data, block = source.get("data"), source
    if data is not None:
        return {"type": "blob", **common, "content": data}
    urls = (block.get(key) for key in _URLS)
    if (url := next((url for url in urls if isinstance(url, str)), None)) is not None:
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


_URLS: Final = ("url", "image_url", "file_url", "file_data", "file_uri")  # of OpenAI; the last of Google
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
    "input_image": _media,  # OpenAI's, of its Responses API and of audio
    "input_audio": _media,
    "input_file": _media,
    "document": _media,  # Anthropic's, in a tool's answer
    "media": _media,  # Google's
}
