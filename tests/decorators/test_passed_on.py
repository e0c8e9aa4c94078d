"""``astream`` hands on to the body what its consumer asks for: to close, to take a value, to take an exception."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from typing_extensions import Self

from chainspan import OtelHandler, chain, llm

Open = Callable[..., Any]


@chain
async def words(log: list[str]) -> Any:
    """Say what comes in, and clean up slowly."""
    try:
        log.append(f"sent {(yield 'a')}")
        try:
            yield "b"
        except KeyError:
            yield "caught"
    finally:
        await asyncio.sleep(0.001)
        log.append("cleaned up")


@chain
def sync_words(log: list[str]) -> Generator[str, str, None]:
    """Do it in a synchronous generator."""
    try:
        log.append(f"sent {(yield 'a')}")
        try:
            yield "b"
        except KeyError:
            yield "caught"
    finally:
        log.append("cleaned up")


@llm
async def model(log: list[str]) -> Any:
    """Return a generator that does."""
    return words.__wrapped__(log)


@chain
async def same(log: list[str]) -> list[str]:
    """Stand before it in a sequence."""
    return log


@pytest.fixture(params=["untraced", "traced"])
def callbacks(request: pytest.FixtureRequest, handler: OtelHandler) -> list[Any]:
    """Who listens, if anybody does."""
    return [handler] if request.param == "traced" else []


STEPS = pytest.mark.parametrize(
    "step", [words, sync_words, model, same | words], ids=["async generator", "generator", "model", "sequence"]
)


@STEPS
async def test_close(step: Any, callbacks: list[Any]) -> None:
    """The body has cleaned up when the closing is over."""
    log: list[str] = []
    stream = step.astream(log, callbacks=callbacks)
    assert await anext(stream) == "a"

    await stream.aclose()

    assert log == ["cleaned up"]


@STEPS
async def test_send_and_throw(step: Any, callbacks: list[Any]) -> None:
    """What is sent and thrown reaches the body, and what it lets pass comes back."""
    log: list[str] = []
    stream = step.astream(log, callbacks=callbacks)

    assert [await anext(stream), await stream.asend("x"), await stream.athrow(KeyError())] == ["a", "b", "caught"]
    with pytest.raises(ValueError, match="thrown"):
        await stream.athrow(ValueError("thrown"))
    assert log == ["sent x", "cleaned up"]


@STEPS
async def test_read_to_the_end(step: Any, callbacks: list[Any]) -> None:
    """Who only reads gets all of it."""
    log: list[str] = []

    assert [word async for word in step.astream(log, callbacks=callbacks)] == ["a", "b"]
    assert log == ["sent None", "cleaned up"]


async def test_clean_up_that_fails(callbacks: list[Any], memory: InMemorySpanExporter) -> None:
    """Its exception is the consumer's, and how the run ended."""

    @chain
    async def step() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            raise KeyError("clean-up")

    stream: Any = step.astream(callbacks=callbacks)
    await anext(stream)
    with pytest.raises(KeyError, match="clean-up"):
        await stream.aclose()

    outcomes = [dict(span.attributes or {})["chainspan.run.outcome"] for span in memory.get_finished_spans()]
    assert outcomes == ["error"] * len(callbacks)


async def test_nothing_runs_before_it_is_read(callbacks: list[Any]) -> None:
    """To ask for a stream is not to begin it, whatever it is given."""
    stream: Any = (same | words).astream(callbacks=callbacks)

    with pytest.raises(TypeError, match="log"):
        await anext(stream)


class ClientStream:
    """A stream of a client's, which is closed in a way of its own."""

    def __init__(self) -> None:
        self.closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        return "a"

    async def close(self) -> None:
        """Note it."""
        self.closed = True


class Unclosable:
    """A stream that can only be read."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        return "a"


async def test_stream_of_a_client(callbacks: list[Any]) -> None:
    """It is closed too, and what is thrown ends it, as it takes nothing."""
    made = ClientStream()

    @llm
    async def step() -> ClientStream:
        return made

    stream: Any = step.astream(callbacks=callbacks)
    assert await anext(stream) == "a"
    await stream.aclose()
    assert made.closed

    stream = step.astream(callbacks=callbacks)
    assert await anext(stream) == "a"
    with pytest.raises(KeyError):
        await stream.athrow(KeyError())


@pytest.mark.parametrize("make", [Unclosable, lambda: iter("abc")], ids=["asynchronous", "synchronous"])
async def test_stream_that_can_only_be_read(make: Open, callbacks: list[Any]) -> None:
    """To close it, or to throw into it, is to read no more."""
    step = llm(make)

    stream: Any = step.astream(callbacks=callbacks)
    assert await anext(stream) == "a"
    await stream.aclose()
    assert [word async for word in stream] == []

    stream = step.astream(callbacks=callbacks)
    assert await anext(stream) == "a"
    with pytest.raises(KeyError):
        await stream.athrow(KeyError())


@pytest.mark.parametrize("way", ["__call__", "astream"])
def test_loop_that_ends_before_the_stream(way: str, handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """The loop closes what is left once, and the body cleans up inside its run."""
    log: list[str] = []
    faults: list[Any] = []
    held: list[Any] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        for _ in range(5):  # the loop closes them in any order
            held.append(getattr(traced, way)(log))
            await anext(held[-1])

    traced = words.with_config(callbacks=[handler])
    asyncio.run(main())

    assert log == ["cleaned up"] * 5
    assert faults == []
    outcomes = [dict(span.attributes or {})["chainspan.run.outcome"] for span in memory.get_finished_spans()]
    assert outcomes == ["abandoned"] * 5
