"""Whether anything is to be traced: in a context where instrumentation is suppressed, nothing is."""

from __future__ import annotations

from typing import Final

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context

__all__ = ["SUPPRESSING", "is_suppressed"]

SUPPRESSING: Final = frozenset({_SUPPRESS_INSTRUMENTATION_KEY, "suppress_instrumentation"})
"""What is set in a context in which nothing is to be traced; opentelemetry-instrumentation sets both."""


def is_suppressed(context: Context) -> bool:
    """Return whether one of these is set in a context, and to something that is true."""
    return any(dict.get(context, key) for key in SUPPRESSING)
