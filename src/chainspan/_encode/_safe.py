"""Calling code that nobody here wrote."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

__all__ = ["attempt", "type_name", "unprintable"]

T = TypeVar("T")


def attempt(make: Callable[[], T], otherwise: T) -> T:
    """Call what may be foreign code, and return the other value if it raises."""
    try:
        return make()
    except Exception:  # noqa: BLE001  # hostile values are the purpose of this package
        return otherwise


def type_name(value: object) -> str:
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def unprintable(value: object) -> str:
    return f"[unprintable {type_name(value)}]"
