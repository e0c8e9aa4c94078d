"""The task that waits for a callback, where LangChain dispatches the callback in a task of its own.

For an asynchronous text model, langchain-core 1.7 reports the start from a task that
``asyncio.gather`` makes (``BaseLLM.agenerate``), and, where other handlers are not inline,
from one more inside it. What is made current there is not seen by the model's code,
which runs in the task that waits. That task stands suspended meanwhile, so its context
can be entered from here.

asyncio has no public way from a task to the one that waits for it before Python 3.14.
What is used instead are the callbacks that ``gather`` leaves; where they look otherwise,
no waiting task is found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextvars import Context
from dataclasses import dataclass
from types import FrameType
from typing import Any

from ._stack import is_dispatch, suspended_frames

__all__ = ["Waiting", "waiting"]

_MOST_TASKS = 4  # of dispatch, one inside the other


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
    for _ in range(_MOST_TASKS):
        found = None if task is None else next(_waiters(task), None)
        if found is None:
            return None
        task, context = found
        frames, is_whole = suspended_frames(task)
        frame = next((frame for frame in reversed(frames) if not is_dispatch(frame)), None)
        if frame is not None and is_whole:
            return Waiting(task, context, frame)
    return None


def _waiters(task: asyncio.Task[Any]) -> Iterator[tuple[asyncio.Task[Any], Context]]:
    for callback, _ in _callbacks(task):
        outer = _closed_over(callback, "outer")
        for wakeup, context in _callbacks(outer):
            waiter = getattr(wakeup, "__self__", None)
            if isinstance(waiter, asyncio.Task):
                yield waiter, context


def _callbacks(future: object) -> list[tuple[Any, Context]]:
    return list(getattr(future, "_callbacks", None) or ())


def _closed_over(function: Any, name: str) -> object:
    code = getattr(function, "__code__", None)
    if code is None or name not in code.co_freevars:
        return None
    return function.__closure__[code.co_freevars.index(name)].cell_contents
