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
    ("trio", "Cancelled", Outcome.CANCELLED),
    ("streamlit.runtime.scriptrunner", "StopException", Outcome.CANCELLED),
    ("streamlit.runtime.scriptrunner", "RerunException", Outcome.CANCELLED),
)
_GROUPS = ("builtins", "exceptiongroup")  # modules that have them, from Python 3.11 on and before


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
        if _is_of(module, name, error):
            return outcome
    return Outcome.CANCELLED if _is_cancelled_throughout(error) else Outcome.ERROR


def _is_of(module: str, name: str, error: object) -> bool:
    return isinstance(error, getattr(sys.modules.get(module), name, ()))


def _is_cancelled_throughout(error: BaseException) -> bool:
    """Return whether an exception is a group of nothing but cancellations: of several tasks of a nursery of Trio's."""
    if not any(_is_of(module, "BaseExceptionGroup", error) for module in _GROUPS):
        return False
    members: tuple[BaseException, ...] = getattr(error, "exceptions", ())
    return all(outcome_of(member) is Outcome.CANCELLED for member in members)
