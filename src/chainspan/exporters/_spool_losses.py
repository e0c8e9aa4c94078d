"""What one process lost of another's spans, written down where that one can read it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ._spool_files import SpoolFile

__all__ = ["SpoolLosses"]

_MAX_LEDGER_BYTES = 1 << 20


class SpoolLosses:
    """The file ``losses.tsv`` of a spool directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def note_loss(self, file: SpoolFile, spans: int, fate: str) -> None:
        """Leave word of what was lost of another process, for its own count."""
        ledger = self._directory / "losses.tsv"
        line = f"{file.stem}\t{spans}\t{fate}\n".encode()
        with contextlib.suppress(OSError):
            if ledger.exists() and ledger.stat().st_size > _MAX_LEDGER_BYTES:
                ledger.unlink()
            descriptor = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with open(descriptor, "ab", buffering=0) as stream:  # noqa: PTH123  opened above, for its mode
                stream.write(line)

    def losses(self) -> Iterator[tuple[SpoolFile, int, str]]:
        """Yield what others lost: the file, its lost spans, and their fate."""
        try:
            text = (self._directory / "losses.tsv").read_text("utf-8", errors="replace")
        except OSError:
            return
        yield from filter(None, map(_loss, text.splitlines()))


def _loss(line: str) -> tuple[SpoolFile, int, str] | None:
    """Return what a line tells; None for one that a full disk has cut, or a bad one has spoilt."""
    try:
        stem, spans, fate = line.split("\t")
        file = SpoolFile.parse(f"{stem}.otlp")
        return None if file is None else (file, int(spans), fate)
    except ValueError:
        return None
