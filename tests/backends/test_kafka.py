"""What the gateways keep goes through Kafka and Jaeger's ingester into a store. ``$CHAINSPAN_KAFKA`` is a broker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import requests
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from ._apps import APPLICATIONS, Sent, tracing
from ._collector import Collector, at
from ._kafka import gateway, jaeger_ingester, jaeger_query
from ._programs import free_ports
from ._readers import Jaeger

pytestmark = pytest.mark.timeout(240)

OPENSEARCH = "jaeger-opensearch.yaml"


@pytest.fixture(scope="module")
def topic() -> str:
    """A topic that nobody else reads."""
    return f"otlp-spans-{uuid4().hex}"


@pytest.fixture(scope="module")
def running_gateway(
    otelcol: str, kafka_broker: str, topic: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Collector]:
    """A gateway of docker-compose.production.yml."""
    with gateway(otelcol, kafka_broker, topic, tmp_path_factory.mktemp("gateway")) as started:
        yield started


@pytest.fixture(scope="module")
def in_memory(
    jaeger_program: str, kafka_broker: str, topic: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Jaeger]:
    """The ingester of docker-compose.production.yml, with memory in ClickHouse's place, and a query service in it."""
    query, query_grpc = free_ports(2)
    changes: dict[str, Any] = {
        "extensions": {
            "jaeger_query": {"http": at(query), "grpc": at(query_grpc), "storage": {"traces": "main"}},
            "jaeger_storage": {"backends": {"main": {"clickhouse": None, "memory": {"max_traces": 1000}}}},
        },
        "service": {"extensions": ["jaeger_storage", "jaeger_query", "healthcheckv2"]},
    }
    place = tmp_path_factory.mktemp("ingester")
    with jaeger_ingester(jaeger_program, kafka_broker, topic, place, changes):
        yield Jaeger(f"http://127.0.0.1:{query}", "", "")


@pytest.fixture(scope="module")
def in_opensearch(
    jaeger_program: str, kafka_broker: str, opensearch: str, tmp_path_factory: pytest.TempPathFactory, topic: str
) -> Iterator[Jaeger]:
    """The ingester and the query service of docker-compose.production.yml, over OpenSearch in ClickHouse's place."""
    prefix = f"test-{uuid4().hex}"
    store = {"server_urls": [opensearch], "indices": {"index_prefix": prefix}}
    changes = {"extensions": {"jaeger_storage": {"backends": {"main": {"opensearch": store}}}}}
    places = [tmp_path_factory.mktemp(name) for name in ("ingester", "query")]
    try:
        with (
            jaeger_ingester(jaeger_program, kafka_broker, topic, places[0], changes, OPENSEARCH),
            jaeger_query(jaeger_program, places[1], changes, OPENSEARCH) as query,
        ):
            yield query
    finally:
        requests.delete(f"{opensearch}/{prefix}*", timeout=30).raise_for_status()


def through(gateway: Collector) -> Sent:
    """Return what a gateway was sent of every application, marked so that it keeps all of it."""
    with tracing(gateway.grpc, wire="grpc", keep=True) as (sent, handler):
        for application in APPLICATIONS.values():
            application({"callbacks": [handler]})
    assert sent.delivered
    return sent


def test_what_is_kept_is_stored(running_gateway: Collector, in_memory: Jaeger) -> None:
    """Every span that the gateway keeps is in Jaeger as it was sent."""
    sent = through(running_gateway)

    assert in_memory.wait_for(sent) == sent.spans


def test_opensearch_stores_it_too(running_gateway: Collector, in_opensearch: Jaeger) -> None:
    """Over OpenSearch, every span that the gateway keeps is in Jaeger, to the microsecond, with lists as JSON texts."""
    sent = through(running_gateway)

    found = in_opensearch.wait_for(sent)

    assert found == {key: in_jaegers_index(span) for key, span in sent.spans.items()}


def in_jaegers_index(span: Span) -> Span:
    """Return what is left of a span in Jaeger's index for OpenSearch."""
    copy = Span()
    copy.CopyFrom(span)
    copy.start_time_unix_nano -= span.start_time_unix_nano % 1000
    duration = (span.end_time_unix_nano - span.start_time_unix_nano) // 1000 * 1000
    copy.end_time_unix_nano = copy.start_time_unix_nano + duration
    for event in copy.events:
        event.time_unix_nano -= event.time_unix_nano % 1000
    for link in copy.links:
        link.flags = 0
        link.attributes.add(key="opentracing.ref_type").value.string_value = "follows_from"
    for attribute in copy.attributes:
        if attribute.value.WhichOneof("value") == "array_value":
            texts = [value.string_value for value in attribute.value.array_value.values]
            attribute.value.string_value = json.dumps(texts)
    return copy
