"""What a node's `TracePolicy` leaves of its inputs and outputs is what its span says of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langgraph import types
from langgraph.graph import START, StateGraph
from opentelemetry import trace
from tests._traces import Traces, traces

from chainspan import ConsoleHandler, OtelHandler

__all__ = ["traces"]

pytestmark = pytest.mark.skipif(not hasattr(types, "TracePolicy"), reason="this LangGraph has no such policies")

TREE = """\
invoke_workflow
  ask
    asked"""


def graph_of(ask: Callable[[Any], Any]) -> Any:
    """Return a graph of one node, of which a trace is to hold a summary and no answer."""
    policies: Any = types
    policy = policies.TracePolicy(process_inputs=lambda state: {"words": len(state)}, process_outputs=lambda _: {})
    graph: Any = StateGraph(dict)
    graph.add_node("ask", ask, trace_policy=policy)
    graph.add_edge(START, "ask")
    return graph.compile()


def same(state: dict[str, str]) -> dict[str, str]:
    """Return the state as it is."""
    return state


def run(graph: Any, handler: OtelHandler, *, is_async: bool) -> Any:
    """Call the graph."""
    config = {"callbacks": [handler]}
    return asyncio.run(graph.ainvoke({"a": "x"}, config)) if is_async else graph.invoke({"a": "x"}, config)


@pytest.mark.parametrize("is_async", [False, True])
def test_spans_say_what_a_policy_leaves(traces: Traces, *, is_async: bool) -> None:
    """So does LangChain's own record of the run. The node itself, its place and what is current in it stay."""

    def ask(state: dict[str, str]) -> dict[str, str]:
        with traces.tracer.start_as_current_span("asked"):
            return {**state, "recording": str(trace.get_current_span().is_recording())}

    answer = run(graph_of(ask), OtelHandler(tracer_provider=traces.provider, content=True), is_async=is_async)

    said = traces.span("ask").attributes or {}
    assert (said["input.value"], said["output.value"]) == ('{"words":1}', "{}")
    assert answer == {"a": "x", "recording": "True"}
    assert traces.tree == TREE


def test_the_console_prints_what_a_policy_leaves() -> None:
    """What is printed of a node is no more than that either."""
    printed: list[str] = []

    run(graph_of(same), ConsoleHandler(printed.append), is_async=False)

    node = [text for text in printed if "> 2:chain:ask]" in text]
    assert [text.partition(": ")[2].split() for text in node] == [["{", '"words":', "1", "}"], ["{}"]]


def test_a_class_of_the_applications_own(traces: Traces) -> None:
    """A handler of a class that is LangGraph's as well is told the same."""
    from langgraph.callbacks import GraphCallbackHandler  # noqa: PLC0415  not in every LangGraph

    class Mine(OtelHandler, GraphCallbackHandler):
        pass

    run(graph_of(same), Mine(tracer_provider=traces.provider, content=True), is_async=False)

    assert (traces.span("ask").attributes or {})["input.value"] == '{"words":1}'
