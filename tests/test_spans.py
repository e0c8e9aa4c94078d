"""A run's span is to everybody what the SDK's tracer would have made."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from unittest.mock import MagicMock

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    StaticSampler,
    TraceIdRatioBased,
)
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    NoOpTracerProvider,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
    get_current_span,
    set_span_in_context,
)
from typing_extensions import override

from chainspan import _spans
from chainspan._isolated import Isolated
from chainspan._listeners import does_nothing
from chainspan._placement import Place
from chainspan._run_span import RunSpan, knows_the_sdk
from chainspan._spans import Spans

Start = Callable[[Span, dict[str, Any], tuple[Link, ...]], Span]


class Counting(IdGenerator):
    """Gives the same ids to whoever asks for as many."""

    def __init__(self) -> None:
        self._ids = count(1)

    @override
    def generate_span_id(self) -> int:
        return next(self._ids)

    @override
    def generate_trace_id(self) -> int:
        return next(self._ids) << 64


class Random(Counting):
    """Says that its trace ids are random in all their bits."""

    @override
    def is_trace_id_random(self) -> bool:
        return True


@dataclass
class Kept(SpanProcessor):
    """Keeps what it is told of."""

    started: list[tuple[str, Span]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    spans: list[ReadableSpan] = field(default_factory=list)

    @override
    def on_start(self, span: SdkSpan, parent_context: Context | None = None) -> None:
        self.started.append((span.to_json(), get_current_span(parent_context)))

    @override
    def on_end(self, span: ReadableSpan) -> None:
        self.ended.append(span.to_json())
        self.spans.append(span)


class Adding(Sampler):
    """Records all, and says more of each; the state of the trace too."""

    @override
    def should_sample(self, parent_context: Context | None, *args: Any, **_: Any) -> SamplingResult:
        attributes = {**(args[3] or {}), "sampled.by": "Adding", "run": "another"}
        return SamplingResult(Decision.RECORD_ONLY, attributes, TraceState([("k", "v")]))

    @override
    def get_description(self) -> str:
        return "Adding"


SAMPLERS = {
    "default": ParentBased(ALWAYS_ON),
    "on": ALWAYS_ON,
    "off": ALWAYS_OFF,
    "own-on": StaticSampler(Decision.RECORD_AND_SAMPLE),
    "parent-else-off": ParentBased(ALWAYS_OFF),
    "parent-else-some": ParentBased(TraceIdRatioBased(0.5)),
    "against-parent": ParentBased(ALWAYS_ON, local_parent_sampled=ALWAYS_OFF, local_parent_not_sampled=ALWAYS_ON),
    "some": TraceIdRatioBased(0.5),
    "adding": Adding(),
}


def _parent(flags: int, *, is_remote: bool = False) -> Span:
    state = TraceState([("vendor", "1")])
    return NonRecordingSpan(SpanContext(7 << 64, 9, is_remote, TraceFlags(flags), state))


PARENTS = {
    "none": INVALID_SPAN,
    "sampled": _parent(1),
    "not-sampled": _parent(0),
    "remote": _parent(1, is_remote=True),
    "remote-not-sampled": _parent(0, is_remote=True),
    "random": _parent(3),
    "random-not-sampled": _parent(2),
    "unknown-flags": _parent(0xFF),
}

LIMITS = {
    "usual": SpanLimits(),
    "few": SpanLimits(max_span_attributes=2, max_events=1, max_links=1),
    "none": SpanLimits(max_span_attributes=0, max_events=0, max_links=0),
    "short": SpanLimits(max_span_attribute_length=3, max_attribute_length=2),
}


def _tracer(
    sampler: Sampler = ALWAYS_ON, limits: SpanLimits | None = None, ids: IdGenerator | None = None
) -> tuple[Tracer, Kept]:
    kept = Kept()
    provider = TracerProvider(
        sampler=sampler,
        resource=Resource({"service.name": "s"}),
        id_generator=ids or Counting(),
        span_limits=limits,
        shutdown_on_exit=False,
    )
    provider.add_span_processor(kept)
    return provider.get_tracer("chainspan", "1", "https://schema", {"a": 1}), kept


def _by_the_sdk(tracer: Tracer) -> Start:
    def start(above: Span, attributes: dict[str, Any], links: tuple[Link, ...]) -> Span:
        return tracer.start_span("n", set_span_in_context(above), SpanKind.CLIENT, attributes, links, 100)

    return start


def _by_us(tracer: Tracer) -> Start:
    spans = Spans(tracer)

    def start(above: Span, attributes: dict[str, Any], links: tuple[Link, ...]) -> Span:
        where = Place(above, Context(), (), links)
        return spans.start(where, lambda said: ("n", SpanKind.CLIENT, said), attributes, 100)

    return start


def _live(span: Span) -> None:
    """Do all that a span allows, with the same times each time."""
    span.set_attribute("one", [1, 2])
    span.set_attributes({"two": "zwei", "run": "r2"})
    span.add_event("e", {"text": "long enough"}, 110)
    span.add_event("f", None, 120)
    span.add_link(SpanContext(3 << 64, 4, is_remote=False))
    span.set_status(Status(StatusCode.ERROR, "why"))
    span.update_name("renamed")
    (span.take if isinstance(span, RunSpan) else span.set_attributes)({"three": (1, 2), "four": "vier"})
    span.end(200)


def _all_of(start: Start, kept: Kept, above: Span, *, links: tuple[Link, ...] = ()) -> dict[str, Any]:
    attributes = {"run": "r1", "many": ("a", "b"), "long": "x" * 50}
    span = start(above, dict(attributes), links)
    before = (span.get_span_context(), span.is_recording())
    _live(span)
    return {
        "identity": before,
        "started": kept.started,
        "ended": kept.ended,
        "dropped": [(end.dropped_attributes, end.dropped_events, end.dropped_links) for end in kept.spans],
        "recording": span.is_recording(),
    }


@pytest.mark.parametrize("parent", PARENTS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_span_is_sampled_as_by_the_sdk(sampler: str, parent: str) -> None:
    """Whatever the sampler and the parent: identity, flags, state, parent and content are the same."""
    for ids in (Counting, Random):
        theirs, their_spans = _tracer(SAMPLERS[sampler], ids=ids())
        ours, our_spans = _tracer(SAMPLERS[sampler], ids=ids())

        expected = _all_of(_by_the_sdk(theirs), their_spans, PARENTS[parent])
        made = _all_of(_by_us(ours), our_spans, PARENTS[parent])

        assert made == expected


def test_a_sampler_that_hands_no_attributes_on_takes_none_away() -> None:
    """What a sampler says of a span is said besides, as OpenTelemetry's specification has it."""

    class Terse(Adding):
        @override
        def should_sample(self, parent_context: Context | None, *args: Any, **_: Any) -> SamplingResult:
            return SamplingResult(Decision.RECORD_AND_SAMPLE, {"by": ["Terse"]} if args[1] == "some" else None)

    tracer, kept = _tracer(Terse())
    spans, root = Spans(tracer), Place(INVALID_SPAN, Context())

    spans.start(root, lambda name: (name, SpanKind.INTERNAL, {"run": "r1"}), "none", 100).end(200)
    spans.start(root, lambda name: (name, SpanKind.INTERNAL, {"run": "r1"}), "some", 100).end(200)

    assert [dict(span.attributes or {}) for span in kept.spans] == [{"run": "r1"}, {"run": "r1", "by": ("Terse",)}]


@pytest.mark.parametrize(("sampler", "described"), [("off", 0), ("default", 1), ("parent-else-off", 0), ("adding", 1)])
def test_what_nobody_records_is_not_described(sampler: str, described: int) -> None:
    """A sampler of the SDK's that drops a span does so before it is found out what the span says."""
    made: list[int] = []
    spans, root = Spans(_tracer(SAMPLERS[sampler])[0]), Place(INVALID_SPAN, Context())

    def describe(name: str) -> tuple[str, SpanKind, dict[str, Any]]:
        made.append(1)
        return name, SpanKind.INTERNAL, {}

    spans.start(root, describe, "n", 100)

    assert len(made) == described


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("links", [0, 2])
def test_limits_hold_as_in_the_sdk(limits: str, links: int) -> None:
    """What an application's limits cut off and count is cut off and counted."""
    linked = tuple(Link(SpanContext(5 << 64, index + 1, is_remote=False), {"index": index}) for index in range(links))
    theirs, their_spans = _tracer(limits=LIMITS[limits])
    ours, our_spans = _tracer(limits=LIMITS[limits])

    expected = _all_of(_by_the_sdk(theirs), their_spans, INVALID_SPAN, links=linked)
    made = _all_of(_by_us(ours), our_spans, INVALID_SPAN, links=linked)

    assert made == expected


class Deaf(SpanProcessor):
    """Waits for the ends of spans."""

    @override
    def on_start(self, span: SdkSpan, parent_context: Context | None = None) -> None:
        """Do nothing, and say so."""


class Derived(Deaf):
    """Does what its base leaves undone, with what any call can do."""

    told = 0

    @override
    def on_start(self, span: SdkSpan, parent_context: Context | None = None) -> None:
        self.told += 1


@pytest.mark.parametrize(
    ("processor", "listens"),
    [
        (SpanProcessor(), False),
        (BatchSpanProcessor(InMemorySpanExporter()), False),
        (SimpleSpanProcessor(InMemorySpanExporter()), False),
        (Deaf(), False),
        (Derived(), True),
        (Kept(), True),
        (Isolated(Deaf()), False),
        (Isolated(Kept()), True),
        (Isolated(Isolated(BatchSpanProcessor(InMemorySpanExporter()))), False),
        (MagicMock(spec=SpanProcessor), True),
    ],
)
def test_who_listens_to_starts(processor: SpanProcessor, listens: bool) -> None:
    """A processor that does something at a start listens, and so does one whose code cannot be seen."""
    assert does_nothing(processor.on_start) is not listens
    processor.shutdown()


def test_a_processor_that_comes_later_is_told_of_starts() -> None:
    """Which processors listen is found out anew when one is added."""
    first, second, parent = Derived(), Kept(), NonRecordingSpan(SpanContext(1, 2, False, TraceFlags(1)))
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Deaf())
    spans, told = Spans(provider.get_tracer("t")), []
    where = Place(parent, Context({"k": "v"}))

    for added in (None, first, second):
        if added is not None:
            provider.add_span_processor(added)
        spans.start(where, lambda name: (name, SpanKind.INTERNAL, {}), "n", 100)
        told.append((first.told, [around for _, around in second.started]))

    assert told == [(0, []), (1, []), (2, [parent])]


def test_the_sdk_of_today_is_known() -> None:
    """The quick way is taken with the SDK that is installed, or the costs on our page are not true."""
    tracer, _ = _tracer()

    assert knows_the_sdk()
    assert type(_by_us(tracer)(INVALID_SPAN, {}, ())) is RunSpan


def test_an_ended_span_stays_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    """Who changes a span that has ended is told so in the SDK's words, and changes nothing."""

    def said(start: Start, kept: Kept) -> tuple[list[str], list[str]]:
        caplog.clear()
        span = start(INVALID_SPAN, {"run": "r1"}, ())
        span.end(200)
        with caplog.at_level(logging.WARNING):
            _live(span)
            span.end(300)
        assert [one.to_json() for one in kept.spans] == kept.ended
        return [record.getMessage() for record in caplog.records], kept.ended

    theirs, their_spans = _tracer()
    ours, our_spans = _tracer()

    expected, ended = said(_by_the_sdk(theirs), their_spans)
    warned, ours_ended = said(_by_us(ours), our_spans)

    assert ours_ended == ended
    assert set(warned) == set(expected)


def test_a_span_in_a_with_statement_records_what_is_raised() -> None:
    """A user may hold a run's span as any span; what is raised through it is recorded, and it ends now."""
    tracer, kept = _tracer()

    with pytest.raises(ValueError, match="boom"), _by_us(tracer)(INVALID_SPAN, {}, ()):
        raise ValueError("boom")

    (ended,) = kept.spans
    assert [event.name for event in ended.events] == ["exception"]
    assert ended.status.description == "ValueError: boom"
    assert ended.end_time is not None
    assert ended.end_time > 100


def test_a_copy_of_an_ended_span_is_readable() -> None:
    """Exporters that change what they export copy it deep first, where the SDK's own spans can be."""

    def copied(start: Start, kept: Kept) -> object:
        start(INVALID_SPAN, {"run": "r1"}, ()).end(200)
        try:
            found = copy.deepcopy(kept.spans[0])
        except TypeError as error:  # of the locks that spans of before 1.40 hold
            return str(error)
        assert found.attributes is not kept.spans[0].attributes
        assert found.to_json() == kept.ended[0]
        return found.to_json()

    theirs, their_spans = _tracer()
    ours, our_spans = _tracer()

    assert copied(_by_us(ours), our_spans) == copied(_by_the_sdk(theirs), their_spans)


def _disabled() -> Tracer:
    tracer: Any = _tracer()[0]
    config = copy.copy(tracer._tracer_config)
    config.is_enabled = False
    tracer._set_tracer_config(config)
    return tracer  # type: ignore[no-any-return]


def _counted(monkeypatch: pytest.MonkeyPatch) -> Tracer:
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")
    reader = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    return TracerProvider(meter_provider=reader, shutdown_on_exit=False).get_tracer("t")


# From SDK 1.40 on, a tracer can be switched off, and can count its spans.
_LATER = ["disabled", "counted"] if hasattr(_tracer()[0], "_tracer_config") else []


@pytest.mark.parametrize("which", ["noop", *_LATER, "unknown"])
def test_what_is_not_known_is_left_to_the_tracer(which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another library's tracer, one that is off, one that counts, and an SDK with other fields make their own spans."""
    if which == "unknown":
        monkeypatch.setattr(_spans, "knows_the_sdk", lambda: False)
    tracers: dict[str, Callable[[], Tracer]] = {
        "noop": lambda: NoOpTracerProvider().get_tracer("t"),
        "disabled": _disabled,
        "counted": lambda: _counted(monkeypatch),
        "unknown": lambda: _tracer()[0],
    }
    tracer = tracers[which]()

    made = _by_us(tracer)(INVALID_SPAN, {"run": "r1"}, ())

    assert type(made) is type(_by_the_sdk(tracer)(INVALID_SPAN, {"run": "r1"}, ()))
    assert type(made) is not RunSpan


@pytest.mark.parametrize(
    ("sampler", "drops"),
    [
        ("default", True),
        ("off", True),
        ("parent-else-off", True),
        ("on", False),
        ("against-parent", False),
        ("some", False),
    ],
)
def test_which_samplers_drop_all_below_what_they_drop(sampler: str, drops: bool) -> None:
    """Only where it is certain are the runs below one that is not recorded left out."""
    assert Spans(_tracer(SAMPLERS[sampler])[0]).drops_below_dropped is drops
