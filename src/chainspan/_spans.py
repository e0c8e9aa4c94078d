"""How a run's span is started: sampled as its tracer samples, and made at the least cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from opentelemetry.sdk.trace import Tracer as SdkTracer
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags, Tracer, TraceState

from ._listeners import Listeners
from ._model import AttributeValue
from ._placement import Place
from ._run_span import RunSpan, identity, knows_the_sdk, started

__all__ = ["Spans"]

T = TypeVar("T")
Attributes = dict[str, AttributeValue]
Description = tuple[str, SpanKind, Attributes]

_RANDOM: Final[int] = getattr(TraceFlags, "RANDOM_TRACE_ID", 0)
_SIMPLY: Final = TraceFlags(TraceFlags.SAMPLED)
_RANDOMLY: Final = TraceFlags(TraceFlags.SAMPLED | _RANDOM)
_SAMPLED: Final = frozenset({_SIMPLY, _RANDOMLY})
_NO_STATE: Final = TraceState.get_default()


class Spans:
    """Starts the spans of one tracer.

    What the SDK's own tracer finds out for each span is settled here once: whether it counts
    its spans, and whether its sampler looks at what a span says. The usual ones do not, so
    they are asked first, and what nobody records is not described.

    Attributes:
        drops_below_dropped: Whether what is below a span that is not recorded is never recorded.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer: Any = tracer
        self._listeners = Listeners(getattr(tracer, "span_processor", None))
        self._is_known = type(tracer) is SdkTracer and knows_the_sdk() and not _counts_spans(tracer)
        # From SDK 1.40, and 1.42; before, every tracer was on, and no trace id said to be random.
        self._is_on: Callable[[], bool] = getattr(tracer, "_is_enabled", _yes)
        self._is_random: Callable[[], bool] = getattr(getattr(tracer, "id_generator", None), "is_trace_id_random", _no)
        sampler: Any = getattr(tracer, "sampler", None)
        follows_parents = _follows_parents(sampler)
        self._keeps_sampled = follows_parents or sampler is ALWAYS_ON
        self._takes_roots = sampler is ALWAYS_ON or (follows_parents and sampler._root is ALWAYS_ON)  # noqa: SLF001
        self._asks_first = self._is_known and _decides_by_trace(sampler)
        self.drops_below_dropped = self._asks_first and (follows_parents or sampler is ALWAYS_OFF)

    def start(self, where: Place, describe: Callable[[T], Description], run: T, start_ns: int) -> Span:
        """Start a span in its place.

        Args:
            where: That place.
            describe: Returns the span's name, kind and attributes, these as the SDK would keep
                them: checked, with tuples for lists. The dict is the span's from then on.
            run: What it is to describe; not called for what is not recorded.
            start_ns: Nanoseconds since the epoch.
        """
        tracer = self._tracer
        if not self._asks_first or not self._is_on():
            return self._start_described(where, *describe(run), start_ns)
        around = where.around.get_span_context()
        trace_id, _, _, flags, state, is_valid = around  # its properties are six calls
        above = around if is_valid else None
        if self._keeps_sampled and is_valid and flags in _SAMPLED:
            made = identity(trace_id, tracer.id_generator.generate_span_id(), flags, state)
        elif self._takes_roots and not is_valid:
            ids = tracer.id_generator
            made = identity(
                ids.generate_trace_id(), ids.generate_span_id(), _RANDOMLY if self._is_random() else _SIMPLY, _NO_STATE
            )
        else:
            made, _ = self._ask(where, "", SpanKind.INTERNAL, {})
            if not made.trace_flags.sampled:
                return NonRecordingSpan(made)
        name, kind, attributes = describe(run)
        span = started(tracer, name, made, above, kind, attributes, where.links, start_ns, checked=True)
        if self._listeners.hear_starts():
            self._tell(span, where)
        return span

    def _start_described(self, where: Place, name: str, kind: SpanKind, attributes: Attributes, start_ns: int) -> Span:
        """Start a span where the sampler, or a tracer that is not known, looks at all of it."""
        tracer = self._tracer
        if not self._is_known or not self._is_on():
            theirs: Span = tracer.start_span(name, where.context, kind, attributes, where.links, start_ns)
            return theirs
        made, said = self._ask(where, name, kind, attributes)
        if not said.decision.is_recording():  # type: ignore[no-untyped-call]
            return NonRecordingSpan(made)
        more = said.attributes
        checked = not more or more == attributes
        # What a sampler says is said besides; the SDK would forget what a sampler does not hand on.
        kept = attributes if checked else attributes | dict(more or {})
        parent = where.around.get_span_context()
        above = parent if parent.is_valid else None
        span = started(tracer, name, made, above, kind, kept, where.links, start_ns, checked=checked)
        if self._listeners.hear_starts():
            self._tell(span, where)
        return span

    def _tell(self, span: RunSpan, where: Place) -> None:
        """Tell the processors that a span has started."""
        self._tracer.span_processor.on_start(span, parent_context=where.context)

    def _ask(
        self, where: Place, name: str, kind: SpanKind, attributes: Attributes
    ) -> tuple[SpanContext, SamplingResult]:
        """Ask the sampler, and return the identity that follows, as the SDK's tracer does."""
        tracer, ids = self._tracer, self._tracer.id_generator
        parent = where.around.get_span_context()
        above = parent if parent.is_valid else None
        trace_id = ids.generate_trace_id() if above is None else above.trace_id
        said = tracer.sampler.should_sample(where.context, trace_id, name, kind, attributes, where.links)
        is_random = self._is_random() if above is None else above.trace_flags & _RANDOM
        bits = (TraceFlags.SAMPLED if said.decision.is_sampled() else 0) | (_RANDOM if is_random else 0)
        flags, state = TraceFlags(bits), said.trace_state
        return SpanContext(trace_id, ids.generate_span_id(), False, flags, state), said


def _yes() -> bool:
    return True


def _no() -> bool:
    return False


def _decides_by_trace(sampler: object) -> bool:
    """Return whether a sampler is one of the SDK's that look at the parent and the trace's id, and at nothing else."""
    if type(sampler) is ParentBased:
        return all(map(_decides_by_trace, vars(sampler).values()))
    return sampler in (ALWAYS_ON, ALWAYS_OFF) or type(sampler) is TraceIdRatioBased


def _follows_parents(sampler: object) -> bool:
    """Return whether a sampler is the usual one, which leaves all but roots to the parent's flag."""
    if type(sampler) is not ParentBased:
        return False
    return vars(sampler) == vars(ParentBased(sampler._root))  # noqa: SLF001 - not public, as its other parts


def _counts_spans(tracer: Tracer) -> bool:
    """Return whether the SDK records metrics of its own spans, which is off unless the environment asks for it."""
    counts = type(getattr(tracer, "_tracer_metrics", None))
    return counts is not type(None) and not counts.__name__.startswith("NoOp")
