"""An exporter that writes spans to a directory first and sends them from there.

What is written survives the process: a crash, SIGKILL, an outage of the endpoint for as
long as the directory has room, and is sent by the next process that uses the directory.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic, time_ns  # noqa: TID251  files of several processes are sorted by it

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from typing_extensions import override

from .._delivery import Delivery
from .._errors import ConfigurationError
from .._exit import EXIT_TIMEOUT_S, after_fork, close_at_exit
from .._outage import OutageLog
from ._courier import Courier
from ._encoding import MAX_REQUEST_BYTES, encoded
from ._otlp import otlp_sender
from ._senders import Sender
from ._settings import OtlpSettings
from ._shipper import Shipper, require_filelock
from ._spool_files import SpoolFile, SpoolFiles

__all__ = ["MAX_SPOOL_BYTES", "SpoolExporter", "spool"]

MAX_SPOOL_BYTES = 256 * 1024 * 1024
"""How much a spool holds by default: about a day of an agent that makes a span a second with 3 kB each."""

_REJECTED_SHARE = 8  # an eighth of the bound is for what was refused
_LOOK_SHARE = 16  # other processes' files are looked at after each sixteenth of the bound
_ROOM_AFTER_TRIM = 0.95
_MAX_MEMORY_BYTES = 16 * 1024 * 1024
_MEMORY_PATIENCE_S = 2.0
_LAST_STEPS_S = 0.2
_LOOK_S = 0.05


def spool(
    directory: str | os.PathLike[str], *, to: Sender | None = None, max_bytes: int = MAX_SPOOL_BYTES
) -> SpoolExporter:
    """Return the process's exporter for a spool directory, which is made if it is not there.

    Give it to a handler, or to ``configure(spool=directory)``. Several processes may share
    a directory; then one of them sends for all.

    Args:
        directory: A directory of its own, best on a local disk.
        to: Where the spool is sent to; what the OTEL_* variables say by default.
        max_bytes: How much may wait. Beyond it the oldest is dropped, counted and reported.

    Raises:
        ConfigurationError: The directory cannot be written, is sent elsewhere already in
            this process, or the extra ``spool`` is not installed.
    """
    require_filelock()
    path = Path(directory).resolve()
    with _open_lock:
        exporter = _open.get(path)
        if exporter is None or exporter.closed:
            sender = to or otlp_sender(OtlpSettings.read())
            exporter = _open[path] = _made(path, sender, max_bytes)
        elif to is not None and to.endpoint != exporter.endpoint:
            raise ConfigurationError("spool", expected=f"a directory of its own for {to.endpoint}", got=str(path))
        return exporter


class SpoolExporter(SpanExporter):
    """Writes spans to files, which a background thread sends. Made by spool(), one for each directory.

    Safe to share between handlers, threads and, as a directory, processes. When export()
    has returned, the spans are with the operating system and survive the process; they
    would not survive the machine losing power in the next seconds.
    """

    def __init__(
        self, directory: Path, to: Sender, *, max_bytes: int = MAX_SPOOL_BYTES, now_ns: Callable[[], int] = time_ns
    ) -> None:
        self.endpoint = to.endpoint
        self.closed = False
        self.outage = OutageLog(to.endpoint, waiting=self._waiting_words)
        self._sender = to
        self._max_bytes = max_bytes
        self._now_ns = now_ns
        self._files = SpoolFiles(directory)
        self._courier = Courier(to, self.outage)
        self._shipper = Shipper(
            self._files,
            self._courier,
            ship_memory=self._ship_memory,
            settle=self._settle,
            now_ns=now_ns,
            max_request_bytes=MAX_REQUEST_BYTES,
        )
        self._begin()
        after_fork(self._begin_in_child)
        close_at_exit(self)
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
                self._count_lost(len(batch.spans), why)
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
        return self._delivery()

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
        delivery = self._delivery()
        self._shipper.stop(max(0.0, deadline_s - monotonic()))
        if delivery.pending and not self.outage.active:
            self.outage.failed("no answer in time")
        self._drop_memory()
        self.outage.closed()
        self._sender.close()

    @override
    def shutdown(self) -> None:
        """Close, within two seconds."""
        self.close(EXIT_TIMEOUT_S)

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._began_ns = self._now_ns()
        self._lock = threading.Lock()  # of the counts below
        self._settled = threading.Event()
        self._memory: deque[tuple[bytes, int]] = deque()  # requests that found no room on the disk
        self._memory_bytes = 0
        self._size_bytes = self._next_look_bytes = 0
        self._written_spans = 0
        self._own = Delivery()  # of the spans in files of this process
        self._other = Delivery()  # of all others

    def _begin_in_child(self) -> None:
        """Begin anew: what waits is the parent's, and so is its lock."""
        self._begin()
        self.outage.reset()
        self._shipper.start_afresh()

    def _wait_until_sent(self, deadline_s: float, *, or_outage: bool = False) -> None:
        upto_ns = self._now_ns()
        self._shipper.hurry()
        while self._has_waiting(upto_ns) and (left_s := deadline_s - monotonic()) > 0:
            if or_outage and self.outage.active and not self._memory:
                return  # it is on the disk
            # A timed wait, for another process may be the one that sends.
            self._settled.wait(min(left_s, _LOOK_S))
            self._settled.clear()
            self._shipper.hurry()

    def _keep(self, body: bytes, spans: int) -> str:
        """Write a request, or hold it in memory where the disk is full; return why neither was possible."""
        if self.closed:
            return "the process was ending"
        try:
            file = self._files.put(body, spans=spans, now_ns=self._now_ns())
        except OSError as error:
            return self._hold(body, spans, type(error).__name__ if error.strerror is None else error.strerror)
        self._count_written(file, len(body))
        return ""

    def _hold(self, body: bytes, spans: int, why: str) -> str:
        with self._lock:
            if self._memory_bytes + len(body) > _MAX_MEMORY_BYTES:
                return f"the spool cannot be written: {why}"
            self._memory.append((body, spans))
            self._memory_bytes += len(body)
        return ""

    def _count_written(self, file: SpoolFile, size_bytes: int) -> None:
        with self._lock:
            self._written_spans += file.spans
            self._size_bytes += size_bytes
            look = self._size_bytes > self._max_bytes or self._size_bytes >= self._next_look_bytes
        if look:
            self._keep_bound()

    def _keep_bound(self) -> None:
        """Look how much there really is, for others write and send too; drop the oldest of too much."""
        size_bytes, dropped = self._files.trim(self._max_bytes)
        if dropped:
            more_bytes, more = self._files.trim(int(self._max_bytes * _ROOM_AFTER_TRIM))
            size_bytes, dropped = more_bytes, dropped + more
        with self._lock:
            self._size_bytes = size_bytes
            self._next_look_bytes = size_bytes + self._max_bytes // _LOOK_SHARE
        for file in dropped:
            self._count(file, Delivery(dropped=file.spans), "the spool was full")

    def _ship_memory(self) -> bool:
        """Write what the disk had no room for, or send it as it is. Called by the one thread that sends."""
        with self._lock:
            if not self._memory:
                return False
            body, spans = self._memory[0]
        try:
            file = self._files.put(body, spans=spans, now_ns=self._now_ns())
        except OSError:
            return self._send_memory(body, spans)
        self._forget_memory(len(body))
        self._count_written(file, len(body))
        return True

    def _send_memory(self, body: bytes, spans: int) -> bool:
        answer = self._courier.deliver(body, patience_s=_MEMORY_PATIENCE_S)
        if answer.final:
            self._forget_memory(len(body))
            rejected = answer.rejected_spans if answer.reason in {"", "refused in part"} else spans
            with self._lock:
                self._other += Delivery(delivered=spans - rejected, rejected=rejected)
        return answer.final

    def _forget_memory(self, size_bytes: int) -> None:
        with self._lock:
            self._memory.popleft()
            self._memory_bytes -= size_bytes

    def _drop_memory(self) -> None:
        with self._lock:
            spans = sum(spans for _, spans in self._memory)
            self._memory.clear()
        if spans:
            self._count_lost(spans, "the spool could not be written")

    def _settle(self, file: SpoolFile, *, delivered: int, rejected: int, reason: str) -> None:
        with self._lock:  # so that no count is taken between the two
            if rejected:
                self._files.set_aside(file, self._max_bytes // _REJECTED_SHARE)
            else:
                self._files.remove(file)
            self._add(file, Delivery(delivered=delivered, rejected=rejected))
        if rejected:
            self._report(file, rejected, reason, "rejected")
        self._settled.set()

    def _count(self, file: SpoolFile, fate: Delivery, why: str) -> None:
        with self._lock:
            self._add(file, fate)
        self._report(file, fate.lost, why, "dropped")

    def _count_lost(self, spans: int, why: str) -> None:
        with self._lock:
            self._other += Delivery(dropped=spans)
        self.outage.lost(spans, why)

    def _add(self, file: SpoolFile, fate: Delivery) -> None:
        if self._is_own(file):
            self._own += fate
        elif self._is_found(file):
            self._other += fate

    def _report(self, file: SpoolFile, spans: int, why: str, fate: str) -> None:
        self.outage.lost(spans, why)
        if not self._is_own(file):
            self._files.note_loss(SpoolFile(file.written_ns, file.pid, file.number, spans), fate)

    def _is_own(self, file: SpoolFile) -> bool:
        return file.pid == self._pid and file.written_ns >= self._began_ns

    def _is_found(self, file: SpoolFile) -> bool:
        return file.written_ns < self._began_ns

    def _has_waiting(self, upto_ns: int) -> bool:
        if self._memory:
            return True
        return any(file.written_ns <= upto_ns for file in self._waiting_files())

    def _waiting_files(self) -> list[SpoolFile]:
        """Return the files that are this process's to answer for: its own, and those it found."""
        return [file for file in self._files.waiting() if self._is_own(file) or self._is_found(file)]

    def _delivery(self) -> Delivery:
        with self._lock:
            waiting = self._waiting_files()
            in_memory = sum(spans for _, spans in self._memory)
            known = self._own + self._other
            own_waiting = sum(file.spans for file in waiting if self._is_own(file))
            elsewhere = self._written_spans - own_waiting - self._own.delivered - self._own.lost
        by_others = self._settled_by_others(max(0, elsewhere))
        return known + by_others + Delivery(pending=sum(file.spans for file in waiting) + in_memory)

    def _settled_by_others(self, spans: int) -> Delivery:
        """Return what became of own files that another process has dealt with."""
        if not spans:
            return Delivery()
        losses = [(lost, fate) for file, lost, fate in self._files.losses() if self._is_own(file)]
        dropped = sum(lost for lost, fate in losses if fate == "dropped")
        rejected = sum(lost for lost, fate in losses if fate == "rejected")
        return Delivery(delivered=max(0, spans - dropped - rejected), dropped=dropped, rejected=rejected)

    def _waiting_words(self) -> str:
        spans = sum(file.spans for file in self._waiting_files())
        return f"{spans:,} wait in {self._files.directory} and are sent when it answers" if spans else ""


_open: weakref.WeakValueDictionary[Path, SpoolExporter] = weakref.WeakValueDictionary()
_open_lock = threading.Lock()


def _made(path: Path, sender: Sender, max_bytes: int) -> SpoolExporter:
    try:
        return SpoolExporter(path, sender, max_bytes=max_bytes)
    except OSError as error:
        raise ConfigurationError("spool", expected="a directory that can be written", got=f"{path}: {error}") from error
