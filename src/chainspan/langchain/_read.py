"""Reading foreign mappings, of which nothing is known for sure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from .._encode import attempt

__all__ = ["ADDRESSES", "Place", "at", "mapping", "model_in", "places_among", "text_in"]

Place = tuple[str, str, str | None]
"""What stands somewhere, the key under which it does, and in the mapping that stands there, the key of that."""

_NOTHING: Final[dict[str, Any]] = {}
_MOST_KEYS: Final = 1_000
ADDRESSES: Final = ("http://", "https://")
"""How what is no model's name begins where it stands for one: the address of an endpoint, which may hold secrets."""


def mapping(value: Any) -> dict[str, Any]:
    """Return a dict as it is, any other mapping as a dict, and an empty one for anything else."""
    if type(value) is dict:
        return value
    if value is None or not issubclass(type(value), Mapping):  # whose `__class__` may lie
        return _NOTHING
    return attempt(lambda: _copied(value), _NOTHING)


def _copied(value: Mapping[str, Any]) -> dict[str, Any]:
    items = dict.items(value) if isinstance(value, dict) else value.items()
    return dict(islice(items, _MOST_KEYS))  # there may be no end of them


def at(source: Any, path: Sequence[str]) -> Any:
    """Return what stands at the end of a path of keys, or None."""
    for name in path:
        source = mapping(source).get(name)
    return source


def text_in(source: Mapping[str, Any], keys: Iterable[str]) -> str | None:
    """Return the first text that stands under one of several keys and is not empty."""
    for key in keys:
        value = source.get(key)
        if type(value) is not str:
            value = str.__str__(value) if isinstance(value, str) else None
        if value:
            return value
    return None


def model_in(source: Mapping[str, Any], keys: Iterable[str]) -> str | None:
    """Return the first name of a model, as `text_in` does, or None where it is the address of an endpoint."""
    name = text_in(source, keys)
    return None if name is None or name.startswith(ADDRESSES) else name


def places_among(keys: Collection[str], table: Mapping[str, Sequence[str]]) -> Iterator[Place]:
    """Yield, in a table's order, those of its places that a mapping with these keys may have.

    Args:
        keys: All keys of the mapping.
        table: What is looked for, and where it may stand, the best place first; a dot steps into a mapping.
    """
    for what, paths in table.items():
        for path in paths:
            key, _, inner = path.partition(".")
            if key in keys:
                yield what, key, inner or None
