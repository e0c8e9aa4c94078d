"""What a span says of a conversation can be read back: as typed messages, and as LangChain's own."""

from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    ChatMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages.tool import invalid_tool_call
from pydantic import ValidationError

from chainspan import _messages as spoken
from chainspan import messages_from_span
from chainspan._content import Gate
from chainspan.langchain._messages import messages

CALL = {"type": "tool_call", "id": "call_1", "name": "look_up", "args": {"what": 'it\'s "x"', "n": None, "名": ["é"]}}
CONVERSATION: dict[str, AnyMessage] = {
    "system": SystemMessage("Be brief."),
    "user": HumanMessage("Wie geht's? \n 東京", name="Ada"),
    "image": HumanMessage([{"type": "text", "text": "what is it?"}, {"type": "image", "url": "https://host/a.png"}]),
    "file": HumanMessage([{"type": "file", "file_id": "file-1", "mime_type": "application/pdf"}]),
    "reasoning": AIMessage(
        [{"type": "reasoning", "reasoning": "Look it up."}, {"type": "text", "text": "One moment."}]
    ),
    "tool-call": AIMessage("", tool_calls=[CALL]),
    "bad-tool-call": AIMessage(
        "", invalid_tool_calls=[invalid_tool_call(name="look_up", args="{no json", id="call_2", error=None)]
    ),
    "tool": ToolMessage("found", tool_call_id="call_1"),
    "tool-blocks": ToolMessage([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], tool_call_id="call_1"),
    "own-role": ChatMessage(content="as you like", role="critic"),
}


def _texts(*texts: str) -> list[object]:
    return [{"type": "text", "content": text} for text in texts]


def _span(text: str | None) -> Any:
    return SimpleNamespace(attributes={"gen_ai.input.messages": text})


def _written(given: list[Any]) -> str:
    return Gate.of(True).messages(messages(given)) or ""


@pytest.mark.parametrize("original", CONVERSATION.values(), ids=CONVERSATION)
def test_a_message_comes_back_from_its_span(original: AnyMessage) -> None:
    """Text, tools, images, files and reasoning say after the way through a span what they said before (pains #30)."""
    [restored] = messages_from_span(_span(_written([original])))

    assert type(restored) is type(original)
    assert restored.content_blocks == original.content_blocks
    assert restored.name == original.name
    for field in ("content", "role", "tool_calls", "invalid_tool_calls", "tool_call_id"):
        assert getattr(restored, field, None) == getattr(original, field, None)


def test_what_went_in_comes_before_what_came_out() -> None:
    """A span's conversation is its input and then its output, each in its order."""
    span = SimpleNamespace(
        attributes={
            "gen_ai.output.messages": '[{"role":"assistant","parts":[{"type":"text","content":"3"}]}]',
            "gen_ai.input.messages": _written([HumanMessage("1"), HumanMessage("2")]),
        }
    )

    assert [message.content for message in messages_from_span(span)] == ["1", "2", "3"]


@pytest.mark.parametrize("span", [_span(None), SimpleNamespace(attributes=None)])
def test_a_span_without_messages_has_none(span: Any) -> None:
    """A span without content, or of another library, holds an empty conversation."""
    assert spoken.messages_from_span(span) == []


def test_what_are_no_messages_is_told() -> None:
    """An attribute that holds something else is an error, and no empty conversation."""
    with pytest.raises(ValidationError):
        spoken.messages_from_span(_span('[{"role":"user"}]'))


@pytest.mark.parametrize("original", CONVERSATION.values(), ids=CONVERSATION)
def test_what_is_written_fits_the_models(original: AnyMessage) -> None:
    """Every message is written with parts of the conventions' types, and none of an unknown one."""
    [message] = spoken.parse_messages(_written([original]))

    assert message.parts
    assert not [part for part in message.parts if isinstance(part, spoken.GenericPart)]


MARKER = "[image/png 8 bytes sha256:4c4b6a3be1314ab8]"
IMAGE = {"type": "blob", "mime_type": "image/png", "modality": "image", "content": "iVBORw0KGgo="}
OPENAI, ANTHROPIC = {"model_provider": "openai"}, {"model_provider": "anthropic"}


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        pytest.param(
            HumanMessage([{"type": "image", "base64": "iVBORw0KGgo=", "mime_type": "image/png"}]), [IMAGE], id="image"
        ),
        pytest.param(
            HumanMessage([{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]),
            [IMAGE],
            id="data-url",
        ),
        pytest.param(
            HumanMessage([{"type": "image_url", "image_url": "https://host/a.png"}]),
            [{"type": "uri", "mime_type": None, "modality": "image", "uri": "https://host/a.png"}],
            id="image-url",
        ),
        pytest.param(
            HumanMessage([{"type": "document_url", "document_url": "https://host/a.pdf"}]),
            [{"type": "uri", "mime_type": None, "modality": "document", "uri": "https://host/a.pdf"}],
            id="document-url-of-mistral",
        ),
        pytest.param(
            HumanMessage([{"type": "input_audio", "input_audio": "UklGRg=="}]),
            [{"type": "blob", "mime_type": None, "modality": "audio", "content": "UklGRg=="}],
            id="audio-of-mistral",
        ),
        pytest.param(
            HumanMessage([{"type": "input_audio", "input_audio": "https://host/a.mp3"}]),
            [{"type": "uri", "mime_type": None, "modality": "audio", "uri": "https://host/a.mp3"}],
            id="audio-url-of-mistral",
        ),
        pytest.param(
            HumanMessage([{"type": "file", "base64": "JVBERi0=", "mime_type": "application/pdf"}]),
            [{"type": "blob", "mime_type": "application/pdf", "modality": "document", "content": "JVBERi0="}],
            id="pdf",
        ),
        pytest.param(
            ToolMessage(
                [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}],
                tool_call_id="1",
            ),
            [{"type": "tool_call_response", "id": "1", "response": [{**IMAGE, "content": MARKER}]}],
            id="image-of-a-tool",
        ),
        pytest.param(
            AIMessage("yes", additional_kwargs={"reasoning_content": "hm"}, response_metadata=OPENAI),
            [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "yes"}],
            id="deepseek",
        ),
        pytest.param(
            AIMessage([{"type": "reasoning_content", "reasoning_content": {"text": "hm", "signature": "s"}}, "yes"]),
            [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "yes"}],
            id="amazon",
        ),
        pytest.param(
            AIMessage(
                [{"type": "thinking", "thinking": [{"type": "text", "text": "h"}, {"type": "text", "text": "m"}]}]
            ),
            [{"type": "reasoning", "content": "hm"}],
            id="mistral",
        ),
        pytest.param(
            AIMessage([{"type": "refusal", "refusal": "I will not."}], response_metadata=OPENAI),
            [{"type": "text", "content": "I will not."}],
            id="refusal",
        ),
        pytest.param(
            AIMessage(
                [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}},
                ],
                tool_calls=[{"type": "tool_call", "id": "1", "name": "f", "args": {"a": 1}}],
                response_metadata=ANTHROPIC,
            ),
            [
                {"type": "reasoning", "content": "hm"},
                {"type": "tool_call", "id": "1", "name": "f", "arguments": {"a": 1}},
            ],
            id="anthropic",
        ),
        pytest.param(
            AIMessage(
                [{"type": "text", "text": "hm"}, {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}}],
                tool_calls=[{"type": "tool_call", "id": "1", "name": "f", "args": {"a": 1}}],
            ),
            [*_texts("hm"), {"type": "tool_call", "id": "1", "name": "f", "arguments": {"a": 1}}],
            id="anthropic-by-who-does-not-say-so",
        ),
        pytest.param(
            AIMessage(
                [{"type": "custom_tool_call", "id": "ctc_1", "call_id": "1", "name": "run", "input": "1 + 2"}],
                tool_calls=[{"type": "tool_call", "id": "1", "name": "run", "args": {"__arg1": "1 + 2"}}],
            ),
            [{"type": "tool_call", "id": "1", "name": "run", "arguments": {"__arg1": "1 + 2"}}],
            id="openai-by-who-does-not-say-so",
        ),
        pytest.param(
            AIMessage([{"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}}]),
            [{"type": "tool_call", "id": "1", "name": "f", "arguments": {"a": 1}}],
            id="call-in-the-content-alone",
        ),
        pytest.param(
            AIMessage(
                [
                    {"type": "server_tool_call", "id": "1", "name": "web_search", "args": {"query": "x"}},
                    {"type": "server_tool_result", "tool_call_id": "1", "status": "success", "output": ["y"]},
                ]
            ),
            [
                {
                    "type": "server_tool_call",
                    "id": "1",
                    "name": "web_search",
                    "server_tool_call": {"type": "web_search", "arguments": {"query": "x"}},
                },
                {
                    "type": "server_tool_call_response",
                    "id": "1",
                    "server_tool_call_response": {"type": "server_tool_result", "status": "success", "output": ["y"]},
                },
            ],
            id="server-tool",
        ),
        pytest.param(
            AIMessage(
                [
                    {
                        "type": "server_tool_call",
                        "id": "1",
                        "name": "remote_mcp",
                        "args": {"x": 1},
                        "extras": {"tool_name": "lookup", "server_label": "library", "status": "completed"},
                    },
                    {"type": "server_tool_result", "tool_call_id": "1", "output": "y", "index": "lc_mcpr_1"},
                ]
            ),
            [
                {
                    "type": "server_tool_call",
                    "id": "1",
                    "name": "lookup",
                    "server_tool_call": {"type": "remote_mcp", "arguments": {"x": 1}, "server_label": "library"},
                },
                {
                    "type": "server_tool_call_response",
                    "id": "1",
                    "server_tool_call_response": {"type": "server_tool_result", "output": "y"},
                },
            ],
            id="streamed-tool-of-mcp",
        ),
        pytest.param(
            AIMessage(
                [
                    {"type": "custom_tool_call", "id": "ctc_1", "call_id": "1", "name": "run", "input": "1 + 2"},
                    {"type": "text", "text": "One moment."},
                ],
                tool_calls=[{"type": "tool_call", "id": "1", "name": "run", "args": {"__arg1": "1 + 2"}}],
                response_metadata=OPENAI,
            ),
            [
                {"type": "tool_call", "id": "1", "name": "run", "arguments": {"__arg1": "1 + 2"}},
                *_texts("One moment."),
            ],
            id="custom-tool",
        ),
        pytest.param(
            AIMessage(
                [
                    "Let me see.",
                    {"type": "web_search_tool_result", "tool_use_id": "1", "content": [{"url": "https://host"}]},
                ],
                response_metadata=ANTHROPIC,
            ),
            [
                *_texts("Let me see."),
                {
                    "type": "server_tool_call_response",
                    "id": "1",
                    "server_tool_call_response": {
                        "type": "server_tool_result",
                        "status": "success",
                        "output": [{"url": "https://host"}],
                    },
                },
            ],
            id="text-before-a-providers-block",
        ),
        pytest.param(
            AIMessage([{"type": "text", "text": "a"}], response_metadata={"model_provider": "groq"}),
            _texts("a"),
            id="list-of-groq",
        ),
        pytest.param(HumanMessage(["a", {"type": "text", "text": "b"}]), _texts("a", "b"), id="mixed"),
        pytest.param(
            AIMessage(["", {"type": "thinking", "thinking": "hm"}, "yes"], response_metadata=ANTHROPIC),
            [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "yes"}],
            id="streamed-after-thinking",
        ),
        pytest.param(
            AIMessage(["a", {"type": "text", "text": "b"}], response_metadata={"model_provider": "groq"}),
            _texts("a", "b"),
            id="mixed-of-a-provider",
        ),
        pytest.param(
            AIMessage("", additional_kwargs={"refusal": "I will not."}, response_metadata=OPENAI),
            _texts("I will not."),
            id="refusal-beside-the-content",
        ),
        pytest.param(
            AIMessage(
                "", additional_kwargs={"refusal": None, "audio": {"id": "a", "data": "UklGRg==", "transcript": "hi"}}
            ),
            [*_texts("hi"), {"type": "blob", "mime_type": None, "modality": "audio", "content": "UklGRg=="}],
            id="audio-beside-the-content",
        ),
        pytest.param(
            AIMessage("", additional_kwargs={"function_call": {"name": "f", "arguments": '{"a": 1}'}}),
            [{"type": "tool_call", "id": None, "name": "f", "arguments": {"a": 1}}],
            id="function-of-old",
        ),
        pytest.param(
            AIMessage("", additional_kwargs={"function_call": {"name": "f", "arguments": '{"a": '}}),
            [{"type": "tool_call", "id": None, "name": "f", "arguments": '{"a": '}],
            id="function-of-old-cut-off",
        ),
        pytest.param(
            AIMessage(
                "",
                additional_kwargs={"function_call": {"name": "f", "arguments": "{}"}},
                tool_calls=[{"type": "tool_call", "id": "1", "name": "f", "args": {}}],
                response_metadata={"model_provider": "google_genai"},
            ),
            [{"type": "tool_call", "id": "1", "name": "f", "arguments": {}}],
            id="function-of-google",
        ),
        pytest.param(
            HumanMessage([{"type": "text-plain", "url": "https://host/a.txt", "mime_type": "text/plain"}]),
            [{"type": "uri", "mime_type": "text/plain", "modality": "document", "uri": "https://host/a.txt"}],
            id="text-by-url",
        ),
        pytest.param(HumanMessage([{"type": "text", "text": None}]), _texts(""), id="no-text"),
    ],
)
def test_content_blocks_become_parts(message: AnyMessage, parts: list[object]) -> None:
    """Whatever a provider calls its blocks, the conventions have one name for what they are (pains #57)."""
    [made] = messages([message])

    assert list(made.parts) == parts


def test_parts_of_unknown_types_are_kept() -> None:
    """A part that only the provider knows is written and read as it is."""
    [message] = spoken.parse_messages(_written([HumanMessage([{"type": "hologram", "depth": 3}])]))

    assert message.parts[0].model_dump() == {"type": "hologram", "depth": 3}


def test_what_is_no_message_is_left_out() -> None:
    """An order to remove a message, and what is no message at all, are not part of a conversation."""
    assert messages([RemoveMessage("id"), None, 5, HumanMessage("hi")]) == messages([HumanMessage("hi")])


# ---------------------------------------------------------------- an unchanged history


def test_a_history_is_made_and_written_once() -> None:
    """A message that is sent again with the next call is the same object, with its text (pains #72)."""
    history = [HumanMessage("hello"), AIMessage("", tool_calls=[CALL]), AIMessage([{"type": "text", "text": "x"}])]
    gate = Gate.of(True)

    first = messages(history)
    gate.messages(first)
    again = messages([*history, HumanMessage("more")])

    assert all(one is other for one, other in zip(first, again, strict=False))
    assert all(message.memo for message in again[:3])


@pytest.mark.parametrize(
    "change",
    [
        lambda message: setattr(message, "content", "changed"),
        lambda message: message.tool_calls[0]["args"].update(what="changed"),
        lambda message: message.tool_calls.append({**CALL, "id": "call_2"}),
    ],
    ids=["content", "arguments", "calls"],
)
def test_a_message_that_was_changed_is_written_anew(change: Any) -> None:
    """What is remembered of a message never outlives what it said."""
    message = AIMessage("said", tool_calls=[{**CALL, "args": {"what": "it"}}])
    before = _written([message])

    change(message)

    assert _written([message]) != before
    assert _written([message]) == _written([message.model_copy(deep=True)])


@pytest.mark.parametrize(
    ("message", "change"),
    [
        (AIMessage("said"), {"name": "researcher"}),
        (AIMessage("said"), {"invalid_tool_calls": [invalid_tool_call(name="f", args="{", id="1", error=None)]}),
        (AIMessage("", tool_calls=[CALL]), {"additional_kwargs": {"reasoning_content": "hm"}}),
        (HumanMessage("said"), {"name": "ada"}),
        (ToolMessage("found", tool_call_id="1"), {"tool_call_id": "2"}),
        (ChatMessage(content="said", role="critic"), {"role": "judge"}),
        (SystemMessage([{"type": "text", "text": "a"}]), {"content": "b"}),
    ],
)
def test_whatever_of_a_message_was_changed_it_is_written_anew(message: AnyMessage, change: dict[str, Any]) -> None:
    """Agents give their model's answers a name after these were recorded (pains #72)."""
    before = _written([message])

    for field, value in change.items():
        setattr(message, field, value)

    assert _written([message]) == _written([message.model_copy(deep=True)]) != before


def test_a_list_of_blocks_that_was_changed_is_written_anew() -> None:
    """Content that changes in place is noticed."""
    message = HumanMessage([{"type": "text", "text": "before"}])
    _written([message])

    message.content[0]["text"] = "after"  # type: ignore[index]

    assert "after" in _written([message])


def test_nothing_is_remembered_of_messages_that_are_gone() -> None:
    """The memory holds no message alive, and forgets with it."""
    from chainspan.langchain._messages import _memory  # noqa: PLC0415

    gc.collect()  # of what other tests have left
    before = len(_memory)
    history = [HumanMessage(f"hello {n}") for n in range(100)]
    _written(history)
    held = len(_memory)

    del history

    assert (held - before, len(_memory) - before) == (100, 0)
