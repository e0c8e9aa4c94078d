"""The collectors of docker-compose.production.yml: two agents, two gateways."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tests.exporters._otlp_server import OtlpServer

from ._apps import Spans, by_id
from ._collector import Collector, collector
from ._programs import free_ports, until

__all__ = ["Production", "production_of"]

_IN_KAFKAS_PLACE: dict[str, Any] = {
    "processors": {"tail_sampling": {"decision_wait": "6s", "decision_wait_after_root_received": "2s"}},
    "connectors": {"span_metrics": {"metrics_flush_interval": "1s"}},
    "exporters": {"nop": {}},
    "service": {"pipelines": {"traces/kafka": {"exporters": ["nop"]}}},
}


@dataclass(frozen=True)
class Production:
    """The agents, the gateways, and the servers behind them."""

    agents: list[Collector]
    gateways: list[Collector]
    behind: list[OtlpServer]

    @property
    def kept(self) -> list[Span]:
        """What came out of either gateway."""
        return [span for server in self.behind for span in server.spans]

    def wait_for(self, spans: Spans) -> Spans:
        """Return what came out of these spans once it is all of them."""
        until(lambda: {s.span_id.hex() for s in self.kept} >= spans.keys(), 60.0, f"{len(spans)} spans kept")
        return by_id(span for span in self.kept if span.span_id.hex() in spans)


@contextmanager
def production_of(otelcol: str, folder: Callable[[str], Path], salt: str) -> Iterator[Production]:
    """Run two agents and two gateways, with a server behind each gateway in Kafka's place.

    Args:
        otelcol: The collector.
        folder: Gives a folder of its own to each.
        salt: What the agents hash inputs with.
    """
    ports = free_ports(2)
    hosts = [f"127.0.0.1:{port}" for port in ports]
    balanced = {"exporters": {"load_balancing": {"resolver": {"dns": None, "static": {"hostnames": hosts}}}}}
    with ExitStack() as stack:
        servers = [stack.enter_context(OtlpServer()) for _ in ports]
        gateways = [
            stack.enter_context(
                collector(
                    otelcol,
                    folder("gateway"),
                    ["gateway.yaml", "exporters/phoenix.yaml"],
                    _IN_KAFKAS_PLACE,
                    grpc=port,
                    env={"PHOENIX_ENDPOINT": server.url.removesuffix("/v1/traces")},
                )
            )
            for port, server in zip(ports, servers, strict=True)
        ]
        agents = [
            stack.enter_context(
                collector(otelcol, folder("agent"), ["agent.yaml"], balanced, env={"CHAINSPAN_HASH_SALT": salt})
            )
            for _ in range(2)
        ]
        yield Production(agents, gateways, servers)
