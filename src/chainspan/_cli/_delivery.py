"""The demo's own look at the way to the collector: how many spans arrived, and why others did not."""

from __future__ import annotations

import logging

from opentelemetry.sdk.trace import SpanProcessor

from .._batching import BatchingProcessor
from .._delivery import Delivery
from .._outage import place_of
from ..exporters._otlp import OtlpExporter, otlp_sender
from ..exporters._senders import Answer, Sender, Verdict
from ..exporters._settings import OtlpSettings

__all__ = ["Shipment"]

_logger = logging.getLogger("chainspan")

_PATIENCE_S = 3.0
"""How long to try. Somebody waits for the answer, and the usual collector is near."""


class Shipment:
    """Sends spans by OTLP, and tells what became of them.

    Args:
        endpoint: Where to; None for what the environment says, else to this machine.

    Raises:
        ConfigurationError: The address, or a variable of OTLP, cannot be used.
    """

    def __init__(self, endpoint: str | None) -> None:
        self._sender = _Witness(otlp_sender(OtlpSettings.read(endpoint)))
        self._processor = BatchingProcessor(OtlpExporter(self._sender))
        self.processor: SpanProcessor = self._processor
        self.url = place_of(self._sender.endpoint)  # as the log names it
        # The command says in its own words what the library would log about this endpoint.
        _logger.addFilter(self._is_about_another)

    @property
    def problem(self) -> str:
        """What went wrong last, where not everything arrived."""
        return self._sender.problem

    def settle(self) -> Delivery:
        """Wait until everything arrived or patience ends, then give up the rest."""
        delivery = self._processor.flush(_PATIENCE_S)
        self._processor.close(0.0)
        _logger.removeFilter(self._is_about_another)
        return delivery

    def _is_about_another(self, record: logging.LogRecord) -> bool:
        return self.url not in record.getMessage()


class _Witness:
    """Passes requests on to the sender, and remembers the latest answer that was no welcome."""

    def __init__(self, sender: Sender) -> None:
        self.endpoint = sender.endpoint
        self.problem = "nothing was sent"
        self._sender = sender

    def send(self, body: bytes) -> Answer:
        answer = self._sender.send(body)
        if answer.verdict is not Verdict.ACCEPTED or answer.rejected_spans:
            self.problem = answer.reason
        return answer

    def close(self) -> None:
        self._sender.close()
