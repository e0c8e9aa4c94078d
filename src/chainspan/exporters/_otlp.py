"""OTLP from the standard OTEL_* variables, with an exporter that knows what arrived.

http/protobuf with gzip by default: over gRPC, requests end at 4 MiB on most servers, which
a few prompts with documents exceed. Requests are cut by bytes on either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from typing_extensions import override

from .._delivery import Delivery
from .._outage import OutageLog
from ._courier import Courier, narrowed
from ._encoding import MAX_REQUEST_BYTES, Batch, encoded, joined
from ._senders import Answer, HttpSender, Sender, Verdict
from ._settings import Compression, OtlpSettings, Protocol

if TYPE_CHECKING:
    import requests

__all__ = ["OtlpExporter", "otlp", "otlp_sender"]

_MOST_DOUBTS = 12
"""After so many doubtful answers, within some two minutes, a batch makes room for those behind it."""


def otlp(
    endpoint: str | None = None,
    *,
    protocol: Protocol | None = None,
    headers: Mapping[str, str] | None = None,
    compression: Compression | None = None,
    timeout_s: float | None = None,
    session: requests.Session | None = None,
) -> OtlpExporter:
    """Return an exporter that sends to an OTLP endpoint; what is not given comes from OTEL_*.

    Args:
        endpoint: A URL; with no path it gets the signal's own, ``/v1/traces``.
        protocol: ``http/protobuf``, the default, or ``grpc``.
        headers: Sent with every request, besides those of the environment.
        compression: ``gzip``, the default, ``deflate`` or ``none``.
        timeout_s: Of one attempt, 10 by default.
        session: Over HTTP, a requests.Session with adapters or credentials of its own.

    Raises:
        ConfigurationError: A value cannot be used.
    """
    settings = OtlpSettings.read(
        endpoint, protocol=protocol, headers=headers, compression=compression, timeout_s=timeout_s
    )
    return OtlpExporter(otlp_sender(settings, session), patience_s=settings.timeout_s)


def otlp_sender(settings: OtlpSettings, session: requests.Session | None = None) -> Sender:
    """Return what sends single requests by the settings' protocol, loading only that one's library."""
    if settings.protocol == "grpc":
        from ._sender_grpc import GrpcSender  # noqa: PLC0415  loads grpc

        return GrpcSender(settings)
    return HttpSender(settings, session)


class OtlpExporter(SpanExporter):
    """Sends spans and says what became of them.

    Under our own processor a batch is tried until it is settled. Under any other, export()
    tries for as long as OTEL_EXPORTER_OTLP_TIMEOUT says, as the SDK's exporter does, and
    tells success only when every span was accepted.

    Attributes:
        endpoint: Where they go.
        sender: What sends its requests; a spool sends over it too.
    """

    def __init__(self, sender: Sender, *, patience_s: float = 10.0, max_request_bytes: int = MAX_REQUEST_BYTES) -> None:
        self.outage: OutageLog = OutageLog(sender.endpoint)
        self.endpoint: str = sender.endpoint
        self.sender: Sender = sender
        self._courier = Courier(sender, self.outage)
        self._patience_s = patience_s
        self._max_request_bytes = max_request_bytes

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send the spans for a limited time; success means that all of them were accepted."""
        delivery = sum(self._deliveries(spans, self._patience_s), Delivery())
        return SpanExportResult.SUCCESS if delivery else SpanExportResult.FAILURE

    def deliver(self, spans: Sequence[ReadableSpan]) -> Delivery:
        """Send the spans until they are settled or stop() is called."""
        return sum(self.deliveries(spans), Delivery())

    def deliveries(self, spans: Sequence[ReadableSpan]) -> Iterator[Delivery]:
        """Do what `deliver` does, and yield what became of each part of them when that is known."""
        return self._deliveries(spans, None)

    def hurry(self) -> None:
        """Try again now, where a failed attempt waits for the next one."""
        self._courier.hurry()

    def stop(self) -> None:
        """Give up what cannot be sent at once, now and from now on."""
        self._courier.stop()

    @override
    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return True: nothing is held here."""
        return True

    @override
    def shutdown(self) -> None:
        """Stop trying, and close the connection."""
        self._courier.stop()
        self.outage.closed()
        self.sender.close()

    def _deliveries(self, spans: Sequence[ReadableSpan], patience_s: float | None) -> Iterator[Delivery]:
        for batch in encoded(spans, self._max_request_bytes):
            if batch.body:
                yield from self._deliveries_of(batch, patience_s)
            else:
                self.outage.lost(len(batch.spans), "they cannot be encoded")
                yield Delivery(dropped=len(batch.spans))

    def _deliveries_of(self, batch: Batch, patience_s: float | None) -> Iterator[Delivery]:
        def send(part: Sequence[ReadableSpan]) -> Answer:
            body = batch.body if part is batch.spans else joined([piece.body for piece in encoded(part)])
            return self._courier.deliver(body, patience_s=patience_s, doubts=_MOST_DOUBTS)

        for part, answer in narrowed(batch.spans, send):
            yield self._settled(len(part), answer)

    def _settled(self, spans: int, answer: Answer) -> Delivery:
        if not answer.final:
            return Delivery(pending=spans) if self._courier.stopped else self._given_up(spans, answer)
        accepted = answer.verdict is Verdict.ACCEPTED
        rejected = min(spans, answer.rejected_spans) if accepted else spans
        if rejected:
            self.outage.lost(rejected, answer.reason)
        return Delivery(delivered=spans - rejected, rejected=rejected)

    def _given_up(self, spans: int, answer: Answer) -> Delivery:
        self.outage.lost(spans, f"given up after {answer.reason}")
        return Delivery(dropped=spans)
