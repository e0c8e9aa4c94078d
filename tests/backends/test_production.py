"""Two agents, two gateways: content stays on the node, traces stay whole, and those that matter are kept."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import requests
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tests.exporters._otlp_server import OtlpServer

from ._apps import APPLICATIONS, Sent, ask, by_id, tracing
from ._collector import Collector, collector
from ._production import Production, production_of
from ._programs import until

pytestmark = pytest.mark.timeout(180)

SALT = "a pinch"
CONTENT = re.compile(
    r"gen_ai\.(input|output)\.messages|gen_ai\.tool\.(description|definitions|call\.(arguments|result))"
    r"|(input|output)\.(value|mime_type)|data|exception\.(message|stacktrace)"
)
WORDS = ["Wie ist das Wetter", "Zwanzig", "Be brief", "Twenty", "No such city", "Send it", "Satz 1", "Grüße", "20 °C"]


@pytest.fixture(scope="module")
def production(otelcol: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """The collectors of docker-compose.production.yml, with a server behind each gateway in Kafka's place."""
    with production_of(otelcol, tmp_path_factory.mktemp, SALT) as stack:
        yield stack


def ran(application: str, agents: Sequence[Collector], times: int = 1) -> Sent:
    """Run an application, with its spans sent to these agents by turns."""
    with tracing(*(agent.http for agent in agents)) as (sent, handler):
        for _ in range(times):
            APPLICATIONS[application]({"callbacks": [handler]})
    assert sent.delivered
    return sent


def without_content(span: Span) -> Span:
    """Return what an agent lets through of a span."""
    copy = Span()
    copy.CopyFrom(span)
    messages = [a.value.string_value for a in span.attributes if a.key == "gen_ai.input.messages"]
    holders: list[Any] = [copy, *copy.events]
    for holder in holders:
        kept = [attribute for attribute in holder.attributes if not CONTENT.fullmatch(attribute.key)]
        del holder.attributes[:]
        holder.attributes.extend(kept)
    for text in messages:
        copy.attributes.add(key="chainspan.input.bytes").value.int_value = len(text.encode())
        digest = hashlib.sha256((SALT + text).encode()).hexdigest()
        copy.attributes.add(key="chainspan.input.sha256").value.string_value = digest
    copy.status.message = ""
    return copy


@pytest.fixture(scope="module")
def passed_on() -> Iterator[OtlpServer]:
    """What a single agent sends to."""
    with OtlpServer() as server:
        yield server


@pytest.fixture(scope="module")
def agent(otelcol: str, passed_on: OtlpServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A single agent without gateways."""
    place, env = tmp_path_factory.mktemp("single"), {"CHAINSPAN_HASH_SALT": SALT}
    with collector(otelcol, place, ["agent.yaml"], straight_to(passed_on), env=env) as agent:
        yield agent


def straight_to(server: OtlpServer) -> dict[str, Any]:
    """Return the change that has an agent send to a server instead of to gateways."""
    return {
        "exporters": {"otlp_http": {"endpoint": server.url.removesuffix("/v1/traces")}},
        "service": {"pipelines": {"traces": {"exporters": ["otlp_http"]}}},
    }


@pytest.mark.parametrize("application", APPLICATIONS)
def test_no_content_leaves_an_agent(agent: Collector, passed_on: OtlpServer, application: str) -> None:
    """An agent passes on every span with all that is not content, and nothing that is."""
    sent = ran(application, [agent])

    until(lambda: passed_on.arrivals.keys() >= sent.spans.keys(), 20.0, "all spans")

    found = by_id(span for span in passed_on.spans if span.span_id.hex() in sent.spans)
    assert found == by_id(without_content(span) for span in sent.spans.values())
    sent_on = b"".join(span.SerializeToString() for span in found.values())
    assert [word for word in WORDS if word.encode() in sent_on] == []


@pytest.mark.parametrize("application", ["error", "interrupt"])
def test_what_matters_is_kept_without_its_content(production: Production, application: str) -> None:
    """Of a failed or interrupted run every span comes out of a gateway, without content."""
    sent = ran(application, production.agents[:1])

    kept = production.wait_for(sent.spans)

    assert kept == by_id(without_content(span) for span in sent.spans.values())


def test_all_errors_are_kept_and_some_of_the_rest(production: Production) -> None:
    """All failed runs come out and few others; what comes out is whole; all are counted before that."""
    failed, fine = ran("error", production.agents[:1], 40), ran("chain", production.agents[:1], 60)

    production.wait_for(failed.spans)
    until(lambda: counted(production, failed) == 40 * 3, 60.0, "every span of a failed run is counted")
    until(lambda: counted(production, fine) == 60 * 4, 60.0, "every span of the others is counted")

    kept = {span.trace_id.hex() for span in production.kept} & fine.traces().keys()
    whole = by_id(span for span in production.kept if span.trace_id.hex() in kept)
    assert len(whole) == 4 * len(kept)
    assert len(kept) < 30


def test_a_trace_of_two_agents_meets_at_one_gateway(production: Production) -> None:
    """Spans of one trace that go through two agents come to the same gateway; both gateways have work."""
    sent = ran("error", production.agents, 20)

    production.wait_for(sent.spans)

    homes: dict[str, set[int]] = {}
    for number, server in enumerate(production.behind):
        for span in server.spans:
            homes.setdefault(span.trace_id.hex(), set()).add(number)
    assert [trace for trace in sent.traces() if len(homes[trace]) != 1] == []
    assert set.union(*(homes[trace] for trace in sent.traces())) == {0, 1}


def test_content_that_is_kept_has_no_secrets(otelcol: str, tmp_path: Path) -> None:
    """With the overlay that keeps content, prompts get through, and mail addresses and card numbers do not."""
    with OtlpServer() as server:
        files = ["agent.yaml", "agent-keep-content.yaml"]
        with collector(otelcol, tmp_path, files, straight_to(server)) as agent:
            with tracing(agent.http) as (sent, handler):
                ask("Write to ada@example.com about 4111 1111 1111 1111.", "Done.", {"callbacks": [handler]})
            until(lambda: server.arrivals.keys() == sent.spans.keys(), 20.0, "all spans")

    (messages,) = (a.value.string_value for s in server.spans for a in s.attributes if a.key == "gen_ai.input.messages")
    assert "Write to **** about ****." in messages
    assert [word for word in ("ada@", "1111") if word in str(server.spans)] == []


def counted(production: Production, sent: Sent) -> float:
    """Return how many spans of a service the gateways have counted."""
    shown = "\n".join(requests.get(f"{gateway.metrics}/metrics", timeout=5).text for gateway in production.gateways)
    calls = rf'^traces_span_metrics_calls_total{{.*service_name="{sent.service}".*}} (\S+)'
    return sum(map(float, re.findall(calls, shown, re.MULTILINE)))
