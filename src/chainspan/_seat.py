"""Where a run was started: the frame, the thread and the asyncio task.

OpenTelemetry's context says which runs *may* be current; it is copied into threads and
tasks and left behind in callers, so it cannot say whether the code that asks is still
inside the run. The stack can: the frame that started a run is on the stack of
everything that runs inside it, and is not on the stack of a stream's consumer, nor of
anybody after the run.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from types import CodeType, FrameType
from typing import Any, cast

from ._greenlets import greenlet_here
from ._tasks import current_task

__all__ = ["GENERATORS", "Seat"]

_ONLY_STARTS = "ensure_started"  # inside BaseChatModel.stream_events and .astream_events
_NODE_STREAMS = "langgraph._internal._runnable"  # the module of the generators (RunnableSeq) that a node streams in
GENERATORS = CO_GENERATOR | CO_ASYNC_GENERATOR
"""The flags of the code of a generator, of which it has one."""
_SUSPENDED = GENERATORS | CO_COROUTINE


class Seat:
    """Where a run was started.

    Frames are known by address and code and are not held: a frame would keep all its
    locals alive, and with them the run ids whose end shows that a run is over.

    Attributes:
        frame_id: The address of the frame that started the run.
        module: The name of the module that the code is from.
        code: That frame's code; together with the address it names one living frame. None
            where the event loop itself called back: its frames are shared by everybody.
        thread_id: The thread that the run was started in.
        task: The asyncio task that it was started in, or None.
        greenlet: The greenlet that it was started in, or None.
    """

    __slots__ = ("code", "frame_id", "greenlet", "module", "task", "thread_id")

    def __init__(self, frame: FrameType | None, task: asyncio.Task[Any] | None) -> None:
        self.frame_id = id(frame)
        self.code: CodeType | None = frame.f_code if frame is not None else None
        self.module: str = frame.f_globals.get("__name__", "") if frame is not None else ""
        self.thread_id = threading.get_ident()
        self.task = task
        self.greenlet = greenlet_here() if "greenlet" in sys.modules else None

    @property
    def package(self) -> str:
        """The top-level package of the code that started the run, such as ``langgraph``."""
        return self.module.partition(".")[0]

    @property
    def is_called(self) -> bool:
        """Whether the run lives in a plain function, and is over when that returns."""
        code = self.code
        return code is not None and not code.co_flags & _SUSPENDED and code.co_name != _ONLY_STARTS

    @property
    def is_generator(self) -> bool:
        """Whether the run lives in a generator, which pauses to let its consumer run."""
        return self.code is not None and bool(self.code.co_flags & GENERATORS)

    @property
    def is_node_stream(self) -> bool:
        """Whether the run lives in the generator that a graph's node streams in, which pauses once it is done."""
        return self.module == _NODE_STREAMS and self.is_generator

    @property
    def pauses(self) -> bool:
        """Whether its consumer's code runs before the run is done."""
        return self.is_generator and self.module != _NODE_STREAMS

    @property
    def is_coroutine(self) -> bool:
        """Whether the run lives in a coroutine, hence is over when its task is done."""
        return self.code is not None and bool(self.code.co_flags & CO_COROUTINE)

    @property
    def only_starts(self) -> bool:
        """Whether what started the run returns before its body executes, as of a model's stream of events (v3)."""
        return self.code is not None and self.code.co_name == _ONLY_STARTS

    def outlive(self, task: asyncio.Task[Any]) -> None:
        """Let go of the task, which is done: the exception that it ended with would keep the run's own frame alive."""
        self.task = cast("asyncio.Task[Any]", _Done(task))

    def is_here(self) -> bool:
        """Return whether the caller runs in the same thread and the same task."""
        return self.thread_id == threading.get_ident() and self.task is current_task()

    def shares_stack(self) -> bool:
        """Return whether the run's frame is on the caller's stack, if it still executes.

        A run that was started outside every task is also below those that its body has a
        loop of its own for, in the same thread.
        """
        return self.is_here() or (self.task is None and self.thread_id == threading.get_ident())

    def holds(self, frame: FrameType | None) -> bool:
        """Return whether a frame is the one that started the run."""
        return id(frame) == self.frame_id and frame is not None and frame.f_code is self.code


class _Done:
    """Stands for a task that is done."""

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self._is_cancelled, self._loop = task.cancelled(), task.get_loop()

    def done(self) -> bool:
        return True

    def cancelled(self) -> bool:
        return self._is_cancelled

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop
