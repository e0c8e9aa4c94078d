"""Functions that wrap others: what comes back is theirs to say, whatever they wrap."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from opentelemetry import trace
from tests._traces import Traces

from chainspan import OtelHandler, chain, tool


def handing_on(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function as a decorator for plain functions does: what comes back is handed on."""

    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        look("prelude")
        return function(*args)

    return wrapper


def made_sync(function: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
    """Wrap a coroutine as a function that waits for it."""

    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return asyncio.run(function(*args))

    return wrapper


def listed(function: Callable[..., Iterator[Any]]) -> Callable[..., Any]:
    """Wrap a generator as a function that returns a list."""

    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return list(function(*args))

    return wrapper


@tool
def look(x: str) -> str:
    """Be a step, by which it shows where a body ran."""
    return x


async def work(x: str) -> str:
    """Work after a while."""
    await asyncio.sleep(0)
    return look(x)


def words(x: str) -> Iterator[str]:
    """Work in pieces."""
    yield look(x)
    yield look(x)


async def awords(x: str) -> AsyncIterator[str]:
    """Work in pieces, each after a while."""
    await asyncio.sleep(0)
    yield look(x)
    yield look(x)


@pytest.fixture
def traces() -> Traces:
    """Where the spans of the test go."""
    return Traces()


@pytest.fixture
def handler(traces: Traces) -> OtelHandler:
    """What makes them."""
    return OtelHandler(tracer_provider=traces.provider)


def test_managers_of_contexts_can_be_entered_inside_a_run(traces: Traces, handler: OtelHandler) -> None:
    """A decorated manager is one, whether somebody listens or not."""

    @chain
    @contextmanager
    def opened(x: str) -> Iterator[str]:
        yield x

    @chain
    @asynccontextmanager
    async def aopened(x: str) -> AsyncIterator[str]:
        yield x

    @chain
    async def outer(x: str) -> str:
        with opened(x) as one:
            async with aopened(x) as other:
                return one + other

    assert asyncio.run(outer.ainvoke("a", callbacks=[handler])) == "aa"
    assert traces.tree == "outer\n  opened\n  aopened"


def test_coroutine_that_is_waited_for(traces: Traces, handler: OtelHandler) -> None:
    """A coroutine that a wrapper waits for is a function, also to `invoke`."""
    step = chain(made_sync(work))

    @chain
    def outer(x: str) -> str:
        return str(step(x))

    assert step("a") == outer.invoke("a", callbacks=[handler]) == step.invoke("a", callbacks=[handler]) == "a"
    assert traces.tree == "outer\n  work\n    execute_tool look\nwork\n  execute_tool look"


def test_generator_that_is_listed(traces: Traces, handler: OtelHandler) -> None:
    """A generator whose values a wrapper collects is a function that returns a list."""
    step = chain(listed(words))

    @chain
    def outer(x: str) -> Any:
        return step(x)

    assert step("a") == outer.invoke("a", callbacks=[handler]) == ["a", "a"]
    assert step.invoke("a") == ["a", "a"]
    assert list(step.stream("a")) == [["a", "a"]]
    assert traces.tree == "outer\n  words\n    execute_tool look\n    execute_tool look"


def test_coroutine_that_is_handed_on(traces: Traces, handler: OtelHandler) -> None:
    """A run lasts until what the wrapper has handed on is done."""
    step = chain(handing_on(work))

    @chain
    async def outer(x: str) -> str:
        called = step(x)
        assert inspect.iscoroutine(called)
        look("between")
        await asyncio.gather(called, step(x))
        return x

    asyncio.run(outer.ainvoke("a", callbacks=[handler]))
    asyncio.run(step.ainvoke("a", callbacks=[handler]))

    one = ["work", "  execute_tool look", "  execute_tool look"]
    inside = ["outer", *("  " + line for line in one), "  execute_tool look", *("  " + line for line in one)]
    assert traces.tree.split("\n") == [*inside, *one]
    with pytest.raises(TypeError, match="work is a coroutine: use ainvoke or astream"):
        step.invoke("a")


@pytest.mark.parametrize("inner", [words, awords])
def test_generators_that_are_handed_on(inner: Callable[..., Any], traces: Traces, handler: OtelHandler) -> None:
    """Their values come inside the run, and what the consumer does meanwhile is the consumer's."""
    step = chain(handing_on(inner))

    @chain
    async def outer(x: str) -> list[str]:
        got = []
        if inner is words:
            for value in step(x):
                got.append(look(value))  # noqa: PERF401 - between two values
        else:
            async for value in step(x):
                got.append(look(value))  # noqa: PERF401 - likewise
        return got

    assert asyncio.run(outer.ainvoke("a", callbacks=[handler])) == ["a", "a"]
    assert asyncio.run(step.ainvoke("a", callbacks=[handler])) == "aa"
    one = [inner.__name__, *["  execute_tool look"] * 3]
    theirs = ["  execute_tool look"] * 2
    assert traces.tree.split("\n") == ["outer", *("  " + line for line in one), *theirs, *one]


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_coroutine_that_nobody_awaits(traces: Traces, handler: OtelHandler) -> None:
    """Its run ends when it is dropped."""
    step = chain(handing_on(work))

    @chain
    def outer(x: str) -> str:
        step(x)
        gc.collect()
        return x

    outer.invoke("a", callbacks=[handler])

    assert handler.in_flight() == []
    assert dict(traces.span("work").attributes or {})["chainspan.run.outcome"] == "abandoned"


def test_coroutine_that_fails(traces: Traces, handler: OtelHandler) -> None:
    """What it raises is its run's."""

    async def fails(_: str) -> None:
        await asyncio.sleep(0)
        raise KeyError

    @chain
    async def outer(x: str) -> None:
        with pytest.raises(KeyError):
            await step(x)

    step = chain(handing_on(fails))

    asyncio.run(outer.ainvoke("a", callbacks=[handler]))

    assert traces.span("fails").status.status_code is trace.StatusCode.ERROR
    assert traces.span("outer").status.status_code is trace.StatusCode.UNSET
