"""What a wrapper may hand on of what it wraps: a coroutine or a generator, whose work is yet to be done."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Coroutine, Generator
from typing import Any, TypeGuard

from ._run import Run

__all__ = ["Unawaited", "given_up", "is_coroutine", "is_generator"]


def is_coroutine(value: object) -> TypeGuard[Coroutine[Any, Any, Any]]:
    """Return whether a value has yet to be awaited to be one."""
    return isinstance(value, Coroutine)


def is_generator(value: object) -> bool:
    """Return whether a value is a stream of which nothing has come yet."""
    return isinstance(value, (Generator, AsyncGenerator))


def given_up(value: object) -> bool:
    """Return whether a value is of use in asynchronous code alone; nobody will await it then."""
    if is_coroutine(value):
        value.close()
        return True
    return isinstance(value, AsyncGenerator)


class Unawaited:
    """Ends the run of a coroutine that is dropped before anybody has awaited it."""

    def __init__(self, run: Run) -> None:
        self._run: Run | None = run

    def is_awaited(self) -> None:
        """Leave the run to what awaits the coroutine."""
        self._run = None

    def __del__(self) -> None:
        """End the run, if nobody has awaited the coroutine."""
        if self._run is not None:
            self._run.fail(GeneratorExit())
