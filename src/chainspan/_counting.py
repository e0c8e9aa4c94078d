"""Which tokens count: those of each answer once, on one span and in the sums of its trace."""

from __future__ import annotations

from dataclasses import replace

from . import _semconv as names
from ._model import AttributeValue, ModelResponse, RunEnd, RunFailure, RunKind, RunStart
from ._profiles import Price, cost_of
from ._runs import Run

__all__ = ["counted", "handed_on"]

Attributes = dict[str, AttributeValue]

_BETWEEN = frozenset({RunKind.CHAIN, RunKind.PROMPT, RunKind.PARSER})
"""Kinds of runs through which a model may hand on what another one answered."""
_COUNTS = ("input_tokens", "output_tokens")


def handed_on(run: Run, end: RunEnd | RunFailure) -> Attributes:
    """Take the tokens off a model's answer that another model below has given and counted; return how many those are.

    A function around a client, or a model made of another, hands on what that says. Tokens are to be counted
    once, where the provider was asked.
    """
    response = end.response
    usage = None if response is None else response.usage
    if response is None or usage is None or response.cache_hit:
        return {}
    counts = usage.input_tokens, usage.output_tokens
    above = run.parent
    while above is not None and above.start is not None and above.start.kind in _BETWEEN:
        above = above.parent
    if above is not None:
        above.counted = counts
    if run.counted != counts:
        return {}
    end.response = replace(response, usage=None)
    run.trace.add(run.context, end.response, is_counted=True)
    told = {f"{names.CHAINSPAN_COUNTED}{name}": getattr(usage, name) for name in _COUNTS}
    return {names.CHAINSPAN_COUNTED_BY: "chainspan", **{key: count for key, count in told.items() if count is not None}}


def counted(run: Run, price: Price | None, start: RunStart, response: ModelResponse, also: str | None) -> Attributes:
    """Count a model's answer into the sums of its trace, and return what it cost, also under the profile's name."""
    run.trace.add(run.context, response)
    cost = None if price is None else cost_of(price, start, response)
    if cost is None:
        return {}
    run.trace.charge(cost)
    return {names.CHAINSPAN_COST: cost} if also is None else {names.CHAINSPAN_COST: cost, also: cost}
