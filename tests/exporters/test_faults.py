"""Every span is accounted for, whatever the endpoint, the process or the disk does.

Without a spool: sent = arrived + reported as lost. With a spool: sent = arrived.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from typing_extensions import override

from chainspan._batching import BatchingProcessor
from chainspan._delivery import Delivery
from chainspan._feeding import DirectProcessor, processor_for
from chainspan.exporters._otlp import otlp
from chainspan.exporters._spools import spool

from ._otlp_server import Accept, Behaviour, Hang, OtlpServer, Partial, Refuse, Reset, SlowRead, Status, spans_of

pytestmark = pytest.mark.timeout(50)

Processor = BatchingProcessor | DirectProcessor


@pytest.fixture(params=["memory", "spool"])
def processor(request: pytest.FixtureRequest, server: OtlpServer, tmp_path: Path) -> Iterator[Processor]:
    """What feeds the endpoint, with attempts that time out soon."""
    exporter = otlp(server.url, timeout_s=0.3)
    processor = processor_for(exporter if request.param == "memory" else spool(tmp_path, to=exporter))
    yield processor
    processor.close(0.1)


def emit(processor: Processor, count: int) -> set[str]:
    """Make spans and return their ids."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("test")
    spans = [tracer.start_span(f"span {number}") for number in range(count)]
    for span in spans:
        span.end()
    return {f"{span.get_span_context().span_id:016x}" for span in spans}


def once(ids: set[str]) -> dict[str, int]:
    """Each of these ids, one time."""
    return dict.fromkeys(ids, 1)


def stop(server: OtlpServer) -> None:
    """Refuse connections."""
    server.stop()


def behaving(behaviour: Behaviour) -> Callable[[OtlpServer], None]:
    """Misbehave in this way until healed."""

    def misbehave(server: OtlpServer) -> None:
        server.behaviour = behaviour

    return misbehave


FAULTS = {
    "refuses": stop,
    "hangs": behaving(Hang()),
    "resets": behaving(Reset()),
    "reads-too-slowly": behaving(SlowRead(0.5)),
    "408": behaving(Status(408)),
    "429": behaving(Status(429)),
    "429-retry-after": behaving(Status(429, retry_after_s=0.2)),
    "500": behaving(Status(500)),
    "503": behaving(Status(503)),
    "503-retry-after-date": behaving(Status(503, retry_after_s=1, as_date=True)),
    "302": behaving(Status(302, location="http://127.0.0.1:9/elsewhere")),
    "401": behaving(Status(401)),
}


@pytest.mark.parametrize("misbehave", FAULTS.values(), ids=FAULTS.keys())
def test_all_arrive_once_the_endpoint_is_well(
    server: OtlpServer, processor: Processor, misbehave: Callable[[OtlpServer], None]
) -> None:
    """Spans wait while the endpoint misbehaves, a flush says so, and all of them arrive afterwards."""
    misbehave(server)
    ids = emit(processor, 20)
    ill = processor.flush(0.1)

    heal(server)
    ids |= emit(processor, 20)
    well = processor.flush(10)

    assert (ill, bool(ill)) == (Delivery(pending=20), False)
    assert (well, bool(well)) == (Delivery(delivered=40), True)
    assert set(server.arrivals) == ids


def test_retries_leave_the_applications_random_numbers_alone(server: OtlpServer, processor: Processor) -> None:
    """A program that has seeded the random module gets the same numbers, however often something is tried again."""
    server.behaviour = Status(503)
    emit(processor, 1)
    before = random.getstate()

    processor.flush(1)

    assert len(server.requests) > 1
    assert random.getstate() == before


def heal(server: OtlpServer) -> None:
    """Behave from now on."""
    server.behaviour = Accept()
    server.next.clear()
    server.stop()  # what hangs is let go
    server.start()


def test_all_arrive_over_a_restart(server: OtlpServer, processor: Processor) -> None:
    """A connection that was kept open over the endpoint's restart costs no span."""
    ids = emit(processor, 5)
    before = processor.flush(5)

    server.stop()
    server.start()
    ids |= emit(processor, 5)
    after = processor.flush(5)

    assert [before, after] == [Delivery(delivered=5), Delivery(delivered=10)]
    assert server.arrivals == once(ids)


@pytest.mark.parametrize(
    "misbehave",
    [stop, behaving(Hang()), behaving(Status(503, retry_after_s=60))],
    ids=["refuses", "hangs", "asks-for-a-minute"],
)
def test_flush_keeps_its_timeout(
    server: OtlpServer, processor: Processor, misbehave: Callable[[OtlpServer], None]
) -> None:
    """A flush returns in time, whatever the endpoint does."""
    misbehave(server)
    emit(processor, 5)
    began_s = time.monotonic()

    answer = processor.flush(0.5)

    assert time.monotonic() - began_s < 0.8
    assert answer == Delivery(pending=5)


def test_retry_after_is_respected(server: OtlpServer, processor: Processor) -> None:
    """An endpoint that asks to be left alone for a time is, even during a flush."""
    server.next.append(Status(429, retry_after_s=1))
    emit(processor, 1)

    answer = processor.flush(5)

    first, second = (at_s for at_s, _ in server.requests)
    assert answer == Delivery(delivered=1)
    assert 0.95 < second - first < 2


@pytest.mark.parametrize("rejected", [1, 3])
def test_partial_success_is_not_success(server: OtlpServer, processor: Processor, rejected: int) -> None:
    """Spans that an endpoint refuses inside an answer 200 are reported as rejected."""
    server.next.append(Partial(rejected))
    ids = emit(processor, 10)

    answer = processor.flush(5)

    assert (answer, bool(answer)) == (Delivery(delivered=10 - rejected, rejected=rejected), False)
    assert len(server.arrivals.keys() & ids) == 10 - rejected


@pytest.mark.parametrize("code", [400, 413, 422])
def test_poison_does_not_take_others_with_it(server: OtlpServer, processor: Processor, code: int) -> None:
    """Of spans that are refused together because of one, all others arrive."""
    server.behaviour = Refuse("span 3", code)
    ids = emit(processor, 9)

    answer = processor.flush(5)

    assert (answer, bool(answer)) == (Delivery(delivered=8, rejected=1), False)
    assert server.arrivals.keys() < ids


@pytest.mark.parametrize("code", [500, 403])
def test_poison_that_looks_like_an_outage_makes_way(server: OtlpServer, tmp_path: Path, code: int) -> None:
    """A spooled span that gets what a broken endpoint answers is set aside once others are accepted."""
    server.behaviour = Refuse("span 3", code)
    processor = processor_for(spool(tmp_path, to=otlp(server.url)))
    ids = emit(processor, 9)

    answer = processor.flush(20)
    processor.close(0.1)

    assert answer == Delivery(delivered=8, rejected=1)
    assert server.arrivals.keys() < ids
    [kept] = (tmp_path / "rejected").glob("*.otlp")
    assert [span.name for span in spans_of(kept.read_bytes())] == ["span 3"]


def test_what_does_not_fit_the_queue_is_counted(server: OtlpServer, caplog: pytest.LogCaptureFixture) -> None:
    """In an outage that is longer than the queue, sent = arrived + reported as lost, in one line."""
    server.stop()
    processor = BatchingProcessor(otlp(server.url), max_queue_spans=20, max_batch_spans=5)
    emit(processor, 5)
    processor.flush(0.2)  # these are being sent, and are not in the queue any more

    emit(processor, 95)
    during = processor.flush(0.1)
    server.start()
    after = processor.flush(5)
    processor.close(1)

    assert during == Delivery(pending=25, dropped=75)
    assert after == Delivery(delivered=25, dropped=75)
    assert len(server.arrivals) == 25
    [line] = caplog.messages
    assert line.startswith(f"No spans reached {server.url} for ")
    assert line.endswith(" s (ConnectionError): 75 spans were lost (the queue was full).")


@pytest.mark.parametrize("fault", [RuntimeError, SystemExit])
def test_sdk_exporter_is_counted_too(fault: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of any exporter, what it calls a failure or raises is reported as lost, and what comes after is sent."""
    monkeypatch.delenv("CHAINSPAN_STRICT", raising=False)
    exporter = Moody(fault)
    processor = BatchingProcessor(exporter, max_batch_spans=10)

    emit(processor, 30)
    answer = processor.flush(5)
    processor.close(0.1)

    assert answer == Delivery(delivered=10, dropped=20)


class Moody(InMemorySpanExporter):
    """Fails, raises, and then behaves."""

    def __init__(self, fault: type[BaseException]) -> None:
        """Fail first."""
        super().__init__()
        self._fault = fault
        self._moods = [self._fail, self._raise, super().export]

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Do what the mood says."""
        return self._moods.pop(0)(spans)

    def _fail(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.FAILURE

    def _raise(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        raise self._fault
