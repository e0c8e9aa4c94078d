"""Runs whose start LangChain reports and whose end it does not: cut off in between, or broken off by a handler."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.graph import START, StateGraph
from typing_extensions import override

from ._bench import Bench, Observation
from ._modes import ALL, CALLS, Mode, modes
from ._stage import Stage
from ._trees import label
from .test_cancellation import Hang, Slow, cancelled
from .test_chains import PARSER, PROMPT, WORD
from .test_graphs import EMPTY, State

OUTCOME = "chainspan.run.outcome"


def outcomes(seen: Observation) -> dict[str, Any]:
    """Return the outcome of each run that did not end well, by its label."""
    found = {label(span): (span.attributes or {}).get(OUTCOME) for span in seen.spans}
    return {name: outcome for name, outcome in found.items() if outcome not in (None, "ok")}


@pytest.mark.parametrize("part", ["model", "tool"])
def test_cut_off_in_a_body_that_ends_well(bench: Bench, part: str) -> None:
    """A model or a tool that an expired timeout cuts off is cancelled, also where its body returns at once then."""

    async def scenario(stage: Stage) -> None:
        hang = Hang()
        slow: Any = stage.model(inside=hang) if part == "model" else stage.tool("look", hang)

        async def body(word: str) -> str:
            working = asyncio.current_task()
            asyncio.ensure_future(hang.begun.wait()).add_done_callback(lambda _: working and working.cancel())
            with suppress(asyncio.CancelledError):
                await slow.ainvoke(word if part == "model" else {"q": word})
            return "too late"

        await RunnableLambda(body, name="body").ainvoke("hi", stage.config)
        stage.mark("native:afterwards")

    run = {"model": "llm:m1", "tool": "tool:look"}[part]
    seen = bench.check(
        scenario,
        f"""
        chain:body
          {run}
            native:{run.replace("llm", "model")}
        native:afterwards
        """,
        without="A",  # LangChain itself tells nobody of the end
    )

    assert outcomes(seen) == {run: "cancelled"}


CUT_OFF = ("cancelled", "abandoned")  # which of both depends on the task that `wait_for` makes on some Pythons


class Unforeseen(Exception):  # noqa: N818 (it is no error of ours)
    """What fallbacks do not handle."""


def fallbacks(work: Callable[[str], Any]) -> Any:
    """Return what tries one thing, and then what does a piece of work."""

    def fail(_: str) -> str:
        raise ValueError

    return RunnableLambda(fail, name="first").with_fallbacks(
        [RunnableLambda(work, name="second")], exceptions_to_handle=(ValueError,)
    )


def batched(step: Any, ends: type[BaseException], *, in_body: bool) -> Callable[[Stage], Any]:
    """Return a scenario in which an ``abatch`` of one item ends by an exception, alone or in a body."""

    async def call(config: Any) -> None:
        with suppress(ends):
            await asyncio.wait_for(step.abatch(["x"], config), 0.05)

    async def scenario(stage: Stage) -> None:
        async def body(word: str) -> str:
            await call(None)
            return word

        await (RunnableLambda(body, name="body").ainvoke("x", stage.config) if in_body else call(stage.config))
        await asyncio.sleep(0.3)
        stage.mark("native:afterwards")

    return scenario


BATCHED = """
    chain:RunnableWithFallbacks
      chain:first
      chain:second
    native:afterwards
"""
BATCHED_IN_BODY = """
    chain:body
      chain:RunnableWithFallbacks
        chain:first
        chain:second
    native:afterwards
"""


@pytest.mark.parametrize(("in_body", "tree"), [(False, BATCHED), (True, BATCHED_IN_BODY)], ids=["alone", "in a body"])
def test_fallbacks_cut_off_in_an_abatch(bench: Bench, in_body: bool, tree: str) -> None:
    """LangChain reports no end of fallbacks in an ``abatch`` that a timeout cuts off."""

    async def hang(_: str) -> None:
        await asyncio.sleep(30)

    seen = bench.check(batched(fallbacks(hang), asyncio.TimeoutError, in_body=in_body), tree)

    found = outcomes(seen)
    assert found.pop("chain:RunnableWithFallbacks") in CUT_OFF
    assert found == {"chain:first": "error", "chain:second": "cancelled"}


@pytest.mark.parametrize(("in_body", "tree"), [(False, BATCHED), (True, BATCHED_IN_BODY)], ids=["alone", "in a body"])
def test_fallbacks_that_fail_in_an_abatch(bench: Bench, in_body: bool, tree: str) -> None:
    """Nor does it where an exception is raised that is not theirs to handle."""

    async def fail(_: str) -> None:
        raise Unforeseen

    seen = bench.check(batched(fallbacks(fail), Unforeseen, in_body=in_body), tree)

    found = outcomes(seen)
    assert found.pop("chain:RunnableWithFallbacks") in CUT_OFF
    assert found == {"chain:first": "error", "chain:second": "error"}


# Cut off while a start is being reported.


@pytest.mark.parametrize("count", [0, 1, 2])
def test_events_left_at_the_first_ones(bench: Bench, count: int) -> None:
    """LangChain waits for its own handler while it reports the start of a chain, and is cut off there."""

    async def scenario(stage: Stage) -> None:
        first: Any = RunnableLambda(str, name="first")
        events = (first | stage.model()).astream_events("hi", stage.config, version="v2")
        for _ in range(count):
            await anext(events)
        if not count:
            pulling = asyncio.ensure_future(anext(events))
            for _ in range(2):  # one for the stream, one for the chain's task
                await asyncio.sleep(0)
            pulling.cancel()
            with suppress(asyncio.CancelledError):
                await pulling
        await events.aclose()
        stage.mark("native:afterwards")

    below = "chain:first" if count > 1 else ""
    seen = bench.check(
        scenario,
        f"""
        chain:RunnableSequence
          {below}
        native:afterwards
        """,
        without="A",  # how far a handler in a thread gets before the chain is cut off is a matter of luck
    )

    expected = ["chain:RunnableSequence", *([below] if below else [])]
    assert outcomes(seen) == dict.fromkeys(expected, "cancelled")


@pytest.mark.parametrize("name", ["RunnableSequence", "inner"])
def test_stream_cancelled_while_a_start_is_reported(bench: Bench, name: str) -> None:
    """So it is with a stream that is cancelled while another handler hears of a start."""

    async def scenario(stage: Stage) -> None:
        hang = Hang()
        inner: Any = RunnableLambda(str, name="inner")
        stream = (inner | PARSER).astream("x", {"callbacks": [*stage.callbacks, Slow(hang, name)]})

        async def consume() -> None:
            async for _ in stream:
                raise AssertionError

        await cancelled(stage, hang, consume())

    below = "chain:inner" if name == "inner" else ""
    seen = bench.check(
        scenario,
        f"""
        chain:RunnableSequence
          {below}
        native:afterwards
        """,
        without="A",  # whether a handler in a thread hears of the start before the cancellation is a matter of luck
    )

    assert outcomes(seen) == dict.fromkeys(["chain:RunnableSequence", *([below] if below else [])], "cancelled")


class SlowModels(AsyncCallbackHandler):
    """A user's handler that takes its time over the starts of models."""

    def __init__(self, hang: Hang) -> None:
        self._hang = hang

    @override
    async def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        """Hang."""
        await self._hang(None)


def test_streaming_model_cancelled_while_its_start_is_reported(bench: Bench) -> None:
    """So it is with a model that streams alone."""

    async def scenario(stage: Stage) -> None:
        hang = Hang()
        stream = stage.model().astream("hi", {"callbacks": [*stage.callbacks, SlowModels(hang)]})

        async def consume() -> None:
            async for _ in stream:
                raise AssertionError

        await cancelled(stage, hang, consume())

    seen = bench.check(scenario, "llm:m1\nnative:afterwards", without="A")  # see above

    assert outcomes(seen) == {"llm:m1": "cancelled"}


async def test_text_model_cut_off_in_events_while_its_start_is_reported() -> None:
    """So it is with a text model, whose start LangChain reports from a task of its own."""
    stage = Stage()
    model: Any = stage.llm()
    async with aclosing(model.astream_events("hi", {"callbacks": stage.handlers}, version="v2")) as events:
        await anext(events)
    del events
    for _ in range(10):
        await asyncio.sleep(0)
    gc.collect()

    assert [span.attributes["chainspan.run.outcome"] for span in stage.ledger.spans if span.attributes] == ["cancelled"]
    assert stage.ledger.faults() == []


def graph_of(stage: Stage) -> Any:
    """Return what a graph of one node is compiled from."""

    def ask(_: Any, config: RunnableConfig) -> dict[str, list[str]]:
        del config
        stage.mark("native:ask")
        return {"log": ["done"]}

    builder = StateGraph(State)
    step: Any = ask
    builder.add_node("ask", step)
    builder.add_edge(START, "ask")
    return builder


def graph(stage: Stage) -> Any:
    """Return a graph of one node."""
    return graph_of(stage).compile()


def test_graph_cancelled_while_its_start_is_reported(bench: Bench) -> None:
    """So it is with a graph."""

    async def scenario(stage: Stage) -> None:
        hang = Hang()
        config = {"callbacks": [*stage.callbacks, Slow(hang, "LangGraph")]}
        await cancelled(stage, hang, graph(stage).ainvoke(EMPTY, config))

    seen = bench.check(scenario, "chain:LangGraph\nnative:afterwards", without="A")  # see above

    assert outcomes(seen) == {"chain:LangGraph": "cancelled"}


@pytest.mark.parametrize("is_parallel", [False, True], ids=["alone", "beside another"])
def test_node_cut_off_in_events_while_its_start_is_reported(bench: Bench, is_parallel: bool) -> None:
    """For events LangGraph streams a node too; where these are left, it ends with the task that it streams in."""

    async def scenario(stage: Stage) -> None:
        hang = Hang()

        def other(_: Any) -> dict[str, list[str]]:
            return {"log": ["done"]}

        builder = graph_of(stage)
        if is_parallel:
            builder.add_node("other", other)
            builder.add_edge(START, "other")
        events = builder.compile().astream_events(
            EMPTY, {"callbacks": [*stage.callbacks, Slow(hang, "ask")]}, version="v2"
        )

        async def consume() -> None:
            async for _ in events:
                pass

        await cancelled(stage, hang, consume())

    below = "chain:other" if is_parallel else ""
    seen = bench.check(
        scenario,
        f"""
        chain:LangGraph
          chain:ask
          {below}
        native:afterwards
        """,
        without="A",  # see above
    )

    assert {*outcomes(seen).values()} == {"cancelled"}
    assert outcomes(seen).keys() >= {"chain:LangGraph", "chain:ask"}


# Broken off by another handler.


class Stop(Exception):  # noqa: N818 (it is no error)
    """What a handler stops a call with."""


class Budget(BaseCallbackHandler):
    """A handler that stops a call at the first event of a kind, as LangChain lets it."""

    raise_error = True
    run_inline = True

    def __init__(self, event: str) -> None:
        setattr(self, event, self._stop)

    def _stop(self, *_: Any, **__: Any) -> None:
        raise Stop


def before(stage: Stage, event: str) -> Any:
    """Return a config with a handler that stops the others from hearing of an event."""
    return {"callbacks": [Budget(event), *stage.callbacks]}


def after(stage: Stage, event: str) -> Any:
    """Return a config with a handler that stops a call of which the others have heard."""
    return {"callbacks": [*stage.callbacks, Budget(event)]}


def stopping(mode: Mode, call: Callable[[Stage], tuple[Any, Any, Any]], *, times: int = 1) -> Callable[[Stage], Any]:
    """Return a scenario in which calls, of something with an input and a config, are stopped by a handler."""

    def scenario(stage: Stage) -> None:
        for _ in range(times):
            with suppress(Stop):
                mode.run(*call(stage))
            stage.mark("native:afterwards")

    async def ascenario(stage: Stage) -> None:
        for _ in range(times):
            with suppress(Stop):
                await mode.run(*call(stage))
            stage.mark("native:afterwards")

    return ascenario if mode.is_async else scenario


def cut_off(mode: Mode) -> str:
    """Return how a model, a tool or a retriever ends: in a task that goes on, as if a timeout had cut it off."""
    return "cancelled" if mode.name == "ainvoke" else "abandoned"


EAGER = [mode for mode in ALL if mode.name not in ("astream_events", "astream_log")]


@modes(EAGER)
def test_stopped_at_its_start(bench: Bench, mode: Mode) -> None:
    """LangChain reports no end of a chain that a handler stops at its start, and its span ends at once."""
    scenario = stopping(mode, lambda stage: (PROMPT | stage.model(), WORD, after(stage, "on_chain_start")), times=2)

    seen = bench.check(scenario, "chain:RunnableSequence  x2\nnative:afterwards  x2")

    assert outcomes(seen) == {"chain:RunnableSequence": "abandoned"}


# LangChain has made ready to tell handlers in threads, and does not tell them.
@pytest.mark.filterwarnings("ignore:coroutine 'ahandle_event' was never awaited:RuntimeWarning")
@modes(CALLS)
def test_model_stopped_at_its_start(bench: Bench, mode: Mode) -> None:
    """Nor does it report that of a model."""
    scenario = stopping(mode, lambda stage: (stage.model(), "hi", after(stage, "on_chat_model_start")), times=2)

    seen = bench.check(scenario, "llm:m1  x2\nnative:afterwards  x2")

    assert outcomes(seen) == {"llm:m1": cut_off(mode)}


@modes(CALLS)
def test_model_stopped_at_its_end(bench: Bench, mode: Mode) -> None:
    """A handler that stops a model's end keeps it from those behind it."""
    scenario = stopping(mode, lambda stage: (stage.model(), "hi", before(stage, "on_llm_end")), times=2)

    seen = bench.check(
        scenario,
        """
        llm:m1  x2
          native:model:m1
        native:afterwards  x2
        """,
    )

    assert outcomes(seen) == {"llm:m1": cut_off(mode)}


@modes(CALLS)
def test_part_of_a_chain_stopped_at_its_end(bench: Bench, mode: Mode) -> None:
    """The part ends with the chain, of whose failure LangChain tells."""
    scenario = stopping(mode, lambda stage: (PROMPT | stage.model(), WORD, before(stage, "on_chain_end")))

    seen = bench.check(
        scenario,
        """
        chain:RunnableSequence
          prompt:ChatPromptTemplate
        native:afterwards
        """,
    )

    assert outcomes(seen) == {"chain:RunnableSequence": "error", "prompt:ChatPromptTemplate": "abandoned"}


@pytest.mark.parametrize("part", ["tool", "retriever"])
@modes(CALLS[:2])
def test_part_stopped_at_its_start(bench: Bench, mode: Mode, part: str) -> None:
    """Nor is there an end of a tool or a retriever that is stopped at its start."""

    def call(stage: Stage) -> tuple[Any, Any, Any]:
        config = after(stage, f"on_{part}_start")
        return (stage.tool(), {"q": "x"}, config) if part == "tool" else (stage.retriever(), "x", config)

    name = {"tool": "tool:lookup", "retriever": "retriever:docs"}[part]
    seen = bench.check(stopping(mode, call), f"{name}\nnative:afterwards")

    assert outcomes(seen) == {name: cut_off(mode)}


@modes(CALLS)
def test_graph_stopped_at_its_start(bench: Bench, mode: Mode) -> None:
    """Nor is there one of a graph."""
    scenario = stopping(mode, lambda stage: (graph(stage), EMPTY, after(stage, "on_chain_start")))

    seen = bench.check(scenario, "chain:LangGraph\nnative:afterwards")

    assert outcomes(seen) == {"chain:LangGraph": "abandoned"}


@modes(CALLS)
def test_node_stopped_at_its_end(bench: Bench, mode: Mode) -> None:
    """A node whose end a handler stops ends with its graph."""
    scenario = stopping(mode, lambda stage: (graph(stage), EMPTY, before(stage, "on_chain_end")))

    seen = bench.check(
        scenario,
        """
        chain:LangGraph
          chain:ask
            native:ask
        native:afterwards
        """,
    )

    assert outcomes(seen) == {"chain:LangGraph": "error", "chain:ask": "abandoned"}


def test_stream_stopped_in_a_task(bench: Bench) -> None:
    """The task, which keeps the exception, is not kept for the stream's sake."""

    async def scenario(stage: Stage) -> None:
        async def consume() -> None:
            config = after(stage, "on_chain_start")
            async for _ in (PROMPT | stage.model()).astream(WORD, config):
                raise AssertionError

        consuming = asyncio.ensure_future(consume())
        await asyncio.wait([consuming])
        assert isinstance(consuming.exception(), Stop)
        stage.mark("native:afterwards")

    seen = bench.check(scenario, "chain:RunnableSequence\nnative:afterwards")

    assert outcomes(seen) == {"chain:RunnableSequence": "abandoned"}


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_stopped_by_an_exception_that_is_kept(bench: Bench, is_async: bool) -> None:
    """Whoever keeps the exception keeps the function's remains: the run ends when the next one starts there."""

    def scenario(stage: Stage) -> Any:
        step, config = RunnableLambda(str, name="step"), after(stage, "on_chain_start")
        following: Any = RunnableLambda(lambda _: ended.append(len(stage.ledger.spans)), name="following")
        ended: list[int] = []

        async def acall() -> list[int]:
            try:
                await step.ainvoke("x", config)
            except Stop as stop:
                stage.kept = stop  # type: ignore[attr-defined]
            before = len(stage.ledger.spans)
            await following.ainvoke("x", stage.config)
            return [count - before for count in ended]

        def call() -> list[int]:
            try:
                step.invoke("x", config)
            except Stop as stop:
                stage.kept = stop  # type: ignore[attr-defined]
            before = len(stage.ledger.spans)
            following.invoke("x", stage.config)
            return [count - before for count in ended]

        return acall() if is_async else call()

    seen = bench.check(
        scenario,
        """
        chain:step
        chain:following
        """,
        without="A",  # it is not the application's result how many spans have ended
    )

    assert seen.result == "list [1]"  # before the body of the next one
    assert outcomes(seen) == {"chain:step": "abandoned"}


def test_batch_stopped_at_its_second_start(bench: Bench) -> None:
    """Of a batch whose second run is stopped at its start the first ends, too."""

    class Second(Budget):
        def __init__(self) -> None:
            self._heard = 0

        @override
        def on_chain_start(self, *args: Any, **kwargs: Any) -> None:
            self._heard += 1
            if self._heard > 1:
                self._stop()

    def scenario(stage: Stage) -> None:
        with suppress(Stop):
            (PROMPT | stage.model()).batch([WORD] * 3, {"callbacks": [*stage.callbacks, Second()]})
        stage.mark("native:afterwards")

    seen = bench.check(scenario, "chain:RunnableSequence  x2\nnative:afterwards")

    assert outcomes(seen) == {"chain:RunnableSequence": "abandoned"}
