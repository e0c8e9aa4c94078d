"""How decorated functions travel to other processes: by their names, as functions do."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial, reduce
from types import MethodType
from typing import Any

__all__ = ["Bound", "function_of", "named_so", "source_of"]


class Bound(partial[Any]):
    """A step's function with some arguments given already."""


def named_so(named: Any) -> Any:
    """Return what stands in a module under the name that a function or a step says it has; None for nothing."""
    module = sys.modules.get(getattr(named, "__module__", None) or "")
    path: str = getattr(named, "__qualname__", "")
    try:
        return reduce(getattr, path.split("."), module)
    except AttributeError:
        return None


def source_of(function: Callable[..., Any]) -> Any:
    """Return what to pickle for a step's function.

    Pickle wants to find a function under its name, where for a decorated one stands the step.
    """
    if isinstance(function, Bound):
        return Bound(source_of(function.func), *function.args, **function.keywords)
    if isinstance(function, MethodType):
        found = getattr(function.__self__, function.__name__, None)
    else:
        found = named_so(function)
    return function if _inner(found) != function else found


def function_of(source: Any) -> Callable[..., Any]:
    """Return the function again, of what `source_of` returned."""
    if isinstance(source, Bound):
        return Bound(function_of(source.func), *source.args, **source.keywords)
    function: Callable[..., Any] = _inner(source) or source
    return function


def _inner(step: Any) -> Any:
    return getattr(step, "_function", None)
