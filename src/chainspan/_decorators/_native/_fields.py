"""Reading objects of which nothing is known: mappings and attributes alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chainspan._encode import attempt, plain

__all__ = ["at", "has", "items", "plain_mapping", "text"]


def at(source: Any, *path: str) -> Any:
    """Return what stands at the end of a path of keys or attributes, or None."""
    for name in path:
        source = source.get(name) if isinstance(source, Mapping) else getattr(source, name, None)
        if source is None:
            return None
    return source


def has(source: Any, name: str) -> bool:
    """Return whether an object holds a field, set or not."""
    return name in source if isinstance(source, Mapping) else hasattr(source, name)


def text(source: Any, *names: str) -> str | None:
    """Return the first of several fields that is a text and is not empty."""
    for name in names:
        value = at(source, name)
        if isinstance(value, str) and value:
            return str.__str__(value)
    return None


def items(source: Any, *path: str) -> Sequence[Any]:
    """Return the list at the end of a path; an empty one for anything else."""
    found = at(source, *path)
    return found if isinstance(found, (list, tuple)) else ()


def plain_mapping(source: Any) -> dict[str, Any]:
    """Return an object's fields as plain data, without those that are not set."""
    made = attempt(lambda: plain(source), None)
    return {name: held for name, held in made.items() if held is not None} if isinstance(made, dict) else {}
