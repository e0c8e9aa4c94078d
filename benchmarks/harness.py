"""How costs are compared: interleaved, in CPU time, as multiples of a floor.

A row is one piece of work. It is done in short blocks, by one contender after the other
and then all of them again, in another order each round. So whatever else the machine does
meanwhile falls on all of them, and what is compared was measured within the same second.

What a contender costs is the CPU time of its block less that of the same round's `none`,
which does the work with no handler. What is reported is the median over the rounds, as a
multiple of the median of `floor`, and the quartiles as the spread.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

__all__ = ["FLOOR", "NONE", "Contender", "Cost", "Row", "Work", "measure", "repeated"]

NONE, FLOOR = "none", "floor"
_BLOCK_NS = 10_000_000  # of work without handlers: long enough that caches are warm, short enough to alternate often
_FEWEST_ROUNDS, _MOST_ROUNDS = 7, 1_001

Handlers = list[Any]
Work = Callable[[Handlers, int], Callable[[], object]]
"""Gets ready for so many calls with these handlers, and returns what makes them; only that is measured."""


def _nothing() -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class Contender:
    """Somebody who watches the work.

    Attributes:
        handlers: Makes what goes into ``callbacks=[...]``; called once for each block.
        settle: Called at the end of each block, and measured with it: has work done that
            was put off to another thread.
    """

    name: str
    handlers: Callable[[], Handlers]
    settle: Callable[[], object] = _nothing


@dataclass(frozen=True, kw_only=True)
class Row:
    """One piece of work, and who is measured doing it.

    Attributes:
        unit: What the cost is given for: a run, a token, a call.
        units: How many of them one call makes.
        targets: The multiple of the floor that each contender may cost, where one is set.
        share: How much of the time this row gets, beside others that have 1.
        is_countable: Whether all of the work happens in the thread that asks for it.
    """

    name: str
    work: Work
    contenders: Sequence[Contender]
    unit: str = "run"
    units: int = 1
    targets: Mapping[str, float] = field(default_factory=dict)
    share: float = 1.0
    is_countable: bool = True


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one contender costs in one row, over no handler.

    Attributes:
        us: Microseconds of CPU for each unit.
        ratio: That as a multiple of the floor's.
        low: The lower quartile of the ratio over the rounds.
        high: The upper one.
        rounds: How many rounds there were.
    """

    row: str
    contender: str
    unit: str
    us: float
    ratio: float
    low: float
    high: float
    rounds: int
    target: float | None = None


def repeated(call: Callable[[Handlers], object]) -> Work:
    """Return the work of making one call again and again."""

    def ready(handlers: Handlers, calls: int) -> Callable[[], None]:
        def run() -> None:
            for _ in range(calls):
                call(handlers)

        return run

    return ready


def measure(row: Row, seconds: float) -> list[Cost]:
    """Measure a row for about so many seconds."""
    calls = _warm_up(row)
    taken: dict[str, list[float]] = {contender.name: [] for contender in row.contenders}
    order = list(row.contenders)
    shuffle = random.Random(row.name).shuffle
    deadline_s = time.monotonic() + seconds * row.share
    for count in range(_MOST_ROUNDS):
        if count >= _FEWEST_ROUNDS and time.monotonic() > deadline_s:
            break
        shuffle(order)
        gc.collect()  # each round begins with no garbage; the collector stays on
        for contender in order:
            taken[contender.name].append(_block(row, contender, calls) / (calls * row.units))
    return _costs(row, taken)


def _warm_up(row: Row) -> int:
    """Have every contender do the work, and return how many calls make a block."""
    for contender in row.contenders:
        _block(row, contender, 2)
    once_ns = min(_block(row, row.contenders[0], 1) for _ in range(3))
    gc.collect()
    gc.freeze()  # what was there before the row is not collected again with each of its blocks
    return max(1, int(_BLOCK_NS // max(once_ns, 1)))


def _block(row: Row, contender: Contender, calls: int) -> int:
    """Return the nanoseconds of CPU that all threads of the process took together."""
    run = row.work(contender.handlers(), calls)
    before_ns = time.process_time_ns()
    run()
    contender.settle()
    return time.process_time_ns() - before_ns


def _costs(row: Row, taken: Mapping[str, Sequence[float]]) -> list[Cost]:
    over = {
        name: [ns - none for ns, none in zip(times, taken[NONE], strict=True)]
        for name, times in taken.items()
        if name != NONE
    }
    floor = median(over[FLOOR])
    return [
        Cost(
            row=row.name,
            contender=name,
            unit=row.unit,
            us=median(costs) / 1_000,
            ratio=median(costs) / floor,
            low=quantiles(costs, n=4)[0] / floor,
            high=quantiles(costs, n=4)[2] / floor,
            rounds=len(costs),
            target=row.targets.get(name),
        )
        for name, costs in over.items()
    ]
