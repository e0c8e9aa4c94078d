"""The runs whose end nobody reports.

LangChain says nothing when a task is cancelled inside a model, a retriever or a tool, nor
when one of these is left by SystemExit: it calls the error callback of the chain around
it, and none of the run's own. Nor does it say anything of a run, of whatever type, that is
cancelled while its start is still being reported, or one of whose callbacks another
handler breaks off by an exception.

Such a run is over as soon as the function that started it has finished. That is looked
for when its task is done, when an ancestor ends, when another run starts over it, and a
few times a second while its event loop runs. Of roots outside tasks and of streams it
shows at once, since the callback manager that has reported the start is a local of that
function, and dies with it. What is left after all that ends some time after its ancestor.
"""

from __future__ import annotations

import time
import weakref
from asyncio import AbstractEventLoop, Task
from collections import deque
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

from ._aside import aside
from ._executing import is_over
from ._model import Outcome, RunStart
from ._runs import Run
from ._seat import Seat
from ._stack import reporter, reporter_among
from ._starting import in_empty_context
from ._tasks import current_task, suspended_frames

__all__ = ["FORGOTTEN", "Orphans"]

FORGOTTEN = frozenset({"llm", "retriever", "tool"})
"""The types of run that LangChain may not close."""

# Whose functions execute the runs that they start; callers by hand may not.
_FRAMEWORKS = frozenset({"langchain_core", "langgraph"})
_LOOK_AGAIN_S = 0.25
_GRACE_NS = 300 * 1_000_000_000
_MOST_KEPT = 10_000


class Orphans:
    """Finds the runs that nobody will end, and has them closed.

    Attributes:
        overdue: The ended runs below which others are open still, and when these are ended at the latest.

    Args:
        close: Ends a run that is still open.
    """

    def __init__(self, close: Callable[[Run, Outcome], None]) -> None:
        self._close = close
        self.overdue: deque[tuple[int, Run]] = deque(maxlen=_MOST_KEPT)
        self._by_task: weakref.WeakKeyDictionary[Task[Any], dict[int, Run]] = weakref.WeakKeyDictionary()
        self._looking: weakref.WeakSet[AbstractEventLoop] = weakref.WeakSet()

    def watch(self, run: Run, seat: Seat) -> None:
        """Look after a run that has just started, and whose end may not be reported.

        That is a root, a stream, one of a type that is forgotten, and one that is reported from a task of its own.
        """
        if seat.package not in _FRAMEWORKS:
            return
        is_called = seat.is_called  # as most are, and then nothing else need be asked of the seat
        is_forgotten = run.start is not None and run.start.run_type in FORGOTTEN
        run.is_watched = is_forgotten and (is_called or not (seat.is_generator or seat.only_starts))
        if not is_called and seat.task is not None and self._watch_task(run, seat, seat.task):
            return
        if run.parent is None or not run.is_watched:
            self._watch_manager(run, seat)

    def _watch_task(self, run: Run, seat: Seat, task: Task[Any]) -> bool:
        """Have a run's task tell that it is over, where that ends with the task; return whether it will."""
        if not (seat.is_node_stream or _is_awaited(seat)):
            return False
        run.witness = self._note_task(task, run) or None
        if run.witness and not seat.is_node_stream:
            self._look_later(task.get_loop())
        return seat.is_node_stream or run.witness is not None

    def _note_task(self, task: Task[Any], run: Run) -> bool:
        """Have something done about a run when its task is done; return whether that is to come."""
        if task.done():
            return False
        runs = self._by_task.get(task)
        if runs is None:
            runs = self._by_task[task] = {}
            task.add_done_callback(self._task_done)
        runs[run.id] = run
        return True

    def _watch_manager(self, run: Run, seat: Seat) -> None:
        """Have a run end when the function that started it is gone, and with it the callback manager that reported."""
        manager = reporter(seat.holds) or _suspended_reporter(seat)
        if manager is not None:
            run.witness = weakref.ref(manager, partial(self._left, run))
            if seat.task is not None:
                self._note_task(seat.task, run)

    def _left(self, run: Run, _: object) -> None:
        if run.open:
            task = None if run.seat is None else run.seat.task
            aside(self._close, run, Outcome.CANCELLED if _is_cancelled(task) else Outcome.ABANDONED)

    def forget(self, run: Run) -> None:
        """Stop looking after a run that has ended."""
        if run.seat is not None and run.seat.task is not None:
            self._by_task.get(run.seat.task, {}).pop(run.id, None)

    def ended_above(self, run: Run, outcome: Outcome) -> None:
        """Close what an ended run has left open below it, now where certain, else later."""
        below = run.open_below()
        for orphan in below:
            seat = orphan.seat
            if seat is not None and (orphan.is_watched or _is_executed(seat)) and is_over(seat):
                self._close(orphan, _outcome_below(outcome, orphan))
        if any(orphan.open for orphan in below):
            self.overdue.append((time.monotonic_ns() + _GRACE_NS, run))

    def started_over(self, run: Run, start: RunStart, frame: FrameType | None) -> None:
        """Close a run in whose context another one starts, if its function has finished.

        Args:
            run: The run that may be over.
            start: What is reported of the other one.
            frame: The frame that starts that.
        """
        if run.seat is None or run.start is None:
            return
        if run.is_watched:
            is_twin = run.start.metadata is start.metadata or _prepares(frame, run.start)
            if not is_twin and is_over(run.seat, but_for_newest=True):
                self._close(run, Outcome.CANCELLED)
        elif _is_executed(run.seat) and is_over(run.seat):  # an exception keeps its frame, and the manager in it
            self._close(run, Outcome.ABANDONED)

    def sweep(self) -> None:
        """Close what is overdue, and forget those whose runs below have ended after them."""
        while (first := self._first_overdue()) is not None:
            due_ns, run = first
            if run.children and due_ns > time.monotonic_ns():
                self.overdue.appendleft(first)
                return
            for orphan in run.open_below():
                self._close(orphan, Outcome.ABANDONED)

    def _first_overdue(self) -> tuple[int, Run] | None:
        """Take out the first one, if there is one: other threads do the same at any time."""
        try:
            return self.overdue.popleft()
        except IndexError:
            return None

    def _look_later(self, loop: AbstractEventLoop) -> None:
        if loop not in self._looking:
            self._looking.add(loop)
            in_empty_context(loop.call_later, _LOOK_AGAIN_S, self._look, loop)

    def _look(self, loop: AbstractEventLoop) -> None:
        self._looking.discard(loop)
        # By references, which can be listed while other threads add theirs.
        tasks = [task for ref in self._by_task.keyrefs() if (task := ref()) is not None and task.get_loop() is loop]
        mine = [run for task in tasks for run in list(self._by_task.get(task, {}).values())]
        awaited = [run for run in mine if run.seat is not None and _is_awaited(run.seat)]
        for run in awaited:
            if run.seat is not None and is_over(run.seat):
                self._close(run, Outcome.CANCELLED)
        if any(run.open for run in awaited):
            self._look_later(loop)

    def _task_done(self, task: Task[Any]) -> None:
        outcome = Outcome.CANCELLED if task.cancelled() else Outcome.OK if task.exception() is None else Outcome.ERROR
        for run in list(self._by_task.pop(task, {}).values()):
            if run.seat is not None and _outlives_tasks(run.seat):
                run.seat.outlive(task)
            else:
                self._close(run, _outcome_below(outcome, run))


def _suspended_reporter(seat: Seat) -> object | None:
    """Return the callback manager whose report of a start is dispatched in a task that the run's awaits."""
    frames = [] if seat.task is None or seat.task is current_task() else suspended_frames(seat.task)[0]
    return reporter_among(frames, seat.holds)


def _is_awaited(seat: Seat) -> bool:
    """Return whether a run lives in a coroutine, which is over when its task is done."""
    return seat.is_coroutine and not seat.only_starts


def _outlives_tasks(seat: Seat) -> bool:
    """Return whether a run lives in a generator, which other tasks may pull as well."""
    return seat.only_starts or seat.pauses


def _is_executed(seat: Seat) -> bool:
    """Return whether a run was started by a function of the framework's which executes it, and ends with it."""
    return seat.package in _FRAMEWORKS and not seat.only_starts


def _is_cancelled(task: Task[Any] | None) -> bool:
    if task is None:
        return False
    return task.cancelled() or bool(getattr(task, "cancelling", int)())  # which came with Python 3.11


def _prepares(frame: FrameType | None, start: RunStart) -> bool:
    """Return whether a frame that starts a run is the very one that started another.

    ``generate`` starts a run for each prompt before it executes the first. It is told from
    a later call, whose frame may stand at the same address, by its list of managers
    (langchain_core.language_models.llms), each of which hands out the metadata it holds.
    """
    managers = () if frame is None else frame.f_locals.get("callback_managers", ())
    return any(getattr(manager, "metadata", None) is start.metadata for manager in managers)


def _outcome_below(outcome: Outcome, run: Run) -> Outcome:
    """Return how a run ended that was left open: a model and its like by a timeout, where the rest ended well."""
    is_cut_off = outcome is Outcome.OK and run.is_watched and run.seat is not None and run.seat.is_coroutine
    return Outcome.CANCELLED if is_cut_off or outcome is Outcome.CANCELLED else Outcome.ABANDONED
