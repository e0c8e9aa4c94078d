"""How large a span may be: what a user lets grow arrives whole, what nobody asked for is cut and stays readable."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from chainspan import ContentPolicy

from ._apps import HTTP, Sent, Wire, ask, tracing
from ._collector import Collector, collector
from ._readers import Jaeger

pytestmark = pytest.mark.timeout(180)

MB = 1 << 20
UNBOUNDED = ContentPolicy(capture=True, max_attribute_bytes=16 * MB, max_span_bytes=16 * MB)
SIZES = {"1 MB": MB, "4 MB": 4 * MB + 100_000}
"""The second one is above what a gRPC server takes that was not told otherwise."""


@pytest.fixture(scope="module")
def dev(otelcol: str, jaeger: Jaeger, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """The collector of docker-compose.yml, in front of a real Jaeger."""
    changes: dict[str, Any] = {"exporters": {"otlp_grpc/jaeger": {"endpoint": jaeger.grpc.removeprefix("http://")}}}
    with collector(otelcol, tmp_path_factory.mktemp("dev"), ["dev.yaml"], changes) as dev:
        yield dev


def asked(endpoint: str, wire: Wire, size: int, policy: ContentPolicy) -> Sent:
    """Return what was sent of a chain whose prompt has so many bytes."""
    with tracing(endpoint, wire=wire, content=policy) as (sent, handler):
        ask("ä" * (size // 2), "Too long.", {"callbacks": [handler]})
    assert sent.delivered
    return sent


def largest(spans: Iterator[Span]) -> int:
    """Return the size of the largest attribute."""
    return max(len(a.value.string_value.encode()) for span in spans for a in span.attributes)


@pytest.mark.parametrize("wire", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_jaeger_takes_what_a_policy_lets_grow(jaeger: Jaeger, size: int, wire: Wire) -> None:
    """With a policy that cuts nothing, Jaeger has the prompt whole."""
    sent = asked(jaeger.http if wire == HTTP else jaeger.grpc, wire, size, UNBOUNDED)

    found = jaeger.wait_for(sent)

    assert found == sent.spans
    assert largest(iter(found.values())) > size


@pytest.mark.parametrize("wire", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_so_does_the_collector_before_it(dev: Collector, jaeger: Jaeger, size: int, wire: Wire) -> None:
    """Through the development stack the same arrives, also a span that is larger than a batch."""
    sent = asked(dev.http if wire == HTTP else dev.grpc, wire, size, UNBOUNDED)

    found = jaeger.wait_for(sent)

    assert found == sent.spans
    assert largest(iter(found.values())) > size


@pytest.mark.parametrize("wire", ["http/protobuf", "grpc"])
def test_by_default_a_prompt_is_cut_and_its_json_whole(dev: Collector, jaeger: Jaeger, wire: Wire) -> None:
    """Without a policy of its own, a prompt of 4 MB arrives as JSON of at most 256 KiB."""
    sent = asked(dev.http if wire == HTTP else dev.grpc, wire, 4 * MB, ContentPolicy(capture=True))

    found = jaeger.wait_for(sent)

    texts = [a.value.string_value for s in found.values() for a in s.attributes if a.key == "gen_ai.input.messages"]
    assert [[message["role"] for message in json.loads(text)] for text in texts] == [["system", "user"]]
    assert 150_000 < largest(iter(found.values())) <= 256 << 10
