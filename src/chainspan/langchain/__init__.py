"""LangChain and LangGraph: the only part of chainspan that knows them.

Works with langchain-core alone, and can be imported without it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from ._base import as_tracers, graph_base
from ._callbacks import CallbackAdapter
from ._witness import current_run_id, run_id_of

if TYPE_CHECKING:
    from langchain_core.messages import AnyMessage

__all__ = [
    "CallbackAdapter",
    "as_tracers",
    "current_run_id",
    "graph_base",
    "js_form",
    "messages_from_span",
    "run_id_of",
]


def messages_from_span(span: object) -> list[AnyMessage]:
    """Return the conversation that a model's or an agent's span holds, as LangChain's messages.

    First what went in, then what came out. They say what the originals said: texts, tool calls
    and results, reasoning, images and files by address. Ids, metadata and usage are not in a
    span's messages, and of data that stood in a message only type, size and hash are left.

    Args:
        span: A span of any profile, ended or not; one of OTLP, as a dict of its JSON or as its
            message; or of another library that follows the GenAI conventions or OpenInference.

    Raises:
        ValidationError: If an attribute of the span does not hold messages.
        ImportError: Where LangChain is not installed.
    """
    try:
        from ._restore import restored  # noqa: PLC0415  loads most of langchain-core
    except ModuleNotFoundError as error:
        raise ImportError("messages_from_span() makes messages of LangChain's: install chainspan[langchain]") from error
    return restored(span)


def js_form(value: object) -> object:
    """Return a value as plain data in the shape that LangChain.js prints for it."""
    return _form()(value)


@lru_cache(maxsize=1)
def _form() -> Callable[[object], object]:
    """Load what knows LangChain's classes; without LangChain, what knows those that stand in for them."""
    try:
        from ._js import js_form as form  # noqa: PLC0415  loads most of langchain-core
    except ImportError:
        from ._js_standins import js_form as form  # noqa: PLC0415  only where it is needed
    return form
