"""A span of the SDK's own class that takes a third of the time to make and to end.

What a run's span says has been checked before, and hardly any run has events or links.
The SDK cannot know that: it checks each attribute again, makes lists with locks for
events and links that never come, and copies each span that ends.

The fields of the SDK's spans are not public. `knows_the_sdk` compares those that are
relied on here with what the SDK makes, and tells where they differ.
"""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import (
    INVALID_SPAN_CONTEXT,
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)
from typing_extensions import override

from ._model import AttributeValue

__all__ = ["RunSpan", "identity", "knows_the_sdk", "started"]

# ruff: noqa: SLF001 - the SDK's own fields are what this is about

Attributes = dict[str, AttributeValue]

_TRACE_IDS: Final = 1 << 128
_SPAN_IDS: Final = 1 << 64
_HAS_ENDING: Final = hasattr(SpanProcessor, "_on_ending")  # from SDK 1.40
_logger = logging.getLogger("opentelemetry.sdk.trace")  # where the SDK's own spans say it


class _WhenAsked:
    """A field that is made when somebody looks at it; most spans' never is."""

    def __init__(self, make: Callable[[Any], object]) -> None:
        self._make = make

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, span: Any, owner: type) -> Any:
        return self if span is None else vars(span).setdefault(self._name, self._make(span))


class _Checked(BoundedAttributes):
    """Attributes that are kept as they are given: checked, and no more than a span may have."""

    dropped = 0
    max_value_len: int | None = None
    _immutable = _extended_attributes = False
    _lock: Any = _WhenAsked(lambda _: threading.RLock())
    _dict: dict[str, Any]


class RunSpan(SdkSpan):
    """A run's span: to all who meet it a span of the SDK, which is what it is. Made by `started`."""

    _events: Any = _WhenAsked(lambda span: BoundedList(span._limits.max_events))
    _links: Any = _WhenAsked(lambda span: BoundedList(span._limits.max_links))
    _status = Status(StatusCode.UNSET)
    _trace_config = None
    _record_exception = _set_status_on_exception = True
    _record_end_metrics: Callable[[], None] | None = None

    @override
    def get_span_context(self) -> SpanContext:
        """Return the span's identity, as the base does by way of a cast."""
        return self._context  # type: ignore[return-value]  # which a span that has started has

    def take(self, attributes: Attributes) -> None:
        """Set attributes that are checked, as those at the start."""
        held = self._attributes
        with self._lock:
            if self._end_time is not None:
                return
            if type(held) is _Checked and (held.maxlen is None or len(held._dict) + len(attributes) <= held.maxlen):
                held._dict.update(attributes)
                return
        self.set_attributes(attributes)

    @override
    def end(self, end_time: int | None = None) -> None:
        """End the span, and hand it to the processors as it is: nobody can change it any more."""
        if end_time is None:
            super().end()
            return
        with self._lock:
            if self._end_time is not None:
                _logger.warning("Calling end() on an ended span.")
                return
            self._end_time = end_time
            held: Any = self._attributes
            held._immutable = True
        if _HAS_ENDING:
            self._span_processor._on_ending(self)
        self._span_processor.on_end(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> ReadableSpan:
        """Return what the SDK hands out of a span that has ended."""
        return copy.deepcopy(self._readable_span(), memo)


def started(  # noqa: PLR0913, PLR0917 - what a span is made of
    tracer: Any,
    name: str,
    context: SpanContext,
    parent: SpanContext | None,
    kind: SpanKind,
    attributes: Attributes,
    links: Sequence[Link],
    start_ns: int,
    *,
    checked: bool,
) -> RunSpan:
    """Make a span that has started, which the processors have not been told yet.

    Args:
        tracer: The SDK's tracer that it belongs to.
        name: Its name.
        context: Its identity.
        parent: Its parent's identity; None for a root.
        kind: Its kind.
        attributes: What it says at its start.
        links: What it is linked to.
        start_ns: Nanoseconds since the epoch.
        checked: Whether the attributes are known to be what the SDK would keep of them. The dict is the span's then.
    """
    span = object.__new__(RunSpan)  # the class's own way lets only the SDK make one, and takes its time
    span._name = name
    span._context = context
    span._parent = parent
    span._kind = kind
    span._start_time = start_ns
    span._end_time = None
    span._lock = threading.Lock()
    span._resource = tracer.resource
    span._sampler = tracer.sampler
    span._span_processor = tracer.span_processor
    span._instrumentation_info = tracer.instrumentation_info
    span._instrumentation_scope = tracer._instrumentation_scope
    span._limits = limits = tracer._span_limits
    most, longest = limits.max_span_attributes, limits.max_span_attribute_length
    if checked and longest is None and (most is None or len(attributes) <= most):
        held = object.__new__(_Checked)
        held._dict = attributes
        held.maxlen = most
        span._attributes = held
    else:
        span._attributes = BoundedAttributes(most, attributes, immutable=False, max_value_len=longest)
    if links:
        span._links = span._new_links(links)
    return span


def identity(trace_id: int, span_id: int, flags: TraceFlags, state: TraceState) -> SpanContext:
    """Return an identity of this process's own, as the tuple that it is; its last item says whether it is valid."""
    is_valid = 0 < trace_id < _TRACE_IDS and 0 < span_id < _SPAN_IDS
    return tuple.__new__(SpanContext, (trace_id, span_id, False, flags, state, is_valid))


@lru_cache(maxsize=1)
def knows_the_sdk() -> bool:
    """Return whether this version of the SDK makes its spans of the fields that a `RunSpan` has."""
    try:
        theirs: Any = _Probe("", INVALID_SPAN_CONTEXT, resource=Resource.get_empty(), limits=SpanLimits())
        ours = {*vars(RunSpan), *_FIELDS}
        return (
            vars(theirs).keys() <= ours
            and vars(theirs._attributes).keys() <= {*vars(_Checked), "_dict", "maxlen"}
            and all(_makes_it_so(*ids) for ids in ((1, 2), (0, 1), (_TRACE_IDS, 1), (1, _SPAN_IDS)))
            and type(theirs._events) is type(theirs._links) is BoundedList
        )
    except Exception:  # noqa: BLE001 - of a version that is quite different
        return False


def _makes_it_so(trace_id: int, span_id: int) -> bool:
    theirs = SpanContext(trace_id, span_id, is_remote=False)
    return tuple(theirs) == tuple(identity(trace_id, span_id, theirs.trace_flags, theirs.trace_state))


class _Probe(SdkSpan):
    """Made as the SDK makes its spans; that class is not public either."""


# What each span has of its own.
_FIELDS: Final = frozenset(
    {
        "_attributes",
        "_context",
        "_end_time",
        "_instrumentation_info",
        "_instrumentation_scope",
        "_kind",
        "_limits",
        "_lock",
        "_name",
        "_parent",
        "_resource",
        "_sampler",
        "_span_processor",
        "_start_time",
    }
)
