"""The witnesses of who is inside a run: LangChain's word, the stack, and inheritance.

See `chainspan._scope` for what they are asked.
"""

from __future__ import annotations

from types import FrameType

from . import _stack
from ._greenlets import frames_around
from ._inheritance import carried_beside, carried_from, inherits, waiting_in
from ._runs import Run
from ._starters import PUMPED, handed, is_starter, of_twins, seated_in
from ._tasks import current_task, executing_frames, unseen_frames
from ._word import current_run, lags

__all__ = ["Asker"]

_MODELS = "langchain_core.language_models"


class Asker:
    """Code that asks which run it is inside of, of one scope after the other.

    The stack is walked once for all of them, and no further than the answer needs.

    Args:
        frame: The innermost frame of the code.
    """

    __slots__ = ("_current", "_frame", "_left", "_seated")

    def __init__(self, frame: FrameType | None) -> None:
        self._current = current_run()
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
        if is_mixed or lags(named):
            return _pulled(named, self._frame)
        return _answering(named, self._frame) if named.children else named

    def executes_model(self, named: Run) -> bool:
        """Return whether a worker thread executes a model here, on behalf of the run that the framework names.

        An asynchronous stream of a model that has only a synchronous one is pulled chunk by chunk
        in worker threads, in the context of whoever pulls (``BaseChatModel._astream``).
        """
        if named.is_leaf or named.seat is None or named.seat.is_here() or current_task() is not None:
            return False
        return _stack.outermost_method_of(_MODELS, self._frame) is not None

    def _by_stack(self, run: Run) -> Run | None:
        """Return the run that the stack, or else inheritance, says the code is inside of."""
        seat = run.seat
        if run.is_past:
            return None
        found = self._on_stack(run)
        if found is not None:
            return found if found.twin is None else of_twins(found, self._frame)
        if run.open and seat is not None and inherits(run, seat, self._frame):
            return run if run.twin is None else carried_beside(run) or of_twins(run, self._frame)
        return None

    def _on_stack(self, scope_run: Run) -> Run | None:
        for run in self._seated:
            if run.is_within(scope_run):
                return run
        while self._left is not None:
            frame, self._left = self._left, self._left.f_back
            found = seated_in(frame) if is_starter(id(frame)) else None
            if frame.f_code.co_name in PUMPED:
                found = scope_run.registry.get(handed(frame))
            if found is not None:
                self._seated.append(found)
                if found.is_within(scope_run):
                    return found
        return self._unseen(scope_run)

    def _unseen(self, scope_run: Run) -> Run | None:
        """Return the run that a frame started which is not on the stack, though it executes."""
        is_here = scope_run.seat is not None and scope_run.seat.is_here()
        found = map(seated_in, unseen_frames(self._frame) if is_here else frames_around())
        return next((run for run in found if run is not None and run.is_within(scope_run)), None)


def _named(current: int | None, run: Run) -> Run | None:
    """Return the run that the framework names, if it lies inside a scope's run."""
    if current is None:
        return None
    if current == run.id:
        return run
    found = run.registry.get(current)
    return found if found is not None and found.is_within(run) else None


def _pulled(named: Run, innermost: FrameType | None) -> Run | None:
    """Return the run that executes inside a body, pulled by it without being started by it."""
    for frame in executing_frames(innermost):
        run = seated_in(frame)
        if run is not None and run.trace is named.trace:
            return _inner(named, run)
    carried = carried_from(named)
    if carried is not None:
        return carried
    waits = waiting_in(named, innermost)
    if waits is not None:
        return _inner(named, waits)
    is_left = lags(named) and named.seat is not None and named.seat.is_here()
    return None if is_left else named


def _answering(named: Run, innermost: FrameType | None) -> Run:
    """Return the model that executes inside a body which pulls each chunk in a context of its own; else the body's run.

    So ``RunnableParallel`` pulls its steps, and what has made the model current is not seen the next time.
    """
    seated = (run for frame in executing_frames(innermost) if (run := seated_in(frame)) is not None)
    found = next((run for run in seated if run.is_leaf and run.is_within(named)), None)
    if found is None:
        waits = waiting_in(named, innermost)
        found = waits if waits is not None and waits.is_leaf and waits.is_within(named) else None
    return found or named


def _inner(named: Run, seated: Run) -> Run:
    """Return which of two runs of a trace executes: one that the framework names, or one that a stack shows."""
    return named if named.is_within(seated) and not lags(named) else seated
