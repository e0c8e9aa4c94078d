"""Tokens once a trace, also where a provider's own instrumentation counts them, in front of any exporter."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter

from ._changing import ChangingExporter, changing
from ._tally import Tally

__all__ = ["counted_once"]


def counted_once(exporter: SpanExporter) -> SpanExporter:
    """Return an exporter by which each model call's tokens leave once, whoever else counts them.

    For providers that another library's instrumentation of OpenAI, Anthropic or others feeds as
    well; ``configure()`` does it for the exporters that it sets up. Both libraries' spans have to
    go through the same exporter. Where another library's span with token counts lies below one
    of chainspan's, with no other of chainspan's in between, the latter's counts are moved:
    ``gen_ai.usage.input_tokens`` becomes ``chainspan.counted.input_tokens``, and
    ``chainspan.counted.by`` names who counts. The cost that backends add up goes with them;
    all else stays, ``chainspan.cost`` included.

    Args:
        exporter: What sends the spans.

    Raises:
        ConfigurationError: It is no exporter.
    """
    counts_already = isinstance(exporter, ChangingExporter) and isinstance(exporter.change, _Settled)
    return exporter if counts_already else changing(exporter, _Settled())


class _Settled:
    """Makes of spans those of which two that count the same call have the counts once."""

    def __init__(self) -> None:
        self._tally = Tally()

    def __call__(self, spans: Sequence[ReadableSpan]) -> Sequence[ReadableSpan]:
        """Return the spans, one of two without its counts."""
        return self._tally.settled(spans)
