"""What LangChain's messages hold, as the parts of the GenAI conventions' messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from .._content import without_data
from .._encode import attempt, parsed
from ._answers import FREE_TEXT
from ._read import mapping, text_in

__all__ = ["beside", "parts_of", "text_part", "tool_parts"]

_MODALITIES: Final = {
    "image": "image",
    "audio": "audio",
    "video": "video",
    "file": "document",
    "document": "document",
    "input_image": "image",
    "input_audio": "audio",
    "input_file": "document",
    "image_url": "image",
    "document_url": "document",
}
_SERVERS: Final = ("server_label", "server_name")  # of MCP: OpenAI's, Anthropic's
_NO_RESULT: Final = frozenset({"type", "id", "tool_call_id", "extras", "index"})  # the last of streams
_BESIDE: Final = ("reasoning_content", "refusal", "audio")  # DeepSeek's, OpenAI's
_CALL_IDS: Final = (("tool_use", "id"), ("custom_tool_call", "call_id"))  # Anthropic's, OpenAI's
_NO_CALL: Final = object()
_THOUGHTS: Final = ("reasoning", "thinking", "text", "summary", "reasoning_content")  # the last is Amazon's
_SAID_BESIDE: Final = (*_BESIDE, "function_call")

Part = Mapping[str, object]


def tool_parts(fields: Mapping[str, Any]) -> list[Part]:
    """Return the one part of a message that answers a call of a tool."""
    content = fields["content"]
    parts = () if isinstance(content, str) else (part for block in content for part in _block(block))
    response = content if isinstance(content, str) else [without_data(part) for part in parts]
    return [{"type": "tool_call_response", "id": fields.get("tool_call_id"), "response": response}]


def parts_of(given: Any, fields: Mapping[str, Any]) -> list[Part]:
    """Return the parts of any other message."""
    content, more = fields["content"], fields.get("additional_kwargs")
    if isinstance(content, str):
        parts: list[Part] = [{"type": "text", "content": content}] if content else []
    else:
        parts = [part for block in _called_once(_blocks(given, content)) for part in _block(block)]
    if more:
        _add_beside(parts, more)
    called, failed = fields.get("tool_calls"), fields.get("invalid_tool_calls")
    if called or failed:
        calls = [*(called or ()), *(failed or ())]
        seen = {part.get("id") for part in parts if part.get("type") == "tool_call"}
        parts += [_tool_call(call) for call in calls if call.get("id") not in seen]
    elif more and type(called := more.get("function_call")) is dict:
        parts.append(_function_call(called))
    return parts


def beside(fields: Mapping[str, Any]) -> list[Any]:
    """Return what some integrations put beside a message's content."""
    more = fields.get("additional_kwargs")
    return [held for name in _SAID_BESIDE if (held := more.get(name))] if more else []


def _add_beside(parts: list[Part], more: Mapping[str, Any]) -> None:
    """Add what stands beside a message's content, unless it stands in it too."""
    kinds = {part.get("type") for part in parts}
    thought, refusal, audio = (more.get(name) for name in _BESIDE)
    if isinstance(thought, str) and thought and "reasoning" not in kinds:
        parts.insert(0, {"type": "reasoning", "content": thought})
    if isinstance(refusal, str) and refusal and "text" not in kinds:
        parts.append(text_part(refusal))
    if isinstance(audio, Mapping) and "blob" not in kinds:
        if isinstance(said := audio.get("transcript"), str) and said and "text" not in kinds:
            parts.append(text_part(said))
        if isinstance(data := audio.get("data"), str):
            parts.append({"type": "blob", "mime_type": None, "modality": "audio", "content": data})


def _blocks(given: Any, content: Any) -> Sequence[Any]:
    # `content_blocks` knows every provider's blocks and has one shape for them, but leaves out bare strings,
    # and Groq's lists; where it fails, or an older langchain-core has none, the content is taken as it came.
    if isinstance(content, list) and any(isinstance(block, str) and block for block in content):
        content = [{"type": "text", "text": block} if isinstance(block, str) else block for block in content if block]
        given = attempt(lambda: given.model_copy(update={"content": content}), None)
    blocks = attempt(lambda: given.content_blocks, None)
    if not isinstance(content, list):
        return blocks if isinstance(blocks, list) else [content]
    return blocks if isinstance(blocks, list) and (_says(blocks) or not _says(content)) else content


def _called_once(blocks: Sequence[Any]) -> Sequence[Any]:
    """Return blocks without calls in a provider's form, where langchain-core, not told whose, adds its own of them."""
    calls = [block.get("id") for block in blocks if type(block) is dict and block.get("type") == "tool_call"]
    return [block for block in blocks if _foreign_call(block) not in calls] if calls else blocks


def _foreign_call(block: Any) -> object:
    """Return the id of a call in a provider's own form, or what is the id of none."""
    held = block.get("value") if type(block) is dict and block.get("type") == "non_standard" else None
    if not isinstance(held, Mapping):
        return _NO_CALL
    return next((held.get(key) for kind, key in _CALL_IDS if held.get("type") == kind), _NO_CALL)


def _says(blocks: Sequence[Any]) -> bool:
    return any(type(block) is dict and block.get("type") == "text" for block in blocks)


def _block(block: Any) -> list[Part]:
    """Return the parts that one content block becomes."""
    if isinstance(block, str):
        return [text_part(block)] if block else []
    if not isinstance(block, Mapping):
        return []
    if block.get("type") == "non_standard" and isinstance(block.get("value"), Mapping):
        block = block["value"]
    kind = block.get("type")
    make = _BLOCKS.get(kind) if isinstance(kind, str) else None
    made = attempt(lambda: make(block), None) if make else None
    return [{**block, "type": str(kind or "unknown")}] if made is None else [made]


def text_part(text: str) -> Part:
    """Return a text as a part."""
    return {"type": "text", "content": text}


def _text_block(block: Mapping[str, Any]) -> Part:
    said = block.get("text", block.get("refusal"))
    return text_part(str.__str__(said) if isinstance(said, str) else "")


def _plain_text(block: Mapping[str, Any]) -> Part | None:
    return _text_block(block) if "text" in block else _media(block)


def _reasoning(block: Mapping[str, Any]) -> Part | None:
    held = [block[key] for key in _THOUGHTS if block.get(key) is not None]
    said = next(filter(None, held), held[0])
    pieces = said if isinstance(said, list) else [said]
    texts = [piece if isinstance(piece, str) else piece["text"] for piece in pieces]
    return {"type": "reasoning", "content": ("\n" if "summary" in block else "").join(texts)}


def _tool_call(call: Mapping[str, Any]) -> Part:
    arguments = call.get("args", call.get("input"))
    return {"type": "tool_call", "id": call.get("id"), "name": call.get("name") or "", "arguments": arguments}


def _custom_call(block: Mapping[str, Any]) -> Part:
    # The text stands where LangChain puts it, which lists the call beside the content as well.
    return _tool_call({"id": block["call_id"], "name": block["name"], "args": {FREE_TEXT: block["input"]}})


def _function_call(called: Mapping[str, Any]) -> Part:
    """Return a call in the form that OpenAI had before there were tools, and old agents still have."""
    given = called.get("arguments")
    arguments = parsed(given) if isinstance(given, str) else given
    return _tool_call({"name": called.get("name"), "args": arguments})


def _server_call(block: Mapping[str, Any]) -> Part:
    kind, more = str(block.get("name") or ""), mapping(block.get("extras"))
    call = {"type": kind, "arguments": block.get("args", block.get("input"))}
    call |= {key: more[key] for key in _SERVERS if isinstance(more.get(key), str)}
    name = text_in(more, ("tool_name",)) or kind  # which of a server's tools, where all of those are one to LangChain
    return {"type": "server_tool_call", "id": block.get("id"), "name": name, "server_tool_call": call}


def _server_result(block: Mapping[str, Any]) -> Part:
    result = {key: value for key, value in block.items() if key not in _NO_RESULT}
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


def _addressed(block: Mapping[str, Any]) -> Part | None:
    kind = str(block["type"])
    held = block.get(kind)
    url = held.get("url") if isinstance(held, Mapping) else held
    return _by_url(url, {"mime_type": None, "modality": _MODALITIES[kind]}) if isinstance(url, str) else None


def _audio(block: Mapping[str, Any]) -> Part | None:
    data = block.get("input_audio")
    if not isinstance(data, str):
        return _media(block)
    common = {"mime_type": None, "modality": "audio"}  # of Mistral, data or an address
    return _by_url(data, common) if "://" in data else {"type": "blob", **common, "content": data}


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
    "text-plain": _plain_text,
    "refusal": _text_block,
    "reasoning": _reasoning,
    "thinking": _reasoning,
    "reasoning_content": _reasoning,
    "tool_call": _tool_call,
    "tool_call_chunk": _tool_call,
    "tool_use": _tool_call,
    "custom_tool_call": _custom_call,
    "invalid_tool_call": _tool_call,
    "server_tool_call": _server_call,
    "server_tool_use": _server_call,
    "server_tool_result": _server_result,
    "image": _media,
    "audio": _media,
    "video": _media,
    "file": _media,
    "image_url": _addressed,
    "document_url": _addressed,  # Mistral's
    "input_image": _media,  # OpenAI's, of its Responses API and of audio
    "input_audio": _audio,
    "input_file": _media,
    "document": _media,  # Anthropic's, in a tool's answer
    "media": _media,  # Google's
}
