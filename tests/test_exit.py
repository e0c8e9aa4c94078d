"""Signals are chained, and the end of a process is bounded for all exporters together."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from typing_extensions import override

from chainspan import ConfigurationError, _exit
from chainspan._batching import BatchingProcessor
from chainspan._delivery import Delivery

pytestmark = pytest.mark.timeout(20)


class Holder:
    """Holds spans, and takes as long as it may to send them."""

    def __init__(self) -> None:
        """Have been asked nothing."""
        self.asked: list[str] = []

    def flush(self, timeout_s: float) -> Delivery:
        """Note it."""
        self.asked.append("flush" if timeout_s else "begin")
        return Delivery()

    def close(self, timeout_s: float) -> None:
        """Take all the time there is."""
        self.asked.append("close")
        time.sleep(timeout_s)


@pytest.fixture
def holders() -> Iterator[list[Holder]]:
    """Two that are open, alone in the world."""
    others = list(_exit._open)
    for other in others:
        _exit._open.discard(other)
    holders = [Holder(), Holder()]
    for holder in holders:
        _exit.close_at_exit(holder)
    yield holders
    for holder in holders:
        _exit._open.discard(holder)
    for other in others:
        _exit._open.add(other)


@pytest.fixture
def sigterm() -> Iterator[None]:
    """Put back whatever handler there was, and forget that the signal came."""
    handler, called_s = signal.getsignal(signal.SIGTERM), _exit._SigtermHandler.called_s
    yield
    signal.signal(signal.SIGTERM, handler)
    _exit._SigtermHandler.called_s = called_s


def test_all_share_the_time_at_exit(holders: list[Holder]) -> None:
    """Two slow endpoints delay the exit no longer than one, and both begin at once."""
    began_s = time.monotonic()

    _exit._close_open()

    assert time.monotonic() - began_s < 2.2
    assert [holder.asked for holder in holders] == [["begin", "close"]] * 2


def test_opting_out_of_the_exit(holders: list[Holder]) -> None:
    """What was taken back is left alone."""
    _exit.never_close_at_exit(holders[0])

    _exit._close_open()

    assert [holder.asked for holder in holders] == [[], ["begin", "close"]]


@pytest.mark.parametrize("timeout_s", [None, "1", -1, float("inf"), float("nan")], ids=str)
def test_timeout_that_cannot_be_used_is_refused(timeout_s: Any) -> None:
    """It is said when the flush is asked for, rather than when the signal comes and nothing is flushed."""
    with pytest.raises(ConfigurationError, match=r"flush_on_sigterm\(timeout_s\): expected seconds, and not for ever"):
        _exit.flush_on_sigterm(timeout_s)


@pytest.mark.usefixtures("sigterm")
def test_handler_of_the_application_is_called_after_the_flush(holders: list[Holder]) -> None:
    """Its handler comes second, with the arguments of the signal."""
    called: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: called.append(number))

    installed = _exit.flush_on_sigterm(0.5)
    signal.raise_signal(signal.SIGTERM)

    assert (installed, called) == (True, [signal.SIGTERM])
    assert [holder.asked for holder in holders] == [["begin", "flush"]] * 2


@pytest.mark.usefixtures("sigterm")
def test_signal_handler_waits_for_no_lock(holders: list[Holder]) -> None:
    """When the signal interrupts the holder of a lock that a flush needs, the process still goes on in time."""
    lock = threading.Lock()
    called: list[int] = []
    holders[0].flush = lambda timeout_s: lock.acquire() and Delivery()  # type: ignore[assignment,method-assign,return-value]
    signal.signal(signal.SIGTERM, lambda number, _: called.append(number))
    _exit.flush_on_sigterm(0.2)

    with lock:
        signal.raise_signal(signal.SIGTERM)

    assert called == [signal.SIGTERM]


class Interrupted(deque[Any]):
    """The queue of a processor, in which a signal comes while the processor's lock is held."""

    @override
    def append(self, item: Any) -> None:
        """Be interrupted."""
        signal.raise_signal(signal.SIGTERM)
        super().append(item)


@pytest.mark.usefixtures("sigterm", "holders")
def test_signal_that_interrupts_the_end_of_a_span() -> None:
    """The lock that the flush needs is let go of first, so that all spans arrive, and at once."""
    exporter = InMemorySpanExporter()
    processor = BatchingProcessor(exporter, delay_s=60)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    arrived: list[int] = []
    is_over = threading.Event()

    def previous(number: int, _: FrameType | None) -> None:
        arrived.append(len(exporter.get_finished_spans()))
        is_over.set()

    signal.signal(signal.SIGTERM, previous)
    _exit.flush_on_sigterm(5)
    provider.get_tracer("application").start_span("before").end()
    processor._queue = Interrupted(processor._queue)
    began_s = time.monotonic()

    provider.get_tracer("application").start_span("interrupted").end()

    assert is_over.wait(4)
    assert time.monotonic() - began_s < 4
    assert arrived == [2]


@pytest.mark.usefixtures("sigterm")
def test_signal_that_interrupts_a_long_wait_of_ours(holders: list[Holder], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is put off for a moment only, however long that goes on."""
    called: list[float] = []

    def close(_: float) -> None:
        while not called and time.monotonic() - began_s < 3:
            time.sleep(0.01)

    for holder in holders:
        monkeypatch.setattr(holder, "close", close)
    signal.signal(signal.SIGTERM, lambda *_: called.append(time.monotonic()))
    _exit.flush_on_sigterm(1)
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
    began_s = time.monotonic()

    _exit._close_open()

    assert [called_s - began_s < 1.5 for called_s in called] == [True]


def interrupted_in(module: object) -> None:
    """Have SIGTERM come in code whose module has this name."""
    code: dict[str, Any] = {"__name__": module, "signal": signal}
    exec("def run(): signal.raise_signal(signal.SIGTERM)", code)
    code["run"]()


@pytest.mark.usefixtures("sigterm")
def test_signal_is_not_put_off_where_no_thread_can_be_had(
    holders: list[Holder], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """At the end of a process none can be started; what the signal interrupts goes on, and so does the signal."""
    called: list[int] = []

    def refuse(*_: object) -> int:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    signal.signal(signal.SIGTERM, lambda number, _: called.append(number))
    _exit.flush_on_sigterm(1)
    monkeypatch.setattr("_thread.start_new_thread", refuse)
    monkeypatch.delenv("CHAINSPAN_STRICT")

    interrupted_in("chainspan.somewhere")

    assert called == [signal.SIGTERM]
    assert [record.name for record in caplog.records] == ["chainspan"]
    assert [holder.asked for holder in holders] == [[], []]


@pytest.mark.usefixtures("sigterm", "holders")
def test_handler_of_the_applications_hears_of_a_signal_once() -> None:
    """One that was set up later, and calls ours, may take a second signal for an order to stop at once."""
    called: list[str] = []
    signal.signal(signal.SIGTERM, lambda *_: called.append("before"))
    _exit.flush_on_sigterm(1)
    ours: Any = signal.getsignal(signal.SIGTERM)

    def later(number: int, frame: FrameType | None) -> None:
        called.append("later")
        ours(number, frame)

    signal.signal(signal.SIGTERM, later)
    interrupted_in("chainspan.somewhere")

    assert called == ["later", "before"]


@pytest.mark.usefixtures("sigterm", "holders")
def test_signal_that_interrupts_code_of_no_module() -> None:
    """What is executed from a text may have anything for the name of its module."""
    called: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: called.append(number))
    _exit.flush_on_sigterm(1)

    interrupted_in(None)

    assert called == [signal.SIGTERM]


@pytest.mark.usefixtures("sigterm")
def test_flush_goes_on_where_nothing_can_wait_for_it(holders: list[Holder], monkeypatch: pytest.MonkeyPatch) -> None:
    """In the loop of gevent's greenlets a wait is refused; the application's handler still comes after the flush."""
    done = threading.Event()
    seen: list[list[str]] = []

    def previous(number: int, _: FrameType | None) -> None:
        seen.extend(holder.asked for holder in holders)
        done.set()

    def refuse(self: threading.Event, timeout: float | None = None) -> bool:
        raise AssertionError("Impossible to call blocking function in the event loop callback")

    signal.signal(signal.SIGTERM, previous)
    _exit.flush_on_sigterm(0.5)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Event, "wait", refuse)
        signal.raise_signal(signal.SIGTERM)

    assert done.wait(5)
    assert seen == [["begin", "flush"]] * 2


@pytest.mark.usefixtures("sigterm")
def test_handler_of_another_signal_that_raises_meanwhile(
    holders: list[Holder], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A wait that an alarm breaks off is over: what comes after it is the main thread's, as signals are."""
    monkeypatch.delenv("CHAINSPAN_STRICT", raising=False)
    seen: list[threading.Thread] = []

    def break_off(self: threading.Event, timeout: float | None = None) -> bool:
        raise TimeoutError

    signal.signal(signal.SIGTERM, lambda *_: seen.append(threading.current_thread()))
    _exit.flush_on_sigterm(0.5)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Event, "wait", break_off)
        signal.raise_signal(signal.SIGTERM)

    assert seen == [threading.main_thread()]
    assert "TimeoutError" in caplog.text
    until = time.monotonic() + 5
    while any("flush" not in holder.asked for holder in holders) and time.monotonic() < until:
        time.sleep(0.01)
    assert [holder.asked for holder in holders] == [["begin", "flush"]] * 2


@pytest.mark.usefixtures("sigterm")
def test_handler_is_installed_once(holders: list[Holder]) -> None:
    """Asking twice flushes once."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

    _exit.flush_on_sigterm(0.5)
    _exit.flush_on_sigterm(0.5)
    signal.raise_signal(signal.SIGTERM)

    assert holders[0].asked == ["begin", "flush"]


def test_signal_handler_needs_the_main_thread(caplog: pytest.LogCaptureFixture) -> None:
    """Elsewhere nothing is installed, and that is said once."""
    answers: list[bool] = []
    before = signal.getsignal(signal.SIGTERM)

    for _ in range(2):
        thread = threading.Thread(target=lambda: answers.append(_exit.flush_on_sigterm()))
        thread.start()
        thread.join()

    assert answers == [False, False]
    assert signal.getsignal(signal.SIGTERM) is before
    assert len(caplog.messages) <= 1


class Forked:
    """Notes that its process was forked."""

    def __init__(self, notes: list[str], name: str) -> None:
        """Have a name."""
        self.notes, self.name = notes, name

    def note(self) -> None:
        """Note it, and fail."""
        self.notes.append(self.name)
        raise KeyError


def test_children_tell_what_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is told in its turn, whatever the others do; of what is gone nothing is kept."""
    monkeypatch.delenv("CHAINSPAN_STRICT", raising=False)
    monkeypatch.setattr(_exit, "_after_fork", weakref.WeakValueDictionary())
    notes: list[str] = []
    kept = [Forked(notes, "first"), Forked(notes, "second")]
    for forked in kept:
        _exit.after_fork(forked.note)
        _exit.after_fork(Forked(notes, "gone").note)
        gc.collect()

    _exit._tell_of_fork()

    assert notes == ["first", "second"]
    assert len(_exit._after_fork) == len(kept)
