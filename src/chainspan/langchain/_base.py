"""What a handler must inherit from, so that LangChain takes it for one of its own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from langchain_core.callbacks.base import BaseCallbackHandler as HandlerBase
else:
    try:
        # Constructors check `callbacks=` by isinstance; calls would take a look-alike.
        from langchain_core.callbacks.base import BaseCallbackHandler as HandlerBase
    except ImportError:

        class HandlerBase:
            """Stands in for LangChain's base where LangChain is not installed."""

            raise_error = False


__all__ = ["HandlerBase", "as_tracers", "graph_base"]

H = TypeVar("H")


def as_tracers(handlers: type[H]) -> type[H]:
    """Have LangGraph take a class's handlers for tracers, and return the class.

    Of a node with a `TracePolicy`, what that leaves of inputs and outputs is told to tracers alone.
    """
    base = getattr(sys.modules.get("langchain_core.tracers.base"), "BaseTracer", None)  # a LangGraph that asks has it
    return handlers if base is None else base.register(handlers)


def graph_base() -> type | None:
    """Return LangGraph's base for handlers of interrupts and resumes, if LangGraph is in use.

    It is not imported for that: only an application that has loaded it runs graphs.
    """
    if "langgraph.pregel" not in sys.modules:
        return None
    try:
        from langgraph.callbacks import GraphCallbackHandler  # noqa: PLC0415  only where it is in use
    except ImportError:  # LangGraph < 1.1.7 has no such hooks
        return None
    return GraphCallbackHandler
