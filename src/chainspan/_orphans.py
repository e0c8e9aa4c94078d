"""The runs whose end nobody reports.

LangChain says nothing when a task is cancelled inside a model or a tool: it calls the
error callback of the chain around it, and none of the run's own. Such a run is over as
soon as the coroutine that started it has finished, and that shows in several ways, of
which none always works: its run id is no longer referred to by anybody; its task is
done; it is off its task's stack when an ancestor ends or when the task starts another
run. What is left after all of them ends some time after its ancestor.
"""

from __future__ import annotations

import time
import weakref
from asyncio import Task
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from ._model import Outcome
from ._runs import Run

__all__ = ["Orphans"]

_FORGOTTEN = frozenset({"llm", "retriever", "tool"})  # types of run that LangChain may not close
_FRAMEWORK = "langchain_core"
_GRACE_NS = 300 * 1_000_000_000
_MOST_KEPT = 10_000


class Orphans:
    """Finds the runs that nobody will end, and has them closed.

    Args:
        close: Ends a run that is still open; called from callbacks and from the event
            loop, never while garbage is collected.
    """

    def __init__(self, close: Callable[[Run, Outcome], None]) -> None:
        self._close = close
        self._lost: deque[Run] = deque(maxlen=_MOST_KEPT)
        self._overdue: deque[tuple[int, Run]] = deque(maxlen=_MOST_KEPT)
        self._by_task: weakref.WeakKeyDictionary[Task[Any], dict[int, Run]] = (
            weakref.WeakKeyDictionary()
        )

    def watch(self, run: Run, run_id: UUID) -> None:
        """Look after a run that has just started."""
        seat, start = run.seat, run.start
        if seat is None or start is None or seat.task is None or start.run_type not in _FORGOTTEN:
            return
        if not seat.is_coroutine or seat.package != _FRAMEWORK:
            return
        run.watch = weakref.ref(run_id, partial(self._is_lost, run, seat.task))
        runs = self._by_task.get(seat.task)
        if runs is None:
            runs = self._by_task[seat.task] = {}
            seat.task.add_done_callback(self._task_done)
        runs[run.id] = run

    def forget(self, run: Run) -> None:
        """Stop looking after a run that has ended."""
        if run.watch is not None and run.seat is not None and run.seat.task is not None:
            self._by_task.get(run.seat.task, {}).pop(run.id, None)

    def ended_above(self, run: Run, outcome: Outcome) -> None:
        """Close what an ended run has left open below it, now where certain, else later."""
        below = run.open_below()
        for orphan in below:
            if orphan.seat is not None and orphan.seat.is_over():
                self._close(orphan, _outcome_below(outcome))
        if any(orphan.open for orphan in below):
            self._overdue.append((time.monotonic_ns() + _GRACE_NS, run))

    def started_over(self, run: Run) -> None:
        """Close a run that another one starts over, if its coroutine has finished."""
        if run.open and run.watch is not None and run.seat is not None and run.seat.is_over():
            self._close(run, Outcome.CANCELLED)

    def sweep(self) -> None:
        """Close what was found lost in the meantime, and what is overdue."""
        while self._lost:
            self._close(self._lost.popleft(), Outcome.CANCELLED)
        while self._overdue and self._overdue[0][0] <= time.monotonic_ns():
            for orphan in self._overdue.popleft()[1].open_below():
                self._close(orphan, Outcome.ABANDONED)

    def _is_lost(self, run: Run, task: Task[Any], _: object) -> None:
        """Note that a run id is gone: possibly while garbage is collected, so do no more."""
        if not run.open:
            return
        self._lost.append(run)
        try:
            task.get_loop().call_soon_threadsafe(self.sweep)
        except RuntimeError:  # the loop is closed: the next callback sweeps
            return

    def _task_done(self, task: Task[Any]) -> None:
        for run in list(self._by_task.pop(task, {}).values()):
            self._close(run, Outcome.CANCELLED if task.cancelled() else Outcome.ABANDONED)


def _outcome_below(outcome: Outcome) -> Outcome:
    return Outcome.CANCELLED if outcome is Outcome.CANCELLED else Outcome.ABANDONED
