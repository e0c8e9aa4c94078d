"""The context that a worker thread was given, in each form that Python keeps it in, and who waits for a task."""

from __future__ import annotations

import asyncio
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context, copy_context
from functools import partial
from textwrap import dedent
from types import FrameType
from typing import Any

import pytest

from chainspan import _executing
from chainspan._executing import frames_of_thread
from chainspan._seat import Seat
from chainspan._threads import given_context
from chainspan._waiting import awaiters, awaiters_here

EXECUTOR = "concurrent.futures.thread"
UNTIL_3_13 = """
    class Work:
        def __init__(self, fn, args, kwargs):
            self.fn, self.args, self.kwargs = fn, args, kwargs

        def run(self):
            return self.fn(*self.args, **self.kwargs)

    def execute(fn, *args):
        return Work(fn, args, {}).run()
"""
FROM_3_14 = """
    class Worker:
        def run(self, task):
            fn, args, kwargs = task
            return fn(*args, **kwargs)

    class Work:
        def __init__(self, task):
            self.task = task

        def run(self, worker):
            return worker.run(self.task)

    def execute(fn, *args):
        return Work((fn, args, {})).run(Worker())
"""


def found() -> Context | None:
    """Return what is found by the thread's innermost frame."""
    return given_context(sys._getframe())


@pytest.mark.parametrize("form", [UNTIL_3_13, FROM_3_14], ids=["until-3.13", "from-3.14"])
def test_context_that_is_handed_over_with_the_function(form: str) -> None:
    """It is found whatever the executor's classes look like, so also for Pythons that are not at hand."""
    executor: dict[str, Any] = {"__name__": EXECUTOR}
    exec(dedent(form), executor)
    context = copy_context()

    assert executor["execute"](partial(context.run, found)) is context
    assert executor["execute"](context.run, found) is None  # with arguments of its own: nobody's form
    assert executor["execute"](found) is None


async def test_context_that_a_thread_of_asyncio_is_given() -> None:
    """It is found in this Python."""
    context = await asyncio.to_thread(found)

    assert context is not None
    assert context is not copy_context()
    assert await asyncio.get_running_loop().run_in_executor(None, found) is None


EXECUTES = """
    class Work:
        def __init__(self, future, fn):
            self.future, self.fn = future, fn

        def run(self):
            self.future.set_result(self.fn())
"""


@pytest.mark.parametrize("module", [EXECUTOR, "asgiref.current_thread_executor"])
async def test_task_that_waits_for_a_thread(module: str) -> None:
    """It is found by the future of what the thread executes, whoever's the executor is, and through a shield, too."""
    executor: dict[str, Any] = {"__name__": module}
    exec(dedent(EXECUTES), executor)
    outcome: Future[list[FrameType]] = Future()
    work = executor["Work"](outcome, lambda: [waiter.frames[0] for waiter in awaiters_here(sys._getframe())])
    asyncio.get_running_loop().call_later(0.01, threading.Thread(target=work.run).start)

    found = await asyncio.shield(asyncio.wrap_future(outcome))

    assert found[:1] == [sys._getframe()]


@pytest.mark.usefixtures("long_turns")
@pytest.mark.parametrize("gil", [True, False])
async def test_task_that_starts_a_thread(monkeypatch: pytest.MonkeyPatch, *, gil: bool) -> None:
    """A new thread runs before its executor has returned; the stack of whoever starts it is looked at with the GIL."""
    monkeypatch.setattr(_executing, "_SHOWS_FRAMES", gil)
    seat = Seat(sys._getframe(), asyncio.current_task())

    def executes() -> list[bool]:
        return [frames_of_thread(seat)[-1] in waiter.frames for waiter in awaiters_here(sys._getframe(), seat)]

    with ThreadPoolExecutor(1) as pool:
        found = await asyncio.get_running_loop().run_in_executor(pool, executes)

    assert found == [True] * gil


async def test_task_that_is_handed_to_its_own_callback() -> None:
    """A partial function that asyncio has not left there says nothing of who waits."""

    async def ask() -> tuple[asyncio.Task[Any], Context] | None:
        task = asyncio.current_task()
        assert task is not None
        return next(awaiters(task), None)

    def done(_: asyncio.Task[Any], __: asyncio.Task[Any]) -> None:
        pass

    alone = asyncio.create_task(ask())
    alone.add_done_callback(partial(done, alone))
    await asyncio.sleep(0)
    awaited = asyncio.create_task(ask())
    awaited.add_done_callback(partial(done, awaited))
    found = await awaited

    assert alone.result() is None
    assert found is not None
    assert found[0] is asyncio.current_task()


async def test_tasks_of_the_other_implementation(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that is made by asyncio's own Python code, as factories and debuggers do, is one as well."""
    if sys.version_info >= (3, 14):  # each implementation knows of its own tasks which one runs
        monkeypatch.setattr(asyncio, "current_task", asyncio.tasks._py_current_task)  # type: ignore[attr-defined]

    def make(loop: asyncio.AbstractEventLoop, coroutine: Any, **settings: Any) -> Any:
        return asyncio.tasks._PyTask(coroutine, loop=loop, **settings)  # type: ignore[attr-defined]

    async def ask() -> tuple[asyncio.Task[Any], Context] | None:
        return next(awaiters(asyncio.current_task()), None)

    async def wait() -> bool:
        found = await asyncio.create_task(ask())
        return found is not None and found[0] is asyncio.current_task()

    loop = asyncio.get_running_loop()
    loop.set_task_factory(make)
    try:
        assert await asyncio.create_task(wait())
    finally:
        loop.set_task_factory(None)
