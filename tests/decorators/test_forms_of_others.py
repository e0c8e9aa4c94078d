"""What the clients of Google and Amazon take besides whole messages, and functions of one's own around any client."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import types
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.prompts import ChatPromptTemplate
from openai import NOT_GIVEN, omit
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chainspan import ContentPolicy, OtelHandler, llm

from ._told import beginning_with, messages_of

BYTES = "5 bytes sha256:2cf24dba5fb0a30e]"
PICTURE = {"type": "blob", "mime_type": "image/png", "modality": "image", "content": f"[image/png {BYTES}"}


def told(memory: InMemorySpanExporter) -> dict[str, Any]:
    """Return what the one span says of the request."""
    return {**beginning_with(memory, "gen_ai.request", "gen_ai.tool"), "messages": messages_of(memory, "input")}


@pytest.mark.parametrize(
    "contents",
    [
        ["What is it?", types.Part.from_bytes(data=b"hello", mime_type="image/png")],
        [types.Part(text="What is it?"), types.Part.from_bytes(data=b"hello", mime_type="image/png")],
        [{"text": "What is it?"}, {"inline_data": {"mime_type": "image/png", "data": b"hello"}}],
        {"parts": [{"text": "What is it?"}, {"inlineData": {"mimeType": "image/png", "data": "aGVsbG8="}}]},
    ],
)
def test_parts_of_google(contents: Any, handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """Parts in a row are a message of the user's, in objects or in either spelling."""

    @llm(callbacks=[handler])
    def model(contents: Any) -> str:
        return "A dot."

    model(contents)

    text = {"type": "text", "content": "What is it?"}
    assert told(memory)["messages"] == [{"role": "user", "parts": [text, PICTURE]}]


def test_messages_and_parts_of_google(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """Messages among parts stay messages, and a file that was uploaded is an address."""

    @llm(callbacks=[handler])
    def model(contents: Any) -> str:
        return "A dot."

    history = types.Content(role="model", parts=[types.Part.from_function_call(name="look", args={"q": "sun"})])
    found = {"functionResponse": {"id": "1", "name": "look", "response": {"it": "is round"}}}
    file = types.File(uri="https://a/b", mime_type="application/pdf")
    model([history, {"role": "user", "parts": [found]}, file, "And this?"])

    call = {"type": "tool_call", "id": None, "name": "look", "arguments": {"q": "sun"}}
    response = {"type": "tool_call_response", "id": "1", "response": '{"it":"is round"}'}
    uri = {"type": "uri", "mime_type": "application/pdf", "modality": "document", "uri": "https://a/b"}
    assert told(memory)["messages"] == [
        {"role": "assistant", "parts": [call]},
        {"role": "tool", "parts": [response]},
        {"role": "user", "parts": [uri, {"type": "text", "content": "And this?"}]},
    ]


def test_config_of_google(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """A config may have the names of the API, and functions for tools."""

    def look(q: str) -> str:
        """Look at it."""
        return q

    @llm(callbacks=[handler])
    def model(contents: str, config: Any) -> str:
        return contents

    model("Look.", {"maxOutputTokens": 5, "topP": 0.5, "systemInstruction": "Be brief.", "tools": [look]})

    assert told(memory) == {
        "gen_ai.request.max_tokens": 5,
        "gen_ai.request.top_p": 0.5,
        "gen_ai.tool.definitions": '[{"type":"function","name":"look","description":"Look at it."}]',
        "messages": [
            {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
            {"role": "user", "parts": [{"type": "text", "content": "Look."}]},
        ],
    }


def test_thinking_of_google(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """How much Gemini is to think stands in an object of the config's."""

    @llm(callbacks=[handler])
    def model(contents: str, config: Any) -> str:
        return contents

    thinking = types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW)
    model("Look.", types.GenerateContentConfig(thinking_config=thinking))

    assert told(memory)["gen_ai.request.reasoning.level"] == "LOW"


def test_media_of_bedrock(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """Documents are counted and hashed as what they are, and what is kept elsewhere is an address."""

    @llm(callbacks=[handler])
    def model(messages: Any) -> str:
        return "A dot."

    film = {"format": "mp4", "source": {"s3Location": {"uri": "s3://a/b"}}}
    blocks = [
        {"image": {"format": "png", "source": {"bytes": b"hello"}}},
        {"document": {"format": "pdf", "name": "a", "source": {"bytes": b"hello"}}},
        {"video": film},
    ]
    model([{"role": "user", "content": blocks}])

    pdf = "application/pdf"
    assert told(memory)["messages"][0]["parts"] == [
        PICTURE,
        {"type": "blob", "mime_type": pdf, "modality": "document", "content": f"[{pdf} {BYTES}"},
        {"type": "uri", "mime_type": "video/mp4", "modality": "video", "uri": "s3://a/b"},
    ]


def test_texts_of_bedrock(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """What is cited, or handed to a guardrail, is text as any other, and a point of the cache says nothing."""
    cited = {"content": [{"text": "It is round."}], "citations": [{"title": "The sun"}]}
    guarded = {"guardContent": {"text": {"text": "Look.", "qualifiers": ["query"]}}}
    answer = {"output": {"message": {"content": [{"citationsContent": cited}]}}, "stopReason": "end_turn"}

    asked = [{"role": "user", "content": [guarded, {"cachePoint": {"type": "default"}}]}]
    llm(lambda messages: answer).with_config(callbacks=[handler])(asked)

    said = {side: messages_of(memory, side)[0]["parts"] for side in ("input", "output")}
    assert said == {
        "input": [{"type": "text", "content": "Look."}],
        "output": [{"type": "text", "content": "It is round."}],
    }


def test_model_before_what_it_is_asked(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """Bedrock's `invoke_model` has no name that is known for what it is asked, and the model's first."""

    @llm(callbacks=[handler])
    def invoke_model(*, modelId: str, body: str) -> str:  # noqa: N803 - the client's name
        return "3"

    invoke_model(modelId="claude-9", body="1 + 2?")

    assert told(memory) == {
        "gen_ai.request.model": "claude-9",
        "messages": [{"role": "user", "parts": [{"type": "text", "content": "1 + 2?"}]}],
    }


@pytest.mark.parametrize("left_out", [None, NOT_GIVEN, omit])
def test_arguments_left_out(left_out: Any, handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """A parameter that is given nothing is not what the model was asked."""

    @llm(callbacks=[handler])
    def model(prompt: str, messages: Any = left_out, tools: Any = left_out) -> str:
        return prompt

    model("Look.")

    assert told(memory) == {"messages": [{"role": "user", "parts": [{"type": "text", "content": "Look."}]}]}


def test_prompt_of_langchain(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """What a prompt of LangChain's hands on are messages."""

    @llm
    def model(asked: Any) -> str:
        return "3"

    prompt = ChatPromptTemplate([("system", "Be brief."), ("user", "What is 1 + {number}?")])
    (prompt | model).invoke({"number": "2"}, {"callbacks": [handler]})

    (span,) = (span for span in memory.get_finished_spans() if span.name == "chat")
    assert json.loads(str(dict(span.attributes or {})["gen_ai.input.messages"])) == [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {"role": "user", "parts": [{"type": "text", "content": "What is 1 + 2?"}]},
    ]


def test_messages_of_langchain(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """A call that a message of LangChain's has twice is one, and an answer in pieces is an assistant's."""
    call: Any = {"name": "look", "args": {"q": "sun"}, "id": "1"}
    block = {"type": "tool_use", "id": "1", "name": "look", "input": {"q": "sun"}}
    said = AIMessage([block], tool_calls=[call])

    @llm(callbacks=[handler])
    def model(messages: Any) -> AIMessage:
        return said

    model([said, AIMessageChunk(content="Looking")])

    parts = [{"type": "tool_call", "id": "1", "name": "look", "arguments": {"q": "sun"}}]
    assert messages_of(memory, "input") == [
        {"role": "assistant", "parts": parts},
        {"role": "assistant", "parts": [{"type": "text", "content": "Looking"}]},
    ]
    assert messages_of(memory, "output") == [{"role": "assistant", "parts": parts, "finish_reason": ""}]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "reasoning_content", "reasoning_content": {"text": "Let me see."}},
        {"type": "reasoning", "reasoning": "Let me see."},
        {"type": "thinking", "thinking": "Let me see."},
    ],
)
@pytest.mark.parametrize("shows", [True, False])
def test_reasoning_of_langchain(block: Any, shows: bool, memory: InMemorySpanExporter) -> None:
    """What LangChain's messages hold of reasoning is reasoning, also where the policy leaves that out."""
    said = AIMessage([block, {"type": "text", "text": "3"}])

    @llm
    def model(messages: Any) -> AIMessage:
        return said

    with OtelHandler(memory, content=ContentPolicy(capture=True, reasoning=shows)) as handler:
        model.with_config(callbacks=[handler])([said])

    thought = [{"type": "reasoning", "content": "Let me see."}] if shows else []
    for side in ("input", "output"):
        (message,) = messages_of(memory, side)
        assert message["parts"] == [*thought, {"type": "text", "content": "3"}]
