"""Who is asking: the frames, the thread and the asyncio task that code runs in.

OpenTelemetry's context says which runs *may* be current; it is copied into threads and
tasks and left behind in callers, so it cannot say whether the code that asks is still
inside the run. The stack can: the frame that started a run is on the stack of
everything that runs inside it, and is not on the stack of a stream's consumer, nor of
anybody after the run.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from enum import Enum
from functools import lru_cache
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR, CO_NEWLOCALS
from types import CodeType, FrameType
from typing import Any, cast

__all__ = [
    "GENERATORS",
    "Seat",
    "current_task",
    "has_package",
    "is_at_work",
    "is_dispatch",
    "outermost_method_of",
    "reporter",
    "self_of",
    "starter",
    "starter_above",
    "suspended_frames",
]

_AWAITED = (  # how to go from one awaiting object to its frame, and to what it awaits
    ("cr_frame", "cr_await"),
    ("gi_frame", "gi_yieldfrom"),
    ("ag_frame", "ag_await"),
)

_DISPATCH = "langchain_core.callbacks"
# Between a callback and the code that it is about; the last wraps whatever becomes a task.
_BETWEEN = ("chainspan", "contextlib", "opentelemetry.instrumentation.asyncio")
_DRIVER = "chainspan._decorators._drive"  # around the body of a decorated function, and only around that
_PASSING = frozenset(  # functions that report a start and return before the run has executed
    {"<listcomp>", "<genexpr>", "_start", "_astart"}  # the last two are langgraph's (RunnableSeq)
)
_ONLY_STARTS = "ensure_started"  # inside BaseChatModel.stream_events and .astream_events
_RUNNABLES = "langchain_core.runnables.base"
_NODES = frozenset({"run_with_retry", "arun_with_retry"})  # functions of langgraph that a graph calls a node by
_NODE_STREAMS = "langgraph._internal._runnable"  # the module of the generators (RunnableSeq) that a node streams in
_COMPREHENSIONS = frozenset({"<listcomp>", "<genexpr>"})
_REPORTS = frozenset({"on_chain_start", "on_chat_model_start", "on_llm_start", "on_tool_start", "on_retriever_start"})
GENERATORS = CO_GENERATOR | CO_ASYNC_GENERATOR
"""The flags of the code of a generator, of which it has one."""
_DISPATCH_DEPTH = 2  # frames from a callback to the method of the manager that reports: `handle_event`, and that
_MOST_FRAMES = 12  # of dispatch between a callback and the code that caused it


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
    """

    __slots__ = ("code", "frame_id", "module", "task", "thread_id")

    def __init__(self, frame: FrameType | None, task: asyncio.Task[Any] | None) -> None:
        self.frame_id = id(frame)
        self.code: CodeType | None = frame.f_code if frame is not None else None
        self.module: str = frame.f_globals.get("__name__", "") if frame is not None else ""
        self.thread_id = threading.get_ident()
        self.task = task

    @property
    def package(self) -> str:
        """The top-level package of the code that started the run, such as ``langgraph``."""
        return self.module.partition(".")[0]

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
        self.task = cast("asyncio.Task[Any]", _Done(is_cancelled=task.cancelled()))

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

    def is_over(self, *, but_for_newest: bool = False) -> bool:
        """Return whether the function that started the run has certainly finished.

        False also means "cannot be told": for streams, and behind awaitables that do not
        show what they await.

        Args:
            but_for_newest: Whether the frame that is starting a run right now is known to
                be another one, though it may stand at the same address.
        """
        if self.code is None or self.pauses:
            return False
        if self.task is not None and self.task.done():
            return True
        if self.is_here():
            return not self._is_on_stack(_above_newest() if but_for_newest else sys._getframe(1))  # noqa: SLF001
        if self.task is not None:
            frames, is_whole = suspended_frames(self.task)
            return is_whole and not any(self.holds(frame) for frame in frames)
        return not self._is_on_stack(sys._current_frames().get(self.thread_id))  # noqa: SLF001 - documented

    def _is_on_stack(self, frame: FrameType | None) -> bool:
        while frame is not None:
            if self.holds(frame):
                return True
            frame = frame.f_back
        return False


class _Done:
    """Stands for a task that is done."""

    def __init__(self, *, is_cancelled: bool) -> None:
        self._is_cancelled = is_cancelled

    def done(self) -> bool:
        return True

    def cancelled(self) -> bool:
        return self._is_cancelled


def _above_newest() -> FrameType | None:
    """Return the frame that called the one which is starting a run right now."""
    here = sys._getframe(1)  # noqa: SLF001 - the only way to see the stack
    newest = starter(here)
    return here if newest is None else newest.f_back


def current_task() -> asyncio.Task[Any] | None:
    """Return the running asyncio task, or None outside one."""
    loop = asyncio._get_running_loop()  # noqa: SLF001 - in asyncio.__all__; get_running_loop raises
    return None if loop is None else asyncio.current_task(loop)


def starter(frame: FrameType | None) -> FrameType | None:
    """Return the frame that caused a callback: the first one outside LangChain's dispatch.

    Where LangChain did not dispatch (a callback called by hand), it is the first frame
    outside chainspan.
    """
    outside: FrameType | None = None
    dispatched = False
    for _ in range(_MOST_FRAMES):
        if frame is None:
            break
        role = _role(frame.f_globals.get("__name__", ""))
        if role is _DISPATCHING:
            dispatched = True
        elif role is not _TRANSPARENT and frame.f_code.co_name not in _PASSING:
            if dispatched:
                return None if role is _LOOPING else frame
            outside = outside or frame
        frame = frame.f_back
    return outside


def starter_above(depth: int) -> FrameType | None:
    """Return what `starter` does, from the frame so far above its caller.

    LangChain's dispatch is known to stand a few frames above the callback. To look there at
    once spares the frames in between: each that is looked at has to be made an object first.

    Args:
        depth: How far above its caller the first frame is that may not be chainspan's.
    """
    try:
        frame = sys._getframe(depth + 1 + _DISPATCH_DEPTH)  # noqa: SLF001 - the only way to see the stack
    except ValueError:  # the stack is not as deep
        return starter(sys._getframe(depth + 1))  # noqa: SLF001
    if _role(frame.f_globals.get("__name__", "")) is not _DISPATCHING:
        return starter(sys._getframe(depth + 1))  # noqa: SLF001
    above = frame.f_back
    if above is None or above.f_code.co_name in _PASSING or _role(above.f_globals.get("__name__", "")) is not _OTHER:
        return starter(frame)
    return above


def reporter(seat: Seat) -> object | None:
    """Return the callback manager that reports the start of a run right now, or None.

    None, too, where another function than the one that started the run has asked it to: its
    own may live no longer than that.

    Its own frame is asked, which is gone in a moment: looking at the locals of a generator's
    would keep these alive, and what they hold open.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the only way to see the stack
    for _ in range(_MOST_FRAMES):
        if frame is None:
            break
        if frame.f_code.co_name in _REPORTS and _role(frame.f_globals.get("__name__", "")) is _DISPATCHING:
            asks = frame.f_back
            if asks is not None and asks.f_code.co_name in _COMPREHENSIONS:
                asks = asks.f_back
            return frame.f_locals.get("self") if seat.holds(asks) else None
        frame = frame.f_back
    return None


class _Role(Enum):
    """What a module has to do with a callback that it stands on the stack of."""

    DISPATCH = "LangChain's dispatch"
    TRANSPARENT = "between a callback and the code that it is about"
    EVENT_LOOP = "asyncio's own"
    OTHER = "anything else"


_DISPATCHING, _TRANSPARENT, _LOOPING, _OTHER = _Role
_OF_CALLBACKS = (_DISPATCHING, _TRANSPARENT)


@lru_cache(maxsize=4096)
def _role(module: str) -> _Role:
    if module.startswith(_DISPATCH):
        return _Role.DISPATCH
    if module.startswith(_BETWEEN) and module != _DRIVER:
        return _Role.TRANSPARENT
    return _Role.EVENT_LOOP if module.startswith("asyncio") else _Role.OTHER


def suspended_frames(task: asyncio.Task[Any]) -> tuple[list[FrameType], bool]:
    """Return the frames of a task that is suspended, outermost first, and whether these are all."""
    frames: list[FrameType] = []
    awaiting: object = task.get_coro()
    while awaiting is not None and not isinstance(awaiting, asyncio.Future):
        names = _attributes_of(awaiting)
        if names is None:
            awaiting = _inside(awaiting)
            if awaiting is None:
                return frames, False
            continue
        if getattr(awaiting, "cr_running", False) or getattr(awaiting, "gi_running", False):
            return frames, False  # it runs, in another thread, and shows nothing meanwhile
        frame = getattr(awaiting, names[0])
        if isinstance(frame, FrameType):
            frames.append(frame)
        awaiting = getattr(awaiting, names[1])
    return frames, True


def _attributes_of(awaiting: object) -> tuple[str, str] | None:
    return next((names for names in _AWAITED if hasattr(awaiting, names[0])), None)


def _inside(awaiting: object, *, depth: int = 3) -> object:
    """Return what an iterator awaits that shows nothing itself: of a future, or of ``__anext__``."""
    held = gc.get_referents(awaiting)
    found = next((one for one in held if isinstance(one, asyncio.Future) or _attributes_of(one)), None)
    if found is None and depth:
        wrapped = (one for one in held if hasattr(one, "__await__") or hasattr(one, "send"))
        deeper = (_inside(one, depth=depth - 1) for one in wrapped)
        found = next((one for one in deeper if one is not None), None)
    return found


def self_of(frame: FrameType) -> object:
    """Return the object whose method a frame executes, or None; nothing else in the frame is kept alive by asking."""
    held = frame.f_locals
    found: object = held.get("self")
    if sys.version_info < (3, 13) and frame.f_code.co_flags & CO_NEWLOCALS:
        held.clear()  # a copy, which the frame keeps as long as it lives
    return found


def is_dispatch(frame: FrameType) -> bool:
    """Return whether a frame belongs to LangChain's dispatch of callbacks, or to what stands in between."""
    return _role(frame.f_globals.get("__name__", "")) in _OF_CALLBACKS


def has_package(package: str, frame: FrameType | None) -> bool:
    """Return whether code of a top-level package is on the stack, or a method of a subclass."""
    return _outermost_of(package, frame) is not None


def is_at_work(package: str, frame: FrameType | None) -> bool:
    """Return whether a framework is at work on its own here, rather than because somebody calls it.

    Code of its top-level package is on the stack, or a method of a subclass: it hands the methods
    of a user's checkpointer to worker threads as they are, with no frame of its own around them.
    And the outermost is neither a method of something that can be invoked, nor what calls a node.
    """
    outermost = _outermost_of(package, frame)
    return outermost is not None and outermost.f_code.co_name not in _NODES and not _is_method_of(_RUNNABLES, outermost)


def _outermost_of(package: str, frame: FrameType | None) -> FrameType | None:
    outermost: FrameType | None = None
    while frame is not None:
        # A handler may derive from a class of the framework as well, and is not it.
        if not is_dispatch(frame) and (_package(frame) == package or _derives_from(package, frame)):
            outermost = frame
        frame = frame.f_back
    return outermost


def _package(frame: FrameType) -> str:
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0]


def outermost_method_of(module: str, frame: FrameType | None) -> FrameType | None:
    """Return the outermost frame that is a method's of a class which derives from one of a module's."""
    outermost: FrameType | None = None
    while frame is not None:
        if _is_method_of(module, frame):
            outermost = frame
        frame = frame.f_back
    return outermost


def _is_method_of(module: str, frame: FrameType) -> bool:
    return any(base.__module__.startswith(module) for base in _bases_of_self(frame))


def _derives_from(package: str, frame: FrameType) -> bool:
    return any(base.__module__.partition(".")[0] == package for base in _bases_of_self(frame))


def _bases_of_self(frame: FrameType) -> tuple[type, ...]:
    code = frame.f_code
    if not code.co_argcount or code.co_varnames[0] != "self":
        return ()
    return type(frame.f_locals.get("self")).__mro__
