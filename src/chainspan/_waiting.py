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
too) leave, also with the future of what a worker thread executes; where they look otherwise, no waiting task is found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextvars import Context, copy_context
from dataclasses import dataclass
from types import FrameType
from typing import Any

from ._seat import Seat
from ._stack import is_dispatch, keeps_state
from ._tasks import current_task, is_task, suspended_frames
from ._threads import engaged_for, future_of_thread

__all__ = ["Awaiter", "Waiting", "awaiters", "awaiters_here", "is_state_kept", "waiting"]

_MOST_DISPATCHING = 4  # tasks of dispatch, one inside the other
_MOST_AWAITERS = 16  # tasks that wait for one another
_RELEASE = "_release_waiter"  # what `wait_for` leaves before Python 3.12, as a partial function with whom it wakes
_CHAINED = "destination"  # what the callback of an executor's future, or of a task of langgraph's, calls the next one
_AWAITED = ("outer", "waiter")  # what the callbacks of ``gather`` and of ``wait`` call the future that is awaited


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
        future = future_of_thread(frame)
        found = next(_awaiters_of_work(future), None)
        engaged = engaged_for(future, seat) if found is None else None
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
