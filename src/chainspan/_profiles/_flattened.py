"""Messages as OpenInference has them: one attribute for each of their fields, as many as there is room for.

It has no fields for files, data and the like. Such parts stand in a text as JSON, with an
attribute beside it that says so: any text alone may be what a user wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple

from .. import _semconv as names
from .._content import Gate, is_thought, without_data
from .._encode import attempt, label
from .._model import Message
from ._shared import Attributes

__all__ = ["flattened"]

Part = Mapping[str, Any]


def flattened(prefix: str, messages: Sequence[Message], gate: Gate, room: int) -> Attributes:
    """Return the last messages as attributes, each whole; the first stand on the spans before.

    Args:
        prefix: How the attributes' names begin.
        messages: Of a conversation, or the choices of an answer.
        gate: What content goes through.
        room: How many attributes there may be. Of a last message that takes more, only the first parts are kept.
    """
    kept: list[Attributes] = []
    for message in reversed(messages):
        fields, is_whole = _fields(message, gate, room)
        if is_whole or not kept:
            kept.append(fields)
        if not is_whole:
            break
        room -= len(fields)
    return {
        f"{prefix}.{index}.message.{key}": value
        for index, fields in enumerate(reversed(kept))
        for key, value in fields.items()
    }


def _fields(message: Message, gate: Gate, room: int) -> tuple[Attributes, bool]:
    """Return the fields of a message, part by part, and whether there was room for all."""
    fields: Attributes = {}
    for part in _parts(message, gate):
        said = {key: value for key, value in part.items() if value is not None}
        if len(fields) + len(said) > room:
            return fields, False
        fields.update(said)
    return fields, True


def _parts(message: Message, gate: Gate) -> Iterator[Attributes]:
    """Yield whose a message is, and then the fields of each of its parts, made only when they are asked for."""
    yield {"role": _name(message.role, gate), "name": _name(message.name or None, gate)}
    parts = [part for part in message.parts if gate.policy.reasoning or not is_thought(part)]
    is_alone = sum(part.get("type") != "tool_call" for part in parts) == 1
    calls, contents = count(), count()
    for part in parts:
        if part.get("type") == "tool_call":
            yield _call(f"tool_calls.{next(calls)}.tool_call", part, gate)
        else:
            yield _content(f"contents.{next(contents)}.message_content", part, gate, is_alone=is_alone)


def _call(base: str, part: Part, gate: Gate) -> Attributes:
    return {
        f"{base}.id": _name(part.get("id"), gate),
        f"{base}.function.name": _name(part.get("name"), gate),
        f"{base}.function.arguments": _text(part.get("arguments"), gate),
    }


def _content(base: str, part: Part, gate: Gate, *, is_alone: bool) -> Attributes:
    fields: Attributes = {}
    if part.get("type") == "tool_call_response":
        fields["tool_call_id"] = _name(part.get("id"), gate)
    held = _held(part, gate)
    if is_alone and held.type == "text":
        marker, fields["content"] = names.CHAINSPAN_HOLDS, held.value
    else:
        marker = f"{base}.{names.CHAINSPAN_HOLDS}"
        fields[f"{base}.type"], fields[f"{base}.{held.key}"] = held.type, held.value
    if held.is_json:
        fields[marker] = names.HOLDS_PARTS
    return fields


class _Held(NamedTuple):
    """A part's type in OpenInference, the key that holds it, what it holds, and whether that is JSON of parts."""

    type: str
    key: str
    value: str
    is_json: bool = False


def _held(part: Part, gate: Gate) -> _Held:
    kind, content, uri = part.get("type"), part.get("content"), part.get("uri")
    if kind == "tool_call_response":
        response = part.get("response")
        return _Held("text", "text", _text(response, gate), is_json=type(response) in (list, tuple))
    if kind in ("text", "reasoning") and _is_text(content):
        return _Held(str(kind), "text", _text(content, gate))
    if kind == "uri" and part.get("modality") == "image" and _is_text(uri):
        return _Held("image", "image.image.url", _text(uri, gate))
    return _Held("text", "text", gate.json(without_data(part)) or "", is_json=True)


def _is_text(value: object) -> bool:
    return issubclass(type(value), str)  # not isinstance: a value may lie about its class


def _name(value: object, gate: Gate) -> str | None:
    return None if value is None else gate.name(label(attempt(lambda: str(value), "[unprintable]")))


def _text(value: object, gate: Gate) -> str:
    written = gate.value(value)
    return written[0] if written else ""
