"""The bench: play a scenario alone and watched, and compare what came of it.

Properties, each with its letter:

    T  one trace per root call
    P  every run has exactly one span, which says its type and name
    R  the span tree agrees with LangChain's own run tree
    I  spans opened inside a body hang directly below that run's span
    C  the current span after the call is the one from before
    L  nothing more is logged than by the application alone
    E  every started span has ended exactly once
    A  the application's result and the other handlers' events are unchanged
    W  the whole tree is the one written in the test
"""

from __future__ import annotations

import asyncio
import contextvars
import difflib
import gc
import inspect
import logging
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan

from ._stage import Recorder, Scenario, Stage
from ._trees import RUN_ID, Node, forest_of, label, parse, render

__all__ = ["PROPERTIES", "Bench", "Observation"]

PROPERTIES = "TPRICLEAW"
AMBIENT = "ambient"
MOST_LINES = 60  # of a difference that is shown
LOOP_TURNS = 8  # what is called soon may call something soon itself


@dataclass
class Observation:
    """What came of playing a scenario once."""

    ambient: bool
    stage: Stage
    logs: list[str] = field(default_factory=list)
    result: str = ""
    failure: str = ""
    restored: bool = False

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans of the scenario, without the ambient one."""
        return [span for span in self.stage.ledger.spans if span.name != AMBIENT]

    @property
    def truth(self) -> Recorder:
        """The recorder that stood beside the handler."""
        return self.stage.recorder

    def attributes(self, span_label: str, key: str) -> list[Any]:
        """Return one attribute of all spans with this label, in order of their start."""
        spans = [span for span in self.spans if label(span) == span_label]
        spans.sort(key=lambda span: span.start_time or 0)
        return [(span.attributes or {}).get(key) for span in spans]


class Bench:
    """Plays scenarios and judges them; ``score`` is told of every property of every scenario."""

    def __init__(self, score: Callable[[dict[str, bool]], None]) -> None:
        self._score = score

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
        """
        __tracebackhide__ = True
        wanted = parse(tree)
        faults: dict[str, dict[str, list[str]]] = {p: {} for p in PROPERTIES if p not in without}
        for inline in (True, False):
            usual = play(scenario, Stage(inline=inline, watched=False), ambient=False)
            assert usual.failure == fails, usual.result
            for ambient in [False] if alone else [False, True]:
                stage = Stage(inline=inline, first=inline == ambient)
                seen = play(scenario, stage, ambient=ambient)
                variant = f"{'ambient' if ambient else 'alone'}/{'inline' if inline else 'plain'}"
                for letter, found in faults.items():
                    for complaint in dict.fromkeys(JUDGES[letter](seen, usual, wanted)):
                        found.setdefault(complaint, []).append(variant)
        self._score({letter: not found for letter, found in faults.items()})
        report = "\n".join(
            f"{letter} [{' '.join(variants)}] {complaint}"
            for letter, found in faults.items()
            for complaint, variants in found.items()
        )
        assert not report, f"\n{report}"
        return seen


def play(scenario: Scenario, stage: Stage, *, ambient: bool) -> Observation:
    """Play a scenario in a context of its own, and wait until its remains are collected."""
    seen = Observation(ambient=ambient, stage=stage)
    with _logged(seen.logs):
        contextvars.copy_context().run(_play, scenario, seen)
        gc.collect()
    return seen


def _play(scenario: Scenario, seen: Observation) -> None:
    around = seen.stage.tracer.start_as_current_span(AMBIENT) if seen.ambient else nullcontext()
    with around:
        if inspect.iscoroutinefunction(scenario):
            asyncio.run(_act(scenario, seen))
            return
        before = trace.get_current_span()
        try:
            outcome = scenario(seen.stage)
        except AssertionError:
            raise
        except Exception as error:  # noqa: BLE001 (the application's failure is its result)
            outcome, seen.failure = error, type(error).__name__
        if inspect.isawaitable(outcome):
            asyncio.run(_act(lambda _: outcome, seen))
            return
        seen.result = _plain(outcome)
        seen.restored = _same(before, trace.get_current_span())


async def _act(scenario: Scenario, seen: Observation) -> None:
    before = trace.get_current_span()
    try:
        seen.result = _plain(await scenario(seen.stage))
    except AssertionError:
        raise
    except Exception as error:  # noqa: BLE001 (the application's failure is its result)
        seen.result, seen.failure = _plain(error), type(error).__name__
    seen.restored = _same(before, trace.get_current_span())
    for _ in range(2):
        gc.collect()
        await _quiet()


async def _quiet() -> None:
    """Wait until what the call left behind is done: finalizers of streams, callbacks in threads."""
    for _ in range(LOOP_TURNS):
        await asyncio.sleep(0)
    if left := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(left, timeout=1)


def _plain(value: object) -> str:
    """Return a result as text without the parts that differ from run to run."""
    text = f"{type(value).__name__} {value!r}"
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}", "<id>", text)
    return re.sub(r"0x[0-9a-f]+|\d{4}-\d\d-\d\d[T ][\d:.+]+", "<varies>", text)


def _same(before: trace.Span, after: trace.Span) -> bool:
    equal = after == before and before == after
    return after is before or (equal and after.get_span_context() == before.get_span_context())


@contextmanager
def _logged(lines: list[str]) -> Iterator[None]:
    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.levelname} {record.name}: {_plain(record.getMessage())}")

    keeper = Keeper(logging.WARNING)
    logging.getLogger().addHandler(keeper)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(keeper)


# Each judge returns its complaints about one observation.


def _traces(seen: Observation, _: Observation, expected: tuple[Node, ...]) -> list[str]:
    count = len({span.context.trace_id for span in seen.spans if span.context})
    wanted = 1 if seen.ambient else len(expected)
    return [] if count == wanted else [f"{count} traces instead of {wanted}"]


def _presence(seen: Observation, _usual: Observation, _tree: tuple[Node, ...]) -> list[str]:
    labels: dict[object, list[str]] = defaultdict(list)
    for span in seen.spans:
        labels[(span.attributes or {}).get(RUN_ID)].append(label(span))
    runs = seen.truth.runs.items()
    return [f"{run.label} has the spans {labels[str(i)]}" for i, run in runs if labels[str(i)] != [run.label]]


def _run_tree(seen: Observation, _usual: Observation, _tree: tuple[Node, ...]) -> list[str]:
    by_span = {span.context.span_id: span for span in seen.spans if span.context}

    def run_above(span: ReadableSpan) -> object:
        parent = by_span.get(span.parent.span_id) if span.parent else None
        if parent is None:
            return None
        return (parent.attributes or {}).get(RUN_ID) or run_above(parent)

    truth = {str(run_id): run.parent for run_id, run in seen.truth.runs.items()}
    wrong = []
    for span in seen.spans:
        run_id = (span.attributes or {}).get(RUN_ID)
        if run_id in truth and run_above(span) != (str(truth[run_id]) if truth[run_id] else None):
            wrong.append(f"{label(span)} has another parent run")
    return wrong


def _inner(seen: Observation, _: Observation, expected: tuple[Node, ...]) -> list[str]:
    got, wanted = Counter(_edges(_forest(seen))), Counter(_edges(expected))
    complaints = [f"{below} hangs below {above}" for below, above in (got - wanted).elements()]
    return complaints + [f"no {below} below {above}" for below, above in (wanted - got).elements()]


def _edges(nodes: tuple[Node, ...], above: str = "nothing") -> Iterator[tuple[str, str]]:
    for name, below in nodes:
        if name.startswith("native:"):
            yield name, above
        yield from _edges(below, name)


def _restored(seen: Observation, _usual: Observation, _tree: tuple[Node, ...]) -> list[str]:
    return [] if seen.restored else ["another span is current after the call"]


def _clean_logs(seen: Observation, usual: Observation, _: tuple[Node, ...]) -> list[str]:
    return list((Counter(seen.logs) - Counter(usual.logs)).elements())


def _all_ended(seen: Observation, _usual: Observation, _tree: tuple[Node, ...]) -> list[str]:
    return seen.stage.ledger.faults()


def _unharmed(seen: Observation, usual: Observation, _: tuple[Node, ...]) -> list[str]:
    result = [] if seen.result == usual.result else _diff(usual.result, seen.result)
    return result + _diff("\n".join(usual.truth.events()), "\n".join(seen.truth.events()))


def _whole(seen: Observation, _: Observation, expected: tuple[Node, ...]) -> list[str]:
    return _diff(render(expected), render(_forest(seen)))


def _forest(seen: Observation) -> tuple[Node, ...]:
    forest = forest_of(seen.stage.ledger.spans)
    # An ambient span that holds everything is as it should be, and is left out of the comparison.
    return forest[0][1] if [name for name, _ in forest] == [AMBIENT] else forest


def _diff(wanted: str, got: str) -> list[str]:
    if wanted == got:
        return []
    lines = list(difflib.unified_diff(wanted.splitlines(), got.splitlines(), "wanted", "got", n=99, lineterm=""))
    return ["\n" + "\n".join([*lines[:MOST_LINES], "..."] if len(lines) > MOST_LINES else lines)]


JUDGES = dict(
    zip(
        PROPERTIES,
        [_traces, _presence, _run_tree, _inner, _restored] + [_clean_logs, _all_ended, _unharmed, _whole],
        strict=True,
    )
)
