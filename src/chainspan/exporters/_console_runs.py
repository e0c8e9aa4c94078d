"""The runs that the console has open, and what it calls each one in the breadcrumbs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from chainspan import _semconv as names
from chainspan._encode import label
from chainspan._locks import Lock

from . import _genai_spans as genai
from ._console_text import Crumb

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

__all__ = ["Crumbs", "LastWords", "OpenRuns"]

Crumbs: TypeAlias = "Sequence[Crumb]"
Started: TypeAlias = "tuple[Crumbs, ReadableSpan]"

_SECTIONS = frozenset({"llm", "tool", "retriever"})


@dataclass(slots=True, eq=False)
class _Run:
    """A span between its start and its end.

    Attributes:
        parent: The span that it started in, of whatever sort; None when that is not open.
        crumb: What is printed of it; None while it is not known to be about an LLM.
        last_order: The highest number given out so far at or below it.
        announced: Whether its start is printed.
        actions: How many of an agent's actions were printed as they happened.
    """

    span: ReadableSpan = field(repr=False)
    parent: _Run | None = field(repr=False)
    crumb: Crumb | None = None
    last_order: int = 0
    is_open: bool = True
    announced: bool = False
    actions: int = 0

    def above(self) -> _Run | None:
        """Return the nearest run around this one that is about an LLM, if it is still open."""
        above = self.parent
        while above and above.crumb is None:
            above = above.parent
        return above if above and above.is_open else None


@dataclass(frozen=True, slots=True)
class LastWords:
    """What is left to print when a span ends.

    Attributes:
        started: The starts that are not printed yet, outermost first.
        crumbs: Of the run itself; empty when it is not about an LLM.
        actions: How many of an agent's actions are printed already.
    """

    started: Sequence[Started]
    crumbs: Crumbs
    actions: int


class OpenRuns:
    """The spans that are open now, by id.

    Safe to share between threads. Keeps at most so many: a span that never ends makes
    room for newer ones, and is then as good as ended.
    """

    def __init__(self, max_open: int) -> None:
        self._max_open = max_open
        self._lock = Lock()
        self._open: dict[int, _Run] = {}  # oldest first

    def __len__(self) -> int:
        """Return how many spans are open."""
        return len(self._open)

    def enter(self, span: ReadableSpan) -> Sequence[Started]:
        """Take in a span that has started, and return the starts to print now."""
        above = span.parent
        with self._lock.inside:
            parent = self._open.get(above.span_id) if above and not above.is_remote else None
            run = self._open[span.context.span_id] = _Run(span, parent)
            if len(self._open) > self._max_open:
                _close(self._open.pop(next(iter(self._open))))
            if not _recognise(run) or not _is_told_at_start(span):
                return ()
            return _announce(run)

    def act(self, span_id: int) -> Crumbs:
        """Count an action of an agent, and return the agent's breadcrumbs; none if it is not open."""
        with self._lock.inside:
            run = self._open.get(span_id)
            if run is None or run.crumb is None or not genai.may_act(run.crumb.type):
                return ()
            run.actions += 1
            return _crumbs(run)

    def leave(self, span: ReadableSpan) -> LastWords | None:
        """Let go of a span that has ended; None for one that is not open."""
        with self._lock.inside:
            run = self._open.pop(span.context.span_id, None)
            if run is None:
                return None
            run.span = span
            started = _announce(run) if _recognise(run) else ()
            words = LastWords(started, _crumbs(run), run.actions)
            _close(run)
            return words


def _recognise(run: _Run) -> bool:
    """Number a run as soon as its attributes tell that it is about an LLM.

    Attributes may be set after the start, hence it is asked again for the spans around
    a run, the outermost first.
    """
    if run.crumb:
        return True
    attributes = run.span.attributes or {}
    if (run_type := genai.type_of(attributes)) is None:
        return False
    if run.parent and run.parent.is_open:
        _recognise_around(run.parent)
    above = run.above()
    # Numbered as LangChain.js does: _getExecutionOrder and _addRunToRunMap, tracers/base.ts.
    order = run.last_order = above.last_order + 1 if above else 1
    if above:
        above.last_order = order
    section = run_type if run_type in _SECTIONS else "chain"
    name = label(str(attributes.get(names.CHAINSPAN_RUN_NAME, run.span.name)))
    run.crumb = Crumb(section, run_type, name, order)
    return True


def _recognise_around(run: _Run) -> None:
    for above in reversed(list(_lineage(run))):
        if above.is_open:
            _recognise(above)


def _lineage(run: _Run) -> Iterator[_Run]:
    above: _Run | None = run
    while above:
        yield above
        above = above.parent


def _is_told_at_start(span: ReadableSpan) -> bool:
    """Return whether all is known now that is printed of the start.

    Of our own runs it is: what they do not tell at the start they never will.
    """
    attributes = span.attributes or {}
    return names.CHAINSPAN_RUN_ID in attributes or genai.has_input(attributes)


def _announce(run: _Run) -> Sequence[Started]:
    """Return the starts that are not printed yet of a run and those around it, outermost first."""
    path: list[_Run] = []
    at: _Run | None = run
    while at and not at.announced:
        path.insert(0, at)
        at.announced = True
        at = at.above()
    return [(_crumbs(each), each.span) for each in path]


def _crumbs(run: _Run) -> Crumbs:
    crumbs: list[Crumb] = []
    at: _Run | None = run
    while at and at.crumb:
        crumbs.insert(0, at.crumb)
        at = at.above()
    return crumbs


def _close(run: _Run) -> None:
    run.is_open = False
    if above := run.above():
        above.last_order = max(above.last_order, run.last_order)
