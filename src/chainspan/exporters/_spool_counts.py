"""Who has what: the numbers of one process about a directory that several may use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .._delivery import Delivery
from ._spool_files import SpoolFile, SpoolFiles, process_of
from ._spool_losses import SpoolLosses

__all__ = ["Settlement", "SpoolCounts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What became of a file that the endpoint has given its final answer to.

    Attributes:
        reason: Why spans were rejected.
    """

    file: SpoolFile
    delivered: int = 0
    rejected: int = 0
    reason: str = ""


class _Found(NamedTuple):
    """A look at the directory: what waits, how many own spans are gone unsettled, and what was noted of others."""

    waiting: list[SpoolFile]
    gone: int
    noted: Delivery


class SpoolCounts:
    """Counts the spans that a process answers for: those it wrote, and those it found when it began.

    Thread-safe. Spans of other processes that are running are theirs to count, also when
    this one sends them; what it loses of theirs it leaves word of.

    Attributes:
        removed: Own spans that somebody removed while this process sent, as of when it ceased to.
    """

    def __init__(self, files: SpoolFiles, now_ns: Callable[[], int]) -> None:
        self._files = files
        self._losses = SpoolLosses(files.directory)
        self._now_ns = now_ns
        self.start_afresh()

    def start_afresh(self) -> None:
        """Begin to count: at first, and in a forked child."""
        self._quick_lock = threading.RLock()  # of the next one, which is not to wait for files
        self._unwritten = Delivery()
        self._slow_lock = threading.RLock()  # held while files go and are counted, so that none is missed between
        self._own = Delivery()  # of the spans in files of this process
        self._found = Delivery()
        self._sends = False
        self._left_to_others = 0  # own spans that other processes have dealt with, as of when this one began to send
        self.removed = 0
        self._process = process_of(self._files)
        self._began_ns = self._now_ns()

    def add_unwritten(self, fate: Delivery) -> None:
        """Count spans that were in no file when their fate was known."""
        with self._quick_lock:
            self._unwritten += fate

    def settle(self, settlements: Sequence[Settlement], max_rejected_bytes: int) -> None:
        """Count spans with their final answer, and remove their files or set them aside."""
        with self._slow_lock:
            for one in settlements:
                if one.rejected:
                    self._files.set_aside(one.file, max_rejected_bytes)
                else:
                    self._files.remove(one.file)
                self._add(one.file, Delivery(delivered=one.delivered, rejected=one.rejected))

    def trim(self, max_bytes: int, down_to_bytes: int) -> tuple[int, list[SpoolFile]]:
        """Where more waits than the bound, drop and count the oldest; return what is left in bytes, and those."""
        with self._slow_lock:
            size_bytes, dropped = self._files.trim(max_bytes, down_to_bytes)
            for file in dropped:
                self._add(file, Delivery(dropped=file.spans))
        return size_bytes, dropped

    def leave_word(self, file: SpoolFile, lost_spans: int, fate: str) -> None:
        """Note what was lost of another process's file where that process can read it."""
        if not self._is_own(file):
            self._losses.note_loss(file, lost_spans, fate)

    def waiting(self) -> list[SpoolFile]:
        """Return the files that this process answers for."""
        return [file for file in self._files.waiting() if self._is_own(file) or self._was_found(file)]

    def delivery(self, written: tuple[int, int], in_memory_spans: int) -> Delivery:
        """Return where all spans are that this process answers for.

        Args:
            written: How many it has written to files, and the number of the last of these.
            in_memory_spans: How many more found no room on the disk.
        """
        with self._slow_lock:
            found = self._looked_up(written)
            if self._sends and found.gone > self._left_to_others:  # or one was renamed as it was looked for
                found = self._looked_up(written)
            known = self._own + self._found + self._unwritten
            removed = max(0, found.gone - self._left_to_others) if self._sends else self.removed
        pending = sum(file.spans for file in found.waiting) + in_memory_spans
        return known + found.noted + Delivery(pending=pending, delivered=found.gone - removed, dropped=removed)

    def note_sender(self, written: tuple[int, int], *, sends: bool) -> None:
        """Note that it is this process that sends, or no longer: meanwhile no other has files to take."""
        with self._slow_lock:
            gone = self._looked_up(written).gone
            if sends:
                self._left_to_others = gone - self.removed
            elif self._sends:
                self.removed = max(0, gone - self._left_to_others)
            self._sends = sends

    def _looked_up(self, written: tuple[int, int]) -> _Found:
        written_spans, last_number = written
        waiting = [file for file in self.waiting() if not self._is_own(file) or file.number <= last_number]
        own_waiting = sum(file.spans for file in waiting if self._is_own(file))
        gone = written_spans - own_waiting - self._own.delivered - self._own.lost
        noted = self._noted() if gone > 0 else Delivery()
        return _Found(waiting, max(0, gone - noted.lost), noted)

    def _add(self, file: SpoolFile, fate: Delivery) -> None:
        if self._is_own(file):
            self._own += fate
        elif self._was_found(file):
            self._found += fate

    def _noted(self) -> Delivery:
        """Return what other processes say that they lost of own files."""
        losses = [(lost, fate) for file, lost, fate in self._losses.losses() if self._is_own(file)]
        dropped = sum(lost for lost, fate in losses if fate == "dropped")
        rejected = sum(lost for lost, fate in losses if fate == "rejected")
        return Delivery(dropped=dropped, rejected=rejected)

    def _is_own(self, file: SpoolFile) -> bool:
        return file.process == self._process and file.written_ns >= self._began_ns

    def _was_found(self, file: SpoolFile) -> bool:
        return file.written_ns < self._began_ns
