"""What LangChain reports at the end of a run, and what it means."""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from chainspan._model import Outcome, RunEnd, RunFailure

from . import _payloads
from ._responses import partial_response

__all__ = ["failure", "outcome_of", "tool_end", "uuid_of"]

_CANCELLED = (asyncio.CancelledError, concurrent.futures.CancelledError)
# Exceptions of libraries, of which none is raised without its module being loaded.
_CONTROL_FLOW = (
    ("langgraph.errors", "GraphBubbleUp", Outcome.INTERRUPTED),
    ("greenlet", "GreenletExit", Outcome.CANCELLED),
)


def uuid_of(value: Any) -> UUID:
    """Return a run id, however it was handed over; a ValueError for what is none."""
    return value if isinstance(value, UUID) else UUID(str(value))


def tool_end(output: Any) -> RunEnd:
    """Return what a tool's output says: its result, or that it failed without raising."""
    result, failed = _payloads.tool_output(output)
    return RunEnd(outputs=result, raw=output, failed=failed)


def failure(error: BaseException, outcome: Outcome, kwargs: Mapping[str, Any]) -> Callable[[], RunFailure]:
    """Return what reads a failure, and the partial answer that came with it."""

    def read() -> RunFailure:
        partial = kwargs.get("response")
        return RunFailure(
            error=error,
            outcome=outcome,
            response=None if partial is None else partial_response(partial),
            inputs=kwargs.get("inputs"),
        )

    return read


def outcome_of(error: BaseException) -> Outcome:
    """Tell what an exception means for the run that it left."""
    if isinstance(error, _CANCELLED):
        return Outcome.CANCELLED
    if isinstance(error, GeneratorExit):
        return Outcome.ABANDONED
    for module, name, outcome in _CONTROL_FLOW:
        if isinstance(error, getattr(sys.modules.get(module), name, ())):
            return outcome
    return Outcome.ERROR
