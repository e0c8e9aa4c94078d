"""What a worker thread executes: in which context it was called, and who starts it or blocks for it.

It is handed to the thread together with the context that it was called in (``run_in_executor``, ``to_thread``), as a
partial function; the future that the executor gave for it, or anyio's worker has, leads to the task that waits for it.
A new thread begins before the executor has returned to that task, and code may block instead of waiting: then the
stack of its thread leads to it.
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from inspect import CO_COROUTINE
from types import FrameType
from typing import Any

from ._executing import frames_of_thread
from ._seat import Seat
from ._stack import held_by, self_of

__all__ = ["engaged_for", "future_of_thread", "given_context"]

_EXECUTOR = "concurrent.futures.thread"  # the module whose `run` executes what a thread was given
_EXECUTORS = (_EXECUTOR, "asgiref.current_thread_executor")  # where that has a `self` which has the future
_WORKERS = "anyio._backends._asyncio"  # the module whose `run` does so for anyio, with a variable for the future
_OF_FUTURES = (*_EXECUTORS, "concurrent.futures._base")
_FUTURES_IN = {  # what starts a thread there, or blocks, and its name for the future, or for several
    "submit": "f",
    "result": "self",
    "result_iterator": "fs",
    "as_completed": "fs",
    "wait": "fs",
}


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


def future_of_thread(frame: FrameType | None) -> object:
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


def engaged_for(future: object, seat: Seat | None) -> tuple[asyncio.Task[Any] | None, list[FrameType]] | None:
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
