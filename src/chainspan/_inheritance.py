"""Inheritance: what other threads and tasks have of the run whose context they copied."""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import ContextVar
from types import FrameType

from . import _stack
from ._executing import is_over
from ._runs import Run, RunRegistry
from ._seat import Seat
from ._starters import PUMPED, handed, seated_in, twins_of
from ._tasks import current_task, executing_frames
from ._threads import given_context
from ._waiting import Awaiter, awaiters_here, is_state_kept
from ._word import current_run

__all__ = ["around_here", "carried_beside", "carried_from", "carry", "inherits", "waiting_in"]

_NAMES_ALL = "langchain_core"  # the package that names the run in all code that it calls for one
_MODELS = "langchain_core.language_models"
_ANSWERS = "_stream"  # the generator of a model that worker threads pull chunk by chunk

_carried: ContextVar[tuple[Run, int | None] | None] = ContextVar("chainspan_carried", default=None)
"""The run that was current where a context was taken, and the framework's word there."""


def carry(run: Run) -> None:
    """Let a run be current in this context, until it ends, wherever nothing newer is."""
    _carried.set((run, current_run()))


def carried_from(named: Run) -> Run | None:
    """Return the open run that was current where this context was taken, if the framework names what it did there."""
    carried = _carried.get()
    return carried[0] if carried is not None and carried[0].open and carried[1] == named.id else None


def carried_beside(run: Run) -> Run | None:
    """Return the open run that was current where this context was taken, if one frame started it and another run."""
    carried = _carried.get()
    return next((twin for twin in twins_of(run) if carried is not None and carried[0] is twin), None)


def inherits(run: Run, seat: Seat, frame: FrameType | None) -> bool:
    """Return whether code in another thread or task belongs to a run whose context it copied."""
    if seat.shares_stack():
        return False  # it would have been found there
    carried = _carried.get()
    if carried is not None and carried[0] is run:
        return True
    if not (seat.is_generator or seat.only_starts):
        return run.is_watched or not is_over(seat)  # started by hand, it may be open for ever
    if run.is_leaf and (not run.is_streamed or current_task() is not None):
        # Once it has begun, a task that it does not wait for is its consumer's: it keeps its frame, whoever pulls it.
        return not run.is_streamed or _is_awaited_in(run, frame)
    return _is_in_stream(run, seat.package, frame)


def _is_in_stream(run: Run, package: str, frame: FrameType | None) -> bool:
    """Return whether what executes in another thread or task is a stream's body, and not a call of its consumer's."""
    if package != _NAMES_ALL:
        return _stack.is_at_work(package, frame) or _is_called_in(run, frame) or is_state_kept(current_task())
    if run.is_leaf:
        answering = _stack.outermost_method_of(_MODELS, frame)
        return (answering is not None and answering.f_code.co_name == _ANSWERS) or _is_awaited_in(run, frame)
    return _is_called_in(run, frame)  # a chain's body would have said so


def _is_called_in(run: Run, frame: FrameType | None) -> bool:
    """Return whether a run's body has called what nobody hears of, and what is named here."""
    return (current_task() is None and _is_given_by(run, frame)) or _is_awaited_in(run, frame)


def _is_given_by(run: Run, frame: FrameType | None) -> bool:
    """Return whether what a worker thread executes is a run's body, or was given to it there."""
    context = given_context(frame)
    word = None if context is None else current_run(context)
    named = None if word is None else run.registry.get(word)
    return named is not None and named.is_within(run)


def _is_awaited_in(run: Run, frame: FrameType | None) -> bool:
    """Return whether a run's body waits for the task, or the worker thread, that executes here."""
    for waiter in awaiters_here(frame, run.seat):
        nearest = next((found for found in _open_in(waiter, run.registry) if found.trace is run.trace), None)
        if nearest is not None and (nearest.is_within(run) or not run.is_within(nearest)):
            return nearest.is_within(run)
        word = current_run(waiter.context)
        named = None if word is None else run.registry.get(word)
        if named is not None and not run.is_within(named):
            return named.is_within(run)
    return False


def _open_in(waiter: Awaiter, runs: RunRegistry) -> Iterator[Run]:
    """Return the runs that what waits is inside of, as its stack tells, innermost first."""
    for frame in waiter.frames:
        pumped = frame.f_code.co_name in PUMPED
        run = runs.get(handed(frame)) if pumped else seated_in(frame)
        if run is not None:
            yield run


def waiting_in(named: Run, frame: FrameType | None) -> Run | None:
    """Return the run in the trace of another one whose code waits for the task or the thread that asks, or None."""
    found = (run for waiter in awaiters_here(frame, named.seat) for run in _open_in(waiter, named.registry))
    return next((run for run in found if run.trace is named.trace), None)


def around_here(runs: RunRegistry, frame: FrameType | None) -> Run | None:
    """Return the open run of a pipeline that code is inside of, as its stack or that of who waits for it tells."""
    for executing in executing_frames(frame):
        run = seated_in(executing)
        if run is not None and run.registry is runs:
            return run
    found = (run for waiter in awaiters_here(frame) for run in _open_in(waiter, runs))
    return next((run for run in found if run.registry is runs), None)
