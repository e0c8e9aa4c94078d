"""The files of a spool directory: one encoded request each, whole or not there at all.

    <ns>-<process>-<number>-0.open           is being appended to by a process that holds a lock on it
    <ns>-<process>-<number>-<spans>.otlp     waits to be sent
    <ns>-<process>-<number>-<spans>.sending  taken by the one process that sends
    <ns>-<process>-<number>-<spans>.tmp      being written; never read
    rejected/<same name>.otlp                refused by the endpoint, kept aside
    losses.tsv                               what one process lost of another's

Every change is one rename or one unlink, which only one process can succeed in. So
nothing is sent and dropped both, whoever is killed when. Content may be private: the
files are the owner's alone.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from pathlib import Path

__all__ = ["SpoolFile", "SpoolFiles", "create", "process_of", "write_all"]

_ABANDONED_NS = 600 * 10**9  # a .tmp of this age has lost its writer
_UNREADABLE = frozenset({errno.EACCES, errno.EPERM, errno.EISDIR, errno.EIO})  # another user's, or the disk is damaged
_TOKENS = 1_000_000
_READY, _SENDING, _WRITING, _OPEN = "otlp", "sending", "tmp", "open"


@dataclass(frozen=True, slots=True, order=True)
class SpoolFile:
    """One file, as its name tells; sorts by age.

    Attributes:
        process: Which one wrote it, by `process_of`.
        state: The suffix of the name.
    """

    written_ns: int
    process: int
    number: int
    spans: int
    state: str = _READY

    @property
    def stem(self) -> str:
        """The name without its state, the same for as long as the file exists."""
        return f"{self.written_ns:020d}-{self.process}-{self.number:06d}-{self.spans}"

    @property
    def name(self) -> str:
        """The name within the directory."""
        return f"{self.stem}.{self.state}"

    def turned(self, state: str) -> SpoolFile:
        """Return the same file in another state."""
        return SpoolFile(self.written_ns, self.process, self.number, self.spans, state)

    def counted(self, spans: int) -> SpoolFile:
        """Return the same file, ready to be sent with so many spans."""
        return SpoolFile(self.written_ns, self.process, self.number, spans)

    @classmethod
    def parse(cls, name: str) -> SpoolFile | None:
        """Return what a name tells; None for files that are not ours."""
        stem, _, state = name.partition(".")
        parts = stem.split("-")
        if len(parts) != 4 or not all(part.isdecimal() for part in parts):
            return None
        written_ns, process, number, spans = map(int, parts)
        file = cls(written_ns, process, number, spans, state)
        return file if file.stem == stem else None


class SpoolFiles:
    """What can be done with the files of one directory. Holds no state but numbers."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.rejected_directory = directory / "rejected"
        self._prefix = f"{directory}{os.sep}"
        self._numbers = itertools.count(1)
        self.token = int.from_bytes(os.urandom(4), "big") % _TOKENS
        _make_directories(self)

    def new(self, now_ns: int, *, spans: int) -> SpoolFile:
        """Return a file that is not there yet."""
        return SpoolFile(now_ns, process_of(self), next(self._numbers), spans)

    def path(self, file: SpoolFile) -> str:
        """Return where a file is: as a text, since a Path costs as much as a write."""
        return f"{self._prefix}{file.name}"

    def put(self, body: bytes, *, spans: int, now_ns: int) -> SpoolFile:
        """Write a request; when this returns, it survives the process.

        Raises:
            OSError: Nothing was written, for the disk is full or the directory gone.
        """
        file = self.new(now_ns, spans=spans)
        self._put(file, body)
        return file

    def split(self, file: SpoolFile, parts: Sequence[tuple[bytes, int]]) -> Sequence[SpoolFile]:
        """Put several files in the place of one, each with its spans; none where there is no room for them."""
        made = [
            (SpoolFile(file.written_ns + index, file.process, file.number, spans), body)
            for index, (body, spans) in enumerate(parts)
        ]
        try:
            for part, body in made:
                self._put(part, body)
        except OSError:
            for part, _ in made:
                self.remove(part)
            return []
        self.remove(file)
        return [part for part, _ in made]

    def _put(self, file: SpoolFile, body: bytes) -> None:
        temporary = file.turned(_WRITING)
        try:
            self._write(temporary, body)
            os.rename(self.path(temporary), self.path(file))  # noqa: PTH104
        except OSError:
            self.remove(temporary)
            raise

    def _write(self, file: SpoolFile, body: bytes) -> None:
        """Write a new file in as few calls as can be: each gives up the interpreter lock."""
        descriptor = create(self, file)
        try:
            write_all(descriptor, body)
        finally:
            os.close(descriptor)

    def open_files(self) -> list[SpoolFile]:
        """Return the files that are being appended to, or were when their process was killed."""
        names = [name for name in self._names() if name.endswith(f".{_OPEN}")]
        return sorted(filter(None, map(SpoolFile.parse, names)))

    def waiting(self, most: int | None = None) -> list[SpoolFile]:
        """Return the requests that have not been sent, oldest first: all, or so many at most."""
        names = [name for name in self._names() if name.endswith((f".{_READY}", f".{_SENDING}"))]
        # Names sort by age. Parsed are only those that are asked for, for there may be very many.
        oldest = sorted(names) if most is None else nsmallest(most, names)
        return sorted(filter(None, map(SpoolFile.parse, oldest)))

    def take(self, files: Iterable[SpoolFile], max_bytes: int) -> Iterator[tuple[SpoolFile, bytes]]:
        """Take files for sending until they fill a request, and yield each with its body.

        The first is taken whatever its size. Who has been faster got the rest. One that nobody
        will ever read has no body.
        """
        total = 0
        for file in files:
            taken = self._turn(file, _SENDING)
            if taken is None:
                continue
            body = _content(self._path(taken))
            if total and total + len(body) > max_bytes:
                self.put_back(taken)
                return
            total += len(body)
            yield taken, body

    def put_back(self, file: SpoolFile) -> None:
        """Let a file wait again that was taken and could not be sent."""
        self._turn(file, _READY)

    def remove(self, file: SpoolFile) -> bool:
        """Remove a file; False when somebody else has."""
        return _succeeded(self._path(file).unlink)

    def set_aside(self, file: SpoolFile, max_bytes: int) -> None:
        """Move a refused file to ``rejected/``, where the oldest make room for the newest."""
        kept = self.rejected_directory / file.turned(_READY).name
        with contextlib.suppress(OSError):
            _make_directories(self)  # for whoever clears them away
        if not _succeeded(lambda: self._path(file).rename(kept)):
            self.remove(file)
        sizes = [(path, _size(path)) for path in _listed(self.rejected_directory)]
        excess = sum(size for _, size in sizes) - max_bytes
        for path, size in sorted(sizes):
            if excess <= 0:
                return
            _succeeded(path.unlink)
            excess -= size

    def trim(self, max_bytes: int, down_to_bytes: int) -> tuple[int, list[SpoolFile]]:
        """Where more waits than the bound, remove the oldest; return what is left in bytes, and what was removed.

        What is being sent just now is left: it is about to go anyway.
        """
        sized = [(file, _size(self._path(file))) for file in self.waiting()]
        total = sum(size for _, size in sized)
        removed: list[SpoolFile] = []
        if total <= max_bytes:
            return total, removed
        for file, size in sized:
            if total <= down_to_bytes:
                break
            if file.state == _READY and self.remove(file):
                removed.append(file)
                total -= size
        return total, removed

    def recover(self, now_ns: int) -> None:
        """Let wait again what a process was sending that has ended. Only for who holds the lock."""
        for file in filter(None, map(SpoolFile.parse, self._names())):
            if file.state == _SENDING:
                self._turn(file, _READY)
            elif file.state == _WRITING and now_ns - file.written_ns > _ABANDONED_NS:
                self.remove(file)

    def _names(self) -> list[str]:
        with contextlib.suppress(OSError), os.scandir(self.directory) as entries:
            return [entry.name for entry in entries]
        return []

    def _path(self, file: SpoolFile) -> Path:
        return self.directory / file.name

    def _turn(self, file: SpoolFile, state: str) -> SpoolFile | None:
        turned = file.turned(state)
        return turned if _succeeded(lambda: self._path(file).rename(self._path(turned))) else None


def process_of(files: SpoolFiles) -> int:
    """Return a number for this process: in containers that share a directory, each may have the same id."""
    return os.getpid() * _TOKENS + files.token


def create(files: SpoolFiles, file: SpoolFile, flags: int = 0) -> int:
    """Open a new file, the owner's alone; make its directory again where somebody has removed that."""
    with contextlib.suppress(FileNotFoundError):
        return _create(files.path(file), flags)
    _make_directories(files)
    return _create(files.path(file), flags)


def _make_directories(files: SpoolFiles) -> None:
    files.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.rejected_directory.mkdir(mode=0o700, exist_ok=True)


def _create(path: str, flags: int) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | flags, 0o600)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        if error.errno in _UNREADABLE:
            return b""
        raise  # such as for too many open files, which passes


def _listed(directory: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return [*directory.iterdir()]
    return []


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0


def write_all(descriptor: int, body: bytes) -> None:
    """Write all of it: a disk that is nearly full takes a part, and fails at the next."""
    view = memoryview(body)
    while view:
        view = view[os.write(descriptor, view) :]


def _succeeded(change: Callable[[], object]) -> bool:
    """Return whether a change of names was made; False when another process was faster."""
    try:
        change()
    except OSError:
        return False
    return True
