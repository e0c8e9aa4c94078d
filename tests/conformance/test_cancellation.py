"""Cancelled tasks and timeouts, in a task that lives on: runs that LangChain never closes are closed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.graph import START, StateGraph
from typing_extensions import override

from ._bench import Bench
from ._python310 import handed_on
from ._stage import Stage
from .test_chains import PARSER, PROMPT, WORD
from .test_graphs import EMPTY, State

CUT_OFF = """
    chain:RunnableSequence
      prompt:ChatPromptTemplate
      llm:m1
        native:model:m1
    native:afterwards
"""


class Hang:
    """A body that says that it has begun, and never ends.

    Attributes:
        begun: Set when the body has been entered.
        limit: A timeout to let expire then; the bench does not guess how long that takes.
    """

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.limit: Any = None

    async def __call__(self, _: Any) -> None:
        """Hang."""
        self.begun.set()
        if self.limit is not None:
            self.limit.reschedule(asyncio.get_running_loop().time())
        await asyncio.Event().wait()


async def cancelled(stage: Stage, hang: Hang, work: Awaitable[Any]) -> None:
    """Run work in a task, and cancel it in the middle of its body."""
    working = asyncio.ensure_future(work)
    await hang.begun.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    stage.mark("native:afterwards")


def model_chain(stage: Stage, inside: Any) -> Any:
    """Return a chain whose model does this inside."""
    return PROMPT | stage.model(inside=inside) | PARSER


def test_cancelled_in_a_model(bench: Bench) -> None:
    """LangChain says nothing of a model whose task is cancelled; its span ends all the same."""

    async def scenario(stage: Stage) -> None:
        hang = Hang()
        await cancelled(stage, hang, model_chain(stage, hang).ainvoke(WORD, stage.config))

    seen = bench.check(scenario, CUT_OFF)

    assert errors(seen) == []


class Slow(AsyncCallbackHandler):
    """A user's handler that takes its time over starts of the type that it is told."""

    def __init__(self, hang: Hang, name: str) -> None:
        self._hang, self._name = hang, name

    @override
    async def on_chain_start(self, *args: Any, **kwargs: Any) -> None:
        """Hang where the name is the one."""
        if kwargs.get("name") == self._name:
            await self._hang(None)


@pytest.mark.parametrize("name", ["RunnableSequence", "inner"])
def test_cancelled_while_a_start_is_reported(bench: Bench, name: str) -> None:
    """LangChain says nothing of a chain that is cancelled while another handler hears of its start."""

    async def scenario(stage: Stage) -> None:
        hang = Hang()
        inner: Any = RunnableLambda(str, name="inner")
        config = {"callbacks": [*stage.callbacks, Slow(hang, name)]}
        await cancelled(stage, hang, (PROMPT | inner).ainvoke(WORD, config))

    below = "prompt:ChatPromptTemplate\n          chain:inner" if name == "inner" else ""
    seen = bench.check(
        scenario,
        f"""
        chain:RunnableSequence
          {below}
        native:afterwards
        """,
        without="A",  # whether a handler in a thread hears of the start before the cancellation is a matter of luck
    )

    assert errors(seen) == []


def test_cancelled_in_a_streaming_model(bench: Bench) -> None:
    """So does the span of a model that is cancelled before its second chunk."""

    async def scenario(stage: Stage) -> None:
        hang = Hang()
        chain = PROMPT | stage.model(midway=hang) | PARSER

        async def consume() -> None:
            async for _ in chain.astream(WORD, stage.config):
                stage.mark("native:consumer")

        await cancelled(stage, hang, consume())

    seen = bench.check(
        scenario,
        """
        chain:RunnableSequence
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
          parser:StrOutputParser
        native:consumer
        native:afterwards
        """,
    )

    assert errors(seen) == []


def test_cancelled_in_a_tool(bench: Bench) -> None:
    """LangChain says nothing of a cancelled tool either."""

    async def scenario(stage: Stage) -> None:
        hang = Hang()
        await cancelled(stage, hang, stage.tool(inside=hang).ainvoke({"q": "x"}, stage.config))

    seen = bench.check(
        scenario,
        """
        tool:lookup
          native:tool:lookup
        native:afterwards
        """,
    )

    assert errors(seen) == []


def test_cancelled_in_a_retriever(bench: Bench) -> None:
    """Nor of a cancelled retriever."""

    async def scenario(stage: Stage) -> None:
        hang = Hang()
        await cancelled(stage, hang, stage.retriever(inside=hang).ainvoke("x", stage.config))

    seen = bench.check(
        scenario,
        """
        retriever:docs
          native:retriever:docs
        native:afterwards
        """,
    )

    assert errors(seen) == []


def hanging_graph(stage: Stage, hang: Hang) -> Any:
    """Return a graph whose node calls a model that hangs."""
    model = stage.model(inside=hang)

    async def ask(_: Any, config: RunnableConfig) -> dict[str, list[str]]:
        return {"log": [(await model.ainvoke("hi", handed_on(config))).text]}

    graph = StateGraph(State)
    step: Any = ask
    graph.add_node("ask", step)
    graph.add_edge(START, "ask")
    return graph.compile()


GRAPH_CUT_OFF = """
    chain:LangGraph
      chain:ask
        llm:m1
          native:model:m1
    native:afterwards
"""


def test_cancelled_in_a_node(bench: Bench) -> None:
    """A graph that is cancelled takes its node and the node's model along."""

    async def scenario(stage: Stage) -> None:
        hang = Hang()
        await cancelled(stage, hang, hanging_graph(stage, hang).ainvoke(EMPTY, stage.config))

    seen = bench.check(scenario, GRAPH_CUT_OFF)

    assert errors(seen) == []


def test_step_timeout_of_a_graph(bench: Bench) -> None:
    """A graph that gives up on its nodes ends their runs, and those of their models."""

    async def scenario(stage: Stage) -> None:
        graph = hanging_graph(stage, Hang())
        graph.step_timeout = 0.2
        with pytest.raises((asyncio.TimeoutError, TimeoutError)):
            await graph.ainvoke(EMPTY, stage.config)
        stage.mark("native:afterwards")

    bench.check(scenario, GRAPH_CUT_OFF)


@pytest.mark.parametrize("way", ["cancelled", "timed out"])
def test_stream_cut_off_keeps_what_came(bench: Bench, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that is cancelled or times out is no error, and what the model had said is recorded (pains #16)."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "span_only")

    async def scenario(stage: Stage) -> None:
        hang = Hang()

        async def read() -> None:
            async for _ in (PROMPT | stage.model(midway=hang) | PARSER).astream(WORD, stage.config):
                pass

        if way == "cancelled":
            await cancelled(stage, hang, read())
            return
        reading = asyncio.ensure_future(read())
        await hang.begun.wait()
        with pytest.raises((asyncio.TimeoutError, TimeoutError)):
            await asyncio.wait_for(reading, 0.01)
        stage.mark("native:afterwards")

    seen = bench.check(
        scenario,
        """
        chain:RunnableSequence
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
          parser:StrOutputParser
        native:afterwards
        """,
    )

    assert errors(seen) == []
    assert '"content":"one"' in seen.attributes("llm:m1", "gen_ai.output.messages")[0]


def test_wait_for(bench: Bench) -> None:
    """A timeout leaves the task that waited as it was."""

    async def scenario(stage: Stage) -> None:
        with pytest.raises((asyncio.TimeoutError, TimeoutError)):
            await asyncio.wait_for(model_chain(stage, Hang()).ainvoke(WORD, stage.config), 0.2)
        stage.mark("native:afterwards")

    seen = bench.check(scenario, CUT_OFF)

    assert errors(seen) == []


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout came with Python 3.11")
@pytest.mark.parametrize("times", [1, 3])
def test_timeout_in_a_long_lived_task(bench: Bench, times: int) -> None:
    """A timeout cancels a call in the very task that goes on afterwards, again and again."""

    async def scenario(stage: Stage) -> None:
        for _ in range(times):
            hang = Hang()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(None) as hang.limit:
                    await model_chain(stage, hang).ainvoke(WORD, stage.config)
            stage.mark("native:afterwards")
            await model_chain(stage, None).ainvoke(WORD, stage.config)

    seen = bench.check(
        scenario,
        f"""
        chain:RunnableSequence  x{times}
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
        chain:RunnableSequence  x{times}
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
          parser:StrOutputParser
        native:afterwards  x{times}
        """,
    )

    assert errors(seen) == []


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout came with Python 3.11")
@pytest.mark.parametrize("part", ["model", "tool", "retriever"])
def test_timeout_of_a_part_alone(bench: Bench, part: str) -> None:
    """Where there is no chain around it, nobody tells of the cancelled part at all."""

    async def scenario(stage: Stage) -> None:
        parts: dict[str, Any] = {"model": stage.model, "tool": stage.tool, "retriever": stage.retriever}
        given = {"q": "x"} if part == "tool" else "x"
        hang = Hang()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(None) as hang.limit:
                await parts[part](inside=hang).ainvoke(given, stage.config)
        stage.mark("native:afterwards")

    kind, name = {"model": ("llm", "m1"), "tool": ("tool", "lookup"), "retriever": ("retriever", "docs")}[part]
    seen = bench.check(
        scenario,
        f"""
        {kind}:{name}
          native:{part}:{name}
        native:afterwards
        """,
    )

    assert errors(seen) == []


def test_one_of_many_cancelled(bench: Bench) -> None:
    """Of calls that run side by side, a cancelled one does not disturb the others."""

    async def scenario(stage: Stage) -> None:
        hang = Hang()
        others = [asyncio.ensure_future(model_chain(stage, None).ainvoke(WORD, stage.config)) for _ in range(3)]
        await cancelled(stage, hang, model_chain(stage, hang).ainvoke(WORD, stage.config))
        await asyncio.gather(*others)

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
        chain:RunnableSequence  x3
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
          parser:StrOutputParser
        native:afterwards
        """,
    )


def test_first_answer_wins(bench: Bench) -> None:
    """A race between two models, of which the slower is cancelled, inside one function's run."""

    async def scenario(stage: Stage) -> Any:
        slow, quick = stage.model("slow", inside=Hang()), stage.model("quick")

        async def race(word: str) -> str:
            tasks = [asyncio.ensure_future(model.ainvoke(word)) for model in (slow, quick)]
            done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
            stage.mark("native:race")
            return done.pop().result().text

        return await RunnableLambda(race).ainvoke("hi", stage.config)

    seen = bench.check(
        scenario,
        """
        chain:race
          llm:slow
            native:model:slow
          llm:quick
            native:model:quick
          native:race
        """,
    )

    assert errors(seen) == []


class Stop(BaseException):
    """What ends a program rather than a step, as SystemExit does."""


@pytest.mark.parametrize("part", ["model", "tool", "retriever"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_stopped_in_a_part(bench: Bench, part: str, is_async: bool) -> None:
    """An exception that LangChain does not catch in a tool ends the tool's span all the same."""

    def scenario(stage: Stage) -> Any:
        def stop(_: Any) -> None:
            raise Stop

        parts: dict[str, Any] = {"model": stage.model, "tool": stage.tool, "retriever": stage.retriever}
        step = parts[part](inside=stop)
        given = {"q": "x"} if part == "tool" else "x"

        def run(_: Any) -> Any:
            return step.invoke(given)

        async def arun(_: Any) -> Any:
            return await step.ainvoke(given)

        outer = RunnableLambda(run, arun, name="outer")

        async def acall() -> None:
            # LangChain makes an error of its own of a model's (agenerate takes it for an answer).
            with pytest.raises((Stop, AttributeError)):
                await outer.ainvoke("hi", stage.config)
            stage.mark("native:afterwards")

        if is_async:
            return acall()
        with pytest.raises(Stop):
            outer.invoke("hi", stage.config)
        stage.mark("native:afterwards")
        return None

    kind, name = {"model": ("llm", "m1"), "tool": ("tool", "lookup"), "retriever": ("retriever", "docs")}[part]
    bench.check(
        scenario,
        f"""
        chain:outer
          {kind}:{name}
            native:{part}:{name}
        native:afterwards
        """,
    )


@pytest.mark.parametrize("part", ["model", "tool", "retriever"])
def test_stopped_in_a_part_alone(bench: Bench, part: str) -> None:
    """Where nothing is around it, the span ends when the next run starts."""

    def scenario(stage: Stage) -> None:
        def stop(_: Any) -> None:
            raise Stop

        parts: dict[str, Any] = {"model": stage.model, "tool": stage.tool, "retriever": stage.retriever}
        with pytest.raises(Stop):
            parts[part](inside=stop).invoke({"q": "x"} if part == "tool" else "x", stage.config)
        stage.mark("native:afterwards")
        stage.model("next").invoke("hi", stage.config)

    kind, name = {"model": ("llm", "m1"), "tool": ("tool", "lookup"), "retriever": ("retriever", "docs")}[part]
    bench.check(
        scenario,
        f"""
        {kind}:{name}
          native:{part}:{name}
        native:afterwards
        llm:next
          native:model:next
        """,
    )


def errors(seen: Any) -> list[str]:
    """Return the spans with an error; a cancelled run is none."""
    return [span.name for span in seen.spans if span.status.status_code.name == "ERROR"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.TaskGroup came with Python 3.11")
def test_task_group_in_which_one_fails(bench: Bench) -> None:
    """A task group cancels the calls beside the one that failed."""

    async def scenario(stage: Stage) -> None:
        hang = Hang()

        async def fail() -> None:
            await hang.begun.wait()
            await stage.model("m2", LookupError("no")).ainvoke("hi", stage.config)

        async def both() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(model_chain(stage, hang).ainvoke(WORD, stage.config))
                group.create_task(fail())

        with pytest.raises(BaseException, match="unhandled errors in a TaskGroup"):
            await both()
        stage.mark("native:afterwards")

    bench.check(
        scenario,
        CUT_OFF
        + """
    llm:m2
      native:model:m2
        """,
    )
