"""An exporter that notes what is asked of it."""

from __future__ import annotations

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from typing_extensions import override

__all__ = ["Asked"]


class Asked(InMemorySpanExporter):
    """Keeps spans, refuses to flush, and notes each request.

    Attributes:
        asked: What was asked, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    @override
    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        self.asked.append(f"flush {timeout_millis}")
        return False

    @override
    def shutdown(self) -> None:
        self.asked.append("shutdown")
