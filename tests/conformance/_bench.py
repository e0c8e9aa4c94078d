"""The bench: play a scenario alone and watched, and judge what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ._play import Observation, play
from ._properties import PROPERTIES
from ._stage import Scenario, Stage
from ._trees import Node, parse, without_runs

__all__ = ["PROPERTIES", "Bench", "Observation"]

Played = tuple[str, Observation, Observation]

_MORE_PLAYS = 2
"""How often a scenario is played again where only other handlers hear otherwise than usual. With nobody
watching, too, LangChain now and then reports a cancellation for a closed generator or the other way
round; what a handler changes it changes each time."""


class Bench:
    """Plays scenarios and judges them.

    Args:
        score: Told which properties each scenario has.
        lost: Runs that LangChain itself does not have on this Python.
        without: Properties that a scenario itself does not have on this Python.
    """

    def __init__(
        self, score: Callable[[dict[str, bool]], None], *, lost: Sequence[str] = (), without: str = ""
    ) -> None:
        self._score = score
        self._lost = lost
        self._without = without

    def check(
        self, scenario: Scenario, tree: str, *, fails: str = "", without: str = "", alone: bool = False
    ) -> Observation:
        """Play the scenario with and without an ambient span, beside inline and plain handlers.

        Args:
            scenario: The application; a coroutine function plays in an event loop.
            tree: The whole forest of spans, without the ambient span.
            fails: The name of the exception that the application itself ends with.
            without: Properties that the scenario itself does not have, and the test says why.
            alone: Play it without an ambient span only, because parts of it are cut off from that.

        Returns:
            What was seen last, for assertions of the scenario's own.
        """
        __tracebackhide__ = True
        wanted = without_runs(parse(tree), self._lost)
        plays = list(_plays(scenario, fails, alone=alone))
        held, report = self._judge(plays, wanted, without)
        for _ in range(_MORE_PLAYS):
            if [letter for letter in held if not held[letter]] == ["A"]:
                plays = list(_plays(scenario, fails, alone=alone))
                held, report = self._judge(plays, wanted, without)
        self._score(held)
        assert not report, "\n" + "\n".join(report)
        return plays[-1][1]

    def _judge(
        self, plays: Sequence[Played], wanted: tuple[Node, ...], without: str
    ) -> tuple[dict[str, bool], list[str]]:
        held: dict[str, bool] = {}
        report: list[str] = []
        for letter in [letter for letter in PROPERTIES if letter not in without + self._without]:
            found: dict[str, list[str]] = {}
            for variant, seen, usual in plays:
                for complaint in dict.fromkeys(PROPERTIES[letter](seen, usual, wanted)):
                    found.setdefault(complaint, []).append(variant)
            held[letter] = not found
            report += [f"{letter} [{' '.join(variants)}] {complaint}" for complaint, variants in found.items()]
        return held, report


def _plays(scenario: Scenario, fails: str, *, alone: bool) -> Iterator[Played]:
    """Play the scenario in each variant: its name, what was seen, and what is usual."""
    for inline in (True, False):
        usual = play(scenario, Stage(inline=inline, watched=False), ambient=False)
        assert usual.failure == fails, usual.result
        for ambient in [False] if alone else [False, True]:
            seen = play(scenario, Stage(inline=inline, first=inline == ambient), ambient=ambient)
            yield f"{'ambient' if ambient else 'alone'}/{'inline' if inline else 'plain'}", seen, usual
