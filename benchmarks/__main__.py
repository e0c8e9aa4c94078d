"""``python -m benchmarks``: measure all of it, print a table, and write it as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import bench_import, bench_memory, bench_runs, bench_scope, bench_states
from benchmarks.counts import save
from benchmarks.harness import Cost, Row, measure

OUTPUT = Path(".benchmarks", "cost.json")
_SECONDS = 6.0  # for a row
_RUNS, _MANY_RUNS = 10_000, 100_000


def main() -> None:
    """Run what the command line asks for."""
    asked = _arguments()
    rows = [row for row in (_peers() if asked.peers else _own()) if asked.only in row.name]
    if asked.count:
        save(rows)
        return
    began = time.monotonic()
    found: dict[str, Any] = {"machine": _machine()}
    print("| what | handler | µs over none | of the floor | quartiles | at most |\n|---|---|--:|--:|--:|--:|")
    found["costs"] = [asdict(cost) for cost in _costs(rows, asked.seconds)]
    if not asked.only and not asked.peers:
        found.update(_others(_MANY_RUNS if asked.long else _RUNS))
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(found, indent=2), "utf-8")
    print(f"\n{time.monotonic() - began:.0f} s; also in {OUTPUT}", file=sys.stderr)


def _own() -> Sequence[Row]:
    return (*bench_runs.ROWS, *bench_scope.ROWS)


def _peers() -> Sequence[Row]:
    from benchmarks import peers  # noqa: PLC0415 - of an environment that has them

    return peers.ROWS


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure what chainspan costs.")
    parser.add_argument("--only", default="", metavar="TEXT", help="only the rows with this text in their name")
    parser.add_argument("--seconds", type=float, default=_SECONDS, help="for a row (default: %(default)s)")
    parser.add_argument("--long", action="store_true", help=f"{_MANY_RUNS:,} runs for what is kept, not {_RUNS:,}")
    parser.add_argument("--peers", action="store_true", help="beside other libraries; see `nox -s peers`")
    parser.add_argument("--count", action="store_true", help="count calls of functions and record that for the tests")
    return parser.parse_args()


def _costs(rows: Sequence[Row], seconds: float) -> Iterable[Cost]:
    for row in rows:
        for cost in measure(row, seconds):
            at_most = f"{cost.target:.1f}" if cost.target else ""
            print(
                f"| {cost.row} | {cost.contender} | {cost.us:,.1f} per {cost.unit} | {cost.ratio:.2f} "
                f"| {cost.low:.2f} to {cost.high:.2f} | {at_most} |",
                flush=True,
            )
            yield cost


def _others(runs: int) -> dict[str, Any]:
    imports = bench_import.imported()
    print("\n| import, over the SDK and pydantic | ms | quartiles | KB | modules | heavy ones |")
    print("|---|--:|--:|--:|--:|---|")
    for item in imports:
        spread, heavy = f"{item.low_ms:.0f} to {item.high_ms:.0f}", ", ".join(item.heavy) or "none"
        print(f"| {item.name} | {item.ms:.1f} | {spread} | {item.kilobytes:,.0f} | {item.modules} | {heavy} |")
    held = bench_memory.held_by_open_runs()
    kept = bench_memory.kept_after(runs, held.bytes)
    print("\n| memory | |\n|---|--:|")
    print(f"| an open run | {held.bytes:,.0f} bytes; the floor's {held.floor_bytes:,.0f} |")
    print(f"| after {kept.runs:,} runs, of which {kept.open:,} never closed | {kept.bytes / 1024:,.0f} KB |")
    print(f"| of that for each run that has ended | {kept.bytes_per_ended:.1f} bytes |")
    return {
        "imports": [asdict(item) for item in imports],
        "held": asdict(held),
        "kept": asdict(kept),
        "states": [asdict(item) for item in _states()],
    }


def _states() -> Iterable[bench_states.Taken]:
    print("\n| a callback, given 5 MB | µs | the same again | at most |\n|---|--:|--:|--:|")
    for item in bench_states.taken():
        print(f"| {item.name} | {item.first_us:,.0f} | {item.again_us:,.0f} | {bench_states.AT_MOST_US:,.0f} |")
        yield item


def _machine() -> dict[str, Any]:
    return {"python": platform.python_version(), "system": platform.system(), "processors": os.cpu_count()}


if __name__ == "__main__":
    main()
