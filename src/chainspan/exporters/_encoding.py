"""Finished spans as OTLP requests: encoded by the SDK, cut by bytes, and never lost for one bad text.

Batches are made of spans by count everywhere in the SDK, yet what endpoints limit is
bytes: 4 MiB a request over gRPC, and 64 spans of 100 kB are more. And Python strings may
hold half a surrogate pair, which UTF-8 cannot say: one in a span's name fails the whole
batch in the SDK's encoder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, Status
from opentelemetry.util.types import Attributes, AttributeValue

from .._encode import well_formed
from ._rewritten import Rewritten

__all__ = ["MAX_REQUEST_BYTES", "Batch", "encoded", "joined"]

MAX_REQUEST_BYTES = 3_500_000
"""The largest request that more than one span goes into: below gRPC's usual 4 MiB, with room for its frame."""

_LARGEST_INT = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some spans as one encoded request. ``body`` is empty when they cannot be encoded."""

    spans: Sequence[ReadableSpan]
    body: bytes


def encoded(spans: Sequence[ReadableSpan], max_bytes: int = MAX_REQUEST_BYTES) -> Iterator[Batch]:
    """Yield the spans in as few requests as fit the bound; one span that is larger goes alone."""
    if not spans:
        return
    body = _encode(spans)
    if body and (len(body) <= max_bytes or len(spans) == 1):
        yield Batch(spans=spans, body=body)
    elif len(spans) == 1:
        yield Batch(spans=spans, body=_encode([_repaired(spans[0])]))
    else:
        half = len(spans) // 2
        yield from encoded(spans[:half], max_bytes)
        yield from encoded(spans[half:], max_bytes)


def _encode(spans: Sequence[ReadableSpan]) -> bytes:
    """Encode by the SDK; empty when it cannot."""
    try:
        if any(_has_surrogate_attribute(span.attributes) for span in spans):
            spans = [_repaired(span) for span in spans]  # the SDK would log a traceback and lose the attribute
        body: bytes = encode_spans(spans).SerializeToString()
    except Exception:  # noqa: BLE001  whatever the encoder chokes on: the caller narrows it down
        return b""
    return body


def _has_surrogate_attribute(attributes: Attributes) -> bool:
    texts = (value for value in (attributes or {}).values() if isinstance(value, str))
    return any(not text.isascii() and well_formed(text) is not text for text in texts)


def _repaired(span: ReadableSpan) -> ReadableSpan:
    """Return a copy of a span in which every text can be said in UTF-8."""
    return Rewritten(
        span,
        _clean_attributes(span.attributes),
        name=well_formed(span.name),
        events=[_clean_event(event) for event in span.events],
        links=[Link(link.context, _clean_attributes(link.attributes)) for link in span.links],
        status=Status(span.status.status_code, span.status.description and well_formed(span.status.description)),
    )


def _clean_event(event: Event) -> Event:
    return Event(well_formed(event.name), _clean_attributes(event.attributes), event.timestamp)


def _clean_attributes(attributes: Attributes) -> dict[str, AttributeValue]:
    return {well_formed(key): _clean_value(value) for key, value in (attributes or {}).items()}


def _clean_value(value: AttributeValue) -> AttributeValue:
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST_INT:
        return str(value)  # OTLP's integers have 64 bits
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [well_formed(item) if isinstance(item, str) else item for item in value]
    return value


def joined(bodies: Sequence[bytes]) -> bytes:
    """Return several encoded requests as one: in protobuf, messages joined are messages merged."""
    return b"".join(bodies)
