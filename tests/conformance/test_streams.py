"""What a streaming model, generator or graph opens while its stream is pulled, in every way to pull it."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing, suppress
from functools import partial
from typing import Any, cast

import anyio
import anyio.to_thread
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.runnables import Runnable, RunnableGenerator, RunnableLambda, RunnableParallel
from typing_extensions import override

from ._bench import Bench
from ._fakes import FakeChat
from ._modes import CALLS, SYNC_ASYNC, Mode, modes
from ._stage import Stage, carry_context
from .test_chains import PARSER, PROMPT, WORD

STREAMS = [CALLS[2], CALLS[3]]

SEQUENCE = """
    chain:RunnableSequence
      prompt:ChatPromptTemplate
      llm:m1
        native:model:m1
      parser:StrOutputParser
"""


def sequence(stage: Stage, **extra: Any) -> Runnable[Any, Any]:
    """Return a chain that streams three words."""
    return PROMPT | stage.model(**extra) | PARSER


@modes(STREAMS)
def test_model_that_makes_a_second_request_midway(bench: Bench, mode: Mode) -> None:
    """A request between two chunks of a stream hangs below the model, though the consumer had its turn."""

    def scenario(stage: Stage) -> Any:
        return mode.run(sequence(stage, midway=lambda _: stage.mark("native:second")), WORD, stage.config)

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
            native:second
          parser:StrOutputParser
        """,
    )


@modes(STREAMS)
def test_second_request_of_a_model_alone(bench: Bench, mode: Mode) -> None:
    """So it does where no chain is around the model."""

    def scenario(stage: Stage) -> Any:
        return mode.run(stage.model(midway=lambda _: stage.mark("native:second")), "hi", stage.config)

    bench.check(
        scenario,
        """
        llm:m1
          native:model:m1
          native:second
        """,
    )


async def _gathered(work: Coroutine[Any, Any, None]) -> None:
    await asyncio.gather(work)


async def _as_task(work: Coroutine[Any, Any, None]) -> None:
    await asyncio.create_task(work)


async def _in_time(work: Coroutine[Any, Any, None]) -> None:
    await asyncio.wait_for(work, timeout=5)


async def _one_by_one(work: Coroutine[Any, Any, None]) -> None:
    for done in asyncio.as_completed([work]):
        await done


async def _in_group(work: Coroutine[Any, Any, None]) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(partial(asyncio.wait_for, work, timeout=5))


async def _mark(stage: Stage, name: str) -> None:
    stage.mark(name)


@pytest.mark.parametrize("work", [_gathered, _as_task, _in_time, _one_by_one, _in_group])
def test_second_request_in_a_task_of_the_models(bench: Bench, work: Callable[[Any], Any]) -> None:
    """A task that a streaming model waits for is the model's, and one that the consumer waits for is the consumer's."""

    async def consume(stage: Stage, stream: AsyncIterator[Any]) -> None:
        async for _ in stream:
            await work(_mark(stage, "native:consumer"))

    async def scenario(stage: Stage) -> None:
        def midway(_: Any) -> Any:
            return work(_mark(stage, "native:second"))

        await consume(stage, sequence(stage, midway=midway).astream(WORD, stage.config))
        await consume(stage, stage.model(midway=midway).astream("hi", stage.config))

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
            native:second
          parser:StrOutputParser
        llm:m1
          native:model:m1
          native:second
        native:consumer  x6
        """,
    )


async def _failing() -> None:
    raise ConnectionError


@pytest.mark.parametrize("attempt", [_gathered, _as_task, _in_time, _one_by_one])
def test_second_request_after_one_that_failed(bench: Bench, attempt: Callable[[Any], Any]) -> None:
    """What a streaming model asks again when something that it waited for has failed is the model's own."""

    class Trying(FakeChat):
        @override
        async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
            for word in ("one", "two"):
                with suppress(ConnectionError):
                    await attempt(_failing())
                with self.native("native:again"):
                    pass
                yield ChatGenerationChunk(message=AIMessageChunk(content=word))

    async def consume(stage: Stage, stream: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for chunk in stream:
            with suppress(ConnectionError):
                await attempt(_failing())
            stage.mark("native:consumer")
            yield chunk

    async def scenario(stage: Stage) -> Any:
        model = Trying(name="m1", native=stage.native)
        alone = consume(stage, model.astream("hi", stage.config))
        chained = consume(stage, (model | PARSER).astream("hi", stage.config))
        return [str(chunk.content) async for chunk in alone], [chunk async for chunk in chained]

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          llm:m1
            native:again  x2
          parser:StrOutputParser
        llm:m1
          native:again  x2
        native:consumer  x6
        """,
    )


async def _shielded(work: Callable[[], None]) -> None:
    await asyncio.shield(asyncio.to_thread(work))


async def _in_executor(work: Callable[[], None]) -> None:
    with ThreadPoolExecutor(1) as pool:
        await asyncio.get_running_loop().run_in_executor(pool, contextvars.copy_context().run, work)


def _at_once(_: asyncio.AbstractEventLoop) -> None:
    """Do nothing: a new thread goes on, before the executor that has started it returns."""


def _once_waited_for(loop: asyncio.AbstractEventLoop) -> None:
    is_waited_for = threading.Event()
    loop.call_soon_threadsafe(is_waited_for.set)
    assert is_waited_for.wait(5)


@pytest.mark.usefixtures("long_turns")
@pytest.mark.parametrize("begin", [_at_once, _once_waited_for])
@pytest.mark.parametrize("work", [asyncio.to_thread, _shielded, _in_executor, anyio.to_thread.run_sync])
def test_second_request_in_a_thread_of_the_models(
    bench: Bench, work: Callable[[Any], Any], begin: Callable[[asyncio.AbstractEventLoop], None]
) -> None:
    """So it is with a worker thread that one of them waits for, or is about to wait for."""

    def mark(stage: Stage, name: str, loop: asyncio.AbstractEventLoop) -> None:
        begin(loop)
        stage.mark(name)

    async def consume(stage: Stage, stream: AsyncIterator[Any]) -> None:
        async for _ in stream:
            await work(partial(mark, stage, "native:consumer", asyncio.get_running_loop()))

    async def scenario(stage: Stage) -> None:
        def midway(_: Any) -> Any:
            return work(partial(mark, stage, "native:second", asyncio.get_running_loop()))

        await consume(stage, sequence(stage, midway=midway).astream(WORD, stage.config))
        await consume(stage, (PROMPT | stage.model(midway=midway)).astream(WORD, stage.config))
        await consume(stage, stage.model(midway=midway).astream("hi", stage.config))

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
            native:second
          parser:StrOutputParser
        chain:RunnableSequence
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
            native:second
        llm:m1
          native:model:m1
          native:second
        native:consumer  x9
        """,
    )


def _block(stage: Stage, name: str, pause_s: float) -> None:
    def mark() -> None:
        if pause_s:
            time.sleep(pause_s)  # in which the code comes to block
        stage.mark(name)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(partial(contextvars.copy_context().run, mark)).result()


@pytest.mark.usefixtures("long_turns")
@pytest.mark.parametrize("pause_s", [0, 0.02])
@modes(STREAMS)
def test_second_request_in_a_thread_that_blocks_the_models(bench: Bench, mode: Mode, pause_s: float) -> None:
    """So it is with a thread that code blocks for: the model's, or its consumer's."""

    def between(stage: Stage) -> None:
        _block(stage, "native:consumer", pause_s)

    async def aconsume(stage: Stage, chain: Runnable[Any, Any]) -> None:
        async for _ in chain.astream("hi", stage.config):
            between(stage)

    def scenario(stage: Stage) -> Any:
        model = stage.model(midway=lambda _: _block(stage, "native:second", pause_s))
        chain: Runnable[Any, Any] = RunnableLambda(lambda word: {"word": word}) | PROMPT | model | PARSER
        if mode.is_async:
            return aconsume(stage, chain)
        for _ in chain.stream("hi", stage.config):
            between(stage)
        return None

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          chain:RunnableLambda
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
            native:second
          parser:StrOutputParser
        native:consumer  x3
        """,
    )


def in_threads(stage: Stage) -> None:
    """Make two requests at once, in a bare executor."""
    with ThreadPoolExecutor(2) as pool:
        for work in [carry_context(partial(stage.mark, "native:carried")) for _ in range(2)]:
            pool.submit(work)


@modes(STREAMS)
def test_requests_in_threads_of_a_model(bench: Bench, mode: Mode) -> None:
    """What a streaming model carries into threads hangs below it; what its consumer carries there does not."""

    def scenario(stage: Stage) -> Any:
        model = sequence(stage, inside=lambda _: in_threads(stage), midway=lambda _: in_threads(stage))
        return mode.run(model | RunnableLambda(str, name="str"), WORD, stage.config)

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
            native:carried  x4
          parser:StrOutputParser
          chain:str
        """,
    )


@modes(STREAMS)
def test_requests_in_threads_of_a_model_alone(bench: Bench, mode: Mode) -> None:
    """So it does where no chain is around the model."""

    def scenario(stage: Stage) -> Any:
        model = stage.model(inside=lambda _: in_threads(stage), midway=lambda _: in_threads(stage))
        return mode.run(model, "hi", stage.config)

    bench.check(
        scenario,
        """
        llm:m1
          native:model:m1
          native:carried  x4
        """,
    )


def test_threads_of_a_consumer(bench: Bench) -> None:
    """What a consumer carries into threads between two chunks is its own."""

    def scenario(stage: Stage) -> None:
        for _ in sequence(stage).stream(WORD, stage.config):
            in_threads(stage)

    bench.check(
        scenario,
        """
        native:carried  x6
        chain:RunnableSequence
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
          parser:StrOutputParser
        """,
    )


@pytest.mark.parametrize("make", [sequence, Stage.model])
def test_requests_in_threads_that_a_model_waits_for(bench: Bench, make: Callable[..., Runnable[Any, Any]]) -> None:
    """A thread that has a copy of the context, and whose outcome is waited for, is of whoever waits."""

    def wait(stage: Stage, name: str) -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(contextvars.copy_context().run, stage.mark, name).result()

    def scenario(stage: Stage) -> None:
        model = make(stage, midway=lambda _: wait(stage, "native:second"))
        for _ in model.stream(WORD if make is sequence else "hi", stage.config):
            wait(stage, "native:consumer")

    whole = SEQUENCE.replace("native:model:m1", "native:model:m1\n        native:second")
    alone = "    llm:m1\n      native:model:m1\n      native:second"
    bench.check(scenario, (whole if make is sequence else alone) + "\n    native:consumer  x3")


def test_calls_in_threads_of_a_model(bench: Bench) -> None:
    """What is called in such a thread is current in its own body, below the step that LangChain names there."""

    def calls(stage: Stage, _: object) -> None:
        branches = RunnableParallel(a=partial(marked, stage, "a"), b=partial(marked, stage, "b"))

        def work() -> None:
            branches.invoke("x")
            stage.mark("native:carried")

        with ThreadPoolExecutor(1) as pool:
            pool.submit(carry_context(work)).result()

    def scenario(stage: Stage) -> Any:
        chain = RunnableLambda(str, name="first") | stage.model(midway=partial(calls, stage)) | PARSER
        return list(chain.stream("hi", stage.config))

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          chain:first
          llm:m1
            native:model:m1
            native:carried
          parser:StrOutputParser
            chain:RunnableParallel<a,b>
              chain:RunnableLambda
                native:a
              chain:RunnableLambda
                native:b
        """,
    )


def marked(stage: Stage, name: str, _: object) -> None:
    """Mark the body of a step."""
    stage.mark(f"native:{name}")


@modes(STREAMS)
def test_second_request_and_a_watchful_consumer(bench: Bench, mode: Mode) -> None:
    """The model's spans and the consumer's take turns, each in its own place."""

    def scenario(stage: Stage) -> Any:
        stream = sequence(stage, midway=lambda _: stage.mark("native:second"))

        async def aconsume() -> None:
            async for _ in stream.astream(WORD, stage.config):
                stage.mark("native:consumer")

        if mode.is_async:
            return aconsume()
        for _ in stream.stream(WORD, stage.config):
            stage.mark("native:consumer")
        return None

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
            native:second
          parser:StrOutputParser
        native:consumer  x3
        """,
    )


@modes(STREAMS)
def test_model_that_fails_midway(bench: Bench, mode: Mode) -> None:
    """A stream that breaks ends every span, and leaves nothing current."""

    def scenario(stage: Stage) -> Any:
        def fail(_: Any) -> None:
            raise ConnectionError

        return mode.run(sequence(stage, midway=fail), WORD, stage.config)

    bench.check(scenario, SEQUENCE, fails="ConnectionError")


@modes(STREAMS)
def test_fallback_streams_from_outside(bench: Bench, mode: Mode) -> None:
    """The later chunks of a fallback's stream, pulled outside its context, belong to its model."""

    def scenario(stage: Stage) -> Any:
        second = stage.model("m2", midway=lambda _: stage.mark("native:second"))
        model = stage.model("m1", ConnectionError("down")).with_fallbacks([second])
        return mode.run(PROMPT | model | PARSER, WORD, stage.config)

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          prompt:ChatPromptTemplate
          chain:RunnableWithFallbacks
            llm:m1
              native:model:m1
            llm:m2
              native:model:m2
              native:second
          parser:StrOutputParser
        """,
    )


def copied(work: Any) -> Any:
    """Return the work bound to a copy of this context."""
    return partial(contextvars.copy_context().run, work)


def test_each_chunk_pulled_in_another_thread(bench: Bench) -> None:
    """A web server that pulls a sync stream chunk by chunk in its thread pool changes nothing."""

    def scenario(stage: Stage) -> list[Any]:
        stream = sequence(stage, midway=lambda _: stage.mark("native:second")).stream(WORD, stage.config)
        chunks = []
        with ThreadPoolExecutor(1) as pool:
            while (chunk := pool.submit(copied(next), stream, None).result()) is not None:
                chunks.append(chunk)
                stage.mark("native:consumer")
        return chunks

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
            native:second
          parser:StrOutputParser
        native:consumer  x3
        """,
    )


def test_each_chunk_pulled_in_another_task(bench: Bench) -> None:
    """So does a server that pulls each chunk of an async stream in a task of its own."""

    async def scenario(stage: Stage) -> list[Any]:
        stream = sequence(stage, midway=lambda _: stage.mark("native:second")).astream(WORD, stage.config)
        chunks = []
        while (chunk := await asyncio.ensure_future(anext(stream, None))) is not None:
            chunks.append(chunk)
            stage.mark("native:consumer")
        return chunks

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
            native:second
          parser:StrOutputParser
        native:consumer  x3
        """,
    )


@modes(STREAMS)
def test_stream_pulled_by_a_function(bench: Bench, mode: Mode) -> None:
    """A body that consumes a nested stream has its own spans between the chunks, not the model's."""

    def scenario(stage: Stage) -> Any:
        model = stage.model()

        def run(word: str) -> str:
            chunks = []
            for chunk in model.stream(word):
                stage.mark("native:between")
                chunks.append(chunk.text)
            return " ".join(chunks)

        async def arun(word: str) -> str:
            chunks = []
            async for chunk in model.astream(word):
                stage.mark("native:between")
                chunks.append(chunk.text)
            return " ".join(chunks)

        return mode.run(RunnableLambda(run, arun, name="outer"), "hi", stage.config)

    bench.check(
        scenario,
        """
        chain:outer
          llm:m1
            native:model:m1
          native:between  x3
        """,
    )


@modes(STREAMS)
def test_nested_call_between_chunks(bench: Bench, mode: Mode) -> None:
    """A model called between two chunks of another one's stream is its sibling, not its child."""

    def scenario(stage: Stage) -> Any:
        slow, quick = stage.model("slow"), stage.model("quick")

        def run(word: str) -> int:
            return len([quick.invoke(word) for _ in slow.stream(word)])

        async def arun(word: str) -> int:
            return len([await quick.ainvoke(word) async for _ in slow.astream(word)])

        return mode.run(RunnableLambda(run, arun, name="outer"), "hi", stage.config)

    bench.check(
        scenario,
        """
        chain:outer
          llm:slow
            native:model:slow
          llm:quick  x3
            native:model:quick
        """,
    )


@modes(STREAMS)
def test_generators_in_a_row(bench: Bench, mode: Mode) -> None:
    """Generators that pull each other chunk by chunk keep their spans apart."""

    def scenario(stage: Stage) -> Any:
        def step(name: str) -> Runnable[Any, Any]:
            def run(given: Iterator[Any]) -> Iterator[Any]:
                stage.mark(f"native:{name}:open")
                for chunk in given:
                    stage.mark(f"native:{name}")
                    yield chunk

            async def arun(given: AsyncIterator[Any]) -> AsyncIterator[Any]:
                stage.mark(f"native:{name}:open")
                async for chunk in given:
                    stage.mark(f"native:{name}")
                    yield chunk

            return RunnableGenerator(run, arun, name=name)

        return mode.run(stage.model() | PARSER | step("g1") | step("g2"), "hi", stage.config)

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          llm:m1
            native:model:m1
          parser:StrOutputParser
          chain:g1
            native:g1:open
            native:g1  x3
          chain:g2
            native:g2:open
            native:g2  x3
        """,
    )


def test_async_iteration_of_a_sync_model(bench: Bench) -> None:
    """A sync model streamed by an async caller is pulled in threads, and its requests stay below it."""

    async def scenario(stage: Stage) -> list[Any]:
        threads = set()

        def midway(_: Any) -> None:
            threads.add(threading.current_thread() is threading.main_thread())
            stage.mark("native:second")

        chunks = [chunk async for chunk in stage.sync_model(midway=midway).astream("hi", stage.config)]
        assert threads == {False}
        return chunks

    bench.check(
        scenario,
        """
        llm:m1
          native:model:m1
          native:second
        """,
    )


@modes(STREAMS)
def test_request_open_during_the_whole_stream(bench: Bench, mode: Mode) -> None:
    """A model that keeps its request's span open and current while it streams shows it to its consumer.

    That is the model's doing, with us and without: a generator's context is its consumer's.
    """

    def scenario(stage: Stage) -> Any:
        class Streaming(FakeChat):
            def _stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
                with stage.native("native:request"):
                    yield from super()._stream(*args, **kwargs)

            async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
                with stage.native("native:request"):
                    async for chunk in super()._astream(*args, **kwargs):
                        yield chunk

        return mode.run(Streaming(name="m1", native=stage.native), "hi", stage.config)

    bench.check(
        scenario,
        """
        llm:m1
          native:request
            native:model:m1
        """,
    )


@modes(STREAMS)
def test_branches_that_stream_at_once(bench: Bench, mode: Mode) -> None:
    """Branches pulled in turn, in threads or tasks, keep their second requests apart."""

    def scenario(stage: Stage) -> Any:
        def branch(name: str) -> Runnable[Any, Any]:
            return PROMPT | stage.model(name, midway=lambda _: stage.mark(f"native:second:{name}")) | PARSER

        parallel = RunnableParallel({name: branch(name) for name in "ab"})
        return sorted_of(mode, mode.run(parallel, WORD, stage.config))

    bench.check(
        scenario,
        """
        chain:RunnableParallel<a,b>
          chain:RunnableSequence
            prompt:ChatPromptTemplate
            llm:a
              native:model:a
              native:second:a
            parser:StrOutputParser
          chain:RunnableSequence
            prompt:ChatPromptTemplate
            llm:b
              native:model:b
              native:second:b
            parser:StrOutputParser
        """,
    )


@modes(STREAMS)
def test_models_that_are_branches_themselves(bench: Bench, mode: Mode) -> None:
    """So do models with no chain around each, every chunk of which is pulled in a context of its own."""

    def scenario(stage: Stage) -> Any:
        a, b, c = (stage.model(name, midway=lambda _: stage.mark("native:second")) for name in "abc")
        models: Any = {"a": a, "b": b, "c": c.with_fallbacks([a])}
        return sorted_of(mode, mode.run(RunnableParallel(models), "hi", stage.config))

    bench.check(
        scenario,
        """
        chain:RunnableParallel<a,b,c>
          llm:a
            native:model:a
            native:second
          llm:b
            native:model:b
            native:second
          chain:RunnableWithFallbacks
            llm:c
              native:model:c
              native:second
        """,
    )


def sorted_of(mode: Mode, chunks: Any) -> Any:
    """Return the chunks in an order of their own: branches stream in any."""

    async def asorted() -> list[Any]:
        return sorted(await chunks, key=repr)

    return asorted() if mode.is_async else sorted(chunks, key=repr)


@modes(CALLS)
def test_stream_passed_on_by_a_generator(bench: Bench, mode: Mode) -> None:
    """A generator step that passes a nested stream on has its own spans between the chunks."""

    def scenario(stage: Stage) -> Any:
        inner = PROMPT | stage.model(midway=lambda _: stage.mark("native:second")) | PARSER

        def passing(given: Iterator[Any]) -> Iterator[str]:
            for one in given:
                for chunk in inner.stream(one):
                    stage.mark("native:passing")
                    yield chunk
            stage.mark("native:done")

        async def apassing(given: AsyncIterator[Any]) -> AsyncIterator[str]:
            async for one in given:
                async for chunk in inner.astream(one):
                    stage.mark("native:passing")
                    yield chunk
            stage.mark("native:done")

        return mode.run(RunnableGenerator(passing, apassing, name="passing"), WORD, stage.config)

    bench.check(
        scenario,
        """
        chain:passing
          chain:RunnableSequence
            prompt:ChatPromptTemplate
            llm:m1
              native:model:m1
              native:second
            parser:StrOutputParser
          native:passing  x3
          native:done
        """,
    )


@modes(CALLS)
def test_function_that_returns_a_stream(bench: Bench, mode: Mode) -> None:
    """A function whose answer is a stream, pulled by LangChain, is its parent."""

    def scenario(stage: Stage) -> Any:
        model = stage.model(midway=lambda _: stage.mark("native:second"))

        def run(word: str) -> Iterator[Any]:
            for chunk in model.stream(word):
                stage.mark("native:outer")
                yield chunk

        async def arun(word: str) -> AsyncIterator[Any]:
            async for chunk in model.astream(word):
                stage.mark("native:outer")
                yield chunk

        step: Any = RunnableLambda(arun if mode.is_async else run, name="outer")
        return mode.run(step, "hi", stage.config)

    bench.check(
        scenario,
        """
        chain:outer
          llm:m1
            native:model:m1
            native:second
          native:outer  x3
        """,
    )


@modes(STREAMS)
def test_nested_stream_left_early(bench: Bench, mode: Mode) -> None:
    """A body that leaves a nested stream goes on in its own run."""

    def scenario(stage: Stage) -> Any:
        model = stage.model()

        def run(word: str) -> str:
            with closing(cast("Any", model.stream(word))) as stream:
                first = next(stream).text
            stage.mark("native:after")
            return f"{first} {model.invoke(word).text}"

        async def arun(word: str) -> str:
            async with aclosing(cast("Any", model.astream(word))) as stream:
                first = (await anext(stream)).text
            stage.mark("native:after")
            return f"{first} {(await model.ainvoke(word)).text}"

        return mode.run(RunnableLambda(run, arun, name="outer"), "hi", stage.config)

    bench.check(
        scenario,
        """
        chain:outer
          llm:m1  x2
            native:model:m1
          native:after
        """,
    )


@modes(SYNC_ASYNC)
def test_model_that_reports_tokens_without_streaming(bench: Bench, mode: Mode) -> None:
    """A model that reports its tokens from inside one call has nobody waiting in between."""

    def scenario(stage: Stage) -> Any:
        def report(run_manager: Any) -> Any:
            def again(_: Any = None) -> None:
                stage.mark("native:second")

            told = run_manager.on_llm_new_token("one")
            if not hasattr(told, "__await__"):
                return again()

            async def areport() -> None:
                await told
                again()

            return areport()

        return mode.run(PROMPT | stage.model(inside=report) | PARSER, WORD, stage.config)

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
            native:second
          parser:StrOutputParser
        """,
    )


@modes(CALLS)
def test_second_request_of_a_model_that_knows_no_async(bench: Bench, mode: Mode) -> None:
    """LangChain pulls its stream chunk by chunk in worker threads, in the context of the parser that pulls."""

    def scenario(stage: Stage) -> Any:
        model = stage.sync_model(midway=lambda _: stage.mark("native:second"))
        return mode.run(PROMPT | model | PARSER, WORD, stage.config)

    second = "native:second" if "stream" in mode.name else ""
    bench.check(
        scenario,
        f"""
        chain:RunnableSequence
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
            {second}
          parser:StrOutputParser
        """,
    )


HAS_V3 = hasattr(BaseChatModel, "_chat_model_stream_v3")  # in beta; older releases of langchain-core have none
V3 = pytest.mark.skipif(not HAS_V3, reason="this langchain-core has no stream of events of a model, version 3")


@V3
@pytest.mark.filterwarnings("ignore:.*is in beta")
def test_events_of_a_model(bench: Bench) -> None:
    """What starts such a stream returns before the body executes, and another call in between ends nothing."""

    def scenario(stage: Stage) -> None:
        quick, model = stage.model("quick"), stage.model(midway=lambda _: stage.mark("native:second"))
        stream: Any = model.stream_events("hi", stage.config, version="v3")
        for _ in stream.text:
            stage.mark("native:consumer")
            quick.invoke("hi", stage.config)

    seen = bench.check(
        scenario,
        """
        llm:m1
          native:model:m1
          native:second
        native:consumer  x3
        llm:quick  x3
          native:model:quick
        """,
    )

    assert [span.attributes.get("chainspan.run.outcome") for span in seen.spans if span.attributes] == [None] * 4


@V3
@pytest.mark.filterwarnings("ignore:.*is in beta")
def test_async_events_of_a_model(bench: Bench) -> None:
    """Asynchronously the body executes in a task of its own, which is the model's as long as it is open."""

    async def scenario(stage: Stage) -> None:
        model: Any = stage.model(midway=lambda _: stage.mark("native:second"))
        stream = await model.astream_events("hi", stage.config, version="v3")
        async for _ in stream.text:
            stage.mark("native:consumer")

    bench.check(
        scenario,
        """
        llm:m1
          native:model:m1
          native:second
        native:consumer  x3
        """,
    )


CALLS_BETWEEN_EVENTS = """
    llm:m1
      native:model:m1
      native:second
    chain:other  x2
      native:other
    native:carried
"""


def other(stage: Stage) -> Any:
    """Return a function that opens a span."""
    return RunnableLambda(lambda _: stage.mark("native:other"), name="other")


@V3
@pytest.mark.filterwarnings("ignore:.*is in beta")
def test_calls_between_events_of_a_model(bench: Bench) -> None:
    """What the consumer calls in other threads between two events is its own."""

    def scenario(stage: Stage) -> None:
        stream: Any = stage.model(midway=lambda _: stage.mark("native:second")).stream_events(
            "hi", stage.config, version="v3"
        )
        texts = iter(stream.text)
        next(texts)
        other(stage).batch([1, 2], stage.config)
        with ThreadPoolExecutor() as pool:
            pool.submit(carry_context(stage.mark), "native:carried").result()
        assert list(texts)

    bench.check(scenario, CALLS_BETWEEN_EVENTS)


@V3
@pytest.mark.parametrize("sync_only", [False, True], ids=["async", "sync-only"])
@pytest.mark.filterwarnings("ignore:.*is in beta")
def test_calls_between_async_events_of_a_model(bench: Bench, *, sync_only: bool) -> None:
    """So it is with its other tasks, while the model's own is at work."""

    async def scenario(stage: Stage) -> None:
        going_on = threading.Event()

        def wait(_: Any) -> None:
            if sync_only:
                going_on.wait()
            stage.mark("native:second")

        model: Any = (stage.sync_model if sync_only else stage.model)(midway=wait)
        texts = aiter((await model.astream_events("hi", stage.config, version="v3")).text)
        await anext(texts)
        await other(stage).abatch([1, 2], stage.config)
        await asyncio.to_thread(stage.mark, "native:carried")
        going_on.set()
        assert [text async for text in texts]

    bench.check(scenario, CALLS_BETWEEN_EVENTS)


@V3
@pytest.mark.filterwarnings("ignore:.*is in beta")
def test_events_of_a_model_dropped(bench: Bench) -> None:
    """Of such a stream that is dropped LangChain reports no end; its span ends all the same."""

    def scenario(stage: Stage) -> None:
        stream: Any = stage.model().stream_events("hi", stage.config, version="v3")
        texts = iter(stream.text)
        next(texts)
        del texts, stream
        stage.mark("native:afterwards")

    bench.check(
        scenario,
        """
        llm:m1
          native:model:m1
        native:afterwards
        """,
    )
