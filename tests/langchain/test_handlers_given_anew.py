"""A call inside a run that is given handlers anew: LangChain names no parent; it is part of the trace all the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.graph import START, StateGraph
from tests._traces import Traces, traces
from tests.signals._received import Counting

from chainspan import OtelHandler
from chainspan._trace import Trace

__all__ = ["traces"]

TREE = """\
body
  chat gpt-5
  RunnableSequence
    str
    chat gpt-5"""
IN_SPANS = """\
body
  mine
    RunnableSequence
      str
      chat gpt-5
invoke_workflow
  body
    mine
      RunnableSequence
        str
        chat gpt-5"""
ITS_OWN = {"model_calls": 1, "input_tokens": 100, "output_tokens": 20, "total_tokens": 120, "cost": 1.0}
OF_ALL = {"model_calls": 2, "input_tokens": 200, "output_tokens": 40, "total_tokens": 240, "cost": 2.0}


def config(traces: Traces) -> RunnableConfig:
    """Return a config with a handler of the application's own pipeline."""
    return {"callbacks": [OtelHandler(tracer_provider=traces.provider, price=lambda _: 1.0)]}


def inner() -> Any:
    """Return a chain that asks a model."""
    return RunnableLambda(str) | Counting()


def sums(traces: Traces) -> dict[str, dict[str, Any]]:
    """Return what each span sums up, by the span's name."""
    start = "chainspan.usage."
    said = [(span.name, dict(span.attributes or {})) for span in traces.spans]
    found = [(name, {k.removeprefix(start): v for k, v in a.items() if k.startswith(start)}) for name, a in said]
    return {name: totals for name, totals in found if totals}


@pytest.mark.parametrize("asks", [Counting, inner])
@pytest.mark.parametrize("is_wrapped", [False, True], ids=["bare", "in a span of the application's"])
def test_the_root_sums_up_what_is_called_in_its_body(traces: Traces, asks: Any, *, is_wrapped: bool) -> None:
    """Calls below the root are in its sums, and on no other span, whichever handlers they were given."""
    given = config(traces)

    def body(word: str) -> Any:
        Counting().invoke(word)
        if not is_wrapped:
            return asks().invoke(word, given)
        with traces.tracer.start_as_current_span("mine"):
            return asks().invoke(word, given)

    RunnableLambda(body).invoke("x", given)

    assert sums(traces) == {"body": OF_ALL}
    root = traces.span("body").context
    assert {span.context.trace_id for span in traces.spans} == {root.trace_id}


def test_a_step_of_the_clock_puts_no_call_before_its_parent(traces: Traces, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it begins a trace's sums of its own, it has the time of the run in whose body it is."""
    given = config(traces)
    wall = time.time_ns

    def body(word: str) -> Any:
        monkeypatch.setattr(time, "time_ns", lambda: wall() - 3_600 * 10**9)
        return Counting().invoke(word, given)

    RunnableLambda(body).invoke("x", given)

    root, call = traces.span("body"), traces.span("chat gpt-5")
    times = [root.start_time, call.start_time, call.end_time, root.end_time]
    assert times == sorted(times, key=lambda ns: ns or 0)


async def test_asynchronous_calls_are_in_the_sums(traces: Traces) -> None:
    """So it is in asynchronous code."""
    given = config(traces)

    async def body(word: str, config: RunnableConfig) -> Any:
        await Counting().ainvoke(word, config)
        return await inner().ainvoke(word, given)

    await RunnableLambda(body).ainvoke("x", given)

    assert traces.tree == TREE
    assert sums(traces) == {"body": OF_ALL}


@pytest.mark.parametrize("runs", [lambda call: call, asyncio.create_task], ids=["awaited", "in a task"])
async def test_asynchronous_calls_in_spans_of_the_applications_are_in_the_sums(traces: Traces, runs: Any) -> None:
    """So it is where the application's own span stands in between, in a chain and in a graph's node."""
    given = config(traces)

    async def body(state: dict[str, Any]) -> Any:
        with traces.tracer.start_as_current_span("mine"):
            return {"answer": await runs(inner().ainvoke("x", given))}

    graph: Any = StateGraph(dict)
    graph.add_node("body", body)
    graph.add_edge(START, "body")
    for runnable in (RunnableLambda(body), graph.compile()):
        await runnable.ainvoke({"word": "x"}, given)

    assert traces.tree == IN_SPANS
    assert sums(traces) == {"body": ITS_OWN, "invoke_workflow": ITS_OWN}


def leaving(
    given: RunnableConfig, may_ask: asyncio.Event, later: list[asyncio.Task[Any]]
) -> Callable[[str], Awaitable[str]]:
    """Return a body that leaves a call to a task, which asks its model when it may."""

    async def patient(word: str) -> str:
        await may_ask.wait()
        return word

    async def body(word: str) -> str:
        chain = RunnableLambda(patient) | Counting()
        later.append(asyncio.create_task(chain.ainvoke(word, given)))
        await asyncio.sleep(0)
        return word

    return body


async def test_a_call_that_outlives_its_root_has_sums_of_its_own(traces: Traces) -> None:
    """The root has ended by then, and can be told nothing more."""
    given, may_ask = config(traces), asyncio.Event()
    later: list[asyncio.Task[Any]] = []

    await RunnableLambda(leaving(given, may_ask, later)).ainvoke("x", given)
    may_ask.set()
    await later[0]

    assert sums(traces) == {"RunnableSequence": ITS_OWN}


async def test_a_call_within_one_that_outlives_its_root_is_summed_up_around_them(traces: Traces) -> None:
    """Where a root between two others is over, what the inner one asks is in the sums of the outer one alone."""
    given, may_ask = config(traces), asyncio.Event()
    later: list[asyncio.Task[Any]] = []
    middle = leaving(given, may_ask, later)

    async def body(word: str) -> str:
        await RunnableLambda(middle).ainvoke(word, given)
        may_ask.set()
        await later[0]
        return word

    await RunnableLambda(body).ainvoke("x", given)

    assert sums(traces) == {"body": ITS_OWN}


async def test_a_row_of_calls_of_which_each_begins_the_next_keeps_few(traces: Traces) -> None:
    """Of the traces around the last call those that are over are let go, however many there were."""
    handler = OtelHandler(tracer_provider=traces.provider)
    is_last = asyncio.Event()
    left: list[asyncio.Task[Any]] = []
    kept: list[Trace] = []

    async def work(number: int) -> int:
        if number == 50:
            lifecycle: Any = handler._sink.pipeline.lifecycle  # type: ignore[attr-defined]
            trace = lifecycle.in_flight()[-1].trace
            while trace is not None:
                kept.append(trace)
                trace = trace.outer
            is_last.set()
            return number
        begun = asyncio.Event()

        async def go_on() -> None:
            begun.set()
            await step.ainvoke(number + 1, {"callbacks": [handler]})

        left.append(asyncio.create_task(go_on()))
        await begun.wait()
        await asyncio.sleep(0)
        return number

    step = RunnableLambda(work)
    await step.ainvoke(0, {"callbacks": [handler]})
    await is_last.wait()
    await asyncio.gather(*left)

    assert len(kept) < 10


def test_what_a_streams_consumer_calls_is_its_own(traces: Traces) -> None:
    """Between two chunks of a stream, a call is in no sums but its own."""
    given = config(traces)

    with traces.tracer.start_as_current_span("GET /chat"):
        for chunk in inner().stream("x", given):
            if chunk.content:
                Counting().invoke("y", given)

    assert sums(traces) == {"RunnableSequence": ITS_OWN, "chat gpt-5": ITS_OWN}
