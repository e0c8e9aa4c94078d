"""The witnesses of who is inside a run: LangChain's word, the stack, and inheritance.

See `chainspan._scope` for what they are asked.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextvars import Context, ContextVar
from types import FrameType
from typing import Any, Protocol

from . import _stack
from ._runs import Run
from ._seat import Seat
from ._tasks import current_task, suspended_frames
from ._waiting import awaiters, given_context, is_state_kept

__all__ = ["Asker", "carry", "is_named", "is_named_throughout", "leave_seat", "set_current_run", "take_seat"]

_WORD_LAGS = sys.version_info < (3, 11)
"""Whether LangChain's word may be an ancestor's: asyncio could not give a task a context before
Python 3.11, so asynchronous code runs in the context of what called it."""

_NAMES_ALL = "langchain_core"  # the package that names the run in all code that it calls for one
_KEEPS_CONTEXTS = frozenset({"chainspan", ""})  # decorated functions, told of from tasks too

_BRIEF = frozenset({"prompt", "parser"})  # types of run that start nothing which outlives them
_BRACKETS = frozenset() if _WORD_LAGS else frozenset({"_call_with_config", "_acall_with_config"})
"""Functions of LangChain that name a run all through its body."""

_RUNNABLES = "langchain_core.runnables.base"

_PUMPED = frozenset({"_iter_v2_events", "_aiter_v2_events"})  # generators that a model's events are pulled from
_MODELS = "langchain_core.language_models"
_TEXT_MODELS = "langchain_core.language_models.llms"
_ONE_BY_ONE = frozenset({"_generate", "_agenerate"})  # functions there that call a model prompt by prompt
_ANSWERS = "_stream"  # the generator of a model that worker threads pull chunk by chunk

_carried: ContextVar[tuple[Run, int | None] | None] = ContextVar("chainspan_carried", default=None)
"""The run that was current where a context was taken, and the framework's word there."""

_starters: dict[int, Run] = {}  # address of a frame -> the run that it started last


class _Word(Protocol):
    """The framework's word: the id of the run whose body is executing, here or in a context."""

    def __call__(self, context: Context | None = None, /) -> int | None: ...


def _nobody(_: Context | None = None) -> int | None:
    return None


_current_run: _Word = _nobody


def set_current_run(witness: _Word) -> None:
    """Say how to ask for the id of the run whose body is executing, as the framework knows it."""
    global _current_run  # noqa: PLW0603 - set once, when the framework's adapter is loaded
    _current_run = witness


def is_named(run: Run) -> bool:
    """Return whether the framework's word names a run here: its body executes, or work that outlives it."""
    return _current_run() == run.id and not _lags(run)


def is_named_throughout(run: Run, frame: FrameType | None) -> bool:
    """Return whether the framework's word answers for the whole body of a run, and nothing goes on after it.

    Args:
        run: The run.
        frame: The frame that started it.
    """
    return (
        run.start is not None
        and run.start.run_type in _BRIEF
        and frame is not None
        and frame.f_code.co_name in _BRACKETS
        and frame.f_globals.get("__name__") == _RUNNABLES
    )


def take_seat(run: Run, frame: FrameType | None) -> None:
    """Remember the frame that started a run: whoever has it on the stack is inside."""
    if frame is not None:
        if id(frame) in _starters:
            run.twin = _seated_in(frame)
        _starters[id(frame)] = run


def leave_seat(run: Run) -> None:
    """Forget the frame that started a run."""
    if run.seat is not None and _starters.get(run.seat.frame_id) is run:
        del _starters[run.seat.frame_id]


def carry(run: Run) -> None:
    """Let a run be current in this context, until it ends, wherever nothing newer is."""
    _carried.set((run, _current_run()))


class Asker:
    """Code that asks which run it is inside of, of one scope after the other.

    The stack is walked once for all of them, and no further than the answer needs.

    Args:
        frame: The innermost frame of the code.
    """

    __slots__ = ("_current", "_frame", "_left", "_seated")

    def __init__(self, frame: FrameType | None) -> None:
        self._current = _current_run()
        self._frame = self._left = frame
        self._seated: list[Run] = []  # found on the stack so far, innermost first

    def inside(self, run: Run, *, is_mixed: bool) -> Run | None:
        """Return the run that the code is inside of, which is this one or lies below it, or None.

        Args:
            run: The run of a scope that the code's context holds.
            is_mixed: Whether the code may be pulled by the run that the framework names
                without being its own.
        """
        named = _named(self._current, run)
        if named is None:
            return self._by_stack(run)
        return _pulled(named, self._frame) if is_mixed or _lags(named) else named

    def executes_model(self, named: Run) -> bool:
        """Return whether a worker thread executes a model here, on behalf of the run that the framework names.

        An asynchronous stream of a model that has only a synchronous one is pulled chunk by chunk
        in worker threads, in the context of whoever pulls (``BaseChatModel._astream``).
        """
        if named.seat is None or named.seat.is_here() or current_task() is not None:
            return False
        return _stack.outermost_method_of(_MODELS, self._frame) is not None

    def _by_stack(self, run: Run) -> Run | None:
        """Return the run that the stack, or else inheritance, says the code is inside of."""
        seat = run.seat
        if run.is_past:
            return None
        found = self._on_stack(run)
        if found is None and run.open and seat is not None and _inherits(run, seat, self._frame):
            found = run
        return found if found is None or found.twin is None else _of_twins(found, self._frame)

    def _on_stack(self, scope_run: Run) -> Run | None:
        for run in self._seated:
            if run.is_within(scope_run):
                return run
        while self._left is not None:
            frame, self._left = self._left, self._left.f_back
            found = _seated_in(frame) if id(frame) in _starters else None
            if frame.f_code.co_name in _PUMPED:
                found = scope_run.registry.get(_handed(frame))
            if found is not None:
                self._seated.append(found)
                if found.is_within(scope_run):
                    return found
        return None


def _named(current: int | None, run: Run) -> Run | None:
    """Return the run that the framework names, if it lies inside a scope's run."""
    if current is None:
        return None
    if current == run.id:
        return run
    found = run.registry.get(current)
    return found if found is not None and found.is_within(run) else None


def _lags(named: Run) -> bool:
    """Return whether the word may be an ancestor's, or that of a run which is over."""
    if not _WORD_LAGS or current_task() is None:
        return False
    return named.seat is None or named.seat.package not in _KEEPS_CONTEXTS


def _pulled(named: Run, frame: FrameType | None) -> Run | None:
    """Return the run that executes inside a body, pulled by it without being started by it."""
    while frame is not None:
        run = _seated_in(frame)
        if run is not None and run.trace is named.trace:
            return _inner(named, run)
        frame = frame.f_back
    carried = _carried.get()
    if carried is not None and carried[0].open and carried[1] == named.id:
        return carried[0]
    waits = _waiting_in(named)
    if waits is not None:
        return _inner(named, waits)
    is_left = _lags(named) and named.seat is not None and named.seat.is_here()
    return None if is_left else named


def _inner(named: Run, seated: Run) -> Run:
    """Return which of two runs of a trace executes: one that the framework names, or one that a stack shows."""
    return named if named.is_within(seated) and not _lags(named) else seated


def _waiting_in(named: Run) -> Run | None:
    """Return the run in the trace of another one whose code waits for the task that asks, or None."""
    found = (run for waiter, _ in awaiters(current_task()) for run in _open_in(waiter, named))
    return next((run for run in found if run.trace is named.trace), None)


def _handed(frame: FrameType) -> int:
    """Return the id of the run whose manager a function of a model was handed, else 0."""
    if "run_manager" not in frame.f_code.co_varnames:
        return 0
    run_id = getattr(frame.f_locals.get("run_manager"), "run_id", None)
    return getattr(run_id, "int", 0)


def _configured(frame: FrameType) -> int:
    """Return the id of the run whose config a function was handed, else 0."""
    if "config" not in frame.f_code.co_varnames:
        return 0
    config = frame.f_locals.get("config")
    manager = config.get("callbacks") if type(config) is dict else None
    run_id = getattr(manager, "parent_run_id", None)
    return getattr(run_id, "int", 0)


def _seated_in(frame: FrameType) -> Run | None:
    """Return the open run that a frame started last."""
    run = _starters.get(id(frame))
    if run is None or not run.open or run.seat is None:
        return None
    return run if run.seat.code is frame.f_code else None


def _of_twins(run: Run, frame: FrameType | None) -> Run:
    """Tell apart the runs that one frame started before it executes them one by one.

    ``generate`` starts a run for each prompt first. It then hands each call of a chat model
    its run's manager, under the name ``run_manager``; those of a text model all get the
    first one's, and what has been answered so far tells which it is
    (langchain_core.language_models). ``batch`` hands each call of a step the run's config, and
    has no word for it where the step reports no run of its own.
    """
    twins = _twins_of(run)
    by_id = {twin.id: twin for twin in twins}
    named: Run | None = None
    while frame is not None and run.seat is not None and not run.seat.holds(frame):
        code = frame.f_code
        named = named or by_id.get(_handed(frame)) or by_id.get(_configured(frame))
        if code.co_name in _ONE_BY_ONE and frame.f_globals.get("__name__") == _TEXT_MODELS:
            done = len(frame.f_locals.get("generations", ()))
            return twins[done] if done < len(twins) else run
        frame = frame.f_back
    return named or run


def _twins_of(run: Run) -> list[Run]:
    """Return the open runs that were started by one frame, in their order."""
    twins = [run]
    while twins[-1].twin is not None and twins[-1].twin.open:
        twins.append(twins[-1].twin)
    return twins[::-1]


def _inherits(run: Run, seat: Seat, frame: FrameType | None) -> bool:
    """Return whether code in another thread or task belongs to a run whose context it copied."""
    if seat.shares_stack():
        return False  # it would have been found there
    carried = _carried.get()
    if carried is not None and carried[0] is run:
        return True
    if not (seat.is_generator or seat.only_starts):
        return run.is_watched or not seat.is_over()  # started by hand, it may be open for ever
    if run.is_leaf and (not run.is_streamed or current_task() is not None):
        # Once it has begun, a task that it does not wait for is its consumer's: it keeps its frame, whoever pulls it.
        return not run.is_streamed or _is_awaited_in(run, current_task())
    return _is_in_stream(run, seat.package, frame)


def _is_in_stream(run: Run, package: str, frame: FrameType | None) -> bool:
    """Return whether what executes in another thread or task is a stream's body, and not a call of its consumer's."""
    if package != _NAMES_ALL:
        return _stack.is_at_work(package, frame) or _is_called_in(run, frame) or is_state_kept(current_task())
    if run.is_leaf:
        answering = _stack.outermost_method_of(_MODELS, frame)
        return answering is not None and answering.f_code.co_name == _ANSWERS
    # A chain's body would have said so, where that is possible.
    return (_WORD_LAGS and _stack.has_package(package, frame)) or _is_called_in(run, frame)


def _is_called_in(run: Run, frame: FrameType | None) -> bool:
    """Return whether a run's body has called what nobody hears of, and what is named here."""
    task = current_task()
    return _is_given_by(run, frame) if task is None else _is_awaited_in(run, task)


def _is_given_by(run: Run, frame: FrameType | None) -> bool:
    """Return whether what a worker thread executes is a run's body, or was given to it there."""
    context = given_context(frame)
    word = None if context is None else _current_run(context)
    named = None if word is None else run.registry.get(word)
    return named is not None and named.is_within(run)


def _is_awaited_in(run: Run, task: asyncio.Task[Any] | None) -> bool:
    """Return whether a run's body waits for a task."""
    for waiter, context in awaiters(task):
        if any(found.is_within(run) for found in _open_in(waiter, run)):
            return True
        word = _current_run(context)
        named = None if word is None else run.registry.get(word)
        if named is not None and not run.is_within(named):
            return named.is_within(run)
    return False


def _open_in(task: asyncio.Task[Any], like: Run) -> Iterator[Run]:
    """Return the runs that a suspended task is inside of, as its stack tells, innermost first."""
    for frame in reversed(suspended_frames(task)[0]):
        pumped = frame.f_code.co_name in _PUMPED
        run = like.registry.get(_handed(frame)) if pumped else _seated_in(frame)
        if run is not None:
            yield run
