"""Where the console's text goes: a stream, a file, a logger or a function."""

from __future__ import annotations

import inspect
import logging
import math
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import BinaryIO, Protocol, TextIO, TypeAlias

from typing_extensions import override

from chainspan._encode import attempt
from chainspan._errors import ConfigurationError
from chainspan._exit import after_fork
from chainspan._guard import log_quietly
from chainspan._starting import start_thread

__all__ = ["Outlet", "Target"]

AnyLogger: TypeAlias = "logging.Logger | logging.LoggerAdapter[logging.Logger]"
Target: TypeAlias = "TextIO | str | os.PathLike[str] | AnyLogger | Callable[[str], object] | None"

_MOST_WAITING = 1_000
_LONGEST_FOR_OTHERS_S = 0.1  # that a thread writes what others leave to it, before one that has nothing else to do


class _Sink(Protocol):
    """One place that takes text."""

    def is_enabled(self) -> bool:
        """Return whether text that is written would be seen at all."""
        ...

    def wants_color(self) -> bool:
        """Return whether the place shows colours, when the user has not said."""
        ...

    def write(self, text: str) -> None:
        """Take one piece of text, without the line's end."""
        ...

    def close(self) -> None:
        """Give back what was opened here."""
        ...


class Outlet:
    """Writes pieces of text, whole and in order, to one place.

    A thread waits for the place as for ``print``, and for no other thread: one that finds
    another writing leaves its text to that one and goes on. Whoever writes for others hands
    that over to a thread of its own, when it takes long. Hence a place that is slow holds up
    one thread at a time; more than 1,000 pieces that wait for it are dropped. A place that
    raises is reported once, through the logger ``chainspan``, and tried again with the next piece.

    Args:
        to: A stream, a path, a logger, or a function of one str; None for ``sys.stdout``
            as it is at the time of writing.
        color: Whether to write colours; None for: on a terminal.
    """

    def __init__(self, to: Target, color: bool | None) -> None:
        self._sink = _sink_for(to)
        self._color = color
        self._reported = False
        self._writer: int | None = None
        self._start_afresh()
        after_fork(self._start_afresh)

    def is_enabled(self) -> bool:
        """Return whether it is worth making the text."""
        return self._sink.is_enabled()

    def has_color(self) -> bool:
        """Return whether the text is to be coloured."""
        if self._color is not None:
            return self._color
        try:
            return self._sink.wants_color()
        except Exception:  # noqa: BLE001 - a closed stream, which write() will report
            return False

    def write(self, text: str) -> None:
        """Write a piece of text, now or by the thread that is writing now."""
        if len(self._waiting) >= _MOST_WAITING:
            self._report("it takes no more text")
            return
        self._waiting.append(text)
        if not self._write_until(time.monotonic() + _LONGEST_FOR_OTHERS_S):
            self._hand_over()

    def flush(self, timeout_s: float) -> bool:
        """Wait until the text that other threads took over is written."""
        give_up_at = time.monotonic() + timeout_s
        while self._is_busy() and time.monotonic() < give_up_at:
            time.sleep(0.001)
        return not self._is_busy()

    def close(self) -> None:
        """Close what was opened here; a stream, logger or function of the user stays open."""
        self._sink.close()

    def _start_afresh(self) -> None:
        """Let no text wait: at first, and in a forked child, where it is the parent's to write."""
        self._waiting: deque[str] = deque()
        self._writing = threading.Lock()
        self._writer = None

    def _is_busy(self) -> bool:
        """Return whether text waits, or another thread is at its last piece."""
        return bool(self._waiting) or (self._writing.locked() and self._writer != threading.get_ident())

    def _write_until(self, give_up_at: float) -> bool:
        """Write what waits, unless another thread does, and return whether nobody has to go on with it."""
        # Asked again after the lock was given back: a text may have come in between.
        while self._waiting and self._writing.acquire(blocking=False):
            self._writer = threading.get_ident()
            try:
                is_all = self._write_waiting(give_up_at)
            finally:
                self._writer = None
                self._writing.release()
            if not is_all:
                return False
        return True

    def _write_waiting(self, give_up_at: float) -> bool:
        while self._waiting:
            text = self._waiting.popleft()
            try:
                self._sink.write(text)
            except Exception as error:  # noqa: BLE001 - the user's stream or function may raise anything
                self._report("it failed", error)
            if self._waiting and time.monotonic() > give_up_at:
                return False
        return True

    def _hand_over(self) -> None:
        write = partial(self._write_until, math.inf)
        start_thread(threading.Thread(target=write, name="chainspan-console", daemon=True), otherwise=write)

    def _report(self, what: str, error: Exception | None = None) -> None:
        if self._reported:
            return
        self._reported = True
        log_quietly(
            logging.WARNING,
            f"The console cannot write to {self._sink!r}: {what}. The application goes on; "
            "text is lost until it works again. This is said once.",
            error,
        )


def _sink_for(to: object) -> _Sink:
    if to is None:
        return _StreamSink(None)
    if isinstance(to, (logging.Logger, logging.LoggerAdapter)):
        return _LoggerSink(to)
    if isinstance(to, (str, os.PathLike)):
        return _FileSink(os.fspath(to))
    if callable(getattr(to, "write", None)):
        return _StreamSink(to)  # type: ignore[arg-type] # write() is all that is needed
    if callable(to) and not inspect.iscoroutinefunction(to):  # which nobody here would await
        return _FunctionSink(to)
    raise ConfigurationError("to", expected="a stream, a path, a logger, a function or None", got=to)


class _StreamSink:
    """A text stream, which stays open."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    @override
    def __repr__(self) -> str:
        return "standard output" if self._stream is None else f"the stream {type(self._stream).__name__}"

    def is_enabled(self) -> bool:
        return self._target() is not None

    def wants_color(self) -> bool:
        stream = self._target()
        if os.environ.get("NO_COLOR"):  # https://no-color.org: present and not empty
            return False
        # https://force-color.org speaks of a program's output: not of a file it has opened.
        if os.environ.get("FORCE_COLOR") and (stream is sys.stdout or stream is sys.stderr):
            return True
        return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"

    def write(self, text: str) -> None:
        stream = self._target()
        if stream is None:  # pythonw has no standard output
            return
        line = f"{text}\n"
        try:
            stream.write(line)
        except UnicodeEncodeError:
            encoding = getattr(stream, "encoding", None) or "ascii"
            stream.write(line.encode(encoding, "replace").decode(encoding))
        if callable(flush := getattr(stream, "flush", None)):
            flush()

    def close(self) -> None:
        pass

    def _target(self) -> TextIO | None:
        return sys.stdout if self._stream is None else self._stream


class _FileSink:
    """A file, opened with the first text that is written and appended to."""

    def __init__(self, path: str) -> None:
        # Any path; it is opened later, maybe elsewhere. A working directory that is gone is said then.
        self._path = attempt(lambda: os.path.abspath(path), path)  # noqa: PTH100
        self._file: BinaryIO | None = None
        self._closed = False

    @override
    def __repr__(self) -> str:
        return f"the file {self._path!r}"

    def is_enabled(self) -> bool:
        return not self._closed

    def wants_color(self) -> bool:
        return False

    def write(self, text: str) -> None:
        file = self._file or self._open()
        file.write(f"{text}\n".encode("utf-8", "replace"))
        file.flush()

    def close(self) -> None:
        self._closed = True
        if self._file is not None:
            self._file.close()

    def _open(self) -> BinaryIO:
        file = self._file = open(self._path, "ab")  # noqa: PTH123, SIM115 - any path; it stays open
        # For a handler that is dropped and never shut down. A disk that is full has been reported by then.
        weakref.finalize(self, attempt, file.close, None)
        return file


class _LoggerSink:
    """A logger, at level INFO."""

    def __init__(self, logger: AnyLogger) -> None:
        self._logger = logger

    @override
    def __repr__(self) -> str:
        return "the logger"

    def is_enabled(self) -> bool:
        return self._logger.isEnabledFor(logging.INFO)

    def wants_color(self) -> bool:
        return False

    def write(self, text: str) -> None:
        self._logger.info("%s", text)

    def close(self) -> None:
        pass


class _FunctionSink:
    """A function, called with each piece of text."""

    def __init__(self, function: Callable[[str], object]) -> None:
        self._function = function

    @override
    def __repr__(self) -> str:
        return f"the function {getattr(self._function, '__name__', type(self._function).__name__)}"

    def is_enabled(self) -> bool:
        return True

    def wants_color(self) -> bool:
        return False

    def write(self, text: str) -> None:
        self._function(text)

    def close(self) -> None:
        pass
