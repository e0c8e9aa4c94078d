"""LangGraph: nodes, joins, subgraphs, fan-out, commands, interrupts, checkpointers, stream modes."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import operator
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial, wraps
from typing import Annotated, Any, TypedDict, cast

import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, RetryPolicy, Send, StreamMode, interrupt
from opentelemetry import propagate

from ._bench import Bench
from ._modes import ASYNC, CALLS, SYNC_ASYNC, Mode, modes
from ._play import Observation
from ._python310 import handed_on
from ._stage import Stage, attached, carry_context
from ._trees import label


class State(TypedDict):
    """A log of what the nodes did."""

    log: Annotated[list[str], operator.add]


EMPTY: State = {"log": []}
OUTCOME = "chainspan.run.outcome"
Step = Callable[[Any], Any]


def node(stage: Stage, name: str, mode: Mode | None = None, then: Any = None) -> Any:
    """Return a node that marks its body and does a piece of work, which it hands its config on to."""

    def run(state: Any) -> Any:
        stage.mark(f"native:node:{name}")
        return then(None) if then else {"log": [name]}

    async def arun(state: Any, config: RunnableConfig) -> Any:
        with stage.native(f"native:node:{name}"):
            await asyncio.sleep(0)
        outcome = then(handed_on(config)) if then else {"log": [name]}
        return await outcome if hasattr(outcome, "__await__") else outcome

    return arun if mode is not None and mode.is_async else run


def interrupted(seen: Observation) -> list[str]:
    """Return which runs ended because the graph waits for somebody or something, one label for each."""
    outcomes = [(label(span), (span.attributes or {}).get(OUTCOME)) for span in seen.spans]
    return sorted(name for name, outcome in outcomes if outcome == "interrupted")


def asks(model: Any, mode: Mode) -> Step:
    """Return the body of a node that calls a model without any config, where that works."""

    def ask(_: Any) -> Any:
        return {"log": [model.invoke("hi").text]}

    async def aask(config: Any) -> Any:
        return {"log": [(await model.ainvoke("hi", config)).text]}

    return aask if mode.is_async else ask


@modes(CALLS)
def test_parallel_nodes_and_a_join(bench: Bench, mode: Mode) -> None:
    """Nodes that run at once keep their own bodies, and the join is no child of either (pains #1, #33)."""

    def scenario(stage: Stage) -> Any:
        graph = StateGraph(State)
        for name in ("a", "b"):
            graph.add_node(name, node(stage, name, mode, asks(stage.model(name), mode)))
            graph.add_edge(START, name)
        graph.add_node("join", node(stage, "join", mode))
        graph.add_edge(["a", "b"], "join")
        return mode.run(graph.compile(name="fork"), EMPTY, stage.config, stream_mode="values")

    bench.check(
        scenario,
        """
        chain:fork
          chain:a
            native:node:a
            llm:a
              native:model:a
          chain:b
            native:node:b
            llm:b
              native:model:b
          chain:join
            native:node:join
        """,
    )


@modes(CALLS)
def test_sync_nodes_in_an_async_run(bench: Bench, mode: Mode) -> None:
    """A sync node that LangGraph moves to a thread takes its run along, and so does its model."""

    def scenario(stage: Stage) -> Any:
        model = stage.sync_model()
        graph = StateGraph(State)
        graph.add_node("a", node(stage, "a", None, lambda _: {"log": [model.invoke("hi").text]}))
        graph.add_node("b", node(stage, "b"))
        graph.add_edge(START, "a")
        graph.add_edge("a", "b")
        return mode.run(graph.compile(), EMPTY, stage.config)

    bench.check(
        scenario,
        """
        chain:LangGraph
          chain:a
            native:node:a
            llm:m1
              native:model:m1
          chain:b
            native:node:b
        """,
    )


@modes(SYNC_ASYNC)
def test_conditional_edges(bench: Bench, mode: Mode) -> None:
    """A routing function is a run of its own below the node that it follows."""

    def scenario(stage: Stage) -> Any:
        def route(state: Any) -> str:
            stage.mark("native:route")
            return "b" if len(state["log"]) < 3 else END

        graph = StateGraph(State)
        graph.add_node("a", node(stage, "a", mode))
        graph.add_node("b", node(stage, "b", mode))
        graph.add_edge(START, "a")
        graph.add_conditional_edges("a", route, ["b", END])
        graph.add_edge("b", "a")
        return mode.run(graph.compile(), EMPTY, stage.config)

    bench.check(
        scenario,
        """
        chain:LangGraph
          chain:a  x2
            native:node:a
            chain:route
              native:route
          chain:b
            native:node:b
        """,
    )


def inner_graph(stage: Stage, mode: Mode, **options: Any) -> Any:
    """Return a compiled graph of one node."""
    graph = StateGraph(State)
    graph.add_node("deep", node(stage, "deep", mode))
    graph.add_edge(START, "deep")
    return graph.compile(name="inner", **options)


@modes(CALLS)
def test_subgraph_as_a_node(bench: Bench, mode: Mode) -> None:
    """A graph that is a node of another hangs below its node, under its own name."""

    def scenario(stage: Stage) -> Any:
        graph = StateGraph(State)
        graph.add_node("sub", inner_graph(stage, mode))
        graph.add_node("after", node(stage, "after", mode))
        graph.add_edge(START, "sub")
        graph.add_edge("sub", "after")
        return mode.run(graph.compile(name="outer"), EMPTY, stage.config)

    bench.check(
        scenario,
        """
        chain:outer
          chain:sub
            chain:inner
              chain:deep
                native:node:deep
          chain:after
            native:node:after
        """,
    )


@modes(CALLS)
def test_five_levels_of_graphs(bench: Bench, mode: Mode) -> None:
    """Graphs in graphs, five deep, are one trace, and each run has the parent that LangChain names (pains #42)."""

    def scenario(stage: Stage) -> Any:
        inside: Any = node(stage, "innermost", mode, asks(stage.model(), mode))
        for level in reversed(range(5)):
            graph = StateGraph(State)
            graph.add_node(f"node {level}", inside)
            graph.add_edge(START, f"node {level}")
            inside = graph.compile(name=f"graph {level}")
        return mode.run(inside, EMPTY, stage.config)

    bench.check(
        scenario,
        """
        chain:graph 0
          chain:node 0
            chain:graph 1
              chain:node 1
                chain:graph 2
                  chain:node 2
                    chain:graph 3
                      chain:node 3
                        chain:graph 4
                          chain:node 4
                            native:node:innermost
                            llm:m1
                              native:model:m1
        """,
    )


@modes(CALLS)
def test_subgraph_called_in_a_node(bench: Bench, mode: Mode) -> None:
    """A graph that a node calls hangs below the node."""

    def scenario(stage: Stage) -> Any:
        inner = inner_graph(stage, mode)

        def call(config: Any) -> Any:
            return (inner.ainvoke if mode.is_async else inner.invoke)(EMPTY, config)

        graph = StateGraph(State)
        graph.add_node("caller", node(stage, "caller", mode, call))
        graph.add_edge(START, "caller")
        return mode.run(graph.compile(name="outer"), EMPTY, stage.config)

    bench.check(
        scenario,
        """
        chain:outer
          chain:caller
            native:node:caller
            chain:inner
              chain:deep
                native:node:deep
        """,
    )


@modes(SYNC_ASYNC)
def test_send_fans_out(bench: Bench, mode: Mode) -> None:
    """Each packet that is sent is a run of the node."""

    def scenario(stage: Stage) -> Any:
        def fan_out(_: Any) -> list[Send]:
            return [Send("work", EMPTY)] * 3

        graph = StateGraph(State)
        graph.add_node("plan", node(stage, "plan", mode))
        graph.add_node("work", node(stage, "work", mode))
        graph.add_edge(START, "plan")
        graph.add_conditional_edges("plan", fan_out, ["work"])
        return mode.run(graph.compile(), EMPTY, stage.config)

    bench.check(
        scenario,
        """
        chain:LangGraph
          chain:plan
            native:node:plan
            chain:fan_out
          chain:work  x3
            native:node:work
        """,
    )


@modes(CALLS)
def test_command_to_the_parent_graph(bench: Bench, mode: Mode) -> None:
    """A subgraph that hands over to a node of its parent is no error, and leaves nothing current (pains #2)."""

    def scenario(stage: Stage) -> Any:
        def hand_over(_: Any) -> Any:
            return Command(goto="other", graph=Command.PARENT, update={"log": ["moved"]})

        inner = StateGraph(State)
        inner.add_node("leave", node(stage, "leave", None, hand_over))
        inner.add_edge(START, "leave")
        graph = StateGraph(State)
        graph.add_node("sub", inner.compile(), destinations=("other",))
        graph.add_node("other", node(stage, "other", mode))
        graph.add_edge(START, "sub")
        return mode.run(graph.compile(name="outer"), EMPTY, stage.config)

    seen = bench.check(
        scenario,
        """
        chain:outer
          chain:sub
            chain:LangGraph
              chain:leave
                native:node:leave
          chain:other
            native:node:other
        """,
    )

    assert [span.name for span in seen.spans if not span.status.is_unset or span.events] == []


class TracingSaver(InMemorySaver):
    """A checkpointer on a traced database: each read and write opens a native span."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage

    def get_tuple(self, config: Any) -> Any:
        """Read."""
        self._stage.mark("native:saver:get")
        return super().get_tuple(config)

    def put(self, *args: Any) -> Any:
        """Write a checkpoint."""
        self._stage.mark("native:saver:put")
        return super().put(*args)

    def put_writes(self, *args: Any) -> None:
        """Write what a node wrote."""
        self._stage.mark("native:saver:writes")
        super().put_writes(*args)

    async def aget_tuple(self, config: Any) -> Any:
        """Read."""
        return self.get_tuple(config)

    async def aput(self, *args: Any) -> Any:
        """Write a checkpoint."""
        return self.put(*args)

    async def aput_writes(self, *args: Any) -> None:
        """Write what a node wrote."""
        self.put_writes(*args)


THREAD: RunnableConfig = {"configurable": {"thread_id": "1"}}


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@modes(CALLS)
def test_checkpointer(bench: Bench, mode: Mode, durability: str) -> None:
    """What a checkpointer opens, in whatever thread it writes, hangs below the graph's run."""

    def scenario(stage: Stage) -> Any:
        graph = StateGraph(State)
        graph.add_node("a", node(stage, "a", mode))
        graph.add_edge(START, "a")
        compiled = graph.compile(checkpointer=TracingSaver(stage))
        return mode.run(compiled, EMPTY, {**stage.config, **THREAD}, durability=durability)

    puts = {"sync": 3, "async": 3, "exit": 1}[durability]
    writes = {"sync": 2, "async": 2, "exit": 0}[durability]
    bench.check(
        scenario,
        f"""
        chain:LangGraph
          native:saver:get
          native:saver:put  x{puts}
          {"native:saver:writes  x" + str(writes) if writes else ""}
          chain:a
            native:node:a
        """,
    )


def by_hand(stage: Stage, name: str) -> Any:
    """Return a decorator of the application's own, which opens a native span around a method."""

    def decorate(method: Any) -> Any:
        @wraps(method)
        def around(*args: Any) -> Any:
            with stage.native(name):
                return method(*args)

        @wraps(method)
        async def aaround(*args: Any) -> Any:
            with stage.native(name):
                return await method(*args)

        return aaround if inspect.iscoroutinefunction(method) else around

    return decorate


@pytest.mark.parametrize("opens", [by_hand, Stage.native], ids=["by_hand", "by_opentelemetry"])
@modes(CALLS)
def test_decorated_checkpointer(bench: Bench, mode: Mode, opens: Callable[[Stage, str], Any]) -> None:
    """What a decorator opens around a method of a checkpointer hangs below the graph's run."""
    names = ["aput", "aput_writes"] if mode.is_async else ["put", "put_writes"]

    def scenario(stage: Stage) -> Any:
        methods = {name: opens(stage, f"native:{name}")(getattr(InMemorySaver, name)) for name in names}
        graph = StateGraph(State)
        graph.add_node("a", node(stage, "a", mode))
        graph.add_edge(START, "a")
        compiled = graph.compile(checkpointer=type("Saver", (InMemorySaver,), methods)())
        return mode.run(compiled, EMPTY, {**stage.config, **THREAD})

    bench.check(
        scenario,
        f"""
        chain:LangGraph
          native:{names[0]}  x3
          native:{names[1]}  x2
          chain:a
            native:node:a
        """,
    )


async def _gathered(*work: Any) -> None:
    await asyncio.gather(*work)


async def _as_task(*work: Any) -> None:
    for one in work:
        await asyncio.create_task(one)


async def _waited_for(*work: Any) -> None:
    await asyncio.wait_for(asyncio.gather(*work), timeout=5)


async def _in_group(*work: Any) -> None:
    async with asyncio.TaskGroup() as group:
        for one in work:
            group.create_task(one)


async def _carried(*work: Any) -> None:
    for one in work:
        await asyncio.to_thread(carry_context(partial(asyncio.run, one)))


class TaskSaver(InMemorySaver):
    """A checkpointer that leaves its work to tasks and threads, each of which opens a native span."""

    def __init__(self, stage: Stage, work: Callable[..., Any]) -> None:
        super().__init__()
        self._stage = stage
        self._work = work

    async def aget_tuple(self, config: Any) -> Any:
        """Read."""
        await self._work(ask(self._stage, "native:saver:get"))
        return super().get_tuple(config)

    async def aput(self, *args: Any) -> Any:
        """Write a checkpoint."""
        await self._work(ask(self._stage, "native:saver:one"), ask(self._stage, "native:saver:two"))
        return super().put(*args)

    async def aput_writes(self, *args: Any) -> None:
        """Write what a node wrote."""
        await self._work(ask(self._stage, "native:saver:writes"))
        super().put_writes(*args)


async def ask(stage: Stage, name: str) -> None:
    """Ask a database, as a client does that knows of no checkpointer."""
    with stage.native(name):
        await asyncio.sleep(0)


LEAVING = [_gathered, _as_task, _waited_for, _carried, *([_in_group] if sys.version_info >= (3, 11) else [])]


@pytest.mark.parametrize("work", LEAVING)
@modes(ASYNC)
def test_checkpointer_with_tasks(bench: Bench, mode: Mode, work: Callable[..., Any]) -> None:
    """What a checkpointer leaves to tasks, or carries into threads, hangs below the graph; a consumer's does not."""

    async def scenario(stage: Stage) -> None:
        graph = StateGraph(State)
        graph.add_node("a", node(stage, "a", mode))
        graph.add_edge(START, "a")
        compiled = graph.compile(checkpointer=TaskSaver(stage, work))
        if mode.name == "ainvoke":
            await compiled.ainvoke(EMPTY, {**stage.config, **THREAD})
        else:
            async for _ in compiled.astream(EMPTY, {**stage.config, **THREAD}):
                await work(ask(stage, "native:consumer"))

    bench.check(
        scenario,
        f"""
        {"native:consumer" if mode.name == "astream" else ""}
        chain:LangGraph
          native:saver:get
          native:saver:one  x3
          native:saver:two  x3
          native:saver:writes  x2
          chain:a
            native:node:a
        """,
    )


@modes(CALLS)
def test_interrupt_and_resume(bench: Bench, mode: Mode) -> None:
    """An interrupted node is no error; resumed, it runs again, in a call of its own (pains #2)."""

    def scenario(stage: Stage) -> Any:
        def ask(_: Any) -> Any:
            return {"log": [interrupt("may I?")]}

        graph = StateGraph(State)
        graph.add_node("ask", node(stage, "ask", mode, ask))
        graph.add_node("after", node(stage, "after", mode))
        graph.add_edge(START, "ask")
        graph.add_edge("ask", "after")
        compiled = graph.compile(checkpointer=InMemorySaver())
        config = {**stage.config, **THREAD}
        turns: list[Any] = [EMPTY, Command(resume="yes")]
        if not mode.is_async:
            return [mode.run(compiled, given, config) for given in turns]

        async def both() -> Any:
            return [await mode.run(compiled, given, config) for given in turns]

        return both()

    seen = bench.check(
        scenario,
        """
        chain:LangGraph
          chain:ask
            native:node:ask
        chain:LangGraph
          chain:ask
            native:node:ask
          chain:after
            native:node:after
        """,
    )

    assert [span.name for span in seen.spans if not span.status.is_unset] == []
    assert [event.name for span in seen.spans for event in span.events if event.name == "exception"] == []
    assert interrupted(seen) == ["chain:LangGraph", "chain:ask"]


@pytest.mark.parametrize(
    "stream_mode",
    ["values", "updates", "custom", "messages", "debug", "tasks", "checkpoints", ["values", "messages"]],
    ids=str,
)
@modes([CALLS[2], CALLS[3]])
def test_stream_modes(bench: Bench, mode: Mode, stream_mode: StreamMode) -> None:
    """What a graph streams to its consumer changes nothing in its tree."""

    def scenario(stage: Stage) -> Any:
        graph = StateGraph(State)
        graph.add_node("a", node(stage, "a", mode, asks(stage.model(), mode)))
        graph.add_node("b", node(stage, "b", mode))
        graph.add_edge(START, "a")
        graph.add_edge("a", "b")
        compiled = graph.compile(checkpointer=InMemorySaver())
        return mode.run(compiled, EMPTY, {**stage.config, **THREAD}, stream_mode=stream_mode)

    bench.check(
        scenario,
        """
        chain:LangGraph
          chain:a
            native:node:a
            llm:m1
              native:model:m1
          chain:b
            native:node:b
        """,
    )


@modes(CALLS)
def test_functional_api(bench: Bench, mode: Mode) -> None:
    """Tasks hang below their entrypoint, also those that run at once."""

    def scenario(stage: Stage) -> Any:
        @task
        def half(word: str) -> str:
            stage.mark("native:task:half")
            return word

        @task
        async def ahalf(word: str) -> str:
            stage.mark("native:task:half")
            await asyncio.sleep(0)
            return word

        @entrypoint()
        def flow(word: str) -> list[str]:
            futures = [half(word) for _ in range(2)]
            stage.mark("native:flow")
            return [future.result() for future in futures]

        @entrypoint()
        async def aflow(word: str) -> list[str]:
            futures = [ahalf(word) for _ in range(2)]
            stage.mark("native:flow")
            return list(await asyncio.gather(*futures))

        return mode.run((aflow if mode.is_async else flow), "hi", stage.config)

    prefix = "a" if mode.is_async else ""
    bench.check(
        scenario,
        f"""
        chain:LangGraph
          chain:{prefix}flow
            native:flow
            chain:{prefix}half  x2
              native:task:half
        """,
    )


@modes(SYNC_ASYNC)
def test_retried_node(bench: Bench, mode: Mode) -> None:
    """A node that LangGraph retries is one run per attempt."""

    def scenario(stage: Stage) -> Any:
        attempts: list[int] = []

        def flaky(_: Any) -> Any:
            attempts.append(1)
            if len(attempts) < 3:
                raise ConnectionError
            return {"log": ["at last"]}

        graph = StateGraph(State)
        policy = RetryPolicy(initial_interval=0.001, jitter=False)
        graph.add_node("flaky", node(stage, "flaky", mode, flaky), retry_policy=policy)
        graph.add_edge(START, "flaky")
        return mode.run(graph.compile(), EMPTY, stage.config)

    bench.check(
        scenario,
        """
        chain:LangGraph
          chain:flaky  x3
            native:node:flaky
        """,
    )


@modes(CALLS)
def test_failing_node(bench: Bench, mode: Mode) -> None:
    """A node that raises while another still runs ends the graph, and every span."""

    def scenario(stage: Stage) -> Any:
        def fail(_: Any) -> Any:
            raise LookupError

        graph = StateGraph(State)
        graph.add_node("fails", node(stage, "fails", mode, fail))
        graph.add_edge(START, "fails")
        return mode.run(graph.compile(), EMPTY, stage.config)

    bench.check(
        scenario,
        """
        chain:LangGraph
          chain:fails
            native:node:fails
        """,
        fails="LookupError",
    )


@modes(SYNC_ASYNC)
def test_chain_in_a_graph_in_a_chain(bench: Bench, mode: Mode) -> None:
    """Graphs and chains nest in each other."""

    def scenario(stage: Stage) -> Any:
        step = (
            RunnableLambda(lambda state: state["log"][0], name="first") | stage.model() | (lambda m: {"log": [m.text]})
        )
        graph = StateGraph(State)
        graph.add_node("a", node(stage, "a", mode))
        graph.add_node("chain", step)
        graph.add_edge(START, "a")
        graph.add_edge("a", "chain")
        whole = graph.compile(name="graph") | RunnableLambda(lambda state: state["log"], name="log")
        return mode.run(whole, EMPTY, stage.config)

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          chain:graph
            chain:a
              native:node:a
            chain:chain
              chain:first
              llm:m1
                native:model:m1
              chain:RunnableLambda
          chain:log
        """,
    )


@modes(SYNC_ASYNC)
def test_interrupt_before_a_node(bench: Bench, mode: Mode) -> None:
    """A graph told to stop before a node goes on in a second call, without the first one's place."""

    def scenario(stage: Stage) -> Any:
        graph = StateGraph(State)
        graph.add_node("a", node(stage, "a", mode))
        graph.add_node("b", node(stage, "b", mode))
        graph.add_edge(START, "a")
        graph.add_edge("a", "b")
        compiled = graph.compile(checkpointer=InMemorySaver(), interrupt_before=["b"])
        config = {**stage.config, **THREAD}

        async def acalls() -> Any:
            return [await mode.run(compiled, given, config) for given in (EMPTY, None)]

        return acalls() if mode.is_async else [mode.run(compiled, given, config) for given in (EMPTY, None)]

    seen = bench.check(
        scenario,
        """
        chain:LangGraph
          chain:a
            native:node:a
        chain:LangGraph
          chain:b
            native:node:b
        """,
    )

    assert interrupted(seen) == ["chain:LangGraph"]


@modes(CALLS)
def test_interrupt_in_a_subgraph(bench: Bench, mode: Mode) -> None:
    """An interrupt deep inside passes through every run above it as no error (pains #2)."""

    def scenario(stage: Stage) -> Any:
        inner = StateGraph(State)
        inner.add_node("ask", node(stage, "ask", mode, lambda _: {"log": [interrupt("may I?")]}))
        inner.add_edge(START, "ask")
        graph = StateGraph(State)
        graph.add_node("sub", inner.compile(name="inner"))
        graph.add_edge(START, "sub")
        compiled = graph.compile(checkpointer=InMemorySaver(), name="outer")
        return mode.run(compiled, EMPTY, {**stage.config, **THREAD})

    seen = bench.check(
        scenario,
        """
        chain:outer
          chain:sub
            chain:inner
              chain:ask
                native:node:ask
        """,
    )

    assert [span.name for span in seen.spans if not span.status.is_unset] == []
    assert [event.name for span in seen.spans for event in span.events if event.name == "exception"] == []
    assert interrupted(seen) == ["chain:ask", "chain:inner", "chain:outer", "chain:sub"]


@modes(CALLS)
def test_interrupt_in_a_tool(bench: Bench, mode: Mode) -> None:
    """A tool that waits for a human is no error, nor is what is around it (pains #2)."""

    def scenario(stage: Stage) -> Any:
        call = {"type": "tool_call", "id": "call-1", "name": "lookup", "args": {"q": "x"}}
        graph = StateGraph(MessagesState)
        graph.add_node("tools", ToolNode([stage.tool(inside=interrupt)]))
        graph.add_edge(START, "tools")
        compiled = graph.compile(checkpointer=InMemorySaver())
        return mode.run(compiled, {"messages": [AIMessage("", tool_calls=[call])]}, {**stage.config, **THREAD})

    seen = bench.check(
        scenario,
        """
        chain:LangGraph
          chain:tools
            tool:lookup
              native:tool:lookup
        """,
    )

    assert [span.name for span in seen.spans if not span.status.is_unset] == []
    assert [event.name for span in seen.spans for event in span.events if event.name == "exception"] == []
    assert interrupted(seen) == ["chain:LangGraph", "chain:tools", "tool:lookup"]


@modes(CALLS)
def test_resumed_in_the_trace_of_the_interrupt(bench: Bench, mode: Mode) -> None:
    """A call that goes on with what an interrupted node has injected, wherever that was kept, is in its trace."""

    def scenario(stage: Stage) -> Any:
        carriers: list[dict[str, str]] = []

        def ask(_: Any) -> Any:
            carriers.append({})
            propagate.inject(carriers[-1])
            return {"log": [interrupt("may I?")]}

        graph = StateGraph(State)
        graph.add_node("ask", node(stage, "ask", mode, ask))
        graph.add_edge(START, "ask")
        compiled = graph.compile(checkpointer=InMemorySaver())
        config = {**stage.config, **THREAD}
        turns: list[Any] = [EMPTY, Command(resume="yes")]

        async def both() -> Any:
            answers = [await mode.run(compiled, turns[0], config)]
            with attached(propagate.extract(carriers[0])):
                return [*answers, await mode.run(compiled, turns[1], config)]

        if mode.is_async:
            return both()
        answers = [mode.run(compiled, turns[0], config)]
        with attached(propagate.extract(carriers[0])):
            return [*answers, mode.run(compiled, turns[1], config)]

    bench.check(
        scenario,
        """
        chain:LangGraph
          chain:ask
            native:node:ask
            chain:LangGraph
              chain:ask
                native:node:ask
        """,
        without="R",  # LangChain names no parent of a call that goes on
    )


@modes(SYNC_ASYNC)
def test_state_read_and_written_between_calls(bench: Bench, mode: Mode) -> None:
    """What a checkpointer opens outside every call hangs below nobody's run."""

    def scenario(stage: Stage) -> Any:
        graph = StateGraph(State)
        graph.add_node("a", node(stage, "a", mode))
        graph.add_edge(START, "a")
        compiled = graph.compile(checkpointer=TracingSaver(stage))
        config: RunnableConfig = {**stage.config, **THREAD}

        async def acalls() -> Any:
            await compiled.ainvoke(EMPTY, config, durability="exit")
            return (await compiled.aget_state(THREAD)).values

        if mode.is_async:
            return acalls()
        compiled.invoke(EMPTY, config, durability="exit")
        return compiled.get_state(THREAD).values

    bench.check(
        scenario,
        """
        chain:LangGraph
          native:saver:get
          native:saver:put
          chain:a
            native:node:a
        native:saver:get
        """,
    )


@modes([CALLS[2], CALLS[3]])
def test_stream_with_subgraphs(bench: Bench, mode: Mode) -> None:
    """Chunks of subgraphs pass through, and their runs stay where they are."""

    def scenario(stage: Stage) -> Any:
        graph = StateGraph(State)
        graph.add_node("sub", inner_graph(stage, mode))
        graph.add_edge(START, "sub")
        return len_of(mode, mode.run(graph.compile(name="outer"), EMPTY, stage.config, subgraphs=True))

    bench.check(
        scenario,
        """
        chain:outer
          chain:sub
            chain:inner
              chain:deep
                native:node:deep
        """,
    )


def len_of(mode: Mode, chunks: Any) -> Any:
    """Return how many chunks there are: their namespaces differ from call to call."""

    async def alen() -> int:
        return len(await chunks)

    return alen() if mode.is_async else len(chunks)


def test_graph_events(bench: Bench) -> None:
    """A graph watched event by event has the tree it has without."""

    async def scenario(stage: Stage) -> Any:
        graph = StateGraph(State)
        graph.add_node("a", node(stage, "a", SYNC_ASYNC[1], asks(stage.model(), SYNC_ASYNC[1])))
        graph.add_edge(START, "a")
        events = graph.compile().astream_events(EMPTY, stage.config, version="v2")
        return [(event["event"], event["name"]) async for event in events]

    bench.check(
        scenario,
        """
        chain:LangGraph
          chain:a
            native:node:a
            llm:m1
              native:model:m1
        """,
    )


@modes([CALLS[2], CALLS[3]])
def test_graph_pulled_in_changing_contexts(bench: Bench, mode: Mode) -> None:
    """A graph pulled chunk by chunk in a server's threads or tasks keeps its nodes' bodies.

    A limit: each pull brings its consumer's context, in which the graph's run has no place until one of
    its nodes starts. What the checkpointer opens after the last node is the consumer's.
    """

    def scenario(stage: Stage) -> Any:
        graph = StateGraph(State)
        graph.add_node("a", node(stage, "a", mode))
        graph.add_node("b", node(stage, "b", mode))
        graph.add_edge(START, "a")
        graph.add_edge("a", "b")
        compiled = graph.compile(checkpointer=TracingSaver(stage))
        config: RunnableConfig = {**stage.config, **THREAD}

        def in_threads() -> list[Any]:
            stream, chunks = compiled.stream(EMPTY, config, durability="sync"), []
            with ThreadPoolExecutor(1) as pool:
                while (chunk := pool.submit(copied(next), stream, None).result()) is not None:
                    chunks.append(chunk)
                    stage.mark("native:consumer")
            return chunks

        async def in_tasks() -> list[Any]:
            stream, chunks = compiled.astream(EMPTY, config, durability="sync"), []
            while (chunk := await asyncio.ensure_future(anext(stream, None))) is not None:
                chunks.append(chunk)
                stage.mark("native:consumer")
            return chunks

        return in_tasks() if mode.is_async else in_threads()

    bench.check(
        scenario,
        """
        chain:LangGraph
          native:saver:get
          native:saver:put  x3
          native:saver:writes  x2
          chain:a
            native:node:a
          chain:b
            native:node:b
        native:saver:put
        native:saver:writes
        native:consumer  x2
        """,
    )


def copied(work: Any) -> Any:
    """Return the work bound to a copy of this context."""
    return partial(contextvars.copy_context().run, work)


def test_graph_closed_while_a_node_runs(bench: Bench) -> None:
    """A stream that is closed while another node is at work cancels it, and ends its runs."""

    async def scenario(stage: Stage) -> None:
        begun = asyncio.Event()

        async def hang(_: Any) -> None:
            begun.set()
            await asyncio.Event().wait()

        slow = stage.model("slow", inside=hang)
        graph = StateGraph(State)
        graph.add_node("quick", node(stage, "quick", SYNC_ASYNC[1]))
        graph.add_node("slow", node(stage, "slow", SYNC_ASYNC[1], asks(slow, SYNC_ASYNC[1])))
        graph.add_edge(START, "quick")
        graph.add_edge(START, "slow")
        async with aclosing(cast("Any", graph.compile().astream(EMPTY, stage.config))) as stream:
            await anext(stream)
            await begun.wait()
        stage.mark("native:afterwards")

    bench.check(
        scenario,
        """
        chain:LangGraph
          chain:quick
            native:node:quick
          chain:slow
            native:node:slow
            llm:slow
              native:model:slow
        native:afterwards
        """,
    )


@modes(CALLS)
def test_batch_that_is_given_handlers_anew_in_a_node(bench: Bench, mode: Mode) -> None:
    """A batch that a node gives a list of handlers has its steps below their chain, whatever is around the graph."""

    def scenario(stage: Stage) -> Any:
        chain = RunnableLambda(str, name="a") | RunnableLambda(str, name="b")

        def run(state: Any) -> Any:
            return {"log": chain.batch(["x"], stage.config)}

        async def arun(state: Any) -> Any:
            return {"log": await chain.abatch(["x"], stage.config)}

        graph = StateGraph(State)
        graph.add_node("one", cast("Any", arun if mode.is_async else run))
        graph.add_edge(START, "one")
        return mode.run(graph.compile(), EMPTY, stage.config)

    bench.check(
        scenario,
        """
        chain:LangGraph
          chain:one
            chain:RunnableSequence
              chain:a
              chain:b
        """,
        without="R",  # LangChain knows of no parent
    )
