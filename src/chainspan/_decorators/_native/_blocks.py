"""The blocks that messages are made of, in every provider's form, as LangChain's.

A block says what it is by its ``type`` (OpenAI, Anthropic, Mistral) or by the one key that
it holds (Google, Bedrock).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any, Final

from chainspan._encode import to_json
from chainspan.langchain._answers import Call, Turn

from ._fields import at, has, items, plain_mapping, text
from ._server_tools import server_blocks

__all__ = ["add_block", "add_blocks", "is_part", "result_of"]

_KEYS: Final = (  # of blocks without a type, the most telling first
    "toolUse",
    "toolResult",
    "reasoningContent",
    "function_call",
    "function_response",
    "citationsContent",
    "guardContent",
    "cachePoint",
    "executable_code",
    "code_execution_result",
    "inline_data",
    "file_data",
    "image",
    "document",
    "video",
    "text",
    "uri",
)
_THOUGHTS: Final = (  # of Anthropic, Bedrock, and LangChain for Bedrock and for all
    ("thinking",),
    ("reasoningContent", "reasoningText", "text"),
    ("reasoning_content", "text"),
    ("reasoning",),
)
_MEDIA: Final = ("image", "audio", "video")
_OF_GOOGLE: Final = ("inline_data", "download_uri")  # what parts of a message have, and files that were uploaded
# Google's client takes the names of its API too.
_NAMES: Final = {
    "codeExecutionResult": "code_execution_result",
    "executableCode": "executable_code",
    "fileData": "file_data",
    "fileUri": "file_uri",
    "functionCall": "function_call",
    "functionResponse": "function_response",
    "inlineData": "inline_data",
    "mimeType": "mime_type",
}


def add_blocks(turn: Turn, content: Any) -> Turn:
    """Add a message's content, a text or blocks, to a turn, and return the turn."""
    if isinstance(content, (list, tuple)):
        for block in content:
            add_block(turn, block)
    elif content is not None:
        add_block(turn, content)
    return turn


def add_block(turn: Turn, block: Any) -> None:
    """Add one block to a turn: to its content, or to the calls that it makes."""
    if isinstance(block, str):
        _say(turn, block)
        return
    block = _renamed(block)
    kind = _kind(block)
    add = _BLOCKS.get(kind)
    if add is not None:
        add(turn, block)
    elif found := server_blocks(kind, block):
        turn.blocks.extend(found)
    elif made := plain_mapping(block):
        turn.blocks.append(made)


def result_of(block: Any) -> Turn | None:
    """Return a tool's answer that stands as a block in a message, or None for other blocks."""
    block = _renamed(block)
    kind = _kind(block)
    where = _RESULTS.get(kind) or (_OUTPUT if kind.endswith("_call_output") else None)
    if where is None:
        return None
    holder, call_id, content = where
    inner = at(block, holder) if holder else block
    held = at(inner, content)
    turn = Turn(role="tool", call_id=text(inner, call_id, "id", "name"))
    is_content = isinstance(held, (str, list, tuple)) or has(held, "type")
    return add_blocks(turn, held if is_content else to_json(plain_mapping(held)))


def is_part(item: Any) -> bool:
    """Return whether what stands where messages do is a part of one, as Google's client takes it."""
    if isinstance(item, Mapping):
        return len(item) == 1 and _kind(_renamed(item)).startswith(".")
    return any(has(item, name) for name in _OF_GOOGLE)


def _renamed(block: Any) -> Any:
    if not isinstance(block, Mapping) or _NAMES.keys().isdisjoint(block):
        return block
    return {_NAMES.get(key, key): _renamed(held) for key, held in block.items()}


def _kind(block: Any) -> str:
    if isinstance(block, str):
        return "text"
    kind = at(block, "type")
    if isinstance(kind, str):
        return kind
    return next((f".{key}" for key in _KEYS if at(block, key) is not None), "")


def _say(turn: Turn, said: str) -> None:
    turn.blocks.append({"type": "text", "text": said})


def _text(turn: Turn, block: Any) -> None:
    said = at(block, "text") or at(block, "refusal") or ""
    if at(block, "thought") is True:  # Google
        turn.blocks.append({"type": "reasoning", "reasoning": said})
    else:
        _say(turn, str(said))


def _thinking(turn: Turn, block: Any) -> None:
    held = next((said for path in _THOUGHTS if (said := at(block, *path))), None)
    parts = [held] if isinstance(held, str) else [text(part, "text") or "" for part in held or ()]
    summary = [text(part, "text") or "" for part in items(block, "summary")]  # OpenAI's Responses API
    if said := "\n".join([*parts, *summary]):
        turn.blocks.append({"type": "reasoning", "reasoning": said})


def _call(*where: str) -> Callable[[Turn, Any], None]:
    """Return what reads a call whose id, name and arguments stand under the last three names."""
    *holder, call_id, name, arguments = where

    def add(turn: Turn, block: Any) -> None:
        inner = at(block, *holder)
        given = at(inner, arguments)
        made = given if given is None or isinstance(given, str) else plain_mapping(given)
        turn.calls.append(Call(id=text(inner, call_id, "id"), name=text(inner, name) or "", arguments=made))

    return add


def _message(turn: Turn, block: Any) -> None:
    add_blocks(turn, at(block, "content"))


def _inline(turn: Turn, block: Any) -> None:
    data, mime_type = at(block, "inline_data", "data"), text(at(block, "inline_data"), "mime_type")
    encoded = base64.b64encode(data).decode("ascii") if isinstance(data, bytes) else data
    turn.blocks.append({"type": _media(mime_type), "base64": encoded, "mime_type": mime_type})


def _file(turn: Turn, block: Any) -> None:
    held = at(block, "file_data") or block
    mime_type = text(held, "mime_type")
    turn.blocks.append({"type": _media(mime_type), "url": text(held, "file_uri", "uri"), "mime_type": mime_type})


def _medium(key: str, family: str, usual: str) -> Callable[[Turn, Any], None]:
    """Return what reads an image, a document or a film of Bedrock's: bytes, or where they are kept."""

    def add(turn: Turn, block: Any) -> None:
        source = at(block, key, "source")
        mime_type = f"{family}/{text(at(block, key), 'format') or usual}"
        common = {"type": _media(mime_type), "mime_type": mime_type}
        if isinstance(data := at(source, "bytes"), bytes):
            turn.blocks.append({**common, "base64": base64.b64encode(data).decode("ascii")})
        elif (uri := text(at(source, "s3Location"), "uri")) is not None:
            turn.blocks.append({**common, "url": uri})
        else:
            turn.blocks.append(plain_mapping(block))

    return add


def _media(mime_type: str | None) -> str:
    kind = (mime_type or "").partition("/")[0]
    return kind if kind in _MEDIA else "file"


def _cited(turn: Turn, block: Any) -> None:
    add_blocks(turn, at(block, "citationsContent", "content"))


def _guarded(turn: Turn, block: Any) -> None:
    add_block(turn, at(block, "guardContent", "text") or at(block, "guardContent"))


def _nothing(turn: Turn, block: Any) -> None:
    """Leave out what is a message of its own, or says nothing."""


_BLOCKS: Final[Mapping[str, Callable[[Turn, Any], None]]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "refusal": _text,
    "message": _message,
    "message.output": _message,
    "function.call": _call("tool_call_id", "name", "arguments"),
    "function.result": _nothing,
    "thinking": _thinking,
    "reasoning": _thinking,
    "reasoning_content": _thinking,
    "tool_use": _call("id", "name", "input"),
    "function_call": _call("call_id", "name", "arguments"),
    "tool_result": _nothing,
    ".text": _text,
    ".citationsContent": _cited,
    ".guardContent": _guarded,
    ".cachePoint": _nothing,
    ".reasoningContent": _thinking,
    ".toolUse": _call("toolUse", "toolUseId", "name", "input"),
    ".toolResult": _nothing,
    ".function_call": _call("function_call", "id", "name", "args"),
    ".function_response": _nothing,
    ".inline_data": _inline,
    ".file_data": _file,
    ".image": _medium("image", "image", "png"),
    ".document": _medium("document", "application", "pdf"),
    ".video": _medium("video", "video", "mp4"),
    ".uri": _file,
}
# Where a tool's answer stands: in which holder, under which names its call's id and its content.
_RESULTS: Final[Mapping[str, tuple[str, str, str]]] = {
    "tool_result": ("", "tool_use_id", "content"),
    "function.result": ("", "tool_call_id", "result"),
    ".toolResult": ("toolResult", "toolUseId", "content"),
    ".function_response": ("function_response", "id", "response"),
}
_OUTPUT: Final = ("", "call_id", "output")  # of a tool of OpenAI's Responses API, whichever
