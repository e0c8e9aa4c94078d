"""A decorated function that is a graph's node is handed what LangGraph hands to the function that it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.errors import NodeError
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command, StreamWriter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests._traces import tree_of
from typing_extensions import TypedDict

from chainspan import OtelHandler, Traced, chain


class State(TypedDict, total=False):
    """What the nodes of a graph share."""

    n: int
    user: str


@dataclass
class Caller:
    """Who runs a graph."""

    user: str = "ada"


@chain
def of_runtime(state: State, runtime: Runtime[Caller]) -> State:
    """Answer for who runs the graph."""
    assert runtime.store is not None
    runtime.store.put(("users",), "last", {"name": runtime.context.user})
    runtime.stream_writer("written")
    return {"user": runtime.context.user}


@chain
async def awaited(state: State, runtime: Runtime[Caller]) -> State:
    """Answer for who runs the graph, in asynchronous code."""
    return of_runtime(state, runtime)


@chain
def of_each(state: State, config: RunnableConfig, *, store: BaseStore, writer: StreamWriter) -> State:
    """Answer with each by itself."""
    user = str(config.get("configurable", {}).get("user"))
    store.put(("users",), "last", {"name": user})
    writer("written")
    return {"user": user}


@chain
def optional(
    state: State,
    config: RunnableConfig | None = None,
    store: BaseStore | None = None,
    writer: StreamWriter = print,
    runtime: str = "python",
) -> State:
    """Answer with each, or without them; the last parameter is one of its own."""
    assert store is not None
    assert runtime == "python"
    return of_each(state, config or {}, store=store, writer=writer)


class Node:
    """A node that is an object."""

    @chain
    def method(self, state: State, runtime: Runtime[Caller]) -> State:
        """Answer for who runs the graph."""
        return of_runtime(state, runtime)


def _graph(step: Callable[..., Any]) -> Any:
    graph: Any = StateGraph(State, context_schema=Caller)
    graph.add_node("node", step)
    graph.add_edge(START, "node")
    graph.add_edge("node", END)
    return graph.compile(store=InMemoryStore(), name="graph")


@pytest.mark.parametrize("is_heard", [True, False], ids=["heard", "unheard"])
@pytest.mark.parametrize("step", [of_runtime, awaited, of_each, optional, Node().method])
async def test_a_node_has_what_the_graph_has(step: Traced[..., Any], is_heard: bool, handler: OtelHandler) -> None:
    """The runtime, or the store and the writer by themselves, whether or not handlers listen."""
    graph = _graph(step)
    config: RunnableConfig = {"configurable": {"user": "ada"}, "callbacks": [handler] if is_heard else []}

    seen = [item async for item in graph.astream({"n": 1}, config, context=Caller(), stream_mode=["custom", "values"])]

    assert seen == [("values", {"n": 1}), ("custom", "written"), ("values", {"n": 1, "user": "ada"})]
    assert graph.store.get(("users",), "last").value == {"name": "ada"}


def test_it_is_none_of_the_inputs(memory: InMemorySpanExporter) -> None:
    """What is shown of a step is its input alone."""
    with OtelHandler(memory, content=True) as handler:
        _graph(of_runtime).invoke({"n": 1}, {"callbacks": [handler]}, context=Caller())

    spans = memory.get_finished_spans()
    assert tree_of(spans) == "invoke_workflow graph\n  node\n    of_runtime"
    assert (spans[0].attributes or {})["input.value"] == '{"state":{"n":1}}'


def test_what_the_input_has_itself() -> None:
    """An input of that name comes first, and outside of graphs nothing is handed."""

    @chain
    def execute(code: str, runtime: str) -> str:
        return f"{runtime} {code}"

    @chain
    def node(state: State) -> State:
        return {"user": execute.invoke({"code": "x", "runtime": "python"})}

    assert _graph(node).invoke({"n": 1})["user"] == "python x"
    with pytest.raises(TypeError, match="runtime"):
        execute.invoke("x")


def test_what_handles_an_error_is_handed_it(handler: OtelHandler) -> None:
    """A parameter of that name is for it where it is annotated so."""

    @chain
    def fail(state: State) -> State:
        raise ConnectionError(state["n"])

    @chain
    def handle(state: State, error: NodeError) -> Command[Literal["say"]]:
        return Command(update={"user": f"{type(error.error).__name__} in {error.node}"}, goto="say")

    @chain
    def say(state: State) -> State:
        return {"user": tell.invoke({"user": state["user"], "error": "none"})}

    @chain
    def tell(user: str, error: str) -> str:
        return f"{user}, {error}"

    graph: Any = StateGraph(State)
    graph.add_node("fail", fail, error_handler=handle)
    graph.add_node("say", say)
    graph.add_edge(START, "fail")

    assert graph.compile().invoke({"n": 1}, {"callbacks": [handler]})["user"] == "ConnectionError in fail, none"
    with pytest.raises(TypeError, match="error"):
        tell.invoke("x")
