"""What a body calls that no handler hears of: LangChain names that call then, yet it is in the body all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda, RunnableParallel
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from chainspan import OtelHandler

from ._bench import Bench
from ._modes import ASYNC, Mode, modes
from ._python310 import IS_310
from ._stage import Stage

pytestmark = pytest.mark.skipif(IS_310, reason="LangChain's word is not to be had in asynchronous code")

UNHEARD: Any = {"callbacks": []}
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


NATIVES: dict[Way, str] = {
    _tool: "native:tool:unheard",
    _function: "native:unheard",
    _sequence: "native:unheard  x2",
    _gathered: "native:unheard  x2",
    _streamed_at_once: "native:unheard  x2",
    _inside: "native:unheard  x2",
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
