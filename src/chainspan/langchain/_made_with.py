"""What a model was made with, also where LangChain tells no handler.

Of a model whose class is not made to be serialised, such as Ollama's or DeepSeek's, a handler
is given the class and a text for people. The model itself is calling the callback manager.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from chainspan._kept import Kept
from chainspan._stack import reporting, self_of
from chainspan._tasks import current_task
from chainspan._waiting import waiting

from ._read import mapping

__all__ = ["UNTOLD", "fields_of"]

UNTOLD: Final = "not_implemented"
"""The type of a description that leaves out what the model was made with."""

_NOTHING: Final[Mapping[str, Any]] = {}
_known: Final[Kept[Sequence[str]]] = Kept()


def fields_of(described: Mapping[str, Any], wanted: frozenset[str], endings: tuple[str, ...]) -> Mapping[str, Any]:
    """Return those of its own fields that are wanted of the model that is calling, as they are now.

    A copy of a model may have others, and has the same description.

    Args:
        described: The model's description, to be called while the call's start or end is reported.
        wanted: The names of fields, the same in each call: which of them a class has is remembered.
        endings: What the names of further ones end with.
    """
    try:
        return _fields(described, wanted, endings)
    except Exception:  # noqa: BLE001  # of a description that somebody else has made
        return _NOTHING


def _fields(described: Mapping[str, Any], wanted: frozenset[str], endings: tuple[str, ...]) -> Mapping[str, Any]:
    *module, name = described["id"]
    made = getattr(sys.modules.get(".".join(module)), name, None)
    if made is not None and not _wanted(made, wanted, endings):
        return _NOTHING
    caller = _caller(described)
    if caller is None:
        return _NOTHING
    held = mapping(caller.__dict__)
    return {name: held[name] for name in _wanted(type(caller), wanted, endings) if held.get(name) is not None}


def _wanted(made: type[Any], wanted: frozenset[str], endings: tuple[str, ...]) -> Sequence[str]:
    """Return which fields of a class are wanted, so that nobody looks for a model that has none of them."""
    known = _known.get(made)
    if known is None:
        known = _known.keep(made, [name for name in made.model_fields if name in wanted or name.endswith(endings)])
    return known


def _caller(described: Mapping[str, Any]) -> object:
    """Return the model that is described, if it is on the stack; its start may be reported from another task."""
    frame = reporting()
    if frame is None and (waiter := waiting(current_task())) is not None:
        frame = waiter.frame
    found, path = None if frame is None else self_of(frame), described.get("id")
    is_described = isinstance(path, (list, tuple)) and path and path[-1] == type(found).__name__
    return found if is_described else None
