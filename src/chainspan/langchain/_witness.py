"""Which run is executing, as LangChain itself says, or the decorators where it is absent."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any

__all__ = ["child_config", "current_run_id", "run_id_of"]

if TYPE_CHECKING:
    child_config: ContextVar[Mapping[str, Any] | None]
else:
    try:
        from langchain_core.runnables.config import var_child_runnable_config as child_config
    except ImportError:  # the decorators carry their runs all the same
        child_config = ContextVar("chainspan_child_config", default=None)


def run_id_of(config: Mapping[str, Any] | None) -> int | None:
    """Return the id of the run that a config was handed to, as an integer, or None."""
    if not config:
        return None
    run_id = getattr(config.get("callbacks"), "parent_run_id", None)
    return getattr(run_id, "int", None)


def current_run_id(context: Context | None = None) -> int | None:
    """Return the id of the run whose body is executing, here or in a context, or None outside every body.

    LangChain carries its config into every thread and task in which a chain, a tool or a
    graph's node runs, and a decorated function does so for every kind of run. LangChain's
    models and retrievers do not set it, and neither does its asynchronous code on Python 3.10.
    """
    return run_id_of(child_config.get() if context is None else context.get(child_config))
