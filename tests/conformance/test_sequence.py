"""Thousands of calls of every kind in one thread and one task: nothing grows, nothing slows down."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from ._stage import Stage, make_handler
from .test_cancellation import Hang, model_chain
from .test_chains import PARSER, PROMPT, WORD
from .test_consumers import graph_of
from .test_graphs import EMPTY
from ._modes import SYNC_ASYNC

# Of each length; the whole proof is CONFORMANCE_CALLS=10000.
CALLS = int(os.environ.get("CONFORMANCE_CALLS", "300"))

Call = Callable[[], Awaitable[Any]]


def calls(stage: Stage, config: Any) -> list[Call]:
    """Return one call of each kind; the sync ones run in the same task."""
    chain = PROMPT | stage.model() | PARSER
    failing = PROMPT | stage.model("m1", ValueError("no"))
    graphs = [graph_of(stage, mode) for mode in SYNC_ASYNC]
    nested = RunnableLambda(lambda word: stage.model().invoke(word), name="nested")

    async def sync_call() -> None:
        chain.invoke(WORD, config)

    async def async_call() -> None:
        await chain.ainvoke(WORD, config)

    async def batch() -> None:
        await chain.abatch([WORD] * 2, config)
        chain.batch([WORD] * 2, config)

    async def failure() -> None:
        with pytest.raises(ValueError, match="no"):
            await failing.ainvoke(WORD, config)
        with pytest.raises(ValueError, match="no"):
            failing.invoke(WORD, config)

    async def sync_stream_left() -> None:
        for _ in chain.stream(WORD, config):
            break

    async def async_stream_left() -> None:
        stream: Any = chain.astream(WORD, config)
        await anext(stream)
        await stream.aclose()

    async def sync_graph() -> None:
        graphs[0].invoke(EMPTY, config)

    async def async_graph() -> None:
        await graphs[1].ainvoke(EMPTY, config)

    async def tool_and_retriever() -> None:
        await stage.tool().ainvoke({"q": "x"}, config)
        stage.retriever().invoke("x", config)

    async def nested_call() -> None:
        nested.invoke("hi", config)
        await nested.ainvoke("hi", config)

    async def cancelled() -> None:
        hang = Hang()
        working = asyncio.ensure_future(model_chain(stage, hang).ainvoke(WORD, config))
        await hang.begun.wait()
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working

    async def timed_out() -> None:
        # In this very task, of which nobody tells that the model's run is over.
        hang = Hang()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(None) as hang.limit:
                await stage.model(inside=hang).ainvoke("hi", config)

    several = [sync_call, async_call, batch, failure, sync_stream_left, async_stream_left, sync_graph]
    several += [async_graph, tool_and_retriever, nested_call, cancelled]
    return several + [timed_out] * (sys.version_info >= (3, 11))


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

    sys.setprofile(note)
    try:
        trace.get_current_span()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.timeout(900)
def test_nothing_grows() -> None:
    """After thousands of calls in one task no container has grown, and asking costs what it cost."""
    provider = TracerProvider(shutdown_on_exit=False)
    stage = Stage(watched=False)
    stage.provider, stage.tracer = provider, provider.get_tracer("application")
    handler = make_handler(provider)
    before = trace.get_current_span()
    measured: list[tuple[int, Counter[str], int]] = []

    async def measure() -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        gc.collect()
        measured.append((len(gc.get_objects()), own_objects(), cost_of_asking()))

    async def run() -> None:
        kinds = calls(stage, {"callbacks": [handler]})
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
    assert (own_late - own_early).total() < CALLS / 50, own_late - own_early
    assert cost_late == cost_early
    assert objects_late - objects_early < CALLS / 10  # less than an object in ten calls


def test_same_cost_at_any_depth() -> None:
    """In the body of the hundredth call, asking costs what it costs in that of the first."""
    provider = TracerProvider(shutdown_on_exit=False)
    stage = Stage(watched=False)
    stage.provider, stage.tracer = provider, provider.get_tracer("application")
    config = {"callbacks": [make_handler(provider)]}
    costs: list[int] = []
    chain = PROMPT | stage.model(inside=lambda _: costs.append(cost_of_asking())) | PARSER

    async def run() -> None:
        for _ in range(100):
            await chain.ainvoke(WORD, config)

    asyncio.run(run())

    assert len(set(costs[1:])) == 1
