"""An exporter that writes spans to a directory first and sends them from there.

What is written survives the process: a crash, SIGKILL, an outage of the endpoint for as
long as the directory has room, and is sent by the next process that uses the directory.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic, time_ns  # noqa: TID251  files of several processes are sorted by it

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from typing_extensions import override

from .._delivery import Delivery
from .._exit import EXIT_TIMEOUT_S, after_fork, close_at_exit
from .._outage import OutageLog
from ._courier import Courier
from ._encoding import encoded
from ._senders import Sender, Verdict
from ._shipper import Shipper
from ._spool_counts import Settlement, SpoolCounts
from ._spool_files import SpoolFiles
from ._spool_memory import SpoolMemory
from ._spool_segment import SpoolSegment, adopt

__all__ = ["MAX_SPOOL_BYTES", "SpoolExporter"]

MAX_SPOOL_BYTES = 256 * 1024 * 1024
"""How much a spool holds by default: about a day of an agent that makes a span a second with 3 kB each."""

_REJECTED_SHARE = 8  # an eighth of the bound is for what was refused
_SEGMENT_SHARE = 512  # spans that end together share a file of half a MiB at most, by default
_LOOK_SHARE = 16  # other processes' files are looked at after each sixteenth of the bound
_ROOM_AFTER_TRIM = 0.95
_FAR_TOO_MUCH = 1.25
_MAX_MEMORY_BYTES = 16 * 1024 * 1024
_MEMORY_PATIENCE_S = 2.0
_LAST_STEPS_S = 0.2
_LOOK_S = 0.05
_LOOKS_SHARE = 4  # looking takes a fifth of a flush's time at most


class SpoolExporter(SpanExporter):
    """Writes spans to files, which a background thread sends. Made by spool(), one for each directory.

    Safe to share between handlers, threads and, as a directory, processes. When export()
    has returned, the spans are with the operating system and survive the process; they
    would not survive the machine losing power in the next seconds.
    """

    def __init__(
        self, directory: Path, to: Sender, *, max_bytes: int = MAX_SPOOL_BYTES, now_ns: Callable[[], int] = time_ns
    ) -> None:
        self.endpoint: str = to.endpoint
        self.outage: OutageLog = OutageLog(to.endpoint, waiting=self._waiting_words)
        self._sender = to
        self._now_ns = now_ns = _Steady(now_ns)
        self._max_bytes = max_bytes
        self._files = SpoolFiles(directory)
        self._segment = SpoolSegment(self._files, now_ns, max_bytes=max_bytes // _SEGMENT_SHARE)
        self._counts = SpoolCounts(self._files, now_ns)
        self._memory = SpoolMemory(_MAX_MEMORY_BYTES)
        self._courier = Courier(to, self.outage)
        self._shipper = Shipper(
            self._files,
            self._courier,
            gather=self._gather,
            ship_memory=self._ship_memory,
            settle=self._settle,
            note_sender=lambda sends: self._counts.note_sender(self._segment.close(), sends=sends),
            now_ns=now_ns,
        )
        self._size_bytes = self._next_look_bytes = 0
        self._looking = threading.Lock()
        self._settled = threading.Event()
        self.closed: bool = False
        after_fork(self._start_afresh)
        close_at_exit(self)
        adopt(self._files)
        if self._files.waiting():
            self._shipper.start()

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write the spans; success means that they will be sent, not that they were."""
        kept = True
        for batch in encoded(spans):
            why = self._keep(batch.body, len(batch.spans)) if batch.body else "they cannot be encoded"
            if why:
                kept = False
                self._lose(len(batch.spans), why)
        self._shipper.start()
        return SpanExportResult.SUCCESS if kept else SpanExportResult.FAILURE

    def export_durably(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Do what export() does: it is quick and durable enough to be called at every span."""
        return self.export(spans)

    def flush(self, timeout_s: float) -> Delivery:
        """Wait until all that was written before has been sent, for so long at most.

        Returns:
            Where the spans are that this process wrote, and those it found.
        """
        deadline_s = monotonic() + timeout_s
        if timeout_s > 0:
            self._courier.hurry()
        self._wait_until_sent(deadline_s)
        return self._counts.delivery(self._segment.close(), self._memory.spans)

    @override
    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush, and return whether all spans arrived."""
        return bool(self.flush(timeout_millis / 1_000))

    def close(self, timeout_s: float) -> None:
        """Flush, then stop, within the timeout. In an outage there is nothing to wait for."""
        if self.closed:
            return
        deadline_s = monotonic() + timeout_s
        self._wait_until_sent(deadline_s - _LAST_STEPS_S, or_outage=True)
        self.closed = True
        self._segment.close()
        self._shipper.stop(max(0.0, deadline_s - monotonic()))
        if spans := self._memory.clear():
            self._lose(spans, "the spool could not be written")
        if self._counts.removed:
            self.outage.lost(self._counts.removed, "somebody removed their files")
        if self._counts.waiting() and not self.outage.active:
            self.outage.failed("no answer in time")
        self.outage.closed()
        self._sender.close()

    @override
    def shutdown(self) -> None:
        """Close, within two seconds."""
        self.close(EXIT_TIMEOUT_S)

    def _start_afresh(self) -> None:
        """Begin anew in a forked child: what waits is the parent's, and so is its lock."""
        self._looking = threading.Lock()
        self._settled = threading.Event()
        self._memory.start_afresh()
        self._segment.start_afresh()
        self._counts.start_afresh()
        self.outage.reset()
        self._shipper.start_afresh()

    def _wait_until_sent(self, deadline_s: float, *, or_outage: bool = False) -> None:
        upto_ns = self._now_ns()
        self._segment.close()
        self._shipper.hurry()
        began_s = monotonic()
        while self._is_waiting(upto_ns) and (left_s := deadline_s - monotonic()) > 0:
            if or_outage and self.outage.active and not self._memory.spans:
                return  # it is on the disk
            # A timed wait, for another process may be the one that sends; longer where looking takes long.
            look_s = max(_LOOK_S, _LOOKS_SHARE * (monotonic() - began_s))
            self._settled.wait(min(left_s, look_s))
            self._settled.clear()
            self._shipper.hurry()
            began_s = monotonic()

    def _is_waiting(self, upto_ns: int) -> bool:
        return bool(self._memory.spans) or any(file.written_ns <= upto_ns for file in self._counts.waiting())

    def _keep(self, body: bytes, spans: int) -> str:
        """Write a request, or hold it in memory where the disk is full; return why neither was possible.

        What comes after close() is written too: the next process finds it.
        """
        try:
            self._write(body, spans)
            if self.closed:
                self._segment.close()
        except OSError as error:
            held = not self.closed and self._memory.hold(body, spans)
            return "" if held else f"the spool cannot be written: {error.strerror}"
        return ""

    def _write(self, body: bytes, spans: int) -> None:
        self._segment.append(body, spans)
        self._size_bytes += len(body)  # an estimate: others write here too, and files are sent
        if self._size_bytes >= self._next_look_bytes:
            self._look(wait=self.closed or self._size_bytes > self._max_bytes * _FAR_TOO_MUCH)

    def _look(self, *, wait: bool) -> None:
        """Have the bound kept by a thread of its own; the application waits only where that falls behind."""
        if self._looking.acquire(blocking=wait):
            thread = threading.Thread(target=self._keep_bound, name="chainspan-spool-bound", daemon=True)
            try:
                (thread.run if wait else thread.start)()
            except RuntimeError:  # no thread can be started
                self._keep_bound()

    def _keep_bound(self) -> None:
        """Look how much there really is, and drop the oldest of too much. Releases ``_looking``."""
        try:
            size_bytes, dropped = self._counts.trim(self._max_bytes, int(self._max_bytes * _ROOM_AFTER_TRIM))
            self._size_bytes = size_bytes
            self._next_look_bytes = min(size_bytes + self._max_bytes // _LOOK_SHARE, self._max_bytes)
            for file in dropped:
                self.outage.lost(file.spans, "the spool was full")
                self._counts.leave_word(file, file.spans, "dropped")
        finally:
            self._looking.release()

    def _settle(self, settlements: Sequence[Settlement]) -> None:
        self._counts.settle(settlements, self._max_bytes // _REJECTED_SHARE)
        for one in settlements:
            if one.rejected:
                self.outage.lost(one.rejected, one.reason)
                self._counts.leave_word(one.file, one.rejected, "rejected")
        self._settled.set()

    def _gather(self) -> None:
        """Let be sent what was written since the last time, by this process or by one that is gone."""
        self._segment.close()
        adopt(self._files)

    def _ship_memory(self) -> bool:
        """Write what the disk had no room for, or send it as it is. Called by the one thread that sends."""
        request = self._memory.first()
        if request is None:
            return False
        try:
            self._write(*request)
        except OSError:
            return self._send_from_memory(*request)
        self._memory.drop_first()
        return True

    def _send_from_memory(self, body: bytes, spans: int) -> bool:
        answer = self._courier.deliver(body, patience_s=_MEMORY_PATIENCE_S)
        if answer.final:
            rejected = min(spans, answer.rejected_spans) if answer.verdict is Verdict.ACCEPTED else spans
            self._memory.drop_first()
            self._counts.add_unwritten(Delivery(delivered=spans - rejected, rejected=rejected))
            if rejected:
                self.outage.lost(rejected, answer.reason)
        return answer.final

    def _lose(self, spans: int, why: str) -> None:
        self._counts.add_unwritten(Delivery(dropped=spans))
        self.outage.lost(spans, why)

    def _waiting_words(self) -> str:
        spans = sum(file.spans for file in self._counts.waiting())
        return f"{spans:,} wait in {self._files.directory} and are sent when it answers" if spans else ""


class _Steady:
    """A clock that stands while the system's is set back: what is written later has no earlier name."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._latest_ns = 0

    def __call__(self) -> int:
        self._latest_ns = max(self._latest_ns, self._now_ns())
        return self._latest_ns
