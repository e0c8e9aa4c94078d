"""The way through a value: into its containers, never in a circle, never without end."""

from __future__ import annotations

import enum
import secrets
from collections.abc import Callable, Collection, Mapping
from itertools import islice
from typing import Any, Final

from .._model import Message
from ._assigned import is_secret_pair
from ._flat import flat
from ._safe import attempt, unprintable
from ._secrets import SECRET

__all__ = ["MOST_NODES", "PLACE", "SCALARS", "TooMuchError", "Visitor", "Walk"]

MOST_NODES: Final = 50_000
SCALARS: Final = frozenset({str, bool, type(None)})  # plain already
_MOST_DEPTH: Final = 64
_LONG: Final = 256  # characters of a text that is worth counting
_PER_NODE: Final = 64  # of them count as much as another value
_PER_VISIT: Final = 4  # texts take as long as another value
_PER_CONTAINER: Final = 16  # texts take as long as going into a container
_PER_ROW: Final = 2  # values, or more, are in each of many
_PER_CUT: Final = 64  # the same where there is far too much, and most is cut away anyhow
_PAIR: Final = 2  # a name and its value
_FEW: Final = 32  # elements that are left at each end of a container where there is far too much
_LEAST: Final = 256  # characters that are left of any text there
_INT64: Final = 1 << 63

PLACE: Final = f"[message {secrets.token_hex(6)}]"
"""Stands for a message that is kept apart; random, so that no content can look like it."""

CYCLE: Final = "[cycle]"
TOO_DEEP: Final = "[too deep]"
TOO_MANY: Final = "[too many values]"


class TooMuchError(Exception):
    """A value holds more than may be visited."""


class Walk:
    """One pass over one value: where it is, and how much it may still visit.

    Args:
        visitors: What visits the values of each class.
        hide: Tells by a key what to put in place of its value; None to keep the value.
        apart: Where messages are put, while `PLACE` takes theirs; None to have them as plain data.
        room: How many values may be visited; 64 characters of a long text count as one.
        shorten: Cuts a text to a length. Where it is given, long containers lose their middle
            and long texts theirs, so that all has room; without it, `TooMuchError` is raised.
    """

    __slots__ = ("_path", "_shorten", "_visitors", "apart", "hide", "left")

    def __init__(
        self,
        visitors: Mapping[type, Visitor],
        hide: Callable[[str], str | None],
        apart: list[Message] | None,
        room: int,
        shorten: Callable[[str, int], str] | None,
    ) -> None:
        self._visitors = visitors
        self.hide = hide
        self.apart = apart
        self._path: set[int] = set()  # ids of the values around the current one
        self.left = room
        self._shorten = shorten

    def visit(self, value: Any) -> Any:
        """Return one value made plain, unless it contains itself or is too deep."""
        here, path = id(value), self._path
        if here in path:
            return CYCLE
        if len(path) >= _MOST_DEPTH:
            return TOO_DEEP
        if self.left < 0:
            return self._beyond()
        self.left -= _PER_VISIT
        path.add(here)
        try:
            return self._visitors[type(value)](self, value)
        except TooMuchError:
            raise
        except Exception:  # noqa: BLE001  # a mapping that raises, or one that changes meanwhile
            return unprintable(value)
        finally:
            path.discard(here)

    def items(self, pairs: Collection[tuple[Any, Any]]) -> dict[str, Any]:
        """Return key-value pairs as a dict with text keys, hiding what has to be hidden."""
        result: dict[str, Any] = {}
        hide = self.hide
        for key, value in self._some(pairs, in_pairs=True):
            name = key if type(key) is str else _key_text(key)
            if name in result:
                name = _other_name(name, result)
            if (marker := hide(name)) is not None:
                result[name] = _hidden(value, marker)
            elif (type(value) is str and len(value) < _LONG) or value is None:
                result[name] = value
            else:
                result[name] = self._value(value)
        return result

    def values(self, values: Collection[Any]) -> list[Any]:
        """Return values as a list."""
        if len(values) == _PAIR and (pair := self._pair(*values)) is not None:
            return pair
        if self._shorten is None and len(values) * _PER_ROW > self.left and _are_visited(values):
            raise TooMuchError
        return [
            value if (type(value) is str and len(value) < _LONG) or value is None else self._value(value)
            for value in self._some(values, in_pairs=False)
        ]

    def _pair(self, first: Any = None, second: Any = None, *_: Any) -> list[Any] | None:
        """Return a name with what stands in place of its secret, as of headers; None where that is not what there is.

        Another thread may have made the two more, or fewer.
        """
        if type(first) is not str or type(second) is not str or not is_secret_pair(first, second):
            return None
        marker = self.hide(first)
        return None if marker is None else [first, marker]

    def text(self, text: str) -> str:
        """Return a text, cut where there is far too much."""
        if self._shorten is not None:
            length = max(self.left * _PER_NODE // 2, _LEAST)
            text = text if len(text) <= length else self._shorten(text, length)
        self.take(len(text) // _PER_NODE)
        return text

    def _value(self, value: Any) -> Any:
        kind = type(value)
        if kind is str:
            return self.text(value)
        if kind is bool or (kind is int and -_INT64 <= value < _INT64) or (kind is float and value - value == 0):
            return value
        if kind is dict and (taken := flat(value, self.hide)) is not None:
            self.take(len(taken))
            return taken
        return self.visit(value)

    def _some(self, values: Collection[Any], *, in_pairs: bool) -> list[Any]:
        """Return values, or the first and the last of them where there is far too much."""
        if self._shorten is None:
            self.take(len(values) + _PER_CONTAINER)
            return list(values)
        missing = len(values) - 2 * _FEW
        self.take(min(len(values), 2 * _FEW) + _PER_CUT)
        if missing <= 1:
            return list(values)
        gap = f"[+{missing}]"
        last = list(islice(reversed(values), _FEW))  # type: ignore[call-overload]
        return [*islice(values, _FEW), (gap, "") if in_pairs else gap, *reversed(last)]

    def _beyond(self) -> str:
        if self._shorten is None:
            raise TooMuchError
        return TOO_MANY

    def take(self, count: int) -> None:
        """Take so much off what may still be visited."""
        self.left -= count
        if self.left < 0 and self._shorten is None:
            raise TooMuchError


def _are_visited(values: Collection[Any]) -> bool:
    """Return whether, as far as the first and the last of many tell, values are all to be gone into."""
    ends = next(iter(values)), next(iter(reversed(values)))  # type: ignore[call-overload]
    return all(not isinstance(end, (str, int, float, type(None))) for end in ends)


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
