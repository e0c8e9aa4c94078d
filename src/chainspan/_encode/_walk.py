"""The way through a value: into its containers, never in a circle, never without end."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from .._model import Message
from ._safe import attempt, unprintable
from ._secrets import SECRET

__all__ = ["SCALARS", "Visitor", "Walk"]

_MOST_DEPTH: Final = 64
_MOST_NODES: Final = 50_000
SCALARS: Final = frozenset({str, bool, type(None)})  # plain already

CYCLE: Final = "[cycle]"
TOO_DEEP: Final = "[too deep]"
TOO_MANY: Final = "[too many values]"


class Walk:
    """One pass over one value: where it is, and how much it may still visit.

    Args:
        find: Tells what visits the values of a class.
        hide: Tells by a key what to put in place of its value; None to keep the value.
        embed: Tells what to put in place of a message; None for the message as plain data.
    """

    __slots__ = ("_find", "_left", "_path", "embed", "hide")

    def __init__(
        self,
        find: Callable[[type], Visitor],
        hide: Callable[[str], str | None] | None,
        embed: Callable[[Message], str] | None,
    ) -> None:
        self._find = find
        self.hide = hide
        self.embed = embed
        self._path: set[int] = set()  # ids of the containers around the current value
        self._left = _MOST_NODES

    def visit(self, value: Any) -> Any:
        """Return one value made plain."""
        return self._find(type(value))(self, value)

    def inside(self, container: Any, walk: Callable[[Walk, Any], Any]) -> Any:
        """Return what walking a container's content gives, unless it contains itself or is too deep."""
        here = id(container)
        if here in self._path:
            return CYCLE
        if len(self._path) >= _MOST_DEPTH:
            return TOO_DEEP
        self._path.add(here)
        try:
            return walk(self, container)
        except Exception:  # noqa: BLE001  # a mapping that raises, or one that changes meanwhile
            return unprintable(container)
        finally:
            self._path.discard(here)

    def items(self, pairs: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
        """Return key-value pairs as a dict with text keys, hiding what has to be hidden."""
        result: dict[str, Any] = {}
        hide, scalars = self.hide, SCALARS
        for key, value in pairs:
            name = key if type(key) is str else _key_text(key)
            if name in result:
                name = _other_name(name, result)
            marker = hide(name) if hide is not None else None
            if marker is not None:
                result[name] = _hidden(value, marker)
            else:
                result[name] = value if type(value) in scalars else self.visit(value)
            self._left -= 1
            if self._left < 0:
                result[TOO_MANY] = None
                break
        return result

    def values(self, values: Iterable[Any]) -> list[Any]:
        """Return values as a list."""
        result = []
        scalars = SCALARS
        for value in values:
            result.append(value if type(value) in scalars else self.visit(value))
            self._left -= 1
            if self._left < 0:
                result.append(TOO_MANY)
                break
        return result


def _other_name(name: str, taken: Mapping[str, Any]) -> str:
    while name in taken:
        name += "~"  # 1 and "1" are two keys in Python and one in JSON
    return name


def _hidden(value: object, marker: str) -> object:
    # A number or a flag under the name of a secret (``"password": True``) tells nothing.
    return value if marker == SECRET and (value is None or isinstance(value, (bool, int))) else marker


def _key_text(key: Any) -> str:
    if isinstance(key, enum.Enum):
        key = key.value
    if isinstance(key, str):
        return str.__str__(key)
    if key is None or isinstance(key, (bool, int, float)):
        return attempt(lambda: str(key), "[key]").lower() if isinstance(key, bool) or key is None else _number_text(key)
    return attempt(lambda: str(key), unprintable(key))


def _number_text(value: Any) -> str:
    return attempt(lambda: repr(value), "[number]")


Visitor = Callable[[Walk, Any], Any]
