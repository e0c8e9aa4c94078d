"""Streams that a model's function returns: objects of the providers' clients, and generators.

The body is over when it returns one, and the answer has yet to come. So the stream is
handed on with its run, which stays open until the stream is at its end, closed or dropped.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from typing_extensions import Self

from ._run import Inside, Run

__all__ = ["traced_stream"]

T = TypeVar("T")

_HELD = "stream"  # where Bedrock's response holds its stream


def traced_stream(run: Run, value: T) -> T | None:
    """Return a model's streamed answer, watched, which passes for the same; None for anything else."""
    return cast("T | None", _watched(run, value))


def _watched(run: Run, value: Any) -> Any:
    if isinstance(value, Iterator):
        return (TracedGenerator if isinstance(value, Generator) else TracedStream)(run, value, value)
    if isinstance(value, AsyncIterator):
        return (AsyncTracedGenerator if isinstance(value, AsyncGenerator) else AsyncTracedStream)(run, value)
    if isinstance(value, Mapping) and "ResponseMetadata" in value and isinstance(value.get(_HELD), Iterable):
        stream: Any = value[_HELD]
        return {**value, _HELD: TracedStream(run, stream, iter(stream))}
    return None


class _Watched:
    """What both streams share: they pass for the stream that they stand for."""

    def __init__(self, run: Run, stream: Any) -> None:
        self._run = run
        self._stream = stream

    if not TYPE_CHECKING:  # a type checker takes a class for what it is

        @property
        def __class__(self) -> type:
            """The class of the stream itself, for ``isinstance``."""
            return type(self._stream)

    def __getattr__(self, name: str) -> Any:
        """Answer for what else the stream has."""
        return getattr(self._stream, name)

    def __del__(self) -> None:
        """End the run of a stream that was dropped before its end."""
        self._leave()

    def _while_open(self) -> AbstractContextManager[None]:
        """Stand around the closing of the stream, which is the run's where that has not ended."""
        return Inside(self._run) if self._run.is_open else nullcontext()

    def _leave(self) -> None:
        if self._run.is_open:
            self._run.fail(GeneratorExit())


class TracedStream(_Watched):
    """A streamed answer, whose run is current while the next piece of it is read."""

    def __init__(self, run: Run, stream: Any, pieces: Iterator[Any]) -> None:
        super().__init__(run, stream)
        self._pieces = pieces

    def __iter__(self) -> Self:
        """Return the stream."""
        return self

    def __next__(self) -> Any:
        """Return the next piece."""
        return self._next(self._pieces.__next__)

    def _next(self, advance: Callable[..., Any], *given: Any) -> Any:
        try:
            with Inside(self._run):
                piece = advance(*given)
        except StopIteration:
            self._run.end_stream()
            raise
        except BaseException as error:
            self._run.fail(error)
            raise
        finally:
            del given  # an exception would be kept by its own traceback
        self._run.take(piece)
        return piece

    def __enter__(self) -> Self:
        """Enter the stream."""
        if hasattr(self._stream, "__enter__"):
            self._stream.__enter__()
        return self

    def __exit__(self, *raised: object) -> Any:
        """Leave the stream, read to its end or not."""
        try:
            return self._stream.__exit__(*raised) if hasattr(self._stream, "__exit__") else None
        finally:
            self._leave()

    def close(self) -> None:
        """Close the stream, if that can be."""
        try:
            with self._while_open():
                if hasattr(self._stream, "close"):
                    self._stream.close()
        except BaseException as error:
            self._run.fail(error)
            raise
        self._leave()


class TracedGenerator(TracedStream):
    """A generator that answers, which its consumer may send to and throw into."""

    def send(self, given: Any) -> Any:
        """Send a value, and return the next piece."""
        return self._next(self._stream.send, given)

    def throw(self, *error: Any) -> Any:
        """Throw an exception in, and return the next piece."""
        try:
            return self._next(self._stream.throw, *error)
        finally:
            del error


class AsyncTracedStream(_Watched):
    """A streamed answer of an asynchronous client."""

    def __aiter__(self) -> Self:
        """Return the stream."""
        return self

    async def __anext__(self) -> Any:
        """Return the next piece."""
        return await self._next(self._stream.__anext__)

    async def _next(self, advance: Callable[..., Awaitable[Any]], *given: Any) -> Any:
        try:
            with Inside(self._run):
                piece = await advance(*given)
        except StopAsyncIteration:
            await self._run.aend_stream()
            raise
        except BaseException as error:
            await self._run.afail(error)
            raise
        finally:
            del given
        await self._run.atake(piece)
        return piece

    async def __aenter__(self) -> Self:
        """Enter the stream."""
        if hasattr(self._stream, "__aenter__"):
            await self._stream.__aenter__()
        return self

    async def __aexit__(self, *raised: object) -> Any:
        """Leave the stream, read to its end or not."""
        try:
            return await self._stream.__aexit__(*raised) if hasattr(self._stream, "__aexit__") else None
        finally:
            self._leave()

    async def close(self) -> None:
        """Close the stream, if that can be."""
        await self._close("close", "aclose")

    async def aclose(self) -> None:
        """Close the stream; the name that generators have for it."""
        await self._close("aclose", "close")

    async def _close(self, *names: str) -> None:
        close = next((found for name in names if (found := getattr(self._stream, name, None)) is not None), None)
        try:
            with self._while_open():
                closing = None if close is None else close()
                if isawaitable(closing):
                    await closing
        except BaseException as error:
            await self._run.afail(error)
            raise
        self._leave()


class AsyncTracedGenerator(AsyncTracedStream):
    """An asynchronous generator that answers, which its consumer may send to and throw into."""

    async def asend(self, given: Any) -> Any:
        """Send a value, and return the next piece."""
        return await self._next(self._stream.asend, given)

    async def athrow(self, *error: Any) -> Any:
        """Throw an exception in, and return the next piece."""
        try:
            return await self._next(self._stream.athrow, *error)
        finally:
            del error
