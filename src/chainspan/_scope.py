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

import contextvars
from types import FrameType

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import (
    Span,
)

from ._guard import Guard
from ._inheritance import carry
from ._runs import Run
from ._scope_span import ScopedContext, ScopeSpan, live, raw_span, resolved, scoped, with_span
from ._starters import leave_seat, take_seat
from ._word import is_named, is_named_throughout

__all__ = [
    "ambient_span",
    "attach",
    "displaced_run",
    "forget_past",
    "is_settled",
    "native_span",
    "restore",
    "run_with",
    "stands_on_top",
    "take_along",
    "without_past",
]

_ATTACH = Guard("scope.attach")


def ambient_span(context: Context, above: FrameType | None) -> Span | None:
    """Return the span around a run that is about to start.

    Args:
        context: The context that the run starts in.
        above: The frame that starts the run. Only runs started further out can be around
            it: ``batch`` starts all its roots in one frame, and none is in another.
    """
    span = raw_span(context)
    if type(span) is ScopeSpan:
        return resolved(span, above)
    return span


def native_span(context: Context, parent: Run) -> Span | None:
    """Return the foreign span that may stand between a run and one that starts in it, or None.

    Over it there may be the scopes of others that started there: of a batch, or of a stream
    between two of whose chunks the new run starts.
    """
    if type(context) is ScopedContext and context.scope.run is parent:
        return None
    span = raw_span(context)
    while type(span) is ScopeSpan and span.run is not parent and not parent.is_within(span.run):
        span = span.under
    return None if type(span) is ScopeSpan else span


def stands_on_top(run: Run, context: Context) -> bool:
    """Return whether a run's scope is the newest in a context."""
    span = raw_span(context)
    return type(span) is ScopeSpan and span.run is run


def take_along() -> None:
    """Let the run that is current here be so, as long as it is open, wherever this context is used."""
    scope = raw_span(otel_context.get_current())
    current = resolved(scope, None) if type(scope) is ScopeSpan else None
    while type(scope) is ScopeSpan and scope.run.span is not current:
        scope = scope.under
    if type(scope) is ScopeSpan:
        carry(scope.run)


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


def run_with(span: Span, context: Context) -> Run | None:
    """Return the newest run with this span whose scope stands in a context, or None."""
    top = raw_span(context)
    while type(top) is ScopeSpan and top.run.span is not span:
        top = top.under
    return top.run if type(top) is ScopeSpan else None


def attach(
    run: Run,
    frame: FrameType | None,
    current: Context | None = None,
    elsewhere: contextvars.Context | None = None,
) -> None:
    """Make a run's scope current from here on, for whoever turns out to be inside the run.

    Where another pipeline has put a scope in place for the same run, that one stays: only
    one span can be current. Where the parent's stands on top, and the framework's word leads
    from there to the run, that one is enough.

    Args:
        run: The run.
        frame: The frame that started it.
        current: The context that is current here, without past scopes; None: to be looked up.
        elsewhere: The context of the code that started the run, where that is not the one of here.
    """
    try:
        if elsewhere is not None:
            elsewhere.run(attach, run, frame)
            return
        if current is None:
            current = without_past(otel_context.get_current())
        top = current.scope if type(current) is ScopedContext else raw_span(current)
        if type(top) is ScopeSpan and (
            top.run.id == run.id or (top.run is run.parent and is_named_throughout(run, frame))
        ):
            return
        run.attached = scoped(current, run, top)
        otel_context.attach(run.attached)  # never detached: see the module's docstring
        take_seat(run, frame)
    except Exception as fault:  # noqa: BLE001 - the run goes on without being current
        _ATTACH.caught(fault)


def restore(run: Run) -> None:
    """Take the scopes of runs that are over out of the context, where a trace or a part of it ends in this one.

    What ends inside of an open run leaves its scope behind: the next start takes it out, or the
    end of that run does.
    """
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
    newest = live(top)
    return context if newest is top else with_span(context, newest)


def forget_past(context: Context) -> None:
    """Let go of scopes that are over below the newest one of a context, in which work goes on, maybe for ever."""
    newest = without_past(context)
    if type(newest) is ScopedContext:
        newest.previous, newest.scope.under = without_past(newest.previous), live(newest.scope.under)
