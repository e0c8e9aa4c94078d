"""Where and how to send OTLP: from arguments, else the standard OTEL_* variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast, get_args
from urllib.parse import urlsplit

from opentelemetry.sdk.environment_variables import (
    OTEL_EXPORTER_OTLP_CERTIFICATE,
    OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE,
    OTEL_EXPORTER_OTLP_CLIENT_KEY,
    OTEL_EXPORTER_OTLP_COMPRESSION,
    OTEL_EXPORTER_OTLP_ENDPOINT,
    OTEL_EXPORTER_OTLP_HEADERS,
    OTEL_EXPORTER_OTLP_INSECURE,
    OTEL_EXPORTER_OTLP_PROTOCOL,
    OTEL_EXPORTER_OTLP_TIMEOUT,
)
from opentelemetry.util.re import parse_env_headers

from .._errors import ConfigurationError

__all__ = ["Compression", "OtlpSettings", "Protocol"]

Protocol = Literal["http/protobuf", "grpc"]
Compression = Literal["gzip", "deflate", "none"]

_DEFAULT_ENDPOINTS = {"http/protobuf": "http://localhost:4318", "grpc": "http://localhost:4317"}
_TRACES_PATH = "/v1/traces"


@dataclass(frozen=True, slots=True, kw_only=True)
class OtlpSettings:
    """Where and how to send, after arguments and environment have been read.

    Attributes:
        endpoint: The whole URL of the traces endpoint.
        timeout_s: Of one attempt.
        insecure: For gRPC: whether to connect without TLS.
        client_certificate: The file, or the files of certificate and key.
    """

    endpoint: str
    protocol: Protocol = "http/protobuf"
    headers: Mapping[str, str] = field(default_factory=dict)
    compression: Compression = "gzip"
    timeout_s: float = 10.0
    insecure: bool = False
    certificate_file: str | None = None
    client_certificate: str | tuple[str, str] | None = None

    @classmethod
    def read(
        cls,
        endpoint: str | None = None,
        *,
        protocol: Protocol | None = None,
        headers: Mapping[str, str] | None = None,
        compression: Compression | None = None,
        timeout_s: float | None = None,
    ) -> OtlpSettings:
        """Read what is not given from the environment, the traces' own variables first.

        Raises:
            ConfigurationError: A value cannot be used.
        """
        chosen = _choice("protocol", protocol, OTEL_EXPORTER_OTLP_PROTOCOL, get_args(Protocol), "http/protobuf")
        packing = _choice("compression", compression, OTEL_EXPORTER_OTLP_COMPRESSION, get_args(Compression), "gzip")
        url = _endpoint(endpoint, chosen)
        insecure = _variable(OTEL_EXPORTER_OTLP_INSECURE)
        return cls(
            endpoint=url,
            protocol=cast("Protocol", chosen),
            headers=_headers(headers),
            compression=cast("Compression", packing),
            timeout_s=_timeout_s(timeout_s),
            insecure=insecure.lower() == "true" if insecure else urlsplit(url).scheme == "http",
            certificate_file=_variable(OTEL_EXPORTER_OTLP_CERTIFICATE) or None,
            client_certificate=_client_certificate(),
        )


def _variable(name: str) -> str:
    """Return a variable, that of traces before the general one."""
    traces = name.replace("OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_TRACES_")
    return (os.environ.get(traces) or os.environ.get(name) or "").strip()


def _choice(argument: str, given: str | None, name: str, allowed: tuple[str, ...], default: str) -> str:
    value = given or _variable(name).lower() or default
    if value not in allowed:
        raise ConfigurationError(argument if given else name, expected=f"one of {', '.join(allowed)}", got=value)
    return value


def _endpoint(given: str | None, protocol: str) -> str:
    """Return the URL to send to; a bare host and port gets the signal's path, as the specification has it."""
    traces = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "").strip()
    base = os.environ.get(OTEL_EXPORTER_OTLP_ENDPOINT, "").strip() or _DEFAULT_ENDPOINTS[protocol]
    url = given or traces or base
    if "://" not in url and protocol == "grpc":
        url = f"http://{url}"  # gRPC's own form: host:port
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        where = "endpoint" if given else OTEL_EXPORTER_OTLP_ENDPOINT
        raise ConfigurationError(where, expected="a URL such as http://localhost:4318", got=url)
    is_base = not (given or traces) or parts.path in {"", "/"}
    return url.rstrip("/") + _TRACES_PATH if is_base and protocol != "grpc" and not traces else url


def _headers(given: Mapping[str, str] | None) -> dict[str, str]:
    headers = dict(parse_env_headers(_variable(OTEL_EXPORTER_OTLP_HEADERS), liberal=True))
    return headers | {name.lower(): value for name, value in (given or {}).items()}


def _timeout_s(given: float | None) -> float:
    """Return the timeout; the variable is in seconds, as opentelemetry-python reads it."""
    text = _variable(OTEL_EXPORTER_OTLP_TIMEOUT)
    try:
        seconds = given if given is not None else float(text or 10)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        where, got = (OTEL_EXPORTER_OTLP_TIMEOUT, text) if given is None else ("timeout_s", given)
        raise ConfigurationError(where, expected="seconds above 0", got=got)
    return seconds


def _client_certificate() -> str | tuple[str, str] | None:
    certificate = _variable(OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE)
    key = _variable(OTEL_EXPORTER_OTLP_CLIENT_KEY)
    return (certificate, key) if certificate and key else certificate or None
