"""Decorated functions: the same properties, alone, inside chains and graphs, and around them.

Their bodies can be bracketed, so here the span is current exactly while a body runs.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from chainspan import agent, chain, llm, prompt, retriever, tool

from ._bench import Bench
from ._modes import CALLS, SYNC_ASYNC, Mode, modes
from ._stage import Stage

PROMPT = ChatPromptTemplate([("human", "{word}")])
PARSER = StrOutputParser()


class Steps(NamedTuple):
    """Decorated functions of one stage, each with a native span in its body."""

    ask: Any
    model: Any
    find: Any
    look: Any


def steps(stage: Stage, *, is_async: bool) -> Steps:
    """Return a prompt, a model, a retriever and a tool."""
    return async_steps(stage) if is_async else sync_steps(stage)


def sync_steps(stage: Stage) -> Steps:
    """Return the functions."""

    @prompt
    def ask(word: str) -> str:
        stage.mark("native:ask")
        return f"Say {word}"

    @llm(provider="openai", model="gpt")
    def model(text: str) -> str:
        stage.mark("native:model")
        return f"{text}!"

    @retriever
    def find(query: str) -> list[str]:
        stage.mark("native:find")
        return [query]

    @tool
    def look(q: str) -> str:
        """Look it up."""
        stage.mark("native:look")
        return q

    return Steps(ask, model, find, look)


def async_steps(stage: Stage) -> Steps:
    """Return coroutine functions of the same names."""

    @prompt
    async def ask(word: str) -> str:
        stage.mark("native:ask")
        return f"Say {word}"

    @llm(provider="openai", model="gpt")
    async def model(text: str) -> str:
        await asyncio.sleep(0)
        stage.mark("native:model")
        return f"{text}!"

    @retriever
    async def find(query: str) -> list[str]:
        stage.mark("native:find")
        return [query]

    @tool
    async def look(q: str) -> str:
        """Look it up."""
        await asyncio.sleep(0)
        stage.mark("native:look")
        return q

    return Steps(ask, model, find, look)


@modes(CALLS)
def test_sequence(bench: Bench, mode: Mode) -> None:
    """Steps in a row are siblings, and what a body opens hangs below its step."""

    def scenario(stage: Stage) -> Any:
        ask, model, _, _ = steps(stage, is_async=mode.is_async)
        return mode.run(ask | model, {"word": "hi"}, stage.config)

    bench.check(
        scenario,
        """
        chain:Sequence
          prompt:ask
            native:ask
          llm:model
            native:model
        """,
    )


@modes(CALLS)
def test_sync_functions_in_both_worlds(bench: Bench, mode: Mode) -> None:
    """A sync function that async code invokes runs in a thread, and takes its run along."""

    def scenario(stage: Stage) -> Any:
        ask, model, _, look = sync_steps(stage)
        return mode.run(ask | {"said": model, "found": look}, {"word": "hi"}, stage.config)

    bench.check(
        scenario,
        """
        chain:Sequence
          prompt:ask
            native:ask
          chain:Parallel
            llm:model
              native:model
            tool:look
              native:look
        """,
    )


@modes(CALLS)
def test_calls_inside(bench: Bench, mode: Mode) -> None:
    """What a body calls, called as ever, hangs below it at any depth."""

    def scenario(stage: Stage) -> Any:
        one = steps(stage, is_async=mode.is_async)

        @agent
        def sync_agent(word: str) -> Any:
            stage.mark("native:before")
            found = one.find(word)
            said = one.model(found[0])
            stage.mark("native:after")
            return one.look(said)

        @agent(name="sync_agent")
        async def async_agent(word: str) -> Any:
            stage.mark("native:before")
            found = await one.find(word)
            said = await one.model(found[0])
            stage.mark("native:after")
            return await one.look(said)

        return mode.run(async_agent if mode.is_async else sync_agent, "hi", stage.config)

    bench.check(
        scenario,
        """
        chain:sync_agent
          native:before
          retriever:find
            native:find
          llm:model
            native:model
          native:after
          tool:look
            native:look
        """,
    )


@modes(SYNC_ASYNC)
def test_batch(bench: Bench, mode: Mode) -> None:
    """Each item of a batch is a tree of its own."""

    def scenario(stage: Stage) -> Any:
        ask, model, _, _ = steps(stage, is_async=mode.is_async)
        sequence = ask | model
        batch = sequence.abatch if mode.is_async else sequence.batch
        return batch(["a", "b", "c"], stage.config)

    bench.check(
        scenario,
        """
        chain:Sequence  x3
          prompt:ask
            native:ask
          llm:model
            native:model
        """,
    )


GENERATOR = """
    chain:outer
      chain:words
        native:first
        native:second
      native:between
      native:between
      native:after
"""


def test_generator_and_its_consumer(bench: Bench) -> None:
    """Between two values the consumer's span is current, and inside the generator its own."""

    def scenario(stage: Stage) -> Any:
        @chain
        def words() -> Iterator[str]:
            stage.mark("native:first")
            yield "one"
            stage.mark("native:second")
            yield "two"

        @chain
        def outer() -> str:
            said = []
            for word in words():
                stage.mark("native:between")
                said.append(word)
            stage.mark("native:after")
            return " ".join(said)

        return outer.invoke(callbacks=stage.callbacks)

    bench.check(scenario, GENERATOR)


def test_async_generator_and_its_consumer(bench: Bench) -> None:
    """So it is with an asynchronous generator, also for tasks that are started between values."""

    async def scenario(stage: Stage) -> Any:
        @chain
        async def words() -> AsyncIterator[str]:
            await asyncio.sleep(0)
            stage.mark("native:first")
            yield "one"
            await asyncio.sleep(0)
            stage.mark("native:second")
            yield "two"

        async def between() -> None:
            await asyncio.sleep(0)
            stage.mark("native:between")

        @chain
        async def outer() -> str:
            said, tasks = [], []
            async for word in words():
                tasks.append(asyncio.create_task(between()))
                said.append(word)
            await asyncio.gather(*tasks)
            stage.mark("native:after")
            return " ".join(said)

        return await outer.ainvoke(callbacks=stage.callbacks)

    bench.check(scenario, GENERATOR)


def test_generator_pulled_in_threads(bench: Bench) -> None:
    """A server that pulls each value in another thread, with another context, changes nothing."""

    def scenario(stage: Stage) -> Any:
        @chain
        def words() -> Iterator[str]:
            for index in range(3):
                stage.mark("native:inside")
                yield str(index)

        values = words.with_config(callbacks=stage.callbacks)()
        with ThreadPoolExecutor(2) as threads:
            contexts: list[Any] = [contextvars.copy_context() for _ in range(4)]
            said = [threads.submit(context.run, next, values, "end").result() for context in contexts]
        stage.mark("native:outside")
        return said

    bench.check(
        scenario,
        """
        chain:words
          native:inside
          native:inside
          native:inside
        native:outside
        """,
    )


def test_span_held_open_by_a_generator(bench: Bench) -> None:
    """A span that a generator holds open between values is current in it, and nowhere else."""

    def scenario(stage: Stage) -> Any:
        @chain
        def words() -> Iterator[str]:
            with stage.native("native:held"):
                yield "one"
                stage.mark("native:inside")
                yield "two"

        @chain
        def outer() -> list[str]:
            said = []
            for word in words():
                stage.mark("native:consumer")
                said.append(word)
            return said

        return outer.invoke(callbacks=stage.callbacks)

    bench.check(
        scenario,
        """
        chain:outer
          chain:words
            native:held
              native:inside
          native:consumer
          native:consumer
        """,
    )


def test_span_of_the_user_around_a_step(bench: Bench) -> None:
    """A span of the application's own stands between a step and those that it calls."""

    def scenario(stage: Stage) -> Any:
        one = sync_steps(stage)

        @chain
        def outer(word: str) -> Any:
            with stage.native("native:mine"):
                return one.model(word)

        return outer.invoke("hi", callbacks=stage.callbacks)

    bench.check(
        scenario,
        """
        chain:outer
          native:mine
            llm:model
              native:model
        """,
    )


@modes(CALLS)
def test_inside_a_chain_of_langchain(bench: Bench, mode: Mode) -> None:
    """A decorated step is a step of LangChain's chain, and a decorated function joins where it is called."""

    def scenario(stage: Stage) -> Any:
        one = steps(stage, is_async=mode.is_async)
        sequence = PROMPT | stage.model() | PARSER | one.look
        return mode.run(sequence, {"word": "hi"}, stage.config)

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
          parser:StrOutputParser
          tool:look
            native:look
        """,
    )


@modes(CALLS)
def test_called_in_a_function_of_langchain(bench: Bench, mode: Mode) -> None:
    """A decorated function that a RunnableLambda calls hangs below that."""

    def scenario(stage: Stage) -> Any:
        one = steps(stage, is_async=mode.is_async)

        async def acall(word: str) -> Any:
            return await one.look(word)

        function = RunnableLambda(lambda word: one.look(word), afunc=acall)  # noqa: PLW0108 - a function of LangChain's
        return mode.run(function.with_config(run_name="lambda"), "hi", stage.config)

    bench.check(
        scenario,
        """
        chain:lambda
          tool:look
            native:look
        """,
    )


@modes(CALLS)
def test_chain_of_langchain_inside(bench: Bench, mode: Mode) -> None:
    """A chain of LangChain's that a body calls hangs below it, with no config passed."""

    def scenario(stage: Stage) -> Any:
        inner = PROMPT | stage.model() | PARSER

        @chain
        def outer(word: str) -> Any:
            stage.mark("native:outer")
            return inner.invoke({"word": word})

        @chain(name="outer")
        async def aouter(word: str) -> Any:
            stage.mark("native:outer")
            return await inner.ainvoke({"word": word})

        return mode.run(aouter if mode.is_async else outer, "hi", stage.config)

    bench.check(
        scenario,
        """
        chain:outer
          native:outer
          chain:RunnableSequence
            prompt:ChatPromptTemplate
            llm:m1
              native:model:m1
            parser:StrOutputParser
        """,
    )


@modes(CALLS)
def test_mixed_sequence(bench: Bench, mode: Mode) -> None:
    """Runnables of LangChain's stand in our sequences as decorated functions do."""

    def scenario(stage: Stage) -> Any:
        one = steps(stage, is_async=mode.is_async)
        return mode.run(one.ask | stage.model() | PARSER, {"word": "hi"}, stage.config)

    bench.check(
        scenario,
        """
        chain:Sequence
          prompt:ask
            native:ask
          llm:m1
            native:model:m1
          parser:StrOutputParser
        """,
    )


class State(TypedDict):
    """The state of a graph."""

    word: str


@modes(CALLS)
def test_node_of_a_graph(bench: Bench, mode: Mode) -> None:
    """A decorated function is a node, and the functions it calls hang below it."""

    def scenario(stage: Stage) -> Any:
        one = steps(stage, is_async=mode.is_async)

        @chain
        def node(state: State) -> State:
            return {"word": one.look(state["word"])}

        @chain(name="node")
        async def anode(state: State) -> State:
            return {"word": await one.look(state["word"])}

        graph = StateGraph(State)
        graph.add_node("work", anode if mode.is_async else node)
        graph.add_edge(START, "work")
        graph.add_edge("work", END)
        return mode.run(graph.compile(), {"word": "hi"}, stage.config)

    bench.check(
        scenario,
        """
        chain:LangGraph
          chain:work
            chain:node
              tool:look
                native:look
        """,
    )


@pytest.mark.parametrize("fails", ["prompt", "tool", "llm", "retriever"])
@modes(SYNC_ASYNC)
def test_failing_step(bench: Bench, mode: Mode, fails: str) -> None:
    """A step that raises ends with its error, and leaves nothing current."""

    def scenario(stage: Stage) -> Any:
        decorate = {"prompt": prompt, "tool": tool, "llm": llm, "retriever": retriever}[fails]

        @decorate
        def fail(word: str) -> Any:
            stage.mark("native:fail")
            raise ValueError(word)

        @decorate(name="fail")
        async def afail(word: str) -> Any:
            stage.mark("native:fail")
            raise ValueError(word)

        return mode.run(afail if mode.is_async else fail, "hi", stage.config)

    bench.check(
        scenario,
        f"""
        {fails}:fail
          native:fail
        """,
        fails="ValueError",
    )


def test_broken_off_generator(bench: Bench) -> None:
    """A stream that is broken off ends its run, and its clean-up belongs to it."""

    def scenario(stage: Stage) -> Any:
        @llm
        def words() -> Iterator[str]:
            try:
                yield "one"
                yield "two"
            finally:
                stage.mark("native:cleanup")

        stream = words.stream(callbacks=stage.callbacks)
        word = next(stream)
        del stream
        return word

    bench.check(
        scenario,
        """
        llm:words
          native:cleanup
        """,
    )


def test_cancelled_task(bench: Bench) -> None:
    """A task that is cancelled inside a step ends every run around it."""

    async def scenario(stage: Stage) -> Any:
        @tool
        async def wait() -> None:
            """Wait."""
            stage.mark("native:wait")
            await asyncio.sleep(60)

        @chain
        async def outer() -> None:
            await wait()

        task = asyncio.create_task(outer.ainvoke(callbacks=stage.callbacks))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        stage.mark("native:outside")

    bench.check(
        scenario,
        """
        chain:outer
          tool:wait
            native:wait
        native:outside
        """,
    )


def test_threads_and_tasks_with_the_context(bench: Bench) -> None:
    """Callbacks reach what is called in a thread, to which the context was carried."""

    def scenario(stage: Stage) -> Any:
        one = sync_steps(stage)

        @chain
        def outer(word: str) -> Any:
            context = contextvars.copy_context()
            thread = threading.Thread(target=context.run, args=(one.look, word))
            thread.start()
            thread.join()

        return outer.invoke("hi", callbacks=stage.callbacks)

    bench.check(
        scenario,
        """
        chain:outer
          tool:look
            native:look
        """,
    )


def test_tasks_at_once(bench: Bench) -> None:
    """Steps that run at once in tasks keep their bodies apart."""

    async def scenario(stage: Stage) -> Any:
        one = async_steps(stage)

        @chain
        async def outer() -> Any:
            return await asyncio.gather(one.look("a"), one.model("b"), one.find("c"))

        return await outer.ainvoke(callbacks=stage.callbacks)

    bench.check(
        scenario,
        """
        chain:outer
          tool:look
            native:look
          llm:model
            native:model
          retriever:find
            native:find
        """,
    )


def test_bound_and_passed_handlers(bench: Bench) -> None:
    """A handler that is bound and passed, above and below, makes one tree."""

    def scenario(stage: Stage) -> Any:
        one = sync_steps(stage)
        look = one.look.with_config(callbacks=stage.callbacks)

        @chain(callbacks=stage.callbacks)
        def outer(word: str) -> Any:
            return look(word)

        return outer.invoke("hi", callbacks=stage.callbacks)

    bench.check(
        scenario,
        """
        chain:outer
          tool:look
            native:look
        """,
    )
