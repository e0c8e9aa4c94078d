"""Messages as OpenInference writes them: one attribute for each of their fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import from_json

from ._models import (
    ChatMessage,
    GenericPart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolCallResponsePart,
    UriPart,
    parse_part,
    parse_parts,
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
    response: object = whole if isinstance(whole, str) else [part.model_dump() for part in contents]
    several = _parts_in(whole) if isinstance(whole, str) else None
    return ToolCallResponsePart(
        id=fields.get("tool_call_id"),
        response=response if several is None else [part.model_dump() for part in several],
    )


def _contents(fields: Fields) -> Iterator[Part]:
    whole = fields.get("content")
    if isinstance(whole, str):
        yield _text(whole)
    for held in _numbered(fields, "contents.", _CONTENT):
        url = held.get("image.image.url")
        if isinstance(url, str):
            yield UriPart(modality="image", uri=url)
        elif held.get("type") == "reasoning":
            yield ReasoningPart(content=str(held.get("text", "")))
        else:
            yield _text(str(held.get("text", "")))


def _tool_calls(fields: Fields) -> Iterator[Part]:
    for held in _numbered(fields, "tool_calls.", "tool_call"):
        written = held.get("function.arguments")
        read = _json(written)
        yield ToolCallPart(
            id=held.get("id"),
            name=str(held.get("function.name", "")),
            arguments=read if isinstance(read, dict) else written,
        )


def _text(text: str) -> Part:
    """Return a text, or the part that stands in one: OpenInference has no field for files and the like."""
    read = _json(text) if text.startswith("{") else None
    part = _known_part(read) if isinstance(read, dict) else None
    return TextPart(content=text) if part is None else part


def _known_part(fields: object) -> Part | None:
    try:
        part = parse_part(fields)
    except ValidationError:
        return None
    return None if isinstance(part, (GenericPart, TextPart)) else part


def _parts_in(text: str) -> list[Part] | None:
    try:
        parts = parse_parts(text) if text.startswith("[{") else []
    except ValidationError:
        return None
    return parts if parts and not any(isinstance(part, GenericPart) for part in parts) else None


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
