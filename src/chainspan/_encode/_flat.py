"""The values that nearly every step has, taken as they are: a walk would cost more than all else done with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

__all__ = ["flat"]

_MOST: Final = 32  # values; where there are more, a walk is no large part of the cost
_LONG: Final = 256  # characters; longer texts count, which a walk does
_INT64: Final = 1 << 63


def flat(value: object, hide: Callable[[str], str | None]) -> dict[str, Any] | None:
    """Return a dict of a few short texts, numbers, flags and Nones as it is, or None for anything else.

    It is a copy, as another thread may change the dict meanwhile.

    Args:
        value: Anything.
        hide: Tells by a key what stands in place of its value; where it does, a walk puts it there.
    """
    if type(value) is not dict or len(value) > _MOST:
        return None
    taken = value.copy()
    for key, held in taken.items():
        if type(key) is not str or hide(key) is not None:
            return None
        if type(held) is str:
            if len(held) >= _LONG:
                return None
        elif held is not None and not _is_plain_number(held):
            return None
    return taken


def _is_plain_number(value: object) -> bool:
    # What JSON has as it is: 64 bits at most, and finite.
    kind = type(value)
    if kind is int:
        return -_INT64 <= value < _INT64  # type: ignore[operator]
    return kind is bool or (kind is float and value - value == 0)  # type: ignore[operator]
