"""What the consumer of a stream does between two chunks is its own: it sees the span it had before."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig, chain
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from opentelemetry import trace

from ._bench import Bench
from ._modes import CALLS, Mode, modes
from ._stage import Stage
from .test_chains import PARSER, PROMPT, WORD
from .test_graphs import EMPTY, State, asks, node
from .test_streams import SEQUENCE, sequence

STREAMS = [CALLS[2], CALLS[3]]


async def each(mode: Mode, stream: Any) -> AsyncIterator[Any]:
    """Iterate over a stream of either kind."""
    if mode.is_async:
        async for chunk in stream:
            yield chunk
    else:
        for chunk in stream:
            yield chunk


def opened(mode: Mode, runnable: Any, given: Any, config: Any, **options: Any) -> Any:
    """Return a stream that nobody has pulled yet."""
    return (runnable.astream if mode.is_async else runnable.stream)(given, config, **options)


@modes(STREAMS)
def test_span_between_chunks(bench: Bench, mode: Mode) -> None:
    """A span opened between two chunks hangs where the consumer stands, not below the stream's runs."""

    async def scenario(stage: Stage) -> list[Any]:
        chunks = []
        async for chunk in each(mode, opened(mode, sequence(stage), WORD, stage.config)):
            stage.mark("native:consumer")
            chunks.append(chunk)
        return chunks

    bench.check(scenario, SEQUENCE + "\n    native:consumer  x3")


@modes(STREAMS)
def test_current_span_between_chunks(bench: Bench, mode: Mode) -> None:
    """Between two chunks the current span is the one from before the stream."""

    async def scenario(stage: Stage) -> list[bool]:
        before, same = trace.get_current_span(), []
        async for _ in each(mode, opened(mode, sequence(stage), WORD, stage.config)):
            now = trace.get_current_span()
            same.append(now == before and now.get_span_context() == before.get_span_context())
        assert same == [True] * 3, same
        return same

    bench.check(scenario, SEQUENCE)


@modes(STREAMS)
def test_span_between_chunks_of_a_model(bench: Bench, mode: Mode) -> None:
    """So it is with a model that streams alone."""

    async def scenario(stage: Stage) -> None:
        async for _ in each(mode, opened(mode, stage.model(), "hi", stage.config)):
            stage.mark("native:consumer")

    bench.check(
        scenario,
        """
        llm:m1
          native:model:m1
        native:consumer  x3
        """,
    )


def graph_of(stage: Stage, mode: Mode) -> CompiledStateGraph[Any]:
    """Return a graph of a node that calls a model and one that does not."""
    graph = StateGraph(State)
    graph.add_node("a", node(stage, "a", mode, asks(stage.model(), mode)))
    graph.add_node("b", node(stage, "b", mode))
    graph.add_edge(START, "a")
    graph.add_edge("a", "b")
    return graph.compile()


@modes(STREAMS)
def test_span_between_chunks_of_a_graph(bench: Bench, mode: Mode) -> None:
    """So it is with a graph, whether it streams its updates or its models' tokens."""

    async def scenario(stage: Stage) -> None:
        stream = opened(mode, graph_of(stage, mode), EMPTY, stage.config, stream_mode="updates")
        async for _ in each(mode, stream):
            stage.mark("native:consumer")

    bench.check(
        scenario,
        """
        chain:LangGraph
          chain:a
            native:node:a
            llm:m1
              native:model:m1
          chain:b
            native:node:b
        native:consumer  x2
        """,
    )


@modes(STREAMS)
def test_span_between_tokens_of_a_graph(bench: Bench, mode: Mode) -> None:
    """A graph that streams the tokens of its models lets the consumer in while they run."""

    async def scenario(stage: Stage) -> None:
        stream = opened(mode, graph_of(stage, mode), EMPTY, stage.config, stream_mode="messages")
        async for _ in each(mode, stream):
            stage.mark("native:consumer")

    bench.check(
        scenario,
        """
        chain:LangGraph
          chain:a
            native:node:a
            llm:m1
              native:model:m1
          chain:b
            native:node:b
        native:consumer  x3
        """,
    )


@modes(STREAMS)
def test_span_between_chunks_that_a_function_hands_on(bench: Bench, mode: Mode) -> None:
    """A function that streams a chain on is in its own body between two of the chain's chunks."""

    async def scenario(stage: Stage) -> None:
        inner = sequence(stage)

        @chain  # type: ignore[arg-type]  # which it takes
        def outer(_: Any, config: RunnableConfig) -> Iterator[str]:
            for chunk in inner.stream(WORD, config):
                stage.mark("native:between")
                yield chunk

        @chain  # type: ignore[arg-type]  # which it takes
        async def aouter(_: Any, config: RunnableConfig) -> AsyncIterator[str]:
            async for chunk in inner.astream(WORD, config):
                stage.mark("native:between")
                yield chunk

        async for _ in each(mode, opened(mode, aouter if mode.is_async else outer, "hi", stage.config)):
            stage.mark("native:consumer")

    bench.check(
        scenario,
        f"""
        chain:{"aouter" if mode.is_async else "outer"}
          chain:RunnableSequence
            prompt:ChatPromptTemplate
            llm:m1
              native:model:m1
            parser:StrOutputParser
          native:between  x3
        native:consumer  x3
        """,
    )


@modes(STREAMS)
def test_calls_at_once_between_chunks_of_a_graph(bench: Bench, mode: Mode) -> None:
    """Chains that the consumer of a graph calls in a batch are traces of their own (pains #1)."""

    async def scenario(stage: Stage) -> None:
        other = PROMPT | stage.model("other")
        stream = opened(mode, graph_of(stage, mode), EMPTY, stage.config, stream_mode="updates")
        async for _ in each(mode, stream):
            if mode.is_async:
                await other.abatch([WORD, WORD], stage.config)
            else:
                other.batch([WORD, WORD], stage.config)

    bench.check(
        scenario,
        """
        chain:LangGraph
          chain:a
            native:node:a
            llm:m1
              native:model:m1
          chain:b
            native:node:b
        chain:RunnableSequence  x4
          prompt:ChatPromptTemplate
          llm:other
            native:model:other
        """,
    )


def test_span_between_events(bench: Bench) -> None:
    """Events are a stream like any other: the chain runs in a task of its own."""

    async def scenario(stage: Stage) -> None:
        async for event in sequence(stage).astream_events(WORD, stage.config, version="v2"):
            if event["event"] == "on_chat_model_stream":
                stage.mark("native:consumer")

    bench.check(scenario, SEQUENCE + "\n    native:consumer  x3")


def test_tasks_spawned_between_chunks(bench: Bench) -> None:
    """A task that the consumer starts between two chunks inherits the consumer's place, for good."""

    async def scenario(stage: Stage) -> None:
        async def work() -> None:
            stage.mark("native:task")
            await asyncio.sleep(0)
            stage.mark("native:task")

        tasks = []
        async for _ in sequence(stage).astream(WORD, stage.config):
            tasks.append(asyncio.create_task(work()))
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)

    bench.check(scenario, SEQUENCE + "\n    native:task  x6")


@modes(STREAMS)
def test_call_between_chunks(bench: Bench, mode: Mode) -> None:
    """A chain that the consumer calls between two chunks is a trace of its own."""

    async def scenario(stage: Stage) -> None:
        quick = stage.model("quick")
        async for _ in each(mode, opened(mode, sequence(stage), WORD, stage.config)):
            if mode.is_async:
                await quick.ainvoke("hi", stage.config)
            else:
                quick.invoke("hi", stage.config)

    bench.check(
        scenario,
        SEQUENCE
        + """
    llm:quick  x3
      native:model:quick
        """,
    )


@modes(STREAMS)
def test_chunks_pulled_inside_spans(bench: Bench, mode: Mode) -> None:
    """A consumer that pulls each chunk inside a span of its own holds the whole stream in the first."""

    async def scenario(stage: Stage) -> None:
        stream = each(
            mode, opened(mode, sequence(stage, midway=lambda _: stage.mark("native:second")), WORD, stage.config)
        )
        for index in range(4):
            with stage.native(f"native:pull:{index}"):
                await anext(stream, None)
            stage.mark("native:between")

    bench.check(
        scenario,
        """
        native:pull:0
          chain:RunnableSequence
            prompt:ChatPromptTemplate
            llm:m1
              native:model:m1
              native:second
            parser:StrOutputParser
        native:pull:1
        native:pull:2
        native:pull:3
        native:between  x4
        """,
    )


@modes(STREAMS)
def test_steps_of_a_graph_pulled_inside_spans(bench: Bench, mode: Mode) -> None:
    """A node that starts while the consumer's second span is open is the graph's all the same."""

    async def scenario(stage: Stage) -> None:
        stream = each(mode, opened(mode, graph_of(stage, mode), EMPTY, stage.config, stream_mode="updates"))
        with stage.native("native:request"):
            for index in range(3):
                with stage.native(f"native:pull:{index}"):
                    await anext(stream, None)

    bench.check(
        scenario,
        """
        native:request
          native:pull:0
            chain:LangGraph
              chain:a
                native:node:a
                llm:m1
                  native:model:m1
              chain:b
                native:node:b
          native:pull:1
          native:pull:2
        """,
    )


@modes(STREAMS)
def test_two_streams_interleaved(bench: Bench, mode: Mode) -> None:
    """Two streams pulled in turn by one consumer are two traces, and neither nests in the other."""

    async def scenario(stage: Stage) -> None:
        def midway(_: Any) -> None:
            stage.mark("native:second")

        streams = [each(mode, opened(mode, sequence(stage, midway=midway), WORD, stage.config)) for _ in range(2)]
        for _ in range(4):
            for stream in streams:
                await anext(stream, None)
                stage.mark("native:consumer")

    bench.check(
        scenario,
        """
        chain:RunnableSequence  x2
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
            native:second
          parser:StrOutputParser
        native:consumer  x8
        """,
    )


@modes(STREAMS)
def test_streams_that_end_in_another_order(bench: Bench, mode: Mode) -> None:
    """The first of three streams may end first, and the others go on where they were."""

    async def scenario(stage: Stage) -> None:
        first, second, third = (
            each(mode, opened(mode, PROMPT | stage.model(name) | PARSER, WORD, stage.config)) for name in "abc"
        )
        for stream in (first, second, third):
            await anext(stream)
        for stream in (first, third, second):
            async for _ in stream:
                stage.mark("native:consumer")

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          prompt:ChatPromptTemplate
          llm:a
            native:model:a
          parser:StrOutputParser
        chain:RunnableSequence
          prompt:ChatPromptTemplate
          llm:b
            native:model:b
          parser:StrOutputParser
        chain:RunnableSequence
          prompt:ChatPromptTemplate
          llm:c
            native:model:c
          parser:StrOutputParser
        native:consumer  x6
        """,
    )


# How a stream is left before its end, sync and async.


def break_off(stage: Stage, stream: Iterator[Any]) -> None:
    """Leave the loop and drop the stream."""
    for _ in stream:
        break
    stage.mark("native:afterwards")


def close(stage: Stage, stream: Any) -> None:
    """Close the stream after one chunk."""
    with closing(stream):
        next(stream)
    stage.mark("native:afterwards")


def hold(stage: Stage, stream: Iterator[Any]) -> None:
    """Keep the stream unfinished to the end of the scenario."""
    next(stream)
    stage.mark("native:afterwards")


def drop_unpulled(stage: Stage, stream: Iterator[Any]) -> None:
    """Never pull it."""
    del stream
    stage.mark("native:afterwards")


async def abreak_off(stage: Stage, stream: AsyncIterator[Any]) -> None:
    """Leave the loop and drop the stream: the event loop closes it some time later."""
    async for _ in stream:
        break
    del stream
    gc.collect()
    await asyncio.sleep(0.01)
    stage.mark("native:afterwards")


async def aclose(stage: Stage, stream: Any) -> None:
    """Close the stream after one chunk."""
    async with aclosing(stream):
        await anext(stream)
    stage.mark("native:afterwards")


async def ahold(stage: Stage, stream: AsyncIterator[Any]) -> None:
    """Keep the stream unfinished: it is closed with the event loop."""
    await anext(stream)
    stage.mark("native:afterwards")
    stage.held = stream  # type: ignore[attr-defined]


async def aclose_elsewhere(stage: Stage, stream: Any) -> None:
    """Close the stream from another task than the one that pulled it."""
    await anext(stream)
    await asyncio.ensure_future(stream.aclose())
    stage.mark("native:afterwards")


LEFT = """
    chain:RunnableSequence
      prompt:ChatPromptTemplate
      llm:m1
        native:model:m1
      parser:StrOutputParser
    native:afterwards
"""


def test_stream_broken_off(bench: Bench) -> None:
    """A sync stream that is dropped ends its runs as soon as nothing refers to it."""
    seen = bench.check(lambda stage: break_off(stage, sequence(stage).stream(WORD, stage.config)), LEFT)

    assert failed(seen) == []


def test_stream_closed(bench: Bench) -> None:
    """A sync stream that is closed ends its runs."""
    seen = bench.check(lambda stage: close(stage, sequence(stage).stream(WORD, stage.config)), LEFT)

    assert failed(seen) == []


def keeps_what_came(bench: Bench, monkeypatch: pytest.MonkeyPatch, leave: Any, *, is_async: bool) -> None:
    """Check that a stream which is left this way is no error, and that what the model had said is recorded."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "span_only")

    def scenario(stage: Stage) -> Any:
        chain = sequence(stage)
        return leave(stage, (chain.astream if is_async else chain.stream)(WORD, stage.config))

    seen = bench.check(scenario, LEFT)

    assert [span.name for span in seen.spans if not span.status.is_unset or span.events] == []
    assert '"content":"one' in seen.attributes("llm:m1", "gen_ai.output.messages")[0]


@pytest.mark.parametrize("leave", [break_off, close], ids=lambda leave: leave.__name__)
def test_stream_left_keeps_what_came(bench: Bench, leave: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What had come of a sync stream that is broken off or closed is recorded, and nothing is an error (pains #16)."""
    keeps_what_came(bench, monkeypatch, leave, is_async=False)


@pytest.mark.parametrize("leave", [abreak_off, aclose], ids=lambda leave: leave.__name__)
def test_async_stream_left_keeps_what_came(bench: Bench, leave: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is with an async stream (pains #16)."""
    keeps_what_came(bench, monkeypatch, leave, is_async=True)


FALLBACKS_LEFT = """
    chain:RunnableWithFallbacks
      llm:m1
        native:model:m1
      llm:m2
        native:model:m2
    native:afterwards
"""


def fallbacks(stage: Stage) -> Any:
    """Return a model that answers nothing, with one that does behind it."""
    return stage.model("m1", ValueError("down")).with_fallbacks([stage.model("m2")])


def test_stream_of_fallbacks_broken_off(bench: Bench) -> None:
    """LangChain tells of no end where a stream of fallbacks is left at its first chunk; its span ends all the same."""
    seen = bench.check(lambda stage: break_off(stage, fallbacks(stage).stream("hi", stage.config)), FALLBACKS_LEFT)

    assert failed(seen) == ["chat fake"]  # the first model alone


def test_async_stream_of_fallbacks_closed(bench: Bench) -> None:
    """So it is with an asynchronous one."""
    seen = bench.check(lambda stage: aclose(stage, fallbacks(stage).astream("hi", stage.config)), FALLBACKS_LEFT)

    assert failed(seen) == ["chat fake"]  # the first model alone


def test_stream_never_finished(bench: Bench) -> None:
    """A sync stream that is held unfinished is not current to anybody."""
    seen = bench.check(lambda stage: hold(stage, sequence(stage).stream(WORD, stage.config)), LEFT)

    assert failed(seen) == []


def test_stream_never_pulled(bench: Bench) -> None:
    """A stream that nobody pulls never was."""
    bench.check(lambda stage: drop_unpulled(stage, sequence(stage).stream(WORD, stage.config)), "native:afterwards")


def test_async_stream_broken_off(bench: Bench) -> None:
    """An async stream that is dropped is finalized by the event loop, and its runs end then."""

    async def scenario(stage: Stage) -> None:
        await abreak_off(stage, sequence(stage).astream(WORD, stage.config))

    assert failed(bench.check(scenario, LEFT)) == []


def test_async_stream_closed(bench: Bench) -> None:
    """An async stream that is closed ends its runs."""

    async def scenario(stage: Stage) -> None:
        await aclose(stage, sequence(stage).astream(WORD, stage.config))

    assert failed(bench.check(scenario, LEFT)) == []


def test_async_stream_closed_elsewhere(bench: Bench) -> None:
    """It may be closed by another task."""

    async def scenario(stage: Stage) -> None:
        await aclose_elsewhere(stage, sequence(stage).astream(WORD, stage.config))

    assert failed(bench.check(scenario, LEFT)) == []


def test_async_stream_never_finished(bench: Bench) -> None:
    """An async stream that is held unfinished ends with the event loop."""

    async def scenario(stage: Stage) -> None:
        await ahold(stage, sequence(stage).astream(WORD, stage.config))

    assert failed(bench.check(scenario, LEFT)) == []


@modes(STREAMS)
def test_graph_stream_closed(bench: Bench, mode: Mode) -> None:
    """A graph whose stream is closed after the first node ends its runs."""

    async def scenario(stage: Stage) -> None:
        stream = opened(mode, graph_of(stage, mode), EMPTY, stage.config, stream_mode="updates")
        if mode.is_async:
            await aclose(stage, stream)
        else:
            close(stage, stream)

    seen = bench.check(
        scenario,
        """
        chain:LangGraph
          chain:a
            native:node:a
            llm:m1
              native:model:m1
        native:afterwards
        """,
    )

    assert failed(seen) == []


@modes(STREAMS)
def test_consumer_that_raises_between_chunks(bench: Bench, mode: Mode) -> None:
    """A consumer that fails leaves the stream behind, and its error is its own."""

    async def scenario(stage: Stage) -> None:
        stream = opened(mode, sequence(stage), WORD, stage.config)
        async with aclosing(stream) if mode.is_async else _closing(stream):
            async for _ in each(mode, stream):
                raise LookupError

    seen = bench.check(scenario, SEQUENCE, fails="LookupError")

    assert failed(seen) == []


class _closing:  # noqa: N801 (it stands beside aclosing)
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        self._stream.close()


def failed(seen: Any) -> list[str]:
    """Return the spans with an error; a stream that was left is none."""
    return [span.name for span in seen.spans if span.status.status_code.name == "ERROR"]
