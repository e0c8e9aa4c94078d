"""The properties that make the current span right, each judged on what came of a scenario.

    T  one trace per root call
    P  every run has exactly one span, which says its type and name
    R  the span tree agrees with LangChain's own run tree
    I  spans opened inside a body hang directly below that run's span
    C  the current span after the call is the one from before
    L  nothing more is logged than by the application alone
    E  every started span has ended exactly once
    A  the application's result and the other handlers' events are unchanged
    W  the whole tree is the one written in the test

A judge is given what was seen, what is usual (the application played alone), and the
tree that is expected; it returns its complaints.
"""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from opentelemetry.sdk.trace import ReadableSpan

from ._play import AMBIENT, Observation
from ._trees import RUN_ID, Node, forest_of, label, render

__all__ = ["PROPERTIES"]

Judge = Callable[[Observation, Observation, tuple[Node, ...]], list[str]]

MOST_LINES = 60  # of a difference that is shown


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


PROPERTIES: dict[str, Judge] = {
    "T": _traces,
    "P": _presence,
    "R": _run_tree,
    "I": _inner,
    "C": _restored,
    "L": _clean_logs,
    "E": _all_ended,
    "A": _unharmed,
    "W": _whole,
}
