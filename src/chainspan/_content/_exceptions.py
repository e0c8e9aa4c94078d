"""What may be said of an exception: its type and frames always, its messages only where content is on."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Final

from .._encode import attempt

__all__ = ["stack_of", "type_of"]

_MOST_FRAMES: Final = 64
_MOST_CHAINED: Final = 8


def type_of(error: BaseException) -> str:
    """Return the full name of an exception's class; a builtin's is unqualified, as in the SDK."""
    kind = type(error)
    module = attempt(lambda: kind.__module__, "")
    name = attempt(lambda: kind.__qualname__, "Exception")
    return name if module in ("builtins", "", None) else f"{module}.{name}"


def stack_of(error: BaseException, *, with_messages: bool) -> str:
    """Return the frames of an exception and of what caused it, outermost first.

    Without messages it holds files, lines, functions and types, and neither source text
    nor anything that a value was printed into.
    """
    if with_messages:
        return attempt(lambda: "".join(traceback.format_exception(error, limit=_MOST_FRAMES)), "")
    return "\n".join(_bare(error, 0, set())) + "\n"


def _bare(error: BaseException, depth: int, seen: set[int]) -> Iterator[str]:
    if id(error) in seen or depth >= _MOST_CHAINED:
        return
    seen.add(id(error))
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield from _bare(cause, depth + 1, seen)
        yield "\nThe exception below came from the one above:\n" if error.__cause__ else "\nWhile handling it:\n"
    if error.__traceback__ is not None:
        yield "Traceback (most recent call last):"
        frames = list(traceback.walk_tb(error.__traceback__))
        if len(frames) > _MOST_FRAMES:
            yield f"  [{len(frames) - _MOST_FRAMES} frames left out]"
        for frame, line in frames[-_MOST_FRAMES:]:
            yield f'  File "{frame.f_code.co_filename}", line {line}, in {frame.f_code.co_name}'
    yield type_of(error)
    for inner in getattr(error, "exceptions", ())[:_MOST_CHAINED]:  # of an ExceptionGroup
        yield "  of the group:"
        yield from _bare(inner, depth + 1, seen)
