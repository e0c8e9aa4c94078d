"""What users of other tracing libraries miss on their spans, tried with real chains, tools and graphs.

Each test is the acceptance test of one pain: `pains #N`.
"""

from __future__ import annotations

import asyncio
import base64
import io
import itertools
import json
import logging
import operator
import os
import re
import time
import warnings
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import CallbackManagerForLLMRun, adispatch_custom_event
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langchain_core.tools import StructuredTool, tool
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from opentelemetry import baggage, context
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from pydantic import SecretStr
from tests._traces import tree_of
from typing_extensions import TypedDict, override

from chainspan import ConsoleHandler, ContentPolicy, OtelHandler, agent, session
from chainspan._guard import _said

PROFILES = ["compat", "latest", "openinference"]
USAGE: Any = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}


class Model(BaseChatModel):
    """A model that answers what it was told to, whole or in pieces."""

    answer: Any = AIMessage("yes")
    pieces: Sequence[Any] = ()
    delay_s: float = 0.0

    @property
    @override
    def _llm_type(self) -> str:
        return "scripted"

    @override
    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self.answer)])

    @override
    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for piece in self.pieces:
            if piece is None:
                time.sleep(self.delay_s)
            else:
                yield ChatGenerationChunk(message=AIMessageChunk(**piece))


class State(TypedDict):
    """What the tests' graphs hand on."""

    messages: Annotated[list[AnyMessage], operator.add]


def _graph(model: BaseChatModel) -> Any:
    async def think(state: State, config: RunnableConfig) -> dict[str, Any]:  # which Python 3.10 needs
        return {"messages": [await model.ainvoke(state["messages"], config)]}

    graph = StateGraph(State)
    graph.add_node("think", think)
    graph.add_node("rest", lambda _: {})
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", lambda _: "rest")
    graph.add_edge("rest", END)
    return graph.compile()


@pytest.fixture
def memory() -> InMemorySpanExporter:
    """Where the spans go."""
    return InMemorySpanExporter()


def _config(memory: InMemorySpanExporter, **options: Any) -> RunnableConfig:
    return {"callbacks": [OtelHandler(SimpleSpanProcessor(memory), **{"content": True, **options})]}


def _said_by(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def _only(memory: InMemorySpanExporter) -> dict[str, Any]:
    [span] = memory.get_finished_spans()
    return _said_by(span)


def _operations(memory: InMemorySpanExporter) -> list[ReadableSpan]:
    return [span for span in memory.get_finished_spans() if "gen_ai.operation.name" in _said_by(span)]


def _bytes_of(memory: InMemorySpanExporter) -> list[int]:
    return [len(encode_spans([span]).SerializeToString()) for span in memory.get_finished_spans()]


# ---------------------------------------------------------------- tokens


@pytest.mark.parametrize("mode", ["values", "messages"])
async def test_tokens_are_counted_once(mode: str, memory: InMemorySpanExporter) -> None:
    """The sum over a graph's spans is what the model reported, streamed as messages or not (pains #7, #8)."""
    pieces = [{"content": "y"}, {"content": "es"}, {"content": "", "usage_metadata": USAGE}]
    graph = _graph(Model(answer=AIMessage("yes", usage_metadata=USAGE), pieces=pieces))

    async for _ in graph.astream({"messages": [HumanMessage("q")]}, _config(memory), stream_mode=mode):
        pass

    counts = [_said_by(span).get("gen_ai.usage.input_tokens") for span in memory.get_finished_spans()]
    assert [count for count in counts if count is not None] == [10]
    root = _said_by(memory.get_finished_spans()[-1])
    assert root["chainspan.usage.total_tokens"] == 15


def test_a_stream_without_counts_is_hinted_at_once(
    memory: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    """Where a stream brings no tokens, none are recorded, and one quiet line says what to do (pains #8)."""
    caplog.set_level(logging.INFO, "chainspan")
    _said.clear()
    model = Model(pieces=[{"content": "yes"}])

    for _ in range(3):
        list(model.stream("q", _config(memory)))

    assert [key for span in memory.get_finished_spans() for key in _said_by(span) if ".usage." in key] == [
        "chainspan.usage.model_calls"
    ] * 3
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        (
            "INFO",
            (
                "model reported no tokens for a streamed answer, so its spans have none. "
                "Where the integration can ask for them, do: ChatOpenAI(stream_usage=True)."
            ),
        )
    ]


def test_the_first_token_is_the_first_with_content(memory: InMemorySpanExporter) -> None:
    """An empty first piece does not count, and ten thousand pieces make no event (pains #69)."""
    pieces = [{"content": ""}, None, *[{"content": "x"}] * 10_000]

    list(Model(pieces=pieces, delay_s=0.05).stream("q", _config(memory)))

    assert 0.05 <= _only(memory)["gen_ai.response.time_to_first_chunk"] < 5
    assert memory.get_finished_spans()[0].events == ()


@pytest.mark.parametrize(
    "piece",
    [
        {"tool_call_chunks": [{"name": "add", "args": "", "id": "1", "index": 0}]},
        {"additional_kwargs": {"reasoning_content": "Hm"}},
    ],
    ids=["call", "reasoning"],
)
def test_a_first_piece_may_hold_no_text(piece: dict[str, Any], memory: InMemorySpanExporter) -> None:
    """An answer that calls a tool has a first piece too, and so has what a model thinks first (pains #69)."""
    pieces = [{"content": ""}, None, {"content": "", **piece}, None, None]

    list(Model(pieces=pieces, delay_s=0.05).stream("q", _config(memory)))

    assert 0.05 <= _only(memory)["gen_ai.response.time_to_first_chunk"] < 0.1


@pytest.mark.skipif(
    not hasattr(BaseChatModel, "_chat_model_stream_v3"), reason="this langchain-core has no such events"
)
@pytest.mark.filterwarnings("ignore:.*is in beta")
@pytest.mark.parametrize(
    "piece",
    [
        {"content": "x"},
        {"content": "", "tool_call_chunks": [{"name": "now", "args": "", "id": "1", "index": 0}]},
        {"content": [{"type": "image", "base64": "AAAA", "mime_type": "image/png"}]},
        {"content": [{"type": "server_tool_call", "name": "web_search", "args": {}, "id": "1"}]},
    ],
    ids=["text", "call", "image", "server's call"],
)
def test_a_first_event_may_hold_no_text(piece: dict[str, Any], memory: InMemorySpanExporter) -> None:
    """Nor need that of an answer whose stream is one of events, where such things come whole (pains #69)."""
    model: Any = Model(pieces=[{"content": ""}, None, piece, None, None], delay_s=0.05)

    for _ in model.stream_events("q", _config(memory), version="v3"):
        pass

    assert 0.05 <= _only(memory)["gen_ai.response.time_to_first_chunk"] < 0.1


@pytest.mark.parametrize("order", [[0, 1, 0, 1, 1, 0], [0, 0, 0, 1, 1, 1], [1, 0, 0, 0, 1, 1]])
def test_each_of_several_streams_has_a_first_token(memory: InMemorySpanExporter, order: list[int]) -> None:
    """Two streams that one handler is told of in turns both say when their first token came (pains #69)."""
    config = _config(memory)
    pieces = [{"content": ""}, {"content": "x"}, {"content": "y"}]
    streams = [Model(pieces=pieces).stream(question, config) for question in "ab"]

    for index in order:
        next(streams[index])
    for stream in streams:
        list(stream)

    assert [
        "gen_ai.response.time_to_first_chunk" in (span.attributes or {}) for span in memory.get_finished_spans()
    ] == [True] * 2


def test_a_run_id_that_is_used_again_is_a_run_of_its_own(memory: InMemorySpanExporter) -> None:
    """A config that names the run's id, used for two streams, tells of the first token of both (pains #69)."""
    config: RunnableConfig = {**_config(memory), "run_id": UUID(int=7)}

    for _ in range(2):
        list(Model(pieces=[{"content": "x"}]).stream("q", config))

    assert [
        "gen_ai.response.time_to_first_chunk" in (span.attributes or {}) for span in memory.get_finished_spans()
    ] == [True] * 2


# ---------------------------------------------------------------- agents


class Asking(Model):
    """Asks for the tools it is offered, once each, and then answers."""

    tools: Any = ()

    @override
    def bind_tools(self, tools: Sequence[Any], **_: Any) -> Runnable[Any, AIMessage]:
        return self.model_copy(update={"tools": tools})

    @override
    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        calls = [{"name": one.name, "args": {}, "id": f"call-{one.name}"} for one in self.tools]
        is_done = not calls or isinstance(messages[-1], ToolMessage)
        said = AIMessage("done") if is_done else AIMessage("", tool_calls=calls)
        return ChatResult(generations=[ChatGeneration(message=said)])


def _agent(name: str | None, inner: Runnable[Any, Any] | None = None) -> Runnable[Any, Any]:
    def ask() -> str:
        """Ask another one."""
        return str(inner.invoke({"messages": [("user", "go")]})["messages"][-1].content) if inner else ""

    return create_agent(Asking(), [tool(ask)] if inner else [], name=name)


def test_switching_the_profile_changes_neither_the_tree_nor_the_counts() -> None:
    """An agent's spans have one shape, and add up to the same tokens, under whichever names (pains #49)."""
    told: list[tuple[str, int, set[str]]] = []
    for profile in PROFILES:
        memory = InMemorySpanExporter()
        _agent("boss", _graph_of(Model(answer=AIMessage("yes", usage_metadata=USAGE)))).invoke(
            {"messages": [HumanMessage("q")]}, _config(memory, profile=profile)
        )
        spans = memory.get_finished_spans()
        counts = [_said_by(span).get(key, 0) for span in spans for key in INPUT_TOKENS]
        told.append((tree_of(spans), sum(counts), {str(_said_by(span)["openinference.span.kind"]) for span in spans}))

    assert told == [told[0]] * len(PROFILES)
    assert told[0][1] == 10


INPUT_TOKENS = ("gen_ai.usage.input_tokens", "llm.token_count.prompt")


def _graph_of(model: BaseChatModel) -> Runnable[Any, Any]:
    graph = StateGraph(MessagesState)
    graph.add_node("think", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_edge(START, "think")
    return graph.compile()


@pytest.mark.parametrize("content", ["found", [{"type": "text", "text": "found"}]], ids=["text", "blocks"])
def test_an_agent_may_answer_what_its_tool_does(content: Any) -> None:
    """The output of an agent whose tool answers in its place is that answer, and a model's input may be one."""
    memory = InMemorySpanExporter()

    @tool(return_direct=True)
    def look() -> Any:
        """Look."""
        return content

    with OtelHandler(memory, content=True) as handler:
        create_agent(Asking(), [look]).invoke({"messages": [HumanMessage("go")]}, {"callbacks": [handler]})
    with OtelHandler(memory, content=True, profile="openinference") as handler:
        Model().invoke([ToolMessage(content, tool_call_id="1")], {"callbacks": [handler]})

    *_, agent, model = (span.attributes or {} for span in memory.get_finished_spans())
    assert (agent["output.value"], agent["output.mime_type"]) == ("found", "text/plain")
    assert (model["input.value"], model["input.mime_type"]) == ("found", "text/plain")


def _workflow_of(agent: Runnable[Any, Any]) -> Runnable[Any, Any]:
    builder = StateGraph(MessagesState)
    builder.add_node("work", agent)
    builder.add_edge(START, "work")
    return builder.compile(name="flow")


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        (_agent(None, _agent(None)), ["invoke_agent LangGraph"] * 2),
        (_agent("boss", _agent(None)), ["invoke_agent boss", "invoke_agent LangGraph"]),
        (_agent("boss", _agent("boss")), ["invoke_agent boss"] * 2),
        (
            _agent("boss", _agent("helper", _agent("boss"))),
            ["invoke_agent boss", "invoke_agent helper", "invoke_agent boss"],
        ),
        (
            _agent("boss", _workflow_of(_agent("helper"))),
            ["invoke_agent boss", "invoke_workflow flow", "invoke_agent helper"],
        ),
    ],
    ids=["unnamed", "unnamed-in-named", "recursive", "three", "in-a-workflow"],
)
def test_an_agent_below_an_agent_is_an_agent(
    memory: InMemorySpanExporter, agent: Runnable[Any, Any], expected: list[str]
) -> None:
    """Sub-agents in tools are recorded as agents, and what they call bears their names (pains #20)."""
    agent.invoke({"messages": [("user", "q")]}, _config(memory))

    spans = sorted(memory.get_finished_spans(), key=lambda span: span.start_time or 0)
    graphs = [span for span in spans if span.name.startswith("invoke_")]
    assert [span.name for span in graphs] == expected
    innermost = [_said_by(span).get("gen_ai.agent.name") for span in spans if span.name.startswith("chat")]
    names = {None if name == "LangGraph" else name for name in (name.split()[1] for name in expected) if name != "flow"}
    assert set(innermost) == names


def test_a_decorated_agent_in_an_agents_tool_is_whose_its_calls_are(memory: InMemorySpanExporter) -> None:
    """What a decorated agent calls bears its name, and not that of the agent around it."""

    @tool
    def note(what: str) -> str:
        """Note something."""
        return what

    @agent
    def helper(q: str) -> str:
        return str(note.invoke({"what": Model().invoke(q).text}))

    @tool
    def ask(q: str) -> str:
        """Ask the helper."""
        return helper(q)

    graph: Any = StateGraph(MessagesState)
    graph.add_node("work", ToolNode([ask]))
    graph.add_edge(START, "work")
    boss = graph.compile(name="boss").with_config(
        metadata={"ls_integration": "langchain_create_agent", "lc_agent_name": "boss"}
    )
    call: Any = {"type": "tool_call", "id": "c-1", "name": "ask", "args": {"q": "x"}}
    boss.invoke({"messages": [AIMessage("", tool_calls=[call])]}, _config(memory))

    spans = memory.get_finished_spans()
    assert tree_of(spans).splitlines() == [
        "invoke_agent boss",
        "  work",
        "    execute_tool ask",
        "      invoke_agent helper",
        "        chat",
        "        execute_tool note",
    ]
    names = {span.name: _said_by(span).get("gen_ai.agent.name") for span in spans}
    assert {name: names[name] for name in ("execute_tool ask", "invoke_agent helper", "chat", "execute_tool note")} == {
        "execute_tool ask": "boss",
        "invoke_agent helper": "helper",
        "chat": "helper",
        "execute_tool note": "helper",
    }


@pytest.mark.parametrize(
    "given",
    [
        "hi",
        ["hi"],
        [("user", "hi")],
        ("user", "hi"),
        {"role": "user", "content": "hi"},
        [{"type": "human", "content": "hi"}],
        HumanMessage("hi"),
        [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    ],
    ids=repr,
)
def test_an_agent_says_what_it_was_given_in_whatever_form(memory: InMemorySpanExporter, given: Any) -> None:
    """The input of an agent is recorded as messages, as its model's is (pains #57)."""
    _agent("scout").invoke({"messages": given}, _config(memory))

    said = {span.name.split()[0]: _said_by(span)["gen_ai.input.messages"] for span in _operations(memory)}
    assert json.loads(said["invoke_agent"]) == json.loads(said["chat"])
    assert json.loads(said["chat"]) == [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]


def test_an_agents_history_of_dicts_keeps_its_tool_calls(memory: InMemorySpanExporter) -> None:
    """Calls and answers of tools that a client sends as OpenAI's dicts are parts of their own."""
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    history = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "found", "tool_call_id": "1"},
    ]

    _agent("scout").invoke({"messages": history}, _config(memory))

    [agent] = [span for span in memory.get_finished_spans() if span.name.startswith("invoke_agent")]
    assert [
        part["type"] for message in json.loads(_said_by(agent)["gen_ai.input.messages"]) for part in message["parts"]
    ] == [
        "text",
        "tool_call",
        "tool_call_response",
    ]


def test_sub_agents_of_a_supervisor_have_their_tools_below_them(memory: InMemorySpanExporter) -> None:
    """A supervisor with two sub-agents is three agents, each with its own tools and model calls (pains #44)."""

    @tool
    def add() -> str:
        """Add."""
        return "2"

    @tool
    def multiply() -> str:
        """Multiply."""
        return "4"

    adder: Runnable[Any, Any] = create_agent(Asking(), [add], name="adder")
    multiplier: Runnable[Any, Any] = create_agent(Asking(), [multiply], name="multiplier")

    @tool
    def ask_adder() -> str:
        """Ask the adder."""
        return str(adder.invoke({"messages": [("user", "go")]})["messages"][-1].content)

    @tool
    def ask_multiplier() -> str:
        """Ask the multiplier."""
        return str(multiplier.invoke({"messages": [("user", "go")]})["messages"][-1].content)

    supervisor: Runnable[Any, Any] = create_agent(Asking(), [ask_adder, ask_multiplier], name="supervisor")

    supervisor.invoke({"messages": [("user", "go")]}, _config(memory))

    operations = _operations(memory)
    assert len({span.context.trace_id for span in operations if span.context}) == 1
    by_id = {span.context.span_id: span for span in memory.get_finished_spans() if span.context}

    def agent_above(span: ReadableSpan) -> str | None:
        above = by_id.get(span.parent.span_id) if span.parent else None
        if above is None or above.name.startswith("invoke_agent"):
            return above.name if above else None
        return agent_above(above)

    assert sorted((agent_above(span) or "", span.name) for span in operations) == [
        ("", "invoke_agent supervisor"),
        *[("invoke_agent adder", name) for name in ("chat", "chat", "execute_tool add")],
        *[("invoke_agent multiplier", name) for name in ("chat", "chat", "execute_tool multiply")],
        ("invoke_agent supervisor", "chat"),
        ("invoke_agent supervisor", "chat"),
        ("invoke_agent supervisor", "execute_tool ask_adder"),
        ("invoke_agent supervisor", "execute_tool ask_multiplier"),
        ("invoke_agent supervisor", "invoke_agent adder"),
        ("invoke_agent supervisor", "invoke_agent multiplier"),
    ]
    names = {span.name: _said_by(span).get("gen_ai.agent.name") for span in operations}
    assert (names["execute_tool add"], names["execute_tool multiply"]) == ("adder", "multiplier")


# ---------------------------------------------------------------- sizes


def test_no_span_is_too_large_for_a_request(memory: InMemorySpanExporter) -> None:
    """Megabytes in every place that a user can write to still make spans that a 4 MB request takes (pains #10)."""
    big = "x" * 1_000_000
    config: RunnableConfig = {
        **_config(memory),
        "tags": [f"{n}{big}" for n in range(40)],
        "metadata": {f"{n}{big}": big for n in range(40)} | {"user_id": big, "thread_id": big},
        "run_name": big,
    }

    chain: Runnable[Any, Any] = RunnableLambda(lambda _: {"a": big, "b": [big] * 5})
    chain.batch([{"question": big}] * 3, config)
    with pytest.raises(ValueError, match="x"):
        RunnableLambda(_raise).invoke(ValueError(big), config)

    assert len(memory.get_finished_spans()) == 4
    assert max(_bytes_of(memory)) < 2_000_000


def _raise(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("profile", PROFILES)
def test_a_model_called_with_megabytes_fits_as_well(profile: str, memory: InMemorySpanExporter) -> None:
    """So do messages, calls with their ids and names, tool definitions, and what the model answered (pains #10)."""
    big = "x" * 1_000_000
    call: Any = {"type": "tool_call", "id": big, "name": big, "args": {big: big}}
    answer = AIMessage(big, tool_calls=[call] * 5, response_metadata={"id": big, "model_name": big})
    tools = [{"type": "function", "function": {"name": big, "description": big}}] * 5

    Model(answer=answer).bind(tools=tools).invoke(
        [HumanMessage(big, name=big), answer], _config(memory, profile=profile)
    )

    assert max(_bytes_of(memory)) < 2_000_000


@pytest.mark.parametrize("profile", PROFILES)
def test_pictures_are_nowhere(profile: str, memory: InMemorySpanExporter) -> None:
    """One picture in a message, a tool's result, a state and an output is type, size and hash each time (pains #11)."""
    picture = base64.b64encode(os.urandom(30_000)).decode()
    block = {"type": "image", "base64": picture, "mime_type": "image/png"}

    def shoot(path: str) -> list[Any]:
        """Take a picture."""
        return [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}}, {"t": picture}]

    shot = StructuredTool.from_function(shoot, name="shoot")
    chain: Runnable[Any, Any] = RunnableLambda(
        lambda given: {"state": [given], "raw": base64.b64decode(picture), "text": picture}
    )
    config = _config(memory, profile=profile)

    Model(answer=AIMessage([block])).invoke([HumanMessage([block])], config)
    shot.invoke({"type": "tool_call", "id": "1", "name": "shoot", "args": {"path": picture}}, config)
    chain.invoke(HumanMessage([block]), config)

    text = encode_spans(memory.get_finished_spans()).SerializeToString().decode("utf-8", "replace")
    assert re.findall(r"[A-Za-z0-9+/]{65,}", text) == []
    assert len(set(re.findall(r"30000 bytes sha256:(\w+)", text))) == 1


@pytest.mark.parametrize("profile", PROFILES)
def test_the_core_survives_a_long_chat(profile: str, memory: InMemorySpanExporter) -> None:
    """300 messages, 60 tools, 50 tags and 50 metadata leave model, usage and ids where they are (pains #23)."""
    call: Any = {"type": "tool_call", "id": "c", "name": "t0", "args": {"a": 1}}
    history = [HumanMessage("q"), AIMessage("", tool_calls=[call]), ToolMessage("r", tool_call_id="c")] * 100
    tools = [{"type": "function", "function": {"name": f"t{n}", "parameters": {"type": "object"}}} for n in range(60)]
    config: RunnableConfig = {
        **_config(memory, profile=profile),
        "tags": [f"tag {n}" for n in range(50)],
        "metadata": {**{f"key {n}": n for n in range(50)}, "ls_model_name": "m-1", "thread_id": "t-1"},
    }

    Model(answer=AIMessage("yes", usage_metadata=USAGE)).bind(tools=tools).invoke(history, config)

    said = _only(memory)
    assert memory.get_finished_spans()[0].dropped_attributes == 0
    assert said["session.id"] == "t-1"
    assert said["chainspan.run.id"]
    keys = ("llm.model_name", "llm.token_count.prompt") if profile == "openinference" else _CORE
    assert [said[key] for key in keys] == ["m-1", 10]


_CORE = ("gen_ai.request.model", "gen_ai.usage.input_tokens")


# ---------------------------------------------------------------- tools


@pytest.mark.parametrize(
    ("profile", "id_key", "arguments_key"),
    [
        ("compat", "gen_ai.tool.call.id", "gen_ai.tool.call.arguments"),
        ("latest", "gen_ai.tool.call.id", "gen_ai.tool.call.arguments"),
        ("openinference", "tool.id", "tool.parameters"),
    ],
)
@pytest.mark.parametrize("fails", [False, True], ids=["succeeds", "fails"])
def test_a_tools_arguments_are_json(
    profile: str, id_key: str, arguments_key: str, fails: bool, memory: InMemorySpanExporter
) -> None:
    """Id and arguments are on the span of a call that succeeds or fails, quotes and all (pains #20)."""

    @tool
    def look_up(what: str, limit: int | None = None) -> str:
        """Look something up."""
        if fails:
            raise LookupError(what)
        return what

    arguments = {"what": 'it\'s "x" é 名 \\ \n', "limit": None}
    try:
        look_up.invoke(
            {"type": "tool_call", "id": "c-7", "name": "f", "args": arguments}, _config(memory, profile=profile)
        )
    except LookupError:
        assert fails

    said = _only(memory)
    assert said[id_key] == "c-7"
    assert json.loads(said[arguments_key]) == arguments


@pytest.mark.parametrize("profile", PROFILES)
def test_what_langgraph_hands_to_a_tool_is_none_of_its_arguments(profile: str, memory: InMemorySpanExporter) -> None:
    """A parameter is handed the runtime for its name alone; state, context and config stay out of the arguments."""

    @tool
    def look_up(what: str, runtime: Any) -> str:
        """Look something up."""
        return f"{what} for {runtime.context['user']}"

    @tool
    def execute(runtime: str) -> str:
        """Execute something."""
        return runtime

    calls: Any = [
        {"type": "tool_call", "id": "c-1", "name": "look_up", "args": {"what": "x"}},
        {"type": "tool_call", "id": "c-2", "name": "execute", "args": {"runtime": "python"}},
    ]
    shown = io.StringIO()
    graph: Any = StateGraph(MessagesState, context_schema=dict)
    graph.add_node("look_up", ToolNode([look_up]))
    graph.add_edge(START, "look_up")
    heard = OtelHandler(SimpleSpanProcessor(memory), content=True, profile=profile)
    config: RunnableConfig = {"callbacks": [heard, ConsoleHandler(shown)]}

    answer = graph.compile().invoke(
        {"messages": [AIMessage("", tool_calls=calls[:1])]}, config, context={"user": "ada"}
    )
    execute.invoke(calls[1], config)

    assert answer["messages"][-1].content == "x for ada"
    key = "tool.parameters" if profile == "openinference" else "gen_ai.tool.call.arguments"
    said = {span.name: _said_by(span).get(key) for span in memory.get_finished_spans()}
    assert said["execute_tool look_up"] == '{"what":"x"}'
    assert said["execute_tool execute"] == '{"runtime":"python"}'
    assert 'Entering Tool run with input: "{"what":"x"}"' in shown.getvalue()


def test_each_tool_run_links_to_the_call_that_asked_for_it(memory: InMemorySpanExporter) -> None:
    """Two turns with two parallel calls each: four links, each to its own model call (pains #45)."""
    ids = itertools.count()

    @tool
    def look_up(what: str) -> str:
        """Look something up."""
        return what

    def act(_: str, config: RunnableConfig) -> None:
        for _turn in range(2):
            calls: Any = [
                {"type": "tool_call", "id": f"c{next(ids)}", "name": "look_up", "args": {"what": "x"}} for _ in "ab"
            ]
            asked: Any = Model(answer=AIMessage("", tool_calls=calls)).invoke("q", config)
            RunnableLambda(look_up.invoke).batch(asked.tool_calls, config)

    RunnableLambda(act).invoke("q", _config(memory))

    spans = memory.get_finished_spans()
    chats = [span.context.span_id for span in spans if span.name == "chat"]
    links = {
        _said_by(span)["gen_ai.tool.call.id"]: [chats.index(link.context.span_id) for link in span.links]
        for span in spans
        if span.name == "execute_tool look_up"
    }
    assert links == {"c0": [0], "c1": [0], "c2": [1], "c3": [1]}


@pytest.mark.parametrize("way", ["raised", "returned", "refused"])
def test_a_tool_that_answers_that_it_failed_has_failed(way: str, memory: InMemorySpanExporter) -> None:
    """Where a graph goes on after a tool's failure, the tool's span is an error and the graph's is not (pains #79)."""

    @tool
    def look_up(what: str) -> Any:
        """Look something up."""
        if way == "raised":
            raise LookupError(what)
        return ToolMessage("no such thing", tool_call_id="c-1", status="error")

    call: Any = {"type": "tool_call", "id": "c-1", "name": "look_up", "args": {} if way == "refused" else {"what": "x"}}
    graph = StateGraph(MessagesState)
    graph.add_node("tools", ToolNode([look_up], handle_tool_errors=True))
    graph.add_edge(START, "tools")

    answer = graph.compile().invoke({"messages": [AIMessage("", tool_calls=[call])]}, _config(memory))

    assert answer["messages"][-1].status == "error"
    failed, *others = memory.get_finished_spans()
    assert (failed.name, failed.status.status_code) == ("execute_tool look_up", StatusCode.ERROR)
    assert _said_by(failed)["error.type"] == {
        "raised": "LookupError",
        "returned": "tool_error",
        "refused": "pydantic_core._pydantic_core.ValidationError",
    }.get(way)
    assert [(span.name, span.status.status_code) for span in others] == [
        ("tools", StatusCode.UNSET),
        ("invoke_workflow", StatusCode.UNSET),
    ]


async def test_a_custom_event_stands_on_the_tools_span(memory: InMemorySpanExporter) -> None:
    """An event of the application's own is on the span of its run, masked and cut like the rest (pains #67)."""

    @tool
    async def work(what: str) -> str:
        """Work."""
        data = {"done": 5, "api_key": "k", "big": "y" * 600_000, "raw": b"abc"}
        await adispatch_custom_event("progress\n" + "n" * 5_000, data)
        return what

    await work.ainvoke({"what": "x"}, _config(memory))

    [span] = memory.get_finished_spans()
    [event] = span.events
    data = json.loads(str((event.attributes or {})["data"]))
    assert (span.name, event.name[:10], len(event.name) <= 1_000) == ("execute_tool work", "progress n", True)
    assert (data["done"], data["api_key"], data["raw"][:9]) == (5, "[secret]", "[bytes 3 ")
    assert len(data["big"]) < 262_144


# ---------------------------------------------------------------- streams


async def _streamed(runnable: Runnable[Any, Any], given: Any, config: RunnableConfig) -> None:
    list(runnable.stream(given, config))


async def _astreamed(runnable: Runnable[Any, Any], given: Any, config: RunnableConfig) -> None:
    [_ async for _ in runnable.astream(given, config)]


async def _events(runnable: Runnable[Any, Any], given: Any, config: RunnableConfig) -> None:
    [_ async for _ in runnable.astream_events(given, config, version="v2")]


@pytest.mark.parametrize("way", [_streamed, _astreamed, _events])
async def test_the_root_of_a_stream_says_what_went_in_and_came_out(way: Any, memory: InMemorySpanExporter) -> None:
    """A streamed chain's input is the real one, and a graph has its last message for an output (pains #19)."""
    model = Model(pieces=[{"content": "y"}, {"content": "es"}], answer=AIMessage("yes"))
    chain = ChatPromptTemplate([("human", "Is it {what}?")]) | model | StrOutputParser()
    graph = StateGraph(MessagesState)
    graph.add_node(
        "think", RunnableLambda(lambda state: state["messages"]) | model | (lambda said: {"messages": [said]})
    )
    graph.add_edge(START, "think")

    await way(chain, {"what": "red"}, _config(memory))
    await way(graph.compile(), {"messages": [HumanMessage("is it?")]}, _config(memory))

    sequence, whole = (_said_by(span) for span in memory.get_finished_spans() if span.parent is None)
    assert (sequence["input.value"], sequence["output.value"]) == ('{"what":"red"}', "yes")
    assert (whole["input.value"], whole["output.value"]) == ("is it?", "yes")
    said = [part for message in json.loads(whole["gen_ai.output.messages"]) for part in message["parts"]]
    assert said == [{"type": "text", "content": "yes"}]


# ---------------------------------------------------------------- who, in which conversation


class Starts(SpanProcessor):
    """Notes what is known of a span when it starts."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    @override
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        said = span.attributes or {}
        self.seen.append((span.name, *(said.get(key) for key in ("session.id", "user.id", "chainspan.tags"))))


@pytest.mark.parametrize("way", ["config", "session"])
async def test_identity_is_on_every_span_from_its_start(way: str) -> None:
    """Conversation, user and tags are there when a processor first sees a span (pains #12)."""
    starts = Starts()
    config: RunnableConfig = {"callbacks": [OtelHandler(starts, content=True)], "tags": ["prod"]}
    if way == "config":
        config |= {"configurable": {"thread_id": "t-1"}, "metadata": {"user_id": "u-1"}}

    with session(conversation="t-1", user="u-1") if way == "session" else session():
        await _graph(Model()).ainvoke({"messages": [HumanMessage("q")]}, config)

    assert len(starts.seen) >= 4
    assert {seen[1:] for seen in starts.seen} == {("t-1", "u-1", ("prod",))}


def test_metadata_becomes_attributes(memory: InMemorySpanExporter) -> None:
    """Each run of a batch has its own metadata, typed or as JSON, and none of the framework's (pains #46)."""
    metadata = [{"order": n, "n": {"a": 1}, "ls_x": 1, "langgraph_y": 1} for n in (7, 8)]

    RunnableLambda(str).batch([1, 2], [{**_config(memory), "metadata": each} for each in metadata])

    found = [
        {key: value for key, value in _said_by(span).items() if "metadata" in key}
        for span in sorted(memory.get_finished_spans(), key=lambda span: span.attributes["chainspan.metadata.order"])  # type: ignore[index,arg-type,return-value]
    ]
    assert found == [{"chainspan.metadata.order": n, "chainspan.metadata.n": '{"a":1}'} for n in (7, 8)]


class Colour(Enum):
    """Something that is no attribute's value."""

    RED = "red"


def test_odd_metadata_warns_of_nothing(memory: InMemorySpanExporter, caplog: pytest.LogCaptureFixture) -> None:
    """None, dicts, mixed lists and enums cost nothing else, and no line in the log (pains #68)."""
    metadata = {
        "none": None,
        "dict": {"a": None},
        "list": [1, "x", None],
        "enum": Colour.RED,
        "float": 1.5,
        "flag": True,
    }

    with warnings.catch_warnings(record=True) as warned:
        RunnableLambda(str).invoke(1, {**_config(memory), "metadata": metadata})

    assert {key[19:]: value for key, value in _only(memory).items() if key.startswith("chainspan.metadata.")} == {
        "dict": '{"a":null}',
        "list": '[1,"x",null]',
        "enum": "red",
        "float": 1.5,
        "flag": True,
    }
    assert (caplog.records, warned) == ([], [])


@pytest.mark.parametrize(("allowed", "expected"), [(["user.id"], "u-5"), ([], None)])
def test_baggage_is_copied_where_it_is_allowed(
    allowed: list[str], expected: str | None, memory: InMemorySpanExporter
) -> None:
    """An entry of baggage that is on the list is on all spans, any other on none (pains #81)."""
    token = context.attach(baggage.set_baggage("user.id", "u-5", baggage.set_baggage("other", "z")))
    try:
        config = _config(memory, content=ContentPolicy(capture=True, baggage=allowed))
        (RunnableLambda(str) | Model()).invoke("q", config)
    finally:
        context.detach(token)

    said = [_said_by(span) for span in memory.get_finished_spans()]
    assert [(each.get("user.id"), each.get("other")) for each in said] == [(expected, None)] * 3


# ---------------------------------------------------------------- the tree, and its names


@pytest.mark.parametrize(
    ("spans", "tree"),
    [
        ("all", "invoke_workflow\n  think\n    chat\n    chain\n  rest"),
        ("steps", "invoke_workflow\n  think\n    chat\n  rest"),
        ("llm", "chat"),
    ],
)
async def test_plumbing_can_be_left_out(spans: str, tree: str, memory: InMemorySpanExporter) -> None:
    """A preset drops what a graph does for itself, and hands the rest to the nearest span that is kept (pains #24)."""
    await _graph(Model()).ainvoke({"messages": [HumanMessage("q")]}, _config(memory, spans=spans))

    assert tree_of(memory.get_finished_spans()) == tree


def test_a_task_is_a_node(memory: InMemorySpanExporter) -> None:
    """Tasks of the functional API stand in their graph as nodes do; what is called in one does not, by any name."""
    inner: Runnable[Any, Any] = RunnableLambda(str, name="half")

    @task
    def half(word: str) -> Any:
        return inner.invoke(word)

    @task
    def whole(word: str) -> Any:
        return half(word).result()

    @entrypoint()
    def flow(word: str) -> Any:
        return whole(word).result()

    flow.invoke("q", _config(memory))

    said = [(span.name, (span.attributes or {}).get("graph.node.name")) for span in memory.get_finished_spans()]
    assert said == [
        ("half", None),
        ("half", "half"),
        ("whole", "whole"),
        ("flow", "flow"),
        ("invoke_workflow", None),
    ]
    steps = InMemorySpanExporter()
    flow.invoke("q", _config(steps, spans="steps"))
    assert tree_of(steps.get_finished_spans()) == "invoke_workflow\n  flow\n    whole\n      half"


def test_a_run_name_names_the_span(memory: InMemorySpanExporter) -> None:
    """What a user calls a run is its span's name; what a model is called is in no chain's name (pains #70)."""
    chain = (RunnableLambda(str) | Model(name="m").with_config(run_name="mine")).with_config(run_name="outer")

    chain.invoke("q", {**_config(memory), "metadata": {"ls_model_name": "m-1"}})
    Model().invoke("q", {**_config(memory), "metadata": {"ls_model_name": "m-1"}})

    assert tree_of(memory.get_finished_spans()) == "outer\n  str\n  mine\nchat m-1"


NAMES = {
    "surrogate": ("a\ud800b \ud83e\udd9c", "a\ufffdb 🦜"),
    "line": ("a\r\nb\tc\u2028d", "a b c d"),
    "control": ("a\x00b\x1b[31mc\x9b", "a\ufffdb\ufffd[31mc\ufffd"),
    "secret": ("ask sk-proj-abcdefghijklmnopqrstuvwx", "ask [secret]"),
    "pattern": ("ask ada@host.org", "ask [redacted]"),
}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(("name", "expected"), NAMES.values(), ids=NAMES)
def test_any_name_can_be_exported(name: str, expected: str, profile: str, memory: InMemorySpanExporter) -> None:
    """Run and tool names with halves of characters, control codes, secrets or what a policy masks (pains #6)."""
    policy = ContentPolicy(capture=False, redact_patterns=[r"\w+@\S+"])
    handler = OtelHandler(SimpleSpanProcessor(memory), content=policy, profile=profile)

    RunnableLambda(str).with_config(run_name=name).invoke(1, {"callbacks": [handler]})
    handler.on_tool_start({"name": name}, "x", run_id=UUID(int=1), inputs={})  # as a server of tools may call one
    handler.on_tool_end("y", run_id=UUID(int=1))

    chain, called = memory.get_finished_spans()
    assert (chain.name, called.name) == (expected, f"execute_tool {expected}")
    assert _said_by(chain)["chainspan.run.name"] == expected
    assert _said_by(called)["tool.name" if profile == "openinference" else "gen_ai.tool.name"] == expected
    assert encode_spans([chain, called]).SerializeToString()


def test_a_name_is_cut_to_a_kilobyte(memory: InMemorySpanExporter) -> None:
    """A name of 100 KB keeps its beginning and its end, and says how much is gone."""
    RunnableLambda(str).with_config(run_name=f"begin {'é' * 100_000} end").invoke(1, _config(memory))

    [span] = memory.get_finished_spans()
    assert re.fullmatch(r"begin é+\[\+\d+ bytes\]é+ end", span.name)
    assert 900 < len(span.name.encode()) <= 1_000


# ---------------------------------------------------------------- what a model says


THOUGHTS = {
    "anthropic": AIMessage(
        [{"type": "thinking", "thinking": "HMM", "signature": "s"}, {"type": "text", "text": "yes"}],
        response_metadata={"model_provider": "anthropic"},
    ),
    "openai": AIMessage(
        [
            {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "HMM"}]},
            {"type": "text", "text": "yes"},
        ],
        response_metadata={"model_provider": "openai"},
    ),
    "deepseek": AIMessage("yes", additional_kwargs={"reasoning_content": "HMM"}),
}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("answer", THOUGHTS.values(), ids=THOUGHTS)
@pytest.mark.parametrize("reasoning", [True, False])
def test_reasoning_is_recorded_once_or_left_out(
    answer: AIMessage, reasoning: bool, profile: str, memory: InMemorySpanExporter
) -> None:
    """Whichever provider thought it, there is one part of reasoning, with a switch of its own (pains #57)."""
    policy = ContentPolicy(capture=True, reasoning=reasoning)

    Model(answer=answer).invoke("q", _config(memory, content=policy, profile=profile))

    said = json.dumps(_only(memory))
    assert said.count("HMM") == int(reasoning)
    assert "yes" in said


# ---------------------------------------------------------------- secrets


@pytest.mark.parametrize("content", [True, False])
@pytest.mark.parametrize("profile", PROFILES)
def test_keys_are_never_exported(profile: str, content: bool, memory: InMemorySpanExporter) -> None:
    """Keys in arguments, headers, addresses, names and errors of a provider leave in no form (pains #53)."""
    key = "sk-proj-c4n4ryabcdefghijklmnopqrst"
    config: RunnableConfig = {
        **_config(memory, content=content, profile=profile),
        "metadata": {"api_key": key, "note": f"with {key}", "headers": {"Authorization": f"Bearer {key}"}},
        "tags": [key],
        "run_name": f"run {key}",
    }
    error = ValueError(f"401 at https://user:c4n4ryc4n4ry@host/v1?api_key={key}: {{'x-api-key': '{key}'}}")

    Model(answer=AIMessage(f"use {key}")).invoke(f"password={key}", config)
    with pytest.raises(ValueError, match="401"):
        RunnableLambda(_raise).invoke(error, config)

    assert "c4n4ry" not in encode_spans(memory.get_finished_spans()).SerializeToString().decode("utf-8", "replace")


@pytest.mark.parametrize("profile", PROFILES)
def test_keys_of_no_known_form_are_known_by_where_they_stand(profile: str, memory: InMemorySpanExporter) -> None:
    """Keys in parameters of a model and of a call, in headers, queries and `SecretStr` are masked (pains #53)."""
    key = "c4n4ry c4n4ry"
    config = _config(memory, profile=profile)
    sent: dict[str, Any] = {
        "api_key": key,
        "extra_headers": {"X-Api-Key": key, "Authorization": key},
        "extra_query": {"access_token": key},
        "token": SecretStr(key),
    }
    address = "https://host/v1?api_key=c4n4ry&access_token=c4n4ry&X-Amz-Signature=c4n4ry"

    Keyed(parameters=sent).bind(**sent).invoke(address, config)
    RunnableLambda(lambda given: given).invoke({"sent": sent, "address": address}, config)
    with pytest.raises(ValueError, match="headers"):
        RunnableLambda(_raise).invoke(ValueError(f"headers={sent} of {address}"), config)

    assert len(memory.get_finished_spans()) == 3
    assert b"c4n4ry" not in encode_spans(memory.get_finished_spans()).SerializeToString()


class Keyed(Model):
    """A model that tells LangChain all that it was made with."""

    parameters: Any = None

    @property
    @override
    def _identifying_params(self) -> dict[str, Any]:
        return dict(self.parameters)


def test_a_hundred_threads_of_one_session_keep_to_it() -> None:
    """Runs in threads that LangChain starts are in the session around the call (pains #12)."""
    starts = Starts()

    with session(conversation="t-1", user="u-1"):
        RunnableLambda(str).batch(list(range(100)), {"callbacks": [OtelHandler(starts)], "max_concurrency": 20})

    assert {seen[1:] for seen in starts.seen} == {("t-1", "u-1", None)}
    assert len(starts.seen) == 100


def test_tasks_of_two_sessions_do_not_mix() -> None:
    """Two sessions at the same time, in tasks of one loop, each have their own runs (pains #12)."""
    starts = Starts()
    config: RunnableConfig = {"callbacks": [OtelHandler(starts)]}

    async def talk(name: str) -> None:
        with session(conversation=name, user=name):
            await asyncio.gather(*(RunnableLambda(_asleep).ainvoke(n, config) for n in range(10)))

    async def main() -> None:
        await asyncio.gather(talk("a"), talk("b"))

    asyncio.run(main())

    assert sorted(seen[1:3] for seen in starts.seen) == [("a", "a")] * 10 + [("b", "b")] * 10


async def _asleep(number: int) -> int:
    await asyncio.sleep(0)
    return number
