"""Spans of other libraries pass the gate on their way to the exporter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, StatusCode, get_current_span

from chainspan import ConfigurationError, ContentPolicy, Delivery
from chainspan._feeding import DirectProcessor, processor_for
from chainspan.exporters import counted_once, otlp, spool
from chainspan.exporters._gated import gated

from ._asked import Asked
from ._otlp_server import OtlpServer, Status

CANARY = "c4n4ry"
MESSAGES = json.dumps([{"role": "user", "content": CANARY}])
FOREIGN: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-5",
    "gen_ai.usage.input_tokens": 5,
    "gen_ai.input.messages": MESSAGES,
    "gen_ai.prompt.0.content": CANARY,
    "gen_ai.completion.0.content": CANARY,
    "llm.request.functions.0.description": CANARY,
    "input.value": CANARY,
    "llm.input_messages.0.message.content": CANARY,
    "llm.token_count.prompt": 5,
    "traceloop.entity.output": CANARY,
    "gen_ai.task.input": CANARY,
    "langfuse.observation.input": MESSAGES,
    "langfuse.trace.metadata.user": CANARY,
    "langsmith.span.tags": CANARY,
    "mlflow.spanOutputs": MESSAGES,
    "pydantic_ai.all_messages": MESSAGES,
    "response_data": MESSAGES,
    "retrieval.documents.0.document.content": CANARY,
    "tag.tags": [CANARY],
    "http.request.header.authorization": [f"Bearer {CANARY}{CANARY}"],
    "url.full": "https://host/v1?api_key=hunter22",
}


KEPT = ("name", "context", "parent", "kind", "start_time", "end_time", "instrumentation_scope", "resource")


@pytest.fixture
def memory() -> InMemorySpanExporter:
    """What the gated exporter hands on to."""
    return InMemorySpanExporter()


def _fail(provider: TracerProvider, scope: str) -> None:
    with provider.get_tracer(scope).start_as_current_span("chat gpt-5", attributes=FOREIGN) as span:
        span.add_event("gen_ai.user.message", {"gen_ai.prompt": CANARY, "count": 1})
        raise ValueError(CANARY)


def _export(exporter: SpanExporter, memory: InMemorySpanExporter, scope: str = "other") -> ReadableSpan:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with pytest.raises(ValueError, match=CANARY):
        _fail(provider, scope)
    provider.shutdown()
    [exported] = memory.get_finished_spans()
    return exported


def _attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_off_means_off_for_other_libraries_too(memory: InMemorySpanExporter) -> None:
    """Under whatever name a library keeps content, it does not leave; names and numbers do."""
    span = _export(gated(memory, content=False), memory)

    assert CANARY not in str(encode_spans([span]))
    assert _attributes(span) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-5",
        "gen_ai.usage.input_tokens": 5,
        "llm.token_count.prompt": 5,
        "http.request.header.authorization": ["[secret]"],
        "url.full": "https://host/v1?api_key=[secret]",
    }
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
    assert [(event.name, sorted(event.attributes or {})) for event in span.events] == [
        ("gen_ai.user.message", ["count"]),
        ("exception", ["exception.escaped", "exception.stacktrace", "exception.type"]),
    ]
    assert "in _fail" in str((span.events[1].attributes or {})["exception.stacktrace"])


@pytest.mark.parametrize(
    ("name", "content", "facts"),
    [
        ("gen_ai.user.message", {"gen_ai.event.content": MESSAGES}, {"gen_ai.system": "az.ai.inference"}),
        ("gen_ai.user.message", {"content": MESSAGES}, {}),
        ("gen_ai.choice", {"message": MESSAGES, "tool.result": MESSAGES}, {"finish_reason": "tool_use"}),
        ("gen_ai.tool.message", {"content": MESSAGES}, {"role": "tool", "id": "call_1"}),
        ("gen_ai.content.completion", {"content": CANARY}, {}),
    ],
)
def test_events_that_are_messages_are_content(
    name: str, content: dict[str, Any], facts: dict[str, Any], memory: InMemorySpanExporter
) -> None:
    """However a library calls what stands in such an event; other events may have a message of their own."""
    own = {"message": "the disk is full"}
    provider = TracerProvider()
    for exporter in (gated(memory, content=False), gated(memory, content=True)):
        provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("other").start_as_current_span("chat") as span:
        span.add_event(name, {**content, **facts})
        span.add_event("log", own)
    provider.shutdown()

    told = [[dict(event.attributes or {}) for event in each.events] for each in memory.get_finished_spans()]
    assert told[0] == [facts, own]
    assert told[1][0].keys() == content.keys() | facts.keys()


def test_a_mask_reaches_other_libraries_spans(memory: InMemorySpanExporter) -> None:
    """What a policy masks is masked in every attribute, event and status; JSON stays JSON."""
    span = _export(gated(memory, ContentPolicy(capture=True, redact_patterns=[CANARY])), memory)

    assert CANARY not in str(encode_spans([span]))
    assert json.loads(_attributes(span)["gen_ai.input.messages"]) == [{"role": "user", "content": "[redacted]"}]
    assert span.status.description == "ValueError: [redacted]"


def test_what_the_policy_leaves_out_is_left_out_of_other_libraries_spans(memory: InMemorySpanExporter) -> None:
    """Reasoning and definitions of tools do not leave where the rest of the content does, however they are spelt."""
    provider = TracerProvider()
    policy = ContentPolicy(capture=True, reasoning=False, tool_definitions=False)
    provider.add_span_processor(SimpleSpanProcessor(gated(memory, policy)))
    contents = "llm.output_messages.0.message.contents"
    parts = [{"type": "reasoning", "content": CANARY}, {"type": "text", "content": "yes"}]
    kept: dict[str, str | int] = {
        f"{contents}.1.message_content.type": "text",
        f"{contents}.1.message_content.text": "yes",
        "gen_ai.completion.1.role": "assistant",
        "gen_ai.completion.1.content": "yes",
        "gen_ai.usage.reasoning.output_tokens": 7,
        "app.reasoning": "of the application",
    }
    left_out = {
        f"{contents}.0.message_content.type": "reasoning",
        f"{contents}.0.message_content.text": CANARY,
        "gen_ai.completion.0.role": "thinking",
        "gen_ai.completion.0.content": CANARY,
        "gen_ai.completion.1.reasoning": CANARY,
        "gen_ai.tool.definitions": CANARY,
        "llm.tools.0.tool.json_schema": CANARY,
        "llm.request.functions.0.name": CANARY,
    }

    messages = {"gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": parts}])}
    provider.get_tracer("other").start_span("chat", attributes={**kept, **left_out, **messages}).end()

    [span] = memory.get_finished_spans()
    said = '[{"role":"assistant","parts":[{"type":"text","content":"yes"}]}]'
    assert _attributes(span) == {**kept, "gen_ai.output.messages": said}


@pytest.mark.parametrize("wrap", [gated, counted_once])
@pytest.mark.parametrize("exporter", [None, InMemorySpanExporter], ids=["nothing", "class"])
def test_what_is_no_exporter_is_refused(wrap: Any, exporter: Any) -> None:
    """The mistake is said at once, and not at the first span, which would be lost."""
    with pytest.raises(ConfigurationError, match="exporter: expected a SpanExporter, got"):
        wrap(exporter)


def test_a_span_of_ours_has_passed_already(memory: InMemorySpanExporter) -> None:
    """What chainspan recorded is handed on as it is."""
    span = _export(gated(memory, content=False), memory, scope="chainspan")

    assert _attributes(span)["input.value"] == CANARY


def test_identity_and_time_are_kept(memory: InMemorySpanExporter) -> None:
    """A gated span is the same span: ids, parent, times, kind, scope, resource, and what limits have dropped."""
    plain = InMemorySpanExporter()
    provider = TracerProvider(span_limits=SpanLimits(max_span_attributes=1, max_events=1, max_links=1))
    for exporter in (plain, gated(memory, content=False)):
        provider.add_span_processor(SimpleSpanProcessor(exporter))

    with provider.get_tracer("other").start_as_current_span("parent"):
        links = [Link(get_current_span().get_span_context())] * 2
        child = provider.get_tracer("other").start_span("child", attributes={"a": 1, "input.value": "x"}, links=links)
        child.add_event("one")
        child.add_event("two")
        child.end()
    provider.shutdown()

    for one, other in zip(plain.get_finished_spans(), memory.get_finished_spans(), strict=True):
        for field in (
            "name",
            "context",
            "parent",
            "kind",
            "start_time",
            "end_time",
            "instrumentation_scope",
            "resource",
            "dropped_attributes",
            "dropped_events",
            "dropped_links",
        ):
            assert getattr(one, field) == getattr(other, field)


def test_flush_and_shutdown_are_passed_on() -> None:
    """The exporter behind the gate is flushed and shut down, and its answer is the gate's."""
    asked = Asked()
    exporter = gated(asked)

    answer = exporter.force_flush(5)
    exporter.shutdown()

    assert (answer, asked.asked) == (False, ["flush 5", "shutdown"])


def test_what_is_sent_over_otlp_is_tried_again_and_told(server: OtlpServer) -> None:
    """Before an exporter of ours, an outage costs nothing, and the flush says what arrived."""
    server.next.extend([Status(503)] * 2)
    processor = processor_for(gated(otlp(server.url), content=False))

    _fail_once(processor)
    delivery = processor.flush(10)
    processor.close(2)

    assert delivery == Delivery(delivered=1)
    [body] = server.bodies
    assert CANARY.encode() not in body


def test_what_is_spooled_is_on_the_disk_without_content(tmp_path: Path) -> None:
    """Before a spool, a span is on the disk when it has ended, and has not arrived by that."""
    processor = processor_for(gated(spool(tmp_path, to=otlp("http://127.0.0.1:9")), content=False))

    _fail_once(processor)
    written = b"".join(path.read_bytes() for path in tmp_path.glob("*.open"))
    delivery = processor.flush(0)
    processor.close(0)

    assert isinstance(processor, DirectProcessor)
    assert b"chat gpt-5" in written
    assert CANARY.encode() not in written
    assert delivery == Delivery(pending=1)


def test_span_that_cannot_be_looked_through_is_lost_and_counted(
    server: OtlpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not leave, and a flush does not wait for it."""
    monkeypatch.setenv("CHAINSPAN_STRICT", "0")
    monkeypatch.setattr("chainspan.exporters._gated._gated_span", lambda *_: 1 / 0)
    processor = processor_for(gated(otlp(server.url), content=False))

    _fail_once(processor)
    delivery = processor.flush(10)
    processor.close(2)

    assert (delivery, server.spans) == (Delivery(dropped=1), [])


def _fail_once(processor: SpanProcessor) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    with pytest.raises(ValueError, match=CANARY):
        _fail(provider, "other")
