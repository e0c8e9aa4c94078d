"""The benchmarks work, and what a run costs has not grown by more than half since it was last recorded.

The gate counts calls of functions, which are the same on every machine; it takes no time.
After a change that is meant to cost more, or does cost less: ``scripts/bench --count``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks import bench_import, bench_memory, bench_runs, counts
from benchmarks import workloads as what
from benchmarks.harness import FLOOR, NONE, Contender, Handlers, Row, measure

import langchain  # noqa: F401  what the benchmarks trace agents of; sessions without it leave this file out

ROOT = Path(__file__).parent.parent
# In a process of its own: what other tests have left behind is called, too.
COUNT = """
import json
from benchmarks import bench_runs, counts
from benchmarks.contenders import BARE, OFF, THE_FLOOR
row = next(row for row in bench_runs.ROWS if row.name == "prompt, model, parser: invoke")
print(json.dumps([counts.calls_of(row, contender) for contender in (OFF, OFF, BARE, THE_FLOOR)]))
"""

GATED = {row.name: row for row in bench_runs.ROWS if row.is_countable}


class Clock:
    """A clock that only work moves."""

    def __init__(self) -> None:
        self.now_ns = 0

    def work(self, handlers: Handlers, calls: int) -> Callable[[], None]:
        """Take 100 ns a call, and as much more as the handlers say."""

        def run() -> None:
            self.now_ns += calls * (100 + sum(handlers))

        return run


def costing(name: str, *ns: int) -> Contender:
    """Return a contender that costs so many nanoseconds a call."""
    return Contender(name=name, handlers=lambda: list(ns))


def test_cost_is_over_no_handler_and_a_multiple_of_the_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the work itself takes is in no cost and in no ratio."""
    clock = Clock()
    monkeypatch.setattr(time, "process_time_ns", lambda: clock.now_ns)
    row = Row(
        name="made up",
        work=clock.work,
        unit="token",
        units=10,
        contenders=[costing(NONE), costing(FLOOR, 20_000), costing("ours", 20_000, 10_000)],
        targets={"ours": 2.0},
    )

    costs = measure(row, seconds=0)

    assert [(cost.contender, cost.us, cost.ratio, cost.low, cost.high, cost.target) for cost in costs] == [
        (FLOOR, 2.0, 1.0, 1.0, 1.0, None),
        ("ours", 3.0, 1.5, 1.5, 1.5, 2.0),
    ]


def test_calls_are_counted_alike_each_time() -> None:
    """The gate's measure does not depend on the machine's mood."""
    done = subprocess.run(
        [sys.executable, "-c", COUNT], cwd=ROOT, capture_output=True, text=True, timeout=50, check=True
    )

    first, second, bare, floor = json.loads(done.stdout)
    assert first == pytest.approx(second, rel=0.01)
    assert bare < floor < first


def test_growth_beyond_half_is_told() -> None:
    """A ratio may grow to one and a half of what was recorded, and no further; what is new is free."""
    now = {"same": 2.0, "more": 3.0, "too much": 3.1, "new": 9.0}

    found = counts.grown(now, {"same": 2.0, "more": 2.0, "too much": 2.0})

    assert found == {"too much": "2.0 -> 3.1"}


@pytest.mark.parametrize("name", GATED)
def test_no_run_calls_half_as_much_again(name: str) -> None:
    """What a run costs over the floor, in calls, stays within one and a half of the record."""
    now = counts.counted(GATED[name])

    assert counts.grown(now, counts.recorded()[name]) == {}


def test_agents_make_as_many_runs_as_their_costs_are_divided_by() -> None:
    """A cost for each run is one only if the runs are counted right."""
    row = next(row for row in bench_runs.ROWS if row.name == "an agent of 10 tool steps")

    assert what.runs_of(what.invoke_agent(10)) == row.units


def test_import_loads_nothing_heavy() -> None:
    """No import of a public name loads an exporter or what that is made of; LangGraph is the application's to load."""
    found = bench_import.heavy()

    assert [name for names in found.values() for name in names] == []


def test_memory_is_flat_over_ended_runs() -> None:
    """A run that has ended leaves nothing, also where others never end."""
    held = bench_memory.held_by_open_runs()

    kept = bench_memory.kept_after(4_000, held.bytes)

    assert kept.open == 40
    assert kept.bytes_per_ended < 25  # of the parents of those that are open still
