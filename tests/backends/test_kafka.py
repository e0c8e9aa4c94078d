"""What the gateways keep goes through Kafka into Jaeger. ``$CHAINSPAN_KAFKA`` is the address of a broker that runs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from ._apps import APPLICATIONS, tracing
from ._collector import CONFIGS, Collector, at, collector, parsed, read_at, written
from ._programs import free_ports, running
from ._readers import Jaeger

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def topic() -> str:
    """A topic that nobody else reads."""
    return f"otlp-spans-{uuid4().hex}"


@pytest.fixture(scope="module")
def gateway(
    otelcol: str, kafka_broker: str, topic: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Collector]:
    """A gateway of docker-compose.production.yml."""
    changes = {
        "processors": {"tail_sampling": {"decision_wait": "6s", "decision_wait_after_root_received": "1s"}},
        "exporters": {"kafka": {"traces": {"topic": topic}}},
    }
    place, broker = tmp_path_factory.mktemp("gateway"), {"KAFKA_BROKERS": kafka_broker}
    with collector(otelcol, place, ["gateway.yaml"], changes, env=broker) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def ingester(
    jaeger_program: str, kafka_broker: str, topic: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Jaeger]:
    """The ingester of docker-compose.production.yml, with memory in ClickHouse's place, and a query service in it."""
    query, query_grpc, health, metrics = free_ports(4)
    place = tmp_path_factory.mktemp("ingester")
    config = parsed(CONFIGS / "jaeger-ingester.yaml")
    config["receivers"]["kafka"]["traces"] = _reading(jaeger_program, topic)
    changes: dict[str, Any] = {
        "extensions": {
            "healthcheckv2": {"http": at(health)},
            "jaeger_query": {"http": at(query), "grpc": at(query_grpc), "storage": {"traces": "main"}},
            "jaeger_storage": {"backends": {"main": {"clickhouse": None, "memory": {"max_traces": 1000}}}},
        },
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query", "healthcheckv2"],
            "telemetry": {"metrics": {"readers": read_at(metrics)}},
        },
    }
    files = [written(place, config, "base.yaml"), written(place, changes)]
    command = [jaeger_program, *(f"--config={path}" for path in files)]
    env = {"KAFKA_BROKERS": kafka_broker, "CLICKHOUSE_PASSWORD": "none", "OTEL_TRACES_SAMPLER": "always_off"}
    with running(command, place / "log", f"http://127.0.0.1:{health}/status", env=env):
        yield Jaeger(f"http://127.0.0.1:{query}", "", "")


def _reading(jaeger_program: str, topic: str) -> dict[str, Any]:
    """Return the setting for one topic, which Jaeger before 2.14 spells otherwise."""
    command = [jaeger_program, "validate", f"--config={CONFIGS / 'jaeger-ingester.yaml'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    topics = {"topic": topic} if "invalid keys: topics" in done.stderr else {"topics": [topic]}
    return {"encoding": "otlp_proto", **topics}


def test_what_is_kept_is_stored(gateway: Collector, ingester: Jaeger) -> None:
    """Every span of failed and interrupted runs is in Jaeger as it was sent."""
    with tracing(gateway.grpc, wire="grpc") as (sent, handler):
        for application in ("error", "interrupt"):
            APPLICATIONS[application]({"callbacks": [handler]})

    assert sent.delivered
    assert ingester.wait_for(sent) == sent.spans
