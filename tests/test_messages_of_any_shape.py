"""Messages on spans that are not as the conventions have them, or that were cut to size: all can be read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.tool import invalid_tool_call

from chainspan import _messages as spoken
from chainspan import messages_from_span
from chainspan._content import ContentPolicy, Gate
from chainspan._encode import mask_text
from chainspan._model import Message, RunKind, RunStart
from chainspan._profiles import profile
from chainspan.langchain._messages import messages

PROFILES = ["compat", "latest", "openinference"]

CALL: Any = {
    "type": "tool_call",
    "id": "call_1",
    "name": "look_up",
    "args": {"what": 'it\'s "x"', "n": None, "名": ["é"]},
}
SPOKEN: list[AnyMessage] = [
    SystemMessage("Be brief."),
    HumanMessage([{"type": "text", "text": "what is it?"}, {"type": "image", "url": "https://host/a.png"}], name="Ada"),
    AIMessage([{"type": "reasoning", "reasoning": "Look it up."}, {"type": "text", "text": "One moment."}]),
    AIMessage("", tool_calls=[CALL]),
    ToolMessage([{"type": "text", "text": "a"}, {"type": "file", "file_id": "file-1"}], tool_call_id="call_1"),
]


def _span(text: str | None) -> Any:
    return {"attributes": {"gen_ai.input.messages": text}}


def _start(name: str, said: Sequence[Message]) -> Any:
    run = RunStart(
        run_id=UUID(int=1), parent_id=None, kind=RunKind.CHAT, run_type="llm", name="m", messages=lambda: said
    )
    return {"attributes": profile(name).start(run, Gate.of(True))}


def _written(sent: list[AnyMessage]) -> str | None:
    return Gate.of(True).messages(messages(sent))


@pytest.mark.parametrize(
    "part",
    [
        {"id": "rs_1", "type": "reasoning"},
        {"type": "text"},
        {"type": "text", "content": 5},
        {"type": "file", "file": {"path": "/a"}},
        {"type": "uri", "uri": "https://host/a"},
        {"type": "blob", "content": "a"},
        {"type": "compaction", "content": ["a"]},
        {"type": "tool_call", "id": 5, "name": "f"},
        {"type": "tool_call_response", "id": "1"},
        {"type": "server_tool_call", "name": "f", "server_tool_call": "a"},
        {"type": ""},
    ],
    ids=json.dumps,
)
def test_a_part_of_another_shape_than_its_types_is_kept(part: dict[str, Any]) -> None:
    """What a provider calls by a name of the conventions', and means something else by, is there as it is."""
    text = json.dumps([{"role": "user", "parts": [part]}])

    assert spoken.messages_from_span(_span(text)) == [
        spoken.ChatMessage(role="user", parts=[spoken.GenericPart.model_validate(part)])
    ]
    [restored] = messages_from_span(_span(text))
    assert restored == HumanMessage([part])


def test_a_call_without_a_name_is_a_call() -> None:
    """A call whose name was left out, or is none, has an empty one."""
    calls = [{"type": "tool_call", "id": "1", "arguments": {}}, {"type": "tool_call", "name": None, "arguments": "{no"}]

    [restored] = messages_from_span(_span(json.dumps([{"role": "assistant", "parts": calls}])))

    assert restored == AIMessage(
        "",
        tool_calls=[{"type": "tool_call", "id": "1", "name": "", "args": {}}],
        invalid_tool_calls=[invalid_tool_call(name="", args="{no", id=None, error=None)],
    )


@pytest.mark.parametrize("response", [5, {"a": [1]}], ids=["number", "object"])
def test_a_tools_answer_of_another_library_is_a_text(response: object) -> None:
    """LangChain has texts and blocks for what a tool answered; anything else is there as JSON."""
    answer = {"type": "tool_call_response", "id": "1", "response": response}

    [restored] = messages_from_span(_span(json.dumps([{"role": "tool", "parts": [answer]}])))

    assert restored == ToolMessage(json.dumps(response, separators=(",", ":")), tool_call_id="1")


def test_arguments_that_are_no_object_are_a_text() -> None:
    """A call with a list of arguments is one that LangChain takes for invalid, and is there with them."""
    call = {"type": "tool_call", "id": "1", "name": "f", "arguments": [1]}

    [restored] = messages_from_span(_span(json.dumps([{"role": "assistant", "parts": [call]}])))

    assert restored == AIMessage("", invalid_tool_calls=[invalid_tool_call(name="f", args="[1]", id="1", error=None)])


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
KEYS = ["content", "id", "name", "arguments", "response", "modality", "uri", "file_id", "mime_type", "server_tool_call"]
TYPES = [
    "text",
    "reasoning",
    "tool_call",
    "tool_call_response",
    "server_tool_call",
    "blob",
    "file",
    "uri",
    "compaction",
]
ANY_PART = ANY_JSON | st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES) | ANY_JSON}, optional=dict.fromkeys(KEYS, ANY_JSON)
)


@given(st.sampled_from(["system", "user", "assistant", "tool", "critic"]), st.lists(ANY_PART, max_size=4))
def test_whatever_stands_among_parts_can_be_read(role: str, parts: list[Any]) -> None:
    """No part of another library's keeps a conversation from being read, and each is there with all it holds."""
    text = json.dumps([{"role": role, "parts": parts}])

    [message] = spoken.messages_from_span(_span(text))
    [restored] = messages_from_span(_span(text))

    for part, read in zip(parts, message.parts, strict=True):
        if isinstance(part, dict):
            assert read.model_dump().items() >= {key: part[key] for key in part if key not in ("type", "name")}.items()
    assert isinstance(restored.content_blocks, list)


TEXT = {"type": "text", "text": "p"}
LEFT_OUT: dict[str, tuple[list[AnyMessage], list[AnyMessage]]] = {
    "messages": (
        [HumanMessage("y z" * 300 + str(number)) for number in range(800)],
        [SystemMessage("[+527]"), *[HumanMessage("y z" * 300 + str(number)) for number in range(527, 800)]],
    ),
    "parts": (
        [HumanMessage([TEXT] * 12_000)],
        [HumanMessage([*[TEXT] * 32, {"type": "text", "text": "[+11936]"}, *[TEXT] * 32])],
    ),
    "parts-of-a-tools": (
        [ToolMessage([TEXT] * 12_000, tool_call_id="c")],
        [ToolMessage([*[TEXT] * 32, {"type": "text", "text": "[+11936]"}, *[TEXT] * 32], tool_call_id="c")],
    ),
}


@pytest.mark.parametrize(("sent", "left"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_a_conversation_that_was_shortened_comes_back(sent: list[AnyMessage], left: list[AnyMessage]) -> None:
    """Where messages or parts were left out, a word says how many."""
    assert messages_from_span(_span(_written(sent))) == left


def test_what_is_left_of_a_conversation_without_room_is_read() -> None:
    """A conversation of which only its size is left, and an answer whose parts are gone, have a word in their place."""
    answer = '[{"role":"assistant","[+2]":"","finish_reason":"stop"}]'

    assert messages_from_span(_span('"[+1234 bytes]"')) == [SystemMessage("[+1234 bytes]")]
    assert messages_from_span(_span(answer)) == [AIMessage("[+2]")]


@given(
    st.lists(st.sampled_from(SPOKEN), max_size=9),
    st.integers(0, 30),
    st.integers(200, 2_000),
    st.booleans(),
)
def test_a_conversation_of_any_size_comes_back(sent: list[AnyMessage], calls: int, limit: int, is_answer: bool) -> None:
    """However little room there was for it, what a span holds of a conversation can be read."""
    sent = [*sent, AIMessage("Hm." * calls, name="Ada", tool_calls=[{**CALL, "id": f"c{n}"} for n in range(calls)])]
    gate = Gate.of(ContentPolicy(capture=True, max_attribute_bytes=limit))

    restored = messages_from_span(_span(gate.messages(messages(sent), ["stop"] * len(sent) if is_answer else [])))

    assert 0 < len(restored) <= len(sent)


# What a user may write, of which some is what the profile openinference writes for a part.
LIKE_PARTS = st.sampled_from(
    [{"type": kind, "modality": "image", "uri": "x", "content": "y", "name": "n"} for kind in TYPES]
)
JSON_TEXTS = (ANY_PART | LIKE_PARTS | st.lists(LIKE_PARTS | ANY_PART, max_size=2)).map(json.dumps)
WORDS = st.text(max_size=20) | st.sampled_from(["parts", "[+5]", '"[+5 bytes]"', "chainspan.holds"])
TEXTS = (JSON_TEXTS | WORDS).filter(lambda text: mask_text(text) == text)
PARTS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    TEXTS.map(lambda text: {"type": "text", "content": text}),
    TEXTS.map(lambda text: {"type": "reasoning", "content": text}),
    TEXTS.map(lambda text: {"type": "uri", "modality": "image", "uri": text}),
    TEXTS.map(lambda text: {"type": "hologram", "content": text}),
    st.fixed_dictionaries({"type": st.sampled_from(["file", "uri", "compaction", "text"])}, optional={"a": ANY_JSON}),
    st.just({"type": "file", "modality": "document", "file_id": "file-1"}),
)
CALLS = st.dictionaries(st.text(max_size=5), ANY_JSON | TEXTS, max_size=2).map(
    lambda arguments: {"type": "tool_call", "id": "c1", "name": "f", "arguments": arguments}
)
SAID = st.one_of(
    st.builds(Message, st.sampled_from(["system", "user", "critic"]), st.lists(PARTS, max_size=4)),
    st.builds(
        lambda parts, calls: Message("assistant", parts + calls),
        st.lists(PARTS, max_size=3),
        st.lists(CALLS, max_size=2),
    ),
    (TEXTS | st.lists(PARTS, max_size=3)).map(
        lambda response: Message("tool", [{"type": "tool_call_response", "id": "c1", "response": response}])
    ),
)


@given(st.lists(SAID, max_size=2))
def test_a_conversation_is_the_same_in_every_profile(said: list[Message]) -> None:
    """What a user wrote comes back as a text, and what was a part as that part, whatever either looks like."""
    compat, *others = (messages_from_span(_start(name, said)) for name in PROFILES)

    assert others == [compat, compat]


@given(TEXTS)
def test_a_text_is_a_text_in_every_profile(text: str) -> None:
    """No text of a user's or a tool's is taken for anything else than what it is."""
    for said in (HumanMessage(text), ToolMessage(text, tool_call_id="c1")):
        assert [messages_from_span(_start(name, messages([said]))) for name in PROFILES] == [[said]] * 3


def test_what_openinference_has_no_field_for_is_marked() -> None:
    """A file stands in a text as JSON, as backends show it, and beside it stands that it does."""
    file = {"type": "file", "modality": "document", "file_id": "a"}
    said = [Message("user", [file]), Message("user", [{"type": "text", "content": "{}"}, file])]
    start = _start("openinference", said)["attributes"]

    written, prefix = '{"type":"file","modality":"document","file_id":"a"}', "llm.input_messages."
    assert {key.removeprefix(prefix): start[key] for key in start if key.startswith(prefix)} == {
        "0.message.role": "user",
        "0.message.content": written,
        "0.message.chainspan.holds": "parts",
        "1.message.role": "user",
        "1.message.contents.0.message_content.type": "text",
        "1.message.contents.0.message_content.text": "{}",
        "1.message.contents.1.message_content.type": "text",
        "1.message.contents.1.message_content.text": written,
        "1.message.contents.1.message_content.chainspan.holds": "parts",
    }


def test_what_was_cut_after_it_was_written_is_a_text() -> None:
    """JSON of a part that an SDK's own limit has cut is what is left of it."""
    attributes = {
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": '{"type":"fi',
        "llm.input_messages.0.message.chainspan.holds": "parts",
    }

    assert messages_from_span({"attributes": attributes}) == [HumanMessage('{"type":"fi')]
