"""What a stream's consumer calls between two chunks in other tasks and threads: none of it is the stream's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any, cast

import pytest
from langchain_core.runnables import RunnableLambda, RunnableParallel

from ._bench import Bench
from ._modes import SYNC_ASYNC, Mode, modes
from ._stage import Stage, carry_context
from .test_chains import WORD
from .test_consumers import STREAMS, each, graph_of, opened
from .test_graphs import EMPTY
from .test_streams import SEQUENCE, sequence

Way = Callable[[Any, Any, Any], Awaitable[Any]]


async def _abatch(runnable: Any, given: Any, config: Any) -> None:
    await runnable.abatch([given, given], config)


async def _gather(runnable: Any, given: Any, config: Any) -> None:
    await asyncio.gather(runnable.ainvoke(given, config), runnable.ainvoke(given, config))


async def _tasks(runnable: Any, given: Any, config: Any) -> None:
    for _ in range(2):
        await asyncio.create_task(runnable.ainvoke(given, config))


async def _threads(runnable: Any, given: Any, config: Any) -> None:
    for _ in range(2):
        await asyncio.to_thread(runnable.invoke, given, config)


async def _batch(runnable: Any, given: Any, config: Any) -> None:
    runnable.batch([given, given], config)


async def _carried(runnable: Any, given: Any, config: Any) -> None:
    with ThreadPoolExecutor(1) as pool:
        for _ in range(2):
            pool.submit(carry_context(runnable.invoke), given, config).result()


WAYS = [_abatch, _gather, _tasks, _threads, _batch, _carried]
ways = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)


def step(stage: Stage) -> RunnableLambda[Any, Any]:
    """Return a function of the consumer's, sync and async."""

    def run(given: Any) -> Any:
        stage.mark("native:other")
        return given

    async def arun(given: Any) -> Any:
        return run(given)

    return RunnableLambda(run, arun, name="other")


@ways
@modes(STREAMS)
def test_calls_elsewhere_between_chunks(bench: Bench, mode: Mode, way: Way) -> None:
    """Each is a trace of its own, as it is in the consumer's own task."""

    async def scenario(stage: Stage) -> None:
        async for _ in each(mode, opened(mode, sequence(stage), WORD, stage.config)):
            await way(step(stage), 1, stage.config)

    bench.check(
        scenario,
        SEQUENCE
        + """
    chain:other  x6
      native:other
        """,
    )


@ways
@modes(STREAMS)
def test_untraced_calls_elsewhere_between_chunks(bench: Bench, mode: Mode, way: Way) -> None:
    """What a chain without a handler opens is where the consumer stands."""

    async def scenario(stage: Stage) -> None:
        async for _ in each(mode, opened(mode, sequence(stage), WORD, stage.config)):
            await way(step(stage), 1, None)

    bench.check(scenario, SEQUENCE + "\n    native:other  x6")


@modes(STREAMS)
def test_untraced_branches_between_chunks(bench: Bench, mode: Mode) -> None:
    """So it is in the threads that LangChain executes branches in."""

    async def scenario(stage: Stage) -> None:
        branches = RunnableParallel(a=step(stage), b=step(stage))
        async for _ in each(mode, opened(mode, sequence(stage), WORD, stage.config)):
            branches.invoke(1)

    bench.check(scenario, SEQUENCE + "\n    native:other  x6")


@ways
@modes(STREAMS)
def test_calls_elsewhere_between_chunks_of_a_model(bench: Bench, mode: Mode, way: Way) -> None:
    """A model that streams alone, and other models of its consumer's."""

    async def scenario(stage: Stage) -> None:
        other = stage.model("other")
        async for _ in each(mode, opened(mode, stage.model(), "hi", stage.config)):
            await way(other, "hi", stage.config)
            await way(other, "hi", None)

    bench.check(
        scenario,
        """
        llm:m1
          native:model:m1
        llm:other  x6
          native:model:other
        native:model:other  x6
        """,
    )


GRAPH = """
    chain:LangGraph{times}
      chain:a
        native:node:a
        llm:m1
          native:model:m1
      chain:b
        native:node:b
"""
UNTRACED = """
    native:node:a  x{times}
    native:node:b  x{times}
    native:model:m1  x{times}
"""


@pytest.mark.parametrize("way", [_abatch, _tasks], ids=lambda way: way.__name__)
@modes(STREAMS)
def test_graphs_elsewhere_between_chunks_of_a_graph(bench: Bench, mode: Mode, way: Way) -> None:
    """A graph that its consumer calls in a task is no part of the graph that streams, traced or not."""

    async def scenario(stage: Stage) -> None:
        other = graph_of(stage, SYNC_ASYNC[1])
        async for _ in each(mode, opened(mode, graph_of(stage, mode), EMPTY, stage.config, stream_mode="updates")):
            await way(other, EMPTY, stage.config)
            await way(other, EMPTY, None)

    bench.check(scenario, GRAPH.format(times="  x5") + UNTRACED.format(times=4))


@pytest.mark.parametrize("way", [_batch, _threads, _carried], ids=lambda way: way.__name__)
@modes(STREAMS)
def test_graphs_in_threads_between_chunks_of_a_graph(bench: Bench, mode: Mode, way: Way) -> None:
    """So it is in a thread."""

    async def scenario(stage: Stage) -> None:
        other = graph_of(stage, SYNC_ASYNC[0])
        async for _ in each(mode, opened(mode, graph_of(stage, mode), EMPTY, stage.config, stream_mode="updates")):
            await way(other, EMPTY, stage.config)
            await way(other, EMPTY, None)

    bench.check(scenario, GRAPH.format(times="  x5") + UNTRACED.format(times=4))


@ways
def test_calls_elsewhere_after_a_stream_was_closed(bench: Bench, way: Way) -> None:
    """A stream that was closed a moment ago has no part in what comes next."""

    async def scenario(stage: Stage) -> None:
        async with aclosing(cast("Any", sequence(stage).astream(WORD, stage.config))) as stream:
            await anext(stream)
        await way(step(stage), 1, stage.config)
        await way(step(stage), 1, None)

    bench.check(
        scenario,
        SEQUENCE
        + """
    chain:other  x2
      native:other
    native:other  x2
        """,
    )
