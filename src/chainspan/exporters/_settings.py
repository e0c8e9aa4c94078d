"""Where and how to send OTLP: from arguments, else the standard OTEL_* variables."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from string import whitespace
from threading import TIMEOUT_MAX
from typing import Any, Final, Literal, cast, get_args
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

from .._encode import mask_text
from .._errors import ConfigurationError, is_number, require, require_type
from .._guard import say_once

__all__ = ["Compression", "OtlpSettings", "Protocol", "Signal"]

Protocol = Literal["http/protobuf", "grpc"]
Compression = Literal["gzip", "deflate", "none"]
Signal = Literal["traces", "metrics"]

_HEADER = re.compile(r"[!#-'*+.0-9A-Z^-z|~-]+[ \t]*=[ \t]*[ -!#-+\--:<-\[\]-~]*")
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110
_HEADER_VALUES: Final = {  # a key that was read from a file often ends with the line
    "http/protobuf": re.compile(r"(?:[!-~\x80-\xff][\t -~\x80-\xff]*)?"),
    "grpc": re.compile(r"[ -~]*"),
}
_DEFAULT_ENDPOINTS = {"http/protobuf": "http://localhost:4318", "grpc": "http://localhost:4317"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OtlpSettings:
    """Where and how to send, after arguments and environment have been read.

    Attributes:
        endpoint: The whole URL of the signal's endpoint.
        timeout_s: Of one attempt.
        insecure: For gRPC: whether to connect without TLS.
        client_certificate: The file, or the files of certificate and key.
    """

    endpoint: str
    signal: Signal = "traces"
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
        signal: Signal = "traces",
        protocol: Protocol | None = None,
        headers: Mapping[str, str] | None = None,
        compression: Compression | None = None,
        timeout_s: float | None = None,
    ) -> OtlpSettings:
        """Read what is not given from the environment, the signal's own variables first.

        Raises:
            ConfigurationError: A value cannot be used.
        """
        require_type("endpoint", endpoint, str, type(None), expected="a URL such as http://localhost:4318")
        variable = _Variables(signal)
        chosen = variable.choice("protocol", protocol, OTEL_EXPORTER_OTLP_PROTOCOL, get_args(Protocol))
        packing = variable.choice("compression", compression, OTEL_EXPORTER_OTLP_COMPRESSION, get_args(Compression))
        url = variable.endpoint(endpoint, chosen)
        insecure = variable(OTEL_EXPORTER_OTLP_INSECURE)
        if urlsplit(url).scheme == "https":
            variable.check_files()
        return cls(
            endpoint=url,
            signal=signal,
            protocol=cast("Protocol", chosen),
            headers=variable.headers(headers, chosen),
            compression=cast("Compression", packing),
            timeout_s=variable.timeout_s(timeout_s),
            insecure=insecure.lower() == "true" if insecure else urlsplit(url).scheme == "http",
            certificate_file=variable(OTEL_EXPORTER_OTLP_CERTIFICATE) or None,
            client_certificate=variable.client_certificate(),
        )


class _Variables:
    """The environment as one signal sees it: its own variables before the general ones."""

    def __init__(self, signal: Signal) -> None:
        self._signal = signal

    def __call__(self, name: str) -> str:
        """Return a variable."""
        return self._own(name) or os.environ.get(name, "").strip()

    def choice(self, argument: str, given: str | None, name: str, allowed: tuple[str, ...]) -> str:
        """Return what is given or set, of what is allowed; the first of it is the default."""
        value = given or self(name).lower() or allowed[0]
        if value not in allowed:
            raise ConfigurationError(argument if given else name, expected=f"one of {', '.join(allowed)}", got=value)
        return value

    def endpoint(self, given: str | None, protocol: str) -> str:
        """Return the URL to send to; a bare host and port gets the signal's path, as the specification has it."""
        own = self._own(OTEL_EXPORTER_OTLP_ENDPOINT)
        base = os.environ.get(OTEL_EXPORTER_OTLP_ENDPOINT, "").strip() or _DEFAULT_ENDPOINTS[protocol]
        url = given or own or base
        if "://" not in url and protocol == "grpc":
            url = f"http://{url}"  # gRPC's own form: host:port
        path = _path_of(url)
        if path is None:
            where = "endpoint" if given else self._asked(OTEL_EXPORTER_OTLP_ENDPOINT)
            raise ConfigurationError(where, expected="a URL such as http://localhost:4318", got=mask_text(url))
        is_whole = path not in {"", "/"} if given else bool(own)
        if is_whole or protocol == "grpc":
            return url
        return urlsplit(url)._replace(path=f"{path.rstrip('/')}/v1/{self._signal}").geturl()

    def headers(self, given: Mapping[str, str] | None, protocol: str) -> dict[str, str]:
        """Return the headers of every request; what is wrong with a value is said without it."""
        asked, items = self._asked(OTEL_EXPORTER_OTLP_HEADERS), self(OTEL_EXPORTER_OTLP_HEADERS).split(",")
        usable = [item for item in items if not item.strip() or _HEADER.fullmatch(item.strip())]
        if len(usable) < len(items):  # the SDK would log it with the key that it holds
            say_once(f"A header in {asked} is not of the form name=value, and is left out.")
        headers = dict(parse_env_headers(",".join(usable), liberal=True))
        _check_headers(asked, headers, protocol)
        _check_headers("headers", given or {}, protocol)
        return headers | {name.lower(): value for name, value in (given or {}).items()}

    def timeout_s(self, given: Any) -> float:
        """Return the timeout; the variable is in seconds, as opentelemetry-python reads it."""
        text = self(OTEL_EXPORTER_OTLP_TIMEOUT)
        try:
            seconds = float(text or 10) if given is None else given
        except ValueError:
            seconds = 0.0
        if not (is_number(seconds) and 0 < seconds <= TIMEOUT_MAX):
            where, got = (OTEL_EXPORTER_OTLP_TIMEOUT, text) if given is None else ("timeout_s", given)
            raise ConfigurationError(where, expected="seconds above 0, and not for ever", got=got)
        return float(seconds)

    def client_certificate(self) -> str | tuple[str, str] | None:
        """Return the file of the client's certificate, or the files of it and of its key."""
        certificate = self(OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE)
        key = self(OTEL_EXPORTER_OTLP_CLIENT_KEY)
        return (certificate, key) if certificate and key else certificate or None

    def check_files(self) -> None:
        """Refuse certificates that cannot be read: each attempt would fail, and not say which file it wants."""
        for name in (
            OTEL_EXPORTER_OTLP_CERTIFICATE,
            OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE,
            OTEL_EXPORTER_OTLP_CLIENT_KEY,
        ):
            path = self(name)
            if path and not os.access(path, os.R_OK):
                raise ConfigurationError(self._asked(name), expected="a file that can be read", got=path)

    def _own(self, name: str) -> str:
        return os.environ.get(self._own_name(name), "").strip()

    def _asked(self, name: str) -> str:
        """Return which variable is read: the signal's own, if it is set."""
        return self._own_name(name) if self._own(name) else name

    def _own_name(self, name: str) -> str:
        return name.replace("OTEL_EXPORTER_OTLP_", f"OTEL_EXPORTER_OTLP_{self._signal.upper()}_")


def _check_headers(where: str, headers: Mapping[Any, object], protocol: str) -> None:
    """Refuse what no request can be sent with; a value may be a secret, and is not told."""
    require(isinstance(headers, Mapping), where, expected="a mapping of names to texts", got=type(headers))
    for name, value in headers.items():
        is_name = isinstance(name, str) and _HEADER_NAME.fullmatch(name) is not None
        require(is_name, where, expected="names of headers", got=name)
        is_value = isinstance(value, str) and _HEADER_VALUES[protocol].fullmatch(value) is not None
        require(is_value, where, expected="values of one line, in Latin letters", got=name)


def _path_of(url: str) -> str | None:
    """Return the path of a URL that can be sent to, else None."""
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none, or half an address
        return None
    return parts.path if is_one and not set(parts.netloc) & set(whitespace) else None
