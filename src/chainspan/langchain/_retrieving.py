"""Which retrievers are at work here, as they do not hand their runs to what they call."""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import ContextVar
from typing import NamedTuple
from uuid import UUID

from ._sink import RunSink

__all__ = ["Place", "entered_retriever", "open_sinks", "place_of"]

_MOST_OPEN = 16  # retrievers in one another


class Place(NamedTuple):
    """Where a call is reported to, and the run that it is made in."""

    sink: RunSink
    parent_id: UUID | None


_entered: ContextVar[tuple[tuple[RunSink, UUID], ...]] = ContextVar("chainspan_retrieving", default=())


def entered_retriever(sink: RunSink, run_id: UUID) -> None:
    """Note that what runs from here on is a retriever's, until its run has ended.

    Nothing takes the note back: it is asked for only as long as the run is open.
    """
    _entered.set((*list(_open())[-_MOST_OPEN:], (sink, run_id)))


def open_sinks() -> list[RunSink]:
    """Return what was told of the retrievers that are at work here."""
    return [sink for sink, _ in _open()]


def place_of(sink: RunSink, parent_id: UUID | None) -> Place:
    """Return where a call is made: in the innermost retriever, or in the run that LangChain names.

    Args:
        sink: Where the call is reported to.
        parent_id: The run that LangChain names. The retriever is above it if it called that
            run, below it if that run called the retriever.
    """
    inner = next((run_id for held, run_id in reversed(list(_open())) if held is sink), None)
    if inner is None:
        return Place(sink, parent_id)
    names_caller = parent_id is None or sink.peek(parent_id) is None or _is_within(sink, inner, parent_id)
    return Place(sink, inner if names_caller else parent_id)


def _open() -> Iterator[tuple[RunSink, UUID]]:
    return (entry for entry in _entered.get() if entry[0].peek(entry[1]) is not None)


def _is_within(sink: RunSink, run_id: UUID, ancestor_id: UUID) -> bool:
    start = sink.peek(run_id)
    while start is not None and start.parent_id is not None:
        if start.parent_id == ancestor_id:
            return True
        start = sink.peek(start.parent_id)
    return False
