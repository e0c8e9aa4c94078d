"""The answers of Cohere's and Ollama's clients, whole and in pieces, in the forms that those give them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chainspan import OtelHandler, llm

from ._told import attributes_of, beginning_with, messages_of


class OfOllama(SimpleNamespace):
    """An answer of Ollama's, or a piece of it."""


class OfCohere(SimpleNamespace):
    """An answer of Cohere's, or an event."""


OfOllama.__module__, OfCohere.__module__ = "ollama._types", "cohere.v2.types"

LOOK = {"function": {"name": "look", "arguments": {"q": "sun"}}}
USED = {"prompt_eval_count": 5, "eval_count": 7}
TOKENS = {
    "billed_units": {"input_tokens": 3, "output_tokens": 4},
    "tokens": {"input_tokens": 30.0, "output_tokens": 7.0},
    "cached_tokens": 20.0,
}
OLLAMA = [
    OfOllama(model="llama", done=False, done_reason=None, message={"role": "assistant", "thinking": "Let me see."}),
    OfOllama(model="llama", done=False, done_reason=None, message={"role": "assistant", "content": "Look"}),
    OfOllama(model="llama", done=False, done_reason=None, message={"content": "ing", "tool_calls": [LOOK]}),
    OfOllama(model="llama", done=True, done_reason="stop", message={"content": ""}, **USED),
]
WHOLE_OLLAMA = OfOllama(
    model="llama",
    done=True,
    done_reason="stop",
    message={"thinking": "Let me see.", "content": "Looking", "tool_calls": [LOOK]},
    **USED,
)
CALL = {"id": "1", "type": "function", "function": {"name": "look", "arguments": '{"q": "sun"}'}}
COHERE = [
    OfCohere(type="message-start", id="c-1", delta={"message": {"role": "assistant"}}),
    OfCohere(type="tool-plan-delta", delta={"message": {"tool_plan": "Let me see."}}),
    OfCohere(type="content-delta", index=0, delta={"message": {"content": {"text": "Look"}}}),
    OfCohere(type="content-delta", index=0, delta={"message": {"content": {"text": "ing"}}}),
    OfCohere(
        type="tool-call-start",
        index=0,
        delta={"message": {"tool_calls": {"id": "1", "function": {"name": "look", "arguments": ""}}}},
    ),
    OfCohere(type="tool-call-delta", index=0, delta={"message": {"tool_calls": {"function": {"arguments": '{"q"'}}}}),
    OfCohere(
        type="tool-call-delta", index=0, delta={"message": {"tool_calls": {"function": {"arguments": ': "sun"}'}}}}
    ),
    OfCohere(type="message-end", id="c-1", delta={"finish_reason": "TOOL_CALL", "usage": TOKENS}),
]
WHOLE_COHERE = OfCohere(
    id="c-1",
    finish_reason="TOOL_CALL",
    message={"tool_plan": "Let me see.", "content": [{"type": "text", "text": "Looking"}], "tool_calls": [CALL]},
    usage=TOKENS,
)


def told(memory: InMemorySpanExporter) -> dict[str, Any]:
    """Return what the one span says of the answer."""
    kept = beginning_with(memory, "gen_ai.usage", "gen_ai.provider")
    attributes = attributes_of(memory)
    kept["id"], kept["model"] = attributes.get("gen_ai.response.id"), attributes.get("gen_ai.response.model")
    return {**kept, "answer": messages_of(memory, "output")}


def expected(provider: str, input_tokens: int, call_id: str | None, reason: str, **others: Any) -> dict[str, Any]:
    """Return the same of either."""
    parts = [
        {"type": "reasoning", "content": "Let me see."},
        {"type": "text", "content": "Looking"},
        {"type": "tool_call", "id": call_id, "name": "look", "arguments": {"q": "sun"}},
    ]
    return {
        "gen_ai.provider.name": provider,
        "gen_ai.usage.input_tokens": input_tokens,
        "gen_ai.usage.output_tokens": 7,
        **others,
        "answer": [{"role": "assistant", "parts": parts, "finish_reason": reason}],
    }


OF_OLLAMA = expected("ollama", 5, None, "stop", id=None, model="llama")
CACHED: dict[str, Any] = {"gen_ai.usage.cache_read.input_tokens": 20}
OF_COHERE = expected("cohere", 30, "1", "tool_call", id="c-1", model="command", **CACHED)


@pytest.mark.parametrize(("answer", "said"), [(WHOLE_OLLAMA, OF_OLLAMA), (WHOLE_COHERE, OF_COHERE)])
def test_whole(answer: Any, said: Any, handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """Text, reasoning, calls, tokens and the reason to stop."""
    llm(model="command", callbacks=[handler])(lambda prompt: answer)("Look.")

    assert told(memory) == said


@pytest.mark.parametrize(("pieces", "said"), [(OLLAMA, OF_OLLAMA), (COHERE, OF_COHERE)])
def test_stream(pieces: Any, said: Any, handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """The same of a stream."""

    @llm(model="command", callbacks=[handler])
    def model(prompt: str) -> Iterator[Any]:
        yield from pieces

    assert len(list(model("Look."))) == len(pieces)
    assert told(memory) == said


def test_first_api_of_cohere(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """Its answers are no messages, and have their tokens elsewhere."""
    call = {"name": "look", "parameters": {"q": "sun"}}
    answer = OfCohere(
        text="Looking", generation_id="g-1", response_id="r-1", finish_reason="COMPLETE", tool_calls=[call], meta=TOKENS
    )

    llm(model="command", callbacks=[handler])(lambda message: answer)("Look.")

    said = expected("cohere", 30, None, "stop", id="r-1", model="command", **CACHED)
    del said["answer"][0]["parts"][0]
    assert told(memory) == said


@pytest.mark.parametrize("streams", [False, True])
def test_thoughts_before_a_text_is_completed(streams: bool, handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """Ollama's `generate` tells them beside the text."""
    whole = OfOllama(model="llama", done=True, done_reason="stop", response="Round.", thinking="Let me see.", **USED)
    pieces = [
        OfOllama(model="llama", done=False, done_reason=None, response="", thinking="Let me see."),
        OfOllama(model="llama", done=True, done_reason="stop", response="Round.", thinking=None, **USED),
    ]

    answer = llm(lambda prompt: iter(pieces) if streams else whole).with_config(callbacks=[handler])("Look.")

    assert not streams or len(list(answer)) == len(pieces)
    assert told(memory)["answer"][0]["parts"] == [
        {"type": "reasoning", "content": "Let me see."},
        {"type": "text", "content": "Round."},
    ]


@pytest.mark.parametrize("answer", [{"finish_reason": "stop", "it": "is 3"}, {"done_reason": None, "it": "is 3"}])
def test_other_answers(answer: Any, handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """What merely has a word in common with them is the text that it was."""
    llm(lambda prompt: answer).with_config(callbacks=[handler])("Look.")

    assert told(memory)["answer"][0]["parts"] == [
        {"type": "text", "content": json.dumps(answer, separators=(",", ":"))}
    ]
