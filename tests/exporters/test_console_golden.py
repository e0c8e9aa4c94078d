"""The console prints what LangChain.js prints, to the byte: golden/console/README.md."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

import pytest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult
from langchain_core.prompt_values import ChatPromptValue, StringPromptValue
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span, Status, StatusCode, set_span_in_context
from typing_extensions import TypedDict

from chainspan import ConsoleHandler, ContentPolicy
from chainspan.exporters import ConsoleProcessor
from chainspan.langchain._js import js_form

Event: TypeAlias = dict[str, Any]

GOLDEN = Path(__file__).parent.parent / "golden" / "console"
MESSAGES: Mapping[str, type[BaseMessage]] = {
    "human": HumanMessage,
    "ai": AIMessage,
    "system": SystemMessage,
    "tool": ToolMessage,
}
START_MS = 1_700_000_000_000


def read(name: str) -> Any:
    """Return the content of a golden file."""
    return json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


SCRIPTS: Mapping[str, list[Event]] = {**read("scripts"), **read("more_scripts")}
EXPECTED: Mapping[str, str] = {**read("expected"), **read("more_expected")}


def without_color(text: str) -> str:
    """Return text without the escape codes that the console writes."""
    return re.sub("\x1b\\[(1|22|3[1-69]|90)m", "", text)


def revive(value: Any) -> Any:
    """Return the LangChain object that a payload stands for."""
    if isinstance(value, list):
        return [revive(item) for item in value]
    if not isinstance(value, dict):
        return value
    for mark, make in REVIVERS.items():
        if mark in value:
            return make(value)
    return {key: revive(item) for key, item in value.items()}


def message(value: Event) -> BaseMessage:
    """Return the message that a payload stands for."""
    return MESSAGES[value["$msg"]](**{name: field for name, field in value.items() if name != "$msg"})


def document(value: Event) -> Document:
    """Return the document that a payload stands for."""
    fields = value["$doc"]
    return Document(fields["pageContent"], metadata=fields["metadata"], id=fields.get("id"))


REVIVERS: Mapping[str, Callable[[Event], object]] = {
    "$msg": message,
    "$chat_prompt": lambda value: ChatPromptValue(messages=revive(value["$chat_prompt"])),
    "$string_prompt": lambda value: StringPromptValue(text=value["$string_prompt"]),
    "$doc": document,
}


def generation(payload: Event) -> Generation:
    """Return a generation of a text model or of a chat model."""
    info = payload.get("generationInfo")
    if "message" in payload:
        return ChatGeneration(message=revive(payload["message"]), generation_info=info)
    return Generation(text=payload["text"], generation_info=info)


def llm_result(payload: Event) -> LLMResult:
    """Return the result that an ``llm_end`` stands for."""
    generations = [[generation(each) for each in row] for row in payload["generations"]]
    return LLMResult(generations=generations, llm_output=payload.get("llmOutput"))


class SpanDriver:
    """Plays a script as spans, with times of its own, to the processor alone."""

    def __init__(self, write: Callable[[str], object], color: bool) -> None:
        self.processor = ConsoleProcessor(to=write, color=color)
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(self.processor)
        self.tracer = provider.get_tracer("golden")
        self.spans: dict[str, Span] = {}
        self.now_ns = START_MS * 1_000_000

    def play(self, event: Event) -> None:
        """Play one event."""
        self.now_ns += event["dt"] * 1_000_000
        match event["op"]:
            case "chain_start":
                self.start(event, event["run_type"] or "chain", revive(event["inputs"]))
            case "llm_start":
                self.start(event, "llm", {"prompts": event["prompts"]})
            case "chat_start":
                self.start(event, "llm", {"messages": revive(event["messages"])})
            case "tool_start":
                self.start(event, "tool", event["input"])
            case "retriever_start":
                self.start(event, "retriever", {"query": event["query"]})
            case "agent_action":
                data = {"data": json.dumps(js_form(event["action"]))}
                self.processor.on_event(self.spans[event["run"]], "agent_action", data)
            case _:
                self.end(event)

    def start(self, event: Event, run_type: str, inputs: object) -> None:
        """Start the span of a run."""
        parent = self.spans.get(event["parent"])
        name = "X" if event["name"] is None else event["name"]
        self.spans[event["run"]] = self.tracer.start_span(
            "span",
            set_span_in_context(parent) if parent else Context(),
            start_time=self.now_ns,
            attributes={
                "chainspan.run.id": event["run"],
                "chainspan.run.type": run_type,
                "chainspan.run.name": name,
                **payload("input", inputs),
            },
        )

    def end(self, event: Event) -> None:
        """End the span of a run."""
        span = self.spans[event["run"]]
        match event["op"]:
            case "error":
                span.record_exception(ValueError(event["message"]))
                span.set_status(Status(StatusCode.ERROR))
            case "llm_end":
                span.set_attributes(payload("output", llm_result(event["output"])))
            case "retriever_end":
                span.set_attributes(payload("output", {"documents": revive(event["documents"])}))
            case "chain_end":
                span.set_attributes({"output.value": json.dumps(js_form(revive(event["outputs"])))})
                span.set_attribute("output.mime_type", "application/json")
            case _:
                span.set_attributes(payload("output", revive(event["output"])))
        span.end(self.now_ns)


def payload(side: str, value: object) -> dict[str, str]:
    """Return the attributes of an input or output."""
    if isinstance(value, str):
        return {f"{side}.value": value, f"{side}.mime_type": "text/plain"}
    return {f"{side}.value": json.dumps(js_form(value)), f"{side}.mime_type": "application/json"}


class CallbackDriver:
    """Plays a script as LangChain's callbacks to the handler, with a clock of its own."""

    def __init__(self, write: Callable[[str], object], color: bool) -> None:
        self.now_ns = START_MS * 1_000_000
        self.handler = ConsoleHandler(write, color, clock=lambda: self.now_ns)

    def play(self, event: Event) -> None:
        """Play one event."""
        self.now_ns += event["dt"] * 1_000_000
        run = UUID(event["run"])
        if event["op"].endswith("_start"):
            self.start(event, {"run_id": run, "parent_run_id": event["parent"] and UUID(event["parent"])})
        elif event["op"] == "error":
            fail = getattr(self.handler, f"on_{event['kind']}_error")
            fail(ValueError(event["message"]), run_id=run)
        else:
            self.end(event, run)

    def start(self, event: Event, ids: dict[str, Any]) -> None:
        """Report the start of a run."""
        serialized = {"lc": 1, "type": "not_implemented", "id": ["x", event["name"] or "X"]}
        ids["name"] = event["name"]
        match event["op"]:
            case "chain_start":
                run_type = event["run_type"]
                self.handler.on_chain_start(serialized, revive(event["inputs"]), run_type=run_type, **ids)
            case "llm_start":
                self.handler.on_llm_start(serialized, event["prompts"], **ids)
            case "chat_start":
                self.handler.on_chat_model_start(serialized, revive(event["messages"]), **ids)
            case "tool_start":
                self.handler.on_tool_start(serialized, event["input"], **ids)
            case _:
                self.handler.on_retriever_start(serialized, event["query"], **ids)

    def end(self, event: Event, run: UUID) -> None:
        """Report the end of a run or an action within it."""
        match event["op"]:
            case "chain_end":
                self.handler.on_chain_end(revive(event["outputs"]), run_id=run)
            case "llm_end":
                self.handler.on_llm_end(llm_result(event["output"]), run_id=run)
            case "tool_end":
                self.handler.on_tool_end(revive(event["output"]), run_id=run)
            case "retriever_end":
                self.handler.on_retriever_end(revive(event["documents"]), run_id=run)
            case _:
                self.handler.on_agent_action(event["action"], run_id=run)


@pytest.mark.parametrize("driver", [SpanDriver, CallbackDriver], ids=["spans", "callbacks"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_console_prints_what_langchain_js_prints(name: str, driver: type[SpanDriver | CallbackDriver]) -> None:
    """Each script yields the text of LangChain.js, and without colour the same less the codes."""
    lines: dict[bool, list[str]] = {True: [], False: []}

    for color, written in lines.items():
        player = driver(written.append, color)
        for event in SCRIPTS[name]:
            player.play(event)

    assert "\n".join([*lines[True], ""]) == EXPECTED[name]
    assert "\n".join([*lines[False], ""]) == without_color(EXPECTED[name])


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        ({"input": " x "}, "x"),
        ({"input": {"a": [1]}}, '{\n  "a": [\n    1\n  ]\n}'),
        ({"input": None}, "null"),
        ({"input": "x", "k": 2}, '{"input":"x","k":2}'),
        ({}, "{}"),
        ({"a": float("nan"), "b": [float("-inf")]}, '{"a":null,"b":[null]}'),
        ({"a": 0.00001, "b": 1e-7, "c": 1.5e300}, '{"a":0.00001,"b":1e-7,"c":1.5e+300}'),
        ({"a": "1e-05 NaN", "b": "\ud83d"}, '{"a":"1e-05 NaN","b":"\\ud83d"}'),
    ],
    ids=["only-input", "record", "none", "input-and-more", "nothing", "not-finite", "small", "texts"],
)
def test_arguments_of_a_tool_are_json_of_javascript(arguments: dict[str, Any], printed: str) -> None:
    """Arguments are printed as LangChain.js prints their JSON, and one that is named ``input`` alone."""
    lines: list[str] = []
    handler = ConsoleHandler(lines.append)

    handler.on_tool_start(None, str(arguments), run_id=UUID(int=1), name="t", inputs=arguments)

    assert lines == [f'[tool/start] [1:tool:t] Entering Tool run with input: "{printed}"']


class Count(TypedDict):
    """The state of a graph."""

    n: int


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (True, ' with output: {\n  "output": [\n    {\n      "id": "ID",\n      "value": "sure?"\n    }\n  ]\n}'),
        (False, ""),
    ],
)
def test_interrupted_run_says_what_is_asked(content: bool, said: str) -> None:
    """What a graph asks of a human is shown where LangChain.js shows it, without its being an error."""
    lines: list[str] = []
    handler = ConsoleHandler(lines.append, content=content, clock=lambda: 0)
    graph = StateGraph(Count)
    graph.add_node("ask", lambda _: {"n": interrupt("sure?")})
    graph.add_edge(START, "ask")

    graph.compile(checkpointer=InMemorySaver()).invoke(
        {"n": 1}, {"callbacks": [handler], "configurable": {"thread_id": "1"}}
    )

    line = re.sub('"id": "[0-9a-f]+"', '"id": "ID"', lines[2])
    assert line == f"[chain/interrupted] [1:chain:LangGraph > 2:chain:ask] [0ms] Chain run interrupted{said}"


def test_handed_over_run_says_where_to() -> None:
    """A command for the graph around a graph is shown as what it is."""
    lines: list[str] = []
    inner, outer = StateGraph(Count), StateGraph(Count)
    inner.add_node("leave", lambda _: Command(goto="next", update={"n": 2}, graph=Command.PARENT))
    inner.add_edge(START, "leave")
    outer.add_node("inner", inner.compile())
    outer.add_node("next", lambda state: state)
    outer.add_edge(START, "inner")

    outer.compile().invoke({"n": 1}, {"callbacks": [ConsoleHandler(lines.append, clock=lambda: 0)]})

    head, data = lines[4].split(" with output: ")
    assert head.endswith("> 4:chain:leave] [0ms] Chain run interrupted")
    assert json.loads(data) == {"lg_name": "Command", "update": {"n": 2}, "goto": ["next"], "graph": "__parent__"}


def test_console_masks_secrets_and_what_the_user_redacts() -> None:
    """The console shows content, and neither keys nor what a policy hides (pains #6, #53)."""
    lines: list[str] = []
    handler = ConsoleHandler(lines.append, content=ContentPolicy(redact_patterns=["Ada"]))
    run = UUID(int=1)

    handler.on_chain_start(None, {"api_key": "a1B2", "name": "Ada Lovelace"}, run_id=run, name="c")
    handler.on_custom_event("e", {"password": "hunter2"}, run_id=run)
    handler.on_chain_end("to Ada", run_id=run)

    text = "".join(lines)
    assert "Lovelace" in text
    assert not any(secret in text for secret in ("a1B2", "Ada", "hunter2"))
