"""Spans that the application opens itself, and calls nested in each other's bodies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from langchain_core.runnables import Runnable, RunnableConfig, RunnableGenerator, RunnableLambda
from langgraph.graph import START, StateGraph
from opentelemetry import trace

from ._bench import Bench
from ._modes import CALLS, SYNC_ASYNC, Mode, modes
from ._python310 import handed_on
from ._stage import Stage
from .test_cancellation import Hang, cancelled, model_chain
from .test_chains import PROMPT, WORD
from .test_graphs import EMPTY, State

Call = Callable[[Stage, Any, RunnableConfig], RunnableConfig | None]


def within(stage: Stage, part: Runnable[Any, Any], span: str = "native:user", call: Call | None = None) -> Any:
    """Return a function that calls a part inside a span of its own, with the config that ``call`` chooses."""

    def run(given: Any, config: RunnableConfig) -> Any:
        with stage.native(span):
            return part.invoke(given, call(stage, given, config) if call else None)

    async def arun(given: Any, config: RunnableConfig) -> Any:
        with stage.native(span):
            return await part.ainvoke(given, call(stage, given, config) if call else None)

    return RunnableLambda(run, arun, name="outer")


@modes(CALLS)
def test_span_around_a_call(bench: Bench, mode: Mode) -> None:
    """A call inside a span of the application's hangs below that span."""

    def scenario(stage: Stage) -> Any:
        sequence = PROMPT | stage.model()

        async def acall() -> Any:
            with stage.native("native:request"):
                return await mode.run(sequence, WORD, stage.config)

        if mode.is_async:
            return acall()
        with stage.native("native:request"):
            return mode.run(sequence, WORD, stage.config)

    bench.check(
        scenario,
        """
        native:request
          chain:RunnableSequence
            prompt:ChatPromptTemplate
            llm:m1
              native:model:m1
        """,
    )


@modes(CALLS)
def test_span_in_a_function_around_a_model(bench: Bench, mode: Mode) -> None:
    """A span of the application's stands between the function and the model it calls."""

    def scenario(stage: Stage) -> Any:
        return mode.run(within(stage, stage.model()), "hi", stage.config)

    bench.check(
        scenario,
        """
        chain:outer
          native:user
            llm:m1
              native:model:m1
        """,
    )


@modes(CALLS)
def test_span_in_a_function_around_a_chain(bench: Bench, mode: Mode) -> None:
    """The steps of a chain below the application's span do not fall out of it."""

    def scenario(stage: Stage) -> Any:
        return mode.run(within(stage, PROMPT | stage.model()), WORD, stage.config)

    bench.check(
        scenario,
        """
        chain:outer
          native:user
            chain:RunnableSequence
              prompt:ChatPromptTemplate
              llm:m1
                native:model:m1
        """,
    )


@modes(CALLS)
def test_spans_in_functions_in_functions(bench: Bench, mode: Mode) -> None:
    """Spans of the application's and runs take turns to any depth."""

    def scenario(stage: Stage) -> Any:
        middle = within(stage, stage.tool(), "native:inner").with_config(run_name="middle")
        return mode.run(within(stage, middle, "native:outer"), {"q": "x"}, stage.config)

    bench.check(
        scenario,
        """
        chain:outer
          native:outer
            chain:middle
              native:inner
                tool:lookup
                  native:tool:lookup
        """,
    )


@modes(CALLS)
def test_span_in_a_function_around_several_calls(bench: Bench, mode: Mode) -> None:
    """Each of several calls one after the other is in the span around them, whatever the call before left behind."""

    def scenario(stage: Stage) -> Any:
        model, sequence = stage.model(), PROMPT | stage.model("m2")

        def run(given: Any, config: RunnableConfig) -> Any:
            with stage.native("native:user"):
                model.invoke("one", config)
                sequence.invoke(WORD, config)
                stage.mark("native:between")
                return model.invoke("two", config)

        async def arun(given: Any, config: RunnableConfig) -> Any:
            with stage.native("native:user"):
                await model.ainvoke("one", config)
                await sequence.ainvoke(WORD, config)
                stage.mark("native:between")
                return await model.ainvoke("two", config)

        return mode.run(RunnableLambda(run, arun, name="outer"), "hi", stage.config)

    bench.check(
        scenario,
        """
        chain:outer
          native:user
            llm:m1
              native:model:m1
            chain:RunnableSequence
              prompt:ChatPromptTemplate
              llm:m2
                native:model:m2
            native:between
            llm:m1
              native:model:m1
        """,
    )


@modes(SYNC_ASYNC)
def test_span_in_a_function_around_a_batch(bench: Bench, mode: Mode) -> None:
    """All items of a batch are in the span around it, though each starts over the scope of the one before."""

    def scenario(stage: Stage) -> Any:
        sequence = PROMPT | stage.model()

        def run(given: Any, config: RunnableConfig) -> Any:
            with stage.native("native:user"):
                return sequence.batch([WORD] * 3, config)

        async def arun(given: Any, config: RunnableConfig) -> Any:
            with stage.native("native:user"):
                return await sequence.abatch([WORD] * 3, config)

        return mode.run(RunnableLambda(run, arun, name="outer"), "hi", stage.config)

    bench.check(
        scenario,
        """
        chain:outer
          native:user
            chain:RunnableSequence  x3
              prompt:ChatPromptTemplate
              llm:m1
                native:model:m1
        """,
    )


@modes(SYNC_ASYNC)
def test_span_in_a_function_around_a_stream_with_calls(bench: Bench, mode: Mode) -> None:
    """What is called between two chunks of a stream is in the span around both, and not in the stream."""

    def scenario(stage: Stage) -> Any:
        sequence, quick = PROMPT | stage.model(), stage.model("quick")

        def run(given: Any, config: RunnableConfig) -> None:
            with stage.native("native:user"):
                for _ in sequence.stream(WORD, config):
                    quick.invoke("hi", config)

        async def arun(given: Any, config: RunnableConfig) -> None:
            with stage.native("native:user"):
                async for _ in sequence.astream(WORD, config):
                    await quick.ainvoke("hi", config)

        return mode.run(RunnableLambda(run, arun, name="outer"), "hi", stage.config)

    bench.check(
        scenario,
        """
        chain:outer
          native:user
            chain:RunnableSequence
              prompt:ChatPromptTemplate
              llm:m1
                native:model:m1
            llm:quick  x3
              native:model:quick
        """,
    )


@modes(CALLS)
def test_span_in_a_node_around_a_model(bench: Bench, mode: Mode) -> None:
    """In a graph's node, too, the application's span stands between the node and the model."""

    def scenario(stage: Stage) -> Any:
        model = stage.model()

        def node(_: State) -> dict[str, list[str]]:
            with stage.native("native:user"):
                return {"log": [model.invoke("hi").text]}

        async def anode(_: State, config: RunnableConfig) -> dict[str, list[str]]:
            with stage.native("native:user"):
                return {"log": [(await model.ainvoke("hi", handed_on(config))).text]}

        graph = StateGraph(State)
        step: Any = anode if mode.is_async else node
        graph.add_node("node", step)
        graph.add_edge(START, "node")
        return mode.run(graph.compile(), EMPTY, stage.config)

    bench.check(
        scenario,
        """
        chain:LangGraph
          chain:node
            native:user
              llm:m1
                native:model:m1
        """,
    )


def passed_on(stage: Stage, given: Any, config: RunnableConfig) -> RunnableConfig:
    """Pass on the config that the body was given."""
    return config


def only_a_tag(stage: Stage, given: Any, config: RunnableConfig) -> RunnableConfig:
    """Pass a config that says nothing of callbacks."""
    return {"tags": ["inner"]}


@pytest.mark.parametrize("call", [None, passed_on, only_a_tag], ids=["no-config", "passed-on", "only-a-tag"])
@modes(CALLS)
def test_nested_call(bench: Bench, mode: Mode, call: Call | None) -> None:
    """A nested call hangs below the body that makes it, whether that passes its config on or not (pains #33)."""

    def scenario(stage: Stage) -> Any:
        return mode.run(within(stage, PROMPT | stage.model(), call=call), WORD, stage.config)

    bench.check(
        scenario,
        """
        chain:outer
          native:user
            chain:RunnableSequence
              prompt:ChatPromptTemplate
              llm:m1
                native:model:m1
        """,
    )


@modes(CALLS)
def test_nested_call_with_another_handler(bench: Bench, mode: Mode) -> None:
    """A nested call with a list of handlers of its own is a root for LangChain, and yet of this trace."""

    def scenario(stage: Stage) -> Any:
        def call(stage: Stage, _: Any, __: RunnableConfig) -> RunnableConfig:
            return {"callbacks": [*stage.more_handlers(), stage.recorder]}

        return mode.run(within(stage, PROMPT | stage.model(), call=call), WORD, stage.config)

    bench.check(
        scenario,
        """
        chain:outer
          native:user
            chain:RunnableSequence
              prompt:ChatPromptTemplate
              llm:m1
                native:model:m1
        """,
        without="R",  # LangChain has lost the parent, which is why the trace must not
    )


@modes(CALLS)
def test_nested_call_without_any_handler(bench: Bench, mode: Mode) -> None:
    """A nested call that is cut off from all handlers has no spans, and its body's fall to the outer run."""

    def scenario(stage: Stage) -> Any:
        def call(*_: Any) -> RunnableConfig:
            return {"callbacks": []}

        return mode.run(within(stage, stage.model(), call=call), "hi", stage.config)

    bench.check(
        scenario,
        """
        chain:outer
          native:user
            native:model:m1
        """,
    )


@modes(CALLS)
def test_span_held_open_by_a_generator(bench: Bench, mode: Mode) -> None:
    """A call made by a generator step inside a span of its own hangs below that span."""

    def scenario(stage: Stage) -> Any:
        model = stage.model()

        def words(given: Iterator[str]) -> Iterator[str]:
            for word in given:
                with stage.native("native:user"):
                    answer = model.invoke(word).text
                yield answer
                stage.mark("native:later")

        async def awords(given: AsyncIterator[str]) -> AsyncIterator[str]:
            async for word in given:
                with stage.native("native:user"):
                    answer = (await model.ainvoke(word)).text
                yield answer
                stage.mark("native:later")

        step: Runnable[Any, Any] = RunnableGenerator(words, awords, name="words")
        return mode.run(step, "hi", stage.config)

    bench.check(
        scenario,
        """
        chain:words
          native:user
            llm:m1
              native:model:m1
          native:later
        """,
    )


@modes(CALLS)
def test_calls_one_after_another(bench: Bench, mode: Mode) -> None:
    """Calls made one after another are traces of their own, and so is what stands between them."""

    def scenario(stage: Stage) -> Any:
        sequence = PROMPT | stage.model()

        async def acalls() -> None:
            for _ in range(3):
                await mode.run(sequence, WORD, stage.config)
                stage.mark("native:between")

        if mode.is_async:
            return acalls()
        for _ in range(3):
            mode.run(sequence, WORD, stage.config)
            stage.mark("native:between")
        return None

    bench.check(
        scenario,
        """
        chain:RunnableSequence  x3
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
        native:between  x3
        """,
    )


def test_calls_of_all_outcomes_one_after_another(bench: Bench) -> None:
    """Calls that end well, fail, are left or cancelled are traces of their own; none is current later (pains #3)."""

    async def scenario(stage: Stage) -> None:
        before = trace.get_current_span()

        def between() -> None:
            assert trace.get_current_span() == before
            stage.mark("native:between")

        chain = PROMPT | stage.model()
        for _ in range(2):
            await chain.ainvoke(WORD, stage.config)
            between()
            with pytest.raises(ValueError, match="no"):
                await (PROMPT | stage.model("m1", ValueError("no"))).ainvoke(WORD, stage.config)
            between()
            async for _ in chain.astream(WORD, stage.config):
                between()
                break
            between()
            for _ in chain.stream(WORD, stage.config):
                between()
                break
            between()
            hang = Hang()
            await cancelled(stage, hang, model_chain(stage, hang).ainvoke(WORD, stage.config))
            between()

    bench.check(
        scenario,
        """
        chain:RunnableSequence  x10
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
        native:between  x14
        native:afterwards  x2
        """,
    )


@modes(SYNC_ASYNC)
def test_calls_one_after_another_that_fail(bench: Bench, mode: Mode) -> None:
    """A call that fails leaves no trace in the ones that follow."""

    def scenario(stage: Stage) -> Any:
        sequence = PROMPT | stage.model("m1", ValueError("no"))

        async def acalls() -> None:
            for _ in range(2):
                with pytest.raises(ValueError, match="no"):
                    await mode.run(sequence, WORD, stage.config)
                stage.mark("native:between")

        if mode.is_async:
            return acalls()
        for _ in range(2):
            with pytest.raises(ValueError, match="no"):
                mode.run(sequence, WORD, stage.config)
            stage.mark("native:between")
        return None

    bench.check(
        scenario,
        """
        chain:RunnableSequence  x2
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
        native:between  x2
        """,
    )


@modes(SYNC_ASYNC)
def test_span_that_outlives_the_body(bench: Bench, mode: Mode) -> None:
    """A span that a body opens and hands over to its caller stays below the body's run."""

    def scenario(stage: Stage) -> Any:
        kept = []

        def run(_: Any) -> str:
            kept.append(stage.tracer.start_span("native:kept"))
            return "yes"

        async def arun(_: Any) -> str:
            await asyncio.sleep(0)
            return run(None)

        async def acall() -> Any:
            answer = await mode.run(step, "hi", stage.config)
            kept[0].end()
            return answer

        step = RunnableLambda(run, arun, name="keeper")
        if mode.is_async:
            return acall()
        answer = mode.run(step, "hi", stage.config)
        kept[0].end()
        return answer

    bench.check(
        scenario,
        """
        chain:keeper
          native:kept
        """,
    )


@modes(SYNC_ASYNC)
def test_thirty_levels(bench: Bench, mode: Mode) -> None:
    """At any depth a body's span hangs below that body's run."""
    depth = 30

    def scenario(stage: Stage) -> Any:
        step: Any = stage.model()
        for level in reversed(range(depth)):
            step = within(stage, step, f"native:{level}").with_config(run_name=f"level {level}")
        return mode.run(step, "hi", stage.config)

    lines = [f"{'  ' * 2 * i}chain:level {i}\n{'  ' * (2 * i + 1)}native:{i}" for i in range(depth)]
    model = f"{'  ' * 2 * depth}llm:m1\n{'  ' * (2 * depth + 1)}native:model:m1"
    bench.check(scenario, "\n".join([*lines, model]))


@modes(SYNC_ASYNC)
def test_batch_in_which_some_fail(bench: Bench, mode: Mode) -> None:
    """Of a batch in which some items fail, each item is its own tree to the end."""

    def scenario(stage: Stage) -> Any:
        chain = PROMPT | stage.model()
        given = [WORD, {"other": "hi"}, WORD]
        return (chain.abatch if mode.is_async else chain.batch)(given, stage.config, return_exceptions=True)

    bench.check(
        scenario,
        """
        chain:RunnableSequence  x2
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
        chain:RunnableSequence
          prompt:ChatPromptTemplate
        """,
    )
