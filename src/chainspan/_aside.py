"""Code that the garbage collector may execute, in the midst of anything.

A generator that is dropped is closed there, and weak references tell of what is gone. No context
variable may be set then: CPython's ``ContextVar.set`` walks the table of the current context while
it allocates, an allocation may start the collector (before Python 3.12), and what is set meanwhile
frees that table. The context has lost variables then, its owner's and others'. A copy of the
context can be changed at any time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import copy_context
from typing import ParamSpec, TypeVar

__all__ = ["aside", "is_left"]

P = ParamSpec("P")
R = TypeVar("R")


def is_left() -> bool:
    """Return whether a generator is being closed here, which the collector may have done."""
    return type(sys.exc_info()[1]) is GeneratorExit


def aside(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function in a copy of the current context."""
    return copy_context().run(function, *args, **kwargs)
