"""Any Python value as dicts, lists and scalars, without trusting the value."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from .._model import Message
from ._json import size_of
from ._secrets import is_suspicious
from ._visitors import CONVERTERS, VISITORS
from ._walk import MOST_NODES, SCALARS, TooMuchError, Walk

__all__ = ["message_of", "plain", "shortened", "some_messages"]

_MOST_MESSAGES: Final = 1_000
_FIRST_MESSAGES: Final = 32  # of them
_MOST_IN_STATE: Final = 500  # of them; where there are more, a walk leaves out those in the middle
_MOST_COUNTED: Final = 256 * 1024  # characters whose size is found out
_MARGIN: Final = 4_096  # characters: longer than keys are, but for data
_SIGNED: Final = len(" sha256:0123456789abcdef]")
_ENDS_IN_DATA: Final = re.compile(r" sha256:[0-9a-f]{16}\]\Z")
_BEGINS_WITH_DATA: Final = re.compile(r"\[[^\[\]]{1,200} sha256:[0-9a-f]{16}\]")


def message_of(value: object) -> Message | None:
    """Return the message that a framework's object is, or None for anything else."""
    made = _converted(value)
    return made if isinstance(made, Message) else None


def conversation_of(value: object) -> Message | list[Message] | None:
    """Return the message that a value is, or those that it holds as ``messages`` and nothing else; else None."""
    made = _converted(value)
    if type(made) is Message:
        return made
    held = made.get("messages") if type(made) is dict and len(made) == 1 else None
    if type(held) is not list or len(held) > _MOST_IN_STATE:
        return None
    messages: list[Message] = []
    for item in held:
        said = _converted(item)
        if type(said) is not Message:
            return None
        messages.append(said)
    return messages


def _converted(value: object) -> object:
    convert = CONVERTERS[type(value)]
    if convert is None:
        return value
    try:
        return convert(value)
    except Exception:  # noqa: BLE001  # foreign code
        return None


def some_messages(given: Sequence[Any]) -> Sequence[Any]:
    """Return what somebody has as messages; of far too many the first and the last, and a word on the others."""
    missing = len(given) - _MOST_MESSAGES
    if missing <= 0:
        return given
    said = Message(role="system", parts=[{"type": "text", "content": f"[+{missing} messages]"}])
    return [*given[:_FIRST_MESSAGES], said, *given[missing + _FIRST_MESSAGES :]]


def plain(
    value: object,
    *,
    hide: Callable[[str], str | None] | None = None,
    apart: list[Message] | None = None,
    room: int = MOST_NODES,
    shorten: Callable[[str, int], str] | None = None,
) -> Any:
    """Return a value as dicts with text keys, lists, texts, ints, finite floats, bools and None.

    Args:
        value: Anything; it is only read.
        hide: Tells by a key what to put in place of its value; None to keep the value.
        apart: Where messages are put, in their order, while `PLACE` takes theirs; None to
            have them as plain data.
        room: How many values there may be, where 64 characters of a long text count as one.
            Where there are more, containers lose their middle, and long texts theirs.
        shorten: Cuts a text to a length then.
    """
    if type(value) in SCALARS:
        return value
    hide = hide or _nothing_hidden
    try:
        try:
            return Walk(VISITORS, hide, apart, room, None).visit(value)
        except TooMuchError:
            if apart:
                apart.clear()
            return Walk(VISITORS, hide, apart, room, shorten or shortened).visit(value)
    except Exception:  # noqa: BLE001  # what no visitor foresaw, such as a stack that is nearly full
        return "[unreadable]"


def shortened(text: str, length: int, change: Callable[[str], str] = str, *, is_changed_again: bool = False) -> str:
    """Return the head and the tail of a text, about so many characters, each changed.

    What somebody has to find who changes them is not cut in two: they get more of the
    text than is kept of it.

    Args:
        text: A long text.
        length: Characters to keep.
        change: Takes out what must not be seen.
        is_changed_again: Whether the result is; then nothing is changed here unless there
            may be something at a cut.
    """
    length = length if text.isascii() else length // 3  # characters, which take up to four bytes then
    head, after = 2 * length // 3, len(text) - length // 3
    cuts = _quiet_cuts(text, head, after, length // 8) if is_changed_again else None
    if cuts is not None:
        head, after = cuts
        return f"{text[:head]}{_lost(text, head, after)}{text[after:]}"
    margin = min(_MARGIN, len(text) - head, after)
    first, last = change(text[: head + margin]), change(text[after - margin :])
    # Data may reach beyond any margin; then what stands in its place is kept whole.
    first = first if _ENDS_IN_DATA.match(first[-_SIGNED:]) else first[: max(len(first) - margin, 0)]
    last = last if _BEGINS_WITH_DATA.match(last) else last[margin:]
    return f"{first}{_lost(text, head, after)}{last}"


def _quiet_cuts(text: str, head: int, after: int, most: int) -> tuple[int, int] | None:
    """Return where a text can be cut with surely nothing there that must not be cut in two, or None.

    Args:
        text: A long text.
        head: Where it is to be cut first.
        after: Where it is to be cut last.
        most: How many characters more may be cut out on each side.
    """
    steps = range(0, most + 1, _MARGIN)
    first = next((head - step for step in steps if _is_quiet(text, head - step)), None)
    last = None if first is None else next((after + step for step in steps if _is_quiet(text, after + step)), None)
    return None if first is None or last is None else (first, last)


def _is_quiet(text: str, cut: int) -> bool:
    return not is_suspicious(text[max(cut - _MARGIN, 0) : cut + _MARGIN].encode("utf-8", "replace"))


def _lost(text: str, head: int, after: int) -> str:
    """Say how much is cut out: bytes, or characters where it would take long to count those."""
    count = after - head
    if text.isascii():
        return f"[+{count} bytes]"
    return f"[+{size_of(text[head:after])} bytes]" if count <= _MOST_COUNTED else f"[+{count} characters]"


def _nothing_hidden(_key: str) -> None:
    return None
