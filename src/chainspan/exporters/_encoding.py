"""Finished spans as OTLP requests: encoded by the SDK, cut by bytes, and never lost for one bad text.

Batches are made of spans by count everywhere in the SDK, yet what endpoints limit is
bytes: 4 MiB a request over gRPC, and 64 spans of 100 kB are more. And Python strings may
hold half a surrogate pair, which UTF-8 cannot say, and its integers more than 64 bits: one
in a span's name fails the whole batch in the SDK's encoder, one in an attribute is lost
with it, and told by a traceback.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, Status
from opentelemetry.util.types import Attributes

from .._encode import well_formed
from ._rewritten import Rewritten

__all__ = ["MAX_REQUEST_BYTES", "Batch", "encoded", "joined", "sayable"]

MAX_REQUEST_BYTES = 3_500_000
"""The largest request that more than one span goes into: below gRPC's usual 4 MiB, with room for its frame."""

_INT64 = 2**63


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
        spans = [span if _is_sound(span) else _repaired(span) for span in spans]
        body: bytes = encode_spans(spans).SerializeToString()
    except Exception:  # noqa: BLE001  whatever the encoder chokes on: the caller narrows it down
        return b""
    return body


def _is_sound(span: ReadableSpan) -> bool:
    """Return whether all attributes of a span can be said in OTLP; the SDK's encoder tells of the rest by failing."""
    scope = span.instrumentation_scope
    return (
        _are_sound(span.attributes)
        and _are_sound(span.resource.attributes)
        and (scope is None or _are_sound(scope.attributes))
        and all(_are_sound(event.attributes) for event in span.events)
        and all(_are_sound(link.attributes) for link in span.links)
    )


def _are_sound(attributes: Attributes) -> bool:
    """Return whether attributes can be said in OTLP; most are plain, which is seen without a call for each."""
    if not attributes:
        return True
    copy = getattr(attributes, "copy", None)  # the SDK's own mapping is slow to go through
    items: Mapping[str, Any] = attributes if copy is None else copy()
    if not "".join(items).isascii() and any(well_formed(key) is not key for key in items):
        return False
    for value in items.values():
        kind = type(value)
        if kind is str:
            is_plain = value.isascii()
        elif kind is int:
            is_plain = -_INT64 <= value < _INT64
        else:
            is_plain = kind is bool or kind is float
        if not is_plain and _clean_value(value) != value:
            return False
    return True


def _repaired(span: ReadableSpan) -> ReadableSpan:
    """Return a copy of a span in which everything can be said in OTLP."""
    return Rewritten(
        span,
        _clean_attributes(span.attributes),
        name=well_formed(span.name),
        resource=sayable(span.resource),
        scope=_clean_scope(span.instrumentation_scope),
        events=[_clean_event(event) for event in span.events],
        links=[Link(link.context, _clean_attributes(link.attributes)) for link in span.links],
        status=Status(span.status.status_code, span.status.description and well_formed(span.status.description)),
    )


def sayable(resource: Resource) -> Resource:
    """Return a resource as OTLP can say it: a variable may hold any bytes, such as of a name in Latin-1."""
    if _are_sound(resource.attributes):
        return resource
    return Resource(_clean_attributes(resource.attributes), resource.schema_url)


def _clean_scope(scope: InstrumentationScope | None) -> InstrumentationScope | None:
    if scope is None:
        return None
    version = scope.version and well_formed(scope.version)
    return InstrumentationScope(well_formed(scope.name), version, scope.schema_url, _clean_attributes(scope.attributes))


def _clean_event(event: Event) -> Event:
    return Event(well_formed(event.name), _clean_attributes(event.attributes), event.timestamp)


def _clean_attributes(attributes: Attributes) -> dict[str, Any]:
    return {well_formed(key): _clean_value(value) for key, value in (attributes or {}).items()}


def _clean_value(value: Any) -> Any:
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, int):
        return value if -_INT64 <= value < _INT64 else str(value)
    if isinstance(value, Mapping):
        return {well_formed(str(key)): _clean_value(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return tuple([_clean_value(item) for item in value])
    return value


def joined(bodies: Sequence[bytes]) -> bytes:
    """Return several encoded requests as one: in protobuf, messages joined are messages merged."""
    return b"".join(bodies)
