"""OTLP over gRPC: the request as bytes, and the answer in full."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import grpc
from google.rpc.error_details_pb2 import RetryInfo

from .._exit import after_fork
from ._senders import Answer, Verdict, read_acceptance
from ._settings import OtlpSettings

__all__ = ["GrpcSender"]

_METHODS = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}
_BUSY = frozenset({"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "UNAVAILABLE", "DATA_LOSS"})
_REFUSED = frozenset({"INVALID_ARGUMENT", "FAILED_PRECONDITION", "ALREADY_EXISTS"})
# Sent for what is too large, and for an endpoint with too much to do.
_TOO_LARGE_OR_BUSY = frozenset({"RESOURCE_EXHAUSTED", "OUT_OF_RANGE"})
_COMPRESSIONS = {
    "gzip": grpc.Compression.Gzip,
    "deflate": grpc.Compression.Deflate,
    "none": grpc.Compression.NoCompression,
}

_Call = Callable[..., bytes]


class GrpcSender:
    """Opens its channel at the first request, for gRPC's threads do not survive a fork."""

    def __init__(self, settings: OtlpSettings) -> None:
        self.endpoint = settings.endpoint
        self._settings = settings
        self._metadata = tuple(settings.headers.items())
        self._channel: grpc.Channel | None = None
        self._export: _Call | None = None
        after_fork(self._forget)

    def send(self, body: bytes) -> Answer:
        """Send a request once."""
        export = self._export or self._connect()
        try:
            content = export(body, timeout=self._settings.timeout_s, metadata=self._metadata)
        except grpc.RpcError as error:
            return _read_error(cast("grpc.Call", error))
        return read_acceptance(content)

    def close(self) -> None:
        """Close the channel; a later request opens a new one."""
        channel = self._channel
        self._forget()
        if channel is not None:
            channel.close()

    def _forget(self) -> None:
        self._channel = self._export = None

    def _connect(self) -> _Call:
        target = urlsplit(self.endpoint).netloc
        compression = _COMPRESSIONS[self._settings.compression]
        if self._settings.insecure:
            self._channel = grpc.insecure_channel(target, compression=compression)
        else:
            self._channel = grpc.secure_channel(target, _credentials(self._settings), compression=compression)
        method = _METHODS[self._settings.signal]
        self._export = cast("_Call", self._channel.unary_unary(method))  # no serialisers: bytes in, bytes out
        return self._export


def _credentials(settings: OtlpSettings) -> grpc.ChannelCredentials:
    certificate, key = None, None
    if isinstance(settings.client_certificate, tuple):
        certificate, key = (Path(name).read_bytes() for name in settings.client_certificate)
    roots = Path(settings.certificate_file).read_bytes() if settings.certificate_file else None
    return grpc.ssl_channel_credentials(root_certificates=roots, private_key=key, certificate_chain=certificate)


def _read_error(error: grpc.Call) -> Answer:
    code = error.code().name
    retry_after_s = _retry_after_s(error)
    if code in _BUSY or (code in _TOO_LARGE_OR_BUSY and retry_after_s is not None):
        return Answer(verdict=Verdict.BUSY, reason=code, retry_after_s=retry_after_s)
    if code in _REFUSED or code in _TOO_LARGE_OR_BUSY:
        return Answer(verdict=Verdict.REFUSED, reason=code)
    return Answer(verdict=Verdict.DOUBTFUL, reason=code)


def _retry_after_s(error: grpc.Call) -> float | None:
    for key, value in error.trailing_metadata() or ():
        if key == "google.rpc.retryinfo-bin":
            info = RetryInfo()
            with contextlib.suppress(Exception):  # what cannot be read asks for nothing
                info.ParseFromString(value)
                return float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9)
    return None
