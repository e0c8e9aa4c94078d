"""Conversations with agents of Mistral's, whose answers are not in the form of its chats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mistralai.client.models import ConversationEvents, ConversationResponse
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chainspan import OtelHandler, llm

from ._told import beginning_with, messages_of

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
WHOLE: dict[str, Any] = {
    "object": "conversation.response",
    "conversation_id": "conv-1",
    "outputs": [
        {"type": "tool.execution", "id": "te-1", "name": "web_search", "arguments": '{"query": "sun"}'},
        {"type": "message.output", "id": "msg-1", "model": "mistral-9", "content": "It is round."},
        {"type": "function.call", "tool_call_id": "1", "name": "look", "arguments": '{"q": "sun"}'},
    ],
    "usage": USAGE,
}
SEARCH = {"id": "te-1", "name": "web_search", "output_index": 0}
SAID = {"type": "message.output.delta", "id": "msg-1", "model": "mistral-9", "output_index": 1}
CALL = {"type": "function.call.delta", "id": "fc", "tool_call_id": "1", "name": "look", "output_index": 2}
EVENTS: list[dict[str, Any]] = [
    {"type": "conversation.response.started", "conversation_id": "conv-1"},
    {**SEARCH, "type": "tool.execution.started", "arguments": ""},
    {**SEARCH, "type": "tool.execution.delta", "arguments": '{"query": '},
    {**SEARCH, "type": "tool.execution.delta", "arguments": '"sun"}'},
    {**SEARCH, "type": "tool.execution.done"},
    {**SAID, "content": "It is "},
    {**SAID, "content": "round."},
    {**CALL, "arguments": '{"q": '},
    {**CALL, "arguments": '"sun"}'},
    {"type": "conversation.response.done", "usage": USAGE},
]
TOLD = {
    "gen_ai.provider.name": "mistral_ai",
    "gen_ai.response.model": "mistral-9",
    "gen_ai.response.id": "msg-1",
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.output_tokens": 5,
    "messages": [
        {
            "role": "assistant",
            "parts": [
                {
                    "type": "server_tool_call",
                    "id": "te-1",
                    "name": "web_search",
                    "server_tool_call": {"type": "web_search", "arguments": {"query": "sun"}},
                },
                {"type": "text", "content": "It is round."},
                {"type": "tool_call", "id": "1", "name": "look", "arguments": {"q": "sun"}},
            ],
            "finish_reason": "",
        }
    ],
}


def told(memory: InMemorySpanExporter) -> dict[str, Any]:
    """Return what the one span says of the answer."""
    kept = beginning_with(memory, "gen_ai.response", "gen_ai.usage", "gen_ai.provider")
    return {**kept, "messages": messages_of(memory, "output")}


def test_whole(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """What an agent ran, said and calls; and what is sent back to it, in a conversation that has a name."""
    answer = ConversationResponse.model_validate(WHOLE)

    @llm(callbacks=[handler])
    def append(conversation_id: str, inputs: Any, completion_args: Any) -> ConversationResponse:
        return answer

    append("conv-1", [{"type": "function.result", "tool_call_id": "0", "result": "blue"}], {"temperature": 0.5})

    assert told(memory) == TOLD
    assert beginning_with(memory, "gen_ai.request") == {"gen_ai.request.temperature": 0.5}
    assert messages_of(memory, "input") == [
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "0", "response": "blue"}]}
    ]


def test_stream(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """The same of its events."""
    events = [ConversationEvents.model_validate({"event": event["type"], "data": event}) for event in EVENTS]

    @llm(callbacks=[handler])
    def start(inputs: Any) -> Iterator[Any]:
        yield from events

    assert len(list(start("Look."))) == len(events)
    assert told(memory) == TOLD


def test_other_outputs(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """What merely has outputs is the text that it was."""
    llm(lambda prompt: {"outputs": []}).with_config(callbacks=[handler])("Look.")

    assert messages_of(memory, "output")[0]["parts"] == [{"type": "text", "content": '{"outputs":[]}'}]
