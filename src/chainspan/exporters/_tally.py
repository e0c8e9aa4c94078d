"""Which tokens stand in a trace twice, found out from finished spans.

A provider's own instrumentation counts a call that chainspan's span of the model, above it,
counts as well, and backends add up what they find. Children end before their parents, so when
our span is exported, what is below it was, or comes in the same batch. Then ours gives way,
since the other has been sent. Where the other ends after ours, it is the one that gives way.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias, TypeVar

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext

from .. import _semconv as names
from .._exit import after_fork
from .._guard import Guard
from ._rewritten import Rewritten

__all__ = ["Tally"]

_GUARD = Guard("exporters.tally")
_SCOPE: Final = "chainspan"
_MOST_KEPT: Final = 10_000  # of calls that run at the same time, which is what has to be remembered
# Where tokens and costs stand: by the conventions, by OpenInference, and by OpenLLMetry of old; and where they go.
_MOVES: Final = {
    "gen_ai.usage.": names.CHAINSPAN_COUNTED,
    "llm.token_count.": names.CHAINSPAN_COUNTED,
    "llm.usage.": names.CHAINSPAN_COUNTED,
    "llm.cost.": f"{names.CHAINSPAN_COUNTED}cost.",
}
_COUNTS: Final = tuple(_MOVES)
# What makes them those of an embedding, which may lie below a model call that it is no part of: that of a cache.
_EMBEDDINGS: Final = {
    names.GEN_AI_OPERATION_NAME: names.OPERATION_EMBEDDINGS,
    names.OPENINFERENCE_SPAN_KIND: "EMBEDDING",
    "llm.request.type": "embedding",
}

_Id: TypeAlias = tuple[int, int]  # of a trace, and of a span in it
_Call: TypeAlias = tuple[_Id, bool]  # a span, and whether embeddings are meant or answers
_T = TypeVar("_T")


class _Finished(NamedTuple):
    """What a span says about tokens: whether it `counts` any, and whether an embedding's."""

    id: _Id
    above: _Id | None
    scope: str
    counts: bool
    embeds: bool


class Tally:
    """Remembers who counted what, for as long as the spans above are open. Safe to share between threads."""

    def __init__(self) -> None:
        self._start_afresh()
        after_fork(self._start_afresh)

    def settled(self, spans: Sequence[ReadableSpan]) -> Sequence[ReadableSpan]:
        """Return the spans, with counts under names of our own where another span has them.

        Spans that are handed in again, in whatever batches, come out as they did before.
        """
        with _GUARD:
            found = [_read(span) for span in spans]  # outside of the lock: spans have locks of their own
            with self._lock:
                self._look_up(found)
                counters = [self._other_counter(one) for one in found]
            if any(counters):
                pairs = zip(spans, counters, strict=True)
                return [span if counter is None else _moved(span, counter) for span, counter in pairs]
        return spans

    def _start_afresh(self) -> None:
        """Begin with nothing; what a forked child has inherited is its parent's to send."""
        # Reentrant, since the garbage collector may end a span, such as an abandoned stream's, while it is held.
        self._lock = threading.RLock()
        self._below: OrderedDict[_Call, str] = OrderedDict()  # other libraries' spans below, and whose
        self._sent: OrderedDict[_Call, None] = OrderedDict()  # our spans that left with their counts

    def _look_up(self, found: Iterable[_Finished]) -> None:
        """Tell the spans above of what other libraries counted, up to the first of ours."""
        others = {one.id: one for one in found if one.scope != _SCOPE}
        told = [(one, embeds, scope) for one in others.values() for embeds, scope in self._counted(one)]
        while told:
            one, embeds, scope = told.pop()
            if one.above is None or (one.above, embeds) in self._below or (one.above, embeds) in self._sent:
                continue
            _keep(self._below, (one.above, embeds), scope)
            if one.above in others:
                told.append((others[one.above], embeds, scope))

    def _counted(self, one: _Finished) -> Iterator[tuple[bool, str]]:
        """Yield what was counted at a span of another library's or below it, and by whom."""
        for embeds in (False, True):
            if one.counts and one.embeds is embeds:
                yield embeds, one.scope
            elif (one.id, embeds) in self._below:
                yield embeds, self._below[one.id, embeds]

    def _other_counter(self, one: _Finished) -> str | None:
        """Return which scope's span counts what this one counts, if one does."""
        if not one.counts:
            return None
        if one.scope != _SCOPE:
            return _SCOPE if one.above and (one.above, one.embeds) in self._sent else None
        scope = self._below.get((one.id, one.embeds))
        if scope is None:
            _keep(self._sent, (one.id, one.embeds), None)
        return scope


def _read(span: ReadableSpan) -> _Finished:
    scope, attributes = span.instrumentation_scope, span.attributes or {}
    counts = any(_is_count(attributes[key]) for key in attributes if key.startswith(_COUNTS))
    return _Finished(
        id=_id(span.context) or (0, 0),
        above=_id(span.parent),
        scope=(scope and scope.name) or "unknown",
        counts=counts,
        embeds=counts and any(attributes.get(key) == value for key, value in _EMBEDDINGS.items()),
    )


def _id(context: SpanContext | None) -> _Id | None:
    return None if context is None else (context.trace_id, context.span_id)


def _is_count(value: object) -> bool:
    """Tell a count from the 0 that some libraries write where they could not read a stream."""
    return isinstance(value, (int, float)) and value > 0


def _moved(span: ReadableSpan, counter: str) -> ReadableSpan:
    """Return a span with its token counts under names that nobody adds up."""
    attributes = {_name(key): value for key, value in (span.attributes or {}).items()}
    return Rewritten(span, {**attributes, names.CHAINSPAN_COUNTED_BY: counter})


def _name(key: str) -> str:
    for prefix, moved in _MOVES.items():
        if key.startswith(prefix):
            return moved + key[len(prefix) :]
    return key


def _keep(held: OrderedDict[_Call, _T], call: _Call, value: _T) -> None:
    held[call] = value
    if len(held) > _MOST_KEPT:
        held.popitem(last=False)
