"""Sends what a spool directory holds: one process at a time, oldest first, for as long as it takes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING

from .._delivery import untraced
from .._errors import ConfigurationError
from .._guard import Guard
from .._starting import start_thread
from ._courier import Courier, narrowed
from ._encoding import MAX_REQUEST_BYTES, joined
from ._senders import Answer, Verdict
from ._spool_counts import Settlement
from ._spool_files import SpoolFile, SpoolFiles
from ._spool_records import readable, records, spans_in

if TYPE_CHECKING:
    from filelock import FileLock

__all__ = ["Shipper", "require_filelock"]

_LOOK_EVERY_S = 0.5  # how long spans gather, and how soon other processes' files and a free lock are seen
_DOUBTS = 4  # within some two seconds
_LONGEST_PAUSE_S = 15.0
_MOST_FILES = 500  # in one request
_UNREADABLE = "a file of the spool is damaged or cannot be read"

_shipping = Guard("spool.ship")


@dataclass(frozen=True, slots=True)
class _Piece:
    """A file that was taken, with what can be read of its content.

    Attributes:
        unreadable_spans: How many of the file's spans are not in the body, for the disk has spoilt them.
    """

    file: SpoolFile
    body: bytes
    unreadable_spans: int = 0


class Shipper:
    """The thread that sends. It starts when told to, and ends with stop() or its process.

    Args:
        gather: Closes the files that are written to, so that they can be sent.
        ship_memory: Sends what found no room on the disk; returns whether there was any.
        settle: Told of files that have got a final answer; it counts and removes them.
        note_sender: Told whether it is this process that sends, when that changes.
        now_ns: The clock that the files' names are made with.
    """

    def __init__(  # noqa: PLR0913  each stands for itself
        self,
        files: SpoolFiles,
        courier: Courier,
        *,
        gather: Callable[[], None],
        ship_memory: Callable[[], bool],
        settle: Callable[[Sequence[Settlement]], None],
        note_sender: Callable[[bool], None],
        now_ns: Callable[[], int],
    ) -> None:
        self._files = files
        self._courier = courier
        self._gather = gather
        self._ship_memory = ship_memory
        self._settle = settle
        self._note_sender = note_sender
        self._now_ns = now_ns
        self.start_afresh()

    def start_afresh(self) -> None:
        """Begin without thread and lock: at first, and in a forked child."""
        self._now = threading.Event()
        self._starting = threading.RLock()
        self._thread: threading.Thread | None = None
        self._lock = _new_lock(self._files)
        self._doubted: frozenset[SpoolFile] = frozenset()  # put off for now
        self._pause_s = _LOOK_EVERY_S

    def start(self) -> None:
        """Start the thread if there is none, with no lock held: it may be a greenlet that goes on at once."""
        with self._starting:
            if self._thread is not None or self._courier.stopped:
                return
            thread = self._new_thread()
        if thread is not None:
            start_thread(thread, otherwise=self._do_without_thread)

    def _do_without_thread(self) -> None:
        self._thread = None  # the next process sends what is left then

    def _new_thread(self) -> threading.Thread | None:
        """Return the thread to start, unless one was for a span that the garbage collector has ended meanwhile."""
        thread = threading.Thread(target=self._work, name="chainspan-spool", daemon=True)
        if self._thread is not None:
            return None
        self._thread = thread
        return thread

    def hurry(self) -> None:
        """Send now, rather than when the next look is due."""
        self.start()
        self._now.set()

    def stop(self, timeout_s: float) -> None:
        """End the thread; what it could not send waits for another process, or the next start."""
        self._courier.stop()
        self._now.set()
        thread = self._thread
        if thread and thread.is_alive():
            thread.join(timeout_s)

    def _work(self) -> None:
        with untraced():
            while not self._courier.stopped:
                # Spans gather first: a request for each would cost the application more than the spans.
                self._now.wait(self._pause_s)
                self._now.clear()
                with _shipping:
                    self._gather()
                while self._ship_something():
                    pass
            if self._lock.is_locked:
                with _shipping:
                    self._note_sender(False)
                self._lock.release()

    def _ship_something(self) -> bool:
        """Send one request, if there is anything; return whether there is more."""
        with _shipping:
            more = self._ship_memory() or (self._has_lock() and self._ship_files())
            return more and not self._courier.stopped
        return False

    def _has_lock(self) -> bool:
        if self._lock.is_locked:
            return True
        filelock = import_module("filelock")
        try:
            self._lock.acquire(blocking=False)
        except filelock.Timeout:
            return False
        self._files.recover(self._now_ns())
        self._note_sender(True)
        return True

    def _ship_files(self) -> bool:
        most = _MOST_FILES + len(self._doubted)
        waiting = self._files.waiting(most)
        others = [file for file in waiting if file not in self._doubted]
        if not others:
            others = self._some_of(waiting)
        pieces = self._take(others[:_MOST_FILES])
        well = not pieces or self._ship(pieces)
        return well and (len(pieces) < len(waiting) or len(waiting) == most)

    def _some_of(self, waiting: list[SpoolFile]) -> list[SpoolFile]:
        """Return what to send where there is nothing that is not doubted: half, to compare with the rest."""
        if not self._doubted:
            return waiting
        self._doubted = frozenset()
        if len(waiting) == 1:
            waiting = [file for piece in self._take(waiting) for file in self._divided(piece)]
        return waiting[: (len(waiting) + 1) // 2]

    def _take(self, files: Sequence[SpoolFile]) -> list[_Piece]:
        return [_piece(file, body) for file, body in self._files.take(files, MAX_REQUEST_BYTES)]

    def _ship(self, pieces: Sequence[_Piece]) -> bool:
        """Send some files, and return whether the endpoint seems well.

        Files that only get doubtful answers are put off, and judged by what others get: if
        those are accepted, the first are at fault, else the endpoint is.
        """
        verdicts = []
        for part, answer in narrowed(pieces, self._send):
            self._apply(part, answer)
            verdicts.append(answer.verdict)
        if Verdict.DOUBTFUL in verdicts:
            both, self._doubted = bool(self._doubted), frozenset(piece.file.turned("otlp") for piece in pieces)
            self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S) if both else self._pause_s
            return not both
        self._pause_s = _LOOK_EVERY_S
        if Verdict.ACCEPTED in verdicts and self._doubted:
            self._ship_doubted()
        return True

    def _ship_doubted(self) -> None:
        """Send again what was doubted, now that others were accepted: what fails alone is at fault."""
        doubted, self._doubted = sorted(self._doubted), frozenset()
        while doubted:
            answers = narrowed(self._take(doubted), self._send_suspect)
            doubted = [file for part, answer in answers for file in self._apply(part, answer)]

    def _send(self, pieces: Sequence[_Piece]) -> Answer:
        return self._courier.deliver(joined([piece.body for piece in pieces]), doubts=_DOUBTS)

    def _send_suspect(self, pieces: Sequence[_Piece]) -> Answer:
        """Send what may be at fault: several are narrowed down at once, a single span gets its chances."""
        doubts = 1 if sum(piece.file.spans for piece in pieces) > 1 else _DOUBTS
        answer = self._courier.deliver(joined([piece.body for piece in pieces]), doubts=doubts)
        refused = answer.verdict is Verdict.DOUBTFUL and not self._courier.stopped
        return replace(answer, verdict=Verdict.REFUSED) if refused else answer

    def _apply(self, pieces: Sequence[_Piece], answer: Answer) -> Sequence[SpoolFile]:
        """Settle some files by the answer that they got together; return those that are to be judged again."""
        if answer.verdict is Verdict.REFUSED and len(pieces) == 1 and pieces[0].file.spans > 1:
            parts = self._parts_of(pieces[0])
            if parts:
                return parts
        if answer.final:
            self._settle(list(_settlements(pieces, answer)))
        else:
            for piece in pieces:
                self._files.put_back(piece.file)
        return []

    def _divided(self, piece: _Piece) -> Sequence[SpoolFile]:
        """Return the files that a file was taken apart into, or the file itself, which waits again."""
        parts = self._parts_of(piece)
        if not parts:
            self._files.put_back(piece.file)
        return parts or [piece.file.turned("otlp")]

    def _parts_of(self, piece: _Piece) -> Sequence[SpoolFile]:
        """Give each span of a file a file of its own, so that it is judged alone; none where that cannot be."""
        parts = [(body, spans_in(body)) for body in records(piece.body)]
        is_sound = len(parts) > 1 and sum(spans for _, spans in parts) == piece.file.spans
        return self._files.split(piece.file, parts) if is_sound else []


def _piece(file: SpoolFile, body: bytes) -> _Piece:
    if spans_in(body) >= file.spans:
        return _Piece(file, body)
    found = readable(body)
    return _Piece(file, joined(found.records), max(0, file.spans - found.spans))


def _settlements(pieces: Sequence[_Piece], answer: Answer) -> Iterator[Settlement]:
    rejected = answer.rejected_spans  # of all of them; it is not said of which
    for piece in pieces:
        spans = piece.file.spans
        if answer.verdict is Verdict.REFUSED:
            yield Settlement(file=piece.file, rejected=spans, reason=answer.reason)
            continue
        share = min(spans - piece.unreadable_spans, rejected)
        rejected -= share
        lost = piece.unreadable_spans + share
        reason = _UNREADABLE if piece.unreadable_spans else answer.reason
        yield Settlement(file=piece.file, delivered=spans - lost, rejected=lost, reason=reason)


def require_filelock() -> None:
    """Raise a ConfigurationError that names the cure, where the lock library is missing."""
    try:
        import_module("filelock")
    except ImportError as error:
        raise ConfigurationError(
            "spool", expected="the package filelock; install chainspan[spool]", got="no such package"
        ) from error


def _new_lock(files: SpoolFiles) -> FileLock:
    from filelock import FileLock  # noqa: PLC0415  of the extra `spool`

    return FileLock(files.directory / "shipper.lock", mode=0o600)
