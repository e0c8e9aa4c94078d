"""A flush keeps its timeout, flushes everything at once, and says what it knows and what it does not."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, get_value
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from typing_extensions import override

from chainspan import ConfigurationError, _guard
from chainspan._batching import BatchingProcessor
from chainspan._delivery import Delivery, aflush_all, flush_all
from chainspan._feeding import processor_for

pytestmark = pytest.mark.timeout(20)


class Fixed(SpanProcessor):
    """Flushes in some time, with some answer."""

    def __init__(self, answer: Delivery, takes_s: float = 0.0) -> None:
        """Prepare the answer."""
        self._answer = answer
        self._takes_s = takes_s

    def flush(self, timeout_s: float) -> Delivery:
        """Answer late."""
        time.sleep(self._takes_s)
        return self._answer


class Silent(SpanProcessor):
    """Flushes for as long as it may, and does not tell."""

    @override
    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Take all of the time."""
        time.sleep(timeout_millis / 1_000)
        return True


class Stuck(SpanExporter):
    """Exports when it is let go."""

    def __init__(self) -> None:
        """Be stuck."""
        self.gate = threading.Event()
        self.sizes: list[int] = []
        self.suppressed: set[object] = set()

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Wait, then succeed."""
        self.gate.wait()
        self.sizes.append(len(spans))
        self.suppressed.add(get_value(_SUPPRESS_INSTRUMENTATION_KEY))
        return SpanExportResult.SUCCESS

    @override
    def shutdown(self) -> None:
        """Hold nothing."""


def emit(processor: SpanProcessor, count: int) -> None:
    """Make spans."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    for number in range(count):
        provider.get_tracer("test").start_span(f"span {number}").end()


@pytest.mark.parametrize(
    ("delivery", "expected"),
    [
        (Delivery(), True),
        (Delivery(delivered=3), True),
        (Delivery(delivered=3, pending=1), False),
        (Delivery(delivered=3, rejected=1), False),
        (Delivery(delivered=3, dropped=1), False),
        (Delivery(unverified=("BatchSpanProcessor",)), False),
    ],
    ids=str,
)
def test_delivery_is_true_when_everything_arrived(delivery: Delivery, expected: bool) -> None:
    """One span that waits, is lost or unknown makes it false."""
    assert bool(delivery) is expected


def test_deliveries_add_up() -> None:
    """A pipeline's delivery is that of its processors together."""
    one = Delivery(delivered=1, pending=2, rejected=3, dropped=4, unverified=("A",))
    two = Delivery(delivered=10, pending=20, rejected=30, dropped=40, unverified=("B",))

    both = one + two

    assert both == Delivery(delivered=11, pending=22, rejected=33, dropped=44, unverified=("A", "B"))
    assert both.lost == 77


@pytest.mark.parametrize("timeout_s", [float("inf"), 1e12])
async def test_flush_may_be_given_all_the_time_there_is(timeout_s: float) -> None:
    """A timeout without an end is a long one, and no error."""
    processors = [BatchingProcessor(InMemorySpanExporter())]

    assert flush_all(processors, timeout_s) == await aflush_all(processors, timeout_s) == Delivery()


def test_all_are_flushed_at_the_same_time() -> None:
    """A slow processor takes no time from the next one."""
    processors = [Fixed(Delivery(delivered=1), 0.3), Fixed(Delivery(delivered=2), 0.3)]
    began_s = time.monotonic()

    answer = flush_all(processors, 5)

    assert answer == Delivery(delivered=3)
    assert time.monotonic() - began_s < 0.55


@pytest.mark.parametrize("flush", ["sync", "async"])
async def test_flush_leaves_behind_what_does_not_return(flush: str) -> None:
    """The timeout holds for processors that ignore it, and the answer names them."""
    exporter = Stuck()
    foreign = BatchSpanProcessor(exporter)
    emit(foreign, 1)
    processors = [foreign, Fixed(Delivery(delivered=2))]
    began_s = time.monotonic()

    answer = await aflush_all(processors, 0.3) if flush == "async" else flush_all(processors, 0.3)

    assert time.monotonic() - began_s < 0.6
    assert answer == Delivery(delivered=2, unverified=("BatchSpanProcessor",))
    exporter.gate.set()
    foreign.shutdown()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("flush", ["sync", "async"])
async def test_flush_needs_no_thread(monkeypatch: pytest.MonkeyPatch, flush: str) -> None:
    """Where none can be started, at a process's end or a system's limit, a flush still answers within its timeout."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    processors = [Fixed(Delivery(delivered=1)), Silent(), Fixed(Delivery(pending=2))]
    began_s = time.monotonic()

    answer = await aflush_all(processors, 0.3) if flush == "async" else flush_all(processors, 0.3)

    assert answer == Delivery(delivered=1, pending=2, unverified=("Silent",))
    assert time.monotonic() - began_s < 0.4


async def test_flush_does_not_wait_for_the_threads_of_the_loop() -> None:
    """The loop's own threads may all be at work for long, such as in tools that are not async."""
    loop = asyncio.get_running_loop()
    done = threading.Event()
    with ThreadPoolExecutor(1) as executor:
        loop.set_default_executor(executor)
        at_work = loop.run_in_executor(None, done.wait, 5)

        answer = await asyncio.wait_for(aflush_all([Fixed(Delivery(delivered=1))], 0.3), 2)

        done.set()
        assert await at_work
    assert answer == Delivery(delivered=1)


def test_stuck_exporter_holds_up_neither_spans_nor_flush() -> None:
    """While an exporter hangs, spans end at once, a flush returns in time, and the count is right after it."""
    exporter = Stuck()
    processor = BatchingProcessor(exporter, max_queue_spans=100, max_batch_spans=10, delay_s=0.01)
    began_s = time.monotonic()

    emit(processor, 50)
    during = processor.flush(0.2)
    elapsed_s = time.monotonic() - began_s
    exporter.gate.set()
    after = processor.flush(5)
    processor.close(1)

    assert elapsed_s < 0.6
    assert (during, after) == (Delivery(pending=50), Delivery(delivered=50))
    assert exporter.suppressed == {True}


def test_batches_are_bounded_and_in_order() -> None:
    """No batch has more spans than asked for."""
    exporter = Stuck()
    exporter.gate.set()
    processor = BatchingProcessor(exporter, max_batch_spans=8, delay_s=5)

    emit(processor, 20)
    answer = processor.flush(5)
    processor.close(0.1)

    assert answer == Delivery(delivered=20)
    assert sum(exporter.sizes) == 20
    assert max(exporter.sizes) == 8


def test_force_flush_tells_the_truth() -> None:
    """The SDK's own call answers True only when all spans arrived, and keeps its timeout."""
    exporter = Stuck()
    processor = BatchingProcessor(exporter)

    emit(processor, 1)
    during = processor.force_flush(100)
    exporter.gate.set()
    after = processor.force_flush(5_000)
    processor.close(0.1)

    assert (during, after) == (False, True)


def test_thousand_handlers_share_one_thread() -> None:
    """What feeds an exporter is one processor, whoever names the exporter and how often."""
    exporter = InMemorySpanExporter()
    before = {*threading.enumerate()}

    processors = {id(processor): processor for processor in (processor_for(exporter) for _ in range(1_000))}
    [processor] = processors.values()
    emit(processor, 3)
    threads = {*threading.enumerate()} - before
    answer = processor.flush(5)
    processor.close(0.1)

    assert len(threads) == 1
    assert answer == Delivery(delivered=3)


def test_nothing_is_started_before_the_first_span() -> None:
    """A processor that is built before a fork has no thread to lose."""
    before = {*threading.enumerate()}

    processor = BatchingProcessor(InMemorySpanExporter())

    assert {*threading.enumerate()} <= before
    processor.close(0.1)


def test_lock_is_free_while_the_thread_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread may be a greenlet, which goes on at once in the thread that starts it, and would share its lock."""
    processor = BatchingProcessor(InMemorySpanExporter())
    start = threading.Thread.start
    free: list[bool] = []

    def start_seen(self: threading.Thread) -> None:
        if self.name == "chainspan-batching":
            other = threading.Thread(target=processor.flush, args=(0.0,), daemon=True)
            start(other)
            other.join(5)
            free.append(not other.is_alive())
        start(self)

    monkeypatch.setattr(threading.Thread, "start", start_seen)
    emit(processor, 1)

    assert free == [True]
    assert processor.flush(5) == Delivery(delivered=1)
    processor.close(0.1)


def test_idle_thread_ends_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while with nothing to do there is no thread, and the next span starts one."""
    monkeypatch.setattr("chainspan._batching._IDLE_S", 0.05)
    processor = BatchingProcessor(InMemorySpanExporter(), delay_s=0.01)
    emit(processor, 1)
    processor.flush(5)
    thread = processor._thread
    assert thread is not None

    thread.join(5)
    emit(processor, 1)
    answer = processor.flush(5)
    processor.close(0.1)

    assert not thread.is_alive()
    assert answer == Delivery(delivered=2)


def test_unsampled_span_is_nobody_s_business() -> None:
    """A span that is not sampled is neither sent nor counted."""
    processor = BatchingProcessor(InMemorySpanExporter())

    processor.on_end(ReadableSpan("unsampled"))

    assert processor.flush(0.1) == Delivery()
    processor.close(0.1)


def test_span_after_the_end_is_counted_and_said(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A span that ends after the processor was closed is lost, counted as that, and said once with the cure."""
    monkeypatch.setattr(_guard, "_said", set())
    processor = BatchingProcessor(InMemorySpanExporter())
    processor.close(0.1)

    emit(processor, 2)

    assert processor.flush(0.1) == Delivery(dropped=2)
    assert [message[:60] for message in caplog.messages] == [
        "Spans that end when their exporter has been closed are lost,"
    ]


@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_unusable_queue_size_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """The error says which variable, what was expected and what came."""
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", value)

    with pytest.raises(ConfigurationError, match=f"OTEL_BSP_MAX_QUEUE_SIZE: .* above 0, got '{value}'"):
        BatchingProcessor(InMemorySpanExporter())
