"""Tokens once a trace, also where a provider's own instrumentation counts them, in front of any exporter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from typing_extensions import override

from .._batching import Deliverer
from .._delivery import Delivery
from .._exit import Closable
from .._outage import OutageLog
from ._tally import Tally

__all__ = ["CountedExporter", "counted_once"]


def counted_once(exporter: SpanExporter) -> SpanExporter:
    """Return an exporter by which each model call's tokens leave once, whoever else counts them.

    For providers that another library's instrumentation of OpenAI, Anthropic or others feeds as
    well; ``configure()`` does it for the exporters that it sets up. Both libraries' spans have to
    go through the same exporter. Where another library's span with token counts lies below one
    of chainspan's, with no other of chainspan's in between, the latter's counts are moved:
    ``gen_ai.usage.input_tokens`` becomes ``chainspan.counted.input_tokens``, and
    ``chainspan.counted.by`` names who counts. All else stays.

    Args:
        exporter: What sends the spans.
    """
    if isinstance(exporter, CountedExporter):
        return exporter
    if isinstance(exporter, Deliverer):
        return _CountedDeliverer(exporter, exporter)
    if isinstance(exporter, _Durable):
        return _CountedDurably(exporter, exporter)
    return _named_as(exporter)(exporter)


def _named_as(exporter: SpanExporter) -> type[CountedExporter]:
    """Return a class with the exporter's name, by which the log calls what spans do not reach."""
    return type(type(exporter).__name__, (CountedExporter,), {})


class CountedExporter(SpanExporter):
    """Hands spans on, and of two that count the same call one without its counts."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._tally = Tally()

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export(self._tally.settled(spans))

    @override
    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)

    @override
    def shutdown(self) -> None:
        self._exporter.shutdown()


class _CountedDeliverer(CountedExporter):
    """Before an exporter that says what became of the spans: says it on."""

    def __init__(self, exporter: SpanExporter, deliverer: Deliverer) -> None:
        super().__init__(exporter)
        self._deliverer = deliverer
        self.outage: OutageLog = deliverer.outage

    def deliver(self, spans: Sequence[ReadableSpan]) -> Delivery:
        return self._deliverer.deliver(self._tally.settled(spans))

    def hurry(self) -> None:
        self._deliverer.hurry()

    def stop(self) -> None:
        self._deliverer.stop()


@runtime_checkable
class _Durable(Closable, Protocol):
    """What makes spans survive the process, and is called at every span."""

    def export_durably(self, spans: Sequence[ReadableSpan]) -> SpanExportResult: ...


class _CountedDurably(CountedExporter):
    """Before a spool: as durable as that is."""

    def __init__(self, exporter: SpanExporter, durable: _Durable) -> None:
        super().__init__(exporter)
        self._durable = durable

    def export_durably(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._durable.export_durably(self._tally.settled(spans))

    def flush(self, timeout_s: float) -> Delivery:
        return self._durable.flush(timeout_s)

    def close(self, timeout_s: float) -> None:
        self._durable.close(timeout_s)
