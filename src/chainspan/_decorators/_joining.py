"""The values of a stream as one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Sequence
from typing import Any

__all__ = ["ajoined", "joined"]


def joined(values: Sequence[Any]) -> Any:
    """Return texts put together, and anything else as the list that it is."""
    if values and all(isinstance(value, str) for value in values):
        return "".join(values)
    return list(values)


async def ajoined(value: Any) -> Any:
    """Return the values of a generator as one, and anything else as it is."""
    if isinstance(value, AsyncGenerator):
        return joined([item async for item in value])
    return joined(await asyncio.to_thread(list, value)) if isinstance(value, Generator) else value
