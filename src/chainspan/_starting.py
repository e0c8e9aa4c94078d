"""How work of our own is started that goes on for everybody: in a context of nobody's.

A timer and, from Python 3.14 on or by an instrumentation, a thread take along the context that
they are started in. What serves one run after the other would keep that of the first for as long
as it lives: its request's objects, and a current span that is long over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import Context
from typing import ParamSpec, TypeVar

__all__ = ["in_empty_context", "start_thread"]

P = ParamSpec("P")
R = TypeVar("R")


def in_empty_context(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call what starts such work."""
    return Context().run(function, *args, **kwargs)


def start_thread(thread: threading.Thread, *, otherwise: Callable[[], object]) -> None:
    """Start a thread; where none can be, as at the end of a process in some Pythons, do something else here."""
    try:
        in_empty_context(thread.start)
    except RuntimeError:
        otherwise()
