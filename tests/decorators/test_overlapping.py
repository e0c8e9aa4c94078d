"""Bodies that overlap: streams that several pull at, tasks that share a context, coroutines that end elsewhere."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables.config import var_child_runnable_config
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from typing_extensions import Self, override

from chainspan import OtelHandler, chain, llm

SET_BY_A_HANDLER: contextvars.ContextVar[int] = contextvars.ContextVar("set_by_a_handler")  # has no default

ORDER = [("first", 2), ("second", 6)]  # steps, by how long they wait


class Together:
    """An iterator whose two readers are inside it at once."""

    def __init__(self) -> None:
        self._inside = threading.Barrier(2)
        self._pieces = iter("abcd")
        self._lock = threading.Lock()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        self._inside.wait(10)
        with self._lock:
            return next(self._pieces)


class AsyncTogether:
    """An asynchronous one, whose readers wait in it at once."""

    def __init__(self) -> None:
        self._pieces = iter("abcd")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        piece = next(self._pieces, None)
        await asyncio.sleep(0.001)
        if piece is None:
            raise StopAsyncIteration
        return piece


def outcomes(memory: InMemorySpanExporter) -> list[object]:
    """Return how the runs ended."""
    return [dict(span.attributes or {}).get("chainspan.run.outcome", "ok") for span in memory.get_finished_spans()]


def test_stream_that_two_threads_pull_at(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """Each gets its pieces, nothing is left in its context, and the run ends once."""

    @llm
    def model() -> Together:
        return Together()

    def read(stream: Together) -> tuple[list[str], object]:
        return [*stream], var_child_runnable_config.get()

    stream = model.invoke(callbacks=[handler])
    with ThreadPoolExecutor(2) as threads:
        (one, left), (other, left_too) = threads.map(read, [stream] * 2)

    assert sorted([*one, *other]) == ["a", "b", "c", "d"]
    assert (left, left_too) == (None, None)
    assert outcomes(memory) == ["ok"]


async def test_stream_that_two_tasks_pull_at(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """So it is in tasks."""

    @llm
    async def model() -> AsyncTogether:
        return AsyncTogether()

    async def read(stream: AsyncTogether) -> tuple[list[str], object]:
        return [piece async for piece in stream], var_child_runnable_config.get()

    stream = await model.ainvoke(callbacks=[handler])
    (one, left), (other, left_too) = await asyncio.gather(read(stream), read(stream))

    assert sorted([*one, *other]) == ["a", "b", "c", "d"]
    assert (left, left_too) == (None, None)
    assert outcomes(memory) == ["ok"]


class Told(BaseCallbackHandler):
    """Notes what it is told of a model."""

    run_inline = True

    def __init__(self) -> None:
        self.events: list[str] = []
        self.ended = threading.Event()

    @override
    def on_llm_new_token(self, token: Any, **_: Any) -> None:
        self.events.append(token)

    @override
    def on_llm_end(self, response: Any, **_: Any) -> None:
        self.events.append("end")
        self.ended.set()


class Late:
    """An iterator whose first piece comes after its end."""

    def __init__(self, ended: threading.Event) -> None:
        self.asked = threading.Event()
        self._ended = ended

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        if self.asked.is_set():
            raise StopIteration
        self.asked.set()
        assert self._ended.wait(10)
        return "late"


def test_piece_that_comes_after_the_end() -> None:
    """Handlers hear of no piece when another thread has told them of the end."""
    told = Told()
    pieces = Late(told.ended)

    @llm
    def model() -> Late:
        return pieces

    stream = model.invoke(callbacks=[told])
    with ThreadPoolExecutor(1) as threads:
        late = threads.submit(next, stream)
        assert pieces.asked.wait(10)
        assert [*stream] == []
        assert late.result() == "late"

    assert told.events == ["end"]


class Pause:
    """What a coroutine waits for until it is sent on."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class Sets(BaseCallbackHandler):
    """Sets a context variable when it is told of a start."""

    run_inline = True

    @override
    def on_chain_start(self, *_: Any, **__: Any) -> None:
        SET_BY_A_HANDLER.set(1)


def test_coroutine_closed_in_another_context(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """It is abandoned there, even where a variable of a handler's has no value."""
    closed: list[bool] = []

    @chain
    async def step() -> None:
        try:
            await Pause()
        finally:
            closed.append(True)

    coroutine: Any = step.ainvoke(callbacks=[handler, Sets()])
    contextvars.copy_context().run(coroutine.send, None)
    contextvars.Context().run(coroutine.close)

    assert closed == [True]
    assert outcomes(memory) == ["abandoned"]


def test_coroutine_closed_in_a_copy_of_its_context(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """It is abandoned in a copy that was taken inside it, too, where nothing can be taken out."""

    @chain
    async def step() -> None:
        await Pause()

    coroutine: Any = step.ainvoke(callbacks=[handler])
    context = contextvars.copy_context()
    context.run(coroutine.send, None)
    context.copy().run(coroutine.close)

    assert outcomes(memory) == ["abandoned"]


def test_step_in_a_context_that_outlives_its_run(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """A context that was copied inside a run keeps it, and goes back to it after each step."""

    @chain
    def inner() -> contextvars.Context:
        return contextvars.copy_context()

    context = inner.invoke(callbacks=[handler])
    before = context[var_child_runnable_config]
    context.run(inner)

    assert context[var_child_runnable_config] is before
    assert outcomes(memory) == ["ok", "ok"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tasks cannot be given a context")
def test_tasks_that_share_a_context(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """The first to end takes nothing from the one that started later, and nothing is left when both have ended."""

    @chain
    def inner() -> None:
        """Be a step."""

    @chain
    async def outer(waits: int) -> None:
        for _ in range(waits):
            await asyncio.sleep(0)
        inner.with_config(run_name=f"after {waits}")()

    context = contextvars.copy_context()

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        runs = [outer.with_config(run_name=name, callbacks=[handler]).ainvoke(waits) for name, waits in ORDER]
        await asyncio.gather(*(loop.create_task(run, context=context) for run in runs))

    asyncio.run(main())

    spans = {span.name: span for span in memory.get_finished_spans()}
    assert spans["after 6"].parent == spans["second"].context
    assert context.get(var_child_runnable_config) is None
    assert outcomes(memory) == ["ok"] * 4
