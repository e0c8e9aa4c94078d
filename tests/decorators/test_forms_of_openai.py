"""What OpenAI's clients send and are answered besides texts: the forms of both APIs, old and new."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import ResponseFunctionWebSearch, ResponseReasoningItem
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel

from chainspan import OtelHandler, llm

from ._told import attributes_of, messages_of

CALL = {"type": "tool_call", "id": "call-1", "name": "run", "arguments": {"__arg1": "print(1)"}}
OLD_CALL = {"type": "tool_call", "id": None, "name": "look", "arguments": {"q": "sun"}}
DEEP = "[" * 100_000
CUSTOM = {"id": "call-1", "type": "custom", "custom": {"name": "run", "input": "print(1)"}}


@pytest.mark.parametrize(
    ("said", "parts"),
    [
        ({"function_call": {"name": "look", "arguments": '{"q": "sun"}'}}, [OLD_CALL]),
        ({"tool_calls": [CUSTOM]}, [CALL]),
        (
            {"tool_calls": [{"id": "1", "type": "function", "function": {"name": "look", "arguments": DEEP}}]},
            [{"type": "tool_call", "id": "1", "name": "look", "arguments": DEEP}],
        ),
        ({"refusal": "No."}, [{"type": "text", "content": "No."}]),
        (
            {"reasoning": "Let me see.", "content": "3"},
            [{"type": "reasoning", "content": "Let me see."}, {"type": "text", "content": "3"}],
        ),
        (
            {"audio": {"id": "a", "data": "UklGRg==", "transcript": "Hello", "expires_at": 1}},
            [
                {"type": "text", "content": "Hello"},
                {
                    "type": "blob",
                    "mime_type": None,
                    "modality": "audio",
                    "content": "[audio 4 bytes sha256:a40ff3d5900fb769]",
                },
            ],
        ),
    ],
)
def test_message(said: Any, parts: Any, handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """A message is the same as an answer and when it is sent back, where what it does not say need not be there."""
    spoken = {"role": "assistant", **said}
    choice = {"index": 0, "finish_reason": "stop", "logprobs": None, "message": {"content": None, **spoken}}
    answer = ChatCompletion.model_validate(
        {"id": "1", "object": "chat.completion", "created": 0, "model": "gpt-9", "choices": [choice]}
    )

    @llm(callbacks=[handler])
    def model(messages: Any) -> Any:
        return answer

    model([spoken])

    assert messages_of(memory, "input") == [{"role": "assistant", "parts": parts}]
    assert messages_of(memory, "output") == [{"role": "assistant", "parts": parts, "finish_reason": "stop"}]


@pytest.mark.parametrize(
    ("deltas", "parts"),
    [
        (
            [{"function_call": {"name": "look", "arguments": '{"q"'}}, {"function_call": {"arguments": ': "sun"}'}}],
            [OLD_CALL],
        ),
        (
            [
                {"tool_calls": [{"index": 0, **CUSTOM, "custom": {"name": "run", "input": "print"}}]},
                {"tool_calls": [{"index": 0, "custom": {"input": "(1)"}}]},
            ],
            [CALL],
        ),
        (
            [{"audio": {"id": "a", "transcript": "Hel"}}, {"audio": {"transcript": "lo"}}],
            [{"type": "text", "content": "Hello"}],
        ),
        (
            [{"reasoning": "Let me "}, {"reasoning": "see."}],
            [{"type": "reasoning", "content": "Let me see."}],
        ),
    ],
)
def test_stream(deltas: Any, parts: Any, handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """The same in pieces."""

    @llm(callbacks=[handler])
    def model(messages: str) -> Iterator[Any]:
        for delta in deltas:
            choice = {"index": 0, "delta": delta, "finish_reason": None}
            head: Any = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "gpt-9"}
            yield ChatCompletionChunk.construct(**head, choices=[choice])

    assert len(list(model("Look."))) == len(deltas)
    assert messages_of(memory, "output") == [{"role": "assistant", "parts": parts, "finish_reason": ""}]


def test_what_is_sent_back(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """What the Responses API gave out is the model's when it is sent in again, and results are the tools'."""
    searched = {
        "type": "web_search_call",
        "id": "ws-1",
        "status": "completed",
        "action": {"type": "search", "query": "q"},
    }
    thought = {"type": "reasoning", "id": "rs-1", "summary": [{"type": "summary_text", "text": "Let me see."}]}

    @llm(callbacks=[handler])
    def model(input: Any) -> str:  # noqa: A002 - the client's name for it
        return "3"

    model(
        [
            {"role": "user", "content": "Look."},
            ResponseReasoningItem.model_validate(thought),
            ResponseFunctionWebSearch.model_validate(searched),
            {"type": "custom_tool_call", "call_id": "call-1", "name": "run", "input": "print(1)"},
            {"type": "custom_tool_call_output", "call_id": "call-1", "output": "1"},
            {
                "type": "computer_call_output",
                "call_id": "2",
                "output": {"type": "input_image", "image_url": "http://a/b"},
            },
        ]
    )

    sent = messages_of(memory, "input")
    image = {"type": "uri", "mime_type": None, "modality": "image", "uri": "http://a/b"}
    assert [(message["role"], message["parts"][0]["type"]) for message in sent] == [
        ("user", "text"),
        ("assistant", "reasoning"),
        ("assistant", "server_tool_call"),
        ("assistant", "tool_call"),
        ("tool", "tool_call_response"),
        ("tool", "tool_call_response"),
    ]
    assert [message["parts"] for message in sent[3:]] == [
        [CALL],
        [{"type": "tool_call_response", "id": "call-1", "response": "1"}],
        [{"type": "tool_call_response", "id": "2", "response": [image]}],
    ]


@pytest.mark.parametrize("key", ["response_format", "text_format", "output_format"])
def test_class_for_an_answer(key: str, handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """An answer that is asked for by a class, as `parse` of the clients takes it, is one of JSON."""

    class Sum(BaseModel):
        is_: int

    @llm(callbacks=[handler])
    def model(messages: str, **options: Any) -> Any:
        return Sum(is_=3)

    model("1 + 2?", **{key: Sum})

    assert attributes_of(memory)["gen_ai.output.type"] == "json"
