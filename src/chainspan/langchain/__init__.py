"""LangChain and LangGraph: the only part of chainspan that knows them.

Works with langchain-core alone, and can be imported without it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from chainspan._encode import plain

from ._base import graph_base
from ._callbacks import CallbackAdapter
from ._witness import current_run_id, run_id_of

__all__ = ["CallbackAdapter", "current_run_id", "graph_base", "js_form", "run_id_of"]


def js_form(value: object) -> object:
    """Return a value as plain data in the shape that LangChain.js prints for it."""
    return _form()(value)


@lru_cache(maxsize=1)
def _form() -> Callable[[object], object]:
    """Load what knows LangChain's classes; without LangChain there are none to know."""
    try:
        from ._js import js_form as form  # noqa: PLC0415  loads most of langchain-core
    except ImportError:
        return plain
    return form
