"""Where a new run belongs: the code that started it, and the span that its span hangs below."""

from __future__ import annotations

import asyncio
import contextvars
from dataclasses import dataclass
from types import FrameType
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Link, Span, get_current_span

from . import _scope, _word
from ._inheritance import around_here
from ._model import RunStart
from ._runs import Run, RunRegistry
from ._scope_span import with_span
from ._seat import Seat
from ._waiting import waiting

__all__ = ["Place", "enclosing", "find_caller", "place", "place_apart"]


def find_caller(
    start: RunStart, task: asyncio.Task[Any] | None
) -> tuple[Seat, FrameType | None, contextvars.Context | None]:
    """Return where a run was started which is reported from a task of its own: in the task that waits for that.

    Returns:
        That place; and, of a model, which is executed there, its frame and its context.
    """
    waiter = waiting(task)
    if waiter is None:
        return Seat(None, task), None, None
    seat = Seat(waiter.frame, waiter.task)
    return (seat, waiter.frame, waiter.context) if start.run_type == "llm" else (seat, None, None)


@dataclass(slots=True)
class Place:
    """Where a run's span goes.

    Attributes:
        around: Its parent.
        within: The context that it starts in, whichever span is current there.
        natives: The ids of a foreign parent, and of that one's.
        links: What it is linked to.
    """

    around: Span
    within: Context
    natives: tuple[int, ...] = ()
    links: tuple[Link, ...] = ()

    @property
    def context(self) -> Context:
        """The context that the span starts in, with its parent current."""
        return with_span(self.within, self.around)


def place_apart(parent: Run | None, context: Context) -> Place:
    """Place a run in a pipeline of its own: a root has no parent there, only a link."""
    if parent is not None:
        return Place(parent.span, context)
    ambient = get_current_span(context)
    valid = ambient.get_span_context().is_valid
    links = (Link(ambient.get_span_context()),) if valid else ()
    return Place(INVALID_SPAN, context, (), links)


def place(parent: Run | None, context: Context, frame: FrameType | None) -> Place:
    """Place a run in the application's own pipeline.

    Below its parent run, or below a foreign span that was opened inside that and is open
    still; a root below whatever is current around the code that started it.
    """
    if parent is None:
        around = _scope.ambient_span(context, frame) or INVALID_SPAN
        return Place(around, context, _ids(around))
    inner = _scope.native_span(context, parent)
    if inner is not None and _is_native_inside(inner, parent):
        return Place(inner, context, _ids(inner))
    return Place(parent.span, context)


def enclosing(around: Span, context: Context, runs: RunRegistry, frame: FrameType | None) -> Run | None:
    """Return the open run in whose body a root starts that was not told of it, as where it is given handlers anew.

    Or one above that, where the framework names no nearer one.

    Args:
        around: The span that the root's hangs below.
        context: The context that it starts in.
        runs: Those that are open.
        frame: The frame that starts it.
    """
    run = _scope.run_with(around, context)
    if run is None:
        word = _word.current_run()
        run = None if word is None else runs.get(word)
        if run is None and _word.WORD_LAGS:
            run = around_here(runs, frame)
        if run is not None and not _hangs_in(around, run):
            return None
    return run if run is not None and run.open else None


def _hangs_in(span: Span, run: Run) -> bool:
    return span is run.span or _is_native_inside(span, run)


def _ids(span: Span) -> tuple[int, ...]:
    """Return the id of a foreign span and of its parent, as far as it tells."""
    identity = span.get_span_context()
    if not identity.is_valid:
        return ()
    above = getattr(span, "parent", None)  # of the SDK's spans
    return (identity.span_id,) if above is None else (identity.span_id, above.span_id)


def _is_beside(span: Span, run: Run) -> bool:
    """Return whether a span hangs below something that stands above a run: opened by a stream's consumer."""
    below = _ids(span)[1:]
    above = run.parent
    while above is not None and above.context.span_id not in below:
        above = above.parent
    return above is not None or any(map(run.knows_native, below))


def _is_native_inside(span: Span, parent: Run) -> bool:
    """Return whether a foreign span was opened inside a run, and is open still."""
    identity, above = span.get_span_context(), parent.context
    is_apart = identity.trace_id != above.trace_id and (parent.own or above.is_valid)
    if not identity.is_valid or is_apart or identity.is_remote:
        return False
    if identity.span_id == above.span_id or parent.knows_native(identity.span_id):
        return False
    if _is_beside(span, parent) if parent.own else not _is_in_body(parent):
        return False
    return span.is_recording() or not identity.trace_flags.sampled


def _is_in_body(run: Run) -> bool:
    """Return whether code that starts a run inside of another one is that one's body, and not a stream's consumer.

    Of a run without a span of its own no span tells: what is opened inside hangs where it does itself.
    """
    return _word.current_run() == run.id or (run.seat is not None and not run.seat.pauses)
