"""Streams that are closed by a name which they do not have themselves: asking for it first is not to be a trap."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from typing_extensions import Self

from chainspan import OtelHandler, chain, llm

from ._told import attributes_of


class Pieces:
    """An iterator and nothing else."""

    def __iter__(self) -> Self:
        """Return it."""
        return self

    def __next__(self) -> str:
        """Return a piece."""
        return "a"


class AsyncPieces:
    """The same in asynchronous code."""

    def __aiter__(self) -> Self:
        """Return it."""
        return self

    async def __anext__(self) -> str:
        """Return a piece."""
        return "a"


class Closable(AsyncPieces):
    """One that is closed as the streams of OpenAI's client are."""

    closed = False

    async def close(self) -> None:
        """Close it."""
        self.closed = True


class Aclosable(AsyncPieces):
    """One that is closed as a generator is, in synchronous code."""

    closed = False

    def aclose(self) -> None:
        """Close it."""
        self.closed = True


def test_iterator(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """An iterator that cannot be closed is left when it is."""

    @llm(callbacks=[handler])
    def model(prompt: str) -> Iterator[str]:
        return Pieces()

    stream: Any = model("x")
    assert next(stream) == "a"
    stream.close()

    assert attributes_of(memory)["chainspan.run.outcome"] == "abandoned"


@pytest.mark.parametrize("name", ["close", "aclose"])
@pytest.mark.parametrize("kind", [AsyncPieces, Closable, Aclosable])
async def test_async_iterator(kind: Any, name: str, handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """An asynchronous one is closed by the name that it has, whichever it is closed by."""
    made: AsyncPieces = kind()

    @llm(callbacks=[handler])
    async def model(prompt: str) -> AsyncIterator[str]:
        return made

    stream: Any = await model("x")
    assert await anext(stream) == "a"
    await getattr(stream, name)()

    assert attributes_of(memory)["chainspan.run.outcome"] == "abandoned"
    assert getattr(made, "closed", True)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="closing a generator returns nothing before Python 3.13")
def test_what_a_closed_generator_returns(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """It is the caller's, inside a traced run as outside, and the run was left all the same."""

    @chain
    def total() -> Generator[int, None, int]:
        try:
            yield 1
        except GeneratorExit:
            return 7
        return 0

    @chain
    def leave() -> Any:
        numbers = total()
        next(numbers)
        return numbers.close()  # type: ignore[func-returns-value,unused-ignore]

    assert leave() == leave.invoke(callbacks=[handler]) == 7
    left, _ = memory.get_finished_spans()
    assert (left.name, (left.attributes or {})["chainspan.run.outcome"]) == ("total", "abandoned")
