"""Any Python value as dicts, lists and scalars, without trusting the value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._model import Message
from ._safe import attempt
from ._visitors import convert_of, visitor_of
from ._walk import SCALARS, Walk

__all__ = ["message_of", "plain"]


def message_of(value: object) -> Message | None:
    """Return the message that a framework's object is, or None for anything else."""
    convert = convert_of(type(value))
    made = attempt(lambda: convert(value), None) if convert is not None else None
    return made if isinstance(made, Message) else None


def plain(
    value: object,
    *,
    hide: Callable[[str], str | None] | None = None,
    embed: Callable[[Message], str] | None = None,
) -> Any:
    """Return a value as dicts with text keys, lists, texts, ints, finite floats, bools and None.

    Args:
        value: Anything; it is only read.
        hide: Tells by a key what to put in place of its value; None to keep the value.
        embed: Tells what to put in place of a message; None for the message as plain data.
    """
    kind = type(value)
    if kind in SCALARS:
        return value
    try:
        return Walk(visitor_of, hide, embed).visit(value)
    except Exception:  # noqa: BLE001  # what no visitor foresaw, such as a stack that is nearly full
        return "[unreadable]"
