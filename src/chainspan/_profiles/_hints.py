"""What an application should be told once about the data that it gives."""

from __future__ import annotations

import logging
from typing import Final

from .._guard import say_once
from .._model import RunEnd, RunKind, RunStart

__all__ = ["hint_at_missing_usage"]

_MODELS: Final = frozenset({RunKind.CHAT, RunKind.LLM})


def hint_at_missing_usage(run: RunStart, end: RunEnd) -> None:
    """Say once for each provider that its streams come without token counts; a span then has none, and no 0."""
    response = end.response
    if end.streaming is None or response is None or response.usage is not None or run.kind not in _MODELS:
        return
    provider = run.model.provider if run.model is not None else None
    say_once(
        f"{provider or 'A model'} reported no tokens for a streamed answer, so its spans have none. "
        "Where the integration can ask for them, do: ChatOpenAI(stream_usage=True).",
        logging.INFO,
    )
