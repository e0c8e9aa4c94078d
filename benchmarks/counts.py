"""What a run costs in calls of functions, Python's and C's: the same on every machine, hence fit for a gate.

Time is not: a shared machine is twice as slow in one minute as in the next. What a single
call into C costs does not show here; that is what the benchmarks are for.

`counts.json` has what was counted last, as multiples of the floor's calls. A test fails
where one of them has grown by more than half.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from benchmarks.harness import FLOOR, NONE, Contender, Row

__all__ = ["MOST_GROWTH", "calls_of", "counted", "grown", "recorded", "save"]

MOST_GROWTH = 1.5
_RECORD = Path(__file__).with_name("counts.json")
_WARM_UPS = 3  # caches are filled, classes resolved, modules imported

Ratios = dict[str, dict[str, float]]


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
    gc.collect()
    gc.disable()  # what becomes of others' garbage meanwhile is not the work's
    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(before)
        gc.enable()
    return count


def counted(row: Row) -> dict[str, float]:
    """Return what each contender calls over no handler, as a multiple of the floor's."""
    calls = {contender.name: calls_of(row, contender) for contender in row.contenders}
    floor = calls[FLOOR] - calls[NONE]
    return {name: round((count - calls[NONE]) / floor, 2) for name, count in calls.items() if name not in (NONE, FLOOR)}


def recorded() -> Ratios:
    """Return what was counted last, by row and contender."""
    found: Ratios = json.loads(_RECORD.read_text("utf-8"))
    return found


def save(rows: Sequence[Row]) -> None:
    """Record what is counted now."""
    found = {row.name: counted(row) for row in rows if row.is_countable}
    _RECORD.write_text(json.dumps(found, indent=2) + "\n", "utf-8")


def grown(now: Mapping[str, float], before: Mapping[str, float]) -> dict[str, str]:
    """Return which of the ratios have grown too much, and from what to what."""
    return {
        name: f"{before[name]} -> {ratio}"
        for name, ratio in now.items()
        if name in before and ratio > before[name] * MOST_GROWTH
    }
