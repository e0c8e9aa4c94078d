"""Whatever an application holds: its call goes on as without a handler, and its span can be exported."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.runnables import RunnableConfig, RunnableLambda
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests import strategies

from chainspan import ConsoleHandler, ContentPolicy, OtelHandler

RUN = UUID(int=1)
MESSAGES = [[HumanMessage("q")]]
LARGEST = 3_500_000  # bytes of a span that a 4 MB request has room for


class HugeList(list[int]):
    """A list that is said to be longer than memory, and never ends."""

    def __len__(self) -> int:
        return 2**62

    def __iter__(self) -> Iterator[int]:
        while True:
            yield 1


class EndlessMapping(Mapping[str, int]):
    """A mapping whose keys never end."""

    def __len__(self) -> int:
        return 2**62

    def __getitem__(self, key: str) -> int:
        return 1

    def __iter__(self) -> Iterator[str]:
        number = 0
        while True:
            yield f"key {number}"
            number += 1


Liar = type("Liar", (), {"__class__": property(lambda _: dict), "__doc__": "An object that passes for a dict."})


class Text(str):
    """A text that cannot be asked for anything."""

    __slots__ = ()

    def isascii(self) -> bool:
        """Raise."""
        raise RuntimeError

    def encode(self, *_: Any, **__: Any) -> bytes:
        """Raise."""
        raise RuntimeError

    def __len__(self) -> int:
        return 2**60


class OddlyPrinted:
    """An object that is printed as a text of a class of its own."""

    def __str__(self) -> str:
        return Text("printed")

    def __repr__(self) -> str:
        return Text("printed")


class PrintsNoText:
    """An object whose text is none."""

    def __str__(self) -> str:
        return 5  # type: ignore[return-value]  # noqa: PLE0307

    def __repr__(self) -> str:
        return None  # type: ignore[return-value]


class PrintsItself:
    """An object whose text is made of its text."""

    def __repr__(self) -> str:
        return repr(self)


class Incomparable:
    """An object that has no truth, no hash and no equal."""

    def __bool__(self) -> bool:
        raise RuntimeError

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    def __hash__(self) -> int:
        raise RuntimeError


class ClosedDict(dict[str, int]):
    """A dict that lets nobody read it by the front door."""

    def items(self) -> Any:
        """Raise."""
        raise RuntimeError

    def get(self, *_: Any) -> Any:
        """Raise."""
        raise RuntimeError

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError


def _nested(depth: int) -> Any:
    tree: Any = []
    for _ in range(depth):
        tree = {"in": [tree]}
    return tree


ODD = [
    HugeList([1]),
    EndlessMapping(),
    Liar(),
    Text("text"),
    OddlyPrinted(),
    PrintsNoText(),
    PrintsItself(),
    Incomparable(),
    ClosedDict(a=1),
    _nested(5_000),
    memoryview(b"abcd").cast("H"),
    "x" * 1_000_000,
    {"k" * 100_000: "x"},
    b"x" * 1_000_000,
]
VALUES = [*strategies.HOSTILE, *ODD]


def _handlers(memory: InMemorySpanExporter) -> dict[str, OtelHandler]:
    masked = ContentPolicy(capture=True, redact_patterns=["zz"], redact_keys=["in"], redact=lambda text: text)
    return {
        "compat": OtelHandler(SimpleSpanProcessor(memory), content=True),
        "latest": OtelHandler(SimpleSpanProcessor(memory), content=True, profile="latest"),
        "openinference": OtelHandler(SimpleSpanProcessor(memory), content=True, profile="openinference"),
        "masked": OtelHandler(SimpleSpanProcessor(memory), content=masked),
        "off": OtelHandler(SimpleSpanProcessor(memory), content=False),
    }


def _check(span: ReadableSpan) -> None:
    """Fail for a span that cannot be sent, is too large, or holds broken JSON."""
    assert len(encode_spans([span]).SerializeToString()) < LARGEST
    said = span.attributes or {}
    for key, value in said.items():
        is_json = said.get(f"{key.removesuffix('value')}mime_type") == "application/json"
        if (key.startswith("gen_ai.") and key.endswith(("messages", "definitions", "documents"))) or is_json:
            json.loads(str(value))


# ---------------------------------------------------------------- through LangChain


def _flat(value: object) -> list[object]:
    return [value]


@settings(max_examples=25)
@given(strategies.hostile_values)
def test_a_chain_gives_what_it_gives(value: object) -> None:
    """A value that goes into a chain and comes out of it is the same object, and each profile has its span."""
    memory = InMemorySpanExporter()
    handlers = _handlers(memory)
    lines: list[str] = []
    console = ConsoleHandler(lines.append, color=False)
    chain: RunnableLambda[Any, Any] = RunnableLambda(lambda _: value)

    given_back = chain.invoke(_flat(value), {"callbacks": [*handlers.values(), console]})

    assert given_back is value
    assert len(memory.get_finished_spans()) == len(handlers)
    assert len(lines) == 2
    for span in memory.get_finished_spans():
        _check(span)


@settings(max_examples=25)
@given(strategies.hostile_values)
def test_a_failure_is_the_same_failure(value: object) -> None:
    """An exception that holds anything is raised as it was, and its span says that it failed."""
    memory = InMemorySpanExporter()
    handlers = _handlers(memory)
    error = ValueError(value)
    error.__cause__ = KeyError(value)

    def fail(_: object) -> None:
        raise error

    with pytest.raises(ValueError) as raised:  # noqa: PT011 - its text may raise
        RunnableLambda(fail).invoke(_flat(value), {"callbacks": [*handlers.values()]})

    assert raised.value is error
    assert {(span.attributes or {})["error.type"] for span in memory.get_finished_spans()} == {"ValueError"}
    for span in memory.get_finished_spans():
        _check(span)


@settings(max_examples=25)
@given(strategies.hostile_values)
def test_metadata_may_hold_anything(value: object) -> None:
    """Metadata of any value under any name of ours, of LangChain's or the user's costs neither call nor span."""
    memory = InMemorySpanExporter()
    handlers = _handlers(memory)
    names = ("mine", "thread_id", "user_id", "lc_agent_name", "prompt_name", "ls_provider", "chainspan.content")
    config: RunnableConfig = {"callbacks": [*handlers.values()], "metadata": dict.fromkeys(names, value)}

    assert RunnableLambda(_flat).invoke(1, config) == [1]

    assert len(memory.get_finished_spans()) == len(handlers)
    for span in memory.get_finished_spans():
        _check(span)


# ---------------------------------------------------------------- at every place of LangChain's callbacks


def _message(**fields: Any) -> BaseMessage:
    """Return a message that nobody has checked, as a provider's integration may build one."""
    message = AIMessage("a")
    message.__dict__.update(fields)
    return message


def _answer(**fields: Any) -> LLMResult:
    generation = ChatGeneration.model_construct(message=_message(**fields), generation_info=None, text="a")
    return LLMResult.model_construct(generations=[[generation]], llm_output=None)


def _chain(**fields: Any) -> Callable[[OtelHandler], None]:
    def play(handler: OtelHandler) -> None:
        handler.on_chain_start({}, {"a": 1}, run_id=RUN, **{"name": "n", **fields})
        handler.on_chain_end({"b": 2}, run_id=RUN)

    return play


def _chat(messages: Any = MESSAGES, response: Any = None, **fields: Any) -> Callable[[OtelHandler], None]:
    def play(handler: OtelHandler) -> None:
        handler.on_chat_model_start({"id": ["x"]}, messages, run_id=RUN, **fields)
        handler.on_llm_end(_answer() if response is None else response, run_id=RUN)

    return play


def _tool(serialized: Any, output: Any = "o", **fields: Any) -> Callable[[OtelHandler], None]:
    def play(handler: OtelHandler) -> None:
        handler.on_tool_start(serialized, "x", run_id=RUN, **fields)
        handler.on_tool_end(output, run_id=RUN)

    return play


def _retriever(query: Any, documents: Any = ()) -> Callable[[OtelHandler], None]:
    def play(handler: OtelHandler) -> None:
        handler.on_retriever_start({}, query, run_id=RUN, name="r")
        handler.on_retriever_end(documents, run_id=RUN)

    return play


def _events(value: Any) -> Callable[[OtelHandler], None]:
    def play(handler: OtelHandler) -> None:
        handler.on_chain_start({}, {"a": 1}, run_id=RUN, name="n")
        handler.on_custom_event("event", value, run_id=RUN)
        handler.on_text(value, run_id=RUN)
        handler.on_agent_action(value, run_id=RUN)
        handler.on_chain_end(None, run_id=RUN)

    return play


PLACES: dict[str, Callable[[Any], Callable[[OtelHandler], None]]] = {
    "tags": lambda value: _chain(tags=[value, "t"]),
    "tool-call": lambda value: _chat([[_message(tool_calls=[{"name": value, "id": value, "args": value}])]]),
    "block": lambda value: _chat([[_message(content=[{"type": "image", "base64": value}, {"type": "text"}])]]),
    "extra": lambda value: _chat([[_message(additional_kwargs={"reasoning_content": value})]]),
    "parameter": lambda value: _chat(invocation_params={"temperature": value, "stop": [value], "n": value}),
    "tools": lambda value: _chat(
        invocation_params={"tools": [{"type": "function", "function": {"name": "f", "parameters": value}}]}
    ),
    "schema": lambda value: _chat(options={"ls_structured_output_format": {"schema": value}}),
    "usage": lambda value: _chat(response=_answer(usage_metadata={"input_tokens": value, "output_tokens": value})),
    "usage-details": lambda value: _chat(response=_answer(usage_metadata={"input_token_details": value})),
    "response": lambda value: _chat(
        response=_answer(response_metadata={"model_name": value, "finish_reason": value, "id": value, "usage": value})
    ),
    "no-result": lambda value: _chat(response=SimpleNamespace(generations=[[value]], llm_output=None)),
    "llm-output": lambda value: _chat(
        response=LLMResult.model_construct(generations=[], llm_output={"token_usage": value, "model_name": value})
    ),
    "description": lambda value: _tool({"name": "t", "description": value}),
    "arguments": lambda value: _tool({"name": "t"}, inputs={"a": value}),
    "call-id": lambda value: _tool({"name": "t"}, tool_call_id=value),
    "result": lambda value: _tool({"name": "t"}, value),
    "failed-result": lambda value: _tool(
        {"name": "t"}, SimpleNamespace(content=value, tool_call_id="1", status="error")
    ),
    "query": _retriever,
    "document": lambda value: _retriever(
        "q", [SimpleNamespace(page_content=value, metadata={"score": value, "k": value}, id=value)]
    ),
    "events": _events,
}


@pytest.mark.parametrize("kind", ["compat", "openinference", "masked", "off", "console"])
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_callback_may_be_told_anything(place: Callable[[Any], Callable[[OtelHandler], None]], kind: str) -> None:
    """Each hostile value at each place makes one span, valid and small enough (pains #60)."""
    memory = InMemorySpanExporter()
    lines: list[str] = []
    handler = ConsoleHandler(lines.append, color=False) if kind == "console" else _handlers(memory)[kind]

    for number, value in enumerate(VALUES):
        memory.clear()
        lines.clear()
        place(value)(handler)

        assert handler.in_flight() == [], number
        assert len(memory.get_finished_spans()) + len(lines) // 2 >= 1, number
        for span in memory.get_finished_spans():
            _check(span)


def test_what_cannot_be_described_is_marked(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Where reading a run fails after all, its span is there with what is known, says so, and the log once."""
    monkeypatch.delenv("CHAINSPAN_STRICT")
    monkeypatch.setattr("chainspan._guard._faults", {})
    memory = InMemorySpanExporter()
    handler = OtelHandler(SimpleSpanProcessor(memory), content=True)
    monkeypatch.setattr("chainspan._profiles._compat.add_input", _broken)
    monkeypatch.setattr("chainspan._profiles._compat.add_output", _broken)

    for _ in range(2):
        RunnableLambda(_flat).invoke(1, {"callbacks": [handler]})

    said = [dict(span.attributes or {}) for span in memory.get_finished_spans()]
    for each in said:
        assert each.pop("chainspan.run.id")
    assert (
        said == [{"chainspan.run.type": "chain", "chainspan.run.name": "_flat", "chainspan.fault": "RuntimeError"}] * 2
    )
    assert len(caplog.records) == len({record.getMessage() for record in caplog.records}) == 2


def _broken(*_: Any) -> None:
    raise RuntimeError("broken")
