"""Asynchronous code that no loop of asyncio's runs, as under Trio."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from typing_extensions import override

from chainspan import OtelHandler, chain


class Pause:
    """What a coroutine waits for until it is sent on."""

    def __await__(self) -> Generator[None, None, None]:
        yield


@chain
async def step(fails: bool) -> str:
    """Wait, and fail where that is asked for."""
    await Pause()
    if fails:
        raise KeyError
    return "done"


class Told(BaseCallbackHandler):
    """Is not called in place by LangChain."""

    def __init__(self) -> None:
        self.events: list[str] = []

    @override
    def on_chain_start(self, *_: Any, **__: Any) -> None:
        self.events.append("start")

    @override
    def on_chain_end(self, *_: Any, **__: Any) -> None:
        self.events.append("end")


class AsyncTold(AsyncCallbackHandler):
    """Is asynchronous."""

    def __init__(self) -> None:
        self.events: list[str] = []

    @override
    async def on_chain_start(self, *_: Any, **__: Any) -> None:
        self.events.append("start")

    @override
    async def on_chain_end(self, *_: Any, **__: Any) -> None:
        self.events.append("end")


def driven(coroutine: Coroutine[Any, Any, str]) -> str:
    """Run a coroutine by hand, in a thread that has never had a loop."""

    def drive() -> str:
        try:
            while True:
                coroutine.send(None)
        except StopIteration as stop:
            returned: str = stop.value
            return returned

    with ThreadPoolExecutor(1) as threads:
        return threads.submit(drive).result()


@pytest.mark.parametrize("fails", [False, True])
def test_coroutine(fails: bool, handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """It runs, and its run is seen, whichever way it ends."""
    coroutine = step.ainvoke(fails, callbacks=[handler])
    if fails:
        with pytest.raises(KeyError):
            driven(coroutine)
    else:
        assert driven(coroutine) == "done"

    assert [span.name for span in memory.get_finished_spans()] == ["step"]


@pytest.mark.parametrize("told", [Told(), AsyncTold()], ids=["synchronous", "asynchronous"])
def test_handlers_of_other_sorts(told: Any) -> None:
    """They hear of it as in synchronous code."""
    assert driven(step.ainvoke(False, callbacks=[told])) == "done"
    assert told.events == ["start", "end"]


@pytest.mark.parametrize("waiting", [1, 2], ids=["one-task", "several-tasks"])
def test_cancelled_by_trio(waiting: int, handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """What a time limit cancels has not failed, also where it is several tasks, of which Trio tells in a group."""
    trio: Any = pytest.importorskip("trio", reason="trio is of the group `test`")

    @chain
    async def wait(_: int) -> None:
        await trio.sleep_forever()

    @chain
    async def request(tasks: int) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(tasks):
                nursery.start_soon(wait, number)

    async def main() -> None:
        with trio.move_on_after(0.01):
            await request.ainvoke(waiting, callbacks=[handler])

    trio.run(main)

    said = [
        (span.name, (span.attributes or {})["chainspan.run.outcome"], span.status.status_code.name)
        for span in memory.get_finished_spans()
    ]
    assert said == [("wait", "cancelled", "UNSET")] * waiting + [("request", "cancelled", "UNSET")]


def test_failed_among_cancelled_by_trio(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """Where one task fails, what it ran in has failed; the tasks that are cancelled for that have not."""
    trio: Any = pytest.importorskip("trio", reason="trio is of the group `test`")

    @chain
    async def wait(_: str) -> None:
        await trio.sleep_forever()

    @chain
    async def fail(_: str) -> None:
        await trio.lowlevel.checkpoint()
        raise KeyError

    @chain
    async def request(text: str) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait, text)
            nursery.start_soon(fail, text)

    with pytest.raises(BaseException, match="nursery"):
        trio.run(partial(request.ainvoke, "", callbacks=[handler]))

    said = {span.name: (span.attributes or {})["chainspan.run.outcome"] for span in memory.get_finished_spans()}
    assert said == {"wait": "cancelled", "fail": "error", "request": "error"}
