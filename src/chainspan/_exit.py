"""What happens to pending spans when the process ends: a flush with a bound.

Everything that holds spans registers here once. At exit all of it is flushed together,
for two seconds at most, whether the endpoint answers or not. SIGTERM, by which containers
are stopped, runs no exit hooks; who wants the same there asks for it.
"""

from __future__ import annotations

import _thread
import atexit
import math
import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable
from itertools import count
from time import monotonic, sleep
from types import FrameType
from typing import ClassVar, Protocol

from ._delivery import Delivery
from ._errors import is_number, require
from ._guard import Guard, say_once
from ._living import Living

__all__ = [
    "EXIT_TIMEOUT_S",
    "Closable",
    "after_fork",
    "close_at_exit",
    "close_first",
    "flush_on_sigterm",
    "is_ending",
    "never_close_at_exit",
]

EXIT_TIMEOUT_S = 1.8
"""How long pending spans may delay the end of a process: two seconds, with what stopping takes itself."""

_STOPPING_S = 0.2  # that stopping takes beside a timeout
_GRACE_S = 60.0  # for an application to finish what it does when SIGTERM comes
_SECONDS = "seconds, and not for ever"
_MOMENT_S = 0.005  # in which code that holds a lock goes on, and lets go of it
_MOST_PUT_OFF = 20  # times that a signal is
_NEAR_FRAMES = 6  # between a holder of one of our locks and what it has called meanwhile
_AFTER_ALL_OTHERS = -1_000  # that finish with a process of multiprocessing's
_closing = Guard("exit.close")
_at_sigterm = Guard("exit.sigterm")
_in_child = Guard("exit.fork")


class Closable(Protocol):
    """What holds spans that have not been sent."""

    def flush(self, timeout_s: float) -> Delivery:
        """Send what is pending, for so long at most."""
        ...

    def close(self, timeout_s: float) -> None:
        """Flush, then stop, within the timeout; later calls do nothing."""
        ...


_open: Living[Closable] = Living()
_first: Living[Closable] = Living()
_after_fork: weakref.WeakValueDictionary[tuple[int, str], object] = weakref.WeakValueDictionary()
_numbers = count()


def close_at_exit(closable: Closable, *, first: bool = False) -> None:
    """Close this at the end of the process, unless it has been collected by then; `first` what feeds others."""
    (_first if first else _open).add(closable)


def never_close_at_exit(closable: Closable) -> None:
    """Take back close_at_exit: the application flushes for itself."""
    _open.discard(closable)


def close_first() -> None:
    """Close everything before the exit hooks that there are until now, such as those of providers.

    A provider closes what it feeds, and only that. Spans and metrics of a dead endpoint would
    so be waited for one after the other, and not together.
    """
    atexit.unregister(_close_open)
    atexit.register(_close_open)


def after_fork(method: Callable[[], None]) -> None:
    """Call this bound method in every forked child, for as long as its object lives."""
    _after_fork[next(_numbers), method.__name__] = getattr(method, "__self__", None)


def _tell_of_fork() -> None:
    _close_with_worker()
    for (_, name), alive in list(_after_fork.items()):
        with _in_child:
            getattr(alive, name)()


def flush_on_sigterm(timeout_s: float = EXIT_TIMEOUT_S) -> bool:
    """Flush when SIGTERM comes, then do what would have been done without this.

    The handler that the application had set is called after the flush; without one the
    process ends by the signal, as it would have. Only the main thread may set signal
    handlers: elsewhere, and where the handler is not Python's, nothing is installed.

    Returns:
        Whether it is installed.

    Raises:
        ConfigurationError: The timeout is no number of seconds.
    """
    is_usable = is_number(timeout_s) and 0 <= timeout_s <= threading.TIMEOUT_MAX
    require(is_usable, "flush_on_sigterm(timeout_s)", expected=_SECONDS, got=timeout_s)
    previous = signal.getsignal(signal.SIGTERM)
    if previous is None or threading.current_thread() is not threading.main_thread():
        say_once("chainspan does not flush on SIGTERM: only the main thread of Python can set that up.")
        return False
    if not isinstance(previous, _SigtermHandler):
        signal.signal(signal.SIGTERM, _SigtermHandler(previous, float(timeout_s)))
    return True


def is_ending() -> bool:
    """Return whether SIGTERM came lately: what ends from then on is to be sent at once.

    A server finishes its requests then, and may end by the signal that it has caught, which runs no exit hooks.
    """
    return monotonic() - _SigtermHandler.called_s < _GRACE_S


class _SigtermHandler:
    """Flushes, then goes on to the handler that was there before."""

    called_s: ClassVar[float] = -math.inf

    def __init__(self, previous: Callable[[int, FrameType | None], object] | int, timeout_s: float) -> None:
        self._previous = previous
        self._timeout_s = timeout_s
        self._put_off = 0  # times, since the signal came

    def __call__(self, number: int, frame: FrameType | None) -> None:
        _SigtermHandler.called_s = monotonic()
        if self._put_off < _MOST_PUT_OFF and _may_hold_lock(frame) and self._comes_again(number):
            self._put_off += 1
            return
        self._put_off = 0
        flushed = threading.Event()
        left_to_do: list[Callable[[], None]] = []

        def flush() -> None:
            with _at_sigterm:
                if self._ends_process:
                    _close_open(self._timeout_s)  # which says what is lost
                else:
                    _flush_open(self._timeout_s)
            flushed.set()
            go_on()

        def go_on() -> None:
            try:
                rest = left_to_do.pop()
            except IndexError:  # there is none, or the other thread has taken it
                return
            rest()

        with _at_sigterm:
            # The signal may have interrupted a holder of a lock, in this very thread:
            # another thread that waits for the lock can be left behind.
            _thread.start_new_thread(flush, ())
            try:
                flushed.wait(self._timeout_s + _STOPPING_S)
            except AssertionError:  # of gevent: the loop of its greenlets took the signal, and cannot wait
                left_to_do.append(lambda: self._go_on(number, frame))
                if flushed.is_set():
                    go_on()
                return
        self._go_on(number, frame)

    @property
    def _ends_process(self) -> bool:
        return self._previous == signal.SIG_DFL

    def _comes_again(self, number: int) -> bool:
        """Have the signal sent once more, and return whether it will be.

        Not where no thread can be had, as at the end of a process from Python 3.12 on. Nor where a handler of the
        application's has called this one, and would take the second signal for somebody's.
        """
        if signal.getsignal(number) is not self:
            return False
        try:
            _thread.start_new_thread(_send_again, (number,))
        except RuntimeError:
            return False
        return True

    def _go_on(self, number: int, frame: FrameType | None) -> None:
        if callable(self._previous):
            self._previous(number, frame)
        elif self._ends_process:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)


def _may_hold_lock(frame: FrameType | None) -> bool:
    """Return whether code that a signal interrupts is our own, or what that has called: it lets go in a moment.

    Our locks are not held across the code of others, which may take long and have many frames.
    """
    for _ in range(_NEAR_FRAMES):
        if frame is None:
            break
        if str(frame.f_globals.get("__name__")).startswith("chainspan."):
            return True
        frame = frame.f_back
    return False


def _send_again(number: int) -> None:
    """Have a signal come once more: to the process, whose main thread may be waiting for something by then."""
    sleep(_MOMENT_S)
    if sys.platform == "win32":
        signal.raise_signal(number)  # os.kill() ends the process there
    else:
        os.kill(os.getpid(), number)


def _flush_open(timeout_s: float) -> None:
    """Flush everything together: all begin before the first is waited for."""
    deadline_s = monotonic() + timeout_s
    closables = [*_first, *_open]
    for wait in (False, True):
        for closable in closables:
            with _closing:
                closable.flush(max(0.0, deadline_s - monotonic()) if wait else 0.0)


def _close_open(timeout_s: float = EXIT_TIMEOUT_S) -> None:
    # No thread is started here: some Pythons forbid it at this point.
    deadline_s = monotonic() + timeout_s
    closables = [*_first, *_open]
    for closable in closables:
        with _closing:
            closable.flush(0.0)
    for closable in closables:
        with _closing:
            closable.close(max(0.0, deadline_s - monotonic()))


def _close_with_worker() -> None:
    """Close everything at the end of a worker process that runs no exit hooks: multiprocessing's, and Celery's."""
    with _in_child:
        _close_with_multiprocessing()
        if celery := sys.modules.get("celery.signals"):
            celery.worker_process_shutdown.connect(_close_in_celery, weak=False)


def _close_with_multiprocessing() -> None:
    """Close everything at the end of a process of multiprocessing's, or of billiard's, which makes them likewise.

    What is registered before such a process has begun is forgotten then, but for what asks to
    be told of the beginning.
    """
    if "billiard" in sys.modules:
        import multiprocessing.util  # noqa: F401, PLC0415  as billiard itself does, once it has forked
    util = sys.modules.get("multiprocessing.util")
    processes = sys.modules.get("multiprocessing.process")
    if util is None or processes is None:
        return
    util.register_after_fork(_close_open, _close_last)
    if processes.parent_process() is not None:
        _close_last(_close_open)


def _close_last(close: Callable[[], None]) -> None:
    sys.modules["multiprocessing.util"].Finalize(None, close, exitpriority=_AFTER_ALL_OTHERS)


def _close_in_celery(**_: object) -> None:
    _close_open()


atexit.register(_close_open)
_close_with_worker()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_tell_of_fork)  # once, since nothing registered is ever let go of
