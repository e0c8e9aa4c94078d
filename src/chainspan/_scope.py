"""Which span is current, answered when it is asked.

Callbacks cannot bracket the body of a run: LangChain reports the end of asynchronous
runs from another task, streams start in one frame and end in another, and a consumer's
own code runs between two chunks. So nothing here depends on being detached. The start
of a run puts a context in place that *resolves* the current span whenever somebody
asks, from three witnesses, the most exact first:

1. LangChain's own word: the run id that it carries into every thread and task, if it
   lies inside the run of the scope.
2. The stack: the innermost frame that started an open run inside the scope's run.
3. Inheritance: code in another thread or task than the run was started in, which holds
   a copy of its context. A stream's consumer hands copies on as well, so of a stream it
   counts only where the framework itself is at work.

A scope outlives its run while runs below that are open: LangChain ends a chain whose stream
is left early before it closes the steps, and these pull what is left of the model's answer.

A scope none of whose witnesses speaks is passed over, and the span below it answers. A
context left behind in a caller is therefore harmless.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import FrameType
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    Span,
    SpanContext,
    Status,
    StatusCode,
    set_span_in_context,
)
from opentelemetry.util.types import Attributes, AttributeValue
from typing_extensions import override

from ._runs import Run
from ._witnesses import Asker, is_named, is_named_throughout, leave_seat, take_seat

__all__ = [
    "ScopeSpan",
    "ambient_span",
    "attach",
    "displaced_run",
    "is_settled",
    "native_span",
    "raw_span",
    "restore",
    "stands_on_top",
    "with_span",
    "without_past",
]

# Types are compared with `type(...) is` below: every isinstance of a Span is a call into its abstract base class.
_SPAN_KEY = next(iter(set_span_in_context(INVALID_SPAN, Context())))


class ScopeSpan(Span):
    """Stands in a context for whichever span is current to the one who asks.

    Seen only by code that copies a context's values: a context made by `attach` hands
    out the real span.

    Attributes:
        run: The run that put the scope in place.
        under: The span that was current before, possibly another scope's.
        is_mixed: Whether a scope below belongs to a run that is no ancestor. A parser that
            is streamed pulls the model's answer from within its own body, and both are open.
    """

    def __init__(self, run: Run, under: Span | None) -> None:
        self.run = run
        self.under = under
        self.is_mixed: bool = type(under) is ScopeSpan and (
            under.is_mixed or (run.parent is not under.run and not run.is_within(under.run))
        )

    def resolve(self, *, above: FrameType | None = None) -> Span:
        """Return the span that is current to the caller, or the invalid span."""
        return _resolve(self, above) or INVALID_SPAN

    @override
    def get_span_context(self) -> SpanContext:
        """Return the identity of the current span."""
        return self.resolve().get_span_context()

    @override
    def is_recording(self) -> bool:
        """Return whether the current span records."""
        return self.resolve().is_recording()

    @override
    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Set an attribute of the current span."""
        self.resolve().set_attribute(key, value)

    @override
    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Set attributes of the current span."""
        self.resolve().set_attributes(attributes)

    @override
    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        """Add an event to the current span."""
        self.resolve().add_event(name, attributes, timestamp)

    @override
    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """Add a link to the current span."""
        self.resolve().add_link(context, attributes)

    @override
    def update_name(self, name: str) -> None:
        """Rename the current span."""
        self.resolve().update_name(name)

    @override
    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Set the status of the current span."""
        self.resolve().set_status(status, description)

    @override
    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Record an exception on the current span."""
        self.resolve().record_exception(exception, attributes, timestamp, escaped)

    @override
    def end(self, end_time: int | None = None) -> None:
        """Do nothing: a run's span is ended by its run."""

    def __getattr__(self, name: str) -> Any:
        """Answer for what an SDK's span has besides."""
        return getattr(self.resolve(), name)

    @override
    def __eq__(self, other: object) -> bool:
        """Compare the current span."""
        mine = self.resolve()
        return mine == (other.resolve() if type(other) is ScopeSpan else other)

    @override
    def __hash__(self) -> int:
        """Hash as the current span does."""
        return hash(self.resolve())


class ScopedContext(Context):
    """A context whose span is resolved whenever it is asked for."""

    __slots__ = ("previous", "scope")

    previous: Context
    scope: ScopeSpan

    @override
    def get(self, key: str, default: Any = None) -> Any:
        """Return a value; for the span's key, the span that is current to the caller."""
        if key != _SPAN_KEY:
            return super().get(key, default)
        span = _resolve(self.scope, None)
        return default if span is None else span

    @override
    def __getitem__(self, key: str) -> Any:
        """Return a value, as `get` does."""
        if key != _SPAN_KEY:
            return super().__getitem__(key)
        return self.scope.resolve()

    @override
    def copy(self) -> dict[str, Any]:
        """Return the values, without scopes whose runs are over."""
        values = super().copy()
        return _with_span(values, _live(self.scope))


def raw_span(context: Context) -> Span | None:
    """Return the span that stands in a context, unresolved."""
    return dict.get(context, _SPAN_KEY)  # type: ignore[return-value]  # only OpenTelemetry writes there


def ambient_span(context: Context, above: FrameType | None) -> Span | None:
    """Return the span around a run that is about to start.

    Args:
        context: The context that the run starts in.
        above: The frame that starts the run. Only runs started further out can be around
            it: ``batch`` starts all its roots in one frame, and none is in another.
    """
    span = raw_span(context)
    if type(span) is ScopeSpan:
        return _resolve(span, above)
    return span


def native_span(context: Context, parent: Run) -> Span | None:
    """Return the foreign span that may stand between a run and one that starts in it, or None.

    Over it there may be the scopes of others that started there: of a batch, or of a stream
    between two of whose chunks the new run starts.
    """
    span = raw_span(context)
    while type(span) is ScopeSpan and span.run is not parent and not parent.is_within(span.run):
        span = span.under
    return None if type(span) is ScopeSpan else span


def stands_on_top(run: Run, context: Context) -> bool:
    """Return whether a run's scope is the newest in a context."""
    span = raw_span(context)
    return type(span) is ScopeSpan and span.run is run


def is_settled(context: Context) -> bool:
    """Return whether the newest scope in a context is that of a run which is certainly open."""
    return type(context) is ScopedContext and context.scope.run.open and not context.scope.run.is_watched


def displaced_run(context: Context, run_id: int) -> Run | None:
    """Return the run with this id whose scope stands in a context, ended or not."""
    span = raw_span(context)
    while type(span) is ScopeSpan:
        if span.run.id == run_id:
            return span.run
        span = span.under
    return None


def attach(run: Run, frame: FrameType | None, current: Context | None = None) -> None:
    """Make a run's scope current from here on, for whoever turns out to be inside the run.

    Where another pipeline has put a scope in place for the same run, that one stays: only
    one span can be current. Where the parent's stands on top, and the framework's word leads
    from there to the run, that one is enough.

    Args:
        run: The run.
        frame: The frame that started it.
        current: The context that is current here, without past scopes; None: to be looked up.
    """
    if current is None:
        current = without_past(otel_context.get_current())
    top = raw_span(current)
    if type(top) is ScopeSpan and (top.run.id == run.id or (top.run is run.parent and is_named_throughout(run, frame))):
        return
    scoped = ScopedContext(current)
    scoped.scope = scope = ScopeSpan(run, top)
    scoped.previous = current
    dict.__setitem__(scoped, _SPAN_KEY, scope)
    otel_context.attach(scoped)  # never detached: see the module's docstring
    run.attached = scoped
    take_seat(run, frame)


def restore(run: Run) -> None:
    """Take the scopes of runs that are over out of the context, where a trace or a part of it ends in this one.

    What ends inside of an open run leaves its scope behind: the next start takes it out, or the
    end of that run does.
    """
    if run.attached is None:
        return
    leave_seat(run)
    if run.parent is not None and run.parent.open:
        return
    current = otel_context.get_current()
    if type(current) is ScopedContext and current.scope.run.is_past:
        otel_context.attach(without_past(current))


def without_past(context: Context) -> Context:
    """Return the newest context below whose scope is not over; the same values otherwise.

    Nor is it over to work that outlives a run, whose name such work still bears.
    """
    while type(context) is ScopedContext and context.scope.run.is_past and not is_named(context.scope.run):
        context = context.previous
    if type(context) is ScopedContext:
        return context
    top = raw_span(context)
    live = _live(top)
    return context if live is top else Context(_with_span(dict(context), live))


def with_span(context: Context, span: Span) -> Context:
    """Return a context with a span in it, as ``set_span_in_context`` does, without resolving anything."""
    copy = Context(context)
    dict.__setitem__(copy, _SPAN_KEY, span)  # a context refuses changes, and nobody has seen this one yet
    return copy


def _with_span(values: dict[str, Any], span: Span | None) -> dict[str, Any]:
    if span is None:
        values.pop(_SPAN_KEY, None)
    else:
        values[_SPAN_KEY] = span
    return values


def _live(span: Span | None) -> Span | None:
    """Return the first span from here down that is not a scope whose run is over, and not what goes on here either."""
    while type(span) is ScopeSpan and span.run.is_past and not is_named(span.run):
        span = span.under
    return span


def _resolve(scope: ScopeSpan, above: FrameType | None) -> Span | None:
    asker = Asker(sys._getframe(1) if above is None else above.f_back)  # noqa: SLF001 - the only way to see the stack
    span: Span | None = scope
    while type(span) is ScopeSpan:
        found = asker.inside(span.run, is_mixed=span.is_mixed)
        if found is not None:
            model = _model_below(span, found) if span.is_mixed and asker.executes_model(found) else None
            return (model or found).span
        if type(span.under) is ScopeSpan and span.under.run.is_past:
            span.under = _live(span.under)  # keeps chains short where ends come in any order
        span = span.under
    return span


def _model_below(scope: ScopeSpan, named: Run) -> Run | None:
    """Return the innermost open model below a scope in the same trace: the one that the named run pulls."""
    span: Span | None = scope
    while type(span) is ScopeSpan:
        if span.run.is_leaf and span.run.open and span.run.trace is named.trace:
            return span.run
        span = span.under
    return None
