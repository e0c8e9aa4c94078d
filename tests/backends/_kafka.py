"""What is behind the agents in docker-compose.production.yml: a gateway, Kafka, and Jaeger's two services."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ._collector import CONFIGS, Collector, at, collector, merged, read_at, written
from ._programs import free_ports, running
from ._readers import Jaeger

__all__ = ["gateway", "jaeger_ingester", "jaeger_query"]

Config = dict[str, Any]


@contextmanager
def gateway(otelcol: str, broker: str, topic: str, place: Path) -> Iterator[Collector]:
    """Run a gateway that writes what it keeps to a topic."""
    changes = {
        "processors": {"tail_sampling": {"decision_wait": "6s", "decision_wait_after_root_received": "1s"}},
        "exporters": {"kafka": {"traces": {"topic": topic}}},
    }
    with collector(otelcol, place, ["gateway.yaml"], changes, env={"KAFKA_BROKERS": broker}) as started:
        yield started


@contextmanager
def jaeger_ingester(
    program: str, broker: str, topic: str, place: Path, changes: Config, *overlays: str
) -> Iterator[None]:
    """Run an ingester that reads a topic, until the block ends."""
    config = merged(CONFIGS / "jaeger-ingester.yaml", *(CONFIGS / name for name in overlays))
    config["receivers"]["kafka"] |= {"traces": _reading(program, topic), "group_id": place.name}
    with _jaeger(program, place, config, changes, {"KAFKA_BROKERS": broker}):
        yield


@contextmanager
def jaeger_query(program: str, place: Path, changes: Config, *overlays: str) -> Iterator[Jaeger]:
    """Run a query service until the block ends."""
    (http,) = free_ports(1)
    config = merged(CONFIGS / "jaeger-query.yaml", *(CONFIGS / name for name in overlays))
    config["extensions"]["jaeger_query"] |= {"http": at(http), "grpc": at(free_ports(1)[0])}
    with _jaeger(program, place, config, changes, {}):
        yield Jaeger(f"http://127.0.0.1:{http}", "", "")


@contextmanager
def _jaeger(program: str, place: Path, config: Config, changes: Config, env: Mapping[str, str]) -> Iterator[None]:
    health, metrics = free_ports(2)
    config["extensions"]["healthcheckv2"]["http"] = at(health)
    config["service"]["telemetry"]["metrics"]["readers"] = read_at(metrics)
    files: Sequence[Path] = [written(place, config, "base.yaml"), written(place, changes)]
    command = [program, *(f"--config={path}" for path in files)]
    variables = {"CLICKHOUSE_PASSWORD": "none", "OTEL_TRACES_SAMPLER": "always_off", **env}
    with running(command, place / "log", f"http://127.0.0.1:{health}/status", env=variables):
        yield


def _reading(program: str, topic: str) -> dict[str, Any]:
    """Return the setting for one topic, which Jaeger before 2.14 spells otherwise."""
    command = [program, "validate", f"--config={CONFIGS / 'jaeger-ingester.yaml'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    topics = {"topic": topic} if "invalid keys: topics" in done.stderr else {"topics": [topic]}
    return {"encoding": "otlp_proto", **topics}
