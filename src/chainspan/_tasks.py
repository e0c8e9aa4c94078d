"""Which asyncio task code runs in, and the frames of a task that is suspended."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from inspect import CO_ASYNC_GENERATOR
from types import AsyncGeneratorType, CoroutineType, FrameType
from typing import Any, TypeGuard

from ._greenlets import frames_around

__all__ = ["current_task", "executing_frames", "is_task", "suspended_frames", "unseen_frames"]

_AWAITED = (  # how to go from one awaiting object to its frame, and to what it awaits
    ("cr_frame", "cr_await"),
    ("gi_frame", "gi_yieldfrom"),
    ("ag_frame", "ag_await"),
)
_PULLS = frozenset({"async_generator_asend", "async_generator_athrow", "anext_awaitable"})
"""Types of what is awaited of an asynchronous generator; nothing public has them."""
_MOST_AWAITING = 256


def current_task() -> asyncio.Task[Any] | None:
    """Return the running asyncio task, or None outside one."""
    loop = asyncio._get_running_loop()  # noqa: SLF001 - in asyncio.__all__; get_running_loop raises
    return None if loop is None else asyncio.current_task(loop)


def is_task(found: object) -> TypeGuard[asyncio.Task[Any]]:
    """Return whether something is a task, of whichever implementation: ``asyncio.Task`` is one of two."""
    return asyncio.isfuture(found) and hasattr(found, "get_coro")


def suspended_frames(task: asyncio.Task[Any]) -> tuple[list[FrameType], bool]:
    """Return the frames of a task that is suspended, outermost first, and whether these are all."""
    frames: list[FrameType] = []
    awaiting: object = task.get_coro()
    while awaiting is not None and not asyncio.isfuture(awaiting):
        names = _attributes_of(awaiting)
        if names is None:
            awaiting = _inside(awaiting)
            if awaiting is None:
                return frames, False
            continue
        if _executes(awaiting):
            return frames, False  # it runs, in another thread, and shows nothing meanwhile
        frame = getattr(awaiting, names[0])
        if isinstance(frame, FrameType):
            frames.append(frame)
        awaiting = getattr(awaiting, names[1])
    return frames, True


def executing_frames(frame: FrameType | None) -> Iterator[FrameType]:
    """Go through the frames that execute here, innermost first: of the stack, then those that it does not show.

    Args:
        frame: The innermost frame of the stack.
    """
    stack = frame
    while stack is not None:
        yield stack
        stack = stack.f_back
    yield from unseen_frames(frame)


def unseen_frames(frame: FrameType | None) -> list[FrameType]:
    """Return the frames of the task that runs here, innermost first, where its stack may not show them all.

    When what a task waits for has failed, the exception is thrown in from its outermost coroutine. Up to the
    next suspension CPython then leaves out of the stack whatever awaits an asynchronous generator. Nor does
    the stack of a greenlet show who waits for that, in a task or not.

    Args:
        frame: The innermost frame of the stack.
    """
    around = frames_around()
    task = None if around else current_task()
    if task is None or not _has_generator(frame):
        return around
    frames: list[FrameType] = []
    awaiting: object = task.get_coro()
    for _ in range(_MOST_AWAITING):
        if awaiting is None:
            break
        names = _attributes_of(awaiting)
        found = getattr(awaiting, names[0]) if names else None
        if isinstance(found, FrameType):
            frames.append(found)
        awaiting = (getattr(awaiting, names[1]) if names else None) or _thrown_into(awaiting)
    return frames[::-1]


def _has_generator(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_flags & CO_ASYNC_GENERATOR:
            return True
        frame = frame.f_back
    return False


def _thrown_into(awaiting: object) -> object:
    """Return what executes on behalf of something that awaits it, and does not show it meanwhile."""
    return next((one for one in gc.get_referents(awaiting) if _is_awaited(one)), None)


def _is_awaited(one: object) -> bool:
    if isinstance(one, AsyncGeneratorType):
        return one.ag_running
    return one.cr_running if isinstance(one, CoroutineType) else type(one).__name__ in _PULLS


def _executes(awaiting: object) -> bool:
    if getattr(awaiting, "cr_running", False) or getattr(awaiting, "gi_running", False):
        return True
    # An asynchronous generator says that it runs while it awaits something, too.
    return getattr(awaiting, "ag_running", False) and getattr(awaiting, "ag_await", None) is None


def _attributes_of(awaiting: object) -> tuple[str, str] | None:
    return next((names for names in _AWAITED if hasattr(awaiting, names[0])), None)


def _inside(awaiting: object, *, depth: int = 3) -> object:
    """Return what an iterator awaits that shows nothing itself: of a future, or of ``__anext__``."""
    held = gc.get_referents(awaiting)
    found = next((one for one in held if asyncio.isfuture(one) or _attributes_of(one)), None)
    if found is None and depth:
        wrapped = (one for one in held if hasattr(one, "__await__") or hasattr(one, "send"))
        deeper = (_inside(one, depth=depth - 1) for one in wrapped)
        found = next((one for one in deeper if one is not None), None)
    return found
