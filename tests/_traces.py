"""A tracer provider of a test's own, and its spans as indented text."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler

__all__ = ["Traces", "tree_of"]


class Traces:
    """Collects the spans of one provider.

    Args:
        sampler: Of the provider; None: the SDK's default.
    """

    def __init__(self, sampler: Sampler | None = None) -> None:
        self.memory = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.memory))
        self.tracer = self.provider.get_tracer("application")

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        """Return the spans that have ended."""
        return self.memory.get_finished_spans()

    @property
    def tree(self) -> str:
        """Return the spans that have ended as indented text."""
        return tree_of(self.spans)

    def span(self, name: str) -> ReadableSpan:
        """Return the one span of a name."""
        found = [span for span in self.spans if span.name == name]
        assert len(found) == 1, f"{len(found)} spans are named {name}: {[span.name for span in self.spans]}"
        return found[0]


def tree_of(spans: Sequence[ReadableSpan]) -> str:
    """Return spans as indented names: children below their parents, siblings as they started."""
    ids = {span.context.span_id for span in spans}
    children: dict[int, list[ReadableSpan]] = {}
    for span in spans:
        parent = span.parent.span_id if span.parent is not None else 0
        children.setdefault(parent if parent in ids else 0, []).append(span)

    def lines(above: int, depth: int) -> list[str]:
        below = sorted(children.get(above, ()), key=lambda span: span.start_time or 0)
        return [line for span in below for line in ("  " * depth + span.name, *lines(span.context.span_id, depth + 1))]

    return "\n".join(lines(0, 0))


@pytest.fixture
def traces() -> Traces:
    """Return a provider of the test's own."""
    return Traces()
