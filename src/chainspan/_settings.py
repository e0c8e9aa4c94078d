"""The environment variables that chainspan itself reads, each with its meaning and default."""

from __future__ import annotations

import os

__all__ = [
    "CHAINSPAN_METRICS",
    "CHAINSPAN_STRICT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT",
    "OTEL_METRICS_EXPORTER",
    "OTEL_SDK_DISABLED",
    "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN",
    "OTEL_TRACES_EXPORTER",
    "asks_for_export",
    "asks_for_metrics",
    "asks_for_nothing",
    "emits_events",
    "exception_signals",
    "is_strict",
    "records_metrics",
    "sdk_disabled",
]

CHAINSPAN_STRICT = "CHAINSPAN_STRICT"
"""Raise chainspan's own internal errors instead of logging them. For tests; off by default."""

CHAINSPAN_METRICS = "CHAINSPAN_METRICS"
"""Whether handlers record metrics where no argument says so; on by default."""

OTEL_EXPORTER_OTLP_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
"""Where OTLP is sent, of the OpenTelemetry specification."""

OTEL_EXPORTER_OTLP_TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
"""As OTEL_EXPORTER_OTLP_ENDPOINT, for traces alone."""

OTEL_TRACES_EXPORTER = "OTEL_TRACES_EXPORTER"
"""Which exporters traces go to (comma separated: otlp, console, none), of the specification."""

OTEL_EXPORTER_OTLP_METRICS_ENDPOINT = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
"""As OTEL_EXPORTER_OTLP_ENDPOINT, for metrics alone."""

OTEL_METRICS_EXPORTER = "OTEL_METRICS_EXPORTER"
"""Which exporters metrics go to (comma separated: otlp, console, none), of the specification."""

OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT = "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT"
"""Whether each model call gives an event; by default where the content of events is asked for."""

OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN = "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN"
"""Where exceptions are recorded: ``logs``, or ``logs/dup`` for logs and spans; else on spans."""

OTEL_SDK_DISABLED = "OTEL_SDK_DISABLED"
"""Whether the SDK is off, of the specification. Any case of ``true`` switches it off."""

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


def is_strict() -> bool:
    """Return whether internal errors are raised instead of logged."""
    return os.environ.get(CHAINSPAN_STRICT, "").strip().lower() in _TRUE


def sdk_disabled() -> bool:
    """Return whether the environment switches OpenTelemetry off."""
    return os.environ.get(OTEL_SDK_DISABLED, "").strip().lower() == "true"


def asks_for_nothing() -> bool:
    """Return whether the environment says that no traces are to be exported; where it says nothing, it does not."""
    return sdk_disabled() or os.environ.get(OTEL_TRACES_EXPORTER, "").strip().lower() == "none"


def asks_for_export() -> bool:
    """Return whether the environment asks for traces to be exported somewhere."""
    chosen = os.environ.get(OTEL_TRACES_EXPORTER, "").strip().lower()
    if chosen:
        return chosen != "none"
    endpoints = (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT)
    return any(os.environ.get(name, "").strip() for name in endpoints)


def asks_for_metrics() -> bool:
    """Return whether the environment names a place for metrics, rather than leaving it to the default."""
    names = (OTEL_METRICS_EXPORTER, OTEL_EXPORTER_OTLP_METRICS_ENDPOINT)
    return any(os.environ.get(name, "").strip() for name in names)


def records_metrics() -> bool:
    """Return whether handlers record metrics."""
    return os.environ.get(CHAINSPAN_METRICS, "").strip().lower() not in _FALSE


def emits_events(*, otherwise: bool) -> bool:
    """Return whether each model call gives an event; what holds otherwise where no variable says so."""
    chosen = os.environ.get(OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT, "").strip().lower()
    return chosen in _TRUE if chosen else otherwise


def exception_signals() -> tuple[bool, bool] | None:
    """Return whether exceptions go to logs, and whether to spans; None where nothing was chosen."""
    chosen = {item.strip().lower() for item in os.environ.get(OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN, "").split(",")}
    if "logs/dup" in chosen:
        return (True, True)
    return (True, False) if "logs" in chosen else None
