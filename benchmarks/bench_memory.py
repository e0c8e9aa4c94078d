"""What an open run holds, and what is left of many that have ended or never will."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from benchmarks.contenders import FloorHandler, provider

from chainspan import OtelHandler

__all__ = ["Held", "Kept", "held_by_open_runs", "kept_after"]

_OPEN = 2_000
_NEVER_CLOSED = 100  # of so many runs, one
_FIRST = 1_000  # runs before the others


@dataclass(frozen=True, kw_only=True)
class Held:
    """What one open run holds in memory, in bytes: of a handler, and of the floor."""

    bytes: float
    floor_bytes: float


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What is in memory after many runs.

    Attributes:
        open: How many runs are open still, since nobody has closed them.
        bytes: What all runs together have left in memory.
        bytes_per_ended: What is left of each run that has ended, without what the open ones hold.
    """

    runs: int
    open: int
    bytes: int
    bytes_per_ended: float


def held_by_open_runs() -> Held:
    """Measure runs that are open at the same time, each a root."""
    return Held(
        bytes=_grown(lambda: _open(OtelHandler(tracer_provider=provider()))) / _OPEN,
        floor_bytes=_grown(lambda: _open(FloorHandler(provider()))) / _OPEN,
    )


def kept_after(runs: int, per_open: float) -> Kept:
    """Measure after so many runs, every hundredth of which was never closed."""
    handler = OtelHandler(tracer_provider=provider())
    _live(handler, 1_000)
    before = len(handler.in_flight())
    grown = _grown(lambda: _live(handler, runs), first=lambda: _live(handler, _FIRST))
    left = len(handler.in_flight()) - before - _FIRST // _NEVER_CLOSED
    return Kept(runs=runs, open=left, bytes=grown, bytes_per_ended=(grown - left * per_open) / (runs - left))


def _grown(work: Callable[[], Any], first: Callable[[], None] | None = None) -> int:
    """Return by how many bytes memory has grown once some work is done, its result included.

    Args:
        work: The work.
        first: What is done before that. Only of what is made then does it count that it goes, as
            of the last runs that are remembered, in whose place others come.
    """
    gc.collect()
    tracemalloc.start()
    try:
        if first is not None:
            first()
            gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        result = work()
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] - before
        del result
        return held
    finally:
        tracemalloc.stop()


def _open(handler: Any) -> Any:
    for number in range(_OPEN):
        copy_context().run(_start, handler, uuid4(), None, number)
    return handler


def _live(handler: Any, runs: int) -> None:
    """Have runs in pairs, each in a context of its own as requests have, and forget to close some lower ones."""
    for number in range(runs // 2):
        copy_context().run(_live_once, handler, number)


def _live_once(handler: Any, number: int) -> None:
    above, below = uuid4(), uuid4()
    _start(handler, above, None, number)
    _start(handler, below, above, number)
    if number % (_NEVER_CLOSED // 2):
        handler.on_chain_end({"answer": "yes"}, run_id=below)
    handler.on_chain_end({"answer": "yes"}, run_id=above)


def _start(handler: Any, run_id: UUID, parent_id: UUID | None, number: int) -> None:
    inputs = {"question": f"What is 1 + {number}?"}
    handler.on_chain_start({}, inputs, run_id=run_id, parent_run_id=parent_id, name="Step", tags=[], metadata={})
