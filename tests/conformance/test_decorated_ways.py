"""Decorated functions in the ways that are easy to get wrong: broken off, thrown into, mixed, nested."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableGenerator, RunnableLambda
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from chainspan import agent, chain, llm, prompt, retriever, tool

from ._bench import Bench
from ._modes import CALLS, SYNC_ASYNC, Mode, modes
from ._stage import Stage, carry_context

PROMPT = ChatPromptTemplate([("human", "{word}")])
PARSER = StrOutputParser()


class State(TypedDict):
    """The state of a graph."""

    word: str


def test_async_generator_closed_in_another_task(bench: Bench) -> None:
    """A stream that another task closes ends there, with its clean-up inside it."""

    async def scenario(stage: Stage) -> Any:
        @llm
        async def words() -> AsyncIterator[str]:
            try:
                stage.mark("native:first")
                yield "one"
                yield "two"
            finally:
                await asyncio.sleep(0)
                stage.mark("native:cleanup")

        stream: Any = words.astream(callbacks=stage.callbacks)
        word = await anext(stream)
        await asyncio.create_task(stream.aclose())
        stage.mark("native:outside")
        return word

    bench.check(
        scenario,
        """
        llm:words
          native:first
          native:cleanup
        native:outside
        """,
    )


def test_async_generator_dropped(bench: Bench) -> None:
    """A stream that is dropped is closed by the event loop, in a task of its own."""

    async def scenario(stage: Stage) -> Any:
        @chain
        async def words() -> AsyncIterator[str]:
            try:
                yield "one"
                yield "two"
            finally:
                stage.mark("native:cleanup")

        async def one() -> str:
            stream: Any = words.astream(callbacks=stage.callbacks)
            word: str = await anext(stream)
            del stream
            gc.collect()
            return word

        word = await one()
        await asyncio.sleep(0.02)
        stage.mark("native:outside")
        return word

    bench.check(
        scenario,
        """
        chain:words
          native:cleanup
        native:outside
        """,
    )


def test_generator_thrown_into(bench: Bench) -> None:
    """What a consumer throws is handled inside the run, and what it then does is outside of it."""

    def scenario(stage: Stage) -> Any:
        @chain
        def words() -> Iterator[str]:
            try:
                yield "one"
            except KeyError:
                stage.mark("native:caught")
                yield "two"

        @chain
        def outer() -> Any:
            stream: Any = words()
            said = [next(stream), stream.throw(KeyError("x"))]
            stage.mark("native:between")
            with suppress(StopIteration):
                next(stream)
            return said

        return outer.invoke(callbacks=stage.callbacks)

    bench.check(
        scenario,
        """
        chain:outer
          chain:words
            native:caught
          native:between
        """,
    )


def test_async_generator_thrown_into(bench: Bench) -> None:
    """So it is with an asynchronous one."""

    async def scenario(stage: Stage) -> Any:
        @chain
        async def words() -> AsyncIterator[str]:
            try:
                yield "one"
            except KeyError:
                stage.mark("native:caught")
                yield "two"

        @chain
        async def outer() -> Any:
            stream: Any = words()
            said = [await anext(stream), await stream.athrow(KeyError("x"))]
            stage.mark("native:between")
            with suppress(StopAsyncIteration):
                await anext(stream)
            return said

        return await outer.ainvoke(callbacks=stage.callbacks)

    bench.check(
        scenario,
        """
        chain:outer
          chain:words
            native:caught
          native:between
        """,
    )


def test_generator_closed_in_another_thread(bench: Bench) -> None:
    """A thread with a context of its own may close a stream; its clean-up belongs to the run."""

    def scenario(stage: Stage) -> Any:
        @chain
        def words() -> Iterator[str]:
            try:
                yield "one"
            finally:
                stage.mark("native:cleanup")

        stream: Any = words.stream(callbacks=stage.callbacks)
        word = next(stream)
        thread = threading.Thread(target=stream.close)
        thread.start()
        thread.join()
        stage.mark("native:outside")
        return word

    bench.check(
        scenario,
        """
        chain:words
          native:cleanup
        native:outside
        """,
    )


@modes(SYNC_ASYNC)
def test_recursion(bench: Bench, mode: Mode) -> None:
    """Each call of a function that calls itself is a run of its own, below the one before."""

    def scenario(stage: Stage) -> Any:
        @chain
        def down(depth: int) -> int:
            found = down(depth - 1) if depth else 0
            stage.mark(f"native:{depth}")
            return found

        @chain(name="down")
        async def adown(depth: int) -> int:
            found = await adown(depth - 1) if depth else 0
            stage.mark(f"native:{depth}")
            return found

        return mode.run(adown if mode.is_async else down, 2, stage.config)

    bench.check(
        scenario,
        """
        chain:down
          chain:down
            chain:down
              native:0
            native:1
          native:2
        """,
    )


def test_recursive_generator(bench: Bench) -> None:
    """A generator that yields from itself keeps its levels apart."""

    def scenario(stage: Stage) -> Any:
        @chain
        def down(depth: int) -> Iterator[int]:
            stage.mark(f"native:before{depth}")
            yield depth
            if depth:
                yield from down(depth - 1)
            stage.mark(f"native:after{depth}")

        return down.invoke(1, callbacks=stage.callbacks)

    bench.check(
        scenario,
        """
        chain:down
          native:before1
          chain:down
            native:before0
            native:after0
          native:after1
        """,
    )


@modes(CALLS)
def test_langchain_inside_decorated_inside_langchain(bench: Bench, mode: Mode) -> None:
    """Three layers, with handlers bound to the middle one that are in force already."""

    def scenario(stage: Stage) -> Any:
        inner = PROMPT | stage.model() | PARSER

        @chain
        def middle(word: str) -> Any:
            stage.mark("native:middle")
            return inner.invoke({"word": word})

        @chain(name="middle")
        async def amiddle(word: str) -> Any:
            stage.mark("native:middle")
            return await inner.ainvoke({"word": word})

        step: Any = amiddle if mode.is_async else middle
        outer = RunnableLambda(lambda word: word).with_config(run_name="first") | step.with_config(
            callbacks=stage.callbacks
        )
        return mode.run(outer, "hi", stage.config)

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          chain:first
          chain:middle
            native:middle
            chain:RunnableSequence
              prompt:ChatPromptTemplate
              llm:m1
                native:model:m1
              parser:StrOutputParser
        """,
    )


@modes(SYNC_ASYNC)
def test_batch_in_a_batch(bench: Bench, mode: Mode) -> None:
    """Items of an inner batch hang below the item of the outer one that started them."""

    def scenario(stage: Stage) -> Any:
        @tool
        def look(q: str) -> str:
            """Look it up."""
            stage.mark(f"native:{q}")
            return q

        @chain
        def outer(word: str) -> Any:
            return look.batch([f"{word}1", f"{word}2"])

        @tool(name="look")
        async def alook(q: str) -> str:
            """Look it up."""
            await asyncio.sleep(0)
            stage.mark(f"native:{q}")
            return q

        @chain(name="outer")
        async def aouter(word: str) -> Any:
            return await alook.abatch([f"{word}1", f"{word}2"])

        if mode.is_async:
            return aouter.abatch(["a", "b"], stage.config)
        return outer.batch(["a", "b"], stage.config)

    bench.check(
        scenario,
        """
        chain:outer
          tool:look
            native:a1
          tool:look
            native:a2
        chain:outer
          tool:look
            native:b1
          tool:look
            native:b2
        """,
    )


@modes(CALLS)
def test_all_sorts_in_a_row(bench: Bench, mode: Mode) -> None:
    """Dicts, functions and runnables on either side of a decorated one."""

    def scenario(stage: Stage) -> Any:
        @prompt
        def ask(word: str, more: str) -> str:
            stage.mark("native:ask")
            return f"{word}{more}"

        first = {"word": RunnableLambda(str).with_config(run_name="left"), "more": str.upper}
        row = first | ask | {"said": stage.model() | PARSER, "size": len}
        return mode.run(row, "hi", stage.config)

    bench.check(
        scenario,
        """
        chain:Sequence
          chain:Parallel
            chain:left
            chain:upper
          prompt:ask
            native:ask
          chain:Parallel
            chain:RunnableSequence
              llm:m1
                native:model:m1
              parser:StrOutputParser
            chain:len
        """,
    )


@modes(CALLS)
def test_nodes_that_stream_and_call_models(bench: Bench, mode: Mode) -> None:
    """A decorated node whose body calls LangChain's model and a decorated tool."""

    def scenario(stage: Stage) -> Any:
        model = stage.model()

        @tool
        def look(q: str) -> str:
            """Look it up."""
            stage.mark("native:look")
            return q

        @agent
        def node(state: State) -> State:
            model.invoke(state["word"])
            return {"word": look(state["word"])}

        @agent(name="node")
        async def anode(state: State) -> State:
            await model.ainvoke(state["word"])
            return {"word": look(state["word"])}

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
              llm:m1
                native:model:m1
              tool:look
                native:look
        """,
    )


def test_executor_with_and_without_the_context(bench: Bench) -> None:
    """Work that a bare executor runs joins by `carry_context`, and else is not traced at all."""

    def scenario(stage: Stage) -> Any:
        @tool
        def look(q: str) -> str:
            """Look it up."""
            stage.mark("native:look")
            return q

        @chain
        def outer() -> Any:
            with ThreadPoolExecutor(1) as threads:
                return threads.submit(carry_context(look), "a").result()

        return outer.invoke(callbacks=stage.callbacks)

    bench.check(
        scenario,
        """
        chain:outer
          tool:look
            native:look
        """,
    )


def test_two_streams_interleaved(bench: Bench) -> None:
    """Two generators that are pulled in turn keep their bodies apart."""

    def scenario(stage: Stage) -> Any:
        @chain
        def words(name: str) -> Iterator[str]:
            stage.mark(f"native:{name}1")
            yield "one"
            stage.mark(f"native:{name}2")
            yield "two"

        @chain
        def outer() -> Any:
            return [*zip(words("a"), words("b"), strict=True)]

        return outer.invoke(callbacks=stage.callbacks)

    bench.check(
        scenario,
        """
        chain:outer
          chain:words
            native:a1
            native:a2
          chain:words
            native:b1
            native:b2
        """,
    )


def test_work_that_outlives_its_root(bench: Bench) -> None:
    """A task that a step starts and leaves behind still hangs below that step's trace."""

    async def scenario(stage: Stage) -> Any:
        tasks = []

        @tool
        async def later() -> None:
            """Be late."""
            await asyncio.sleep(0.01)
            stage.mark("native:later")

        @chain
        async def outer() -> None:
            tasks.append(asyncio.create_task(later()))
            await asyncio.sleep(0)

        await outer.ainvoke(callbacks=stage.callbacks)
        await tasks[0]
        stage.mark("native:outside")

    bench.check(
        scenario,
        """
        chain:outer
          tool:later
            native:later
        native:outside
        """,
    )


def test_generator_in_a_runnable_generator(bench: Bench) -> None:
    """A decorated generator that LangChain's own generator pulls."""

    def scenario(stage: Stage) -> Any:
        @chain
        def words(text: str) -> Iterator[str]:
            for word in text.split():
                stage.mark(f"native:{word}")
                yield word

        def outer(texts: Iterator[str]) -> Iterator[str]:
            for text in texts:
                yield from words(text)

        step = RunnableGenerator(outer).with_config(run_name="outer")
        return [*step.stream("a b", stage.config)]

    bench.check(
        scenario,
        """
        chain:outer
          chain:words
            native:a
            native:b
        """,
    )


@modes(SYNC_ASYNC)
def test_methods(bench: Bench, mode: Mode) -> None:
    """Methods that call one another, class methods too, make one tree."""

    def scenario(stage: Stage) -> Any:
        class Robot:
            @tool
            def look(self, q: str) -> str:
                """Look it up."""
                stage.mark("native:look")
                return q

            @retriever
            @classmethod
            def find(cls, query: str) -> list[str]:
                stage.mark("native:find")
                return [query]

            @chain
            def run(self, word: str) -> Any:
                return self.find(self.look(word))

            @chain(name="run")
            async def arun(self, word: str) -> Any:
                await asyncio.sleep(0)
                return self.find(self.look(word))

        robot = Robot()
        return mode.run(robot.arun if mode.is_async else robot.run, "hi", stage.config)

    bench.check(
        scenario,
        """
        chain:run
          tool:look
            native:look
          retriever:find
            native:find
        """,
    )


def test_context_variables_of_the_user(bench: Bench) -> None:
    """What a generator sets of the user's own variables is seen by its consumer, as without decorating it."""

    def scenario(stage: Stage) -> Any:
        variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

        @chain
        def words() -> Iterator[str]:
            variable.set("inside")
            yield variable.get()
            yield variable.get()

        seen = []
        for word in words.stream(callbacks=stage.callbacks):
            seen.append((word, variable.get()))
            variable.set("outside")
        return seen

    seen = bench.check(scenario, "chain:words")
    assert seen.result == "list [('inside', 'inside'), ('outside', 'outside')]"
