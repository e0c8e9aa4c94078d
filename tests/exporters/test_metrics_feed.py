"""Metrics by OTLP from ``configure()``: what arrives, and what a process does not wait for.

Real processes, and an endpoint that takes spans and metrics apart.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from concurrent import futures
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from tests._warnings import STRICT

from chainspan import ConfigurationError, Delivery
from chainspan._outage import OutageLog
from chainspan.exporters._metrics import MetricsFeed, otlp_metrics
from chainspan.exporters._readers import metric_readers

from ._otlp_server import Hang, OtlpServer, Partial, Status

pytestmark = pytest.mark.timeout(50)

DURATION, TOKENS = "gen_ai.client.operation.duration", "gen_ai.client.token.usage"
PROGRAM = """
    import atexit, os, signal, sys, time, logging
    atexit.register(lambda: os.write(1, f"hooks took {time.monotonic() - ended_s}".encode()))  # the last hook of all
    logging.basicConfig(format="%(levelname)s %(message)s", level=os.environ.get("LEVEL", "WARNING"))
    import chainspan

    @chainspan.llm(provider="openai", model="gpt-5")
    def ask(text):
        return {"object": "chat.completion", "model": "gpt-5", "usage": {"prompt_tokens": 3, "completion_tokens": 2},
                "choices": [{"index": 0, "message": {"role": "assistant", "content": "four"}}]}

    chainspan.configure(service_name="shop")
    handler = chainspan.OtelHandler()
    ask.invoke("2 + 2?", {"callbacks": [handler]})
"""
AT_THE_END = "\nsys.stdout.flush(); ended_s = time.monotonic()"


def run(server: OtlpServer, more: str = "", **environment: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run the program and more, and return for how many seconds its exit hooks ran."""
    program = textwrap.dedent(PROGRAM) + textwrap.dedent(more) + AT_THE_END
    base = f"http://127.0.0.1:{server.port}"
    done = subprocess.run(
        [sys.executable, *STRICT, "-c", program],
        capture_output=True,
        text=True,
        env={"PATH": "", "OTEL_EXPORTER_OTLP_ENDPOINT": base, **environment},
        timeout=45,
        check=False,
    )
    return done, float(done.stdout.rpartition("hooks took ")[2] or 0)


def counts(metrics: list[Metric]) -> dict[str, int]:
    """Return how many values each histogram holds."""
    return {metric.name: sum(point.count for point in metric.histogram.data_points) for metric in metrics}


def test_one_call_sets_up_metrics_too(server: OtlpServer) -> None:
    """Metrics go where the spans go, with the same resource, and a flush sends both."""
    done, _ = run(server, 'print(chainspan.flush(20)); os.write(2, b""); os._exit(0)')

    assert done.stderr == ""
    assert [span.name for span in server.spans] == ["chat gpt-5"]
    assert [counts(metrics) for metrics in server.metrics] == [{DURATION: 1, TOKENS: 2}]
    assert all(b"shop" in body for body in server.bodies)


@pytest.mark.parametrize(
    "flush", ["handler.flush(20)", "asyncio.run(handler.aflush(20))", "handler.__exit__(*[None] * 3)"]
)
def test_a_handlers_flush_sends_metrics_too(server: OtlpServer, flush: str) -> None:
    """When a serverless function is frozen after ``with handler:``, its metrics have left as well."""
    run(server, f"import asyncio; {flush}; os._exit(0)")

    assert [counts(metrics) for metrics in server.metrics] == [{DURATION: 1, TOKENS: 2}]


@pytest.mark.parametrize(
    ("ending", "code"), [("", 0), ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(30)", -signal.SIGTERM)]
)
def test_the_last_metrics_arrive_when_the_process_ends(server: OtlpServer, ending: str, code: int) -> None:
    """What was counted since the last export is sent at exit and on SIGTERM."""
    done, _ = run(server, ending)

    assert (done.returncode, done.stderr) == (code, "")
    assert counts(server.metrics[-1]) == {DURATION: 1, TOKENS: 2}


def test_metrics_are_sent_every_so_often(server: OtlpServer) -> None:
    """OTEL_METRIC_EXPORT_INTERVAL says how often, and nobody has to ask."""
    run(server, "time.sleep(2); os._exit(0)", OTEL_METRIC_EXPORT_INTERVAL="200")

    assert len(server.metrics) > 2


def test_forked_workers_send_theirs(server: OtlpServer) -> None:
    """What was set up before a fork works in the children."""
    done, _ = run(
        server,
        """
        import warnings
        warnings.filterwarnings("ignore", "This process .* is multi-threaded")
        for _ in range(2):
            if not os.fork():
                ask.invoke("2 + 2?", {"callbacks": [handler]})
                chainspan.flush(20)
                os._exit(0)
        for _ in range(2):
            os.wait()
        """,
    )

    assert (done.returncode, done.stderr) == (0, "")
    told = [counts(metrics)[DURATION] for metrics in server.metrics]  # sums, which may be told twice
    assert set(told) == {1, 2}
    assert told.count(2) >= 2


@pytest.mark.parametrize("refuses", [True, False], ids=["refuses", "hangs"])
def test_a_dead_endpoint_delays_the_end_by_two_seconds_and_is_said_once(server: OtlpServer, refuses: bool) -> None:
    """Spans and metrics together keep the bound that spans alone keep, and one line tells of both."""
    server.behaviour = Hang()
    if refuses:
        server.stop()

    done, lasted_s = run(server)

    assert lasted_s < 2.3
    assert done.returncode == 0
    [line] = done.stderr.splitlines()
    assert line.startswith(f"WARNING No spans have reached http://127.0.0.1:{server.port}/v1/traces for ")


@pytest.mark.parametrize("refuses", [True, False], ids=["refuses", "hangs"])
def test_an_outage_of_the_metrics_alone_is_said_once(server: OtlpServer, refuses: bool) -> None:
    """Where the spans arrive and the metrics do not, one line says how many data points that cost."""
    with OtlpServer() as other:
        other.metrics_behaviour = Hang()
        if refuses:
            other.stop()
        address = f"http://127.0.0.1:{other.port}/v1/metrics"
        done, lasted_s = run(server, OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=address, OTEL_METRIC_EXPORT_INTERVAL="300")

    assert lasted_s < 2.3
    assert [span.name for span in server.spans] == ["chat gpt-5"]
    [line] = done.stderr.splitlines()
    assert line.startswith(f"WARNING No data points have reached {address} for ")
    assert line.endswith("3 data points were lost (the process ended).")


def test_what_has_arrived_is_not_called_lost(server: OtlpServer, caplog: pytest.LogCaptureFixture) -> None:
    """An endpoint that goes away after the last flush, when nothing has been counted since, cost nothing."""
    feed = otlp_metrics(f"http://127.0.0.1:{server.port}")
    provider = MeterProvider([feed], shutdown_on_exit=False)
    provider.get_meter("mine").create_counter("c").add(1)
    assert provider.force_flush(10_000)

    server.stop()
    provider.shutdown(500)

    [line] = caplog.messages
    assert line.startswith(f"No data points have reached {feed.endpoint} for ")
    assert line.endswith(": none lost.")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, ""),
        ({"LEVEL": "INFO"}, "INFO"),
        ({"OTEL_METRICS_EXPORTER": "otlp"}, "WARNING"),
    ],
    ids=["unasked", "unasked-info", "asked"],
)
def test_a_backend_of_traces_alone_is_no_outage(server: OtlpServer, environment: dict[str, str], said: str) -> None:
    """Jaeger and its like answer 404 to metrics: who asked for metrics is warned, once, and nobody else."""
    server.metrics_behaviour = Status(404)

    done, _ = run(server, "chainspan.flush(20)", **environment)

    sentence = (
        f"http://127.0.0.1:{server.port}/v1/metrics takes no metrics (404 Not Found); "
        "OTEL_METRICS_EXPORTER=none sends it none."
    )
    assert [line for line in done.stderr.splitlines() if "metrics" in line] == ([f"{said} {sentence}"] if said else [])
    assert [span.name for span in server.spans] == ["chat gpt-5"]


@pytest.mark.parametrize(
    ("environment", "arguments"),
    [
        ({"OTEL_METRICS_EXPORTER": "none"}, ""),
        ({"OTEL_TRACES_EXPORTER": "console"}, ""),
        ({}, "metrics=False"),
        ({"CHAINSPAN_METRICS": "false"}, ""),
    ],
    ids=["none", "no-otlp", "argument", "unrecorded"],
)
def test_metrics_that_nobody_wants_are_not_sent(
    server: OtlpServer, environment: dict[str, str], arguments: str
) -> None:
    """Nothing of ours leaves where a variable or an argument says so, or where spans do not go by OTLP."""
    program = textwrap.dedent(PROGRAM).replace('service_name="shop"', arguments) + AT_THE_END
    base = f"http://127.0.0.1:{server.port}"
    done = subprocess.run(
        [sys.executable, *STRICT, "-c", program],
        capture_output=True,
        text=True,
        env={"PATH": "", "OTEL_EXPORTER_OTLP_ENDPOINT": base, **environment},
        timeout=45,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert server.metrics == []


def test_a_meter_provider_that_is_set_up_is_left_alone(server: OtlpServer) -> None:
    """The application's own MeterProvider stays, and gets the metrics."""
    before = """
        import chainspan
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        reader = InMemoryMetricReader()
        mine = MeterProvider([reader])
        metrics.set_meter_provider(mine)
    """
    after = """
        print(metrics.get_meter_provider() is mine, len(reader.get_metrics_data().resource_metrics), flush=True)
    """
    program = textwrap.dedent(before) + textwrap.dedent(PROGRAM) + textwrap.dedent(after) + "os._exit(0)"
    environment = {"PATH": "", "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.port}"}
    command = [sys.executable, *STRICT, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=45, check=False)

    assert (done.stdout, done.stderr) == ("True 1\n", "")
    assert server.metrics == []


def test_metrics_can_be_printed(server: OtlpServer) -> None:
    """OTEL_METRICS_EXPORTER=console prints them at the end, as the SDK does."""
    done, _ = run(server, "chainspan.flush(20); print('end')", OTEL_METRICS_EXPORTER="console")

    assert (done.returncode, done.stderr) == (0, "")
    assert f'"name": "{DURATION}"' in done.stdout.split("end")[0]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("OTEL_METRICS_EXPORTER", "statsd-of-old", "otlp, console, none or the name of an installed exporter"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "often", "milliseconds above 0"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "sometimes", "one of cumulative, delta, lowmemory"),
        (
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
            "bars",
            "one of explicit_bucket_histogram, base2_exponential_bucket_histogram",
        ),
    ],
)
def test_a_bad_variable_is_refused(name: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be used is said, with what was expected."""
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError, match=f"{name}: expected {expected}, got '{value}'"):
        metric_readers(None, ("http://localhost:4318/v1/traces", OutageLog("there")))


TRACES = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"


@pytest.mark.parametrize(
    ("environment", "argument", "endpoint"),
    [
        ({}, None, "http://localhost:4318/v1/metrics"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1"}, None, "http://c:1/v1/metrics"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1/otlp/"}, None, "http://c:1/otlp/v1/metrics"),
        ({TRACES: "http://t:1/v1/traces"}, None, None),
        ({TRACES: "http://t:1/v1/traces", "OTEL_METRICS_EXPORTER": "otlp"}, None, "http://localhost:4318/v1/metrics"),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://m:1/here"}, "http://c:1", "http://m:1/here"),
        ({}, "http://c:1", "http://c:1/v1/metrics"),
        ({}, "http://c:1/v1/traces", "http://c:1/v1/metrics"),
        ({}, "http://c:1/api/otel/v1/traces", "http://c:1/api/otel/v1/metrics"),
        ({}, "http://c:1/of/spans", None),
    ],
)
def test_where_metrics_go(
    environment: dict[str, str], argument: str | None, endpoint: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metrics follow the spans where the spans' address is one for all signals, and the metrics' own variables."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    readers = metric_readers(argument, ("http://c:1/v1/traces", OutageLog("there")))

    assert [feed.endpoint for feed, _ in readers if isinstance(feed, MetricsFeed)] == ([endpoint] if endpoint else [])
    for _, feed in readers:
        feed.close(0)


def test_temporality_and_aggregation_are_chosen_by_variables(
    server: OtlpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The standard variables choose delta and exponential histograms."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram")
    feed = otlp_metrics(f"http://127.0.0.1:{server.port}")
    provider = MeterProvider([feed], shutdown_on_exit=False)
    provider.get_meter("mine").create_histogram("h").record(1)

    assert feed.flush(10) == Delivery()
    provider.shutdown()

    [metric] = server.metrics[0]
    assert metric.WhichOneof("data") == "exponential_histogram"
    assert metric.exponential_histogram.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA


def test_a_refused_part_is_said_once(server: OtlpServer, caplog: pytest.LogCaptureFixture) -> None:
    """An endpoint that takes some of the data points and not others is told of, and not at every export."""
    server.metrics_behaviour = Partial(1)
    feed = otlp_metrics(f"http://127.0.0.1:{server.port}")
    provider = MeterProvider([feed], shutdown_on_exit=False)
    provider.get_meter("mine").create_counter("c").add(1)

    assert provider.force_flush(10_000)
    assert provider.force_flush(10_000)
    provider.shutdown()

    assert caplog.messages == [f"{feed.endpoint} refuses some of the metrics."]


def test_a_resource_that_is_no_text_is_sent(server: OtlpServer, caplog: pytest.LogCaptureFixture) -> None:
    """A service's name in bytes that are no UTF-8 arrives as far as it is one, and nothing is logged at each export."""
    feed = otlp_metrics(f"http://127.0.0.1:{server.port}")
    resource = Resource({"service.name": b"caf\xe9".decode(errors="surrogateescape"), "mine": 1})
    provider = MeterProvider([feed], resource=resource, shutdown_on_exit=False)
    provider.get_meter("mine").create_counter("c").add(1)

    assert provider.force_flush(10_000)
    provider.shutdown()

    sent = metrics_service_pb2.ExportMetricsServiceRequest.FromString(server.bodies[-1]).resource_metrics[0].resource
    assert {item.key: item.value.string_value or item.value.int_value for item in sent.attributes} == {
        "service.name": "caf�",
        "mine": 1,
    }
    assert caplog.messages == []


class _Grpc(metrics_service_pb2_grpc.MetricsServiceServicer):
    """Takes metrics over gRPC."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802  the service calls it so
        """Take a request."""
        for resource in request.resource_metrics:
            self.names += [metric.name for scope in resource.scope_metrics for metric in scope.metrics]
        return metrics_service_pb2.ExportMetricsServiceResponse()


def test_metrics_go_over_grpc_where_that_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=grpc sends to the metrics service of a gRPC endpoint."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc")
    service = _Grpc()
    server = grpc.server(futures.ThreadPoolExecutor(1))
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(service, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    feed = otlp_metrics(f"http://127.0.0.1:{port}")
    provider = MeterProvider([feed], shutdown_on_exit=False)
    provider.get_meter("mine").create_counter("c").add(1)

    arrived = provider.force_flush(10_000)
    provider.shutdown()
    server.stop(None)

    assert arrived
    assert service.names[:1] == ["c"]
