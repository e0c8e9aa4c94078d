"""Which processor an exporter is fed by: at every span where that is durable, else in batches."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from typing_extensions import override

from ._batching import BatchingProcessor
from ._delivery import Delivery, untraced
from ._exit import EXIT_TIMEOUT_S
from ._guard import Guard
from ._locks import Lock

__all__ = ["DirectProcessor", "Durable", "Worker", "processor_for"]

_writing = Guard("feeding.write")


@runtime_checkable
class Durable(Protocol):
    """An exporter whose export() makes the spans survive the process, fast enough to be called at every span."""

    def export_durably(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write the spans where they survive, and return."""
        ...

    def flush(self, timeout_s: float) -> Delivery:
        """Send what is pending, for so long at most."""
        ...

    def close(self, timeout_s: float) -> None:
        """Flush, then stop, within the timeout."""
        ...


class DirectProcessor(SpanProcessor):
    """Hands every span to a durable exporter as it ends, so that a killed process loses none.

    Args:
        exporter: What writes the spans where they survive.
    """

    def __init__(self, exporter: Durable) -> None:
        self._exporter = exporter

    @override
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing: only finished spans are written."""

    @override
    def on_end(self, span: ReadableSpan) -> None:
        """Write a finished span, if it is sampled."""
        if span.context and span.context.trace_flags.sampled:
            with _writing, untraced():
                self._exporter.export_durably((span,))

    def flush(self, timeout_s: float) -> Delivery:
        """Send what is pending, for so long at most, and return where all spans are then."""
        return self._exporter.flush(timeout_s)

    @override
    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush, and return whether all spans arrived."""
        return bool(self.flush(timeout_millis / 1_000))

    def close(self, timeout_s: float) -> None:
        """Flush, then stop, within the timeout."""
        self._exporter.close(timeout_s)

    @override
    def shutdown(self) -> None:
        """Close, within two seconds."""
        self.close(EXIT_TIMEOUT_S)


Worker: TypeAlias = BatchingProcessor | DirectProcessor
"""What feeds an exporter for all handlers that name it."""

_shared: weakref.WeakValueDictionary[int, Worker] = weakref.WeakValueDictionary()
_shared_lock = Lock()


def processor_for(exporter: SpanExporter) -> Worker:
    """Return the processor that feeds this exporter: one for all handlers that name it.

    A thousand handlers with the same exporter so have one queue and one thread. None of
    them may shut it down; it closes itself at exit.
    """
    with _shared_lock.inside:
        known = _shared.get(id(exporter))
        if known is None:
            # The processor holds the exporter, so the id is not given out anew while it is a key.
            known = DirectProcessor(exporter) if isinstance(exporter, Durable) else BatchingProcessor(exporter)
            _shared[id(exporter)] = known
        return known
