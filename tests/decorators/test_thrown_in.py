"""An exception that a consumer throws in, or that a part of a batch raises, is kept by nobody once it is handled."""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from chainspan import OtelHandler, chain, llm


class WentWrongError(Exception):
    """What is thrown; it holds what its traceback's frames hold, such as a request."""


class Seen:
    """Makes errors, and knows whether the last one is still there without the collector having run."""

    def __init__(self) -> None:
        self._last: Callable[[], Any] = lambda: None

    def error(self) -> WentWrongError:
        """Return an error."""
        made = WentWrongError()
        self._last = weakref.ref(made)
        return made

    @property
    def is_gone(self) -> bool:
        """Whether nobody holds the last error."""
        return self._last() is None


@pytest.fixture
def seen() -> Iterator[Seen]:
    """Errors, while the garbage collector is off."""
    gc.disable()
    yield Seen()
    gc.enable()


def give() -> Iterator[str]:
    """Let pass what is thrown in."""
    yield "a"


def catch() -> Iterator[str]:
    """Catch what is thrown in, and go on."""
    with contextlib.suppress(WentWrongError):
        yield "a"
    yield "b"


async def agive() -> AsyncIterator[str]:
    """Let pass what is thrown in."""
    yield "a"


async def acatch() -> AsyncIterator[str]:
    """Catch what is thrown in, and go on."""
    with contextlib.suppress(WentWrongError):
        yield "a"
    yield "b"


@llm
def answer(body: Callable[[], Any]) -> Any:
    """Return a stream."""
    return body()


def opened(body: Callable[[], Any], handler: OtelHandler) -> list[Callable[[], Any]]:
    """Return ways to open a traced stream of a generator."""

    def call() -> Any:
        return chain(body)()

    return [
        lambda: chain(body).stream(callbacks=[handler]),
        lambda: chain(body).astream(callbacks=[handler]),
        lambda: answer.invoke(body, callbacks=[handler]),
        lambda: chain(call).invoke(callbacks=[handler]),
    ]


@pytest.mark.parametrize("way", [0, 2, 3])
@pytest.mark.parametrize("body", [give, catch])
def test_generators(body: Callable[[], Any], way: int, seen: Seen, handler: OtelHandler) -> None:
    """Neither a generator's frame nor a stream's holds it."""
    stream = opened(body, handler)[way]()
    next(stream)
    with contextlib.suppress(WentWrongError):
        stream.throw(seen.error())

    assert seen.is_gone


@pytest.mark.parametrize("way", [1, 2, 3])
@pytest.mark.parametrize("body", [agive, acatch])
async def test_async_generators(body: Callable[[], Any], way: int, seen: Seen, handler: OtelHandler) -> None:
    """So it is with asynchronous ones."""
    stream = opened(body, handler)[way]()
    await stream.__anext__()
    with contextlib.suppress(WentWrongError):
        await stream.athrow(seen.error())

    assert seen.is_gone


def test_batches_and_rows(seen: Seen, handler: OtelHandler) -> None:
    """The threads' results are not kept with the error that one of them is."""

    @chain
    def fail(_: int) -> None:
        raise seen.error()

    with contextlib.suppress(WentWrongError):
        fail.batch([1], callbacks=[handler])
    assert seen.is_gone

    with contextlib.suppress(WentWrongError):
        (chain(abs) | {"failed": fail}).invoke(1, callbacks=[handler])
    assert seen.is_gone
