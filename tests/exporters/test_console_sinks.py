"""Where the console's text can go, and what happens when a place fails."""

from __future__ import annotations

import gc
import io
import logging
import subprocess
import sys
import threading
import time
from math import inf
from pathlib import Path
from typing import Any, cast

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider

from chainspan import ConfigurationError, ConsoleHandler
from chainspan.exporters import ConsoleProcessor
from chainspan.exporters._sinks import Outlet

TEXT = 'héllo 🦜 "日本語" \ud800'


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        """Return True."""
        return True


def print_run(to: Any, color: bool | None = None) -> ConsoleProcessor:
    """Print the start and the end of one tool run to a place."""
    processor = ConsoleProcessor(to, color)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    own = {"chainspan.run.id": "id", "chainspan.run.type": "tool", "chainspan.run.name": "näme"}
    tracer = provider.get_tracer("test")
    span = tracer.start_span("run", Context(), attributes={**own, "input.value": "🦜 你好\ud800"}, start_time=0)
    span.end(0)
    return processor


START = '[tool/start] [1:tool:näme] Entering Tool run with input: "🦜 你好\ud800"'
END = '[tool/end] [1:tool:näme] [0ms] Exiting Tool run with output: "[output]"'
BOTH = f"{START}\n{END}\n"


def test_text_is_the_same_in_every_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stream, a path, a logger at level INFO and a function get the same lines (pains #28)."""
    stream, calls = io.StringIO(), list[str]()
    caplog.set_level(logging.INFO, "app")

    print_run(stream)
    print_run(tmp_path / "trace.log").shutdown()
    print_run(str(tmp_path / "trace.txt")).shutdown()
    print_run(logging.getLogger("app"))
    print_run(logging.LoggerAdapter(logging.getLogger("app"), {}))
    print_run(calls.append)

    assert stream.getvalue() == BOTH
    assert (tmp_path / "trace.log").read_bytes().decode() == BOTH.replace("\ud800", "?")
    assert (tmp_path / "trace.txt").read_bytes() == (tmp_path / "trace.log").read_bytes()
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", START),
        ("INFO", END),
    ] * 2
    assert calls == [START, END]


def test_standard_output_is_looked_up_when_something_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A redirection that comes after the handler was made is followed."""
    outlet = Outlet(None, color=None)
    monkeypatch.setattr(sys, "stdout", stream := io.StringIO())

    outlet.write("text")

    assert stream.getvalue() == "text\n"


def test_program_without_standard_output_prints_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no standard output, no text is made."""
    monkeypatch.setattr(sys, "stdout", None)

    outlet = Outlet(None, color=None)

    assert not outlet.is_enabled()
    assert not outlet.has_color()
    print_run(None)
    outlet.write("text")


def test_stream_that_cannot_encode_gets_question_marks(caplog: pytest.LogCaptureFixture) -> None:
    """A cp1252 console shows an emoji as a question mark, and nothing raises (pains #61)."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="cp1252", newline="")

    Outlet(stream, color=None).write(TEXT)
    print_run(stream)

    assert raw.getvalue().decode("cp1252") == f'héllo ? "???" ?\n{BOTH.encode("cp1252", "replace").decode("cp1252")}'
    assert caplog.records == []


def test_anything_that_can_write_is_a_stream() -> None:
    """A stream needs no more than ``write``: no encoding, no ``flush``, no ``isatty``."""

    class Writer:
        def __init__(self) -> None:
            self.written: list[str] = []

        def write(self, text: str) -> None:
            self.written.append(text)

    writer = Writer()
    outlet = Outlet(cast("Any", writer), color=None)

    outlet.write("text")

    assert not outlet.has_color()
    assert writer.written == ["text\n"]


def test_file_is_appended_to_and_readable_at_once(tmp_path: Path) -> None:
    """Each piece is in the file when the call returns, behind what was there."""
    path = tmp_path / "trace.log"
    path.write_text("before\n")

    outlet = Outlet(path, color=None)
    outlet.write("after")

    assert path.read_text() == "before\nafter\n"
    outlet.close()
    assert not outlet.is_enabled()


def test_file_of_a_dropped_handler_is_closed(tmp_path: Path) -> None:
    """A handler that is made for one call and never shut down leaves no open file."""
    outlet = Outlet(tmp_path / "trace.log", color=None)
    outlet.write("text")
    file = outlet._sink._file  # type: ignore[attr-defined]

    del outlet
    gc.collect()

    assert file.closed


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
def test_file_on_a_full_disk_is_reported_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What could not be written cannot be when the handler is dropped either, which is not said again."""
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    outlet = Outlet("/dev/full", color=None)

    outlet.write("text")
    del outlet
    gc.collect()

    assert len(caplog.records) == 1
    assert unraisable == []


def test_closing_leaves_what_belongs_to_the_user_open(tmp_path: Path) -> None:
    """A stream, a logger and a function go on working after the shutdown."""
    stream, calls = io.StringIO(), list[str]()

    for to in (stream, logging.getLogger("app"), calls.append):
        Outlet(to, color=None).close()

    assert not stream.closed
    Outlet(tmp_path / "never-opened.log", color=None).close()
    assert list(tmp_path.iterdir()) == []


def test_logger_that_is_off_costs_no_text() -> None:
    """Below INFO nothing is printed, so nothing is rendered."""
    logger = logging.getLogger("quiet")
    logger.setLevel(logging.WARNING)

    assert not Outlet(logger, color=None).is_enabled()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, {"terminal": True, "stream": False, "stdout": False}),
        ({"NO_COLOR": "1"}, {"terminal": False, "stream": False, "stdout": False}),
        ({"NO_COLOR": ""}, {"terminal": True, "stream": False, "stdout": False}),
        ({"FORCE_COLOR": "1"}, {"terminal": True, "stream": False, "stdout": True}),
        ({"FORCE_COLOR": ""}, {"terminal": True, "stream": False, "stdout": False}),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, {"terminal": False, "stream": False, "stdout": False}),
        ({"TERM": "dumb"}, {"terminal": False, "stream": False, "stdout": False}),
    ],
    ids=["plain", "no-color", "no-color-empty", "force", "force-empty", "both", "dumb"],
)
def test_terminal_and_environment_decide_about_colour(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: dict[str, bool]
) -> None:
    """Colour is for terminals; NO_COLOR and FORCE_COLOR count when they are not empty."""
    monkeypatch.delenv("TERM", raising=False)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    places = {"terminal": Terminal(), "stream": io.StringIO(), "stdout": None}

    assert {name: Outlet(to, color=None).has_color() for name, to in places.items()} == expected
    assert [Outlet(to, color=True).has_color() for to in places.values()] == [True, True, True]
    assert [Outlet(to, color=False).has_color() for to in places.values()] == [False, False, False]


@pytest.mark.parametrize("environment", [{}, {"FORCE_COLOR": "1"}], ids=["plain", "force"])
def test_files_loggers_and_functions_get_no_escape_codes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, environment: dict[str, str]
) -> None:
    """No ESC byte is written to what is no terminal, unless the user asks for it by name (pains #61)."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    path, calls = tmp_path / "trace.log", list[str]()

    print_run(path).shutdown()
    print_run(calls.append)

    assert b"\x1b" not in path.read_bytes()
    assert not any("\x1b" in line for line in calls)
    assert not Outlet(logging.getLogger("app"), color=None).has_color()
    print_run(path, color=True).shutdown()
    assert b"\x1b" in path.read_bytes()


def closed_stream() -> io.StringIO:
    """Return a stream that has been closed."""
    stream = io.StringIO()
    stream.close()
    return stream


def raising(_: str) -> None:
    """Raise, as a function of the user may."""
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("to", [closed_stream(), raising], ids=["closed", "function"])
def test_place_that_raises_is_reported_once(to: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the place raises, the run goes on and one line in the log names it."""
    processor = print_run(to)
    print_run(to)

    assert processor.force_flush(0)
    assert [record.name for record in caplog.records] == ["chainspan", "chainspan"]  # one for each processor
    assert "The console cannot write to the" in caplog.text


def test_file_that_cannot_be_opened_is_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A path that is a folder loses the text and says so, and nothing raises."""
    print_run(tmp_path)

    assert len(caplog.records) == 1
    assert repr(str(tmp_path)) in caplog.text


def test_place_that_works_again_is_used_again(caplog: pytest.LogCaptureFixture) -> None:
    """A disk that was full for a moment costs only the text of that moment."""
    written: list[str] = []

    def full_once(text: str) -> None:
        if not caplog.records:
            raising(text)
        written.append(text)

    outlet = Outlet(full_once, color=None)
    for text in ("lost", "kept"):
        outlet.write(text)

    assert written == ["kept"]


def test_interrupt_while_writing_reaches_the_application() -> None:
    """Ctrl-C in the middle of a line is the application's, and the next line is written."""
    written: list[str] = []

    def interrupted_once(text: str) -> None:
        written.append(text)
        if len(written) == 1:
            raise KeyboardInterrupt

    outlet = Outlet(interrupted_once, color=None)
    with pytest.raises(KeyboardInterrupt):
        outlet.write("first")
    outlet.write("second")

    assert written == ["first", "second"]


def test_function_that_prints_itself_does_not_wait_for_itself() -> None:
    """A function that traces a chain of its own gets that text after its own."""
    written: list[str] = []

    def nested(text: str) -> None:
        if text == "outer":
            outlet.write("inner")
        written.append(text)

    outlet = Outlet(nested, color=None)
    outlet.write("outer")

    assert written == ["outer", "inner"]


def test_no_thread_waits_for_a_slow_place(caplog: pytest.LogCaptureFixture) -> None:
    """While one thread is stuck in the place, others go on, up to a bound; then text is lost."""
    entered, release = threading.Event(), threading.Event()
    written: list[str] = []

    def slow(text: str) -> None:
        entered.set()
        release.wait(10)
        written.append(text)

    outlet = Outlet(slow, color=None)
    stuck = threading.Thread(target=outlet.write, args=("first",))
    stuck.start()
    entered.wait(10)
    before = time.monotonic()
    for number in range(1_001):
        outlet.write(str(number))
    waited_s = time.monotonic() - before
    flushed_early = outlet.flush(0.01)
    release.set()
    stuck.join()

    assert waited_s < 5
    assert not flushed_early
    assert written == ["first", *map(str, range(1_000))]
    assert [record.name for record in caplog.records] == ["chainspan"]
    assert "takes no more text" in caplog.text


def test_a_thread_does_not_go_on_writing_for_others() -> None:
    """Who finds the place free is not kept there for as long as other threads have texts for it."""
    written: list[str] = []
    entered, over = threading.Event(), threading.Event()

    def slow(text: str) -> None:
        entered.set()
        time.sleep(0.02)
        written.append(text)

    def write_on() -> None:
        entered.wait(10)
        while not over.wait(0.01):
            outlet.write("other")

    outlet = Outlet(slow, color=None)
    other = threading.Thread(target=write_on)
    other.start()
    threading.Timer(3, over.set).start()
    before = time.monotonic()
    outlet.write("own")
    took_s = time.monotonic() - before
    over.set()
    other.join()

    assert took_s < 2
    assert outlet.flush(20)
    assert written[0] == "own"


def test_what_a_thread_leaves_is_written_where_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is ending starts none; the text is written in place."""
    written: list[str] = []

    def nested(text: str) -> None:
        if text == "outer":
            outlet.write("inner")
            time.sleep(0.2)
        written.append(text)

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", start)
    outlet = Outlet(nested, color=None)
    outlet.write("outer")

    assert written == ["outer", "inner"]


def test_flush_waits_for_the_piece_that_is_being_written() -> None:
    """Text is written when the place has taken it, not when a thread has begun to hand it over."""
    entered, release = threading.Event(), threading.Event()
    flushed_inside: list[bool] = []

    def slow(text: str) -> None:
        entered.set()
        release.wait(10)
        flushed_inside.append(outlet.flush(10))

    outlet = Outlet(slow, color=None)
    stuck = threading.Thread(target=outlet.write, args=("only",))
    stuck.start()
    entered.wait(10)
    flushed_early = outlet.flush(0.01)
    release.set()
    flushed = outlet.flush(10)
    stuck.join()

    assert (flushed_early, flushed_inside, flushed) == (False, [True], True)


SLOW_DAEMON = """
import sys, threading, time
from chainspan import ConsoleHandler, chain

started = threading.Event()

def write(text):
    started.set()
    time.sleep(0.2)
    print(text, flush=True)

@chain
def step(input):
    return input

daemon = threading.Thread(target=lambda: step.invoke("daemon", callbacks=[ConsoleHandler(write)]), daemon=True)
daemon.start()
started.wait()
step.invoke("main", callbacks=[ConsoleHandler(write)])
"""


def test_text_that_a_daemon_thread_took_over_is_written_before_the_process_ends() -> None:
    """The main thread's own runs are printed, though another thread was writing when it ended."""
    done = subprocess.run([sys.executable, "-c", SLOW_DAEMON], capture_output=True, text=True, timeout=30, check=True)

    assert done.stderr == ""
    assert [done.stdout.count(text) for text in ('"input": "main"', '"output": "main"')] == [1, 1]


def test_file_is_where_it_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is that of when the processor was made, wherever the process is when the first run starts."""
    (tmp_path / "later").mkdir()
    monkeypatch.chdir(tmp_path)
    processor = ConsoleProcessor("trace.txt")
    monkeypatch.chdir(tmp_path / "later")

    processor._outlet.write("text")
    processor.shutdown()

    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.txt")] == ["trace.txt"]


def test_file_in_a_working_directory_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It cannot be opened, which is said; making the processor raises nothing."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    ConsoleProcessor("trace.txt")._outlet.write("text")

    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "trace.txt" in caplog.text


def test_options_that_cannot_be_used_are_refused() -> None:
    """A word is no flag, and a bound leaves room for one span."""
    with pytest.raises(ConfigurationError, match=r"\(color=\): expected True, False or None, got 'never'"):
        ConsoleHandler(print, color="never")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"\(max_open=\): expected a whole number above 0, got 0"):
        ConsoleProcessor(max_open=0)
    with pytest.raises(ConfigurationError, match=r"\(max_open=\): expected a whole number above 0, got inf"):
        ConsoleProcessor(max_open=inf)  # type: ignore[arg-type]


async def _never_awaited(text: str) -> None:
    """Would take a text, if anybody waited for it."""


@pytest.mark.parametrize(
    "to", [3, object(), b"bytes", _never_awaited], ids=["number", "object", "bytes", "coroutine function"]
)
def test_place_that_is_none_is_refused_when_the_handler_is_made(to: Any) -> None:
    """The error names the argument, what was expected and what came."""
    with pytest.raises(ConfigurationError, match="to: expected a stream, a path, a logger, a function or None, got"):
        ConsoleProcessor(to)
