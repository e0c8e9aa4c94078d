"""Which tokens count: those of each answer once, on one span and in the sums of its trace."""

from __future__ import annotations

from dataclasses import replace

from . import _semconv as names
from ._model import AttributeValue, ModelResponse, RunEnd, RunFailure, RunKind, RunStart
from ._profiles import Price, cost_of
from ._runs import Run

__all__ = ["counted", "handed_on"]

Attributes = dict[str, AttributeValue]

_MODELS = frozenset({RunKind.CHAT, RunKind.LLM})
_BETWEEN = frozenset(RunKind) - _MODELS - {RunKind.TOOL, RunKind.RETRIEVER, RunKind.EMBEDDINGS}
"""Kinds of runs through which a model may hand on what another one answered: behind a tool, a call is another call."""
_COUNTS = ("input_tokens", "output_tokens")
_MOST_BELOW = 1_000  # answers remembered for one model


def handed_on(run: Run, end: RunEnd | RunFailure) -> Attributes:
    """Take the tokens off a model's answer that others below have given and counted; return how many those are.

    A function around a client, or a model made of others, hands on what one of them says, or all of them
    together. Tokens are to be counted once, where the provider was asked.
    """
    response = end.response
    usage = None if response is None else response.usage
    if response is None or usage is None or response.cache_hit:
        return {}
    counts = usage.input_tokens, usage.output_tokens
    above = run.parent
    while above is not None and above.start is not None and above.start.kind in _BETWEEN:
        above = above.parent
    if above is not None and above.start is not None and above.start.kind in _MODELS:
        _remember(above, counts)
    below = run.counted
    if below is None or (counts not in below and counts != tuple(map(_sum, zip(*below, strict=True)))):
        return {}
    end.response = replace(response, usage=None)
    run.trace.add(run.context, end.response, is_counted=True)
    told = {f"{names.CHAINSPAN_COUNTED}{name}": getattr(usage, name) for name in _COUNTS}
    return {names.CHAINSPAN_COUNTED_BY: "chainspan", **{key: count for key, count in told.items() if count is not None}}


def _remember(run: Run, counts: tuple[int | None, int | None]) -> None:
    if run.counted is None:
        run.counted = []
    if len(run.counted) < _MOST_BELOW:
        run.counted.append(counts)


def _sum(counts: tuple[int | None, ...]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def counted(run: Run, price: Price | None, start: RunStart, response: ModelResponse, also: str | None) -> Attributes:
    """Count a model's answer into the sums of its trace, and return what it cost, also under the profile's name."""
    run.trace.add(run.context, response)
    cost = None if price is None else cost_of(price, start, response)
    if cost is None:
        return {}
    run.trace.charge(cost)
    return {names.CHAINSPAN_COST: cost} if also is None else {names.CHAINSPAN_COST: cost, also: cost}
