"""How a run's span is started: sampled as its tracer samples, and made at the least cost."""

from __future__ import annotations

from typing import Any, Final

from opentelemetry.sdk.trace import Tracer as SdkTracer
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags, Tracer

from ._model import AttributeValue
from ._placement import Place
from ._run_span import RunSpan, knows_the_sdk

__all__ = ["Spans"]

_RANDOM: Final[int] = getattr(TraceFlags, "RANDOM_TRACE_ID", 0)
_SAMPLED: Final = frozenset({TraceFlags.SAMPLED, TraceFlags.SAMPLED | _RANDOM})


class Spans:
    """Starts the spans of one tracer.

    What the SDK's own tracer would ask for each span is settled here once: whether it counts
    its spans, and whether its sampler does as the parent says, as the usual one does.

    Attributes:
        drops_below_dropped: Whether what is below a span that is not recorded is never recorded.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer: Any = tracer
        self._is_known = type(tracer) is SdkTracer and knows_the_sdk() and not _counts_spans(tracer)
        sampler = getattr(tracer, "sampler", None)
        follows_parents = _follows_parents(sampler)
        self._keeps_sampled = follows_parents or sampler is ALWAYS_ON
        self.drops_below_dropped = follows_parents or sampler is ALWAYS_OFF

    def start(
        self, where: Place, name: str, kind: SpanKind, attributes: dict[str, AttributeValue], start_ns: int
    ) -> Span:
        """Start a span in its place.

        The attributes are what the SDK would keep of them: checked, and with tuples for
        lists. The dict is the span's from here on.
        """
        tracer = self._tracer
        if not self._is_known or not tracer._is_enabled():  # noqa: SLF001
            span: Span = tracer.start_span(name, where.context, kind, attributes, where.links, start_ns)
            return span
        parent = where.around.get_span_context()
        if not (self._keeps_sampled and parent.is_valid and parent.trace_flags in _SAMPLED):
            return self._ask(where, name, kind, attributes, start_ns)
        span_id = tracer.id_generator.generate_span_id()
        identity = SpanContext(parent.trace_id, span_id, False, parent.trace_flags, parent.trace_state)
        made = RunSpan(tracer, name, identity, parent, kind, attributes, start_ns, checked=True)
        made.begin(where.context, where.links)
        return made

    def _ask(
        self, where: Place, name: str, kind: SpanKind, attributes: dict[str, AttributeValue], start_ns: int
    ) -> Span:
        """Start a span if the sampler takes it, as the SDK's tracer does."""
        tracer, ids = self._tracer, self._tracer.id_generator
        parent = where.around.get_span_context()
        above = parent if parent.is_valid else None
        trace_id = ids.generate_trace_id() if above is None else above.trace_id
        said = tracer.sampler.should_sample(where.context, trace_id, name, kind, attributes, where.links)
        is_random = ids.is_trace_id_random() if above is None else above.trace_flags & _RANDOM
        bits = (TraceFlags.SAMPLED if said.decision.is_sampled() else 0) | (_RANDOM if is_random else 0)
        identity = SpanContext(
            trace_id,
            ids.generate_span_id(),
            is_remote=False,
            trace_flags=TraceFlags(bits),
            trace_state=said.trace_state,
        )
        if not said.decision.is_recording():
            return NonRecordingSpan(identity)
        checked = said.attributes == attributes  # a sampler may add some
        kept = dict(attributes if checked else said.attributes or {})
        span = RunSpan(tracer, name, identity, above, kind, kept, start_ns, checked=checked)
        span.begin(where.context, where.links)
        return span


def _follows_parents(sampler: object) -> bool:
    """Return whether a sampler is the usual one, which leaves all but roots to the parent's flag."""
    if type(sampler) is not ParentBased:
        return False
    return vars(sampler) == vars(ParentBased(sampler._root))  # noqa: SLF001 - not public, as its other parts


def _counts_spans(tracer: Tracer) -> bool:
    """Return whether the SDK records metrics of its own spans, which is off unless the environment asks for it."""
    counts = type(getattr(tracer, "_tracer_metrics", None))
    return counts is not type(None) and not counts.__name__.startswith("NoOp")
