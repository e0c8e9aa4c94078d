"""The bench fixture, and the table of properties at the end of a test session."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from ._bench import PROPERTIES, Bench
from ._python310 import IS_310, LOST, MISPLACED, UNSUPPORTED


@pytest.fixture
def bench(record_property: Callable[[str, object], None], request: pytest.FixtureRequest) -> Bench:
    """Return the bench, which notes each property that it judged."""
    if IS_310 and request.node.name in UNSUPPORTED:
        pytest.skip(UNSUPPORTED[request.node.name])
    lost = LOST.get(request.node.name, ()) if IS_310 else ()
    without = "W" if IS_310 and request.node.name in MISPLACED else ""
    return Bench(lambda scores: record_property("conformance", scores), lost=lost, without=without)


@pytest.fixture(autouse=True)
def _only_young_garbage() -> None:
    # The bench collects garbage often; what was there before the test need not be walked again.
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="package")
def _all_garbage_again() -> Iterator[None]:
    yield
    gc.unfreeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many of the scenarios have each property."""
    passed: Counter[str] = Counter()
    judged: Counter[str] = Counter()
    scenarios = 0
    for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]:
        for key, scores in getattr(report, "user_properties", ()):
            if key == "conformance" and report.when == "call":
                scenarios += 1
                judged.update(scores.keys())
                passed.update(letter for letter, held in scores.items() if held)
    if scenarios:
        table = "  ".join(f"{p} {passed[p]}/{judged[p]}" for p in PROPERTIES)
        total = f"{passed.total()}/{judged.total()}"
        terminalreporter.section("conformance")
        terminalreporter.write_line(f"{scenarios} scenarios in their modes: {table}  total {total}")
