"""The framework's word: which run's body is executing, as LangChain itself tells."""

from __future__ import annotations

import sys
from contextvars import Context
from types import FrameType
from typing import Protocol

from ._runs import Run
from ._tasks import current_task

__all__ = ["WORD_LAGS", "current_run", "is_named", "is_named_throughout", "lags", "set_current_run"]

WORD_LAGS = sys.version_info < (3, 11)
"""Whether LangChain's word may be an ancestor's: asyncio could not give a task a context before
Python 3.11, so asynchronous code runs in the context of what called it."""

_KEEPS_CONTEXTS = frozenset({"chainspan", ""})  # decorated functions, told of from tasks too
_BRIEF = frozenset({"prompt", "parser"})  # types of run that start nothing which outlives them
_BRACKETS = frozenset() if WORD_LAGS else frozenset({"_call_with_config", "_acall_with_config"})
"""Functions of LangChain that name a run all through its body."""
_RUNNABLES = "langchain_core.runnables.base"


class _Word(Protocol):
    """The framework's word: the id of the run whose body is executing, here or in a context."""

    def __call__(self, context: Context | None = None, /) -> int | None: ...


def _nobody(_: Context | None = None) -> int | None:
    return None


_current_run: _Word = _nobody


def set_current_run(witness: _Word) -> None:
    """Say how to ask for the id of the run whose body is executing, as the framework knows it."""
    global _current_run  # noqa: PLW0603 - set once, when the framework's adapter is loaded
    _current_run = witness


def current_run(context: Context | None = None) -> int | None:
    """Return the id of the run whose body is executing, here or in a context; None where nobody says so."""
    return _current_run(context)


def is_named(run: Run) -> bool:
    """Return whether the framework's word names a run here: its body executes, or work that outlives it."""
    return _current_run() == run.id and not lags(run)


def is_named_throughout(run: Run, frame: FrameType | None) -> bool:
    """Return whether the framework's word answers for the whole body of a run, and nothing goes on after it.

    Args:
        run: The run.
        frame: The frame that started it.
    """
    return (
        run.start is not None
        and run.start.run_type in _BRIEF
        and frame is not None
        and frame.f_code.co_name in _BRACKETS
        and frame.f_globals.get("__name__") == _RUNNABLES
    )


def lags(named: Run) -> bool:
    """Return whether the word may be an ancestor's, or that of a run which is over."""
    if not WORD_LAGS:
        return False
    seat = named.seat
    if current_task() is None and (seat is None or seat.task is None):
        return False
    return seat is None or seat.package not in _KEEPS_CONTEXTS
