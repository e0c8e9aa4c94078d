"""Messages of real models' shapes, through a handler into a span and back: `chainspan.messages_from_span`."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages.tool import invalid_tool_call
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chainspan import OtelHandler, messages_from_span
from chainspan import _messages as spoken

PROFILES = ["compat", "latest", "openinference"]
DATA = bytes(range(256)) * 4
BASE64 = base64.b64encode(DATA).decode()
URL = "https://host/a"
OPENAI, ANTHROPIC = {"model_provider": "openai"}, {"model_provider": "anthropic"}
GOOGLE, BEDROCK = {"model_provider": "google_genai"}, {"model_provider": "bedrock_converse"}
CALL: Any = {"type": "tool_call", "id": "c1", "name": "look_up", "args": {"what": 'it\'s "x"', "n": None, "名": ["é"]}}
USED: Any = {"type": "tool_use", "id": "c1", "name": "look_up", "input": CALL["args"]}
SUMMARY = [{"type": "summary_text", "text": "First."}, {"type": "summary_text", "text": "Second."}]


def _marked(kind: str) -> str:
    return f"[{kind} {len(DATA)} bytes sha256:{hashlib.sha256(DATA).hexdigest()[:16]}]"


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _data(kind: str, mime_type: str | None) -> dict[str, Any]:
    block = {"type": kind, "base64": _marked(mime_type or kind), "mime_type": mime_type}
    return {key: value for key, value in block.items() if value is not None}


# A message, and the content blocks that are left of it; None where they are the message's own.
ASKED: dict[str, tuple[Any, list[dict[str, Any]] | None]] = {
    "system": (SystemMessage("Be brief."), None),
    "system-of-parts": (SystemMessage([_text("a"), _text("b")]), None),
    "user": (HumanMessage("Wie geht's? \n 東京 \ud83e\udd9c", name="Ada"), [_text("Wie geht's? \n 東京 🦜")]),
    "empty": (HumanMessage(""), None),
    "own-role": (ChatMessage(content="as you like", role="critic"), None),
    "history": (AIMessage("I was asked before.", tool_calls=[CALL]), None),
    "tool": (ToolMessage('{"found": [1, 2]}', tool_call_id="c1", name="look_up"), None),
    "tool-of-parts": (ToolMessage([_text("a"), {"type": "image", "url": URL}], tool_call_id="c1"), None),
    "tool-with-data": (
        ToolMessage(
            [
                _text("a"),
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": BASE64}},
                {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": BASE64}},
            ],
            tool_call_id="c1",
        ),
        [_text("a"), _data("image", "image/png"), _data("file", "application/pdf")],
    ),
    "image": (HumanMessage([_text("what?"), {"type": "image", "url": URL}]), None),
    "image-data": (
        HumanMessage([{"type": "image", "base64": BASE64, "mime_type": "image/png"}]),
        [_data("image", "image/png")],
    ),
    "audio": (HumanMessage([{"type": "audio", "url": URL, "mime_type": "audio/wav"}]), None),
    "video": (HumanMessage([{"type": "video", "file_id": "v-1"}]), None),
    "file": (HumanMessage([{"type": "file", "url": URL, "mime_type": "application/pdf"}]), None),
    "plain": (HumanMessage([{"type": "text-plain", "text": "doc", "mime_type": "text/plain"}]), [_text("doc")]),
    "openai-image": (
        HumanMessage([_text("what?"), {"type": "image_url", "image_url": {"url": URL, "detail": "low"}}]),
        [_text("what?"), {"type": "image", "url": URL}],
    ),
    "openai-image-data": (
        HumanMessage([{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{BASE64}"}}]),
        [_data("image", "image/png")],
    ),
    "openai-audio": (
        HumanMessage([{"type": "input_audio", "input_audio": {"data": BASE64, "format": "wav"}}]),
        [_data("audio", "audio/wav")],
    ),
    "openai-file": (
        HumanMessage([{"type": "file", "file": {"file_id": "file-1"}}]),
        [{"type": "file", "file_id": "file-1"}],
    ),
    "openai-file-data": (
        HumanMessage([{"type": "file", "file": {"file_data": f"data:application/pdf;base64,{BASE64}"}}]),
        [_data("file", "application/pdf")],
    ),
    "openai-responses": (
        HumanMessage(
            [
                {"type": "input_text", "text": "what?"},
                {"type": "input_image", "image_url": URL},
                {"type": "input_file", "file_id": "file-1"},
            ]
        ),
        [_text("what?"), {"type": "image", "url": URL}, {"type": "file", "file_id": "file-1"}],
    ),
    "anthropic-image": (
        HumanMessage([{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": BASE64}}]),
        [_data("image", "image/png")],
    ),
    "anthropic-document": (
        HumanMessage([{"type": "document", "source": {"type": "url", "url": URL}, "title": "t"}]),
        [{"type": "file", "url": URL}],
    ),
    "anthropic-cache": (HumanMessage([{**_text("hi"), "cache_control": {"type": "ephemeral"}}]), [_text("hi")]),
    "google-data": (
        HumanMessage([{"type": "media", "mime_type": "application/pdf", "data": BASE64}]),
        [_data("file", "application/pdf")],
    ),
    "google-uri": (
        HumanMessage([{"type": "media", "mime_type": "video/mp4", "file_uri": "gs://b/v.mp4"}]),
        [{"type": "video", "url": "gs://b/v.mp4", "mime_type": "video/mp4"}],
    ),
}
ANSWERED: dict[str, tuple[Any, list[dict[str, Any]] | None]] = {
    "text": (AIMessage("Yes."), None),
    "calls": (AIMessage("", tool_calls=[CALL, {**CALL, "id": "c2", "args": {}}]), None),
    "bad-call": (
        AIMessage("", invalid_tool_calls=[invalid_tool_call(name="look_up", args="{no", id="c2", error=None)]),
        None,
    ),
    "openai": (AIMessage("One moment.", tool_calls=[CALL], response_metadata=OPENAI), None),
    "openai-responses": (
        AIMessage(
            [
                {"type": "reasoning", "id": "rs_1", "summary": SUMMARY},
                {**_text("One moment."), "annotations": [], "id": "msg_1"},
                {
                    "type": "function_call",
                    "name": "look_up",
                    "arguments": json.dumps(CALL["args"]),
                    "call_id": "c1",
                    "id": "fc_1",
                },
            ],
            tool_calls=[CALL],
            response_metadata=OPENAI,
        ),
        [
            {"type": "reasoning", "reasoning": "First."},
            {"type": "reasoning", "reasoning": "Second."},
            _text("One moment."),
            CALL,
        ],
    ),
    "openai-image": (
        AIMessage(
            [{"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": BASE64}],
            response_metadata=OPENAI,
        ),
        [_data("image", None)],
    ),
    "openai-refusal": (
        AIMessage([{"type": "refusal", "refusal": "No."}], response_metadata=OPENAI),
        [_text("No.")],
    ),
    "deepseek": (
        AIMessage("Yes.", additional_kwargs={"reasoning_content": "Hm."}, response_metadata=OPENAI),
        [{"type": "reasoning", "reasoning": "Hm."}, _text("Yes.")],
    ),
    "anthropic": (
        AIMessage(
            [{"type": "thinking", "thinking": "Hm.", "signature": "s"}, _text("One moment."), USED],
            tool_calls=[CALL],
            response_metadata=ANTHROPIC,
        ),
        [{"type": "reasoning", "reasoning": "Hm."}, _text("One moment."), CALL],
    ),
    "anthropic-search": (
        AIMessage(
            [
                {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}},
                {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"url": URL, "title": "t"}]},
                _text("Found."),
            ],
            response_metadata=ANTHROPIC,
        ),
        None,
    ),
    "google": (
        AIMessage(
            [{"type": "thinking", "thinking": "Hm.", "signature": "s"}, _text("One moment.")],
            tool_calls=[CALL],
            response_metadata=GOOGLE,
        ),
        [{"type": "reasoning", "reasoning": "Hm."}, _text("One moment."), CALL],
    ),
    "google-image": (
        AIMessage(
            [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{BASE64}"}}], response_metadata=GOOGLE
        ),
        [_data("image", "image/png")],
    ),
    "bedrock": (
        AIMessage(
            [{"type": "reasoning_content", "reasoning_content": {"text": "Hm."}}, _text("One moment."), USED],
            tool_calls=[CALL],
            response_metadata=BEDROCK,
        ),
        [{"type": "reasoning", "reasoning": "Hm."}, _text("One moment."), CALL],
    ),
}


def _span_of(asked: BaseMessage, answer: AIMessage, profile: str) -> ReadableSpan:
    memory = InMemorySpanExporter()
    handler = OtelHandler(SimpleSpanProcessor(memory), content=True, profile=profile)
    GenericFakeChatModel(messages=iter([answer])).invoke([asked], {"callbacks": [handler]})
    [span] = memory.get_finished_spans()
    return span


def _otlp(span: ReadableSpan) -> Any:
    return encode_spans([span]).resource_spans[0].scope_spans[0].spans[0]


FORMS: dict[str, Callable[[ReadableSpan], Any]] = {
    "sdk": lambda span: span,
    "sdk-json": lambda span: json.loads(span.to_json()),
    "otlp": _otlp,
    "otlp-json": lambda span: json.loads(json.dumps(MessageToDict(_otlp(span)))),
}


def _said(message: BaseMessage) -> dict[str, Any]:
    # Ids of blocks, and what else a provider knows of them, are not what was said.
    kept = [{key: block[key] for key in block if key not in _NOT_SAID} for block in map(dict, message.content_blocks)]
    calls = [*getattr(message, "tool_calls", ()), *getattr(message, "invalid_tool_calls", ())]
    return {
        "type": type(message),
        "name": message.name,
        "role": getattr(message, "role", None),
        "answers": getattr(message, "tool_call_id", None),
        "blocks": [block if block["type"] == "tool_call" else _without_id(block) for block in kept],
        "calls": [(call["id"], call["name"], call["args"]) for call in calls],
    }


_NOT_SAID = ("extras", "index", "annotations", "error")


def _without_id(block: dict[str, Any]) -> dict[str, Any]:
    server = block["type"].startswith("server_tool")
    return {key: value for key, value in block.items() if key != "id" or server}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(("original", "blocks"), ASKED.values(), ids=ASKED)
def test_what_was_asked_comes_back(original: AnyMessage, blocks: list[dict[str, Any]] | None, profile: str) -> None:
    """A message of any kind and provider says after the way through a span what it said before (pains #30)."""
    span = _span_of(original, AIMessage("ok"), profile)

    restored, answer = messages_from_span(span)

    assert answer.content == "ok"
    assert _said(restored) == _said(original) | ({} if blocks is None else {"blocks": blocks})


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(("original", "blocks"), ANSWERED.values(), ids=ANSWERED)
def test_what_was_answered_comes_back(original: AIMessage, blocks: list[dict[str, Any]] | None, profile: str) -> None:
    """An answer of any provider comes back with its reasoning, its texts and its calls (pains #30, #57)."""
    span = _span_of(HumanMessage("why?"), original, profile)

    asked, restored = messages_from_span(span)

    assert asked == HumanMessage("why?")
    assert _said(restored) == _said(original) | ({} if blocks is None else {"blocks": blocks})


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_span_may_come_from_anywhere(form: Callable[[ReadableSpan], Any], profile: str) -> None:
    """A span that was exported, or read back from OTLP, holds the same conversation."""
    original, _ = ANSWERED["anthropic"]
    span = _span_of(SystemMessage("Be brief."), original, profile)

    assert messages_from_span(form(span)) == messages_from_span(span)
    assert [type(message) for message in messages_from_span(form(span))] == [SystemMessage, AIMessage]


def test_calls_between_texts_keep_their_place() -> None:
    """An answer that goes on after a call says so in the same order."""
    blocks: list[Any] = [{"type": "reasoning", "reasoning": "Hm."}, CALL, _text("Meanwhile.")]
    original = AIMessage(blocks, tool_calls=[CALL], response_metadata={"output_version": "v1"})

    _, restored = messages_from_span(_span_of(HumanMessage("why?"), original, "compat"))

    assert restored.content_blocks == blocks
    assert restored.tool_calls == [CALL]  # type: ignore[union-attr]


def test_a_tool_of_mcp_keeps_its_name_and_its_servers() -> None:
    """Which tool of which server was called comes back where LangChain has it: beside the name of all of them."""
    call: dict[str, Any] = {"type": "server_tool_call", "id": "1", "name": "remote_mcp", "args": {"x": 1}}
    blocks: list[Any] = [{**call, "extras": {"tool_name": "lookup", "server_label": "library"}}, _text("Found.")]
    original = AIMessage(blocks, response_metadata={"output_version": "v1"})

    _, restored = messages_from_span(_span_of(HumanMessage("why?"), original, "compat"))

    assert restored.content == blocks


def test_an_old_function_message_is_a_tools() -> None:
    """What LangChain had before tool messages comes back as one, without the id that it never had."""
    restored, _ = messages_from_span(_span_of(FunctionMessage(content="r", name="f"), AIMessage("ok"), "compat"))

    assert restored == ToolMessage("r", tool_call_id="", name="f")


def test_instructions_of_other_libraries_come_first() -> None:
    """A library that keeps the system's words apart has them at the beginning."""
    attributes = {
        "gen_ai.system_instructions": '[{"type":"text","content":"Be brief."}]',
        "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"why?"}]}]',
    }

    assert messages_from_span({"attributes": attributes}) == [SystemMessage("Be brief."), HumanMessage("why?")]


def test_openinference_of_other_libraries_can_be_read() -> None:
    """Flattened messages are read as OpenInference defines them, whatever order the attributes have."""
    attributes = {
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"q": 1}',
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "f",
        "llm.output_messages.0.message.role": "assistant",
        "llm.input_messages.1.message.contents.1.message_content.image.image.url": URL,
        "llm.input_messages.1.message.contents.0.message_content.type": "text",
        "llm.input_messages.1.message.contents.0.message_content.text": "what?",
        "llm.input_messages.1.message.role": "user",
        "llm.input_messages.0.message.content": "Be brief.",
        "llm.input_messages.0.message.role": "system",
        "llm.input_messages_are_many": True,
    }

    assert messages_from_span({"attributes": attributes}) == [
        SystemMessage("Be brief."),
        HumanMessage([_text("what?"), {"type": "image", "url": URL}]),
        AIMessage("", tool_calls=[{"type": "tool_call", "id": None, "name": "f", "args": {"q": 1}}]),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        "[]",
        '{"type":"hologram"}',
        '{"type":"uri","modality":"image","uri":"x"}',
        '{"type":"tool_call","name":"n","arguments":{}}',
        '[{"type":"text","content":"a"}]',
    ],
)
def test_json_that_a_user_wrote_stays_a_text(text: str) -> None:
    """A text that looks like the JSON of a part is a text; so is a tool's."""
    for asked in (HumanMessage(text), ToolMessage(text, tool_call_id="1")):
        restored, _ = messages_from_span(_span_of(asked, AIMessage("ok"), "openinference"))

        assert restored == asked


@pytest.mark.parametrize("span", [{}, {"attributes": None}, {"attributes": []}, object(), None])
def test_what_holds_no_messages_has_none(span: object) -> None:
    """Whatever else is passed has an empty conversation."""
    assert spoken.messages_from_span(span) == []
