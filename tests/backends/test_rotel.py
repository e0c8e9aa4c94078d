"""Whatever goes through a collector that is not written in Go comes out as it went in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.exporters._otlp_server import OtlpServer

from ._apps import APPLICATIONS, HTTP, Wire, by_id, tracing
from ._programs import free_ports, running_when_listening

pytestmark = pytest.mark.timeout(120)


@dataclass(frozen=True)
class Relay:
    """A rotel, and what it sends to."""

    http: str
    grpc: str
    behind: OtlpServer


@pytest.fixture(scope="module")
def relay(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    """A rotel that passes on to a server of ours."""
    http, grpc = free_ports(2)
    place = tmp_path_factory.mktemp("rotel")
    (program,) = environment.parent.glob("lib/python*/site-packages/rotel/rotel-agent")
    with OtlpServer() as behind:
        options = {
            "otlp-http-endpoint": f"127.0.0.1:{http}",
            "otlp-grpc-endpoint": f"127.0.0.1:{grpc}",
            "exporter": "otlp",
            "otlp-exporter-protocol": "http",
            "otlp-exporter-endpoint": behind.url.removesuffix("/v1/traces"),
            "pid-file": str(place / "pid"),
            "log-file": str(place / "own-log"),
        }
        command = [str(program), "start", *(f"--{name}={value}" for name, value in options.items())]
        with running_when_listening(command, place / "log", http, grpc):
            yield Relay(f"http://127.0.0.1:{http}", f"http://127.0.0.1:{grpc}", behind)


@pytest.mark.parametrize("wire", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("application", APPLICATIONS.values(), ids=APPLICATIONS)
def test_all_that_is_sent_comes_out(relay: Relay, application: Callable[[Any], None], wire: Wire) -> None:
    """Every span comes out of rotel with its parent, times, status, attributes and events."""
    with tracing(relay.http if wire == HTTP else relay.grpc, wire=wire) as (sent, handler):
        application({"callbacks": [handler]})
    relay.behind.wait_for(lambda: relay.behind.arrivals.keys() >= sent.spans.keys(), 20.0)

    found = by_id(span for span in relay.behind.spans if span.span_id.hex() in sent.spans)

    assert sent.delivered
    assert found == sent.spans
