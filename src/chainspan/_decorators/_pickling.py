"""How decorated functions travel to other processes: by their names, as functions do, or by value.

By value functions are carried by what makes more of pickle, such as cloudpickle: those of a script or a notebook, which
a process elsewhere cannot import. It tells them by their being functions, so what a step gives to be pickled is two.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial, reduce
from types import MethodType
from typing import Any

__all__ = ["FIRST_BY_PATH", "Bound", "Carriers", "function_of", "marked", "named_so", "source_of"]

FIRST_BY_PATH = 4  # the first protocol of pickle's that finds a function by a path of names in one piece
_PLACE = "_carriers"  # under which a step has them


class Bound(partial[Any]):
    """A step's function with some arguments given already."""


class Carriers:
    """Two functions that are found below a step's name, where somebody finds it, and else are carried by value.

    Attributes:
        mark: Tells which of the two it was, before anything of the step has to be there, as a recursive function needs.
        parts: Returns what the step is made of.
    """

    def __init__(self, step: Any, parts: tuple[Any, ...]) -> None:
        def mark() -> None: ...

        def of_parts(kept: tuple[Any, ...] = parts) -> tuple[Any, ...]:
            return kept

        self.mark, self.parts = mark, of_parts
        for name, function in vars(self).items():
            function.__module__, function.__qualname__ = step.__module__, f"{step.__qualname__}.{_PLACE}.{name}"


def marked(mark: Callable[[], None]) -> Any:
    """Return the step that a mark belongs to, if it was found by its name; None if it was carried by value."""
    if named_so(mark) is not mark:
        return None
    return _at(mark.__module__, mark.__qualname__.partition(f".{_PLACE}.")[0])


def named_so(named: Any) -> Any:
    """Return what stands in a module under the name that a function or a step says it has; None for nothing."""
    return _at(getattr(named, "__module__", None), getattr(named, "__qualname__", ""))


def _at(module: str | None, path: str) -> Any:
    try:
        return reduce(getattr, path.split("."), sys.modules.get(module or ""))
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
