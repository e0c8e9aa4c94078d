"""Spans that end together share a file, and are as safe in it as in one of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chainspan import _settings
from chainspan._delivery import Delivery
from chainspan._feeding import processor_for
from chainspan.exporters import _spool_segment
from chainspan.exporters._encoding import encoded
from chainspan.exporters._otlp import otlp
from chainspan.exporters._senders import Answer, Verdict
from chainspan.exporters._spool import SpoolExporter
from chainspan.exporters._spool_files import SpoolFiles
from chainspan.exporters._spool_records import readable, records, spans_in
from chainspan.exporters._spool_segment import SpoolSegment, adopt

from ._otlp_server import OtlpServer, Refuse, spans_of

pytestmark = pytest.mark.timeout(40)


class Endpoint:
    """Answers what it is told to, by default that it is busy; or raises, which a sender must not."""

    endpoint = "http://endpoint.test/v1/traces"

    def __init__(self, verdict: Verdict = Verdict.BUSY, *, fault: Exception | None = None) -> None:
        """Wait to be asked."""
        self.verdict = verdict
        self.fault = fault
        self.asked = 0

    def send(self, body: bytes) -> Answer:
        """Answer."""
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return Answer(verdict=self.verdict, reason="as told")

    def close(self) -> None:
        """Hold nothing."""


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., SpoolExporter]]:
    """Makes exporters to a directory, and stops them."""
    made: list[SpoolExporter] = []

    def one(to: Endpoint | OtlpServer) -> SpoolExporter:
        sender = to if isinstance(to, Endpoint) else otlp(to.url).sender
        made.append(SpoolExporter(tmp_path, sender))
        return made[-1]

    yield one
    for exporter in made:
        exporter.close(0)


def emit(exporter: SpoolExporter, names: Sequence[str]) -> None:
    """Make spans with these names."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor_for(exporter))
    for name in names:
        provider.get_tracer("test").start_span(name).end()


def request_of(name: str) -> bytes:
    """Return one span as it is encoded."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    provider.get_tracer("test").start_span(name).end()
    [batch] = encoded(memory.get_finished_spans())
    return batch.body


def files_in(directory: Path) -> dict[str, list[str]]:
    """Return the names of the spans in each file, by the file's state and the number of spans that its name tells."""
    return dict(listed_in(directory))


def listed_in(directory: Path) -> list[tuple[str, list[str]]]:
    """Return the same of all files, those too that are alike."""
    try:
        return [
            (f"{path.stem.rpartition('-')[2]}{path.suffix}", [span.name for span in spans_of(path.read_bytes())])
            for path in sorted(directory.glob("*-*"))
        ]
    except FileNotFoundError:  # the sender has given one another name since they were listed
        return listed_in(directory)


def test_spans_share_a_file(tmp_path: Path, make: Callable[..., SpoolExporter]) -> None:
    """What ends before the next look goes to one file, which is whole after each span."""
    exporter = make(Endpoint())

    emit(exporter, ["a", "b"])
    meanwhile = files_in(tmp_path)
    answer = exporter.flush(0)

    assert meanwhile in ({"0.open": ["a", "b"]}, {"2.otlp": ["a", "b"]})  # the look may have come
    assert answer == Delivery(pending=2)
    assert [*files_in(tmp_path).values()] == [["a", "b"]]


def test_file_is_closed_when_it_is_full(tmp_path: Path) -> None:
    """Beyond its bound the next file begins."""
    files = SpoolFiles(tmp_path)
    body = request_of("a")
    segment = SpoolSegment(files, time.time_ns, max_bytes=2 * len(body))

    for _ in range(3):
        segment.append(body, 1)

    assert files_in(tmp_path) == {"2.otlp": ["a", "a"], "0.open": ["a"]}
    assert segment.close()[0] == 3
    segment.start_afresh()


def test_file_of_the_living_is_left_alone(tmp_path: Path) -> None:
    """Nobody closes a file whose process holds it open."""
    segment = SpoolSegment(SpoolFiles(tmp_path), time.time_ns, max_bytes=10_000)
    segment.append(request_of("a"), 1)

    adopt(SpoolFiles(tmp_path))

    assert files_in(tmp_path) == {"0.open": ["a"]}
    segment.close()


@pytest.mark.parametrize("torn", [0, 1, 7, 40])
def test_file_of_the_dead_is_closed(tmp_path: Path, torn: int) -> None:
    """Another process closes it, without what was written in part, which counts for one."""
    body = request_of("a")
    orphan = tmp_path / f"{7:020d}-1-000001-0.open"
    orphan.write_bytes(body + body + body[:torn])

    adopt(SpoolFiles(tmp_path))

    assert files_in(tmp_path) == {f"{3 if torn else 2}.otlp": ["a", "a"]}


ONE = len(request_of("span 0"))


@pytest.mark.parametrize("state", ["otlp", "open"])
@pytest.mark.parametrize(
    ("spoil", "left", "gaps"),
    [
        (lambda body: body[:-20], [0, 1, 2, 3], 1),
        (lambda body: body[: 3 * ONE], [0, 1, 2], 0),
        (lambda body: body[: 3 * ONE] + bytes(2 * ONE), [0, 1, 2], 1),
        (lambda body: bytes(ONE) + body[ONE:], [1, 2, 3, 4], 1),
        (lambda body: body.replace(b"span 2", b"\xff" * 6), [0, 1, 3, 4], 1),
        (lambda body: body[: ONE + 30] + bytes(40) + body[ONE + 70 :], [0, 2, 3, 4], 1),
        (lambda body: body[:20] + bytes(3 * ONE) + body[20 + 3 * ONE :], [4], 1),
        (lambda body: bytes(5 * ONE), [], 1),
    ],
    ids=["cut in one", "cut between two", "zeros at the end", "zeros first", "no text", "zeros in one", "page", "all"],
)
def test_damage_costs_what_it_hits_and_is_counted(
    tmp_path: Path, server: OtlpServer, spoil: Callable[[bytes], bytes], left: Sequence[int], gaps: int, state: str
) -> None:
    """What can be read of a damaged file is sent, the neighbours too, and the rest is counted.

    How many spans a file had is in its name, unless its process was killed while it was open: then a gap is one.
    """
    told = 5 if state == "otlp" else 0
    names = [f"span {number}" for number in range(5)]
    (tmp_path / f"{7:020d}-1-000001-{told}.{state}").write_bytes(spoil(b"".join(map(request_of, names))))
    (tmp_path / f"{8:020d}-1-000002-1.otlp").write_bytes(request_of("sound"))
    lost = 5 - len(left) if told else gaps

    exporter = SpoolExporter(tmp_path, otlp(server.url).sender)
    answer = exporter.flush(5)
    exporter.close(1)

    assert answer == Delivery(delivered=len(left) + 1, rejected=lost)
    assert sorted(server.names) == ["sound", *(names[number] for number in left)]
    assert [path.name for path in tmp_path.glob("*.otlp")] == []


def test_damage_is_said(tmp_path: Path, make: Callable[..., SpoolExporter], caplog: pytest.LogCaptureFixture) -> None:
    """Who reads the log learns that spans are missing, and why, though the endpoint took all that it got."""
    (tmp_path / f"{7:020d}-1-000001-0.open").write_bytes(request_of("a") + bytes(100))

    make(Endpoint(Verdict.ACCEPTED)).close(5)

    [line] = caplog.messages
    assert "1 span was lost (a file of the spool is damaged or cannot be read)" in line


def test_empty_file_of_the_dead_is_removed(tmp_path: Path) -> None:
    """There is nothing to send in it."""
    (tmp_path / f"{7:020d}-1-000001-0.open").touch()

    adopt(SpoolFiles(tmp_path))

    assert files_in(tmp_path) == {}


def test_span_of_a_killed_neighbour_is_sent(server: OtlpServer, tmp_path: Path, make: Callable[..., object]) -> None:
    """A process that runs on sends what another one had written that was killed in mid-file."""
    exporter = make(server)
    emit(exporter, ["mine"])  # type: ignore[arg-type]
    program = f"""
        import os, signal
        from pathlib import Path
        from opentelemetry.sdk.trace import TracerProvider
        from chainspan._feeding import processor_for
        from chainspan.exporters import otlp, spool
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(processor_for(spool({str(tmp_path)!r}, to=otlp({server.url!r}))))
        for number in range(20):
            provider.get_tracer("t").start_span(f"theirs {{number}}").end()
        os.kill(os.getpid(), signal.SIGKILL)
    """

    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], timeout=30, check=False)

    assert killed.returncode == -signal.SIGKILL
    assert server.wait_for(lambda: len(server.names) == 21)
    assert sorted(set(server.names)) == sorted(["mine", *(f"theirs {number}" for number in range(20))])


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_child_begins_a_file_of_its_own(tmp_path: Path, make: Callable[..., SpoolExporter]) -> None:
    """What the parent has open stays the parent's, and goes on after the child has ended."""
    exporter = make(Endpoint())
    emit(exporter, ["parent 1"])

    child = os.fork()
    if child == 0:
        emit(exporter, ["child"])
        os._exit(0)
    os.waitpid(child, 0)
    emit(exporter, ["parent 2"])
    exporter.flush(0)
    adopt(SpoolFiles(tmp_path))

    names = sorted(name for _, names in listed_in(tmp_path) for name in names)  # the look may have come in between
    assert names == ["child", "parent 1", "parent 2"]


def test_poison_in_a_shared_file_is_told_apart(
    server: OtlpServer, tmp_path: Path, make: Callable[..., SpoolExporter]
) -> None:
    """Of a file that is refused, only the spans that are at fault are lost."""
    server.behaviour = Refuse("poison")
    exporter = make(server)
    names = ["sound 1", "poison 1", "sound 2", "sound 3", "poison 2"]

    emit(exporter, names)
    answer = exporter.flush(10)

    assert answer == Delivery(delivered=3, rejected=2)
    assert sorted(server.names) == ["sound 1", "sound 2", "sound 3"]
    kept = [span.name for path in sorted((tmp_path / "rejected").iterdir()) for span in spans_of(path.read_bytes())]
    assert kept == ["poison 1", "poison 2"]


def test_threads_share_the_file(server: OtlpServer, make: Callable[..., SpoolExporter]) -> None:
    """What several threads write at the same time arrives whole, and each span once."""
    exporter = make(server)
    work = [
        threading.Thread(target=emit, args=(exporter, [f"{name} {number}" for number in range(50)])) for name in "abcd"
    ]

    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    answer = exporter.flush(10)

    assert answer == Delivery(delivered=200)
    assert sorted(server.names) == sorted(f"{name} {number}" for name in "abcd" for number in range(50))


def test_without_locks_each_span_has_a_file(
    server: OtlpServer, tmp_path: Path, make: Callable[..., SpoolExporter], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system cannot lock files nothing is appended to, and nothing is lost either."""
    monkeypatch.setattr(_spool_segment, "_locks", None)
    waiting = make(Endpoint())
    emit(waiting, ["a", "b"])

    meanwhile = sorted(path.name.rpartition("-")[2] for path in tmp_path.glob("*-*"))
    waiting.close(0)
    answer = make(server).flush(5)

    assert [name.partition(".")[0] for name in meanwhile] == ["1", "1"]
    assert answer == Delivery(delivered=2)


@given(st.binary(max_size=200))
def test_anything_can_be_read(body: bytes) -> None:
    """Whatever a disk has made of a file, reading its parts raises nothing and invents nothing."""
    whole = b"".join(records(body))
    found = readable(body)

    assert body.startswith(whole)
    assert spans_in(b"".join(found.records)) == found.spans
    assert found.gaps <= len(body)


def test_sender_that_raises_is_tried_less_and_less(
    make: Callable[..., SpoolExporter], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A sender must answer; one that raises costs neither the spans nor the processor's time."""
    monkeypatch.setattr(_settings, "is_strict", lambda: False)
    endpoint = Endpoint(fault=KeyError("a bug"))
    exporter = make(endpoint)
    emit(exporter, ["a"])
    began_s = time.process_time()

    answer = exporter.flush(2)
    exporter.close(3)
    monkeypatch.undo()

    assert answer == Delivery(pending=1)
    assert 1 <= endpoint.asked <= 12
    assert time.process_time() - began_s < 1
    assert "courier.send" in caplog.text
