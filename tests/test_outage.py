"""One line per outage, with a count, whatever happens in it."""

from __future__ import annotations

import logging

import pytest

from chainspan._outage import OutageLog

Line = tuple[str, str]


class Bench:
    """An outage log with a clock that is set by hand, and the lines that it wrote."""

    def __init__(self) -> None:
        """Begin at noon."""
        self.now_s = 0.0
        self.lines: list[Line] = []
        self.log = OutageLog("http://c", clock=lambda: self.now_s, log=self._write, waiting=lambda: "3 wait")

    def _write(self, level: int, sentence: str) -> None:
        self.lines.append((logging.getLevelName(level), sentence))


@pytest.fixture
def bench() -> Bench:
    """A bench of its own for each test."""
    return Bench()


def test_short_outage_without_loss_is_no_warning(bench: Bench) -> None:
    """What was over soon and cost nothing is told only to who asks for INFO."""
    bench.log.failed("503")
    bench.now_s = 2
    bench.log.arrived()

    assert bench.lines == [("INFO", "No spans reached http://c for 2 s (503): none lost.")]


def test_outage_is_one_line_when_it_ends(bench: Bench) -> None:
    """However many attempts failed, its end is told once, with what was lost."""
    for second in range(30):
        bench.now_s = second
        bench.log.failed("ConnectionError")
        bench.log.lost(2, "the queue was full")

    bench.log.arrived()
    bench.log.arrived()

    sentence = "No spans reached http://c for 29 s (ConnectionError): 60 spans were lost (the queue was full)."
    assert bench.lines == [("WARNING", sentence)]


def test_long_outage_is_told_while_it_lasts(bench: Bench) -> None:
    """After a minute it is said that it goes on, and at its end only what was not said before (pains #26)."""
    bench.log.failed("ConnectionError")
    for second in (30, 61, 90, 300):
        bench.now_s = second
        bench.log.failed("ConnectionError")
    bench.log.arrived()

    assert bench.lines == [
        ("WARNING", "No spans have reached http://c for 61 s (ConnectionError): 3 wait."),
        ("INFO", "No spans reached http://c for 300 s (ConnectionError): none lost."),
    ]


def test_end_of_the_process_during_an_outage(bench: Bench) -> None:
    """What was not said yet is said at the end, once."""
    bench.log.failed("ConnectionError")
    bench.log.lost(1, "the process ended")
    bench.log.closed()
    bench.log.closed()

    sentence = "No spans have reached http://c for 0 s (ConnectionError): 1 span was lost (the process ended), 3 wait."
    assert bench.lines == [("WARNING", sentence)]


def test_losses_without_an_outage_are_gathered(bench: Bench) -> None:
    """A loss is told with the next success, and those that follow within a minute together."""
    for second in (0, 1, 2, 59, 61):
        bench.now_s = second
        bench.log.lost(1, "400 Bad Request")
        bench.log.arrived()

    assert bench.lines == [
        ("WARNING", "chainspan could not deliver all spans to http://c: 1 span was lost (400 Bad Request), 3 wait."),
        ("WARNING", "chainspan could not deliver all spans to http://c: 4 spans were lost (400 Bad Request), 3 wait."),
    ]


def test_nothing_to_say(bench: Bench) -> None:
    """Without a fault there is no line."""
    bench.log.arrived()
    bench.log.closed()

    assert bench.lines == []


def test_child_of_a_fork_tells_nothing_of_its_parent(bench: Bench) -> None:
    """What the parent lost is the parent's to tell."""
    bench.log.failed("503")
    bench.log.lost(1, "the queue was full")

    bench.log.reset()
    bench.log.closed()

    assert bench.lines == []
