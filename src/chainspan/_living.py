"""Objects that are known for as long as they live, to all threads.

A WeakSet cannot be gone through while another thread adds to it, before Python 3.14.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Generic, TypeVar

__all__ = ["Living"]

T = TypeVar("T")


class Living(Generic[T]):
    """Objects by their identity, none of which is kept alive."""

    def __init__(self) -> None:
        self._held: dict[int, weakref.ref[T]] = {}

    def __iter__(self) -> Iterator[T]:
        """Go through those that live now."""
        living = [held() for held in list(self._held.values())]
        return (one for one in living if one is not None)

    def add(self, one: T) -> None:
        """Know an object from now on."""
        number, held = id(one), self._held
        held[number] = weakref.ref(one, lambda _: held.pop(number, None))

    def discard(self, one: T) -> None:
        """Know an object no longer."""
        self._held.pop(id(one), None)
