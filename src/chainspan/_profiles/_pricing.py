"""What a model call cost, by a function of the user's."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, SupportsFloat, TypeAlias

from .. import _semconv as names
from .._guard import Guard
from .._model import ModelResponse, RunKind, RunStart, Usage
from ._shared import provider_of

__all__ = ["ModelCall", "Price", "cost_of"]

_PRICING: Final = Guard("price")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """A model call that was billed, as a price function gets it.

    Attributes:
        kind: ``RunKind.CHAT``, ``RunKind.LLM`` or ``RunKind.EMBEDDINGS``.
        provider: The provider's name in the GenAI conventions, such as ``aws.bedrock``.
        model: The model that answered, else the one that was asked for.
        requested_model: The model that was asked for.
        usage: What the provider counted. Input tokens include the cached ones, output
            tokens those of reasoning; a count is None where the provider did not say.
        service_tier: Of OpenAI, where prices differ by it.
    """

    kind: RunKind
    provider: str | None
    model: str | None
    requested_model: str | None
    usage: Usage
    service_tier: str | None = None


Price: TypeAlias = Callable[[ModelCall], SupportsFloat | None]
"""Says what a call cost, in a currency of the user's, taken for US dollars by backends; None where it is not known."""


def cost_of(price: Price, run: RunStart, response: ModelResponse) -> float | None:
    """Return what a call cost; None where it was not billed, or the function does not know or fails."""
    if response.cache_hit or response.usage is None:
        return None
    requested = run.model.model if run.model else None
    with _PRICING:
        cost = price(
            ModelCall(
                kind=run.kind,
                provider=provider_of(run, response),
                model=response.model or requested,
                requested_model=requested,
                usage=response.usage,
                service_tier=response.extra.get(names.OPENAI_RESPONSE_SERVICE_TIER),
            )
        )
        return _finite(None if cost is None else float(cost))
    return None


def _finite(cost: float | None) -> float | None:
    return cost if cost is not None and math.isfinite(cost) else None
