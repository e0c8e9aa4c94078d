"""LangChain's messages as those of the GenAI conventions: a role and parts."""

from __future__ import annotations

import marshal
import weakref
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from .._encode import some_messages
from .._model import Message
from ._parts import beside, parts_of, text_part, tool_parts

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
_SAYING: Final = ("content", "name", "role", "tool_call_id", "tool_calls", "invalid_tool_calls")
_OF_TEXT: Final = itemgetter("content", "name")
_OF_ANSWER: Final = itemgetter("content", "name", "tool_calls", "invalid_tool_calls")
_TEXTS: Final = frozenset({str, type(None)})
# What tells whether a message that is a text is still the same, by the message's type.
_GLANCES: Final[Mapping[str, Callable[[Any], tuple[Any, ...]]]] = {
    "system": _OF_TEXT,
    "human": _OF_TEXT,
    "ai": _OF_ANSWER,
    "tool": itemgetter("content", "name", "tool_call_id"),
}
_MOST_REMEMBERED: Final = 4_096
_LARGEST_STATE: Final = 16_384  # bytes


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
        known.made if known is not None and known.look(item.__dict__) == known.state else message(item)
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
        return known.made if known.look(given.__dict__) == known.state else _remembered(given)
    except Exception:  # noqa: BLE001  # of a foreign object
        return None


def message_or_fields(given: Any) -> object:
    """Return a message, or what little there is to say of one that holds nothing."""
    made = message(given)
    return {"type": str(getattr(given, "type", "message")), "id": getattr(given, "id", None)} if made is None else made


# ---------------------------------------------------------------- remembering


class _Known(weakref.ref[Any]):
    """A message of LangChain's, with what was made of it and what tells whether it has changed since.

    Attributes:
        key: Its id.
        made: What was made of it.
        look: Returns, of its fields, what would make another of it.
        state: What that returned.
    """

    __slots__ = ("key", "look", "made", "state")
    key: int
    made: Message
    look: Callable[[Any], object]
    state: object


_memory: dict[int, _Known] = {}  # by the id of the message


def _remembered(given: Any) -> Message | None:
    if isinstance(given, str):
        return Message("user", [text_part(given)])
    if type(given) is Message:
        return given
    fields = given.__dict__  # the fields of a model; asking for one that a class has not is slow
    made = _made(given, fields)
    look, state = (_whole, None) if made is None else _looked(fields)
    if made is not None and state is not None:
        known = _Known(given, _forget)
        known.key, known.made, known.look, known.state = id(given), made, look, state
        if len(_memory) >= _MOST_REMEMBERED:
            _memory.clear()
        _memory[known.key] = known
    return made


def _looked(fields: Mapping[str, Any]) -> tuple[Callable[[Any], object], object]:
    """Return how to look at a message, and what is seen now; None where that would cost more than it saves.

    At a text hardly more is looked at than that it is the same: nobody puts a model's reasoning beside it later.
    """
    look = _GLANCES.get(fields["type"])
    if look is not None and not beside(fields):
        try:
            seen = look(fields)
        except KeyError:  # of a version that has other fields
            return _whole, _whole(fields)
        texts, lists = (seen[:2], seen[2:]) if look is _OF_ANSWER else (seen, ())
        if _TEXTS.issuperset(map(type, texts)) and not any(lists):
            return look, (*texts, [], []) if lists else texts
    return _whole, _whole(fields)


def _whole(fields: Mapping[str, Any]) -> object:
    content = fields.get("content")
    if type(content) is list and any(type(block) is dict and _is_large(block) for block in content):
        return None
    try:
        state = marshal.dumps(([fields.get(name) for name in _SAYING], beside(fields)), 2)
    except ValueError:  # not of Python's own types
        return None
    return (state,) if len(state) <= _LARGEST_STATE else None


def _is_large(block: Mapping[str, Any]) -> bool:
    return any(len(value) > _LARGEST_STATE for value in block.values() if type(value) in (str, bytes))


def _forget(known: _Known) -> None:
    if _memory.get(known.key) is known:
        _memory.pop(known.key, None)


def _made(given: Any, fields: Mapping[str, Any]) -> Message | None:
    kind = fields.get("type")
    if not isinstance(kind, str) or kind == "remove" or "content" not in fields:
        return None
    role, name = _ROLES.get(kind) or str(fields.get("role", kind)), fields.get("name")
    return Message(
        role,
        tool_parts(fields) if role == "tool" else parts_of(given, fields),
        name if isinstance(name, str) else None,
    )
