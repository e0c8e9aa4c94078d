"""Who has what: the numbers of one process about a directory that several may use."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from .._delivery import Delivery
from ._spool_files import SpoolFile, SpoolFiles

__all__ = ["SpoolCounts"]


class SpoolCounts:
    """Counts the spans that a process answers for: those it wrote, and those it found when it began.

    Thread-safe. Spans of other processes that are running are theirs to count, also when
    this one sends them; what it loses of theirs it leaves word of.

    Attributes:
        lock: Held while files and counts change together.
    """

    def __init__(self, files: SpoolFiles, now_ns: Callable[[], int]) -> None:
        self._files = files
        self._now_ns = now_ns
        self.start_afresh()

    def start_afresh(self) -> None:
        """Begin to count: at first, and in a forked child."""
        self.lock = threading.Lock()
        self._pid = os.getpid()
        self._began_ns = self._now_ns()
        self._written_spans = 0
        self._own = Delivery()  # of the spans in files of this process
        self._other = Delivery()  # of those it found, and of those that were never in a file

    def add_written(self, spans: int) -> None:
        """Count spans that are in a file now."""
        with self.lock:
            self._written_spans += spans

    def add_unwritten(self, fate: Delivery) -> None:
        """Count spans that were in no file when their fate was known."""
        with self.lock:
            self._other += fate

    def settle(self, file: SpoolFile, fate: Delivery) -> None:
        """Count the spans of a file that is no longer there. The lock must be held."""
        if self._is_own(file):
            self._own += fate
        elif self._was_found(file):
            self._other += fate

    def leave_word(self, file: SpoolFile, lost_spans: int, fate: str) -> None:
        """Note what was lost of another process's file where that process can read it."""
        if not self._is_own(file):
            self._files.note_loss(file, lost_spans, fate)

    def waiting(self) -> list[SpoolFile]:
        """Return the files that this process answers for."""
        return [file for file in self._files.waiting() if self._is_own(file) or self._was_found(file)]

    def delivery(self, in_memory_spans: int) -> Delivery:
        """Return where all spans are that this process answers for."""
        with self.lock:
            waiting = self.waiting()
            known = self._own + self._other
            own_waiting = sum(file.spans for file in waiting if self._is_own(file))
            gone = self._written_spans - own_waiting - self._own.delivered - self._own.lost
        pending = sum(file.spans for file in waiting) + in_memory_spans
        return known + self._by_others(max(0, gone)) + Delivery(pending=pending)

    def _by_others(self, spans: int) -> Delivery:
        """Return what became of own files that another process has dealt with."""
        if not spans:
            return Delivery()
        losses = [(lost, fate) for file, lost, fate in self._files.losses() if self._is_own(file)]
        dropped = sum(lost for lost, fate in losses if fate == "dropped")
        rejected = sum(lost for lost, fate in losses if fate == "rejected")
        return Delivery(delivered=max(0, spans - dropped - rejected), dropped=dropped, rejected=rejected)

    def _is_own(self, file: SpoolFile) -> bool:
        return file.pid == self._pid and file.written_ns >= self._began_ns

    def _was_found(self, file: SpoolFile) -> bool:
        return file.written_ns < self._began_ns
