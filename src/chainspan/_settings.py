"""The environment variables that chainspan itself reads, each with its meaning and default."""

from __future__ import annotations

import os

__all__ = [
    "CHAINSPAN_STRICT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_SDK_DISABLED",
    "OTEL_TRACES_EXPORTER",
    "asks_for_export",
    "is_strict",
    "sdk_disabled",
]

CHAINSPAN_STRICT = "CHAINSPAN_STRICT"
"""Raise chainspan's own internal errors instead of logging them. For tests; off by default."""

OTEL_EXPORTER_OTLP_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
"""Where OTLP is sent, of the OpenTelemetry specification."""

OTEL_EXPORTER_OTLP_TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
"""As OTEL_EXPORTER_OTLP_ENDPOINT, for traces alone."""

OTEL_TRACES_EXPORTER = "OTEL_TRACES_EXPORTER"
"""Which exporters traces go to (comma separated: otlp, console, none), of the specification."""

OTEL_SDK_DISABLED = "OTEL_SDK_DISABLED"
"""Whether the SDK is off, of the specification. Any case of ``true`` switches it off."""

_TRUE = frozenset({"1", "true", "yes", "on"})


def is_strict() -> bool:
    """Return whether internal errors are raised instead of logged."""
    return os.environ.get(CHAINSPAN_STRICT, "").strip().lower() in _TRUE


def sdk_disabled() -> bool:
    """Return whether the environment switches OpenTelemetry off."""
    return os.environ.get(OTEL_SDK_DISABLED, "").strip().lower() == "true"


def asks_for_export() -> bool:
    """Return whether the environment asks for traces to be exported somewhere."""
    chosen = os.environ.get(OTEL_TRACES_EXPORTER, "").strip().lower()
    if chosen:
        return chosen != "none"
    endpoints = (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT)
    return any(os.environ.get(name, "").strip() for name in endpoints)
