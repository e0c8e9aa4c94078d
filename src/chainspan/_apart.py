"""Work that goes on for everybody, in a context of nobody's.

A timer and, from Python 3.14 on or by an instrumentation, a thread take along the context that
they are started in. What serves one run after the other would keep that of the first for as long
as it lives: its request's objects, and a current span that is long over.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from typing import ParamSpec, TypeVar

__all__ = ["apart"]

P = ParamSpec("P")
R = TypeVar("R")


def apart(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call what starts such work, in an empty context."""
    return Context().run(function, *args, **kwargs)
