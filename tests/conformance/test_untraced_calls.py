"""What a body calls that no handler hears of: LangChain names that call then, yet it is in the body all the same."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from textwrap import dedent
from typing import Any, cast

import pytest
from langchain_core.callbacks import AsyncCallbackManager
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from chainspan import OtelHandler, chain

from ._bench import Bench
from ._modes import ALL, ASYNC, Mode, modes
from ._stage import Stage

UNHEARD: Any = {"callbacks": []}
EVENTS = next(mode for mode in ALL if mode.name == "astream_events")
Way = Callable[[Stage], Awaitable[Any]]


def step(stage: Stage) -> RunnableLambda[Any, Any]:
    """Return a function that opens a span."""

    async def work(given: Any) -> Any:
        stage.mark("native:unheard")
        await asyncio.sleep(0)
        return given

    return RunnableLambda(lambda given: given, work)


async def _tool(stage: Stage) -> None:
    await stage.tool("unheard").arun("q")


async def _function(stage: Stage) -> None:
    await step(stage).ainvoke(1, UNHEARD)


async def _sequence(stage: Stage) -> None:
    await (step(stage) | step(stage)).ainvoke(1, UNHEARD)


async def _gathered(stage: Stage) -> None:
    await asyncio.gather(*[step(stage).ainvoke(1, UNHEARD) for _ in range(2)])


async def _streamed_at_once(stage: Stage) -> None:
    both: Any = RunnableParallel(one=step(stage), two=step(stage))
    async for _ in both.astream(1, UNHEARD):
        pass


async def _inside(stage: Stage) -> None:
    await RunnableLambda(lambda given: given, lambda _: _sequence(stage)).ainvoke(1, UNHEARD)


async def _graphs_tasks(stage: Stage) -> None:
    @task
    async def working(given: int) -> int:
        stage.mark("native:unheard")
        return given

    @entrypoint()
    async def workflow(given: int) -> list[int]:
        return await asyncio.gather(*[working(given) for _ in range(2)])

    await RunnableLambda(lambda given: given, workflow.ainvoke).ainvoke(1, UNHEARD)


NATIVES: dict[Way, str] = {
    _tool: "native:tool:unheard",
    _function: "native:unheard",
    _sequence: "native:unheard  x2",
    _gathered: "native:unheard  x2",
    _streamed_at_once: "native:unheard  x2",
    _inside: "native:unheard  x2",
    **({_graphs_tasks: "native:unheard  x2"} if sys.version_info >= (3, 11) else {}),  # they need contexts of tasks
}
ways = pytest.mark.parametrize("way", NATIVES, ids=lambda way: way.__name__)


def body_of(stage: Stage, way: Way) -> RunnableLambda[Any, Any]:
    """Return a function of whose body one call is not heard of."""

    async def body(given: Any) -> Any:
        await way(stage)
        stage.mark("native:body")
        return given

    return RunnableLambda(lambda given: given, body, name="body")


@ways
@modes(ASYNC)
def test_a_call_that_nobody_hears_of(bench: Bench, mode: Mode, way: Way) -> None:
    """What it opens hangs below the run whose body made it."""

    def scenario(stage: Stage) -> Any:
        return mode.run(body_of(stage, way), 1, stage.config)

    bench.check(
        scenario,
        f"""
        chain:body
          {NATIVES[way]}
          native:body
        """,
    )


@ways
@modes(ASYNC)
def test_a_call_that_nobody_hears_of_in_a_chain(bench: Bench, mode: Mode, way: Way) -> None:
    """So it does where the body is a step of a chain."""

    def scenario(stage: Stage) -> Any:
        return mode.run(body_of(stage, way) | body_of(stage, way), 1, stage.config)

    bench.check(
        scenario,
        f"""
        chain:RunnableSequence
          chain:body  x2
            {NATIVES[way]}
            native:body
        """,
    )


def in_threads(stage: Stage) -> Any:
    """Return a function without asynchronous code, which is executed in a worker thread then."""

    def body(given: Any) -> Any:
        unheard: RunnableLambda[Any, Any] = RunnableLambda(lambda _: stage.mark("native:unheard"))
        unheard.invoke(1, UNHEARD)
        stage.tool("unheard").run("q", callbacks=[])
        stage.mark("native:body")
        return given

    return body


def _lambda(stage: Stage) -> Any:
    return RunnableLambda(in_threads(stage), name="body")


def _decorated(stage: Stage) -> Any:
    return RunnableLambda(lambda given: given, name="first") | chain(name="body")(in_threads(stage))


def _node(stage: Stage) -> Any:
    graph: Any = StateGraph(cast("Any", dict))
    graph.add_node("body", in_threads(stage))
    graph.add_edge(START, "body")
    return graph.compile()


BODY = """
      chain:body
        native:body
        native:tool:unheard
        native:unheard
"""


@pytest.mark.parametrize(
    ("make", "above"),
    [
        (_lambda, ""),
        (_decorated, "    chain:RunnableSequence\n      chain:first"),
        (_node, "    chain:LangGraph"),
    ],
    ids=["function", "decorated", "node"],
)
@modes([*ASYNC, EVENTS])
def test_a_call_that_nobody_hears_of_in_a_thread(
    bench: Bench, mode: Mode, make: Callable[[Stage], Any], above: str
) -> None:
    """So it is where the body executes in a worker thread, whose consumer's threads are its own."""

    def scenario(stage: Stage) -> Any:
        return mode.run(make(stage), {}, stage.config)

    bench.check(scenario, f"{above}{BODY if above else dedent(BODY)}")


def test_a_call_that_nobody_hears_of_in_a_consumers_thread(bench: Bench) -> None:
    """What the consumer calls so in worker threads is its own."""

    async def scenario(stage: Stage) -> None:
        async for _ in step(stage).astream(1, stage.config):
            await asyncio.to_thread(in_threads(stage), 1)

    bench.check(
        scenario,
        """
        chain:RunnableLambda
          native:unheard
        native:body
        native:tool:unheard
        native:unheard
        """,
    )


@ways
def test_a_call_that_nobody_hears_of_in_a_stream_reported_by_hand(bench: Bench, way: Way) -> None:
    """So it is where LangChain has no word for the stream's run, as for LangChain's older agents."""

    async def agent(stage: Stage) -> AsyncIterator[int]:
        manager = AsyncCallbackManager.configure(stage.callbacks)
        run = await manager.on_chain_start({}, {}, name="agent")
        for turn in range(2):
            await way(stage)
            yield turn
        await run.on_chain_end({})

    async def scenario(stage: Stage) -> None:
        async for _ in agent(stage):
            stage.mark("native:consumer")

    name, _, times = NATIVES[way].partition("  x")
    bench.check(
        scenario,
        f"""
        chain:agent
          {name}  x{2 * int(times or 1)}
        native:consumer  x2
        """,
    )


@ways
@modes(ASYNC)
def test_a_call_that_nobody_hears_of_below_a_run_that_is_not_sampled(mode: Mode, way: Way) -> None:
    """It is in its caller's trace, hence not sampled either."""
    seen: list[trace.SpanContext] = []
    stage = Stage()
    stage.native = lambda *_, **__: _noting(seen)  # type: ignore[method-assign]
    handler = OtelHandler(tracer_provider=TracerProvider(sampler=ALWAYS_OFF))

    async def scenario() -> None:
        await mode.run(body_of(stage, way), 1, {"callbacks": [handler]})

    asyncio.run(scenario())

    assert len(seen) > 1
    assert len({context.trace_id for context in seen}) == 1
    assert all(context.is_valid and not context.trace_flags.sampled for context in seen)


def _noting(seen: list[trace.SpanContext]) -> Any:
    current = trace.get_current_span()
    seen.append(current.get_span_context())
    return trace.use_span(current)
