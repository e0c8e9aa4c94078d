"""Who is on the stack: LangChain's dispatch, the code that caused a callback, a framework at work."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from enum import Enum
from functools import lru_cache
from inspect import CO_NEWLOCALS, CO_VARARGS
from itertools import pairwise
from types import CodeType, FrameType, FunctionType

__all__ = [
    "held_by",
    "is_at_work",
    "is_dispatch",
    "keeps_state",
    "outermost_method_of",
    "reporter",
    "reporter_among",
    "reporting",
    "self_of",
    "starter",
    "starter_above",
]

_DISPATCH = "langchain_core.callbacks"
# Between a callback and the code that it is about: what wraps whatever becomes a task, and the reports of starts.
# The last is how wrapping is done, which has frames of its own where it is not compiled.
_WRAPPERS = ("opentelemetry.instrumentation.asyncio", "opentelemetry.instrumentation.genai.langchain", "wrapt.")
_BETWEEN = ("chainspan", "contextlib", *_WRAPPERS)
_DRIVER = "chainspan._decorators._drive"  # around the body of a decorated function, and only around that
_PASSING = frozenset(  # functions that report a start and return before the run has executed
    {"<listcomp>", "<genexpr>", "_start", "_astart"}  # the last two are langgraph's (RunnableSeq)
)
_RUNNABLES = "langchain_core.runnables.base"
_NODES = frozenset({"run_with_retry", "arun_with_retry"})  # functions of langgraph that a graph calls a node by
_KEEPERS = ("langgraph.checkpoint", "langgraph.cache")  # modules of what a graph keeps its state and results by
_KEEPING = frozenset({"aget_tuple", "aput", "aput_writes", "aget", "aset"})  # methods of those that a graph calls
_COMPREHENSIONS = frozenset({"<listcomp>", "<genexpr>"})
_REPORTS = frozenset({"on_chain_start", "on_chat_model_start", "on_llm_start", "on_tool_start", "on_retriever_start"})
_REPORTED = _REPORTS | {"on_llm_end", "on_llm_error"}
_PASSED = _REPORTED | _PASSING
_DISPATCH_DEPTH = 2  # frames from a callback to the method of the manager that reports: `handle_event`, and that
_MOST_FRAMES = 12  # of dispatch between a callback and the code that caused it
_MOST_FRAMES_OF_OURS = 32  # between what reads a payload and that dispatch


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


def reporting() -> FrameType | None:
    """Return the frame that has LangChain's dispatch report what is being worked on right now, or None.

    None, too, where it is reported from a task of its own.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the only way to see the stack
    for _ in range(_MOST_FRAMES_OF_OURS):
        if frame is None:
            return None
        if frame.f_code.co_name in _REPORTED and _role(frame.f_globals.get("__name__", "")) is _DISPATCHING:
            break
        frame = frame.f_back
    else:
        return None
    while frame is not None and (frame.f_code.co_name in _PASSED or _wraps(frame)):
        frame = frame.f_back
    return frame if frame is not None and _role(frame.f_globals.get("__name__", "")) is _OTHER else None


def reporter(has_started: Callable[[FrameType | None], bool]) -> object | None:
    """Return the callback manager that reports the start of a run right now, or None.

    None, too, where another function than the one that started the run has asked it to: its
    own may live no longer than that.

    Its own frame is asked, which is gone in a moment: looking at the locals of a generator's
    would keep these alive, and what they hold open.

    Args:
        has_started: Returns whether a frame is the one that started the run.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the only way to see the stack
    for _ in range(_MOST_FRAMES):
        if frame is None:
            break
        if frame.f_code.co_name in _REPORTS and _role(frame.f_globals.get("__name__", "")) is _DISPATCHING:
            asks = frame.f_back
            while asks is not None and (asks.f_code.co_name in _COMPREHENSIONS or _wraps(asks)):
                asks = asks.f_back
            return frame.f_locals.get("self") if has_started(asks) else None
        frame = frame.f_back
    return None


def reporter_among(frames: Sequence[FrameType], has_started: Callable[[FrameType | None], bool]) -> object | None:
    """Return what `reporter` does, of a start that is dispatched in a task of its own, or None.

    Args:
        frames: Those of the task that waits for it, outermost first.
        has_started: Returns whether a frame is the one that started the run.
    """
    for asks, reports in pairwise(frames):
        if has_started(asks) and reports.f_code.co_name in _REPORTS and is_dispatch(reports):
            return self_of(reports)
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


def _wraps(frame: FrameType) -> bool:
    """Return whether a frame is of an instrumentation that wraps what LangChain reports by."""
    name: str = frame.f_globals.get("__name__", "")
    return name.startswith(_WRAPPERS)


def self_of(frame: FrameType) -> object:
    """Return the object whose method a frame executes, or None."""
    return held_by(frame, "self")


def held_by(frame: FrameType, name: str) -> object:
    """Return what a frame has in a variable, or None; nothing else in the frame is kept alive by asking."""
    held = frame.f_locals
    found: object = held.get(name)
    if sys.version_info < (3, 13) and frame.f_code.co_flags & CO_NEWLOCALS:
        held.clear()  # a copy, which the frame keeps as long as it lives
    return found


def is_dispatch(frame: FrameType) -> bool:
    """Return whether a frame belongs to LangChain's dispatch of callbacks, or to what stands in between."""
    return _role(frame.f_globals.get("__name__", "")) in _OF_CALLBACKS


def is_at_work(package: str, frame: FrameType | None) -> bool:
    """Return whether a framework is at work on its own here, rather than because somebody calls it.

    Code of its top-level package is on the stack, or a method of a subclass: it hands the methods
    of a user's checkpointer to worker threads and tasks as they are, decorated or not, with no frame
    of its own around them. And the outermost is neither a method of something that can be invoked,
    nor what calls a node.
    """
    outermost = _outermost_of(package, frame)
    if outermost is None or outermost.f_code.co_name in _NODES:
        return False
    return not _is_from(_RUNNABLES, _bases_of_self(outermost) or _bases_of_decorated(outermost))


def keeps_state(frame: FrameType) -> bool:
    """Return whether a frame is a method's of a checkpointer or a cache, by which a graph keeps its state."""
    return frame.f_code.co_name in _KEEPING and any(_is_method_of(module, frame) for module in _KEEPERS)


def _outermost_of(package: str, frame: FrameType | None) -> FrameType | None:
    outermost: FrameType | None = None
    while frame is not None:
        if _executes(package, frame) or (_derives_from(package, _bases_of_given(frame)) and _bases_of_decorated(frame)):
            outermost = frame
        frame = frame.f_back
    return outermost


def _executes(package: str, frame: FrameType) -> bool:
    if is_dispatch(frame):
        return False  # a handler may derive from a class of the framework as well, and is not it
    return _package(frame) == package or _derives_from(package, _bases_of_self(frame))


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
    return _is_from(module, _bases_of_self(frame))


def _is_from(module: str, bases: Sequence[type]) -> bool:
    return any(base.__module__.startswith(module) for base in bases)


def _derives_from(package: str, bases: Sequence[type]) -> bool:
    return any(base.__module__.partition(".")[0] == package for base in bases)


def _bases_of_self(frame: FrameType) -> Sequence[type]:
    code = frame.f_code
    if not code.co_argcount or code.co_varnames[0] != "self":
        return ()
    return type(frame.f_locals.get("self")).__mro__


def _bases_of_decorated(frame: FrameType) -> Sequence[type]:
    """Return the classes of the object for whose method a frame stands: a decorator's wrapper, which takes anything."""
    bases, code = _bases_of_given(frame), frame.f_code
    return bases if any(_has_method(base, code) for base in bases) else ()


def _bases_of_given(frame: FrameType) -> Sequence[type]:
    """Return the classes of the first of the arguments of a function that takes any."""
    code = frame.f_code
    if code.co_argcount or not code.co_flags & CO_VARARGS:
        return ()
    given = frame.f_locals.get(code.co_varnames[code.co_kwonlyargcount])
    return type(given[0]).__mro__ if type(given) is tuple and given else ()


def _has_method(base: type, code: CodeType) -> bool:
    return any(type(method) is FunctionType and method.__code__ is code for method in vars(base).values())
