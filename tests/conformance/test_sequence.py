"""Thousands of calls of every kind in one thread and one task: nothing grows, nothing slows down."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any, cast

import pytest
from langchain_core.runnables import RunnableConfig, RunnableLambda
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from chainspan import _starters

from ._modes import SYNC_ASYNC
from ._stage import Stage, make_handler
from .test_cancellation import Hang, model_chain
from .test_chains import PARSER, PROMPT, WORD
from .test_consumers import graph_of
from .test_graphs import EMPTY

# Of each length; the whole proof is CONFORMANCE_CALLS=10000.
CALLS = int(os.environ.get("CONFORMANCE_CALLS", "300"))

Call = Callable[[], Coroutine[Any, Any, None]]


class Mix:
    """Calls of every kind, all in the same thread and task."""

    def __init__(self, stage: Stage, config: RunnableConfig) -> None:
        self.stage, self.config = stage, config
        self.chain = PROMPT | stage.model() | PARSER
        self.failing = PROMPT | stage.model("m1", ValueError("no"))
        self.graphs = [graph_of(stage, mode) for mode in SYNC_ASYNC]
        self.nested: RunnableLambda[Any, Any] = RunnableLambda(lambda word: stage.model().invoke(word), name="nested")

    def kinds(self) -> list[Call]:
        """Return one call of each kind."""
        calls = [self.plain, self.batch, self.failure, self.left_stream, self.left_async_stream, self.graph]
        calls += [self.tool_and_retriever, self.nested_call, self.cancelled]
        return [*calls, self.timed_out] if sys.version_info >= (3, 11) else calls

    async def plain(self) -> None:
        """Call a chain, sync and async."""
        self.chain.invoke(WORD, self.config)
        await self.chain.ainvoke(WORD, self.config)

    async def batch(self) -> None:
        """Call a chain for several inputs."""
        self.chain.batch([WORD] * 2, self.config)
        await self.chain.abatch([WORD] * 2, self.config)

    async def failure(self) -> None:
        """Call a chain that fails."""
        with pytest.raises(ValueError, match="no"):
            self.failing.invoke(WORD, self.config)
        with pytest.raises(ValueError, match="no"):
            await self.failing.ainvoke(WORD, self.config)

    async def left_stream(self) -> None:
        """Leave a sync stream after its first chunk."""
        for _ in self.chain.stream(WORD, self.config):
            break

    async def left_async_stream(self) -> None:
        """Leave an async stream after its first chunk."""
        async with aclosing(cast("Any", self.chain.astream(WORD, self.config))) as stream:
            await anext(stream)

    async def graph(self) -> None:
        """Call a graph, sync and async."""
        self.graphs[0].invoke(EMPTY, self.config)
        await self.graphs[1].ainvoke(EMPTY, self.config)

    async def tool_and_retriever(self) -> None:
        """Call a tool and a retriever."""
        await self.stage.tool().ainvoke({"q": "x"}, self.config)
        self.stage.retriever().invoke("x", self.config)

    async def nested_call(self) -> None:
        """Call a function that calls a model."""
        self.nested.invoke("hi", self.config)
        await self.nested.ainvoke("hi", self.config)

    async def cancelled(self) -> None:
        """Cancel a chain inside its model."""
        hang = Hang()
        working = asyncio.ensure_future(model_chain(self.stage, hang).ainvoke(WORD, self.config))
        await hang.begun.wait()
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working

    async def timed_out(self) -> None:
        """Give up on a model in this very task: nobody tells that its run is over."""
        hang = Hang()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(None) as hang.limit:
                await self.stage.model(inside=hang).ainvoke("hi", self.config)


ALONE = "CONFORMANCE_ALONE"


async def settled(handler: Any) -> None:
    """Wait until nothing is left of the calls so far: no run, and no context in an idle thread.

    The runs that ended last are forgotten: at any moment half of the 64 that are remembered may just have been.
    """
    while handler.in_flight():  # noqa: ASYNC110 - no event says that a model which was given up on is ended
        await asyncio.sleep(0.05)
    runs = handler._sink.pipeline.lifecycle._runs
    runs._past, runs._long_past = {}, {}
    await asyncio.get_running_loop().run_in_executor(None, gc.collect)
    await asyncio.sleep(0.05)
    gc.collect()


def own_objects() -> Counter[str]:
    """Return how many objects of chainspan's own classes are alive, by class."""
    kinds = (type(thing) for thing in gc.get_objects())
    return Counter(kind.__qualname__ for kind in kinds if str(kind.__module__).startswith("chainspan"))


def cost_of_asking() -> int:
    """Return how many functions ``get_current_span()`` calls: its cost, whatever the machine."""
    count = 0

    def note(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    gc.disable()  # what is collected just then is no cost of asking
    sys.setprofile(note)
    try:
        trace.get_current_span()
    finally:
        sys.setprofile(None)
        gc.enable()
    return count


@pytest.mark.untraced  # functions called are counted, and coverage's are some
@pytest.mark.timeout(900)
def test_nothing_grows() -> None:
    """After thousands of calls in one task no container has grown, and asking costs what it cost (pains #17)."""
    if ALONE not in os.environ:  # all objects are counted: those of other tests are none of its business
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{__file__}::test_nothing_grows"]
        done = subprocess.run(command, env=os.environ | {ALONE: "1"}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
        return
    provider = TracerProvider(shutdown_on_exit=False)
    stage = Stage(watched=False)
    stage.provider, stage.tracer = provider, provider.get_tracer("application")
    handler = make_handler(provider)
    before = trace.get_current_span()
    measured: list[tuple[int, Counter[str], int]] = []

    async def measure() -> None:
        await settled(handler)
        measured.append((len(gc.get_objects()), own_objects(), cost_of_asking()))

    async def run() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))  # not more and more idle threads
        kinds = Mix(stage, {"callbacks": [handler]}).kinds()
        rounds = CALLS // len(kinds)
        for number in range(rounds):
            if number == rounds // 5:
                await measure()
            for call in kinds:
                await call()
        await measure()
        assert trace.get_current_span() == before

    asyncio.run(run())

    (objects_early, own_early, cost_early), (objects_late, own_late, cost_late) = measured
    assert handler.in_flight() == []
    # One object kept in each round would show. A few are held by idle threads, with their last context.
    assert (own_late - own_early).total() < CALLS / 20, own_late - own_early
    assert cost_late == cost_early
    assert objects_late - objects_early < CALLS / 10  # less than an object in ten calls


def test_same_cost_at_any_depth() -> None:
    """In the body of the hundredth call, asking costs what it costs in that of the first."""
    _starters._starters.clear()  # runs that other tests left open may stand at a frame's address
    provider = TracerProvider(shutdown_on_exit=False)
    stage = Stage(watched=False)
    stage.provider, stage.tracer = provider, provider.get_tracer("application")
    config: RunnableConfig = {"callbacks": [make_handler(provider)]}
    costs: list[int] = []
    chain = PROMPT | stage.model(inside=lambda _: costs.append(cost_of_asking())) | PARSER

    async def run() -> None:
        for _ in range(100):
            await chain.ainvoke(WORD, config)

    asyncio.run(run())

    assert len(set(costs[1:])) == 1
