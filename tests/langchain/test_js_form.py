"""The shape in which LangChain.js writes an object, for the Python object of the same meaning."""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from numbers import Integral
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.agents import AgentAction, AgentActionMessageLog, AgentFinish
from langchain_core.documents import Document
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.outputs import ChatGeneration, Generation, LLMResult
from langchain_core.prompt_values import ChatPromptValue, ImagePromptValue, StringPromptValue
from langchain_core.prompts import ChatPromptTemplate
from langgraph.types import Command, Interrupt, Send
from pydantic import BaseModel, Field, SecretStr

from chainspan._jstext import stringify
from chainspan.langchain._js import js_form


def constructor(module: str, name: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return what LangChain.js writes for an object that can be loaded again."""
    return {"lc": 1, "type": "constructor", "id": ["langchain_core", module, name], "kwargs": kwargs}


def assert_same_text(value: object, expected: object) -> None:
    """Compare two forms and the order of their keys."""
    assert json.dumps(js_form(value), indent=1) == json.dumps(expected, indent=1)


ALWAYS: dict[str, Any] = {"additional_kwargs": {}, "response_metadata": {}}
NO_CALLS: dict[str, Any] = {"tool_calls": [], "invalid_tool_calls": []}
CALL = {"name": "add", "args": {"a": 1}, "id": "c1", "type": "tool_call"}
BAD_CALL = {"name": "add", "args": "{", "id": "c2", "error": "cut", "type": "invalid_tool_call"}
USAGE: Any = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}


@pytest.mark.parametrize(
    ("message", "name", "kwargs"),
    [
        (HumanMessage("hi"), "HumanMessage", {"content": "hi", **ALWAYS}),
        (SystemMessage("hi", name="s"), "SystemMessage", {"content": "hi", "name": "s", **ALWAYS}),
        (HumanMessage("hi", id="m1"), "HumanMessage", {"content": "hi", "id": "m1", **ALWAYS}),
        (HumanMessage("hi", id=None, name=None), "HumanMessage", {"content": "hi", **ALWAYS}),
        (ChatMessage(content="hi", role="poet"), "ChatMessage", {"content": "hi", "role": "poet", **ALWAYS}),
        (HumanMessageChunk(content="hi"), "HumanMessageChunk", {"content": "hi", **ALWAYS}),
        (AIMessage("hi"), "AIMessage", {"content": "hi", **NO_CALLS, **ALWAYS}),
        (
            AIMessage("", tool_calls=[CALL], usage_metadata=USAGE),
            "AIMessage",
            {"content": "", "tool_calls": [CALL], "usage_metadata": USAGE, "invalid_tool_calls": [], **ALWAYS},
        ),
        (
            AIMessage("", invalid_tool_calls=[BAD_CALL]),
            "AIMessage",
            {"content": "", "invalid_tool_calls": [BAD_CALL], "tool_calls": [], **ALWAYS},
        ),
        (
            AIMessage("hi", response_metadata={"model": "m"}),
            "AIMessage",
            {"content": "hi", "response_metadata": {"model": "m"}, **NO_CALLS, "additional_kwargs": {}},
        ),
        (
            ToolMessage("3", tool_call_id="c1", status="error", artifact={"a": (1, 2)}),
            "ToolMessage",
            {"content": "3", "tool_call_id": "c1", "status": "error", "artifact": {"a": [1, 2]}, **ALWAYS},
        ),
        (
            AIMessageChunk(content="hi"),
            "AIMessageChunk",
            {"content": "hi", **NO_CALLS, "tool_call_chunks": [], **ALWAYS},
        ),
        (RemoveMessage(id="m1"), "RemoveMessage", {"id": "m1", "content": [], **ALWAYS}),
    ],
    ids=[
        *("human", "named", "id", "none", "role", "human-chunk", "ai", "calls", "bad-calls"),
        *("metadata", "tool", "ai-chunk", "remove"),
    ],
)
def test_message_lists_what_was_given_then_what_is_always_there(
    message: BaseMessage, name: str, kwargs: dict[str, Any]
) -> None:
    """The keys of a message stand where LangChain.js puts them."""
    assert_same_text(message, constructor("messages", name, kwargs))


def test_answer_of_a_model_ends_with_the_id_of_its_run() -> None:
    """The id that LangChain adds to an answer stands behind all that the model gave."""
    message = FakeListChatModel(responses=["hi"]).invoke("question")

    kwargs = {"content": "hi", **NO_CALLS, **ALWAYS, "id": message.id}
    assert_same_text(message, constructor("messages", "AIMessage", kwargs))


def test_joined_chunks_keep_the_order_of_joining() -> None:
    """A streamed answer lists its fields in the order that joining its pieces leaves."""
    message = AIMessageChunk(content="1 +", id="run-1") + AIMessageChunk(content=" 2", usage_metadata=USAGE)

    kwargs = {"content": "1 + 2", **ALWAYS, "tool_call_chunks": [], "tool_calls": []}
    kwargs = {**kwargs, "id": "run-1", "usage_metadata": USAGE, "invalid_tool_calls": []}
    assert_same_text(message, constructor("messages", "AIMessageChunk", kwargs))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            ChatPromptValue(messages=[HumanMessage("hi")]),
            constructor(
                "prompt_values",
                "ChatPromptValue",
                {"messages": [constructor("messages", "HumanMessage", {"content": "hi", **ALWAYS})]},
            ),
        ),
        (
            ChatPromptTemplate.from_messages([]).invoke({}),
            constructor("prompt_values", "ChatPromptValue", {"messages": []}),
        ),
        (StringPromptValue(text="hi"), constructor("prompt_values", "StringPromptValue", {"value": "hi"})),
        (
            ImagePromptValue(image_url={"url": "u"}),
            constructor("prompt_values", "ImagePromptValue", {"image_url": {"url": "u"}}),
        ),
        (Document("text", metadata={"source": "a"}), {"pageContent": "text", "metadata": {"source": "a"}}),
        (Document("text", id="d1"), {"pageContent": "text", "metadata": {}, "id": "d1"}),
        (
            LLMResult(generations=[[Generation(text="hi", generation_info={"n": 1})]], llm_output={}),
            {"generations": [[{"text": "hi", "generationInfo": {"n": 1}}]], "llmOutput": {}},
        ),
        (
            ChatGeneration(message=HumanMessage("hi"), generation_info={"n": 1}),
            {
                "text": "hi",
                "message": constructor("messages", "HumanMessage", {"content": "hi", **ALWAYS}),
                "generationInfo": {"n": 1},
            },
        ),
        (AgentAction("add", {"a": 1}, "log"), {"tool": "add", "toolInput": {"a": 1}, "log": "log"}),
        (
            AgentActionMessageLog(tool="add", tool_input="1", log="log", message_log=[]),
            {"tool": "add", "toolInput": "1", "log": "log", "messageLog": []},
        ),
        (AgentFinish({"output": 3}, "log"), {"returnValues": {"output": 3}, "log": "log"}),
        (Send("work", {"n": (1,)}), {"lg_name": "Send", "node": "work", "args": {"n": [1]}}),
        (
            Command(update={"n": 1}, goto="work"),
            {"lg_name": "Command", "update": {"n": 1}, "goto": ["work"]},
        ),
        (Interrupt(value={"q": 1}, id="i1"), {"id": "i1", "value": {"q": 1}}),
        (Command(resume="yes"), {"lg_name": "Command", "resume": "yes", "goto": []}),
        (
            Command(goto=["a", Send("b", 1)], graph=Command.PARENT),
            {
                "lg_name": "Command",
                "goto": ["a", {"lg_name": "Send", "node": "b", "args": 1}],
                "graph": "__parent__",
            },
        ),
        (
            ChatPromptTemplate.from_messages([]),
            {"lc": 1, "type": "not_implemented", "id": ["langchain", "prompts", "chat", "ChatPromptTemplate"]},
        ),
    ],
    ids=[
        *("chat-prompt", "prompt-output", "string-prompt", "image-prompt", "document", "document-id"),
        *("result", "chat-generation", "action", "action-log", "finish"),
        *("send", "command", "interrupt", "command-resume", "command-parent", "template"),
    ],
)
def test_langchain_object_has_the_names_of_langchain_js(value: object, expected: object) -> None:
    """Fields have their JavaScript names and order; what is None is left out."""
    assert_same_text(value, expected)


def test_record_that_looks_like_a_constructor_is_marked_inside_of_a_message() -> None:
    """A user's dict with a key ``lc`` cannot be taken for an object of LangChain."""
    message = HumanMessage("hi", additional_kwargs={"a": {"lc": 1}, "b": [{"__lc_escaped__": {"lc": 2}}]})

    escaped = {"a": {"__lc_escaped__": {"lc": 1}}, "b": [{"__lc_escaped__": {"__lc_escaped__": {"lc": 2}}}]}
    kwargs = {"content": "hi", "additional_kwargs": escaped, "response_metadata": {}}
    assert_same_text([message, {"lc": 3}], [constructor("messages", "HumanMessage", kwargs), {"lc": 3}])


class Color(Enum):
    """An enum of text."""

    RED = "red"


class Size(IntEnum):
    """A number with a name."""

    SMALL = 1


class Mood(str, Enum):
    """A text with a name."""

    GLAD = "glad"


@dataclass
class Point:
    """A dataclass with a field that it does not show."""

    x: int
    y: object
    secret: str = field(default="hidden", repr=False)


class Order(BaseModel):
    """A model with a secret and a field that it does not export."""

    item: str
    password: SecretStr
    internal: str = Field(default="hidden", exclude=True)


class Bare:
    """Has no description of its own."""


class Described:
    """Describes itself."""

    def __repr__(self) -> str:
        return "Described(1)"


class Hostile(dict[str, object]):
    """Raises from wherever it is read."""

    def items(self) -> Any:
        """Raise."""
        raise RuntimeError("no items")

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class Whole:
    """A number of a library's own, such as NumPy's."""

    def __int__(self) -> int:
        return 7


Integral.register(Whole)


class Text(str):
    """A text with a class of its own."""

    __slots__ = ()


class Mute:
    """Fails to describe itself."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (Text("a"), "a"),
        ((1, "a"), [1, "a"]),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset({"b", "a"}), ["a", "b"]),
        (deque([1, HumanMessage("hi")]), [1, constructor("messages", "HumanMessage", {"content": "hi", **ALWAYS})]),
        (Whole(), 7),
        (Fraction(1, 4), 0.25),
        (Color.RED, "red"),
        (Size.SMALL, 1),
        (Mood.GLAD, "glad"),
        (b"\x00\x01", "<2 bytes>"),
        (bytearray(3), "<3 bytes>"),
        (date(2024, 1, 2), "2024-01-02"),
        (datetime(2024, 1, 2, 3, 4, 5), "2024-01-02T03:04:05"),  # noqa: DTZ001 - naive on purpose
        (datetime(2024, 1, 2, 3, tzinfo=timezone(timedelta(hours=1))), "2024-01-02T02:00:00.000Z"),
        (time(1, 2), "01:02:00"),
        (timedelta(seconds=90), "0:01:30"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Decimal("1.10"), "1.10"),
        (PurePosixPath("a/b"), "a/b"),
        (ValueError("boom"), "ValueError: boom"),
        (OrderedDict(a=1), {"a": 1}),
        (Point(1, (2,)), {"x": 1, "y": [2]}),
        (Order(item="tea", password=SecretStr("hush")), {"item": "tea", "password": "SecretStr('**********')"}),
        (Bare(), "<Bare>"),
        (Described(), "Described(1)"),
        (Hostile(a=1), "<Hostile>"),
        (Mute(), "<Mute>"),
        (int, "<class 'int'>"),
    ],
    ids=[
        *("none", "bool", "text", "tuple", "set", "frozenset", "deque", "whole", "fraction", "enum", "int-enum"),
        *("str-enum", "bytes", "bytearray", "date", "naive-time", "aware-time", "time", "span-of-time"),
        *("uuid", "decimal", "path", "error", "ordered", "dataclass", "model"),
        *("bare", "described", "hostile", "mute", "class"),
    ],
)
def test_object_unknown_to_langchain_js_gets_a_short_plain_form(value: object, expected: object) -> None:
    """Whatever an application passes on is shown, without secrets and without raising."""
    assert js_form(value) == expected


def test_keys_are_text_in_the_order_of_javascript() -> None:
    """Keys that are array indices come first and rise; others keep their place."""
    value = {"b": 1, 10: 2, 2: 3, None: 4, True: 5, Color.RED: 6, (1, 2): 7, "01": 8, 1.5: 9}

    form = js_form(value)

    assert isinstance(form, dict)
    assert list(form.items()) == [
        ("2", 3),
        ("10", 2),
        ("b", 1),
        ("null", 4),
        ("true", 5),
        ("red", 6),
        ("(1, 2)", 7),
        ("01", 8),
        ("1.5", 9),
    ]


def test_value_that_contains_itself_is_cut_where_it_repeats() -> None:
    """A cycle ends where it closes; an object that only appears twice is shown twice."""
    cycle: dict[str, Any] = {"twice": [shared := {"a": 1}, shared]}
    cycle["self"] = {"again": cycle}

    form = js_form(cycle)

    assert form == {"twice": [{"a": 1}, {"a": 1}], "self": {"again": "[Circular]"}}


def test_nesting_without_end_is_cut() -> None:
    """A thousand levels are cut at a depth that can still be written."""
    deep: list[Any] = []
    for _ in range(1_000):
        deep = [deep]

    text = stringify(js_form(deep))

    assert text.count("[") == 101
    assert '"[...]"' in text


@pytest.mark.parametrize(
    ("count", "ends"),
    [(100_000, (99_999, ("99999", 99_999))), (100_002, ("[+2]", ("[+2]", "")))],
    ids=["as-many-as-are-shown", "more"],
)
def test_what_is_left_out_of_a_long_list_is_counted(count: int, ends: object) -> None:
    """A list or mapping that is too long to be shown whole does not look whole."""
    numbers, record = js_form(list(range(count))), js_form({str(number): number for number in range(count)})

    assert isinstance(numbers, list)
    assert isinstance(record, dict)
    assert (numbers[-1], list(record.items())[-1]) == ends


def test_long_description_is_cut() -> None:
    """An object with an endless description does not flood the console."""

    class Long:
        def __repr__(self) -> str:
            return "x" * 100_000

    assert js_form(Long()) == "x" * 200 + "..."


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates() | st.uuids(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text() | st.integers() | st.none(), inner)
        | st.builds(Point, st.just(1), inner)
    ),
    max_leaves=20,
)


@given(anything)
def test_every_form_is_valid_json(value: object) -> None:
    """Whatever goes in, text comes out that a JSON parser reads back."""
    form = js_form(value)

    json.loads(stringify(form))
