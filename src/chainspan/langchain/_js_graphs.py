"""What a graph is told to do, and asks, with the fields that LangGraph.js lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

__all__ = ["graph_fields"]

Fields = Sequence[tuple[str, object]]


def graph_fields(value: object) -> Fields | None:
    """Return the fields of one of LangGraph's own types, or None for any other."""
    kind = type(value)
    fields = _FIELDS.get(f"{kind.__module__}.{kind.__qualname__}")
    return None if fields is None else fields(value)


def _send(value: Any) -> Fields:
    return [("lg_name", "Send"), ("node", value.node), ("args", value.arg)]


def _command(value: Any) -> Fields:
    """Do what ``Command.toJSON`` (langgraph's constants.ts) does, and name the graph where it is another one."""
    goto = list(value.goto) if isinstance(value.goto, (list, tuple)) else [value.goto]
    told = [("lg_name", "Command"), ("update", value.update), ("resume", value.resume), ("goto", goto)]
    return [*told, ("graph", value.graph)]


def _interrupt(value: Any) -> Fields:
    return [("id", getattr(value, "id", None)), ("value", value.value)]


_FIELDS: Final[Mapping[str, Callable[[Any], Fields]]] = {  # by name, so that LangGraph need not be there
    "langgraph.types.Send": _send,
    "langgraph.types.Command": _command,
    "langgraph.types.Interrupt": _interrupt,
}
