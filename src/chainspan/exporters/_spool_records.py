"""What a file of a spool consists of: requests behind each other, each with the spans that were written at once.

A disk may make anything of a file: a power failure cuts its end off or fills it with zeros, a bad
block garbles its middle. Most of the spans are still there then, so a request is looked for behind
what cannot be read, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

__all__ = ["Readable", "readable", "records", "spans_in"]

_MESSAGE = 0x0A  # the tag of all that a request consists of
_MORE = 0x80


class Readable(NamedTuple):
    """What can be read of a file.

    Attributes:
        records: The requests that can be read.
        spans: How many spans these hold.
        gaps: How many times there is something else before, between or behind them.
        end: Where the last of them ends.
    """

    records: Sequence[bytes]
    spans: int
    gaps: int
    end: int


def readable(body: bytes) -> Readable:
    """Return what can be read of a file, whatever became of it."""
    found: list[bytes] = []
    start = end = spans = gaps = 0
    while 0 <= start < len(body):
        record = body[start : _end_of(body, start) or start]
        inside = spans_in(record)
        if not inside:
            start = body.find(_MESSAGE, start + 1)
            continue
        gaps += start > end
        found.append(record)
        spans += inside
        start = end = start + len(record)
    return Readable(found, spans, gaps + (end < len(body)), end)


def records(body: bytes) -> Iterator[bytes]:
    """Yield the parts of a request that are requests themselves, as far as they are whole."""
    start = 0
    while (end := _end_of(body, start)) is not None:
        yield body[start:end]
        start = end


def _end_of(body: bytes, start: int) -> int | None:
    """Return where a message ends that begins here; None where none does that is whole.

    Its length stands behind the tag, seven bits in a byte, the lowest first.
    """
    length = 0
    if body[start : start + 1] != bytes([_MESSAGE]):
        return None
    for index, byte in enumerate(body[start + 1 : start + 11]):
        length |= (byte & ~_MORE) << (7 * index)
        if not byte & _MORE:
            end = start + index + 2 + length
            return end if end <= len(body) else None
    return None


def spans_in(body: bytes) -> int:
    """Count the spans of an encoded request; none where it is garbled."""
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        return 0
    return sum(len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans)
