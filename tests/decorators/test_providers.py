"""The providers' real clients against servers that speak their wire formats.

A client's own method is decorated, so that request and response are both read. Each whole
answer and each stream is compared with all that the conventions say of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import boto3  # type: ignore[import-untyped]  # has none
import openai
import pytest
from examples.provider_stub import ProviderStub
from google import genai
from inline_snapshot import snapshot
from mistralai.client import Mistral
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chainspan import OtelHandler, llm

from ._wire import google_and_amazon

SAID = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 1 + 2?"}]
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}
TOOLS = [{"type": "function", "function": {"name": "add", "parameters": SCHEMA}}]
CONVERSE: list[Any] = [
    {"role": "user", "content": [{"text": "Look."}]},
    {"role": "assistant", "content": [{"toolUse": {"toolUseId": "call-0", "name": "look", "input": {"q": "sky"}}}]},
    {"role": "user", "content": [{"toolResult": {"toolUseId": "call-0", "content": [{"text": "blue"}]}}]},
]

Traced = Callable[[Any], Any]


@pytest.fixture
def stub() -> Iterator[ProviderStub]:
    """OpenAI and Anthropic on this machine."""
    with ProviderStub() as provider:
        yield provider


@pytest.fixture(scope="module")
def cloud() -> Iterator[str]:
    """Google and Amazon on this machine."""
    with google_and_amazon() as url:
        yield url


@pytest.fixture
def traced(handler: OtelHandler) -> Traced:
    """Decorates a client's method, and has the handler listen to it."""
    return lambda method: llm(method).with_config(callbacks=[handler])


@pytest.fixture
def gpt(stub: ProviderStub) -> Iterator[openai.OpenAI]:
    """OpenAI's client."""
    with openai.OpenAI(base_url=f"{stub.url}/v1", api_key="none") as client:
        yield client


@pytest.fixture
def claude(stub: ProviderStub) -> Iterator[anthropic.Anthropic]:
    """Anthropic's client."""
    with anthropic.Anthropic(base_url=stub.url, api_key="none") as client:
        yield client


@pytest.fixture
def gemini(cloud: str) -> Iterator[genai.Client]:
    """Google's client."""
    with genai.Client(api_key="none", http_options={"base_url": cloud}) as client:
        yield client


@pytest.fixture
def mistral(stub: ProviderStub) -> Iterator[Mistral]:
    """Mistral's client."""
    with Mistral(api_key="none", server_url=stub.url) as client:
        yield client


@pytest.fixture
def bedrock(cloud: str) -> Any:
    """Amazon's client."""
    keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
    return boto3.client("bedrock-runtime", endpoint_url=cloud, region_name="eu-west-1", **keys)


def told(memory: InMemorySpanExporter) -> dict[str, Any]:
    """Return what the one span says of the model, messages as data, without what varies."""
    (span,) = memory.get_finished_spans()
    attributes = dict(span.attributes or {})
    kept = {key: value for key, value in attributes.items() if key.startswith(("gen_ai", "openai"))}
    kept.pop("gen_ai.response.time_to_first_chunk", None)
    for key in ("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.tool.definitions"):
        if key in kept:
            kept[key] = json.loads(str(kept[key]))
    return {"name": span.name, **kept}


def test_openai(gpt: openai.OpenAI, traced: Traced, memory: InMemorySpanExporter) -> None:
    """A chat completion that calls a tool."""
    create = traced(gpt.chat.completions.create)

    create(model="gpt-9", messages=SAID, tools=TOOLS, temperature=0.5)

    assert told(memory) == snapshot(
        {
            "name": "chat gpt-9",
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-9",
            "gen_ai.request.temperature": 0.5,
            "gen_ai.input.messages": [
                {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
                {"role": "user", "parts": [{"type": "text", "content": "What is 1 + 2?"}]},
            ],
            "gen_ai.tool.definitions": [
                {
                    "type": "function",
                    "name": "add",
                    "parameters": {
                        "type": "object",
                        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
                    },
                }
            ],
            "gen_ai.response.model": "gpt-9",
            "gen_ai.response.id": "chatcmpl-stub",
            "gen_ai.response.finish_reasons": ("tool_call",),
            "openai.api.type": "chat_completions",
            "gen_ai.usage.input_tokens": 7,
            "gen_ai.usage.output_tokens": 4,
            "gen_ai.output.messages": [
                {
                    "role": "assistant",
                    "parts": [{"type": "tool_call", "id": "call_stub", "name": "add", "arguments": {"a": 1, "b": 2}}],
                    "finish_reason": "tool_call",
                }
            ],
        }
    )


def test_openai_stream(gpt: openai.OpenAI, traced: Traced, memory: InMemorySpanExporter) -> None:
    """A stream is put together again, with the tokens of its last chunk, and stays what it was."""
    create = traced(gpt.chat.completions.create)

    stream = create(model="gpt-9", messages=SAID, stream=True, stream_options={"include_usage": True})
    with stream:
        said = [chunk.choices[0].delta.content for chunk in stream if chunk.choices]

    assert isinstance(stream, openai.Stream)
    assert "".join(piece or "" for piece in said) == "1 + 2 = 3"
    assert told(memory) == snapshot(
        {
            "name": "chat gpt-9",
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-9",
            "gen_ai.input.messages": [
                {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
                {"role": "user", "parts": [{"type": "text", "content": "What is 1 + 2?"}]},
            ],
            "gen_ai.request.stream": True,
            "gen_ai.response.model": "gpt-9",
            "gen_ai.response.id": "chatcmpl-stub",
            "gen_ai.response.finish_reasons": ("stop",),
            "openai.api.type": "chat_completions",
            "gen_ai.usage.input_tokens": 7,
            "gen_ai.usage.output_tokens": 5,
            "gen_ai.output.messages": [
                {"role": "assistant", "parts": [{"type": "text", "content": "1 + 2 = 3"}], "finish_reason": "stop"}
            ],
        }
    )


async def test_openai_async_stream(stub: ProviderStub, traced: Traced, memory: InMemorySpanExporter) -> None:
    """The asynchronous client's streams are read alike, calls of tools too."""
    async with openai.AsyncOpenAI(base_url=f"{stub.url}/v1", api_key="none") as client:
        stream = await traced(client.chat.completions.create)(model="gpt-9", messages=SAID, tools=TOOLS, stream=True)
        chunks = [chunk async for chunk in stream]

    assert len(chunks) > 2
    assert told(memory) == snapshot(
        {
            "name": "chat gpt-9",
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-9",
            "gen_ai.input.messages": [
                {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
                {"role": "user", "parts": [{"type": "text", "content": "What is 1 + 2?"}]},
            ],
            "gen_ai.tool.definitions": [
                {
                    "type": "function",
                    "name": "add",
                    "parameters": {
                        "type": "object",
                        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
                    },
                }
            ],
            "gen_ai.request.stream": True,
            "gen_ai.response.model": "gpt-9",
            "gen_ai.response.id": "chatcmpl-stub",
            "gen_ai.response.finish_reasons": ("tool_call",),
            "openai.api.type": "chat_completions",
            "gen_ai.output.messages": [
                {
                    "role": "assistant",
                    "parts": [{"type": "tool_call", "id": "call_stub", "name": "add", "arguments": {"a": 1, "b": 2}}],
                    "finish_reason": "tool_call",
                }
            ],
        }
    )


def test_anthropic(claude: anthropic.Anthropic, traced: Traced, memory: InMemorySpanExporter) -> None:
    """A message that calls a tool, after one that has been answered."""
    create = traced(claude.messages.create)
    history: list[Any] = [
        {"role": "user", "content": "What is 1 + 1?"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_0", "name": "add", "input": {"a": 1}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_0", "content": "2"}]},
        {"role": "user", "content": "And 1 + 2?"},
    ]

    create(
        model="claude-9",
        max_tokens=99,
        system="Be brief.",
        messages=history,
        tools=[{"name": "add", "input_schema": SCHEMA}],
    )

    assert told(memory) == snapshot(
        {
            "name": "chat claude-9",
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "anthropic",
            "gen_ai.request.model": "claude-9",
            "gen_ai.request.max_tokens": 99,
            "gen_ai.input.messages": [
                {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
                {"role": "user", "parts": [{"type": "text", "content": "What is 1 + 1?"}]},
                {
                    "role": "assistant",
                    "parts": [{"type": "tool_call", "id": "toolu_0", "name": "add", "arguments": {"a": 1}}],
                },
                {"role": "tool", "parts": [{"type": "tool_call_response", "id": "toolu_0", "response": "2"}]},
                {"role": "user", "parts": [{"type": "text", "content": "And 1 + 2?"}]},
            ],
            "gen_ai.tool.definitions": [
                {
                    "type": "function",
                    "name": "add",
                    "parameters": {
                        "type": "object",
                        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
                    },
                }
            ],
            "gen_ai.response.model": "claude-9",
            "gen_ai.response.id": "msg_stub",
            "gen_ai.response.finish_reasons": ("tool_call",),
            "gen_ai.usage.input_tokens": 12,
            "gen_ai.usage.output_tokens": 4,
            "gen_ai.output.messages": [
                {
                    "role": "assistant",
                    "parts": [{"type": "tool_call", "id": "toolu_stub", "name": "add", "arguments": {"a": 1, "b": 2}}],
                    "finish_reason": "tool_call",
                }
            ],
        }
    )


@pytest.mark.parametrize("through", ["create", "helper"])
def test_anthropic_stream(
    claude: anthropic.Anthropic, handler: OtelHandler, memory: InMemorySpanExporter, through: str
) -> None:
    """Raw events and those of the client's helper say the same."""
    request: Any = {"model": "claude-9", "max_tokens": 99, "messages": SAID[1:]}

    @llm(provider="anthropic", model="claude-9", callbacks=[handler])
    def ask(text: str) -> Iterator[Any]:
        if through == "create":
            yield from claude.messages.create(stream=True, **request)
        else:
            with claude.messages.stream(**request) as stream:
                yield from stream

    events = [*ask("What is 1 + 2?")]

    assert len(events) > 2
    assert told(memory) == snapshot(
        {
            "name": "chat claude-9",
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "anthropic",
            "gen_ai.request.model": "claude-9",
            "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "What is 1 + 2?"}]}],
            "gen_ai.request.stream": True,
            "gen_ai.response.model": "claude-9",
            "gen_ai.response.id": "msg_stub",
            "gen_ai.response.finish_reasons": ("stop",),
            "gen_ai.usage.input_tokens": 5,
            "gen_ai.usage.output_tokens": 5,
            "gen_ai.output.messages": [
                {"role": "assistant", "parts": [{"type": "text", "content": "1 + 2 = 3"}], "finish_reason": "stop"}
            ],
        }
    )


def test_google(gemini: genai.Client, traced: Traced, memory: InMemorySpanExporter) -> None:
    """Thoughts, text and a call, and tokens that Google counts apart."""
    generate = traced(gemini.models.generate_content)

    generate(model="gemini-9", contents="Look.", config={"temperature": 0.1, "system_instruction": "Be brief."})

    assert told(memory) == snapshot(
        {
            "name": "chat gemini-9",
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "gcp.gemini",
            "gen_ai.request.model": "gemini-9",
            "gen_ai.request.temperature": 0.1,
            "gen_ai.input.messages": [
                {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
                {"role": "user", "parts": [{"type": "text", "content": "Look."}]},
            ],
            "gen_ai.response.model": "gemini-9",
            "gen_ai.response.id": "resp-1",
            "gen_ai.response.finish_reasons": ("tool_call",),
            "gen_ai.usage.input_tokens": 7,
            "gen_ai.usage.output_tokens": 5,
            "gen_ai.usage.cache_read.input_tokens": 4,
            "gen_ai.usage.reasoning.output_tokens": 2,
            "gen_ai.output.messages": [
                {
                    "role": "assistant",
                    "parts": [
                        {"type": "reasoning", "content": "Let me see."},
                        {"type": "text", "content": "Looking"},
                        {"type": "tool_call", "id": "call-1", "name": "look", "arguments": {"q": "sun"}},
                    ],
                    "finish_reason": "tool_call",
                }
            ],
        }
    )


def test_google_stream(gemini: genai.Client, traced: Traced, memory: InMemorySpanExporter) -> None:
    """The pieces of a stream, each an answer of its own, say what the whole answer says."""
    pieces = [*traced(gemini.models.generate_content_stream)(model="gemini-9", contents=["Look."])]

    assert len(pieces) == 3
    assert told(memory) == snapshot(
        {
            "name": "chat gemini-9",
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "gcp.gemini",
            "gen_ai.request.model": "gemini-9",
            "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "Look."}]}],
            "gen_ai.request.stream": True,
            "gen_ai.response.model": "gemini-9",
            "gen_ai.response.id": "resp-1",
            "gen_ai.response.finish_reasons": ("tool_call",),
            "gen_ai.usage.input_tokens": 7,
            "gen_ai.usage.output_tokens": 5,
            "gen_ai.usage.cache_read.input_tokens": 4,
            "gen_ai.usage.reasoning.output_tokens": 2,
            "gen_ai.output.messages": [
                {
                    "role": "assistant",
                    "parts": [
                        {"type": "reasoning", "content": "Let me see."},
                        {"type": "text", "content": "Looking"},
                        {"type": "tool_call", "id": "call-1", "name": "look", "arguments": {"q": "sun"}},
                    ],
                    "finish_reason": "tool_call",
                }
            ],
        }
    )


def test_mistral(mistral: Mistral, traced: Traced, memory: InMemorySpanExporter) -> None:
    """Mistral's answer has OpenAI's form, and its own provider."""
    traced(mistral.chat.complete)(model="mistral-9", messages=SAID)

    assert told(memory) == snapshot(
        {
            "name": "chat mistral-9",
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "mistral_ai",
            "gen_ai.request.model": "mistral-9",
            "gen_ai.input.messages": [
                {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
                {"role": "user", "parts": [{"type": "text", "content": "What is 1 + 2?"}]},
            ],
            "gen_ai.response.model": "mistral-9",
            "gen_ai.response.id": "chatcmpl-stub",
            "gen_ai.response.finish_reasons": ("stop",),
            "gen_ai.usage.input_tokens": 7,
            "gen_ai.usage.output_tokens": 5,
            "gen_ai.output.messages": [
                {"role": "assistant", "parts": [{"type": "text", "content": "1 + 2 = 3"}], "finish_reason": "stop"}
            ],
        }
    )


def test_mistral_stream(mistral: Mistral, traced: Traced, memory: InMemorySpanExporter) -> None:
    """Mistral wraps its chunks into events."""
    with traced(mistral.chat.stream)(model="mistral-9", messages=SAID) as stream:
        said = "".join(str(event.data.choices[0].delta.content or "") for event in stream)

    assert said == "1 + 2 = 3"
    assert told(memory) == snapshot(
        {
            "name": "chat mistral-9",
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "mistral_ai",
            "gen_ai.request.model": "mistral-9",
            "gen_ai.input.messages": [
                {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
                {"role": "user", "parts": [{"type": "text", "content": "What is 1 + 2?"}]},
            ],
            "gen_ai.request.stream": True,
            "gen_ai.response.model": "mistral-9",
            "gen_ai.response.id": "chatcmpl-stub",
            "gen_ai.response.finish_reasons": ("stop",),
            "gen_ai.output.messages": [
                {"role": "assistant", "parts": [{"type": "text", "content": "1 + 2 = 3"}], "finish_reason": "stop"}
            ],
        }
    )


def test_bedrock(bedrock: Any, traced: Traced, memory: InMemorySpanExporter) -> None:
    """Converse: blocks that say by a key what they are, before and after the call."""
    converse = traced(bedrock.converse)

    converse(
        modelId="amazon.nova", messages=CONVERSE, system=[{"text": "Be brief."}], inferenceConfig={"maxTokens": 99}
    )

    assert told(memory) == snapshot(
        {
            "name": "chat amazon.nova",
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "aws.bedrock",
            "gen_ai.request.model": "amazon.nova",
            "gen_ai.request.max_tokens": 99,
            "gen_ai.input.messages": [
                {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
                {"role": "user", "parts": [{"type": "text", "content": "Look."}]},
                {
                    "role": "assistant",
                    "parts": [{"type": "tool_call", "id": "call-0", "name": "look", "arguments": {"q": "sky"}}],
                },
                {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call-0", "response": "blue"}]},
            ],
            "gen_ai.response.model": "amazon.nova",
            "gen_ai.response.id": "req-1",
            "gen_ai.response.finish_reasons": ("tool_call",),
            "gen_ai.usage.input_tokens": 9,
            "gen_ai.usage.output_tokens": 3,
            "gen_ai.usage.cache_read.input_tokens": 4,
            "gen_ai.output.messages": [
                {
                    "role": "assistant",
                    "parts": [
                        {"type": "reasoning", "content": "Let me see."},
                        {"type": "text", "content": "Looking"},
                        {"type": "tool_call", "id": "call-1", "name": "look", "arguments": {"q": "sun"}},
                    ],
                    "finish_reason": "tool_call",
                }
            ],
        }
    )


def test_bedrock_stream(bedrock: Any, traced: Traced, memory: InMemorySpanExporter) -> None:
    """A stream that stands in the response under a key."""
    response = traced(bedrock.converse_stream)(modelId="amazon.nova", messages=CONVERSE[:1])
    events = [*response["stream"]]

    assert len(events) > 5
    assert told(memory) == snapshot(
        {
            "name": "chat amazon.nova",
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "aws.bedrock",
            "gen_ai.request.model": "amazon.nova",
            "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "Look."}]}],
            "gen_ai.request.stream": True,
            "gen_ai.response.model": "amazon.nova",
            "gen_ai.response.finish_reasons": ("tool_call",),
            "gen_ai.usage.input_tokens": 9,
            "gen_ai.usage.output_tokens": 3,
            "gen_ai.usage.cache_read.input_tokens": 4,
            "gen_ai.output.messages": [
                {
                    "role": "assistant",
                    "parts": [
                        {"type": "reasoning", "content": "Let me see."},
                        {"type": "text", "content": "Looking"},
                        {"type": "tool_call", "id": "call-1", "name": "look", "arguments": {"q": "sun"}},
                    ],
                    "finish_reason": "tool_call",
                }
            ],
        }
    )


def test_refused_request(claude: anthropic.Anthropic, stub: ProviderStub, traced: Traced, memory: Any) -> None:
    """An error of the client's is the error of the run."""
    stub.refusals.extend([400])

    with pytest.raises(anthropic.BadRequestError):
        traced(claude.messages.create)(model="claude-9", max_tokens=9, messages=SAID[1:])

    (span,) = memory.get_finished_spans()
    assert span.status.status_code.name == "ERROR"
    assert span.attributes["error.type"] == snapshot("anthropic.BadRequestError")


def test_stream_left_early(gpt: openai.OpenAI, traced: Traced, memory: InMemorySpanExporter) -> None:
    """A stream that is closed before its end is abandoned, and keeps what it said until then."""
    stream = traced(gpt.chat.completions.create)(model="gpt-9", messages=SAID, stream=True)

    with stream:
        chunks = [next(stream), next(stream)]

    (span,) = memory.get_finished_spans()
    attributes = dict(span.attributes or {})
    assert len(chunks) == 2
    assert attributes["chainspan.run.outcome"] == "abandoned"
    assert json.loads(str(attributes["gen_ai.output.messages"])) == snapshot(
        [{"role": "assistant", "parts": [{"type": "text", "content": "1 "}], "finish_reason": ""}]
    )


def test_stream_dropped(gpt: openai.OpenAI, traced: Traced, memory: InMemorySpanExporter) -> None:
    """So is one that nobody reads."""
    stream = traced(gpt.chat.completions.create)(model="gpt-9", messages=SAID, stream=True)
    stream.response.close()
    del stream

    (span,) = memory.get_finished_spans()
    assert dict(span.attributes or {})["chainspan.run.outcome"] == "abandoned"


def test_raw_answers(
    gpt: openai.OpenAI, claude: anthropic.Anthropic, stub: ProviderStub, traced: Traced, memory: InMemorySpanExporter
) -> None:
    """What a client hands out raw, for its headers, is told like what it hands out parsed."""
    given: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": SAID[1:]}
    ways = [
        (gpt.chat.completions.create, gpt.chat.completions.with_raw_response.create),
        (claude.messages.create, claude.messages.with_raw_response.create),
    ]
    for parsed, raw in ways:
        traced(parsed)(**given)
        expected = told(memory)
        memory.clear()

        answer = traced(raw)(**given)

        assert told(memory) == expected
        assert answer.parse().model == "m"
        memory.clear()


def test_helper_for_streams(gpt: openai.OpenAI, traced: Traced, memory: InMemorySpanExporter) -> None:
    """A function that yields the events of the client's helper has the answer that they make."""

    def model(messages: Any) -> Iterator[Any]:
        with gpt.chat.completions.stream(model="m", messages=messages) as events:
            yield from events

    events = list(traced(model)(SAID))

    assert {event.type for event in events} >= {"chunk", "content.delta"}
    assert told(memory)["gen_ai.output.messages"] == snapshot(
        [{"role": "assistant", "parts": [{"type": "text", "content": "1 + 2 = 3"}], "finish_reason": "stop"}]
    )
