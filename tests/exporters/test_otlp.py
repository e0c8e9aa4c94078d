"""OTLP from arguments and the standard variables, over HTTP and gRPC, with every answer understood."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any, get_args

import grpc
import pytest
import requests
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from google.rpc.error_details_pb2 import RetryInfo
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags
from typing_extensions import override
from urllib3 import HTTPResponse

from chainspan import ConfigurationError
from chainspan._delivery import Delivery
from chainspan._feeding import processor_for
from chainspan.exporters import spool
from chainspan.exporters._encoding import encoded, joined
from chainspan.exporters._otlp import otlp, otlp_sender
from chainspan.exporters._senders import Answer, HttpSender, Verdict, read_acceptance
from chainspan.exporters._settings import OtlpSettings, Protocol

from ._otlp_server import Accept, Hang, OtlpServer, Partial, Refuse, spans_of
from ._otlp_server import Status as Answering

pytestmark = pytest.mark.timeout(30)


def ended(name: str, **attributes: object) -> ReadableSpan:
    """Return a finished span."""
    span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span(name)
    for key, value in attributes.items():
        span.set_attribute(key, value)  # type: ignore[arg-type]
    span.end()
    assert isinstance(span, ReadableSpan)
    return span


# ------------------------------------------------------------------ settings


def test_nothing_said_means_the_specification(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without arguments and variables, spans go to the local collector by HTTP, packed by gzip."""
    assert OtlpSettings.read() == OtlpSettings(endpoint="http://localhost:4318/v1/traces", insecure=True)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/base/"}, "http://c:4318/base/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/base?key=a/b"}, "http://c:4318/base/v1/traces?key=a/b"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/mine"}, "http://c:4318/mine"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318"}, "http://c:4318"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http://localhost:4317"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": "c:4317"}, "http://c:4317"),
    ],
    ids=["base", "query", "traces", "traces-are-as-is", "grpc", "grpc-host"],
)
def test_endpoint_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    """The general variable gets the signal's path, the traces' own is taken as it is."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert OtlpSettings.read().endpoint == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("http://c:4318", "http://c:4318/v1/traces"),
        ("http://c:4318?key=a", "http://c:4318/v1/traces?key=a"),
        ("http://c:4318/mine", "http://c:4318/mine"),
    ],
)
def test_endpoint_as_argument(given: str, expected: str) -> None:
    """A bare host gets the signal's path."""
    assert OtlpSettings.read(given).endpoint == expected


@pytest.fixture
def _certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of certificates in the working directory, with no certificate in them."""
    monkeypatch.chdir(tmp_path)
    for name in ("ca.pem", "client.pem", "client.key"):
        (tmp_path / name).touch()


@pytest.mark.usefixtures("_certificates")
def test_everything_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of traces win over the general ones, arguments over both, and headers add up."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=general")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "api-key=se%20cret,x-team=a")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "7")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "client.pem")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_KEY", "client.key")

    settings = OtlpSettings.read("https://c/v1/traces", headers={"X-Team": "b"}, compression="deflate")

    assert settings == OtlpSettings(
        endpoint="https://c/v1/traces",
        headers={"api-key": "se cret", "x-team": "b"},
        compression="deflate",
        timeout_s=7,
        certificate_file="ca.pem",
        client_certificate=("client.pem", "client.key"),
    )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "one of http/protobuf, grpc"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "one of gzip, deflate, none"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "a URL such as"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:port", "a URL such as"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:431800", "a URL such as"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[::1", "a URL such as"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://my collector", "a URL such as"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4318", "a URL such as"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "seconds above 0"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "inf", "seconds above 0, and not for ever"),
    ],
)
def test_unusable_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str) -> None:
    """The error says which variable, what was expected and what came."""
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError, match=f"^{name}: expected {message}.*{re.escape(value)}"):
        otlp()


@pytest.mark.parametrize(
    "url",
    ["http://me:hunter22@127.0.0.1:9/x?api-key=hunter22", "http://hunter22@127.0.0.1:9/x?dsn=hunter22#hunter22"],
)
def test_address_is_said_without_its_secrets(caplog: pytest.LogCaptureFixture, tmp_path: Path, url: str) -> None:
    """Passwords and keys in an endpoint's address reach neither the log nor an error's message."""
    exporter = otlp(url)
    exporter.outage.failed("no connection")
    exporter.shutdown()
    kept = spool(tmp_path, to=otlp("http://127.0.0.1:9"))

    with pytest.raises(ConfigurationError) as refused:
        spool(tmp_path, to=otlp(url))

    kept.close(0)
    assert "No spans have reached http://127.0.0.1:9/x for" in caplog.text
    assert "http://127.0.0.1:9/x" in str(refused.value)
    assert "hunter22" not in caplog.text + str(refused.value)


@pytest.mark.parametrize("timeout_s", [Fraction(5, 2), Decimal("2.5")], ids=repr)
def test_timeout_of_another_sort_of_number(timeout_s: Any) -> None:
    """What libraries for numbers have for 2.5 is 2.5 seconds."""
    assert repr(OtlpSettings.read(timeout_s=timeout_s).timeout_s) == "2.5"


def test_address_that_is_none_is_refused_without_its_password() -> None:
    """The error's message stands in the log of an application that cannot start."""
    with pytest.raises(ConfigurationError, match="got 'http://me:") as refused:
        otlp("http://me:hunter22@collector:port")

    assert "hunter22" not in str(refused.value)


@pytest.mark.parametrize("protocol", get_args(Protocol))
@pytest.mark.parametrize(
    "headers", [{"X-Key": "hunter22\n"}, {"X-Key": "\u20ac hunter22"}, {"X Key": "hunter22"}, {"X-Key": 22}], ids=str
)
def test_header_that_cannot_be_sent_is_named(headers: dict[str, str], protocol: Protocol) -> None:
    """A key that was read with the end of its line would fail each attempt; it is not shown."""
    with pytest.raises(ConfigurationError, match=r"^headers: expected .*, got '[xX].[kK]ey'$"):
        otlp(headers=headers, protocol=protocol)


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"])
def test_variable_with_a_header_that_cannot_be_sent_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A line's end may hide in what is encoded."""
    monkeypatch.setenv(name, "x-key=hunter%0A22")

    with pytest.raises(ConfigurationError, match=f"^{name}: expected .*, got 'x-key'$"):
        otlp()


def test_header_that_is_none_is_left_out_and_not_shown(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A colon where an equals sign belongs is said, but not with the key behind it."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team = a b, authorization: Bearer hunter22==,, x-key=a%20b,")

    settings = OtlpSettings.read()

    assert settings.headers == {"x-team": "a b", "x-key": "a b"}
    assert "A header in OTEL_EXPORTER_OTLP_HEADERS is not of the form name=value" in caplog.text
    assert "hunter22" not in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"endpoint": 4318}, "endpoint: expected a URL such as http://localhost:4318, got 4318"),
        ({"timeout_s": "10"}, "timeout_s: expected seconds above 0, and not for ever, got '10'"),
        (
            {"headers": "authorization=Bearer c4n4ry"},
            "headers: expected a mapping of names to texts, got <class 'str'>",
        ),
        ({"headers": {"x team": "a"}}, "headers: expected names of headers, got 'x team'"),
        ({"headers": {"x-team": "c4n4ry\n"}}, "headers: expected values of one line, in Latin letters, got 'x-team'"),
        ({"headers": {"x-team": "東京"}}, "headers: expected values of one line, in Latin letters, got 'x-team'"),
        ({"headers": {"x-team": 7}}, "headers: expected values of one line, in Latin letters, got 'x-team'"),
    ],
    ids=["endpoint", "timeout", "headers", "name", "two lines", "letters", "number"],
)
def test_unusable_argument_is_named(options: Any, message: str) -> None:
    """What no request could be sent with is refused before there is any, and the secret in it is not told."""
    with pytest.raises(ConfigurationError) as raised:
        otlp(**options)

    assert str(raised.value) == message


def test_unusable_header_of_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line's end that was encoded is one."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=c4n4ry%0Ax")

    with pytest.raises(ConfigurationError, match=r"^OTEL_EXPORTER_OTLP_HEADERS: expected values .* got 'api-key'$"):
        otlp()


def test_import_loads_no_transport() -> None:
    """Importing the package loads neither requests nor grpc."""
    code = "import sys, chainspan; print(sorted({'requests', 'grpc', 'filelock', 'tenacity'} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)

    assert done.stdout == "[]\n"


# ------------------------------------------------------------------ encoding


def test_batches_are_cut_by_bytes() -> None:
    """Spans go together as long as they fit; one that is larger than a request goes alone."""
    spans = [ended(f"span {number}", text="x" * 1_000) for number in range(6)] + [ended("large", text="x" * 9_000)]

    batches = list(encoded(spans, max_bytes=4_000))

    assert [len(batch.body) <= 4_000 for batch in batches[:-1]] == [True] * (len(batches) - 1)
    assert [[span.name for span in batch.spans] for batch in batches][-1] == ["large"]
    assert [span.name for span in spans_of(joined([batch.body for batch in batches]))] == [s.name for s in spans]


def test_large_spans_arrive_where_requests_are_limited(server: OtlpServer, caplog: pytest.LogCaptureFixture) -> None:
    """Ten spans of a megabyte are sent in requests that a limit of 4 MiB lets through (pains #10)."""
    processor = processor_for(otlp(server.url, compression="none"))

    for number in range(10):
        processor.on_end(ended(f"span {number}", text="x" * 1_000_000))
    delivery = processor.flush(10)

    assert delivery == Delivery(delivered=10)
    assert sorted(server.names) == [f"span {number}" for number in range(10)]
    assert max(size for _, size in server.requests) <= 4 * 1024 * 1024
    assert caplog.messages == []


def test_what_has_arrived_of_a_batch_counts_before_the_rest(server: OtlpServer) -> None:
    """A batch is sent in several requests where its spans are large; those that were accepted are no loss."""
    server.next.append(Accept())
    server.behaviour = Hang()
    processor = processor_for(otlp(server.url, compression="none"))

    for number in range(10):
        processor.on_end(ended(f"span {number}", text="x" * 1_000_000))
    before = processor.flush(1)
    processor.close(0.1)

    arrived = len(server.names)
    assert 0 < arrived < 10
    assert before == Delivery(delivered=arrived, pending=10 - arrived)
    assert processor.flush(0) == Delivery(delivered=arrived, dropped=10 - arrived)


def test_what_is_lost_of_a_batch_does_not_wait(server: OtlpServer, caplog: pytest.LogCaptureFixture) -> None:
    """The line on a refused span that has been found in a batch counts it as lost, and only the others as waiting."""
    server.behaviour = Refuse("bad")
    processor = processor_for(otlp(server.url))

    for name in ("bad", "good", "bad", "good"):
        processor.on_end(ended(name))
    delivery = processor.flush(10)
    processor.close(1)

    assert delivery == Delivery(delivered=2, rejected=2)
    assert caplog.messages == [
        f"chainspan could not deliver all spans to {server.url}: 1 span was lost (400 Bad Request), 3 wait in memory.",
        f"chainspan could not deliver all spans to {server.url}: 1 span was lost (400 Bad Request).",
    ]


def test_surrogates_cost_nothing() -> None:
    """Half a surrogate pair in any text of a span is replaced; no span and no attribute is lost for it."""
    provider = TracerProvider(shutdown_on_exit=False)
    context = SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1))
    bad = provider.get_tracer("test").start_span("na\ud800me", links=[Link(context, {"l": "\udc00"})])
    bad.set_attributes({"text": "a\ud83d\ude00b\udfff", "list": ["\ud800"], "fine": 1})
    bad.add_event("ev\ud800ent", {"e": "\ud800"})
    bad.set_status(Status(StatusCode.ERROR, "\ud800"))
    bad.end()
    assert isinstance(bad, ReadableSpan)

    [batch] = encoded([bad])

    [span] = spans_of(batch.body)
    assert (span.name, span.events[0].name, span.status.message) == ("na�me", "ev�ent", "�")
    assert {item.key: item.value.string_value for item in span.attributes if item.key == "text"} == {"text": "a😀b�"}
    assert [len(span.attributes), len(span.events[0].attributes), len(span.links[0].attributes)] == [3, 1, 1]


def test_number_of_more_than_64_bits_costs_no_other_span() -> None:
    """An integer that OTLP cannot say loses at most itself."""
    batches = list(encoded([ended("good"), ended("large\ud800", number=2**70)]))

    spans = [span for batch in batches for span in spans_of(batch.body)]
    assert [span.name for span in spans] == ["good", "large�"]
    assert spans[1].attributes[0].value.string_value == str(2**70)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (["fine", "half \ud83d"], {"arrayValue": {"values": [{"stringValue": "fine"}, {"stringValue": "half �"}]}}),
        (2**70, {"stringValue": str(2**70)}),
        ([1, -(2**63) - 1], {"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": str(-(2**63) - 1)}]}}),
        (-(2**63), {"intValue": str(-(2**63))}),
    ],
    ids=["list", "large", "large in a list", "smallest"],
)
@pytest.mark.parametrize("place", ["span", "event", "link", "resource", "scope"])
def test_what_otlp_cannot_say_is_said_otherwise(
    place: str, value: Any, said: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Wherever a value stands that OTLP has no form for, it arrives in another, and nothing is logged."""
    at: dict[str, dict[str, Any]] = {place: {"value": value}}
    provider = TracerProvider(resource=Resource(at.get("resource", {})), shutdown_on_exit=False)
    context = SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1))
    span = provider.get_tracer("test", attributes=at.get("scope")).start_span(
        "a", attributes=at.get("span"), links=[Link(context, at.get("link"))]
    )
    span.add_event("event", at.get("event"))
    span.end()
    assert isinstance(span, ReadableSpan)

    [batch] = encoded([span])

    [resource] = ExportTraceServiceRequest.FromString(batch.body).resource_spans
    [scope] = resource.scope_spans
    [read] = scope.spans
    found = {
        "span": read.attributes,
        "event": read.events[0].attributes,
        "link": read.links[0].attributes,
        "resource": resource.resource.attributes,
        "scope": scope.scope.attributes,
    }
    assert {name: [MessageToDict(item.value) for item in items] for name, items in found.items() if items} == {
        place: [said]
    }
    assert caplog.messages == []


def test_span_that_cannot_be_encoded_is_counted(server: OtlpServer, caplog: pytest.LogCaptureFixture) -> None:
    """What the encoder refuses even after repair is dropped alone, and reported."""
    broken = ended("broken")
    broken._start_time = -1
    exporter = otlp(server.url)

    result = exporter.export([ended("good"), broken])
    exporter.shutdown()

    assert (result, server.names) == (SpanExportResult.FAILURE, ["good"])
    assert caplog.messages == [
        f"chainspan could not deliver all spans to {server.url}: 1 span was lost (they cannot be encoded)."
    ]


# ------------------------------------------------------------------ HTTP


@pytest.mark.parametrize("compression", ["gzip", "deflate", "none"])
def test_request_is_packed_as_asked(server: OtlpServer, compression: str) -> None:
    """The body arrives by any compression, with the headers of the settings."""
    exporter = otlp(server.url, compression=compression, headers={"x-team": "a"})  # type: ignore[arg-type]

    exporter.export([ended("one")])
    exporter.shutdown()

    [headers] = server.headers
    assert server.names == ["one"]
    assert headers["content-type"] == "application/x-protobuf"
    assert headers.get("content-encoding", "none") == compression
    assert headers["x-team"] == "a"


class FarEnd(requests.adapters.HTTPAdapter):
    """Notes what a connection would be made with, and answers."""

    def __init__(self) -> None:
        """Have been asked nothing."""
        super().__init__()
        self.asked: list[tuple[object, object]] = []

    @override
    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Answer that it is well."""
        self.asked.append((kwargs["verify"], kwargs["cert"]))
        answer = requests.Response()
        answer.status_code, answer.raw = 200, HTTPResponse(body=BytesIO(), preload_content=False)
        return answer


@pytest.mark.parametrize("protocol", get_args(Protocol))
@pytest.mark.parametrize("name", ["CERTIFICATE", "TRACES_CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"])
def test_certificate_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, name: str, protocol: Protocol) -> None:
    """It is refused at once where TLS needs it, and not at each attempt to send."""
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", "nowhere.pem")

    plain = otlp("http://collector:4318", protocol=protocol)
    with pytest.raises(ConfigurationError, match=f"^OTEL_EXPORTER_OTLP_{name}: expected a file .*'nowhere.pem'"):
        otlp("https://collector:4318", protocol=protocol)

    assert plain.endpoint.startswith("http://collector:4318")


@pytest.mark.usefixtures("_certificates")
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_of_the_variables_are_used(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """OpenTelemetry's variables win over those of requests, which are for every other address."""
    monkeypatch.setenv(variable, __file__)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "client.pem")
    session, far_end = requests.Session(), FarEnd()
    session.mount("https://", far_end)

    HttpSender(OtlpSettings.read("https://collector:4318"), session).send(b"")

    assert far_end.asked == [("ca.pem", "client.pem")]
    assert (session.verify, session.cert) == (True, None)


@pytest.mark.parametrize(
    "rest",
    [
        b"content-encoding: gzip\r\ncontent-length: 5\r\n\r\nplain",
        b"content-length: 50\r\n\r\ncut",
        b"transfer-encoding: chunked\r\n\r\nno length",
    ],
    ids=["garbled", "cut", "chunks"],
)
@pytest.mark.parametrize(("status", "expected"), [(200, Delivery(delivered=1)), (400, Delivery(rejected=1))])
def test_status_counts_where_the_body_cannot_be_read(status: int, expected: Delivery, rest: bytes) -> None:
    """What was accepted is not sent again and again, and what was refused neither."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        exporter = otlp(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_s=5)
        answer = ThreadPoolExecutor(1).submit(exporter.deliver, [ended("a")])
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 %d Said\r\n" % status + rest)

        assert answer.result(5) == expected
    exporter.shutdown()


def test_body_that_does_not_end_holds_nothing_up() -> None:
    """An endpoint that goes on sending, as one of events does, has accepted what it answers 200 to."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as threads:
        exporter = otlp(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_s=0.5)
        answer = threads.submit(exporter.deliver, [ended("a")])
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
            for _ in range(20):
                time.sleep(0.1)
                if answer.done():
                    break
                connection.sendall(b": ping\n")
            is_in_time = answer.done()

        assert is_in_time
        assert answer.result(5) == Delivery(delivered=1)
    exporter.shutdown()


def test_header_that_is_given_is_sent(server: OtlpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password for the host in ~/.netrc does not take the place of a backend's key."""
    file = tmp_path / "netrc"
    file.write_text("default login ada password hunter22\n", "utf-8")
    monkeypatch.setenv("NETRC", str(file))

    otlp(server.url, headers={"Authorization": "Bearer key"}).deliver([ended("a")])

    assert server.headers[-1]["authorization"] == "Bearer key"


def test_session_of_the_application_is_used(server: OtlpServer) -> None:
    """A session with credentials of its own sends the requests."""
    session = requests.Session()
    session.headers["authorization"] = "Bearer secret"
    exporter = otlp(server.url, session=session)

    exporter.export([ended("one")])
    exporter.shutdown()

    assert server.headers[0]["authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    ("behaviour", "result"),
    [
        (Partial(0), SpanExportResult.SUCCESS),
        (Partial(1), SpanExportResult.FAILURE),
        (Answering(302, location="http://127.0.0.1:9"), SpanExportResult.FAILURE),
        (Answering(400), SpanExportResult.FAILURE),
        (Answering(503), SpanExportResult.FAILURE),
        (Answering(599), SpanExportResult.FAILURE),
        (Refuse("one", 413), SpanExportResult.FAILURE),
    ],
    ids=str,
)
def test_export_under_a_foreign_processor_is_honest(
    server: OtlpServer, behaviour: Partial | Answering | Refuse, result: SpanExportResult
) -> None:
    """Success means that every span was accepted; the attempts end with the timeout."""
    server.behaviour = behaviour
    exporter = otlp(server.url, timeout_s=0.5)

    assert exporter.export([ended("one"), ended("two")]) is result

    exporter.shutdown()


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xff"])
def test_acceptance_in_another_language_is_acceptance(content: bytes) -> None:
    """An endpoint that answers 200 with something else than protobuf has accepted."""
    assert read_acceptance(content) == Answer(verdict=Verdict.ACCEPTED)


@pytest.mark.parametrize(
    ("value", "expected"), [("soon", None), ("nan", None), ("-3", 0.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)]
)
def test_odd_retry_after(server: OtlpServer, value: str, expected: float | None) -> None:
    """A Retry-After that cannot be meant asks for nothing."""
    server.behaviour = Answering(429, retry_after=value)
    sender = otlp_sender(OtlpSettings.read(server.url))

    answer = sender.send(b"")
    sender.close()

    assert answer == Answer(verdict=Verdict.BUSY, reason="429 Too Many Requests", retry_after_s=expected)


# ------------------------------------------------------------------ gRPC


class TraceService(TraceServiceServicer):
    """A gRPC endpoint that does what ``answer`` says."""

    def __init__(self) -> None:
        """Accept everything."""
        self.names: list[str] = []
        self.metadata: dict[str, str] = {}
        self.answer: Callable[[grpc.ServicerContext], int] = lambda context: 0

    @override
    def Export(self, request: ExportTraceServiceRequest, context: grpc.ServicerContext) -> ExportTraceServiceResponse:
        """Take the spans but for those that ``answer`` rejects."""
        self.metadata = {key: str(value) for key, value in context.invocation_metadata()}
        rejected = self.answer(context)
        self.names += [span.name for span in spans_of(request.SerializeToString())]
        response = ExportTraceServiceResponse()
        response.partial_success.rejected_spans = rejected
        return response


@pytest.fixture
def service() -> Iterator[tuple[TraceService, str]]:
    """A gRPC endpoint and its URL."""
    servicer = TraceService()
    server = grpc.server(ThreadPoolExecutor(4))
    add_TraceServiceServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer, f"http://127.0.0.1:{port}"
    server.stop(None).wait()


def test_spans_arrive_over_grpc(service: tuple[TraceService, str]) -> None:
    """GRPC delivers as HTTP does, with the headers as metadata."""
    servicer, url = service
    processor = processor_for(otlp(url, protocol="grpc", headers={"x-team": "a"}))

    for name in ["one", "two"]:
        processor.on_end(ended(name))
    answer = processor.flush(5)
    processor.close(1)

    assert (answer, servicer.names) == (Delivery(delivered=2), ["one", "two"])
    assert servicer.metadata["x-team"] == "a"


def test_partial_success_over_grpc_is_not_success(service: tuple[TraceService, str]) -> None:
    """What the endpoint refuses inside a success is reported as rejected."""
    servicer, url = service
    servicer.answer = lambda context: 1
    exporter = otlp(url, protocol="grpc")

    answer = exporter.deliver([ended("one"), ended("two")])
    exporter.shutdown()

    assert answer == Delivery(delivered=1, rejected=1)


@pytest.mark.parametrize(
    ("code", "retry_s", "expected"),
    [
        (grpc.StatusCode.UNAVAILABLE, None, Answer(verdict=Verdict.BUSY, reason="UNAVAILABLE")),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, None, Answer(verdict=Verdict.REFUSED, reason="RESOURCE_EXHAUSTED")),
        (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            3,
            Answer(verdict=Verdict.BUSY, reason="RESOURCE_EXHAUSTED", retry_after_s=3.0),
        ),
        (grpc.StatusCode.INVALID_ARGUMENT, None, Answer(verdict=Verdict.REFUSED, reason="INVALID_ARGUMENT")),
        (grpc.StatusCode.UNAUTHENTICATED, None, Answer(verdict=Verdict.DOUBTFUL, reason="UNAUTHENTICATED")),
    ],
    ids=["unavailable", "too-large", "too-much", "invalid", "unauthenticated"],
)
def test_grpc_status_is_understood(
    service: tuple[TraceService, str], code: grpc.StatusCode, retry_s: int | None, expected: Answer
) -> None:
    """Each status means what the OTLP specification says of it."""

    def refuse(context: grpc.ServicerContext) -> int:
        if retry_s is not None:
            info = RetryInfo(retry_delay=Duration(seconds=retry_s)).SerializeToString()
            context.set_trailing_metadata((("google.rpc.retryinfo-bin", info),))
        context.abort(code, "no")

    servicer, url = service
    servicer.answer = refuse
    sender = otlp_sender(OtlpSettings.read(url, protocol="grpc"))

    answer = sender.send(b"")
    sender.close()

    assert answer == expected
