"""What is left of a trace where a preset leaves runs out: the rest, and the application's spans, stay in place."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from textwrap import indent
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.graph import START, StateGraph
from tests._traces import Traces, traces
from tests.conformance._modes import ALL, Mode, modes

from chainspan import OtelHandler

__all__ = ["traces"]

MODES = [mode for mode in ALL if mode.name != "astream_log"]  # of which LangChain warns
MODEL = FakeListChatModel(responses=["3"])


def research(traces: Traces) -> Any:
    """Return a function that asks a model inside spans of its own, and outside of them."""
    inner: Any = RunnableLambda(str) | MODEL
    span = traces.tracer.start_as_current_span

    def work(word: str, config: RunnableConfig) -> str:
        with span("own"):
            MODEL.invoke(word, config)
            with span("deeper"):
                inner.invoke(word, config)
        return MODEL.invoke(word, config).text

    async def awork(word: str, config: RunnableConfig) -> str:
        with span("own"):
            await MODEL.ainvoke(word, config)
            with span("deeper"):
                await inner.ainvoke(word, config)
        return (await MODEL.ainvoke(word, config)).text

    return RunnableLambda(work, awork, name="work")


def outside(traces: Traces, *, in_request: bool) -> AbstractContextManager[Any]:
    """Return a span of a server's, or nothing."""
    return traces.tracer.start_as_current_span("GET") if in_request else nullcontext()


def run(mode: Mode, runnable: Any, given: Any, config: RunnableConfig) -> None:
    """Run it, in whatever mode."""
    outcome = mode.run(runnable, given, config)
    if mode.is_async:
        asyncio.run(outcome)


INSIDE = """\
own
  chat
  deeper
    chat
chat"""


@pytest.mark.parametrize("in_request", [False, True], ids=["alone", "in a request"])
@pytest.mark.parametrize("preset", ["steps", "llm"])
@modes(MODES)
def test_spans_of_the_application_stay_around_what_they_are_around(
    traces: Traces, mode: Mode, preset: str, in_request: bool
) -> None:
    """A span that a function without one opens is above the models that are called in it."""
    handler = OtelHandler(tracer_provider=traces.provider, spans=preset)

    with outside(traces, in_request=in_request):
        run(mode, research(traces), "x", {"callbacks": [handler]})

    assert traces.tree == (f"GET\n{indent(INSIDE, '  ')}" if in_request else INSIDE)


@modes(MODES)
def test_spans_in_a_chain_in_a_node(traces: Traces, mode: Mode) -> None:
    """So it is below a run that has a span."""
    graph = StateGraph(dict)  # type: ignore[type-var]
    graph.add_node("node", (lambda _: "x") | research(traces) | (lambda text: {"text": text}))
    graph.add_edge(START, "node")

    run(mode, graph.compile(), {}, {"callbacks": [OtelHandler(tracer_provider=traces.provider, spans="steps")]})

    assert traces.tree == f"invoke_workflow\n  node\n{indent(INSIDE, '    ')}"


@pytest.mark.parametrize("preset", ["steps", "llm"])
def test_a_consumers_spans_stay_beside_the_stream(traces: Traces, preset: str) -> None:
    """What a stream's consumer opens around a pull is not above what the stream calls from then on."""

    def pieces(words: Iterator[str]) -> Iterator[str]:
        for word in words:
            for _ in range(2):
                yield MODEL.invoke(word).text

    handler = OtelHandler(tracer_provider=traces.provider, spans=preset)
    with outside(traces, in_request=True):
        first: Any = RunnableLambda(str)
        pulling = (first | pieces).stream("x", {"callbacks": [handler]})
        next(pulling)
        with traces.tracer.start_as_current_span("pull"):
            next(pulling)
        assert list(pulling) == []

    assert traces.tree == "GET\n  chat\n  pull\n  chat"
