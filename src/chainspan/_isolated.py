"""A processor's faults stay its own."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from typing_extensions import override

from ._guard import Guard
from ._listeners import does_nothing

__all__ = ["Isolated"]


class Isolated(SpanProcessor):
    """A processor whose faults reach neither the application nor the next processor.

    In opentelemetry-python 1.45 a processor that raises in ``on_start`` raises out of
    ``start_span``, and one that raises in ``on_end`` starves those after it.

    Args:
        processor: What is isolated.

    Attributes:
        isolates: The same.
    """

    def __init__(self, processor: SpanProcessor) -> None:
        self.isolates = processor
        self._guard = Guard(f"processor {type(processor).__qualname__}")
        if does_nothing(processor.on_start):
            self.on_start = processor.on_start  # type: ignore[method-assign]  # what there is nothing to isolate of

    @override
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        with self._guard:
            self.isolates.on_start(span, parent_context)

    @override
    def on_end(self, span: ReadableSpan) -> None:
        with self._guard:
            self.isolates.on_end(span)

    @override
    def shutdown(self) -> None:
        with self._guard:
            self.isolates.shutdown()

    @override
    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        with self._guard:
            return self.isolates.force_flush(timeout_millis) is not False
        return False
