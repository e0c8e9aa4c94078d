"""The values of a stream as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["joined"]


def joined(values: Sequence[Any]) -> Any:
    """Return texts put together, and anything else as the list that it is."""
    if values and all(isinstance(value, str) for value in values):
        return "".join(values)
    return list(values)
