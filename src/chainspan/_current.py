"""The current span, asked for by name."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN, Span

from . import _pipeline, _scope
from ._encode import attempt
from ._errors import require
from .langchain import run_id_of

__all__ = ["carry_context", "current_span", "span_of"]

P = ParamSpec("P")
R = TypeVar("R")


def current_span() -> Span:
    """Return the span of the run whose body is executing, or of the user's own span inside it.

    The same as ``opentelemetry.trace.get_current_span()``, which works in every body too.
    Outside every span it is the invalid span, which takes all calls and does nothing.
    """
    return trace.get_current_span()


def span_of(config: Mapping[str, Any]) -> Span:
    """Return the span of the run that a RunnableConfig was handed to.

    For code that gets ``config`` as a parameter and runs where no context was carried, such
    as a bare thread. The invalid span where that run is not open, is not traced, or is
    traced by handlers with pipelines of their own alone.
    """
    run_id = attempt(lambda: run_id_of(config), None)
    if run_id is None:
        return INVALID_SPAN
    return _pipeline.open_span(run_id) or INVALID_SPAN


def carry_context(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that runs in the context of here and now, wherever it is called.

    For what does not carry contexts by itself: ``executor.submit(carry_context(work), x)``,
    ``threading.Thread(target=carry_context(work))``. Spans and runs inside it then nest as
    if it had been called in place. May be called any number of times, at the same time too.
    A coroutine is run by whoever awaits it: ``carry_context(lambda: asyncio.run(work()))``.

    Raises:
        ConfigurationError: It is no function, but what one has returned, as in ``carry_context(work(x))``.
    """
    require(callable(function), "carry_context(function)", expected="a function", got=function)
    context = contextvars.copy_context()
    context.run(_scope.take_along)

    @wraps(function)
    def carried(*args: P.args, **kwargs: P.kwargs) -> R:
        return context.copy().run(function, *args, **kwargs)

    return carried
