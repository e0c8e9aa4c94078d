"""Our configurations, run by a real collector on ports and folders of a test's own."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._programs import free_ports, running

__all__ = ["CONFIGS", "VALUES", "Collector", "at", "collector", "merged", "parsed", "read_at", "written"]

CONFIGS = Path(__file__).parents[2] / "collector-config"
Config = dict[str, Any]

VALUES: Mapping[str, str] = {
    "APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=00000000-0000-0000-0000-000000000000",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_REGION": "eu-central-1",
    "AWS_SECRET_ACCESS_KEY": "none",
    "CLICKHOUSE_PASSWORD": "none",
    "DD_API_KEY": "none",
    "DD_OTLP_SOURCE": "none",
    "DD_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces",
    "GRAFANA_CLOUD_OTLP_BASIC": "none",
    "GRAFANA_CLOUD_OTLP_ENDPOINT": "http://127.0.0.1:9/otlp",
    "HONEYCOMB_API_KEY": "none",
    "LANGFUSE_BASIC": "none",
    "LOGFIRE_TOKEN": "none",
    "NEW_RELIC_LICENSE_KEY": "none",
}
"""What the variables of the overlays may hold where nothing is to be opened."""


@dataclass(frozen=True)
class Collector:
    """A running collector.

    Attributes:
        http: Where it takes OTLP over HTTP, where it does.
        grpc: Where it takes OTLP over gRPC.
        metrics: Where it shows the metrics made from spans, where it makes some.
    """

    http: str
    grpc: str
    metrics: str


@contextmanager
def collector(
    program: str,
    place: Path,
    configs: list[str],
    changes: Config,
    *,
    env: Mapping[str, str] | None = None,
    grpc: int | None = None,
) -> Iterator[Collector]:
    """Run a collector with files of ours until the block ends.

    Args:
        program: The collector.
        place: A folder of its own.
        configs: The names of the files, the base first.
        changes: What differs besides ports and folders.
        env: The variables that the files ask for.
        grpc: The port for OTLP over gRPC, where it has to be known before.
    """
    http, other, health, metrics, own = free_ports(5)
    protocols = {"grpc": at(grpc or other), "http": at(http)}
    moved = _moved(merged(*(CONFIGS / name for name in configs)), place / "queue", protocols, at(health), at(metrics))
    moved["service"] = {"telemetry": {"metrics": {"readers": read_at(own)}}}
    files = [*(CONFIGS / name for name in configs), written(place, moved), written(place, changes, "changes.yaml")]
    command = [program, *(f"--config={path}" for path in files)]
    with running(command, place / "log", f"http://127.0.0.1:{health}/", env={**VALUES, **(env or {})}):
        yield Collector(f"http://127.0.0.1:{http}", f"http://127.0.0.1:{grpc or other}", f"http://127.0.0.1:{metrics}")


def _moved(base: Config, queue: Path, protocols: Config, health: Config, metrics: Config) -> Config:
    """Return the settings that move a collector's ports and its queue away from where they are in production."""
    storage: Config = {"directory": str(queue)}
    if "compaction" in base["extensions"]["file_storage/queue"]:
        storage["compaction"] = {"directory": str(queue)}
    served = {name: protocols[name] for name in base["receivers"]["otlp"]["protocols"]}
    return {
        "receivers": {"otlp": {"protocols": served}},
        "extensions": {"health_check": health, "file_storage/queue": storage},
        "exporters": {"prometheus": metrics} if "prometheus" in base["exporters"] else {},
    }


def parsed(path: Path) -> Any:
    """Return what stands in a YAML file."""
    yaml: Any = importlib.import_module("yaml")  # comes with LangChain, without types
    return yaml.safe_load(path.read_text("utf-8"))


def merged(*paths: Path) -> Config:
    """Return files merged as the collector merges them: maps grow, lists are replaced."""
    config: Config = {}
    for path in paths:
        config = _merge(config, parsed(path))
    return config


def written(place: Path, config: Config, name: str = "overlay.yaml") -> Path:
    """Write a further --config; JSON is YAML too."""
    path = place / name
    path.write_text(json.dumps(config), "utf-8")
    return path


def at(port: int) -> dict[str, str]:
    """Return a setting that has a server listen on a port of this machine alone."""
    return {"endpoint": f"127.0.0.1:{port}"}


def read_at(port: int) -> list[Config]:
    """Return a setting that shows a collector's own metrics on a port of this machine alone."""
    return [{"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": port}}}}]


def _merge(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        return {key: _merge(below.get(key), above[key]) if key in above else below[key] for key in {**below, **above}}
    return above
