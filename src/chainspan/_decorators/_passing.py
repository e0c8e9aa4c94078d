"""What ``yield from`` is to generators, for asynchronous ones; and iterators that are read in threads."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from types import AsyncGeneratorType
from typing import Any, TypeVar

from typing_extensions import Self

__all__ = ["InThreads", "alone", "beginning", "in_thread", "passed_on"]

T = TypeVar("T")

_END: Any = object()


async def passed_on(opened: Callable[[], Awaitable[AsyncIterator[T]]]) -> AsyncGenerator[T, Any]:
    """Yield the values of an asynchronous iterator, and hand on to it what is sent, thrown in, or that all is over.

    Args:
        opened: Gives the iterator, when the first value is wanted.
    """
    values: Any = await opened()
    advance = beginning(values)
    given: tuple[Any, ...] = ()
    while True:
        try:
            value = await advance(*given)
        except StopAsyncIteration:
            return
        finally:
            given = ()  # an exception would be kept by its own traceback
        try:
            sent = yield value
        except GeneratorExit:
            await _close(values)
            raise
        except BaseException as error:
            if not hasattr(values, "athrow"):
                raise
            advance, given = values.athrow, (error,)
        else:
            advance, given = (values.__anext__, ()) if sent is None else (values.asend, (sent,))


def beginning(values: Any) -> Callable[..., Awaitable[Any]]:
    """Return how to ask for the first value of an iterator that is closed with the generator that reads it.

    The event loop is not told of it. At its end a loop closes all generators that it knows, at
    once: that would fail for those of which one closes the other.
    """

    def begin(_: Any = None) -> Awaitable[Any]:
        hooks = sys.get_asyncgen_hooks()
        if isinstance(values, AsyncGeneratorType):
            sys.set_asyncgen_hooks(None, None)
        try:
            first: Awaitable[Any] = values.__anext__()
            return first
        finally:
            sys.set_asyncgen_hooks(*hooks)

    return begin


async def _close(values: Any) -> None:
    """Close an iterator if that can be: a generator, or a stream of a client's, which has another name for it."""
    close = getattr(values, "aclose", None) or getattr(values, "close", None)
    closing = close() if callable(close) else None
    if inspect.isawaitable(closing):
        await closing


async def alone(value: T) -> AsyncGenerator[T, None]:
    """Yield one value."""
    yield value


async def in_thread(function: Callable[..., T], *given: Any) -> T:
    """Call a function in a thread; a StopIteration that it raises becomes what it does in a coroutine."""
    return await asyncio.to_thread(_without_stop, function, *given)


def _without_stop(function: Callable[..., T], *given: Any) -> T:
    try:  # who awaits would wait for ever, since no future can hold it
        return function(*given)
    except StopIteration as stop:
        raise RuntimeError("coroutine raised StopIteration") from stop


class InThreads:
    """A synchronous iterator as an asynchronous one, each value of which is fetched in a thread."""

    def __init__(self, values: Iterator[Any]) -> None:
        self._values: Any = values

    def __aiter__(self) -> Self:
        """Return the iterator."""
        return self

    async def __anext__(self) -> Any:
        """Return the next value."""
        return await _fetched(self._values.__next__)

    async def asend(self, given: Any) -> Any:
        """Send a value, and return the next one."""
        return await _fetched(self._values.send, given)

    async def athrow(self, error: BaseException) -> Any:
        """Throw an exception in, and return the next value."""
        if not hasattr(self._values, "throw"):
            raise error
        return await _fetched(self._values.throw, error)

    async def aclose(self) -> None:
        """Close what can be closed."""
        if hasattr(self._values, "close"):
            await asyncio.to_thread(self._values.close)


async def _fetched(fetch: Callable[..., Any], *given: Any) -> Any:
    value = await asyncio.to_thread(_or_end, fetch, *given)
    if value is _END:
        raise StopAsyncIteration
    return value


def _or_end(fetch: Callable[..., Any], *given: Any) -> Any:
    try:  # no future can hold the exception that says that it is the end
        return fetch(*given)
    except StopIteration:
        return _END
