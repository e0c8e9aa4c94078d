"""The task that waits for another one: on whose behalf a callback is dispatched, and a call is made.

LangChain executes what it calls in asynchronous code in tasks, and says in each of them
whose body it is. Where it calls something that no handler hears of, it names that instead;
whose body has called it can be told by the task that waits.

For an asynchronous text model, langchain-core 1.7 reports the start from a task that
``asyncio.gather`` makes (``BaseLLM.agenerate``), and, where other handlers are not inline,
from one more inside it. What is made current there is not seen by the model's code,
which runs in the task that waits. That task stands suspended meanwhile, so its context
can be entered from here.

asyncio has no public way from a task to the one that waits for it before Python 3.14.
What is used instead are the callbacks that ``await``, ``gather``, ``wait``, ``as_completed`` and task groups (anyio's
too) leave; where they look otherwise, no waiting task is found. What a worker thread executes is handed to it together
with the context that it was called in (``run_in_executor``, ``to_thread``), as a partial function; the future that the
executor gave for it, or anyio's worker has, leads to the task that waits for it. A new thread begins before the
executor has returned to that task, and code may block instead of waiting: then the stack of its thread leads to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextvars import Context, copy_context
from dataclasses import dataclass
from inspect import CO_COROUTINE
from types import FrameType
from typing import Any

from ._executing import frames_of_thread
from ._seat import Seat
from ._stack import held_by, is_dispatch, keeps_state, self_of
from ._tasks import current_task, is_task, suspended_frames

__all__ = ["Awaiter", "Waiting", "awaiters", "awaiters_here", "given_context", "is_state_kept", "waiting"]

_MOST_DISPATCHING = 4  # tasks of dispatch, one inside the other
_MOST_AWAITERS = 16  # tasks that wait for one another
_RELEASE = "_release_waiter"  # what `wait_for` leaves before Python 3.12, as a partial function with whom it wakes
_EXECUTOR = "concurrent.futures.thread"  # the module whose `run` executes what a thread was given
_EXECUTORS = (_EXECUTOR, "asgiref.current_thread_executor")  # where that has a `self` which has the future
_WORKERS = "anyio._backends._asyncio"  # the module whose `run` does so for anyio, with a variable for the future
_CHAINED = "destination"  # what the callback of an executor's future, or of a task of langgraph's, calls the next one
_AWAITED = ("outer", "waiter")  # what the callbacks of ``gather`` and of ``wait`` call the future that is awaited
_OF_FUTURES = (*_EXECUTORS, "concurrent.futures._base")
_FUTURES_IN = {  # what starts a thread there, or blocks, and its name for the future, or for several
    "submit": "f",
    "result": "self",
    "result_iterator": "fs",
    "as_completed": "fs",
    "wait": "fs",
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A suspended task.

    Attributes:
        context: The context that the task's code runs in.
        frame: The innermost frame of it that is not LangChain's dispatch.
    """

    task: asyncio.Task[Any]
    context: Context
    frame: FrameType


def waiting(task: asyncio.Task[Any] | None) -> Waiting | None:
    """Return the task on whose behalf a callback is dispatched in a given one, or None."""
    for _ in range(_MOST_DISPATCHING):
        found = None if task is None else next(_gatherers(task), None)
        if found is None:
            return None
        task, context = found
        frames, is_whole = suspended_frames(task)
        frame = next((frame for frame in reversed(frames) if not is_dispatch(frame)), None)
        if frame is not None and is_whole:
            return Waiting(task, context, frame)
    return None


@dataclass(frozen=True, slots=True)
class Awaiter:
    """Code that waits for what a task or a worker thread executes.

    Attributes:
        frames: Those of its task, innermost first.
        context: The context that it runs in.
    """

    frames: list[FrameType]
    context: Context


def awaiters_here(frame: FrameType | None, seat: Seat | None = None) -> Iterator[Awaiter]:
    """Go through what waits for the task that runs here, or for what a worker thread executes; then who awaits that.

    Args:
        frame: The innermost frame of the code that asks.
        seat: Where a run was started in whose event loop the code that waits may execute still.
    """
    task = current_task()
    if task is None:
        future = _future_of_thread(frame)
        found = next(_awaiters_of_work(future), None)
        engaged = _engaged(future, seat) if found is None else None
        if engaged is not None:
            task, frames = engaged
            yield Awaiter(frames, copy_context())
        elif found is not None:
            task = found[0]
            yield _suspended(*found)
    for found in awaiters(task):
        yield _suspended(*found)


def _suspended(task: asyncio.Task[Any], context: Context) -> Awaiter:
    return Awaiter(suspended_frames(task)[0][::-1], context)


def awaiters(task: asyncio.Task[Any] | None) -> Iterator[tuple[asyncio.Task[Any], Context]]:
    """Return the task that awaits a given one, alone or with others, with its code's context; then who awaits that."""
    for _ in range(_MOST_AWAITERS):
        found = None if task is None else next(_awaiters(task), None) or next(_gatherers(task), None)
        if found is None:
            return
        yield found
        task = found[0]


def is_state_kept(task: asyncio.Task[Any] | None) -> bool:
    """Return whether a checkpointer or a cache of a graph waits for a task."""
    return any(keeps_state(frame) for waiter, _ in awaiters(task) for frame in suspended_frames(waiter)[0])


def given_context(frame: FrameType | None) -> Context | None:
    """Return the context that an executor's thread was given together with what it executes, or None.

    Args:
        frame: The innermost frame of the thread's code.
    """
    while frame is not None:
        if frame.f_code.co_name == "run" and frame.f_globals.get("__name__") == _EXECUTOR:
            function = _function_of(self_of(frame))
            if function is not None:
                context = getattr(getattr(function, "func", None), "__self__", None)
                return context if isinstance(context, Context) else None
        frame = frame.f_back
    return None


def _future_of_thread(frame: FrameType | None) -> object:
    """Return the future of what a worker thread executes: an executor's, or, of anyio's threads, one of asyncio's."""
    while frame is not None:
        if frame.f_code.co_name == "run":
            module = frame.f_globals.get("__name__")
            if module == _WORKERS:
                return held_by(frame, "future")
            future = getattr(self_of(frame), "future", None) if module in _EXECUTORS else None
            if future is not None:
                return future
        frame = frame.f_back
    return None


def _awaiters_of_work(future: object) -> Iterator[tuple[asyncio.Task[Any], Context]]:
    yield from _awaiters(future)
    for callback in list(getattr(future, "_done_callbacks", ())):
        yield from _chained_by(callback)


def _chained_by(callback: object) -> Iterator[tuple[asyncio.Task[Any], Context]]:
    """Return who waits for the future that a callback hands a result on to."""
    chained = _closed_over(callback, _CHAINED)
    if chained is not None:
        yield from _awaiters(chained)
        yield from _gatherers(chained)


def _engaged(future: object, seat: Seat | None) -> tuple[asyncio.Task[Any] | None, list[FrameType]] | None:
    """Return whose thread starts what a worker executes, or blocks for it, right now: the task, if any, and the frames.

    The frames are innermost first. None where a run's thread does neither.
    """
    if future is None or seat is None:
        return None
    task = None if seat.task is None else asyncio.current_task(seat.task.get_loop())
    frames = [] if task is None and seat.task is not None else frames_of_thread(seat)
    for place, frame in enumerate(frames):
        if frame.f_code.co_flags & CO_COROUTINE:
            break
        if _is_for(future, frame):
            return task, frames[place:]
    return None


def _is_for(future: object, frame: FrameType) -> bool:
    """Return whether a frame starts a thread for what a future is of, or blocks for that, alone or with others."""
    name = _FUTURES_IN.get(frame.f_code.co_name)
    if name is None or frame.f_globals.get("__name__") not in _OF_FUTURES:
        return False
    held = frame.f_locals.get(name)
    return held is future or (isinstance(held, (list, set)) and future in held)


def _function_of(work: object) -> object:
    """Return the function that an executor was handed, or None if this is only what executes it.

    From Python 3.14 on, the function stands in a task together with its arguments, which a method of that name
    of another class executes for the work.
    """
    return getattr(work, "fn", None) or next(iter(getattr(work, "task", ())), None)


def _gatherers(task: object) -> Iterator[tuple[asyncio.Task[Any], Context]]:
    for callback, _ in _callbacks(task):
        for name in _AWAITED:
            yield from _awaiters(_closed_over(callback, name))
        yield from _chained_by(callback)  # of a task, as langgraph does for those of its functional API
        for getter in _getters(callback):
            yield from _awaiters(getter)


def _getters(callback: Any) -> list[object]:
    """Return what those wait for who take what is done from ``as_completed``, which has a queue for it."""
    queue = _closed_over(callback, "done") or getattr(getattr(callback, "__self__", None), "_done", None)
    return list(getattr(queue, "_getters", ())) if type(queue) is asyncio.Queue else []


def _awaiters(future: object) -> Iterator[tuple[asyncio.Task[Any], Context]]:
    for wakeup, context in _callbacks(future):
        owner = getattr(wakeup, "__self__", None)
        task = getattr(owner, "_parent_task", owner)  # of a task group, the task that has opened it
        if task is None:  # and so of anyio's
            task = getattr(getattr(_closed_over(wakeup, "self"), "cancel_scope", None), "_host_task", None)
        if is_task(task):
            yield task, context
        if getattr(getattr(wakeup, "func", None), "__name__", None) == _RELEASE:
            yield from _awaiters(wakeup.args[0])


def _callbacks(future: object) -> list[tuple[Any, Context]]:
    return list(getattr(future, "_callbacks", None) or ())


def _closed_over(function: Any, name: str) -> object:
    code = getattr(function, "__code__", None)
    if code is None or name not in code.co_freevars:
        return None
    return function.__closure__[code.co_freevars.index(name)].cell_contents
