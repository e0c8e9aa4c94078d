"""Streams of the providers' clients that bring more than texts and calls, or break off before they say it all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from anthropic.types import RawMessageStreamEvent
from google.genai.types import GenerateContentResponse
from langchain_core.callbacks import BaseCallbackHandler
from openai.types.responses import ResponseStreamEvent
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import TypeAdapter
from typing_extensions import override

from chainspan import OtelHandler, llm

from ._told import attributes_of, beginning_with, messages_of

ANTHROPIC: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
OPENAI: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
TOKENS = {"prompt_token_count": 7, "candidates_token_count": 3}
HEAD = {
    "id": "resp-1",
    "object": "response",
    "created_at": 0,
    "model": "gpt-9",
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "output": [],
}


def read(pieces: Sequence[Any], handler: OtelHandler, memory: InMemorySpanExporter) -> dict[str, Any]:
    """Return what a span says of the answer that came in pieces."""

    @llm(callbacks=[handler])
    def model(prompt: str) -> Iterator[Any]:
        yield from pieces

    assert len(list(model("Look."))) == len(pieces)
    kept = beginning_with(memory, "gen_ai.response", "gen_ai.provider")
    return {**kept, "messages": messages_of(memory, "output")}


def test_tools_of_the_server(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """What Anthropic itself called is told with its arguments and its result, and not as a call to be answered."""
    call = {"type": "server_tool_use", "id": "1", "name": "web_search", "input": {}}
    found = {"type": "web_search_tool_result", "tool_use_id": "1", "content": []}
    deltas = [{"type": "input_json_delta", "partial_json": text} for text in ('{"query": ', '"sun"}')]
    events = [
        {"type": "content_block_start", "index": 0, "content_block": call},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_start", "index": 1, "content_block": found},
        {"type": "content_block_start", "index": 2, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": "Looking"}},
    ]

    told = read([ANTHROPIC.validate_python(event) for event in events], handler, memory)

    assert told["messages"] == [
        {
            "role": "assistant",
            "parts": [
                {
                    "type": "server_tool_call",
                    "id": "1",
                    "name": "web_search",
                    "server_tool_call": {"type": "web_search", "arguments": {"query": "sun"}},
                },
                {
                    "type": "server_tool_call_response",
                    "id": "1",
                    "server_tool_call_response": {"type": "server_tool_result", "status": "success", "output": []},
                },
                {"type": "text", "content": "Looking"},
            ],
            "finish_reason": "",
        }
    ]


def test_response_that_breaks_off(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """Of OpenAI's Responses API, whose last event repeats all, what came before that is kept."""
    call = {"type": "function_call", "id": "fc", "call_id": "1", "name": "look", "arguments": ""}
    search = {"type": "web_search_call", "id": "ws", "status": "completed", "action": {"type": "search", "query": "q"}}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": HEAD},
        {"type": "response.reasoning_summary_text.delta", "item_id": "rs", "summary_index": 0, "delta": "Let me see."},
        {"type": "response.output_item.added", "output_index": 1, "item": search},
        {"type": "response.output_item.done", "output_index": 1, "item": search},
        {"type": "response.output_text.delta", "item_id": "m", "content_index": 0, "delta": "Looking", "logprobs": []},
        {"type": "response.output_item.added", "output_index": 3, "item": call},
        {"type": "response.function_call_arguments.delta", "item_id": "fc", "output_index": 3, "delta": '{"q": '},
        {"type": "response.function_call_arguments.delta", "item_id": "fc", "output_index": 3, "delta": '"sun"}'},
    ]
    numbered = [{"output_index": 0, **event, "sequence_number": index} for index, event in enumerate(events)]

    told = read([OPENAI.validate_python(event) for event in numbered], handler, memory)

    (message,) = told.pop("messages")
    assert told == {
        "gen_ai.provider.name": "openai",
        "gen_ai.response.id": "resp-1",
        "gen_ai.response.model": "gpt-9",
    }
    assert [part.get("content", part["type"]) for part in message["parts"]] == [
        "Let me see.",
        "server_tool_call",
        "server_tool_call_response",
        "Looking",
        "tool_call",
    ]
    assert message["parts"][-1] == {"type": "tool_call", "id": "1", "name": "look", "arguments": {"q": "sun"}}


def test_order_of_parts(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """What is said before a search of the provider's and after it, and in blocks of its own, stays apart."""
    block = {"type": "content_block_start", "content_block": {"type": "text", "text": ""}}
    result = {"type": "web_search_tool_result", "tool_use_id": "1", "content": []}
    events: list[dict[str, Any]] = [
        {**block, "index": 0},
        *({"type": "content_block_delta", "index": 0, "delta": said} for said in map(_text_delta, ("Let me ", "see."))),
        {"type": "content_block_start", "index": 1, "content_block": result},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "thinking_delta", "thinking": "Well."}},
        {**block, "index": 3},
        {"type": "content_block_delta", "index": 3, "delta": _text_delta("It is round")},
        {**block, "index": 4},
        {"type": "content_block_delta", "index": 4, "delta": _text_delta(" and hot.")},
    ]

    told = read([ANTHROPIC.validate_python(event) for event in events], handler, memory)

    assert [part.get("content", part["type"]) for part in told["messages"][0]["parts"]] == [
        "Let me see.",
        "server_tool_call_response",
        "Well.",
        "It is round",
        " and hot.",
    ]


def _text_delta(said: str) -> dict[str, str]:
    return {"type": "text_delta", "text": said}


def test_blocks_of_mistral(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """A delta in blocks may hold more than texts and thoughts."""
    reference = {"type": "reference", "reference_ids": [1]}
    deltas: list[Any] = ["It is", [{"type": "text", "text": " round"}], [reference], "."]

    told = read([{"choices": [{"index": 0, "delta": {"content": delta}}]} for delta in deltas], handler, memory)

    said = [{"type": "text", "content": text} for text in ("It is round", ".")]
    assert told["messages"][0]["parts"] == [said[0], reference, said[1]]


def test_candidates_of_google(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """A piece may be of another candidate than the first, and of that one alone."""
    said = [(0, "It is", None), (1, "A", None), (0, " round.", "STOP"), (1, " ball.", "MAX_TOKENS")]
    pieces = [
        GenerateContentResponse.model_validate(
            {"candidates": [{"index": index, "content": {"parts": [{"text": text}]}, "finish_reason": reason}]}
        )
        for index, text, reason in said
    ]

    told = read(pieces, handler, memory)

    assert told["gen_ai.response.finish_reasons"] == ("stop", "length")
    assert [message["parts"][0]["content"] for message in told["messages"]] == ["It is round.", "A ball."]


CALLED: list[dict[str, Any]] = [
    {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "tool_use", "id": "1", "name": "look", "input": {}},
    },
    {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": '{"q": 1}'}},
]
THOUGHT: list[dict[str, Any]] = [
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Let me see."}}
]
STOPPED: list[dict[str, Any]] = [{"type": "content_block_stop", "index": 0}, {"type": "message_stop"}]


@pytest.mark.parametrize(
    ("events", "has_first"),
    [([*CALLED, *STOPPED], True), ([*THOUGHT, *STOPPED], True), (STOPPED, False)],
    ids=["call", "thought", "nothing"],
)
def test_first_piece_without_text(
    events: list[dict[str, Any]], has_first: bool, handler: OtelHandler, memory: InMemorySpanExporter
) -> None:
    """A call, or a thought, is the first piece of an answer as a text is; other handlers are told of it at the end.

    A graph that streams its messages would hand on a message of one piece, and then the whole.
    """
    told: list[Any] = []

    class Other(BaseCallbackHandler):
        @override
        def on_llm_new_token(self, token: Any, *, chunk: Any = None, **_: Any) -> None:
            told.append((token, chunk))

    @llm(callbacks=[handler, Other()])
    def model(prompt: str) -> Iterator[Any]:
        yield from [ANTHROPIC.validate_python(event) for event in events]

    list(model("Look."))

    assert ("gen_ai.response.time_to_first_chunk" in attributes_of(memory)) is has_first
    assert told == [("", None)] * len(events)


def test_call_before_the_last_piece(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """Google says STOP after a call, in a piece of its own."""
    call = {"function_call": {"id": "1", "name": "look", "args": {"q": "sun"}}}
    pieces = [
        GenerateContentResponse.model_validate({"candidates": [{"content": {"parts": [part]}, **more}]})
        for part, more in ((call, {}), ({"text": ""}, {"finish_reason": "STOP"}))
    ]

    told = read(pieces, handler, memory)

    assert told["gen_ai.response.finish_reasons"] == ("tool_call",)
    assert told["messages"][0]["finish_reason"] == "tool_call"


@pytest.mark.parametrize("streams", [True, False])
def test_prompt_that_is_blocked(streams: bool, handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """A model that was not let answer has a reason, and tokens that count."""
    blocked = GenerateContentResponse.model_validate(
        {
            "prompt_feedback": {"block_reason": "SAFETY"},
            "usage_metadata": TOKENS,
            "model_version": "gemini-9",
            "response_id": "1",
        }
    )

    @llm(callbacks=[handler])
    def model(prompt: str) -> Any:
        return iter([blocked]) if streams else blocked

    assert list(model("Look.")) if streams else model("Look.")

    assert beginning_with(memory, "gen_ai.response", "gen_ai.usage") == {
        "gen_ai.response.finish_reasons": ("content_filter",),
        "gen_ai.response.id": "1",
        "gen_ai.response.model": "gemini-9",
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 3,
    }


@pytest.mark.parametrize("pieces", [[{"answer": "3"}, {"answer": "33"}], [{"type": "token", "of": "mine"}, 5]])
def test_pieces_of_ones_own(pieces: Any, handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """Pieces in which nobody finds an answer are the answer, as one value of the same kind would be."""
    told = read(pieces, handler, memory)

    said = {"type": "text", "content": json.dumps(pieces, separators=(",", ":"))}
    assert told["messages"] == [{"role": "assistant", "parts": [said], "finish_reason": ""}]
