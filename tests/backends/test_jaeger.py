"""Whatever is sent to Jaeger is there, span by span."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from ._apps import APPLICATIONS, HTTP, Wire, tracing
from ._readers import Jaeger

pytestmark = pytest.mark.timeout(180)

# What the GenAI view of Jaeger's UI goes by (release 2.20 and later: utils/genai/detect.ts, GenAITab/genAiData.ts).
ICONS = {
    "chat": "model",
    "text_completion": "model",
    "embeddings": "model",
    "execute_tool": "tool",
    "invoke_agent": "agent",
    "invoke_workflow": "agent",
    "retrieval": "retrieval",
}
ROLES = {"system", "user", "assistant", "tool"}


@pytest.mark.parametrize("wire", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("application", APPLICATIONS.values(), ids=APPLICATIONS)
def test_all_that_is_sent_is_there(jaeger: Jaeger, application: Callable[[Any], None], wire: Wire) -> None:
    """Jaeger has every span with its parent, times, status, attributes and events, and knows the service."""
    with tracing(jaeger.http if wire == HTTP else jaeger.grpc, wire=wire) as (sent, handler):
        application({"callbacks": [handler]})

    assert sent.delivered
    assert jaeger.wait_for(sent) == sent.spans
    assert sent.service in jaeger.services()


def said(span: Span) -> dict[str, Any]:
    """Return the attributes of a span that are texts or numbers."""
    return {a.key: a.value.string_value or a.value.int_value for a in span.attributes}


def test_the_genai_view_finds_what_it_looks_for(jaeger: Jaeger) -> None:
    """Of an agent's trace, the view makes out each operation, its model, tokens, conversation and tool call."""
    with tracing(jaeger.http) as (sent, handler):
        APPLICATIONS["agent"]({"callbacks": [handler]})

    spans = [said(span) for span in jaeger.wait_for(sent).values()]

    genai = [span for span in spans if any(key.startswith("gen_ai.") for key in span)]
    assert sorted(ICONS[span["gen_ai.operation.name"]] for span in genai) == ["agent", "model", "model", "tool"]
    models = [span for span in genai if span["gen_ai.operation.name"] == "chat"]
    assert {span["gen_ai.response.model"] for span in models} == {"scripted-1"}
    assert sum(span["gen_ai.usage.input_tokens"] for span in models) == 22
    assert sum(span["gen_ai.usage.output_tokens"] for span in models) == 14
    talks = [json.loads(span[f"gen_ai.{way}.messages"]) for span in models for way in ("input", "output")]
    assert {message["role"] for talk in talks for message in talk} <= ROLES
    kinds = sorted(part["type"] for talk in talks for message in talk for part in message["parts"])
    assert kinds == ["text", "text", "text", "tool_call", "tool_call", "tool_call_response"]
    (tool,) = (span for span in genai if span["gen_ai.operation.name"] == "execute_tool")
    assert (tool["gen_ai.tool.name"], tool["gen_ai.tool.call.id"]) == ("weather", "call_1")
    assert json.loads(tool["gen_ai.tool.call.arguments"]) == {"city": "東京"}
    assert tool["gen_ai.tool.call.result"] == "20 °C in 東京"
