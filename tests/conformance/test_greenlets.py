"""Greenlets: in which SQLAlchemy executes what asynchronous code asks of it, and gevent each request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackManager
from langchain_core.runnables import RunnableLambda

from chainspan import carry_context

from ._bench import Bench
from ._modes import ASYNC, Mode, modes
from ._stage import Stage
from .test_chains import OUTCOME, PROMPT, WORD

greenlet = pytest.importorskip("greenlet", reason="gevent, which is of the group `test`, brings it")


async def in_greenlet(work: Callable[[], None]) -> None:
    """Have a greenlet execute something, and await for it what it waits for, as SQLAlchemy's sessions do."""
    executes = greenlet.greenlet(work)
    executes.gr_context = greenlet.getcurrent().gr_context
    asked = executes.switch()
    while not executes.dead:
        asked = executes.switch(await asked)


def wait(what: Awaitable[Any]) -> None:
    """Wait in a greenlet."""
    greenlet.getcurrent().parent.switch(what)


def query(stage: Stage) -> None:
    """Make two requests, and wait in between."""
    stage.mark("native:first")
    wait(asyncio.sleep(0.001))
    stage.mark("native:second")


@modes(ASYNC)
def test_query_in_a_greenlet_that_a_body_waits_for(bench: Bench, mode: Mode) -> None:
    """What a body has a greenlet do hangs below its run, and ends nothing: there the stack does not show the body."""

    def scenario(stage: Stage) -> Any:
        async def inside(_: object) -> None:
            await in_greenlet(lambda: query(stage))

        async def body(found: Any) -> Any:
            await inside(found)
            return "hi"

        chain = stage.retriever(inside=inside) | RunnableLambda(body) | stage.model(inside=inside)
        return mode.run(chain, "hi", stage.config)

    seen = bench.check(
        scenario,
        """
        chain:RunnableSequence
          retriever:docs
            native:retriever:docs
            native:first
            native:second
          chain:body
            native:first
            native:second
          llm:m1
            native:model:m1
            native:first
            native:second
        """,
    )

    assert seen.attributes("retriever:docs", OUTCOME) == [None]


def test_calls_in_a_greenlet_that_a_body_waits_for(bench: Bench) -> None:
    """What is called there is a run below, also with handlers given anew, and leaves the run around it open."""

    def scenario(stage: Stage) -> Any:
        step = RunnableLambda(lambda x: x, name="step")

        async def inside(manager: Any) -> None:
            callbacks: BaseCallbackManager = manager.get_child()
            await in_greenlet(lambda: query(stage))
            await in_greenlet(lambda: step.invoke(1, {"callbacks": callbacks}))
            await in_greenlet(lambda: query(stage))

        return stage.retriever(inside=inside).ainvoke("hi", stage.config)

    seen = bench.check(
        scenario,
        """
        retriever:docs
          native:retriever:docs
          native:first
          native:second
          chain:step
          native:first
          native:second
        """,
    )

    assert seen.attributes("retriever:docs", OUTCOME) == [None]


def test_second_query_of_a_streaming_model_in_a_greenlet(bench: Bench) -> None:
    """It hangs below the model, and what its consumer has a greenlet do does not."""

    async def scenario(stage: Stage) -> None:
        async def midway(_: object) -> None:
            await in_greenlet(lambda: query(stage))

        for chain in (PROMPT | stage.model(midway=midway), PROMPT | stage.model(midway=midway) | (lambda m: m.content)):
            async for _ in chain.astream(WORD, stage.config):
                await in_greenlet(lambda: stage.mark("native:consumer"))

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
            native:first
            native:second
        chain:RunnableSequence
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
            native:first
            native:second
          chain:RunnableLambda
        native:consumer  x4
        """,
    )


def test_generate_whose_bodies_use_greenlets(bench: Bench) -> None:
    """What a model has a greenlet do for one of several prompts hangs below that one's run."""

    def scenario(stage: Stage) -> Any:
        async def inside(_: object) -> None:
            await in_greenlet(lambda: query(stage))

        return stage.llm(inside=inside).agenerate(["one", "two"], callbacks=stage.callbacks)

    bench.check(
        scenario,
        """
        llm:t1  x2
          native:llm:t1
          native:first
          native:second
        """,
    )


@pytest.mark.parametrize("take", [carry_context, lambda work: lambda: copy_context().run(work)])
def test_call_in_a_greenlet_of_gevents(bench: Bench, take: Callable[[Any], Callable[[], None]]) -> None:
    """A run is not over while its greenlet waits for another one."""
    gevent = pytest.importorskip("gevent", reason="gevent is of the group `test`")

    def scenario(stage: Stage) -> Any:
        step = RunnableLambda(lambda x: x, name="step")

        def inside(manager: Any) -> None:
            config: Any = {"callbacks": manager.get_child()}
            gevent.spawn(take(lambda: step.invoke(1, config))).join()
            time.sleep(0.001)
            stage.mark("native:after")

        return stage.retriever(inside=inside).invoke("hi", stage.config)

    seen = bench.check(
        scenario,
        """
        retriever:docs
          native:retriever:docs
          chain:step
          native:after
        """,
    )

    assert seen.attributes("retriever:docs", OUTCOME) == [None]


def test_greenlet_of_a_streams_consumer(bench: Bench) -> None:
    """What a consumer has a greenlet do stays its own, also while the model that it pulls waits for another one."""
    gevent = pytest.importorskip("gevent", reason="gevent is of the group `test`")

    def scenario(stage: Stage) -> None:
        left: list[Any] = []
        for _ in stage.model(midway=lambda _: gevent.joinall(left)).stream("hi", stage.config):
            consumers = gevent.spawn(copy_context().run, stage.mark, "native:consumer")
            left.append(consumers)
        gevent.joinall(left)

    bench.check(
        scenario,
        """
        llm:m1
          native:model:m1
        native:consumer  x3
        """,
    )
