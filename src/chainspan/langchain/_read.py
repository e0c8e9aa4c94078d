"""Reading foreign mappings, of which nothing is known for sure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = ["at", "mapping", "text_in"]

_NOTHING: Final[Mapping[str, Any]] = {}


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a mapping as it is, and an empty one for anything else."""
    if type(value) is dict:
        return value
    return value if value is not None and issubclass(type(value), Mapping) else _NOTHING  # it may lie


def at(source: Any, path: Sequence[str]) -> Any:
    """Return what stands at the end of a path of keys, or None."""
    for name in path:
        if type(source) is not dict and not isinstance(source, Mapping):
            return None
        source = source.get(name)
    return source


def text_in(source: Mapping[str, Any], keys: Sequence[str]) -> str | None:
    """Return the first text that stands under one of several keys and is not empty."""
    for key in keys:
        value = source.get(key)
        if isinstance(value, str) and value:
            return str.__str__(value)
    return None
