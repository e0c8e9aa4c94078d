"""What the one span of a test tells."""

from __future__ import annotations

import json
from typing import Any

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

__all__ = ["attributes_of", "beginning_with", "messages_of"]


def attributes_of(memory: InMemorySpanExporter) -> dict[str, Any]:
    """Return the attributes of the one span."""
    (span,) = memory.get_finished_spans()
    return dict(span.attributes or {})


def beginning_with(memory: InMemorySpanExporter, *prefixes: str) -> dict[str, Any]:
    """Return those attributes of the one span whose names begin so, but for a time, which varies."""
    attributes = attributes_of(memory)
    attributes.pop("gen_ai.response.time_to_first_chunk", None)
    return {key: value for key, value in attributes.items() if key.startswith(prefixes)}


def messages_of(memory: InMemorySpanExporter, side: str) -> Any:
    """Return the messages that went into the one model (``input``), or came out of it (``output``)."""
    return json.loads(str(attributes_of(memory)[f"gen_ai.{side}.messages"]))
