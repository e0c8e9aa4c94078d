"""The spool keeps its bounds, its privacy and its order, and says what it lost."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from chainspan import ConfigurationError
from chainspan._delivery import Delivery
from chainspan._feeding import processor_for
from chainspan.exporters._otlp import OtlpExporter, otlp
from chainspan.exporters._senders import Answer, Verdict
from chainspan.exporters._spool import MAX_SPOOL_BYTES, SpoolExporter
from chainspan.exporters._spool_files import SpoolFile, SpoolFiles
from chainspan.exporters._spools import spool

from ._otlp_server import Accept, OtlpServer, Partial, Refuse, Status, spans_of

pytestmark = pytest.mark.timeout(30)


class Down:
    """An endpoint that answers what it is told to, 503 by default, and keeps what it gets."""

    endpoint = "http://down.test/v1/traces"

    def __init__(self) -> None:
        """Be down."""
        self.answer = Answer(verdict=Verdict.BUSY, reason="503")
        self.bodies: list[bytes] = []

    def send(self, body: bytes) -> Answer:
        """Answer."""
        self.bodies.append(body)
        return self.answer

    def close(self) -> None:
        """Hold nothing."""


def emit(exporter: SpoolExporter, names: Sequence[str]) -> None:
    """Make spans with these names."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor_for(exporter))
    for name in names:
        provider.get_tracer("test").start_span(name).end()


def made(directory: Path, to: Down | OtlpServer, max_bytes: int = MAX_SPOOL_BYTES) -> SpoolExporter:
    """Return an exporter that nobody else shares."""
    sender = to if isinstance(to, Down) else otlp(to.url).sender
    exporter = SpoolExporter(directory, sender, max_bytes=max_bytes)
    _made.append(exporter)
    return exporter


_made: list[SpoolExporter] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """Stop what a test has made: it would go on trying, and log during others."""
    yield
    while _made:
        _made.pop().close(0)


def bytes_in(directory: Path) -> int:
    """Return the size of all files that wait; one may be renamed meanwhile, to be sent."""
    total_bytes = 0
    for path in [*directory.glob("*.otlp"), *directory.glob("*.open")]:
        with suppress(FileNotFoundError):
            total_bytes += path.stat().st_size
    return total_bytes


def spooled(directory: Path) -> list[str]:
    """The names of the spans that wait, oldest first."""
    files = sorted(path for path in directory.iterdir() if path.suffix in {".otlp", ".sending", ".open"})
    return [span.name for path in files for span in spans_of(path.read_bytes())]


def test_span_is_on_the_disk_when_it_has_ended(tmp_path: Path) -> None:
    """What SIGKILL could destroy is written before ``span.end()`` returns, in a file of the owner's alone."""
    directory = tmp_path / "new" / "spool"
    exporter = made(directory, Down())

    emit(exporter, ["first", "second"])

    assert spooled(directory) == ["first", "second"]
    modes = {path.is_dir(): stat.S_IMODE(path.stat().st_mode) for path in [directory, *directory.iterdir()]}
    assert modes == {True: 0o700, False: 0o600}
    exporter.close(0)


def test_leftovers_are_sent_first_and_in_order(server: OtlpServer, tmp_path: Path) -> None:
    """The next process that uses a directory sends what it finds there, oldest first, in one request."""
    earlier = made(tmp_path, Down())
    emit(earlier, ["a", "b", "c"])
    earlier.close(0)

    later = made(tmp_path, server)
    emit(later, ["d"])
    answer = later.flush(5)
    later.close(0)

    assert answer == Delivery(delivered=4)
    assert server.names == ["a", "b", "c", "d"]
    assert spooled(tmp_path) == []


def test_leftovers_are_sent_without_a_new_span(server: OtlpServer, tmp_path: Path) -> None:
    """A start alone is enough."""
    earlier = made(tmp_path, Down())
    emit(earlier, ["a"])
    earlier.close(0)

    later = made(tmp_path, server)

    assert server.wait_for(lambda: server.names == ["a"])
    later.close(1)


@pytest.fixture
def no_sender(tmp_path: Path) -> Iterator[None]:
    """Keep everybody from sending: this holds the lock, as another process would."""
    with FileLock(tmp_path / "shipper.lock"):
        yield


@pytest.mark.usefixtures("no_sender")
def test_oldest_fall_off_and_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Beyond the bound in bytes the oldest spans are dropped, counted, and reported in one line."""
    exporter = made(tmp_path, Down(), max_bytes=5_000)

    emit(exporter, [f"span {number}" for number in range(100)])
    meanwhile_bytes = bytes_in(tmp_path)
    exporter._look(wait=True)
    answer = exporter.flush(0)
    exporter.close(0)

    left = spooled(tmp_path)
    assert meanwhile_bytes <= 5_000 * 1.25 + 500
    assert answer == Delivery(pending=len(left), dropped=100 - len(left))
    assert left == [f"span {number}" for number in range(100)][-len(left) :]
    assert bytes_in(tmp_path) <= 5_000
    [line] = caplog.messages
    assert f"{answer.dropped} spans were lost (the spool was full)" in line
    assert f"{len(left)} wait in {tmp_path}" in line


def test_bound_is_kept_where_no_thread_can_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes then looks for itself, and the next one does not wait for ever."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("chainspan"):  # the SDK needs some for its resource
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    exporter = made(tmp_path, Down(), max_bytes=20_000)

    emit(exporter, ["x" * 1_000] * 60)

    assert bytes_in(tmp_path) <= 25_000
    assert exporter.flush(0).pending + exporter.flush(0).dropped == 60


@pytest.mark.usefixtures("no_sender")
def test_what_is_being_sent_does_not_fall_off(tmp_path: Path) -> None:
    """Nothing is both sent and counted as dropped."""
    exporter = made(tmp_path, Down(), max_bytes=1)
    files = SpoolFiles(tmp_path)
    [(taken, _)] = files.take([files.put(b"in flight", spans=1, now_ns=1)], 1)

    emit(exporter, ["a"])
    exporter._look(wait=True)

    assert [path.name for path in tmp_path.glob("*-*")] == [taken.name]
    exporter.close(0)


@pytest.mark.usefixtures("no_sender")
def test_what_another_process_drops_is_not_called_delivered(tmp_path: Path) -> None:
    """A process learns what another one that shares the directory dropped of its spans."""
    mine = made(tmp_path, Down(), max_bytes=50_000)  # each in a file of its own
    emit(mine, ["mine 1", "mine 2"])

    subprocess.run([sys.executable, "-c", _TRIM, str(tmp_path)], check=True, timeout=20)

    assert mine.flush(0) == Delivery(pending=1, dropped=1)
    mine.close(0)


@pytest.mark.usefixtures("no_sender")
@pytest.mark.parametrize(
    "spoilt", [b"00000000000000000007-1-0000", b"\xff\x00", b"a\tb\tc", b"1-2-3-4\t" + b"9" * 9_999 + b"\tdropped"]
)
def test_spoilt_line_on_losses_hides_no_other(tmp_path: Path, spoilt: bytes) -> None:
    """A line that a full disk has cut, or a bad one has garbled, says nothing; a flush still reads the rest."""
    mine = made(tmp_path, Down(), max_bytes=50_000)
    emit(mine, ["a", "b"])
    [lost, _] = sorted(tmp_path.glob("*.otlp"))
    lost.unlink()

    (tmp_path / "losses.tsv").write_bytes(spoilt + f"\n{lost.stem}\t1\tdropped\n".encode())

    assert mine.flush(0) == Delivery(pending=1, dropped=1)


_TRIM = """
import sys
from pathlib import Path
from chainspan.exporters._otlp import otlp
from chainspan.exporters._spool import SpoolExporter
from chainspan.exporters._spool_files import SpoolFiles
directory = Path(sys.argv[1])
newest = SpoolFiles(directory).waiting()[-1]
exporter = SpoolExporter(directory, otlp("http://127.0.0.1:9").sender,
                         max_bytes=2 * (directory / newest.name).stat().st_size - 1)
exporter._look(wait=True)
exporter.close(0)
"""


@pytest.mark.usefixtures("no_sender")
def test_processes_with_the_same_id_count_each_their_own(tmp_path: Path) -> None:
    """In containers that share a directory every process may be number 1."""
    first, second = made(tmp_path, Down()), made(tmp_path, Down())
    emit(first, ["a", "b"])
    emit(second, ["c"])

    counts = [first.flush(0), second.flush(0)]
    for path in tmp_path.glob("*.otlp"):
        path.unlink()  # as one that sends does

    assert counts == [Delivery(pending=2), Delivery(pending=1)]
    assert [first.flush(0), second.flush(0)] == [Delivery(delivered=2), Delivery(delivered=1)]


def test_rejected_files_are_kept_within_a_bound(server: OtlpServer, tmp_path: Path) -> None:
    """What the endpoint refuses is set aside, and of that the oldest makes room for the newest."""
    server.behaviour = Refuse("poison")
    exporter = made(tmp_path, server, max_bytes=8_000)

    emit(exporter, [f"poison {number}" for number in range(20)])
    answer = exporter.flush(5)
    exporter.close(0)

    kept = [span.name for path in sorted((tmp_path / "rejected").iterdir()) for span in spans_of(path.read_bytes())]
    assert answer == Delivery(rejected=20)
    assert kept == [f"poison {number}" for number in range(20)][-len(kept) :]
    assert 0 < sum(path.stat().st_size for path in (tmp_path / "rejected").iterdir()) <= 1_000


def test_partly_accepted_file_is_set_aside(server: OtlpServer, tmp_path: Path) -> None:
    """Of a batch that was accepted in part, the rest is reported and the batch is kept to look at."""
    server.behaviour = Partial(1)
    exporter = made(tmp_path, server)
    provider = TracerProvider(shutdown_on_exit=False)
    batches = BatchSpanProcessor(exporter)
    provider.add_span_processor(batches)
    for number in range(3):
        provider.get_tracer("test").start_span(f"span {number}").end()
    batches.force_flush()

    answer = exporter.flush(5)
    exporter.close(0)

    assert answer == Delivery(delivered=2, rejected=1)
    [kept] = (tmp_path / "rejected").iterdir()
    assert [span.name for span in spans_of(kept.read_bytes())] == ["span 0", "span 1", "span 2"]


def test_full_disk_costs_nothing_while_the_endpoint_answers(
    server: OtlpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be written is held in memory and sent from there."""
    exporter = made(tmp_path, server)
    monkeypatch.setattr(os, "write", full_disk)

    emit(exporter, ["a", "b"])
    answer = exporter.flush(5)
    monkeypatch.undo()
    exporter.close(0)

    assert answer == Delivery(delivered=2)
    assert server.names == ["a", "b"]


def test_full_disk_that_gets_room_again_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans held in memory go to the disk once it has room, and are safe then."""
    exporter = made(tmp_path, Down())
    monkeypatch.setattr(os, "write", full_disk)
    emit(exporter, ["a", "b"])
    nothing = spooled(tmp_path)

    monkeypatch.undo()
    exporter.flush(3)
    exporter.close(2)

    assert (nothing, spooled(tmp_path)) == ([], ["a", "b"])


def test_full_disk_in_an_outage_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With a full disk and a dead endpoint both, memory is bounded, and every span is reported as lost."""
    monkeypatch.setattr("chainspan.exporters._spool._MAX_MEMORY_BYTES", 1_000)
    exporter = made(tmp_path, Down())
    monkeypatch.setattr(os, "write", full_disk)

    emit(exporter, [f"span {number}" for number in range(50)])
    during = exporter.flush(0)
    exporter.close(0.5)
    after = exporter.flush(0)

    assert during.pending + during.dropped == 50
    assert after == Delivery(dropped=50)
    assert list(tmp_path.glob("*.tmp")) == []
    [line] = caplog.messages
    assert "(the spool cannot be written: No space left on device)" in line


def full_disk(descriptor: int, data: bytes) -> int:
    """Fail as a full disk does."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.untraced  # coverage could not write its own file
def test_disk_limit_of_the_system_costs_nothing(server: OtlpServer, tmp_path: Path) -> None:
    """The system's own refusal to write more is survived by a process that can still send."""
    command = [sys.executable, str(Path(__file__).with_name("_emitter.py")), server.url, str(tmp_path), "20", "exit"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True, preexec_fn=limit_files)

    assert done.stderr == ""
    assert set(server.arrivals) == set(done.stdout.split())


def limit_files() -> None:
    """Let this process write no file of more than 16 bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, 16))


@given(st.lists(st.builds(SpoolFile, *[st.integers(0, 10**18)] * 4), max_size=20))
def test_names_tell_everything_and_sort_by_age(files: list[SpoolFile]) -> None:
    """A file is its name: it reads back as it was written, and names sort as the files do in time."""
    names = sorted(file.name for file in files)

    read = [SpoolFile.parse(name) for name in names]

    assert sorted(filter(None, read)) == sorted(files)
    assert [file.written_ns for file in filter(None, read)] == sorted(file.written_ns for file in files)


@given(st.text())
def test_any_other_name_is_nobody_s(name: str) -> None:
    """No name of a foreign file is taken for one of ours, and none raises."""
    file = SpoolFile.parse(name)

    assert file is None or file.stem == name.partition(".")[0]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff\xff no protobuf"),
        lambda path: (path.unlink(), path.mkdir()),
    ],
    ids=["empty", "garbled", "unreadable"],
)
def test_spoiled_file_is_set_aside(server: OtlpServer, tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    """A file that a power failure has spoilt, or nobody can read, is reported, and keeps no other from being sent."""
    earlier = made(tmp_path, Down(), max_bytes=50_000)  # each in a file of its own
    emit(earlier, ["spoilt", "sound"])
    earlier.close(2)
    spoil(min(tmp_path.glob("*.otlp")))

    later = made(tmp_path, server)
    answer = later.flush(5)
    later.close(0)

    assert answer == Delivery(delivered=1, rejected=1)
    assert server.names == ["sound"]


def test_what_was_refused_is_kept_where_that_was_cleared_away(server: OtlpServer, tmp_path: Path) -> None:
    """Whoever has looked at ``rejected/`` may remove it; the next refused span is there again, and counted."""
    server.behaviour = Refuse("poison")
    exporter = made(tmp_path, server)
    shutil.rmtree(tmp_path / "rejected")

    emit(exporter, ["poison", "a"])

    assert exporter.flush(10) == Delivery(delivered=1, rejected=1)
    [kept] = (tmp_path / "rejected").iterdir()
    assert [span.name for span in spans_of(kept.read_bytes())] == ["poison"]


def test_directory_that_is_removed_comes_back(tmp_path: Path) -> None:
    """Spans that end after somebody has removed the directory are on the disk, as those before were."""
    directory = tmp_path / "spool"
    exporter = made(directory, Down())
    shutil.rmtree(directory)

    emit(exporter, ["a"])

    assert spooled(directory) == ["a"]
    assert [path.stat().st_mode & 0o777 for path in (directory, directory / "rejected")] == [0o700, 0o700]


def test_what_somebody_removes_is_not_called_delivered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Files that are cleared away in an outage are lost, and that is said."""
    exporter = made(tmp_path, Down())
    emit(exporter, ["a", "b"])
    exporter.flush(1)

    for path in [*tmp_path.glob("*.otlp"), *tmp_path.glob("*.sending")]:
        path.unlink(missing_ok=True)
    during = exporter.flush(0)
    exporter.close(1)

    assert (during, exporter.flush(0)) == (Delivery(dropped=2), Delivery(dropped=2))
    assert "2 spans were lost (somebody removed their files)" in caplog.messages[-1]


def test_clock_that_is_set_back_changes_no_count(server: OtlpServer, tmp_path: Path) -> None:
    """What waits is not called removed, and what ended before a flush is waited for, whatever time it is then."""
    now_ns = 2 * 10**18
    exporter = SpoolExporter(tmp_path, otlp(server.url).sender, now_ns=lambda: now_ns)
    _made.append(exporter)
    server.behaviour = Status(503)
    emit(exporter, ["a"])
    exporter.flush(0)

    now_ns -= 3_600 * 10**9
    emit(exporter, ["b"])
    during = exporter.flush(0)
    server.behaviour = Accept()

    assert during == Delivery(pending=2)
    assert exporter.flush(10) == Delivery(delivered=2)
    assert server.names == ["a", "b"]


def test_foreign_files_are_left_alone(server: OtlpServer, tmp_path: Path) -> None:
    """What was not written by a spool is neither sent nor removed."""
    (tmp_path / "notes.otlp").write_text("mine", "utf-8")
    exporter = made(tmp_path, server)
    emit(exporter, ["a"])

    exporter.flush(5)
    exporter.close(0)

    assert (tmp_path / "notes.otlp").read_text("utf-8") == "mine"


def test_one_exporter_for_each_directory(tmp_path: Path) -> None:
    """Two handlers that name the same directory share its thread and its counts."""
    to = OtlpExporter(Down())

    first, second = spool(tmp_path, to=to), spool(f"{tmp_path}/../{tmp_path.name}", to=to)

    assert first is second
    first.close(0)


def test_one_directory_has_one_endpoint(server: OtlpServer, tmp_path: Path) -> None:
    """Spans for two endpoints cannot wait in one directory."""
    exporter = spool(tmp_path, to=OtlpExporter(Down()))
    elsewhere = otlp(server.url)

    with pytest.raises(ConfigurationError, match="a directory of its own"):
        spool(tmp_path, to=elsewhere)

    exporter.close(0)


def test_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """A path that is a file is refused when the exporter is made, not when a span ends."""
    (tmp_path / "file").touch()

    with pytest.raises(ConfigurationError, match="a directory that can be written"):
        spool(tmp_path / "file", to=OtlpExporter(Down()))


def test_directory_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty text, as of a variable that is not set, does not stand for the working directory."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigurationError, match="a directory that can be written, got ''"):
        spool("", to=OtlpExporter(Down()))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"directory": None}, "spool: expected a directory that can be written, got None"),
        ({"to": "http://localhost:4318"}, "spool(to=): expected what otlp() returns, got 'http://localhost:4318'"),
        ({"max_bytes": "1"}, "spool(max_bytes=): expected a whole number above 0, got '1'"),
        ({"max_bytes": -1}, "spool(max_bytes=): expected a whole number above 0, got -1"),
        ({"max_bytes": Decimal("NaN")}, "spool(max_bytes=): expected a whole number above 0, got Decimal('NaN')"),
        ({"max_bytes": float("inf")}, "spool(max_bytes=): expected a whole number above 0, got inf"),
        ({"max_bytes": Decimal("inf")}, "spool(max_bytes=): expected a whole number above 0, got Decimal('Infinity')"),
    ],
    ids=["directory", "to", "text", "negative", "none", "endless", "endless-decimal"],
)
def test_argument_that_cannot_be_used_is_refused(tmp_path: Path, options: Any, message: str) -> None:
    """Each is named when the exporter is made, and nothing is."""
    with pytest.raises(ConfigurationError) as raised:
        spool(**{"directory": tmp_path / "spool", **options})

    assert str(raised.value) == message
    assert list(tmp_path.iterdir()) == []


def test_size_in_powers_of_ten(tmp_path: Path) -> None:
    """A size is a number of any sort that is whole, as 1e9 is."""
    assert spool(tmp_path / "spool", to=OtlpExporter(Down()), max_bytes=1e9)._max_bytes == 10**9  # type: ignore[arg-type]


def test_missing_lock_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the error says what to install."""
    monkeypatch.setitem(sys.modules, "filelock", None)

    with pytest.raises(ConfigurationError, match=r"install chainspan\[spool\]"):
        spool(tmp_path, to=OtlpExporter(Down()))


def test_span_after_the_end_waits_for_the_next_process(server: OtlpServer, tmp_path: Path) -> None:
    """What ends after the exporter was closed, such as in an exit hook, is on the disk all the same."""
    exporter = made(tmp_path, Down())
    exporter.close(0)

    emit(exporter, ["late"])

    assert exporter.flush(0) == Delivery(pending=1)
    assert made(tmp_path, server).flush(10) == Delivery(delivered=1)
    assert server.names == ["late"]


def test_span_after_the_end_that_finds_no_room_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody would send from memory what ends after the exporter was closed, so it is lost and said."""
    exporter = made(tmp_path, Down())
    exporter.close(0)
    monkeypatch.setattr(os, "write", full_disk)

    emit(exporter, ["late"])

    assert exporter.flush(0) == Delivery(dropped=1)


def test_endpoint_down_is_asked_less_and_less(tmp_path: Path, server: OtlpServer) -> None:
    """The pauses between attempts grow."""
    server.behaviour = Status(503)
    exporter = made(tmp_path, server)

    emit(exporter, ["a"])
    server.wait_for(lambda: len(server.requests) >= 4)
    exporter.close(0)

    times = [at_s for at_s, _ in server.requests]
    first, second, third = (later - earlier for earlier, later in pairwise(times[:4]))
    assert 0.2 < first < second < third
