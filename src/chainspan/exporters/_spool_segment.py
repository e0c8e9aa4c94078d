"""The file of a spool that a process appends to: spans that end at about the same time share one.

A file for each span would be as safe, and cost fifty times as much. An encoded request that is
written after another one makes a larger request of both (in protobuf, messages joined are messages
merged), so the file is at any time what can be sent, and one ``write`` adds a span to it. What is
written survives the process; it then needs somebody else to close the file, and the lock that the
system takes from the dead says who may.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

from ._spool_files import SpoolFile, SpoolFiles, create, write_all
from ._spool_records import readable

__all__ = ["SpoolSegment", "adopt"]


def _fcntl() -> ModuleType | None:
    try:
        return import_module("fcntl")
    except ImportError:  # on Windows; there each span gets a file of its own
        return None


_locks = _fcntl()


class SpoolSegment:
    """The open file of one process, and the count of what it has written. Thread-safe.

    Args:
        max_bytes: Of this size a file is closed.
    """

    def __init__(self, files: SpoolFiles, now_ns: Callable[[], int], *, max_bytes: int) -> None:
        self._files = files
        self._now_ns = now_ns
        self._max_bytes = max_bytes
        self._descriptor: int | None = None
        self.start_afresh()

    def start_afresh(self) -> None:
        """Begin with no file: at first, and in a forked child, where the open one is the parent's."""
        if self._descriptor is not None:
            os.close(self._descriptor)  # the parent's lock stays, for it has the file open too
        self._lock = threading.RLock()
        self._is_busy = False
        self._descriptor = None
        self._file = SpoolFile(0, 0, 0, 0)
        self._bytes = self._spans = 0
        self._written_spans = 0
        self._number_beside = 0

    def append(self, body: bytes, spans: int) -> None:
        """Write a request; when this returns, it survives the process.

        Raises:
            OSError: Nothing was written, for the disk is full or the directory gone.
        """
        with self._lock:
            if self._is_busy:  # with another span, in the midst of which the garbage collector has ended this one
                self._number_beside = self._files.put(body, spans=spans, now_ns=self._now_ns()).number
            else:
                self._alone(self._append, body, spans)
            self._written_spans += spans

    def close(self) -> tuple[int, int]:
        """Let all that was written be sent; return how many spans that were, and the number of the last file."""
        with self._lock:
            if not self._is_busy:
                self._alone(self._close)
            return self._written_spans, max(self._file.number, self._number_beside)

    def _alone(self, work: Callable[..., None], *args: Any) -> None:
        self._is_busy = True
        try:
            work(*args)
        finally:
            self._is_busy = False

    def _append(self, body: bytes, spans: int) -> None:
        if self._descriptor is not None and self._bytes + len(body) > self._max_bytes:
            self._close()
        if self._descriptor is None and not self._open():
            self._file = self._files.put(body, spans=spans, now_ns=self._now_ns())
        else:
            self._add(body, spans)

    def _add(self, body: bytes, spans: int) -> None:
        try:
            self._write(body)
        except OSError:
            had_some = self._spans > 0
            self._close()
            if not had_some or not self._open():
                raise
            try:  # a limit may be one of the file's size
                self._write(body)
            except OSError:
                self._close()
                raise
        self._spans += spans
        self._bytes += len(body)
        if self._bytes >= self._max_bytes:
            self._close()

    def _write(self, body: bytes) -> None:
        descriptor = self._descriptor
        if descriptor is None:
            return
        try:
            write_all(descriptor, body)
        except OSError:
            os.ftruncate(descriptor, self._bytes)  # the part that found room
            raise

    def _open(self) -> bool:
        """Open a file; False where files cannot be locked."""
        if _locks is None:
            return False
        file = self._files.new(self._now_ns(), spans=0).turned("tmp")
        self._descriptor = create(self._files, file, os.O_APPEND)
        self._file, self._bytes, self._spans = file, 0, 0
        try:
            _locks.flock(self._descriptor, _locks.LOCK_EX | _locks.LOCK_NB)
            os.rename(self._files.path(file), self._files.path(file.turned("open")))  # noqa: PTH104
        except OSError:  # not every file system has locks
            self._abandon(file)
            return False
        self._file = file.turned("open")
        return True

    def _close(self) -> None:
        if self._descriptor is None:
            return
        if self._spans:
            with contextlib.suppress(OSError):
                _hand_over(self._files, self._file, self._spans)
            os.close(self._descriptor)
            self._descriptor = None
        else:
            self._abandon(self._file)

    def _abandon(self, file: SpoolFile) -> None:
        self._files.remove(file)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def adopt(files: SpoolFiles) -> None:
    """Close the files that processes have left open which are gone. Anybody may, at any time."""
    if _locks is None:
        return
    for file in files.open_files():
        with contextlib.suppress(OSError):  # its process lives, or somebody was faster
            descriptor = os.open(files.path(file), os.O_RDWR)
            try:
                _locks.flock(descriptor, _locks.LOCK_EX | _locks.LOCK_NB)
                _finish(files, file, descriptor)
            finally:
                os.close(descriptor)


def _finish(files: SpoolFiles, file: SpoolFile, descriptor: int) -> None:
    body = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    if not body:
        files.remove(file)
        return
    found = readable(body)
    if found.spans:
        os.ftruncate(descriptor, found.end)  # without what a killed process had written in part
    _hand_over(files, file, found.spans + found.gaps)  # nobody knows how many were in a gap


def _hand_over(files: SpoolFiles, file: SpoolFile, spans: int) -> None:
    """Let a file be sent that is not appended to any more."""
    os.rename(files.path(file), files.path(file.counted(spans)))  # noqa: PTH104
