"""What a wrapper may hand on of what it wraps: a coroutine or a generator, whose work is yet to be done."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Coroutine

from ._run import Run

__all__ = ["Unawaited", "given_up"]


def given_up(value: object) -> bool:
    """Return whether a value is of use in asynchronous code alone; a coroutine is closed, as nobody will await it."""
    if isinstance(value, Coroutine):
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
