"""Which run LangChain itself says is executing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["current_run_id", "run_id_of"]


def run_id_of(config: Mapping[str, Any] | None) -> int | None:
    """Return the id of the run that a config was handed to, as an integer, or None."""
    if not config:
        return None
    run_id = getattr(config.get("callbacks"), "parent_run_id", None)
    return getattr(run_id, "int", None)


def _ask_langchain() -> int | None:
    """Return the id of the run whose body is executing, or None outside every body.

    LangChain carries its config into every thread and task in which a chain, a tool or a
    graph's node runs. Models and retrievers do not set it, and neither does asynchronous
    code on Python 3.10.
    """
    return run_id_of(_variable.get())


def _nobody() -> int | None:
    return None


current_run_id: Callable[[], int | None]
try:
    from langchain_core.runnables.config import var_child_runnable_config as _variable
except ImportError:
    current_run_id = _nobody
else:
    current_run_id = _ask_langchain
