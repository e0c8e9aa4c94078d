"""Generators that a model's function returns: whatever the consumer does with one is done inside the run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import suppress
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chainspan import OtelHandler, chain, llm

PIECES = ["a", "b", "c"]


@chain
def mark(name: str) -> None:
    """Be a step, by which it shows where a body ran."""


@llm
def model() -> Generator[str, str, None]:
    """Return a generator, which takes what is sent and what is thrown."""

    def answer() -> Generator[str, str, None]:
        try:
            sent = yield "a"
            mark(name="goes on")
            with suppress(KeyError):
                yield sent or "b"
            yield "c"
        finally:
            mark(name="cleans up")

    return answer()


@llm
async def amodel() -> AsyncGenerator[str, str]:
    """Return an asynchronous one."""

    async def answer() -> AsyncGenerator[str, str]:
        try:
            sent = yield "a"
            await asyncio.sleep(0)
            mark(name="goes on")
            with suppress(KeyError):
                yield sent or "b"
            yield "c"
        finally:
            await asyncio.sleep(0)
            mark(name="cleans up")

    return answer()


def trace(memory: InMemorySpanExporter) -> list[tuple[object, object]]:
    """Return each run with the one above it, or with how it ended."""
    spans = memory.get_finished_spans()
    names = {span.context.span_id: span.name for span in spans if span.context}
    outcomes = [dict(span.attributes or {}).get("chainspan.run.outcome", "ok") for span in spans]
    above = [names.get(span.parent.span_id) if span.parent else None for span in spans]
    return [(span.name, where or how) for span, where, how in zip(spans, above, outcomes, strict=True)]


INSIDE = [("mark", "chat")]


def test_sent_to(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """What is sent reaches the body, which goes on inside its run."""
    stream: Any = model.invoke(callbacks=[handler])

    assert [next(stream), stream.send("sent"), *stream] == ["a", "sent", "c"]
    assert trace(memory) == [*INSIDE * 2, ("chat", "ok")]


async def test_async_sent_to(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """So it is with an asynchronous one."""
    stream: Any = await amodel.ainvoke(callbacks=[handler])

    assert [await anext(stream), await stream.asend("sent")] == ["a", "sent"]
    assert [piece async for piece in stream] == ["c"]
    assert trace(memory) == [*INSIDE * 2, ("chat", "ok")]


def test_thrown_into(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """What the body catches lets it go on, and what it does not catch is how the run ended."""
    stream: Any = model.invoke(callbacks=[handler])

    assert [next(stream), next(stream), stream.throw(KeyError())] == PIECES
    with pytest.raises(ValueError, match="thrown"):
        stream.throw(ValueError("thrown"))

    assert trace(memory) == [*INSIDE * 2, ("chat", "error")]


async def test_async_thrown_into(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """So it is with an asynchronous one."""
    stream: Any = await amodel.ainvoke(callbacks=[handler])

    assert [await anext(stream), await anext(stream), await stream.athrow(KeyError())] == PIECES
    with pytest.raises(ValueError, match="thrown"):
        await stream.athrow(ValueError("thrown"))

    assert trace(memory) == [*INSIDE * 2, ("chat", "error")]


def test_closed(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """The body cleans up inside its run, which is abandoned; closing it again is nothing."""
    stream: Any = model.invoke(callbacks=[handler])
    next(stream)
    stream.close()
    stream.close()

    assert trace(memory) == [*INSIDE, ("chat", "abandoned")]


async def test_async_closed(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """So it is with an asynchronous one."""
    stream: Any = await amodel.ainvoke(callbacks=[handler])
    await anext(stream)
    await stream.aclose()
    await stream.aclose()

    assert trace(memory) == [*INSIDE, ("chat", "abandoned")]


async def test_clean_up_that_fails(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """An exception of the clean-up is the consumer's, and how the run ended."""

    def answer() -> Generator[str, None, None]:
        try:
            yield "a"
        finally:
            raise KeyError("clean-up")

    async def answer_too() -> AsyncGenerator[str, None]:
        try:
            yield "a"
        finally:
            raise KeyError("clean-up")

    @llm
    def failing() -> Generator[str, None, None]:
        return answer()

    @llm
    def failing_too() -> AsyncGenerator[str, None]:
        return answer_too()

    stream: Any = failing.invoke(callbacks=[handler])
    next(stream)
    with pytest.raises(KeyError, match="clean-up"):
        stream.close()
    stream = failing_too.invoke(callbacks=[handler])
    await anext(stream)
    with pytest.raises(KeyError, match="clean-up"):
        await stream.aclose()

    assert trace(memory) == [("chat", "error")] * 2


@pytest.mark.parametrize("make", [lambda: iter("abc"), lambda: map(str, "abc")], ids=["iterator", "map"])
def test_only_generators_can_be_sent_to(make: Callable[[], Any], handler: OtelHandler) -> None:
    """A stream has the methods that it had."""
    stream: Any = llm(make).invoke(callbacks=[handler])

    assert not hasattr(stream, "send")
    assert not hasattr(stream, "throw")
    assert [*stream] == PIECES


def test_handed_on(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """A generator that hands it on hands on what is sent, too."""

    def outer(stream: Any) -> Any:
        yield from stream

    stream: Any = outer(model.invoke(callbacks=[handler]))

    assert [next(stream), stream.send("sent"), *stream] == ["a", "sent", "c"]
    assert trace(memory) == [*INSIDE * 2, ("chat", "ok")]
