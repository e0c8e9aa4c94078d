"""What reads the metrics of the MeterProvider that `configure` sets up, from the standard variables."""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from urllib.parse import urlsplit

from opentelemetry.sdk.metrics.export import (
    ConsoleMetricExporter,
    MetricExporter,
    MetricReader,
    PeriodicExportingMetricReader,
)

from .. import _settings
from .._delivery import Delivery
from .._errors import ConfigurationError
from .._exit import close_at_exit
from .._outage import OutageLog
from ._metrics import MetricsFeed, otlp_metrics

__all__ = ["ReaderAtExit", "metric_readers"]

_TRACES_PATH, _METRICS_PATH = "/v1/traces", "/v1/metrics"


def metric_readers(
    endpoint: str | None, spans: tuple[str, OutageLog] | None
) -> list[tuple[MetricReader, MetricsFeed | ReaderAtExit]]:
    """Return the readers that OTEL_METRICS_EXPORTER asks for, each with what flushes and closes it.

    Where no variable speaks of metrics, they go where the spans go by OTLP.

    Args:
        endpoint: Where OTLP goes, as an argument says.
        spans: Where spans go by OTLP, and what tells of outages there; None where they do not.

    Raises:
        ConfigurationError: A variable cannot be used.
    """
    chosen = os.environ.get(_settings.OTEL_METRICS_EXPORTER, "").strip() or _default(endpoint, spans)
    names = [name.strip().lower() for name in chosen.split(",") if name.strip()]
    if "none" in names:
        return []
    return [_reader(name, endpoint, spans) for name in names]


def _default(endpoint: str | None, spans: tuple[str, OutageLog] | None) -> str:
    if _settings.asks_for_metrics():
        return "otlp"
    return "otlp" if spans is not None and (_beside(endpoint) if endpoint else _is_for_all()) else "none"


def _is_for_all() -> bool:
    """Return whether the environment leaves it open that the spans' endpoint takes other signals."""
    general, traces = _settings.OTEL_EXPORTER_OTLP_ENDPOINT, _settings.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT
    return bool(os.environ.get(general, "").strip()) or not os.environ.get(traces, "").strip()


def _beside(endpoint: str) -> str | None:
    """Return where metrics go, of an address for spans; None where that has a path of its own."""
    address = endpoint.rstrip("/")
    base = address.removesuffix(_TRACES_PATH)
    if base != address:
        return f"{base}{_METRICS_PATH}"
    return base if urlsplit(base if "://" in base else f"http://{base}").path == "" else None


def _reader(
    name: str, endpoint: str | None, spans: tuple[str, OutageLog] | None
) -> tuple[MetricReader, MetricsFeed | ReaderAtExit]:
    if name == "otlp":
        feed = _otlp(endpoint, spans)
        return feed, feed
    if name == "console":
        return _at_exit(PeriodicExportingMetricReader(ConsoleMetricExporter()))
    for point in entry_points(group="opentelemetry_metrics_exporter", name=name):
        made = point.load()()
        return _at_exit(PeriodicExportingMetricReader(made) if isinstance(made, MetricExporter) else made)
    raise ConfigurationError(
        _settings.OTEL_METRICS_EXPORTER,
        expected="otlp, console, none or the name of an installed exporter",
        got=name,
    )


def _otlp(endpoint: str | None, spans: tuple[str, OutageLog] | None) -> MetricsFeed:
    own = os.environ.get(_settings.OTEL_EXPORTER_OTLP_METRICS_ENDPOINT, "").strip()
    given = None if own or endpoint is None else _beside(endpoint) or endpoint

    feed = otlp_metrics(given, wanted=_settings.asks_for_metrics())
    if spans is not None and urlsplit(spans[0]).netloc == urlsplit(feed.endpoint).netloc:
        outage = spans[1]
        feed.covered = lambda: outage.speaks  # one host, one outage, one line
    return feed


class ReaderAtExit:
    """Flushes and closes a reader of the SDK's with everything else that is pending."""

    def __init__(self, reader: MetricReader) -> None:
        self._reader = reader
        close_at_exit(self)

    def flush(self, timeout_s: float) -> Delivery:
        """Have the reader export; not where there is no time for it, since it keeps no timeout."""
        if timeout_s > 0:
            self._reader.force_flush(timeout_s * 1_000)
        return Delivery()

    def close(self, timeout_s: float) -> None:
        """Have the reader export for the last time, and stop."""
        self._reader.shutdown(max(1.0, timeout_s * 1_000))


def _at_exit(reader: MetricReader) -> tuple[MetricReader, ReaderAtExit]:
    return reader, ReaderAtExit(reader)
