"""Metrics and events of an application go through the collectors that its spans go through."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from typing_extensions import override

from ._collector import CONFIGS, VALUES, Collector, collector, parsed, written
from ._programs import free_ports, running, until

pytestmark = pytest.mark.timeout(120)

NOWHERE = {"otlp_grpc/jaeger": {"endpoint": "127.0.0.1:9"}}
SAID = "What nobody else is to read"
EVENT: dict[str, Any] = {
    "eventName": "gen_ai.client.inference.operation.details",
    "body": {"stringValue": SAID},
    "attributes": [
        {"key": "gen_ai.request.model", "value": {"stringValue": "scripted-1"}},
        {"key": "gen_ai.input.messages", "value": {"stringValue": f'[{{"role":"user","content":"{SAID}"}}]'}},
        {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "11"}},
    ],
}


@dataclass
class Backend:
    """A server that takes whatever it is sent.

    Attributes:
        bodies: What came, by path.
    """

    url: str = ""
    bodies: dict[str, list[bytes]] = field(default_factory=dict)

    def events(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Return the names, bodies and attributes of the events that came."""
        requests_ = map(ExportLogsServiceRequest.FromString, self.bodies.get("/v1/logs", []))
        records = [r for q in requests_ for x in q.resource_logs for y in x.scope_logs for r in y.log_records]
        return [
            (
                r.event_name,
                r.body.string_value,
                {a.key: a.value.string_value or a.value.int_value for a in r.attributes},
            )
            for r in records
        ]


@contextmanager
def backend() -> Iterator[Backend]:
    """Run a server that takes whatever it is sent."""
    got = Backend()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            got.bodies.setdefault(self.path, []).append(body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        @override
        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    got.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send_event(to: Collector) -> None:
    """Send an event with content."""
    record = {"timeUnixNano": "1700000000000000000", "traceId": uuid4().hex, "spanId": "0" * 15 + "1", **EVENT}
    _post(to, "logs", {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]})


def send_tokens(to: Collector, service: str) -> None:
    """Send a histogram of tokens, as an application counts them."""
    attributes = [{"key": "gen_ai.token.type", "value": {"stringValue": "input"}}]
    times = {"startTimeUnixNano": "1700000000000000000", "timeUnixNano": "1700000001000000000"}
    point = {**times, "attributes": attributes, "count": "2", "sum": 22, "bucketCounts": ["2", "0"]}
    histogram = {"aggregationTemporality": 2, "dataPoints": [{**point, "explicitBounds": [100]}]}
    metric = {"name": "gen_ai.client.token.usage", "unit": "{token}", "histogram": histogram}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    _post(to, "metrics", {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [metric]}]}]})


def _post(to: Collector, signal: str, request: Any) -> None:
    headers = {"Content-Type": "application/json"}
    answer = requests.post(f"{to.http}/v1/{signal}", json.dumps(request), headers=headers, timeout=10)
    assert (answer.status_code, answer.json()) == (200, {"partialSuccess": {}})


def page(of: Collector, service: str) -> list[str]:
    """Return what a collector shows of a service for Prometheus."""
    shown = requests.get(f"{of.metrics}/metrics", timeout=5).text.splitlines()
    return [line for line in shown if f'service_name="{service}"' in line and not line.startswith("#")]


@pytest.mark.parametrize("overlay", ["grafana-cloud", "newrelic", "logfire", "honeycomb"])
def test_a_backend_that_takes_them_gets_them(otelcol: str, tmp_path: Path, overlay: str) -> None:
    """With an overlay for a backend of all signals, events arrive there as sent, and metrics where it takes them."""
    variables = {"grafana-cloud": "GRAFANA_CLOUD_OTLP_ENDPOINT", "newrelic": "NEW_RELIC_OTLP_ENDPOINT"}
    variable = variables.get(overlay, f"{overlay.upper()}_ENDPOINT")
    with backend() as got:
        files, env = ["dev.yaml", f"exporters/{overlay}.yaml"], {**VALUES, variable: got.url}
        with collector(otelcol, tmp_path, files, {"exporters": NOWHERE}, env=env) as dev:
            send_event(dev)
            send_tokens(dev, "app")
            wanted = {"/v1/logs"} if overlay == "honeycomb" else {"/v1/logs", "/v1/metrics"}
            until(lambda: got.bodies.keys() >= wanted, 20.0, "events and metrics")

    content = f'[{{"role":"user","content":"{SAID}"}}]'
    attributes = {"gen_ai.request.model": "scripted-1", "gen_ai.input.messages": content}
    assert got.events() == [(EVENT["eventName"], SAID, {**attributes, "gen_ai.usage.input_tokens": 11})]
    assert got.bodies.keys() == wanted


def test_no_content_of_an_event_leaves_an_agent(otelcol: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Through an agent and a gateway an event keeps its model and its tokens, and loses its texts."""
    (port,) = free_ports(1)
    hosts = {"dns": None, "static": {"hostnames": [f"127.0.0.1:{port}"]}}
    changes = {"exporters": {"nop": {}}, "service": {"pipelines": {"traces/kafka": {"exporters": ["nop"]}}}}
    with backend() as got:
        files, env = ["gateway.yaml", "exporters/honeycomb.yaml"], {**VALUES, "HONEYCOMB_ENDPOINT": got.url}
        place = tmp_path_factory.mktemp("gateway")
        with (
            collector(otelcol, place, files, changes, env=env, grpc=port),
            collector(
                otelcol,
                tmp_path_factory.mktemp("agent"),
                ["agent.yaml"],
                {"exporters": {"load_balancing": {"resolver": hosts}}},
            ) as agent,
        ):
            send_event(agent)
            until(lambda: "/v1/logs" in got.bodies, 20.0, "the event")

    assert got.events() == [
        (EVENT["eventName"], "", {"gen_ai.request.model": "scripted-1", "gen_ai.usage.input_tokens": 11})
    ]
    assert SAID.encode() not in b"".join(got.bodies["/v1/logs"])


@pytest.mark.parametrize("base", ["dev.yaml", "agent.yaml"])
def test_an_applications_metrics_are_shown(otelcol: str, tmp_path: Path, base: str) -> None:
    """The collector that an application sends to shows its own count of tokens, under its own name."""
    changes = {"exporters": NOWHERE} if base == "dev.yaml" else {}
    with collector(otelcol, tmp_path, [base], changes) as running_collector:
        send_tokens(running_collector, "my-app")
        until(lambda: page(running_collector, "my-app"), 20.0, "the metrics")

        shown = [line for line in page(running_collector, "my-app") if "_sum{" in line]

    assert [(line.split("{")[0], float(line.rpartition("} ")[2].split()[0])) for line in shown] == [
        ("gen_ai_client_token_usage_sum", 22.0)
    ]


def test_prometheus_collects_them(otelcol: str, prometheus: str, tmp_path: Path) -> None:
    """Prometheus, with its configuration of docker-compose.yml, has an application's metrics."""
    (port,) = free_ports(1)
    with collector(otelcol, tmp_path, ["dev.yaml"], {"exporters": NOWHERE}) as dev:
        settings = parsed(CONFIGS / "prometheus.yml")
        settings["global"]["scrape_interval"] = "1s"
        assert settings["scrape_configs"][0]["static_configs"] == [{"targets": ["otel-collector:8889"]}]
        settings["scrape_configs"][0]["static_configs"] = [{"targets": [dev.metrics.removeprefix("http://")]}]
        config = written(tmp_path, settings, "prometheus.json")
        options = {
            "config.file": config,
            "web.listen-address": f"127.0.0.1:{port}",
            "storage.tsdb.path": tmp_path / "p",
        }
        command = [prometheus, *(f"--{name}={value}" for name, value in options.items())]
        with running(command, tmp_path / "prometheus-log", f"http://127.0.0.1:{port}/-/ready"):
            send_tokens(dev, "my-app")

            def asked() -> Any:
                query = {"query": 'gen_ai_client_token_usage_sum{service_name="my-app"}'}
                answer = requests.get(f"http://127.0.0.1:{port}/api/v1/query", query, timeout=5).json()
                return [(r["metric"]["gen_ai_token_type"], r["value"][1]) for r in answer["data"]["result"]]

            until(asked, 30.0, "the metrics in Prometheus")

            assert asked() == [("input", "22")]
