"""Workers of exporters: kept for the next handler, and shut down where none uses them any more."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from ._delivery import Delivery, Flushable
from ._exit import after_fork
from ._feeding import Worker
from ._starting import start_thread

__all__ = ["keep", "kept_workers"]

_MOST_WORKERS = 64
"""Exporters whose worker threads are kept for the next handler. The one used longest ago
makes room, if no handler uses it."""

_workers: OrderedDict[int, Worker] = OrderedDict()


def keep(worker: Worker, is_used: Callable[[Worker], bool]) -> Worker:
    """Keep a worker for the next handler, and return it; the one used longest ago makes room, unless it is used."""
    _workers[id(worker)] = worker
    _workers.move_to_end(id(worker))
    if len(_workers) > _MOST_WORKERS:
        _, oldest = _workers.popitem(last=False)
        if not is_used(oldest):
            _past.take(oldest)
    return worker


def kept_workers() -> Sequence[Flushable]:
    """Return the workers that are kept, and what tells of those that are not any more."""
    return [*list(_workers.values()), _past]


class _Past:
    """What became, or will become, of the spans of workers that nobody uses any more."""

    def __init__(self) -> None:
        self.start_afresh()
        after_fork(self.start_afresh)

    def start_afresh(self) -> None:
        """Know of none: at first, and in a forked child."""
        self._changed = threading.Condition()
        self._settled = Delivery()
        self._leaving: dict[int, Worker] = {}

    def take(self, worker: Worker) -> None:
        """Shut a worker down in a thread of its own, and count what it has delivered and lost."""
        self._leaving[id(worker)] = worker
        end = partial(self._end, worker)
        start_thread(threading.Thread(target=end, daemon=True, name="chainspan-retire"), otherwise=end)

    def flush(self, timeout_s: float) -> Delivery:
        """Wait until all are shut down, for so long at most, and return where their spans are."""
        with self._changed:
            self._changed.wait_for(lambda: not self._leaving, timeout_s)
            return sum((worker.flush(0.0) for worker in list(self._leaving.values())), self._settled)

    def _end(self, worker: Worker) -> None:
        worker.shutdown()
        with self._changed:
            self._settled += replace(worker.flush(0.0), pending=0)
            self._leaving.pop(id(worker), None)
            self._changed.notify_all()


_past = _Past()
