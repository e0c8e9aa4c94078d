"""What stands in a context for whichever span is current, which is found out when it is asked for.

Three witnesses are asked, the most exact first (`chainspan._witnesses`). A scope none of
whose witnesses speaks is passed over, and the span below it answers.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import FrameType
from typing import Any

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
from ._witnesses import Asker
from ._word import is_named

__all__ = ["ScopeSpan", "ScopedContext", "live", "raw_span", "resolved", "scoped", "with_span"]

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
        return resolved(self, above) or INVALID_SPAN

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
        span = resolved(self.scope, None)
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
        _put(values, live(self.scope))
        return values


def raw_span(context: Context) -> Span | None:
    """Return the span that stands in a context, unresolved."""
    return dict.get(context, _SPAN_KEY)  # type: ignore[return-value]  # only OpenTelemetry writes there


def scoped(context: Context, run: Run, top: Span | None) -> ScopedContext:
    """Return a context with a run's scope in it.

    Args:
        context: The context that it is made from.
        run: The run.
        top: The span that stands in that context, unresolved.
    """
    made = ScopedContext(context)
    made.scope = scope = ScopeSpan(run, top)
    made.previous = context
    dict.__setitem__(made, _SPAN_KEY, scope)  # a context refuses changes, and nobody has seen this one yet
    return made


def with_span(context: Context, span: Span | None) -> Context:
    """Return a context with a span in it, or without any, as ``set_span_in_context`` does, unresolved."""
    copy = Context(context)
    _put(copy, span)
    return copy


def _put(values: dict[str, Any], span: Span | None) -> None:
    if span is None:
        dict.pop(values, _SPAN_KEY, None)
    else:
        dict.__setitem__(values, _SPAN_KEY, span)


def live(span: Span | None) -> Span | None:
    """Return the first span from here down that is not a scope whose run is over, and not what goes on here either."""
    while type(span) is ScopeSpan and span.run.is_past and not is_named(span.run):
        span = span.under
    return span


def resolved(scope: ScopeSpan, above: FrameType | None) -> Span | None:
    """Return the span that is current to the caller, or None.

    Args:
        scope: The newest scope in the caller's context.
        above: The frame that is asked for instead of the caller's, in whose callers the answer is sought.
    """
    asker = Asker(sys._getframe(1) if above is None else above.f_back)  # noqa: SLF001 - the only way to see the stack
    span: Span | None = scope
    while type(span) is ScopeSpan:
        found = asker.inside(span.run, is_mixed=span.is_mixed)
        if found is not None:
            model = _model_below(span, found) if span.is_mixed and asker.executes_model(found) else None
            return (model or found).span
        if type(span.under) is ScopeSpan and span.under.run.is_past:
            span.under = live(span.under)  # keeps chains short where ends come in any order
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
