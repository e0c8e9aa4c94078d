"""OpenAI's Responses API: its own objects, whole and as the events of a stream."""

# ruff: noqa: E501 - attributes as they are

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from inline_snapshot import snapshot
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseErrorEvent,
    ResponseTextDeltaEvent,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chainspan import OtelHandler, llm

from ._told import beginning_with

ANSWER: Any = {
    "id": "resp-1",
    "object": "response",
    "created_at": 0,
    "model": "gpt-9",
    "status": "completed",
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "service_tier": "flex",
    "output": [
        {"id": "rs-1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Let me see."}]},
        {
            "id": "msg-1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Looking", "annotations": []}],
        },
        {
            "id": "fc-1",
            "type": "function_call",
            "call_id": "call-1",
            "name": "look",
            "arguments": '{"q": "sun"}',
        },
    ],
    "usage": {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 14,
    },
}
ASKED: Any = [
    {"role": "user", "content": [{"type": "input_text", "text": "Look."}]},
    {"type": "function_call", "call_id": "call-0", "name": "look", "arguments": '{"q": "sky"}'},
    {"type": "function_call_output", "call_id": "call-0", "output": "blue"},
]


def told(memory: InMemorySpanExporter) -> dict[str, Any]:
    """Return what the one span says of the model."""
    return beginning_with(memory, "gen_ai", "openai")


def test_whole_response(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """Reasoning, text and a call, after a call that has been answered."""

    @llm(provider="openai", callbacks=[handler])
    def create(*, model: str, input: Any, instructions: str) -> Response:  # noqa: A002 - the client's name
        return Response.model_validate(ANSWER)

    create(model="gpt-9", input=ASKED, instructions="Be brief.")

    assert told(memory) == snapshot(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-9",
            "gen_ai.input.messages": '[{"role":"system","parts":[{"type":"text","content":"Be brief."}]},{"role":"user","parts":[{"type":"text","content":"Look."}]},{"role":"assistant","parts":[{"type":"tool_call","id":"call-0","name":"look","arguments":{"q":"sky"}}]},{"role":"tool","parts":[{"type":"tool_call_response","id":"call-0","response":"blue"}]}]',
            "gen_ai.response.model": "gpt-9",
            "gen_ai.response.id": "resp-1",
            "gen_ai.response.finish_reasons": ("tool_call",),
            "openai.response.service_tier": "flex",
            "openai.api.type": "responses",
            "gen_ai.usage.input_tokens": 9,
            "gen_ai.usage.output_tokens": 5,
            "gen_ai.usage.cache_read.input_tokens": 4,
            "gen_ai.usage.reasoning.output_tokens": 2,
            "gen_ai.output.messages": '[{"role":"assistant","parts":[{"type":"reasoning","content":"Let me see."},{"type":"text","content":"Looking"},{"type":"tool_call","id":"call-1","name":"look","arguments":{"q":"sun"}}],"finish_reason":"tool_call"}]',
        }
    )


def test_streamed_response(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """The last event holds the whole answer."""

    @llm(provider="openai", model="gpt-9", callbacks=[handler])
    def stream(text: str) -> Iterator[Any]:
        yield ResponseTextDeltaEvent.model_construct(type="response.output_text.delta", delta="Looking")
        response = Response.model_validate(ANSWER)
        yield ResponseCompletedEvent.model_construct(type="response.completed", response=response)

    events = [*stream("Look.")]

    assert len(events) == 2
    assert told(memory) == snapshot(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-9",
            "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"Look."}]}]',
            "gen_ai.request.stream": True,
            "gen_ai.response.model": "gpt-9",
            "gen_ai.response.id": "resp-1",
            "gen_ai.response.finish_reasons": ("tool_call",),
            "openai.response.service_tier": "flex",
            "openai.api.type": "responses",
            "gen_ai.usage.input_tokens": 9,
            "gen_ai.usage.output_tokens": 5,
            "gen_ai.usage.cache_read.input_tokens": 4,
            "gen_ai.usage.reasoning.output_tokens": 2,
            "gen_ai.output.messages": '[{"role":"assistant","parts":[{"type":"reasoning","content":"Let me see."},{"type":"text","content":"Looking"},{"type":"tool_call","id":"call-1","name":"look","arguments":{"q":"sun"}}],"finish_reason":"tool_call"}]',
        }
    )


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_response_in_the_background(status: str, handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """A model that has not answered yet has not stopped for any reason."""
    begun = {**ANSWER, "status": status, "output": [], "usage": None, "background": True}

    llm(lambda text: Response.model_validate(begun)).with_config(callbacks=[handler])("Look.")

    assert beginning_with(memory, "gen_ai.response", "openai") == {
        "gen_ai.response.model": "gpt-9",
        "gen_ai.response.id": "resp-1",
        "openai.response.service_tier": "flex",
        "openai.api.type": "responses",
    }


def test_stream_that_fails(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """The client hands an error on as an event, after which nothing comes."""

    @llm(callbacks=[handler])
    def stream(text: str) -> Iterator[Any]:
        yield ResponseTextDeltaEvent.model_construct(type="response.output_text.delta", delta="Look")
        yield ResponseErrorEvent.model_construct(type="error", code="server_error", message="Try again.")

    assert len([*stream("Look.")]) == 2
    assert beginning_with(memory, "gen_ai.response") == {"gen_ai.response.finish_reasons": ("error",)}
