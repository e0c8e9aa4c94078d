"""What is kept with objects of others, for as long as those live.

A WeakKeyDictionary asks its keys for a hash. The providers of some libraries are dataclasses,
which have none, and nobody wants two providers that are equal to be taken for one.
"""

from __future__ import annotations

import weakref
from typing import Generic, TypeVar

__all__ = ["Kept"]

V = TypeVar("V")


class Kept(Generic[V]):
    """Values by the identity of objects, of which each lives as long as its object."""

    def __init__(self) -> None:
        self._held: dict[int, tuple[weakref.ref[object], V]] = {}

    def get(self, owner: object) -> V | None:
        """Return what is kept with an object, or None."""
        held = self._held.get(id(owner))
        return None if held is None else held[1]

    def keep(self, owner: object, value: V) -> V:
        """Keep a value with an object, and return it."""
        number, held = id(owner), self._held
        held[number] = (weakref.ref(owner, lambda _: held.pop(number, None)), value)
        return value

    def values(self) -> list[V]:
        """Return all that is kept."""
        return [value for _, value in list(self._held.values())]
