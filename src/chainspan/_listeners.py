"""Which span processors have anything to do when a span starts: hardly any, as most wait for its end.

A tracer tells all of them of each start, and makes the context that the span starts in for
that alone. It need not, where what would be called does nothing: the methods are looked at
when a processor is added, hence one that is replaced later than that is not called.
"""

from __future__ import annotations

import dis
from collections.abc import Callable
from typing import Any, Final

__all__ = ["Listeners", "does_nothing"]


def _idle() -> None:
    """Do nothing, in this Python's instructions."""


_NOTHING: Final = frozenset({"NOP", *(step.opname for step in dis.get_instructions(_idle))})
"""The instructions of a function whose body is ``pass``, or a docstring."""


class Listeners:
    """Those processors of a tracer that listen to the starts of spans.

    Args:
        processor: The tracer's own, which tells all others; another than the SDK's listens.
    """

    __slots__ = ("_hears", "_processor", "_seen")

    def __init__(self, processor: object) -> None:
        self._processor: Any = processor
        self._seen: object = None
        self._hears = True

    def hear_starts(self) -> bool:
        """Return whether a start has to be told; found out anew when a processor is added."""
        now = getattr(self._processor, "_span_processors", None)  # a tuple, another one for each that is added
        if now is None or now is not self._seen:
            self._hears = now is None or not all(does_nothing(one.on_start) for one in now)
            self._seen = now
        return self._hears


def does_nothing(function: Callable[..., object]) -> bool:
    """Return whether calling a function or a method does nothing, as far as its own code shows."""
    code = getattr(function, "__code__", None)
    return code is not None and all(step.opname in _NOTHING for step in dis.get_instructions(code))
