"""A local OTLP/HTTP endpoint that misbehaves on demand and counts every span that it accepts.

Strict where the real ones are: it decodes the body with the official protobuf classes
and refuses what it cannot read. On loopback only.
"""

from __future__ import annotations

import contextlib
import gzip
import socket
import struct
import threading
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from typing_extensions import Self, override

__all__ = [
    "Accept",
    "Behaviour",
    "Hang",
    "OtlpServer",
    "Partial",
    "Refuse",
    "Reset",
    "SlowRead",
    "Status",
    "metrics_of",
    "spans_of",
]

_UNPACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "": bytes,
}


@dataclass(frozen=True, kw_only=True)
class Accept:
    """Take everything."""


@dataclass(frozen=True)
class Status:
    """Answer with a status and take nothing.

    Attributes:
        retry_after_s: Sent as Retry-After where it is given.
        as_date: Send it as a date rather than as seconds.
        retry_after: Sent as Retry-After as it is.
    """

    code: int
    retry_after_s: float | None = None
    as_date: bool = False
    location: str | None = None
    retry_after: str | None = None


@dataclass(frozen=True)
class Partial:
    """Take all but the last so many spans, and say so in a success, as OTLP's partial success does."""

    rejected: int


@dataclass(frozen=True, kw_only=True)
class Hang:
    """Read the request and never answer."""


@dataclass(frozen=True)
class SlowRead:
    """Wait before reading the body, then take it."""

    delay_s: float


@dataclass(frozen=True, kw_only=True)
class Reset:
    """Reset the connection when the request has arrived."""


@dataclass(frozen=True)
class Refuse:
    """Answer with a status where a span's name begins with a word, else take everything."""

    word: str
    code: int = 400


Behaviour = Accept | Status | Partial | Hang | SlowRead | Reset | Refuse


def spans_of(body: bytes) -> list[Span]:
    """Decode a request into its spans."""
    request = ExportTraceServiceRequest.FromString(body)
    return [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]


def metrics_of(body: bytes) -> list[Metric]:
    """Decode a request into its metrics."""
    request = ExportMetricsServiceRequest.FromString(body)
    return [
        metric for resource in request.resource_metrics for scope in resource.scope_metrics for metric in scope.metrics
    ]


class OtlpServer:
    """One endpoint: ``with OtlpServer() as server:``. Stays on its port over stop() and start().

    What is posted to a path that ends in ``/v1/metrics`` is metrics; it is counted apart, and
    behaves as `metrics_behaviour` says, else as the rest.
    """

    def __init__(self) -> None:
        self.behaviour: Behaviour = Accept()
        self.next: deque[Behaviour] = deque()  # each for one request, before `behaviour` counts
        self.spans: list[Span] = []
        self.metrics_behaviour: Behaviour | None = None
        self.metrics: list[list[Metric]] = []  # of each accepted request
        self.bodies: list[bytes] = []  # of accepted requests, of any kind
        self.requests: list[tuple[float, int]] = []  # when each came (monotonic), and the size of its body
        self.headers: list[dict[str, str]] = []
        self._changed = threading.Condition()
        self._released = threading.Event()
        self._httpd: _Httpd | None = None
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]

    @property
    def url(self) -> str:
        """The whole URL of the traces endpoint."""
        return f"http://127.0.0.1:{self.port}/v1/traces"

    @property
    def names(self) -> list[str]:
        """The names of the accepted spans, in the order of their arrival."""
        return [span.name for span in self.spans]

    @property
    def arrivals(self) -> Counter[str]:
        """How often each span id was accepted."""
        return Counter(span.span_id.hex() for span in self.spans)

    def start(self) -> Self:
        """Listen."""
        self._released.clear()
        self._httpd = _Httpd(self)
        threading.Thread(target=self._httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def stop(self) -> None:
        """Refuse connections from now on, and cut those that there are."""
        httpd, self._httpd = self._httpd, None
        self._released.set()
        if httpd:
            httpd.shutdown()
            httpd.server_close()
            httpd.cut()

    def __enter__(self) -> Self:
        """Listen."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def wait_for(self, condition: Callable[[], bool], timeout_s: float = 10.0) -> bool:
        """Wait until a condition holds that only a request can bring about."""
        with self._changed:
            return self._changed.wait_for(condition, timeout_s)

    def note(self, size: int, headers: dict[str, str]) -> Behaviour:
        """Count a request, and return how to behave."""
        with self._changed:
            self.requests.append((time.monotonic(), size))
            self.headers.append(headers)
            self._changed.notify_all()
            return self.next.popleft() if self.next else self.behaviour

    def take_metrics(self, metrics: list[Metric]) -> None:
        """Count an accepted request of metrics."""
        with self._changed:
            self.metrics.append(metrics)
            self._changed.notify_all()

    def take(self, spans: Sequence[Span]) -> None:
        """Count accepted spans."""
        with self._changed:
            self.spans += spans
            self._changed.notify_all()

    def hang(self) -> None:
        """Wait until the server stops."""
        self._released.wait()


class _Httpd(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, owner: OtlpServer) -> None:
        self.owner = owner
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", owner.port), _Handler)

    @override
    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        if isinstance(request, socket.socket):
            self._open.add(request)
        super().process_request(request, client_address)

    @override
    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        if isinstance(request, socket.socket):
            self._open.discard(request)
        super().shutdown_request(request)

    @override
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that go away are what is tested."""

    def cut(self) -> None:
        for connection in list(self._open):
            with contextlib.suppress(OSError):  # it may have ended by itself
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def _owner(self) -> OtlpServer:
        assert isinstance(self.server, _Httpd)
        return self.server.owner

    @property
    def _is_of_metrics(self) -> bool:
        return self.path.endswith("/v1/metrics")

    def do_POST(self) -> None:
        """Behave as told."""
        length = int(self.headers["content-length"])
        headers = {name.lower(): value for name, value in self.headers.items()}
        behaviour = self._owner.behaviour
        if not self._is_of_metrics:
            behaviour = self._owner.note(length, headers)
        elif self._owner.metrics_behaviour is not None:
            behaviour = self._owner.metrics_behaviour
        if isinstance(behaviour, SlowRead):
            time.sleep(behaviour.delay_s)
        try:
            packed = self.rfile.read(length)
            self._behave(behaviour, _UNPACKERS[headers.get("content-encoding", "")](packed))
        except ConnectionError:
            self.close_connection = True

    def _behave(self, behaviour: Behaviour, body: bytes) -> None:
        if isinstance(behaviour, Hang):
            self._owner.hang()
            self.close_connection = True
        elif isinstance(behaviour, Reset):
            # Linger 0: the connection is reset rather than ended.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        elif isinstance(behaviour, Status):
            self._answer_status(behaviour)
        else:
            self._judge(behaviour, body)

    def _judge_metrics(self, behaviour: Behaviour, body: bytes) -> None:
        answer = ExportMetricsServiceResponse()
        if isinstance(behaviour, Partial):
            answer.partial_success.rejected_data_points = behaviour.rejected
        self._owner.take_metrics(metrics_of(body))
        self._answer(200, answer.SerializeToString())

    def _judge(self, behaviour: Behaviour, body: bytes) -> None:
        self._owner.bodies.append(body)
        if self._is_of_metrics:
            return self._judge_metrics(behaviour, body)
        try:
            spans = spans_of(body)
        except DecodeError:
            return self._answer(400)
        if isinstance(behaviour, Refuse) and any(span.name.startswith(behaviour.word) for span in spans):
            return self._answer(behaviour.code)
        answer = ExportTraceServiceResponse()
        if isinstance(behaviour, Partial):
            rejected = min(len(spans), behaviour.rejected)
            answer.partial_success.rejected_spans = rejected
            spans = spans[: len(spans) - rejected]
        self._owner.take(spans)
        return self._answer(200, answer.SerializeToString())

    def _answer_status(self, status: Status) -> None:
        headers = {}
        if (retry_after := _retry_after(status)) is not None:
            headers["retry-after"] = retry_after
        if status.location:
            headers["location"] = status.location
        self._answer(status.code, headers=headers)

    def _answer(self, code: int, content: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in {"content-type": "application/x-protobuf", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


def _retry_after(status: Status) -> str | None:
    if status.retry_after_s is None:
        return status.retry_after
    moment = datetime.now(timezone.utc) + timedelta(seconds=status.retry_after_s)
    return format_datetime(moment, usegmt=True) if status.as_date else str(status.retry_after_s)
