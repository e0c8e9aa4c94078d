"""Messages as OpenInference writes them: one attribute for each of their fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic_core import from_json

from .. import _semconv as names
from ._models import (
    ChatMessage,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolCallResponsePart,
    UriPart,
    parse_part,
)

__all__ = ["flattened_messages"]

Fields = Mapping[str, Any]

_CONTENT: Final = "message_content"


def flattened_messages(attributes: Fields, prefix: str) -> list[ChatMessage]:
    """Return the messages whose fields are attributes under a prefix, in their order."""
    return [_message(fields) for fields in _numbered(attributes, f"{prefix}.", "message")]


def _message(fields: Fields) -> ChatMessage:
    role = str(fields.get("role", "user"))
    contents = list(_contents(fields))
    name = fields.get("name")
    return ChatMessage(
        role=role,
        name=name if isinstance(name, str) else None,
        parts=[_answer(fields, contents)] if role == "tool" else [*contents, *_tool_calls(fields)],
    )


def _answer(fields: Fields, contents: list[Part]) -> Part:
    whole = fields.get("content")
    held = _held(whole, fields) if isinstance(whole, str) else [part.model_dump() for part in contents]
    return ToolCallResponsePart(id=_id(fields.get("tool_call_id")), response=whole if held is None else held)


def _contents(fields: Fields) -> Iterator[Part]:
    whole = fields.get("content")
    if isinstance(whole, str):
        yield from _said(whole, fields)
    for held in _numbered(fields, "contents.", _CONTENT):
        url = held.get("image.image.url")
        if isinstance(url, str):
            yield UriPart(modality="image", uri=url)
        elif held.get("type") == "reasoning":
            yield ReasoningPart(content=str(held.get("text", "")))
        else:
            yield from _said(str(held.get("text", "")), held)


def _tool_calls(fields: Fields) -> Iterator[Part]:
    for held in _numbered(fields, "tool_calls.", "tool_call"):
        written = held.get("function.arguments")
        read = _json(written)
        yield ToolCallPart(
            id=_id(held.get("id")),
            name=str(held.get("function.name", "")),
            arguments=read if isinstance(read, dict) else written,
        )


def _said(text: str, fields: Fields) -> Iterator[Part]:
    """Yield a text, or the parts that stand in it."""
    held = _held(text, fields)
    if held is None:
        yield TextPart(content=text)
    else:
        yield from map(parse_part, held)


def _held(text: str, fields: Fields) -> list[Any] | None:
    """Return the parts whose JSON a text is, or None. Nothing in the text tells, as a user may write that as well."""
    read = _json(text) if fields.get(names.CHAINSPAN_HOLDS) == names.HOLDS_PARTS else None
    return read if read is None or isinstance(read, list) else [read]


def _id(value: object) -> str | None:
    return None if value is None else str(value)


def _json(text: object) -> Any:
    try:
        return from_json(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _numbered(fields: Fields, prefix: str, word: str) -> Iterator[Fields]:
    """Yield the fields of each item of a list: what stands under ``prefix``, a number and a word."""
    items: dict[int, dict[str, Any]] = {}
    for key, value in fields.items():
        number, _, rest = key.removeprefix(prefix).partition(".")
        if key.startswith(prefix) and number.isdecimal() and rest.startswith(f"{word}."):
            items.setdefault(int(number), {})[rest.removeprefix(f"{word}.")] = value
    return (items[number] for number in sorted(items))
