"""The one exporter that a process has for a spool directory."""

from __future__ import annotations

import os
import weakref
from pathlib import Path

from .._errors import ConfigurationError, require_type, whole_number
from .._locks import Lock
from .._outage import place_of
from ._otlp import OtlpExporter, otlp
from ._senders import Sender
from ._shipper import require_filelock
from ._spool import MAX_SPOOL_BYTES, SpoolExporter

__all__ = ["spool"]

_open: weakref.WeakValueDictionary[Path, SpoolExporter] = weakref.WeakValueDictionary()
_open_lock = Lock()


def spool(
    directory: str | os.PathLike[str], *, to: OtlpExporter | None = None, max_bytes: int = MAX_SPOOL_BYTES
) -> SpoolExporter:
    """Return the process's exporter for a spool directory, which is made if it is not there.

    Give it to a handler, or to ``configure(spool=directory)``. Several processes may share
    a directory; then one of them sends for all.

    Args:
        directory: A directory of its own, best on a local disk.
        to: Where the spool is sent, such as ``otlp("http://collector:4318")``; by default what
            the OTEL_* variables say.
        max_bytes: How much may wait. Beyond it the oldest is dropped, counted and reported.

    Raises:
        ConfigurationError: The directory cannot be written, is sent elsewhere already in
            this process, another argument cannot be used, or the extra ``spool`` is not installed.
    """
    require_filelock()
    require_type("spool", directory, str, os.PathLike, expected="a directory that can be written")
    require_type("spool(to=)", to, OtlpExporter, type(None), expected="what otlp() returns")
    max_bytes = whole_number("spool(max_bytes=)", max_bytes)
    if not os.fspath(directory):  # of a variable that is not set; as a path it is the working directory
        raise ConfigurationError("spool", expected="a directory that can be written", got=directory)
    path = Path(directory).resolve()
    with _open_lock.inside:
        exporter = _open.get(path)
        if exporter is None or exporter.closed:
            exporter = _open[path] = _made(path, (to or otlp()).sender, max_bytes)
        elif to is not None and to.sender.endpoint != exporter.endpoint:
            endpoint = place_of(to.sender.endpoint)
            raise ConfigurationError("spool", expected=f"a directory of its own for {endpoint}", got=str(path))
        return exporter


def _made(path: Path, sender: Sender, max_bytes: int) -> SpoolExporter:
    try:
        return SpoolExporter(path, sender, max_bytes=max_bytes)
    except OSError as error:
        raise ConfigurationError("spool", expected="a directory that can be written", got=f"{path}: {error}") from error
