"""From the start of a run to the end of its span: the one authority of a pipeline.

Adapters report what happened; this decides what the span's parent is, keeps the run
until its end is reported, and ends each span exactly once, whatever raises in between.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any, ParamSpec
from uuid import UUID

from opentelemetry import context as otel_context
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    Span,
    Status,
    StatusCode,
    Tracer,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from . import _scope, _stack
from ._content import Gate
from ._guard import Guard
from ._model import Outcome, RunEnd, RunEvent, RunFailure, RunStart
from ._orphans import Orphans
from ._profiles import Profile
from ._runs import Run, RunRegistry, Trace
from ._waiting import waiting

__all__ = ["Lifecycle", "Recording"]

P = ParamSpec("P")

_SUPPRESS_PLAIN = "suppress_instrumentation"  # opentelemetry-instrumentation sets both keys
_OUTCOME = "chainspan.run.outcome"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """How a handler wants its runs recorded.

    Attributes:
        keeps: Whether a run gets a span of its own; others hand their children up.
        encode_event: Makes text of an event's data; None: the gate does.
        on_event: Told of events as they happen, which a span processor is not.
    """

    profile: Profile
    gate: Gate
    keeps: Callable[[RunStart], bool] | None = None
    encode_event: Callable[[object], str | None] | None = None
    on_event: Callable[[Span, str, Mapping[str, AttributeValue]], None] | None = None


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
        self._tracer = tracer
        self._has_scope = has_scope
        self._clock = clock
        self._runs = RunRegistry(max_open=max_open, on_evict=self._evict)
        self._orphans = Orphans(self._close_orphan)

    def start(self, start: RunStart, recording: Recording) -> None:
        """Open a run, recorded as the handler that reports it wants.

        A run that is open already, because two handlers feed this pipeline, stays as it is.
        """
        context = otel_context.get_current()
        if _is_suppressed(context) or start.run_id.int in self._runs:
            return
        self._orphans.sweep()
        caller = _Caller.find(start)
        if self._has_scope:
            self._settle_below(context, start)
        run = self._open(start, recording, context, caller.frame)
        run.seat = _stack.Seat(caller.frame, caller.task)
        self._runs.add(run)
        if self._has_scope:
            with Guard("lifecycle.attach"):
                caller.run(_scope.attach, run, caller.frame)
        self._orphans.watch(run)

    def end(self, run_id: UUID, read: Callable[[], RunEnd]) -> None:
        """Close a run that ended well; `read` is called only if it is recorded."""
        run = self._runs.take(run_id.int)
        if run is None:
            return
        outcome = Outcome.OK
        try:
            if run.own and run.span.is_recording():
                with Guard("lifecycle.end"):
                    if run.start is not None:
                        outcome = _describe_end(run, run.start, read())
        finally:
            self._finish(run, outcome)

    def fail(self, run_id: UUID, outcome: Outcome, read: Callable[[], RunFailure]) -> None:
        """Close a run that raised; `read` is called only if it is recorded."""
        run = self._runs.take(run_id.int)
        if run is None:
            return
        try:
            if run.own and run.span.is_recording():
                with Guard("lifecycle.fail"):
                    if run.start is not None:
                        _describe_failure(run, run.start, read())
        finally:
            self._finish(run, outcome)

    def chunk(self, run_id: UUID, *, has_content: bool) -> None:
        """Note a piece of a streamed answer."""
        run = self._runs.get(run_id.int)
        if run is None:
            return
        run.chunks += 1
        if has_content and run.first_chunk_ns is None:
            run.first_chunk_ns = run.trace.now_ns()

    def event(self, run_id: UUID, event: RunEvent) -> None:
        """Record something that happened inside a run."""
        run = self._runs.get(run_id.int)
        if run is None or not run.own or not run.span.is_recording():
            return
        recording: Recording = run.keep
        attributes: dict[str, AttributeValue] = {}
        encode = recording.encode_event or run.gate.json
        data = encode(event.data) if event.data is not None else None
        if data is not None:
            attributes["data"] = data
        run.span.add_event(event.name, attributes, timestamp=run.trace.now_ns())
        if recording.on_event is not None:
            recording.on_event(run.span, event.name, attributes)

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

    def _open(self, start: RunStart, recording: Recording, context: Context, frame: FrameType | None) -> Run:
        parent = self._parent_of(start, context)
        place = self._place(parent, context, frame)
        trace = parent.trace if parent is not None else Trace(self._clock)
        run = Run(
            id=start.run_id.int,
            start=start,
            span=place.around,
            own=recording.keeps is None or recording.keeps(start),
            parent=parent,
            registry=self._runs,
            trace=trace,
            native=place.native,
            started_ns=trace.now_ns(),
            keep=recording,
        )
        if run.own:
            run.span = self._start_span(run, start, place)
        return run

    def _parent_of(self, start: RunStart, context: Context) -> Run | None:
        """Return the parent run; an ended one too, where the work goes on in its context."""
        if start.parent_id is None:
            return None
        parent = self._runs.get(start.parent_id.int)
        if parent is None and self._has_scope:
            parent = _scope.displaced_run(context, start.parent_id.int)
        return parent

    def _place(self, parent: Run | None, context: Context, frame: FrameType | None) -> _Place:
        """Find the span that a new run's span hangs below."""
        if not self._has_scope:
            return _place_apart(parent, context)
        if parent is None:
            around = _scope.ambient_span(context, frame) or INVALID_SPAN
            return _Place(set_span_in_context(around, context), around, _valid_id(around))
        inner = _scope.raw_span(context)
        if inner is not None and _is_native_inside(inner, parent):
            return _Place(context, inner, inner.get_span_context().span_id)
        return _Place(set_span_in_context(parent.span, context), parent.span)

    def _start_span(self, run: Run, start: RunStart, place: _Place) -> Span:
        recording: Recording = run.keep
        profile, parent = recording.profile, run.parent
        run.gate = recording.gate.for_run(start)
        attributes: Mapping[str, AttributeValue] = {}
        if parent is None or parent.span.is_recording() or not parent.open:
            attributes = profile.start(start, run.gate)
        return self._tracer.start_span(
            profile.span_name(start),
            context=place.context,
            kind=profile.span_kind(start),
            attributes=attributes,
            links=[*place.links, *_links_to_caller(run, start)],
            start_time=run.started_ns,
        )

    def _settle_below(self, context: Context, start: RunStart) -> None:
        span = _scope.raw_span(context)
        while isinstance(span, _scope.ScopeSpan):
            self._orphans.started_over(span.run, start)
            if span.run.open:
                return
            span = span.under

    def _finish(self, run: Run, outcome: Outcome) -> None:
        """End a run's span, and let nobody see it as current any more."""
        run.open = False
        try:
            if run.own and run.span.is_recording():
                with Guard("lifecycle.finish"):
                    _sum_up(run, outcome)
                run.span.end(max(run.trace.now_ns(), run.started_ns))
        finally:
            if self._has_scope:
                _scope.restore(run)
            self._orphans.forget(run)
            run.let_go()
            if run.children:
                self._orphans.ended_above(run, outcome)

    def _close_orphan(self, run: Run, outcome: Outcome) -> None:
        if self._runs.take(run.id) is not None:
            with Guard("lifecycle.close"):
                self._finish(run, outcome)

    def _evict(self, run: Run) -> None:
        with Guard("lifecycle.evict"):
            self._finish(run, Outcome.EVICTED)


@dataclass(frozen=True, slots=True)
class _Caller:
    """The code that a run was started by: its frame and task, and the context it runs in."""

    frame: FrameType | None
    task: asyncio.Task[Any] | None
    context: contextvars.Context | None = None

    @classmethod
    def find(cls, start: RunStart) -> _Caller:
        frame = _stack.starter(sys._getframe(1))  # noqa: SLF001 - the only way to see the stack
        task = _stack.current_task()
        if frame is None and start.run_type == "llm":
            waiter = waiting(task)
            if waiter is not None:
                return cls(waiter.frame, waiter.task, waiter.context)
        return cls(frame, task)

    def run(self, function: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Call a function in the context of the code that started the run."""
        if self.context is None:
            function(*args, **kwargs)
        else:
            self.context.run(function, *args, **kwargs)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a run's span goes: the context that holds its parent, and that parent."""

    context: Context
    around: Span
    native: int | None = None
    links: tuple[Link, ...] = ()


def _place_apart(parent: Run | None, context: Context) -> _Place:
    """Place a run in a pipeline of its own: a root has no parent there, only a link."""
    if parent is not None:
        return _Place(set_span_in_context(parent.span, context), parent.span)
    ambient = get_current_span(context)
    valid = ambient.get_span_context().is_valid
    links = (Link(ambient.get_span_context()),) if valid else ()
    return _Place(set_span_in_context(INVALID_SPAN, context), INVALID_SPAN, None, links)


def _is_suppressed(context: Context) -> bool:
    return bool(context.get(_SUPPRESS_INSTRUMENTATION_KEY) or context.get(_SUPPRESS_PLAIN))


def _valid_id(span: Span) -> int | None:
    identity = span.get_span_context()
    return identity.span_id if identity.is_valid else None


def _is_native_inside(span: Span, parent: Run) -> bool:
    """Return whether a foreign span was opened inside a run, and is open still."""
    if isinstance(span, _scope.ScopeSpan):
        return False
    identity, above = span.get_span_context(), parent.context
    if not identity.is_valid or identity.trace_id != above.trace_id or identity.is_remote:
        return False
    if identity.span_id == above.span_id or parent.knows_native(identity.span_id):
        return False
    return span.is_recording() or not identity.trace_flags.sampled


def _links_to_caller(run: Run, start: RunStart) -> list[Link]:
    """Link a tool's run to the model call that asked for it."""
    call_id = start.tool.call_id if start.tool is not None else None
    caller = run.trace.asked.get(call_id) if call_id is not None else None
    return [Link(caller)] if caller is not None else []


def _describe_end(run: Run, start: RunStart, end: RunEnd) -> Outcome:
    recording: Recording = run.keep
    end.streaming = run.streaming()
    run.span.set_attributes(recording.profile.end(start, end, run.gate))
    if end.response is not None:
        run.trace.add(run.context, end.response)
    if end.failed is None:
        return Outcome.OK
    run.span.set_status(Status(StatusCode.ERROR, run.gate.text(end.failed)))
    return Outcome.ERROR


def _describe_failure(run: Run, start: RunStart, failure: RunFailure) -> None:
    recording: Recording = run.keep
    failure.streaming = run.streaming()
    run.span.set_attributes(recording.profile.failure(start, failure, run.gate))
    if failure.response is not None:
        run.trace.add(run.context, failure.response)
    if failure.outcome is not Outcome.ERROR:
        return
    event = run.gate.exception(failure.error)
    run.span.add_event("exception", event, timestamp=run.trace.now_ns())
    run.span.set_status(Status(StatusCode.ERROR, run.gate.text(str(failure.error))))


def _sum_up(run: Run, outcome: Outcome) -> None:
    if outcome is not Outcome.OK:
        run.span.set_attribute(_OUTCOME, outcome.value)
    if run.parent is None and run.trace.model_calls:
        run.span.set_attributes(run.trace.totals())
