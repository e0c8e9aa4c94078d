"""Which retrievers are at work here, as they do not hand their runs to what they call."""

from __future__ import annotations

from contextvars import ContextVar
from typing import NamedTuple
from uuid import UUID

from .._model import RunSink

__all__ = ["Place", "entered_retriever", "open_retrievers"]


class Place(NamedTuple):
    """Where a call is reported to, and the run that it is made in."""

    sink: RunSink
    parent_id: UUID | None


_entered: ContextVar[tuple[tuple[RunSink, UUID], ...]] = ContextVar("chainspan_retrieving", default=())


def entered_retriever(sink: RunSink, run_id: UUID) -> None:
    """Note that what runs from here on is a retriever's, until its run has ended.

    Nothing takes the note back: it is asked for only as long as the run is open.
    """
    others = tuple(entry for entry in _entered.get() if entry[1] == run_id and entry[0] is not sink)
    _entered.set((*others, (sink, run_id)))


def open_retrievers() -> list[Place]:
    """Return the retriever that is at work here, once for each sink that was told of it."""
    return [Place(sink, run_id) for sink, run_id in _entered.get() if sink.peek(run_id) is not None]
