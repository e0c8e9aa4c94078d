"""A decorated function is handed LangChain's config where it has a parameter for it, as undecorated ones are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.graph import END, START, StateGraph
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from typing_extensions import TypedDict

from chainspan import OtelHandler, Traced, chain


class State(TypedDict, total=False):
    """What the nodes of a graph share."""

    n: int
    user: str


CONFIG: RunnableConfig = {"configurable": {"user": "ada"}, "tags": ["mine"]}


def user_of(config: RunnableConfig) -> Any:
    """Return whom a config names."""
    return config.get("configurable", {}).get("user")


@chain
def required(state: dict[str, int], config: RunnableConfig) -> dict[str, Any]:
    """Answer a state."""
    return {"n": state["n"] + 1, "user": user_of(config)}


@chain
def optional(state: dict[str, int], *, config: RunnableConfig | None = None) -> dict[str, Any]:
    """Answer a state, with or without a config."""
    return {"n": state["n"] + 1, "user": user_of(config or {})}


@chain
async def awaited(state: dict[str, int], config: RunnableConfig) -> dict[str, Any]:
    """Answer a state in asynchronous code."""
    return {"n": state["n"] + 1, "user": user_of(config)}


@chain
def streamed(state: dict[str, int], config: RunnableConfig) -> Iterator[dict[str, Any]]:
    """Answer a state piece by piece."""
    yield {"n": state["n"] + 1, "user": user_of(config)}


class Node:
    """A node that is an object."""

    @chain
    def method(self, state: dict[str, int], config: RunnableConfig) -> dict[str, Any]:
        """Answer a state."""
        return {"n": state["n"] + 1, "user": user_of(config)}


EVERY = [required, optional, awaited, Node().method]
IDS = ["required", "optional", "awaited", "method"]


@pytest.mark.parametrize("is_heard", [True, False], ids=["heard", "unheard"])
@pytest.mark.parametrize("step", EVERY, ids=IDS)
def test_invoked(step: Traced[..., Any], is_heard: bool, handler: OtelHandler) -> None:
    """It has what the call's config has, whether or not handlers listen."""
    config: RunnableConfig = {**CONFIG, "callbacks": [handler]} if is_heard else CONFIG

    assert asyncio.run(step.ainvoke({"n": 1}, config)) == {"n": 2, "user": "ada"}
    if step is not awaited:
        assert step.invoke({"n": 1}, config) == {"n": 2, "user": "ada"}
        assert (step | RunnableLambda(dict)).invoke({"n": 1}, config) == {"n": 2, "user": "ada"}


def test_streamed(handler: OtelHandler) -> None:
    """So has a generator."""
    config: RunnableConfig = {**CONFIG, "callbacks": [handler]}

    assert (
        list(streamed.stream({"n": 1}, config)) == list(streamed.stream({"n": 1}, CONFIG)) == [{"n": 2, "user": "ada"}]
    )


@pytest.mark.parametrize("step", EVERY, ids=IDS)
async def test_as_a_node(step: Traced[..., Any], handler: OtelHandler) -> None:
    """A graph calls it as the function that it was."""
    graph: Any = StateGraph(State)
    graph.add_node("node", step)
    graph.add_edge(START, "node")
    graph.add_edge("node", END)

    answer = await graph.compile().ainvoke({"n": 1}, {**CONFIG, "callbacks": [handler]})

    assert answer == {"n": 2, "user": "ada"}


def test_its_runs_are_the_parents_of_what_is_called_with_it(memory: InMemorySpanExporter, handler: OtelHandler) -> None:
    """The config that it is handed is that of its own run, and is none of its inputs."""

    @chain
    def outer(x: int, config: RunnableConfig) -> int:
        inner: Any = RunnableLambda(lambda y: y + 1, name="inner")
        return int(inner.invoke(x, config))

    assert outer.invoke({"x": 1}, {"callbacks": [handler]}) == 2

    spans = {span.name: span for span in memory.get_finished_spans()}
    parent, own = spans["inner"].parent, spans["outer"].context
    assert parent is not None
    assert own is not None
    assert parent.span_id == own.span_id


def test_inputs_that_are_shown(memory: InMemorySpanExporter) -> None:
    """The config is none of a function's inputs."""
    with OtelHandler(memory, content=True) as handler:
        required.invoke({"n": 1}, {"callbacks": [handler]})

    [span] = memory.get_finished_spans()
    assert (span.attributes or {})["input.value"] == '{"state":{"n":1}}'


def test_a_config_of_ones_own() -> None:
    """A parameter of that name is the function's own where the input has it, is the first, or has another default."""

    @chain
    def load(path: str, config: dict[str, int]) -> tuple[str, dict[str, int]]:
        return path, config

    @chain
    def first(config: dict[str, int]) -> dict[str, int]:
        return config

    @chain
    def other(path: str, config: str = "plain") -> str:
        return path + config

    assert load.invoke({"path": "a", "config": {"n": 1}}) == ("a", {"n": 1})
    assert load("a", {"n": 1}) == ("a", {"n": 1})
    assert first.invoke({"n": 1}, CONFIG) == {"n": 1}
    assert other.invoke("very ", CONFIG) == "very plain"
    with pytest.raises(TypeError, match="config"):
        load("a")  # type: ignore[call-arg]
