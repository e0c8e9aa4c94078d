"""Whatever is sent to the collector of docker-compose.yml is in Jaeger and in every backend that is added to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.exporters._otlp_server import OtlpServer

from ._apps import APPLICATIONS, HTTP, Sent, Wire, by_id, tracing
from ._collector import VALUES, Collector, collector
from ._programs import until
from ._readers import Jaeger

pytestmark = pytest.mark.timeout(180)

NOWHERE = "127.0.0.1:9"


@dataclass(frozen=True)
class Stack:
    """What an overlay needs to be told, and how it proves who sends.

    Attributes:
        variable: The variable for the endpoint, and what stands behind the server's own address.
        headers: What every request has to carry.
    """

    variable: str
    path: str
    headers: dict[str, str]


STACKS = {
    "datadog": Stack(
        "DD_OTLP_TRACES_ENDPOINT",
        "/v1/traces",
        {"dd-protocol": "otlp", "dd-api-key": "none", "dd-otlp-source": "none"},
    ),
    "grafana-cloud": Stack("GRAFANA_CLOUD_OTLP_ENDPOINT", "/otlp", {"authorization": "Basic none"}),
    "honeycomb": Stack("HONEYCOMB_ENDPOINT", "", {"x-honeycomb-team": "none"}),
    "langfuse": Stack(
        "LANGFUSE_OTLP_ENDPOINT",
        "/api/public/otel",
        {"authorization": "Basic none", "x-langfuse-ingestion-version": "4"},
    ),
    "logfire": Stack("LOGFIRE_ENDPOINT", "", {"authorization": "none"}),
    "newrelic": Stack("NEW_RELIC_OTLP_ENDPOINT", "", {"api-key": "none"}),
    "phoenix": Stack("PHOENIX_ENDPOINT", "", {}),
}


@pytest.fixture(scope="module")
def dev(otelcol: str, jaeger: Jaeger, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """The collector of docker-compose.yml, in front of a real Jaeger."""
    changes = {
        "exporters": {"otlp_grpc/jaeger": {"endpoint": jaeger.grpc.removeprefix("http://")}},
        "connectors": {"span_metrics": {"metrics_flush_interval": "1s"}},
    }
    with collector(otelcol, tmp_path_factory.mktemp("dev"), ["dev.yaml"], changes) as dev:
        yield dev


@pytest.mark.parametrize("wire", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("application", APPLICATIONS.values(), ids=APPLICATIONS)
def test_all_that_is_sent_is_in_jaeger(
    dev: Collector, jaeger: Jaeger, application: Callable[[Any], None], wire: Wire
) -> None:
    """Through the collector's queue on disk, Jaeger gets every span as it was sent."""
    with tracing(dev.http if wire == HTTP else dev.grpc, wire=wire) as (sent, handler):
        application({"callbacks": [handler]})

    assert sent.delivered
    assert jaeger.wait_for(sent) == sent.spans


def test_metrics_are_made_of_spans(dev: Collector, jaeger: Jaeger) -> None:
    """The collector counts the runs of a service and sums up its tokens."""
    with tracing(dev.http) as (sent, handler):
        APPLICATIONS["agent"]({"callbacks": [handler]})
    jaeger.wait_for(sent)

    def shown() -> dict[str, float]:
        mine = f'service_name="{sent.service}"'
        lines = [line for line in requests.get(f"{dev.metrics}/metrics", timeout=5).text.splitlines() if mine in line]
        return {
            kind: sum(float(line.rpartition("} ")[2].split()[0]) for line in lines if re.match(pattern, line))
            for kind, pattern in {
                "spans": r"traces_span_metrics_calls_total\{",
                "input": r"traces_gen_ai_token_usage\w*_sum\{.*gen_ai_token_type=\"input\"",
                "output": r"traces_gen_ai_token_usage\w*_sum\{.*gen_ai_token_type=\"output\"",
            }.items()
        }

    until(
        lambda: shown() == {"spans": 7, "input": 22, "output": 14}, 90.0, "the metrics of an agent with two model calls"
    )


def test_overlays_go_together(otelcol: str, tmp_path: Path) -> None:
    """With all overlays for HTTP at once, each backend gets every span, and is told who sends."""
    with ExitStack() as open_until_then:
        servers = {name: open_until_then.enter_context(OtlpServer()) for name in [*STACKS, "aws-xray"]}
        env = {stack.variable: f"{_base(servers[name])}{stack.path}" for name, stack in STACKS.items()}
        changes = {
            "exporters": {
                "otlp_grpc/jaeger": {"endpoint": NOWHERE},
                "otlp_http/xray": {"traces_endpoint": servers["aws-xray"].url},
            }
        }
        configs = ["dev.yaml", *(f"exporters/{name}.yaml" for name in servers)]
        dev = open_until_then.enter_context(collector(otelcol, tmp_path, configs, changes, env={**VALUES, **env}))

        with tracing(dev.http) as (sent, handler):
            APPLICATIONS["100 KB prompt"]({"callbacks": [handler]})
        for server in servers.values():
            until(partial(_has, server, sent), 20.0, "every span at every backend")

    for name, stack in STACKS.items():
        assert by_id(iter(servers[name].spans)) == sent.spans
        assert stack.headers.items() <= servers[name].headers[0].items()
    xray = servers["aws-xray"]
    assert xray.arrivals.keys() == sent.spans.keys()
    assert xray.headers[0]["authorization"].startswith("AWS4-HMAC-SHA256 Credential=none/")
    assert max(span.ByteSize() for span in xray.spans) < 200_000


def test_the_queue_survives_a_restart(otelcol: str, tmp_path: Path) -> None:
    """What a collector could not send before it was stopped, it sends when it runs again."""
    changes = {"exporters": {"otlp_grpc/jaeger": {"endpoint": NOWHERE}}}
    server = OtlpServer()  # not listening yet
    env = {**VALUES, "PHOENIX_ENDPOINT": _base(server)}
    files = ["dev.yaml", "exporters/phoenix.yaml"]
    with collector(otelcol, tmp_path, files, changes, env=env) as dev, tracing(dev.http) as (sent, handler):
        APPLICATIONS["100 KB prompt"]({"callbacks": [handler]})
    assert sent.delivered

    with server, collector(otelcol, tmp_path, files, changes, env=env):
        until(partial(_has, server, sent), 30.0, "every span after the restart")

    assert by_id(iter(server.spans)) == sent.spans


def test_tempo_gets_grpc(otelcol: str, jaeger: Jaeger, tmp_path: Path) -> None:
    """The overlay for Tempo sends every span over gRPC."""
    changes = {"exporters": {"otlp_grpc/jaeger": {"endpoint": NOWHERE}}}
    env = {**VALUES, "TEMPO_ENDPOINT": jaeger.grpc.removeprefix("http://")}
    with collector(otelcol, tmp_path, ["dev.yaml", "exporters/tempo.yaml"], changes, env=env) as dev:
        with tracing(dev.http) as (sent, handler):
            APPLICATIONS["non-ASCII"]({"callbacks": [handler]})

        assert jaeger.wait_for(sent) == sent.spans


def _has(server: OtlpServer, sent: Sent) -> bool:
    return server.arrivals.keys() >= sent.spans.keys()


def _base(server: OtlpServer) -> str:
    return server.url.removesuffix("/v1/traces")
