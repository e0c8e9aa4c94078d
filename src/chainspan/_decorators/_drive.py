"""The frames that stand around a body while it runs, and only then.

A function, a coroutine, a generator and an asynchronous generator each have one, a wrapper
has one for itself and one for the coroutine that it hands on. The scope
knows them (`chainspan._stack.starter`): what they are on the stack of is inside the run.
Nothing else may be defined here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from typing import Any, TypeVar

from ._passing import beginning
from ._run import Inside, Run
from ._streaming import traced_stream
from ._undone import Unawaited

__all__ = ["acall", "agenerate", "call", "call_wrapper", "generate"]

T = TypeVar("T")
V = TypeVar("V")


def call(run: Run, body: Callable[[], T]) -> T:
    """Run a function's body."""
    try:
        run.start()
        with Inside(run):
            value = body()
    except BaseException as error:
        run.fail(error)
        raise
    if run.is_model and (streamed := traced_stream(run, value)) is not None:
        return streamed
    run.end(value)
    return value


async def acall(run: Run, body: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine's body."""
    try:
        await run.astart()
        with Inside(run):
            value = await body()
    except BaseException as error:
        await run.afail(error)
        raise
    if run.is_model and (streamed := traced_stream(run, value)) is not None:
        return streamed
    await run.aend(value)
    return value


def call_wrapper(run: Run, body: Callable[[], Any]) -> Any:
    """Run the body of a wrapper, and what it hands on of that which it wraps."""
    try:
        run.start()
        with Inside(run):
            value = body()
    except BaseException as error:
        run.fail(error)
        raise
    if isinstance(value, Coroutine):
        return _awaited(run, value, Unawaited(run))
    is_undone = isinstance(value, (Generator, AsyncGenerator))
    if (run.is_model or is_undone) and (streamed := traced_stream(run, value)) is not None:
        return streamed
    run.end(value)
    return value


async def _awaited(run: Run, undone: Coroutine[Any, Any, T], unawaited: Unawaited) -> T:
    """Run a coroutine, whose run has been started."""
    unawaited.is_awaited()
    try:
        with Inside(run):
            value = await undone
    except BaseException as error:
        await run.afail(error)
        raise
    if run.is_model and (streamed := traced_stream(run, value)) is not None:
        return streamed
    await run.aend(value)
    return value


def generate(run: Run, body: Callable[[], Generator[T, Any, V]]) -> Generator[T, Any, V]:  # noqa: PLR0915 - a protocol
    """Run a generator's body, from one value to the next."""
    try:
        run.start()
        with Inside(run):
            values: Any = body()
        advance: Callable[[Any], T] = values.send
        given: Any = None
        while True:
            try:
                with Inside(run):
                    value = advance(given)
            except StopIteration as stop:
                run.end_stream()
                returned: V = stop.value
                return returned
            finally:
                given = None  # an exception would be kept by its own traceback
            run.take(value)
            try:
                advance, given = values.send, (yield value)
            except GeneratorExit as closed:
                with Inside(run):
                    left: V | None = values.close()
                if left is None:
                    raise
                run.fail(closed)
                return left  # which `close` returns, from Python 3.13 on
            except BaseException as error:  # noqa: BLE001 - thrown in by the consumer, for the body
                advance, given = values.throw, error
    except BaseException as error:
        run.fail(error)
        raise


async def agenerate(run: Run, body: Callable[[], AsyncGenerator[T, Any]]) -> AsyncGenerator[T, Any]:
    """Run an asynchronous generator's body, from one value to the next."""
    try:
        await run.astart()
        with Inside(run):
            values = body()
        advance: Callable[[Any], Awaitable[T]] = beginning(values)
        given: Any = None
        while True:
            try:
                with Inside(run):
                    value = await advance(given)
            except StopAsyncIteration:
                await run.aend_stream()
                return
            finally:
                given = None
            await run.atake(value)
            try:
                advance, given = values.asend, (yield value)
            except GeneratorExit:
                with Inside(run):
                    await values.aclose()
                raise
            except BaseException as error:  # noqa: BLE001 - thrown in by the consumer, for the body
                advance, given = values.athrow, error
    except BaseException as error:
        await run.afail(error)
        raise
