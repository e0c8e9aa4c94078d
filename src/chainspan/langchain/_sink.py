"""What LangChain's side of chainspan reports runs to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from .._model import Outcome, RunEnd, RunEvent, RunFailure, RunStart

__all__ = ["RunSink"]


class RunSink(Protocol):
    """Where an adapter reports runs to.

    An end or a failure is handed over as a callable, which is called only if the run is
    recorded. Ids that are not open are ignored.
    """

    def start(self, start: RunStart) -> None:
        """Take a run that starts."""

    def end(self, run_id: UUID, read: Callable[[], RunEnd]) -> None:
        """Take a run that ended well."""

    def fail(self, run_id: UUID, outcome: Outcome, read: Callable[[], RunFailure]) -> None:
        """Take a run that raised."""

    def chunk(self, run_id: UUID, content: object) -> bool:
        """Take a piece of a streamed answer, an empty one is without content; return whether that was the last to tell.

        Of the pieces that follow nothing is noted.
        """

    def event(self, run_id: UUID, event: RunEvent) -> None:
        """Take something that happened inside a run."""

    def peek(self, run_id: UUID) -> RunStart | None:
        """Return what was reported of a run that is open, or None."""
