"""From the start of a run to the end of its span: the one authority of a pipeline.

Adapters report what happened; this decides what the span's parent is, keeps the run
until its end is reported, and ends each span exactly once, whatever raises in between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from uuid import UUID

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, Span, Tracer

from . import _scope
from ._aside import aside, is_left
from ._guard import Guard
from ._model import Outcome, RunEnd, RunEvent, RunFailure, RunStart
from ._orphans import FORGOTTEN, Orphans
from ._placement import enclosing, find_caller, place, place_apart
from ._recording import (
    Attributes,
    Recording,
    conclude,
    describe_end,
    describe_failure,
    describe_start,
    is_news,
    is_reported,
    keep_for_events,
    links_to_caller,
    note,
    record_event,
    report_end,
    report_orphan,
)
from ._run_span import RunSpan
from ._runs import Run, RunRegistry
from ._scope_span import ScopeSpan, raw_span
from ._seat import GENERATORS, Seat
from ._spans import Spans
from ._stack import starter_above
from ._suppression import SUPPRESSING, is_suppressed
from ._tasks import current_task
from ._trace import Trace

__all__ = ["Lifecycle"]

_END, _FAIL = Guard("lifecycle.end"), Guard("lifecycle.fail")
_OK = Outcome.OK  # a member is found far more slowly by its class


class Lifecycle:
    """Turns what is reported of runs into spans of one tracer.

    Safe to share between threads and tasks. Nothing is kept about "the current run" here:
    that is answered by the scope (`chainspan._scope`).

    Args:
        tracer: Makes the spans.
        has_scope: Whether the spans become current while their runs are open. So it is
            for the application's own pipeline, and not for one that a handler has to itself.
        clock: Nanoseconds since the epoch; for tests.
        max_open: How many runs may be open at a time, before the oldest is ended.
    """

    def __init__(
        self,
        tracer: Tracer,
        *,
        has_scope: bool,
        clock: Callable[[], int] | None = None,
        max_open: int = 10_000,
    ) -> None:
        self._spans = Spans(tracer)
        self._has_scope = has_scope
        self._clock = clock
        self._runs = RunRegistry(max_open=max_open, on_evict=self._evict)
        self._find = self._runs.get  # asked for each token
        self._orphans = Orphans(self._close_orphan)

    def start(self, start: RunStart, recording: Recording) -> None:
        """Open a run, recorded as the handler that reports it wants.

        A run that is open already, because two handlers feed this pipeline, stays as it is.
        """
        context, run_id = otel_context.get_current(), start.run_id.int
        if self._find(run_id) is not None or (not SUPPRESSING.isdisjoint(context) and is_suppressed(context)):
            return
        above = start.parent_id
        parent = None if above is None else self._find(above.int) or self._late_parent(above.int, context)
        if parent is not None and parent.drops and self._is_needless(start, recording, parent, context):
            self._runs.add_as(run_id, parent)
            return
        if self._orphans.overdue:
            self._orphans.sweep()
        frame, task, elsewhere = starter_above(1), current_task(), None
        seat = None
        if frame is None:
            seat, frame, elsewhere = find_caller(start, task)
        if self._has_scope and context and (parent is None or not _scope.is_settled(context)):
            context = self._settled(context, start, frame)
        run = self._open(start, recording, parent, context, frame)
        run.seat = seat or Seat(frame, task)
        self._runs.add(run)
        if self._has_scope:
            _scope.attach(run, frame, context, elsewhere)
        is_stream = frame is not None and frame.f_code.co_flags & GENERATORS
        if parent is None or start.run_type in FORGOTTEN or is_stream or frame is None:
            self._orphans.watch(run, run.seat)

    def end(self, run_id: UUID, read: Callable[[], RunEnd]) -> None:
        """Close a run that ended well; `read` is called only if it is recorded."""
        run = self._runs.take(run_id.int)
        if run is None:
            return
        if is_left():
            aside(self._end, run, read)
        else:
            self._end(run, read)

    def _end(self, run: Run, read: Callable[[], RunEnd]) -> None:
        outcome = _OK
        attributes: Attributes = {}
        try:
            if not run.is_mute:
                outcome, attributes = _read_end(run, read)
        except Exception as fault:
            note(run, fault)
            _END.caught(fault)
        finally:
            self._finish(run, outcome, attributes)

    def fail(self, run_id: UUID, outcome: Outcome, read: Callable[[], RunFailure]) -> None:
        """Close a run that raised; `read` is called only if it is recorded."""
        run = self._runs.take(run_id.int)
        if run is None:
            return
        if outcome is Outcome.ABANDONED or is_left():
            aside(self._fail, run, outcome, read)
        else:
            self._fail(run, outcome, read)

    def _fail(self, run: Run, outcome: Outcome, read: Callable[[], RunFailure]) -> None:
        attributes: Attributes = {}
        try:
            if run.own and run.span.is_recording():
                if run.start is not None:
                    attributes = describe_failure(run, run.start, read())
            elif run.keep.report is not None:
                report_end(run, read)
        except Exception as fault:
            note(run, fault)
            _FAIL.caught(fault)
        finally:
            self._finish(run, outcome, attributes)

    def chunk(self, run_id: UUID, content: object) -> bool:
        """Note a piece of a streamed answer, the first of them and the first with content; return whether that was it.

        An empty piece is without content.
        """
        run = self._find(run_id.int)
        if run is None:
            return False
        run.is_streamed = True
        if content and run.first_chunk_ns is None:
            run.first_chunk_ns = run.trace.now_ns()
        return run.first_chunk_ns is not None

    def event(self, run_id: UUID, event: RunEvent, recording: Recording) -> None:
        """Record something that happened inside a run, once however many handlers report it."""
        run = self._runs.get(run_id.int)
        if run is not None and run.own and run.span.is_recording() and is_news(run, event, recording):
            record_event(run, event)

    def peek(self, run_id: UUID) -> RunStart | None:
        """Return what was reported of a run that is open, or None."""
        run = self._runs.get(run_id.int)
        return None if run is None else run.start

    def span_of(self, run_id: int) -> Span | None:
        """Return the span that is current in an open run, or None."""
        run = self._runs.get(run_id)
        return None if run is None else run.span

    def in_flight(self) -> list[Run]:
        """Return the runs that are open now, oldest first."""
        return list(self._runs)

    def close_all(self) -> None:
        """End every run that is still open; for when the process ends."""
        for run in reversed(self.in_flight()):
            self._close_orphan(run, Outcome.ABANDONED)

    def disown_all(self) -> None:
        """Leave every run that is open to the process that this one was forked from, which sends its span."""
        for run in self.in_flight():
            run.disown()
            run.keep = replace(run.keep, report=None)

    def _is_needless(self, start: RunStart, recording: Recording, parent: Run, context: Context) -> bool:
        """Return whether nobody would know of a run below one that is not recorded: its parent stands for it."""
        is_current = not self._has_scope or _scope.stands_on_top(parent, context)
        return parent.open and is_current and not is_reported(start, recording)

    def _open(
        self, start: RunStart, recording: Recording, parent: Run | None, context: Context, frame: FrameType | None
    ) -> Run:
        where = place(parent, context, frame) if self._has_scope else place_apart(parent, context)
        inside = None if parent is not None else self._enclosing(where.around, context, frame)
        trace = parent.trace if parent is not None else self._trace(inside)
        run = Run(start, where.around, parent, trace, self._runs, recording)
        run.natives = where.natives if inside is None else (*where.natives, *inside.natives_above())
        run.own = recording.keeps is None or recording.keeps(start)
        if run.own:
            gate = recording.gate
            run.gate = gate if gate.is_silent else gate.for_run(start)
            if start.tool is not None:
                where.links = (*where.links, *links_to_caller(run, start))
            run.span = self._spans.start(where, describe_start, run, run.started_ns)
            if type(run.span) is not RunSpan:
                run.drops = type(run.span) is NonRecordingSpan and self._spans.drops_below_dropped
                keep_for_events(start, recording)
        elif parent is not None:
            run.drops = parent.drops
        return run

    def _trace(self, inside: Run | None) -> Trace:
        """Return the trace of a new root: one inside another where the root is called in the body of a run."""
        return Trace(self._clock) if inside is None else inside.trace.inside(self._clock)

    def _enclosing(self, around: Span, context: Context, frame: FrameType | None) -> Run | None:
        """Return the run in whose body a new root is called, or None."""
        is_inside = self._has_scope and around is not INVALID_SPAN
        return enclosing(around, context, self._runs, frame) if is_inside else None

    def _late_parent(self, run_id: int, context: Context) -> Run | None:
        """Return a run that has ended, and that another one starts in, as the work goes on."""
        parent = self._runs.past(run_id)
        if parent is None and self._has_scope:
            parent = _scope.displaced_run(context, run_id)
        if parent is not None:
            _scope.forget_past(context)
            parent.shorten()
        return parent

    def _settled(self, context: Context, start: RunStart, frame: FrameType | None) -> Context:
        """Return the context without the scopes of runs that are over, also of those whose end nobody reported."""
        context = _scope.without_past(context)
        top = raw_span(context)
        while type(top) is ScopeSpan and self._has_closed(top.run, start, frame):
            context = _scope.without_past(context)
            top = raw_span(context)
        return context

    def _has_closed(self, run: Run, start: RunStart, frame: FrameType | None) -> bool:
        """Close a run over which another one starts, if it is looked after and over; return whether it was."""
        if run.open and (run.is_watched or run.parent is None):
            self._orphans.started_over(run, start, frame)
            return run.is_past
        return False

    def _finish(self, run: Run, outcome: Outcome, attributes: Attributes) -> None:
        """End a run's span, and let nobody see it as current any more."""
        run.close()
        try:
            if run.own and run.span.is_recording():
                if attributes or outcome is not _OK or run.parent is None:
                    conclude(run, outcome, attributes)
                run.span.end(max(run.trace.now_ns(), run.started_ns))
        finally:
            if run.attached is not None:
                _scope.restore(run)
            if run.is_watched or run.parent is None or run.witness is not None:
                self._orphans.forget(run)
            run.let_go()
            if run.children:
                self._orphans.ended_above(run, outcome)

    def _close_orphan(self, run: Run, outcome: Outcome) -> None:
        if self._runs.take(run.id) is not None:
            with Guard("lifecycle.close"):
                if run.keep.report is not None:
                    report_orphan(run)
                self._finish(run, outcome, {})

    def _evict(self, run: Run) -> None:
        with Guard("lifecycle.evict"):
            self._finish(run, Outcome.EVICTED, {})


def _read_end(run: Run, read: Callable[[], RunEnd]) -> tuple[Outcome, Attributes]:
    if run.start is not None and run.own and run.span.is_recording():
        return describe_end(run, run.start, read)
    if run.keep.report is not None:
        report_end(run, read)
    return _OK, {}
