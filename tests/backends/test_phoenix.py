"""Whatever is sent to Phoenix is there, span by span, and understood."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.language_models import FakeListChatModel
from langchain_core.retrievers import BaseRetriever
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from ._apps import APPLICATIONS, HTTP, Wire, tracing
from ._collector import VALUES, collector
from ._readers import Phoenix

pytestmark = pytest.mark.timeout(240)

CALLED = "llm.output_messages.0.message.tool_calls.0.tool_call.function.name"
STATUSES = {0: "UNSET", 1: "OK", 2: "ERROR"}


def told(span: Mapping[str, Any], sent: Span) -> dict[str, Any]:
    """Return what Phoenix says of a span, without the attributes that it adds in its own vocabulary."""
    attributes = span["attributes"] | {"openinference.span.kind": span["span_kind"]}
    return {
        "name": span["name"],
        "trace": span["context"]["trace_id"],
        "parent": span["parent_id"] or "",
        "status": (span["status_code"], span["status_message"]),
        "times": [_nanoseconds(span["start_time"]), _nanoseconds(span["end_time"])],
        "attributes": {attribute.key: attributes.get(attribute.key) for attribute in sent.attributes},
        "events": [(event["name"], _nanoseconds(event["timestamp"]), event["attributes"]) for event in span["events"]],
    }


def expected(span: Span) -> dict[str, Any]:
    """Return the same of a span that was sent."""
    return {
        "name": span.name,
        "trace": span.trace_id.hex(),
        "parent": span.parent_span_id.hex(),
        "status": (STATUSES[span.status.code], span.status.message),
        "times": [_about(span.start_time_unix_nano), _about(span.end_time_unix_nano)],
        "attributes": _plain(span.attributes),
        "events": [(event.name, _about(event.time_unix_nano), _plain(event.attributes)) for event in span.events],
    }


def _nanoseconds(time: str) -> int:
    moment = datetime.fromisoformat(time)
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000


def _about(nanoseconds: int) -> Any:
    return pytest.approx(nanoseconds, rel=0, abs=1000)  # Phoenix keeps microseconds


def _plain(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    return {attribute.key: _value(attribute.value) for attribute in attributes}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return [_value(item) for item in value.array_value.values] if kind == "array_value" else getattr(value, str(kind))


@pytest.mark.parametrize("wire", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("application", APPLICATIONS.values(), ids=APPLICATIONS)
def test_all_that_is_sent_is_there(phoenix: Phoenix, application: Callable[[Any], None], wire: Wire) -> None:
    """Phoenix has every span with its parent, times, status, attributes and events."""
    with tracing(phoenix.url if wire == HTTP else phoenix.grpc, wire=wire) as (sent, handler):
        application({"callbacks": [handler]})

    found = phoenix.wait_for(sent)

    assert sent.delivered
    assert {key: told(found[key], span) for key, span in sent.spans.items()} == {
        key: expected(span) for key, span in sent.spans.items()
    }
    assert found.keys() == sent.spans.keys()


def test_what_was_said_is_understood(phoenix: Phoenix) -> None:
    """Phoenix reads the conventions: kinds of spans, messages, tool calls and tokens are its own afterwards."""
    with tracing(phoenix.url) as (sent, handler):
        APPLICATIONS["agent"]({"callbacks": [handler]})

    found = phoenix.wait_for(sent).values()

    assert sorted(span["span_kind"] for span in found) == ["AGENT", "CHAIN", "CHAIN", "CHAIN", "LLM", "LLM", "TOOL"]
    (asked,) = (span["attributes"] for span in found if CALLED in span["attributes"])
    assert asked[CALLED] == "weather"
    assert asked["llm.input_messages.0.message.content"] == "Wie ist das Wetter in 東京?"
    assert (asked["llm.token_count.prompt"], asked["llm.token_count.completion"]) == (11, 7)
    (agent,) = (span["attributes"] for span in found if span["span_kind"] == "AGENT")
    assert (agent["input.value"], agent["output.value"]) == ("Wie ist das Wetter in 東京?", "Zwanzig Grad.")


def test_what_was_answered_is_understood_without_a_reason_to_stop(phoenix: Phoenix) -> None:
    """Phoenix shows what there is of an answer that nobody read to its end, too."""
    with tracing(phoenix.url) as (sent, handler):
        stream: Any = FakeListChatModel(responses=["Zwanzig"]).stream("?", {"callbacks": [handler]})
        with closing(stream):
            next(stream)

    [asked] = phoenix.wait_for(sent).values()

    assert asked["attributes"]["llm.output_messages.0.message.content"] == "Z"


class _Found(BaseRetriever):
    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        del query, run_manager
        return [Document("Zwanzig Grad.", id="d1", metadata={"score": 0.5}), Document("Regen.")]


def test_what_was_found_is_understood(phoenix: Phoenix) -> None:
    """Phoenix has documents as documents, and tags as tags, also where nobody gave each document an id and a score."""
    with tracing(phoenix.url) as (sent, handler):
        _Found().invoke("?", {"callbacks": [handler], "tags": ["nightly"]})

    [found] = phoenix.wait_for(sent).values()

    told = {key: value for key, value in found["attributes"].items() if key.startswith(("retrieval.documents", "tag."))}
    assert told == {
        "retrieval.documents.0.document.id": "d1",
        "retrieval.documents.0.document.score": 0.5,
        "retrieval.documents.0.document.content": "Zwanzig Grad.",
        "retrieval.documents.0.document.metadata.score": 0.5,
        "retrieval.documents.1.document.content": "Regen.",
        "tag.tags": ["nightly"],
    }


def test_a_collector_passes_on(phoenix: Phoenix, otelcol: str, tmp_path: Path) -> None:
    """With its overlay, a collector sends Phoenix every span."""
    changes = {"exporters": {"otlp_grpc/jaeger": {"endpoint": "127.0.0.1:9"}}}
    env = {**VALUES, "PHOENIX_ENDPOINT": phoenix.url}
    with collector(otelcol, tmp_path, ["dev.yaml", "exporters/phoenix.yaml"], changes, env=env) as dev:
        with tracing(dev.http) as (sent, handler):
            APPLICATIONS["agent"]({"callbacks": [handler]})

        found = phoenix.wait_for(sent)

    assert {key: told(found[key], span) for key, span in sent.spans.items()} == {
        key: expected(span) for key, span in sent.spans.items()
    }
