"""Who counts a call's tokens, told from spans alone."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from chainspan.exporters import _tally
from chainspan.exporters._tally import Tally

from ._tokens import spent

OURS = "chainspan"
THEIRS = "opentelemetry.instrumentation.openai_v2"
OPENINFERENCE = "openinference.instrumentation.openai"


def usage(scope: str, tokens: int, *, embeds: bool = False) -> dict[str, Any]:
    """Return what a library writes of a call: so many tokens in, and twice as many out."""
    kind = "embeddings" if embeds else "chat"
    if scope == OPENINFERENCE:
        kind = "EMBEDDING" if embeds else "LLM"
        counts = {"llm.token_count.prompt": tokens, "llm.token_count.completion": 2 * tokens}
        return {"openinference.span.kind": kind, **counts}
    counts = {"gen_ai.usage.input_tokens": tokens, "gen_ai.usage.output_tokens": 2 * tokens}
    return {"gen_ai.operation.name": kind, **counts}


def context_of(number: int) -> SpanContext:
    """Return the identity of a span of one trace."""
    return SpanContext(7, number, is_remote=False, trace_flags=TraceFlags(1))


def made(number: int, above: int = 0, scope: str = OURS, attributes: Mapping[str, Any] | None = None) -> ReadableSpan:
    """Return a finished span; ``above`` is its parent's number, 0 for none."""
    return ReadableSpan(
        name=f"span {number}",
        context=context_of(number),
        parent=context_of(above) if above else None,
        attributes=attributes or {},
        instrumentation_scope=InstrumentationScope(scope),
    )


def sent(tally: Tally, *batches: Sequence[ReadableSpan]) -> dict[str, dict[str, Any]]:
    """Return the attributes of what leaves, by the span's name."""
    return {span.name: dict(span.attributes or {}) for batch in batches for span in tally.settled(batch)}


MOVED = {
    "gen_ai.operation.name": "chat",
    "chainspan.counted.input_tokens": 5,
    "chainspan.counted.output_tokens": 10,
}


def test_ours_gives_way_to_a_span_below_it() -> None:
    """Our counts are moved, and say who has them; the other library's stay as they are."""
    below, model = made(2, above=1, scope=THEIRS, attributes=usage(THEIRS, 5)), made(1, attributes=usage(OURS, 5))

    left = sent(Tally(), [below], [model])

    assert left == {"span 2": usage(THEIRS, 5), "span 1": {**MOVED, "chainspan.counted.by": THEIRS}}


def test_nothing_is_changed_where_nobody_else_counts() -> None:
    """Without a span of another library with tokens, the very batch is handed on."""
    batch = [made(3, above=2, scope="http"), made(2, above=1, attributes=usage(OURS, 5)), made(1)]

    assert Tally().settled(batch) is batch


def test_spans_between_pass_it_on() -> None:
    """A gateway's or a user's own span between the two changes nothing, whichever batch it is in."""
    spans = [
        made(4, above=3, scope=THEIRS, attributes=usage(THEIRS, 5)),
        made(3, above=2, scope="gateway"),
        made(2, above=1, scope="application"),
        made(1, attributes=usage(OURS, 5)),
    ]

    left = sent(Tally(), spans[:1], spans[1:])

    assert left["span 1"] == {**MOVED, "chainspan.counted.by": THEIRS}


def test_a_call_further_down_is_another_call() -> None:
    """A model that calls a tool that calls a model has tokens of its own, which stay."""
    spans = [
        made(5, above=4, scope=THEIRS, attributes=usage(THEIRS, 5)),
        made(4, above=3, attributes=usage(OURS, 5)),
        made(3, above=2),  # the tool
        made(2, above=1, attributes=usage(OURS, 100)),
        made(1),
    ]

    left = sent(Tally(), spans)

    assert left["span 2"] == usage(OURS, 100)
    assert left["span 4"] == {**MOVED, "chainspan.counted.by": THEIRS}


def test_embeddings_are_no_part_of_a_model_call() -> None:
    """A cache that embeds the question does not cost the model's span its tokens, nor the other way round."""
    spans = [
        made(3, above=2, scope=OPENINFERENCE, attributes=usage(OPENINFERENCE, 1, embeds=True)),
        made(2, above=1, attributes=usage(OURS, 5)),
        made(6, above=5, scope=THEIRS, attributes=usage(THEIRS, 1, embeds=True)),
        made(5, above=1, attributes=usage(OURS, 1, embeds=True)),
    ]

    left = sent(Tally(), spans)

    assert left["span 2"] == usage(OURS, 5)
    assert left["span 5"]["chainspan.counted.by"] == THEIRS


def test_nought_is_no_count() -> None:
    """Where another library writes 0, as some do for streams that they cannot read, ours stay."""
    spans = [made(2, above=1, scope=THEIRS, attributes=usage(THEIRS, 0)), made(1, attributes=usage(OURS, 5))]

    assert sent(Tally(), spans)["span 1"] == usage(OURS, 5)


def test_a_span_that_ends_after_ours_gives_way() -> None:
    """What has left cannot be taken back, so a stream that another library ends late loses its counts."""
    model, late = made(1, attributes=usage(OURS, 5)), made(2, above=1, scope=THEIRS, attributes=usage(THEIRS, 5))
    tally = Tally()

    left = sent(tally, [model], [late])
    again = sent(tally, [model, late])

    assert left == again == {"span 1": usage(OURS, 5), "span 2": {**MOVED, "chainspan.counted.by": OURS}}


def test_totals_of_the_root_stay() -> None:
    """A model that is the root keeps the totals of its trace, and its price."""
    totals = {"chainspan.usage.input_tokens": 5, "chainspan.usage.model_calls": 1, "chainspan.cost": 0.5}
    root = made(1, attributes={**usage(OURS, 5), **totals, "gen_ai.usage.cache_read.input_tokens": 3})

    left = sent(Tally(), [made(2, above=1, scope=THEIRS, attributes=usage(THEIRS, 5)), root])

    moved = {**MOVED, "chainspan.counted.cache_read.input_tokens": 3, "chainspan.counted.by": THEIRS}
    assert left["span 1"] == {**moved, **totals}


@pytest.mark.parametrize(
    ("name", "moved"),
    [("gen_ai.usage.cost", "chainspan.counted.cost"), ("llm.cost.total", "chainspan.counted.cost.total")],
)
def test_a_cost_goes_with_its_tokens(name: str, moved: str) -> None:
    """Backends put a price to the tokens that are left, so that ours would be a second one."""
    model = made(1, attributes={**usage(OURS, 5), name: 0.5, "chainspan.cost": 0.5})

    left = sent(Tally(), [made(2, above=1, scope=THEIRS, attributes=usage(THEIRS, 5)), model])

    assert left["span 1"] == {**MOVED, moved: 0.5, "chainspan.cost": 0.5, "chainspan.counted.by": THEIRS}


def test_all_else_of_a_span_is_kept() -> None:
    """Identity, times, status, events, links and what limits dropped leave as they were."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(span_limits=SpanLimits(max_attributes=4, max_events=1, max_links=1))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    links = [Link(context_of(8)), Link(context_of(9), {"why": "retry"})]
    attributes = {"dropped": True, **usage(OURS, 5), "kept": True}
    span = provider.get_tracer(OURS, "1").start_span("chat", kind=SpanKind.CLIENT, links=links, attributes=attributes)
    span.add_event("dropped")
    span.add_event("kept", {"count": 1})
    span.set_status(Status(StatusCode.ERROR, "broken"))
    span.end()
    [plain] = memory.get_finished_spans()
    below = ReadableSpan(
        "chat",
        context=replace_span(plain.context, 99),
        parent=plain.context,
        attributes=usage(THEIRS, 5),
        instrumentation_scope=InstrumentationScope(THEIRS),
    )

    _, moved = Tally().settled([below, plain])
    [expected], [got] = (encode_spans([each]).resource_spans[0].scope_spans[0].spans for each in (plain, moved))

    assert dict(moved.attributes or {}) == {**MOVED, "kept": True, "chainspan.counted.by": THEIRS}
    assert (got.dropped_attributes_count, got.dropped_events_count, got.dropped_links_count) == (1, 1, 1)
    for each in (expected, got):
        del each.attributes[:]
    assert got == expected


def replace_span(context: SpanContext, number: int) -> SpanContext:
    """Return the identity of another span in the same trace."""
    return SpanContext(context.trace_id, number, is_remote=False, trace_flags=context.trace_flags)


@dataclass(frozen=True)
class Node:
    """A span to be made: a call of ours, one of another library's, or nobody's; each has a parent before it."""

    above: int
    scope: str
    tokens: int
    embeds: bool

    @property
    def is_ours(self) -> bool:
        """Tell our spans."""
        return self.scope == OURS


@st.composite
def trees(draw: st.DrawFn) -> list[Node]:
    """Return spans, each below one of those before it, with tokens that are true.

    What a model of ours says is what the calls below it add up to, where they are counted.
    """
    count = draw(st.integers(1, 14))
    nodes = [
        Node(
            above=draw(st.integers(0, number)),
            scope=draw(st.sampled_from([OURS, THEIRS, OPENINFERENCE, "application"])),
            tokens=draw(st.integers(0, 9)),
            embeds=draw(st.booleans()),
        )
        for number in range(count)
    ]
    return [_truthful(nodes, number + 1) for number in range(count)]


def _truthful(nodes: Sequence[Node], number: int) -> Node:
    node = nodes[number - 1]
    below = sum(nodes[each - 1].tokens for each in _counted_below(nodes, number, embeds=node.embeds))
    return replace(node, tokens=below) if node.is_ours and node.tokens and below else node


def _counted_below(nodes: Sequence[Node], number: int, *, embeds: bool) -> Iterable[int]:
    """Yield the other libraries' spans with tokens below one, down to the next one of ours."""
    for each, node in enumerate(nodes, 1):
        if node.above == number and not node.is_ours:
            if node.tokens and node.embeds is embeds:
                yield each
            yield from _counted_below(nodes, each, embeds=embeds)


def truth(nodes: Sequence[Node]) -> tuple[int, int]:
    """Return what was really used: what the other libraries counted, and our calls that nobody else counted."""
    theirs = sum(node.tokens for node in nodes if not node.is_ours)
    ours = sum(
        node.tokens
        for number, node in enumerate(nodes, 1)
        if node.is_ours and not any(_counted_below(nodes, number, embeds=node.embeds))
    )
    return theirs + ours, 2 * (theirs + ours)


def in_some_order(nodes: Sequence[Node], random: Random) -> list[ReadableSpan]:
    """Return the spans as they may end: each after all that lies below it."""
    open_ones = dict(enumerate(nodes, 1))
    ended = []
    while open_ones:
        free = [number for number in open_ones if all(node.above != number for node in open_ones.values())]
        number = random.choice(free)
        node = open_ones.pop(number)
        attributes = usage(node.scope, node.tokens, embeds=node.embeds) if node.tokens else {}
        ended.append(made(number, node.above, node.scope, attributes))
    return ended


def in_batches(spans: Sequence[ReadableSpan], random: Random) -> list[list[ReadableSpan]]:
    """Return the spans cut anywhere, shuffled within a batch, and some batches twice."""
    batches: list[list[ReadableSpan]] = [[]]
    for span in spans:
        if random.random() < 0.4:
            batches.append([])
        batches[-1].append(span)
    for batch in batches:
        random.shuffle(batch)
    return [batch for batch in batches for _ in range(random.choice([1, 1, 2]))]


@given(nodes=trees(), random=st.randoms(use_true_random=False))
def test_the_sum_over_any_trace_is_the_truth(nodes: list[Node], random: Random) -> None:
    """Whatever lies below whatever, and however it is batched and repeated, each call counts once."""
    batches = in_batches(in_some_order(nodes, random), random)
    tally = Tally()

    first = sent(tally, *batches)
    again = sent(tally, *batches)

    assert spent(first.values()) == truth(nodes)
    assert again == first


def test_what_is_remembered_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is forgotten where too many calls are open at a time, and costs no more than its sum."""
    monkeypatch.setattr(_tally, "_MOST_KEPT", 2)
    calls = range(1, 5)
    tally = Tally()

    sent(tally, [made(10 + each, above=each, scope=THEIRS, attributes=usage(THEIRS, 1)) for each in calls])
    left = sent(tally, [made(each, attributes=usage(OURS, 1)) for each in calls])

    assert spent(left.values()) == (2, 4)
    assert (len(tally._below), len(tally._sent)) == (2, 2)


def test_threads_share_it() -> None:
    """Spans of many threads, handed over one by one as a spool takes them, are each counted once."""
    tally, results = Tally(), list[dict[str, dict[str, Any]]]()

    def work(first: int) -> None:
        for number in range(first, first + 200, 2):
            below = made(number + 1, above=number, scope=THEIRS, attributes=usage(THEIRS, 1))
            results.append(sent(tally, [below], [made(number, attributes=usage(OURS, 1))]))

    threads = [threading.Thread(target=work, args=(first,)) for first in range(1, 2_000, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert spent(each for result in results for each in result.values()) == (1_000, 2_000)


def test_a_span_may_end_while_another_is_looked_at() -> None:
    """The garbage collector ends abandoned streams wherever it runs, in the same thread too."""
    tally = Tally()
    model = made(1, attributes=usage(OURS, 5))

    with tally._lock:
        left = tally.settled([model])

    assert left == [model]


class Broken(ReadableSpan):
    """A span whose attributes cannot be read."""

    @property
    def attributes(self) -> MappingProxyType[str, Any]:
        """Fail."""
        raise RuntimeError("no attributes")


def test_a_fault_of_ours_costs_no_span(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be looked at is handed on as it is, with all that came with it."""
    monkeypatch.delenv("CHAINSPAN_STRICT")
    batch = [Broken("broken", context=context_of(2)), made(1, attributes=usage(OURS, 5))]

    assert Tally().settled(batch) is batch
