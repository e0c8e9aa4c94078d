"""What changes spans on their way to an exporter, and keeps whatever that one promises of them.

One of ours says what became of each span, or has it on the disk when it has ended. What stands
before it does so too, for it is asked in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from typing_extensions import override

from .._batching import Deliverer
from .._delivery import Delivery
from .._errors import require_type
from .._exit import Closable
from .._outage import OutageLog

__all__ = ["Change", "ChangingExporter", "changing"]

Change: TypeAlias = Callable[[Sequence[ReadableSpan]], Sequence[ReadableSpan]]


def changing(exporter: SpanExporter, change: Change) -> SpanExporter:
    """Return an exporter that hands on what a function makes of the spans.

    Raises:
        ConfigurationError: What it is to stand before is no exporter.
    """
    require_type("exporter", exporter, SpanExporter, expected="a SpanExporter")
    if isinstance(exporter, Deliverer):
        return _ChangingDeliverer(exporter, change, exporter)
    if isinstance(exporter, _Durable):
        return _ChangingDurably(exporter, change, exporter)
    return _named_as(exporter)(exporter, change)


def _named_as(exporter: SpanExporter) -> type[ChangingExporter]:
    """Return a class with the exporter's name, by which the log calls what spans do not reach."""
    return type(type(exporter).__name__, (ChangingExporter,), {})


class ChangingExporter(SpanExporter):
    """Hands spans on, changed.

    Attributes:
        change: What is made of them.
    """

    def __init__(self, exporter: SpanExporter, change: Change) -> None:
        self._exporter = exporter
        self.change: Change = change

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export(self.change(spans))

    @override
    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)

    @override
    def shutdown(self) -> None:
        self._exporter.shutdown()


class _ChangingDeliverer(ChangingExporter):
    """Before an exporter that says what became of the spans: says it on."""

    def __init__(self, exporter: SpanExporter, change: Change, deliverer: Deliverer) -> None:
        super().__init__(exporter, change)
        self._deliverer = deliverer
        self.outage: OutageLog = deliverer.outage

    def deliveries(self, spans: Sequence[ReadableSpan]) -> Iterator[Delivery]:
        changed = self.change(spans)
        yield from self._deliverer.deliveries(changed)
        if withheld := len(spans) - len(changed):
            self.outage.lost(withheld, "they could not be looked through")
            yield Delivery(dropped=withheld)

    def hurry(self) -> None:
        self._deliverer.hurry()

    def stop(self) -> None:
        self._deliverer.stop()


@runtime_checkable
class _Durable(Closable, Protocol):
    """What makes spans survive the process, and is called at every span."""

    def export_durably(self, spans: Sequence[ReadableSpan]) -> SpanExportResult: ...


class _ChangingDurably(ChangingExporter):
    """Before a spool: as durable as that is."""

    def __init__(self, exporter: SpanExporter, change: Change, durable: _Durable) -> None:
        super().__init__(exporter, change)
        self._durable = durable

    def export_durably(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._durable.export_durably(self.change(spans))

    def flush(self, timeout_s: float) -> Delivery:
        return self._durable.flush(timeout_s)

    def close(self, timeout_s: float) -> None:
        self._durable.close(timeout_s)
