"""The ways to run a Runnable, so that one scenario can be played in each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from langchain_core.runnables import Runnable

__all__ = ["ALL", "ASYNC", "CALLS", "SYNC_ASYNC", "Mode", "modes"]


class Mode(NamedTuple):
    """A way to run a Runnable with an input and a config; an async one returns an awaitable."""

    name: str
    run: Callable[..., Any]
    is_async: bool = False


def _invoke(runnable: Runnable[Any, Any], given: Any, config: Any, **options: Any) -> Any:
    return runnable.invoke(given, config, **options)


async def _ainvoke(runnable: Runnable[Any, Any], given: Any, config: Any, **options: Any) -> Any:
    return await runnable.ainvoke(given, config, **options)


def _stream(runnable: Runnable[Any, Any], given: Any, config: Any, **options: Any) -> Any:
    return list(runnable.stream(given, config, **options))


async def _astream(runnable: Runnable[Any, Any], given: Any, config: Any, **options: Any) -> Any:
    return [chunk async for chunk in runnable.astream(given, config, **options)]


def _transform(runnable: Runnable[Any, Any], given: Any, config: Any, **options: Any) -> Any:
    return list(runnable.transform(iter([given]), config, **options))


async def _atransform(runnable: Runnable[Any, Any], given: Any, config: Any, **options: Any) -> Any:
    async def one() -> Any:
        yield given

    return [chunk async for chunk in runnable.atransform(one(), config, **options)]


async def _events(runnable: Runnable[Any, Any], given: Any, config: Any, **options: Any) -> Any:
    stream = runnable.astream_events(given, config, version="v2", **options)
    return [(event["event"], event["name"]) async for event in stream]


async def _log(runnable: Runnable[Any, Any], given: Any, config: Any, **options: Any) -> Any:
    return [op async for patch in runnable.astream_log(given, config, **options) for op in patch.ops]


def _batch(runnable: Runnable[Any, Any], given: Any, config: Any, **options: Any) -> Any:
    return runnable.batch([given], config, **options)


async def _abatch(runnable: Runnable[Any, Any], given: Any, config: Any, **options: Any) -> Any:
    return await runnable.abatch([given], config, **options)


CALLS = [
    Mode("invoke", _invoke),
    Mode("ainvoke", _ainvoke, is_async=True),
    Mode("stream", _stream),
    Mode("astream", _astream, is_async=True),
]
SYNC_ASYNC = CALLS[:2]
ASYNC = [CALLS[1], CALLS[3]]
ALL = [
    *CALLS,
    Mode("batch", _batch),
    Mode("abatch", _abatch, is_async=True),
    Mode("transform", _transform),
    Mode("atransform", _atransform, is_async=True),
    Mode("astream_events", _events, is_async=True),
    Mode("astream_log", _log, is_async=True),
]


def modes(which: list[Mode]) -> pytest.MarkDecorator:
    """Play a test once in each of these modes."""
    return pytest.mark.parametrize("mode", which, ids=lambda mode: mode.name)
