"""What a run costs in calls of functions, Python's and C's: the same on every machine, hence fit for a gate.

Time is not: a shared machine is twice as slow in one minute as in the next. What one call
into C costs does not show here; that is what the benchmarks are for.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import FrameType

from benchmarks.harness import FLOOR, NONE, Contender, Row

__all__ = ["calls_of", "counted", "counted_ratios"]

_WARM_UPS = 3  # caches are filled, classes resolved, modules imported


def calls_of(row: Row, contender: Contender) -> int:
    """Return how many functions are called while a contender does a row's work once, in this thread."""
    handlers = contender.handlers()
    for _ in range(_WARM_UPS):
        row.work(handlers, 1)()
    run = row.work(handlers, 1)
    count = 0

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        if event in ("call", "c_call"):
            count += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(before)
    return count


def counted_ratios(row: Row) -> dict[str, float]:
    """Return what each contender calls over no handler, as a multiple of the floor's."""
    calls = {contender.name: calls_of(row, contender) for contender in row.contenders}
    return {name: round(ratio, 2) for name, ratio in _over_floor(calls).items()}


def _over_floor(calls: dict[str, int]) -> dict[str, float]:
    floor = calls[FLOOR] - calls[NONE]
    others: Sequence[str] = [name for name in calls if name not in (NONE, FLOOR)]
    return {name: (calls[name] - calls[NONE]) / floor for name in others}


def counted(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Return the counted ratios of rows, by their names."""
    return {row.name: counted_ratios(row) for row in rows}
