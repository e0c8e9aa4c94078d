"""The frame that caused a callback is found the short way, and is the one that the whole way leads to."""

from __future__ import annotations

import _thread
import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import FakeListChatModel, FakeListLLM
from langchain_core.prompts import PromptTemplate
from opentelemetry.sdk.trace import TracerProvider

from chainspan import OtelHandler, _lifecycle, _stack
from chainspan import chain as traced_chain

Found = list[tuple[FrameType | None, FrameType | None]]


class Overriding(OtelHandler):
    """A user's own, a frame further from LangChain."""

    def on_chain_start(self, *args: Any, **kwargs: Any) -> None:
        """Do as the base does."""
        super().on_chain_start(*args, **kwargs)


EVENTS = ("chain_start", "chain_end", "chat_model_start", "llm_start", "llm_new_token", "llm_end")


class Delegating(BaseCallbackHandler):
    """A handler of somebody else's that hands on what it is told."""

    run_inline = True

    def __init__(self, to: OtelHandler) -> None:
        for event in EVENTS:
            setattr(self, f"on_{event}", self._handing_on(getattr(to, f"on_{event}")))

    def _handing_on(self, callback: Callable[..., object]) -> Callable[..., object]:
        def hand_on(*args: Any, **kwargs: Any) -> object:
            return callback(*args, **kwargs)

        return hand_on


PROMPT = PromptTemplate.from_template("{x}")
CHAT, TEXT = PROMPT | FakeListChatModel(responses=["a"]), PROMPT | FakeListLLM(responses=["a"])


@traced_chain
def _decorated(number: int) -> int:
    return number


async def _consume(stream: Any) -> None:
    async for _ in stream:
        pass


WAYS: dict[str, Callable[[Any], object]] = {
    "invoke": lambda given: CHAT.invoke({"x": 1}, given),
    "stream": lambda given: list(TEXT.stream({"x": 1}, given)),
    "batch": lambda given: CHAT.batch([{"x": 1}, {"x": 2}], given),
    "ainvoke": lambda given: asyncio.run(CHAT.ainvoke({"x": 1}, given)),
    "ainvoke of a text model": lambda given: asyncio.run(TEXT.ainvoke({"x": 1}, given)),
    "astream": lambda given: asyncio.run(_consume(CHAT.astream({"x": 1}, given))),
    "decorated": lambda given: _decorated.invoke(1, callbacks=given["callbacks"]),
}


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Iterator[Found]:
    """Return what was found by the short way and by the whole one, of each run that starts."""
    both: Found = []
    real = _stack.starter_above

    def by_both_ways(depth: int) -> FrameType | None:
        both.append((real(depth + 1), _stack.starter(sys._getframe(depth + 1))))
        return both[-1][0]

    monkeypatch.setattr(_lifecycle, "starter_above", by_both_ways)
    yield both
    both.clear()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("made", ["as it is", "overridden", "handed on"])
def test_the_short_way_leads_where_the_whole_one_does(found: Found, way: str, made: str) -> None:
    """However a callback is dispatched, and however many frames of others stand in between."""
    handler = (Overriding if made == "overridden" else OtelHandler)(tracer_provider=TracerProvider())

    WAYS[way]({"callbacks": [Delegating(handler) if made == "handed on" else handler]})

    assert found
    assert all(short is whole for short, whole in found)
    assert handler.in_flight() == []


def test_a_stack_that_is_not_deep(found: Found) -> None:
    """A callback that is called by hand, with nothing around it, is started by nobody."""
    handler = OtelHandler(tracer_provider=TracerProvider())

    _thread.start_new_thread(handler.on_chain_start, ({}, {}), {"run_id": uuid4()})

    for _ in range(1_000):
        if found:
            break
        time.sleep(0.01)
    assert found == [(None, None)]
