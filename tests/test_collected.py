"""The garbage collector ends the runs of streams that were dropped, also while something of ours is being counted."""

from __future__ import annotations

import gc
import itertools
import sys
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.runnables import RunnableConfig
from opentelemetry import context as otel_context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics._internal.aggregation import _ExplicitBucketHistogramAggregation
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import Span

from chainspan import OtelHandler
from chainspan._batching import BatchingProcessor
from chainspan._delivery import Delivery
from chainspan._feeding import DirectProcessor
from chainspan._profiles._receivers import Claims
from chainspan.exporters import ConsoleProcessor
from chainspan.exporters._senders import Answer, Verdict
from chainspan.exporters._spool import SpoolExporter

from .test_delivery import Stuck

pytestmark = pytest.mark.timeout(20)

_ALLOCATIONS = 80  # after each of which the collector is made to run, once


class Garbage:
    """What only the collector finds."""

    def __init__(self) -> None:
        """Refer to itself."""
        self.itself = self


class Busy:
    """An endpoint that takes nothing."""

    endpoint = "http://endpoint.test/v1/traces"

    def send(self, body: bytes) -> Answer:
        """Say so."""
        return Answer(verdict=Verdict.BUSY, reason="as told")

    def close(self) -> None:
        """Hold nothing."""


@pytest.fixture(autouse=True)
def as_collector() -> object:
    """Put the collector back as it was."""
    thresholds = gc.get_threshold()
    yield None
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    gc.enable()


def finish(work: Callable[[], object]) -> None:
    """Do some work in a thread, which is left behind where it waits for itself."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()


def collect_within(work: Callable[[], object], meanwhile: Callable[[], object]) -> None:
    """Do some work again and again, and have the collector do something else at each of its allocations in turn."""
    gc.collect()
    gc.freeze()
    for allocations in range(_ALLOCATIONS):
        gc.collect()
        gc.disable()
        told = weakref.ref(Garbage(), lambda _: meanwhile())
        gc.set_threshold(gc.get_count()[0] + allocations, 1_000, 1_000)
        gc.enable()
        finish(work)
        gc.disable()
        gc.collect()  # where the work had fewer allocations
        del told


def _started(processor: SpanProcessor) -> Callable[[], Span]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    attributes = {"chainspan.run.id": "1", "chainspan.run.type": "chain", "chainspan.run.name": "step"}
    return lambda: provider.get_tracer("test").start_span("step", attributes=attributes)


def test_console_while_it_counts() -> None:
    """The console's numbers are given out under a lock, which the collector's thread does not wait for."""
    lines: list[str] = []
    start = _started(ConsoleProcessor(lines.append))
    dropped = [start() for _ in range(_ALLOCATIONS)]
    lines.clear()

    collect_within(lambda: start().end(), lambda: dropped.pop().end())

    assert (dropped, len(lines)) == ([], 3 * _ALLOCATIONS)


def test_spool_while_it_opens_a_file(tmp_path: Path) -> None:
    """A span that ends while another one is written has a file of its own, and none is lost."""
    clock = itertools.count(time.time_ns())
    meanwhile: list[Span] = []

    def now_ns() -> int:
        if meanwhile:  # which is asked as a file is opened, with the lock held
            meanwhile.pop().end()
        return next(clock)

    spool = SpoolExporter(tmp_path, Busy(), now_ns=now_ns)
    start = _started(DirectProcessor(spool))
    outer, inner, last = start(), start(), start()
    meanwhile.append(inner)

    finish(outer.end)
    last.end()
    waiting = spool.flush(0.0)
    spool.close(0.1)

    assert waiting == Delivery(pending=3)
    assert len(list(tmp_path.glob("*.otlp"))) + len(list(tmp_path.glob("*.sending"))) == 2
    assert list(tmp_path.glob("*.open")) == []


def test_claims_while_one_is_noted() -> None:
    """What metrics are recorded of is claimed under a lock, too."""
    claims, meanwhile = Claims(), [2]

    class Number(int):
        """Has a run end while it is looked up."""

        def __hash__(self) -> int:
            if meanwhile:
                claims.take(meanwhile.pop(), 1)
            return int(self)

    finish(lambda: claims.take(Number(1), 1))

    assert [claims.take(run_id, 2) for run_id in (1, 2, 3)] == [False, False, True]


def test_metrics_while_the_sdk_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK has locks of its own, which keep out a thread that is inside already."""
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    handler = OtelHandler(tracer_provider=TracerProvider(shutdown_on_exit=False), meter_provider=meters)
    model = FakeListChatModel(responses=["yes"])
    config: RunnableConfig = {"callbacks": [handler]}
    kept, counts = Garbage(), _ExplicitBucketHistogramAggregation._get_empty_bucket_counts

    def collecting(aggregation: _ExplicitBucketHistogramAggregation) -> list[int]:
        gc.collect()  # which is called with the lock held
        return counts(aggregation)

    gc.disable()
    kept.itself = model.stream("dropped", config)  # type: ignore[assignment]
    next(kept.itself)  # type: ignore[call-overload]
    kept.others = kept  # type: ignore[attr-defined]
    del kept
    monkeypatch.setattr(_ExplicitBucketHistogramAggregation, "_get_empty_bucket_counts", collecting)

    finish(lambda: model.invoke("question", config))
    deadline = time.monotonic() + 5
    while handler.in_flight() and time.monotonic() < deadline:
        time.sleep(0.01)

    assert handler.in_flight() == []


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="the collector runs between steps of Python code only")
def test_no_context_variable_is_set_by_the_collector() -> None:
    """The end of a chain's stream is reported as one that went well, and changes no context all the same."""
    handler, run_id = OtelHandler(tracer_provider=TracerProvider(shutdown_on_exit=False)), uuid4()
    handler.on_chain_start({}, {}, run_id=run_id, name="stream")
    before = otel_context.get_current()

    gc.disable()
    told = weakref.ref(Garbage(), lambda _: handler.on_chain_end({}, run_id=run_id))
    gc.collect()

    assert (told(), handler.in_flight()) == (None, [])
    assert otel_context.get_current() is before


def test_full_queue_counts_each_span_that_is_dropped() -> None:
    """None is forgotten that is dropped while another one is counted, which a flush would wait for in vain."""
    exporter = Stuck()
    processor = BatchingProcessor(exporter, max_queue_spans=1, max_batch_spans=1)
    start = _started(processor)
    dropped = [start() for _ in range(_ALLOCATIONS)]
    start().end()

    collect_within(lambda: start().end(), lambda: dropped.pop().end())
    exporter.gate.set()
    answer = processor.flush(5)
    processor.close(0.1)

    assert (answer.pending, answer.delivered + answer.dropped) == (0, 2 * _ALLOCATIONS + 1)


def test_one_thread_of_a_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """A span that ends while the thread is being made starts no second one."""
    made: list[threading.Thread] = []

    class Thread(threading.Thread):
        """Ends a span as it is made, as the collector may."""

        def __init__(self, **kwargs: object) -> None:
            super().__init__(**kwargs)  # type: ignore[arg-type]
            made.append(self)
            if meanwhile:
                meanwhile.pop().end()

    processor = BatchingProcessor(Stuck())
    start = _started(processor)
    first, meanwhile = start(), [start()]
    monkeypatch.setattr(threading, "Thread", Thread)

    first.end()

    assert [thread.is_alive() for thread in made] == [False, True]
