"""One handler shared by many tasks and threads, work handed to executors, and work that outlives its root."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from textwrap import indent
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tools import StructuredTool
from langgraph.graph import START, StateGraph
from opentelemetry import trace

from ._bench import Bench, Observation
from ._modes import SYNC_ASYNC, Mode, modes
from ._python310 import handed_on
from ._stage import Stage, carry_context, span_of
from .test_cancellation import Hang, cancelled, model_chain
from .test_chains import PARSER, PROMPT
from .test_graphs import EMPTY, State

TASKS = 100
THREADS = 20
INHERITS = getattr(sys.flags, "thread_inherit_context", False)  # an option of Python 3.14

MARKED = """
    chain:RunnableSequence  x{count}
      prompt:ChatPromptTemplate
      chain:outer
        native:before
        llm:m1
          native:model:m1
        native:after
      parser:StrOutputParser
"""


def marked_chain(stage: Stage) -> Any:
    """Return a chain whose spans all carry the word that the call was given."""

    def mark(name: str, word: str) -> None:
        with stage.native(name) as span:
            span.set_attribute("word", word)

    model = stage.model()

    def run(prompt: Any) -> Any:
        word = prompt.messages[0].text
        mark("native:before", word)
        answer = model.invoke(prompt)
        mark("native:after", word)
        return answer

    async def arun(prompt: Any) -> Any:
        word = prompt.messages[0].text
        mark("native:before", word)
        answer = await model.ainvoke(prompt)
        await asyncio.sleep(0)
        mark("native:after", word)
        return answer

    return PROMPT | RunnableLambda(run, arun, name="outer") | PARSER


def words_by_trace(seen: Observation) -> list[tuple[object, ...]]:
    """Return the words of the marks of each trace; one trace must hold but one word."""
    words: dict[Any, list[Any]] = {}
    for span in seen.spans:
        if span.attributes and "word" in span.attributes:
            parent = span.parent.span_id if span.parent else None
            words.setdefault(parent, []).append(span.attributes["word"])
    return sorted(map(tuple, words.values()))


def test_handler_shared_by_tasks(bench: Bench) -> None:
    """A hundred tasks with one handler make a hundred trees, each with only its own word (pains #32)."""

    async def scenario(stage: Stage) -> None:
        chain, config = marked_chain(stage), stage.config
        await asyncio.gather(*(chain.ainvoke({"word": f"w{i:03}"}, config) for i in range(TASKS)))

    seen = bench.check(scenario, MARKED.format(count=TASKS))

    assert words_by_trace(seen) == [(f"w{i:03}",) * 2 for i in range(TASKS)]


def test_handler_shared_by_threads(bench: Bench) -> None:
    """Twenty threads that start at once do not mix either."""

    def scenario(stage: Stage) -> None:
        chain, config = marked_chain(stage), stage.config
        gate = threading.Barrier(THREADS)

        def work(index: int) -> None:
            gate.wait()
            chain.invoke({"word": f"w{index:03}"}, config)

        with ThreadPoolExecutor(THREADS) as pool:
            # Each in the scenario's context, so that the ambient span is theirs too.
            list(pool.map(lambda job: job(), [carried(work, i) for i in range(THREADS)]))

    seen = bench.check(scenario, MARKED.format(count=THREADS))

    assert words_by_trace(seen) == [(f"w{i:03}",) * 2 for i in range(THREADS)]


def test_handler_shared_by_tasks_and_threads(bench: Bench) -> None:
    """A hundred tasks and a hundred threads at once make two hundred trees, each with only its own word (pains #32)."""
    count = 100

    async def scenario(stage: Stage) -> None:
        chain, config = marked_chain(stage), stage.config
        loop = asyncio.get_running_loop()
        gate = threading.Barrier(count)

        def work(index: int) -> None:
            gate.wait()
            chain.invoke({"word": f"w{index:03}"}, config)

        with ThreadPoolExecutor(count) as pool:
            threads = [loop.run_in_executor(pool, carried(work, i)) for i in range(count)]
            tasks = [chain.ainvoke({"word": f"w{i:03}"}, config) for i in range(count, 2 * count)]
            await asyncio.gather(*threads, *tasks)

    seen = bench.check(scenario, MARKED.format(count=2 * count))

    assert words_by_trace(seen) == [(f"w{i:03}",) * 2 for i in range(2 * count)]


def test_hundreds_of_calls_at_once_of_which_many_are_left(bench: Bench) -> None:
    """Of many calls some are cancelled, some streams are left, and OpenTelemetry complains of nothing (pains #4)."""

    async def scenario(stage: Stage) -> None:
        async def left(index: int) -> None:
            stream: Any = model_chain(stage, None).astream({"word": "hi"}, stage.config)
            await anext(stream)
            if index % 2:  # the others are dropped, and closed by the event loop
                await stream.aclose()

        async def cut_off() -> None:
            hang = Hang()
            await cancelled(stage, hang, model_chain(stage, hang).ainvoke({"word": "hi"}, stage.config))

        calls = [model_chain(stage, None).ainvoke({"word": "hi"}, stage.config) for _ in range(200)]
        await asyncio.gather(*calls, *map(left, range(50)), *(cut_off() for _ in range(50)))

    seen = bench.check(
        scenario,
        """
        chain:RunnableSequence  x250
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
          parser:StrOutputParser
        chain:RunnableSequence  x50
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
        native:afterwards  x50
        """,
    )

    assert [line for line in seen.logs if " opentelemetry." in line] == []


def carried(work: Any, *args: Any) -> Any:
    """Return the work bound to a copy of this context, by the standard library alone."""
    context = contextvars.copy_context()
    return lambda: context.run(work, *args)


CARRIED = """
    tool:outer
      native:thread  x2
      llm:m1  x2
        native:model:m1
      native:after
"""


def tool_with_threads(stage: Stage, wrap: Any) -> StructuredTool:
    """Return a tool that calls a model in a bare executor, which carries no context."""
    model = stage.model()

    def work() -> str:
        stage.mark("native:thread")
        return model.invoke("hi").text

    def run(q: str) -> list[str]:
        """Work in threads."""
        with ThreadPoolExecutor(2) as pool:
            job = wrap(work)
            answers = [future.result() for future in [pool.submit(job) for _ in range(2)]]
        stage.mark("native:after")
        return answers

    async def arun(q: str) -> list[str]:
        return run(q)

    return StructuredTool.from_function(run, arun, name="outer")


@modes(SYNC_ASYNC)
def test_bare_executor_with_the_helper(bench: Bench, mode: Mode) -> None:
    """Work that ``carry_context`` wraps nests as if it had been called in place (pains #43)."""

    def scenario(stage: Stage) -> Any:
        return mode.run(tool_with_threads(stage, carry_context), {"q": "x"}, stage.config)

    bench.check(scenario, CARRIED)


@modes(SYNC_ASYNC)
def test_bare_executor_without_the_helper(bench: Bench, mode: Mode) -> None:
    """A bare thread carries nothing, if Python does not: its spans are roots, and the tool's own are not disturbed."""

    def scenario(stage: Stage) -> Any:
        return mode.run(tool_with_threads(stage, lambda work: work), {"q": "x"}, stage.config)

    bare = """
        tool:outer
          native:after
        native:thread  x2
        native:model:m1  x2
    """
    # A bare thread has no part in an ambient span either.
    bench.check(scenario, CARRIED if INHERITS else bare, alone=not INHERITS)


@modes(SYNC_ASYNC)
def test_bare_thread_with_the_config(bench: Bench, mode: Mode) -> None:
    """A bare thread that is given the config nests its runs by run id, and its own spans by ``span_of`` (pains #43)."""

    def scenario(stage: Stage) -> Any:
        model = stage.model()

        def work(config: RunnableConfig) -> None:
            model.invoke("hi", config)
            with trace.use_span(span_of(config)):
                stage.mark("native:thread")

        def run(q: str, config: RunnableConfig) -> str:
            """Work in a thread."""
            thread = threading.Thread(target=work, args=[config])
            thread.start()
            thread.join()
            return q

        async def arun(q: str, config: RunnableConfig) -> str:
            return run(q, config)

        step: Any = RunnableLambda(arun if mode.is_async else run, name="outer")
        return mode.run(step, "x", stage.config)

    bench.check(
        scenario,
        """
        chain:outer
          llm:m1
            native:model:m1
          native:thread
        """,
    )


def test_to_thread(bench: Bench) -> None:
    """``asyncio.to_thread`` carries contexts by itself."""

    async def scenario(stage: Stage) -> Any:
        model = stage.model()

        def work() -> str:
            stage.mark("native:thread")
            return model.invoke("hi").text

        async def arun(_: str) -> str:
            return await asyncio.to_thread(work)

        return await RunnableLambda(arun, name="outer").ainvoke("x", stage.config)

    bench.check(
        scenario,
        """
        chain:outer
          native:thread
          llm:m1
            native:model:m1
        """,
    )


def test_event_loop_inside_a_sync_tool(bench: Bench) -> None:
    """A sync tool that runs an event loop of its own carries its run into it."""

    def scenario(stage: Stage) -> Any:
        model = stage.model()

        def ask(_: str) -> Any:
            return asyncio.run(model.ainvoke("hi")).text

        return stage.tool(inside=ask, sync_only=True).invoke({"q": "x"}, stage.config)

    bench.check(
        scenario,
        """
        tool:lookup
          native:tool:lookup
          llm:m1
            native:model:m1
        """,
    )


def test_sync_call_in_a_thread_of_an_async_body(bench: Bench) -> None:
    """A sync chain that an async body runs in a thread nests, and its steps in it."""

    async def scenario(stage: Stage) -> Any:
        chain = PROMPT | stage.model() | PARSER

        async def run(word: str) -> str:
            first, second = await asyncio.gather(*(asyncio.to_thread(chain.invoke, {"word": word}) for _ in range(2)))
            return first + second

        return await RunnableLambda(run, name="outer").ainvoke("hi", stage.config)

    bench.check(
        scenario,
        """
        chain:outer
          chain:RunnableSequence  x2
            prompt:ChatPromptTemplate
            llm:m1
              native:model:m1
            parser:StrOutputParser
        """,
    )


def test_event_loops_in_many_threads(bench: Bench) -> None:
    """Event loops in several threads, with one handler, do not mix."""

    def scenario(stage: Stage) -> None:
        chain, config = marked_chain(stage), stage.config

        def work(index: int) -> None:
            asyncio.run(chain.ainvoke({"word": f"w{index:03}"}, config))

        with ThreadPoolExecutor(5) as pool:
            list(pool.map(lambda job: job(), [carried(work, i) for i in range(5)]))

    seen = bench.check(scenario, MARKED.format(count=5))

    assert words_by_trace(seen) == [(f"w{i:03}",) * 2 for i in range(5)]


def test_worker_started_in_a_body(bench: Bench) -> None:
    """A worker that a body starts takes the body's run along for good, as it does any span (pains #77).

    LangChain names that run to it as well. A worker for everybody is started outside of bodies, or
    with an empty context.
    """

    async def scenario(stage: Stage) -> None:
        jobs: asyncio.Queue[str] = asyncio.Queue()

        async def worker() -> None:
            while await jobs.get() != "stop":
                stage.mark("native:job")

        left: list[asyncio.Task[None]] = []

        async def run(word: str) -> str:
            left.append(asyncio.create_task(worker()))
            await jobs.put(word)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            return word

        await RunnableLambda(run, name="outer").ainvoke("during", stage.config)
        for word in ("after", "stop"):
            await jobs.put(word)
        await left[0]

    bench.check(
        scenario,
        """
        chain:outer
          native:job  x2
        """,
    )


def one_node_graph(step: Any) -> Any:
    """Return a graph of one node."""
    graph = StateGraph(State)
    graph.add_node("node", step)
    graph.add_edge(START, "node")
    return graph.compile()


def test_gather_in_a_node(bench: Bench) -> None:
    """Calls that a node gathers are its children, and each keeps its own body."""

    async def scenario(stage: Stage) -> Any:
        models = [stage.model(name) for name in "abc"]

        async def node(_: State, config: RunnableConfig) -> dict[str, list[str]]:
            answers = await asyncio.gather(*(model.ainvoke("hi", handed_on(config)) for model in models))
            stage.mark("native:node")
            return {"log": [answer.text for answer in answers]}

        return await one_node_graph(node).ainvoke(EMPTY, stage.config)

    bench.check(
        scenario,
        """
        chain:LangGraph
          chain:node
            llm:a
              native:model:a
            llm:b
              native:model:b
            llm:c
              native:model:c
            native:node
        """,
    )


def test_create_task_in_a_node(bench: Bench) -> None:
    """A task that a node creates and awaits is inside the node."""

    async def scenario(stage: Stage) -> Any:
        model = stage.model()

        async def work(config: RunnableConfig) -> str:
            with stage.native("native:task"):
                return (await model.ainvoke("hi", handed_on(config))).text

        async def node(_: State, config: RunnableConfig) -> dict[str, list[str]]:
            working = asyncio.create_task(work(config))
            stage.mark("native:node")
            return {"log": [await working]}

        return await one_node_graph(node).ainvoke(EMPTY, stage.config)

    bench.check(
        scenario,
        """
        chain:LangGraph
          chain:node
            native:node
            native:task
              llm:m1
                native:model:m1
        """,
    )


def test_task_that_outlives_its_root(bench: Bench) -> None:
    """What a body leaves running stays below it: LangChain still names it as the parent (pains #77)."""

    async def scenario(stage: Stage) -> None:
        model, ended = stage.model(), asyncio.Event()
        left: list[asyncio.Task[Any]] = []

        async def later() -> None:
            await ended.wait()
            await model.ainvoke("hi")

        async def run(word: str) -> str:
            left.append(asyncio.create_task(later()))
            return word

        await RunnableLambda(run, name="outer").ainvoke("hi", stage.config)
        ended.set()
        await left[0]
        stage.mark("native:afterwards")

    seen = bench.check(
        scenario,
        """
        chain:outer
          llm:m1
            native:model:m1
        native:afterwards
        """,
    )

    assert seen.stage.handlers[0].in_flight() == []  # type: ignore[attr-defined]


def test_thread_that_outlives_its_root(bench: Bench) -> None:
    """So does what a body leaves to a thread with its context."""

    def scenario(stage: Stage) -> None:
        model, ended = stage.model(), threading.Event()
        left: list[Future[Any]] = []
        pool = ThreadPoolExecutor(1)

        def later() -> None:
            ended.wait()
            model.invoke("hi")

        def run(word: str) -> str:
            left.append(pool.submit(carried(later)))
            return word

        RunnableLambda(run, name="outer").invoke("hi", stage.config)
        ended.set()
        left[0].result()
        pool.shutdown()
        stage.mark("native:afterwards")

    bench.check(
        scenario,
        """
        chain:outer
          llm:m1
            native:model:m1
        native:afterwards
        """,
    )


def test_bare_thread_that_begins_after_its_root(bench: Bench) -> None:
    """A bare thread that was given the config begins when the run is over, and belongs below it all the same."""

    def scenario(stage: Stage) -> None:
        model, ended = stage.model(), threading.Event()
        left: list[Future[Any]] = []
        pool = ThreadPoolExecutor(1)

        def later(config: RunnableConfig) -> None:
            ended.wait()
            model.invoke("hi", config)

        def run(word: str, config: RunnableConfig) -> str:
            left.append(pool.submit(later, config))
            return word

        RunnableLambda(run, name="outer").invoke("hi", stage.config)
        ended.set()
        left[0].result()
        pool.shutdown()
        stage.mark("native:afterwards")

    bench.check(
        scenario,
        """
        chain:outer
          llm:m1
            native:model:m1
        native:afterwards
        """,
    )


@pytest.mark.parametrize("count", [20])
def test_streams_in_many_tasks(bench: Bench, count: int) -> None:
    """Streams that many tasks pull at the same time leave each consumer where it stood."""

    async def scenario(stage: Stage) -> None:
        chain = PROMPT | stage.model(midway=lambda _: stage.mark("native:second")) | PARSER

        async def consume(index: int) -> None:
            with stage.native(f"native:request:{index:02}"):
                async for _ in chain.astream({"word": "hi"}, stage.config):
                    stage.mark("native:consumer")
                    await asyncio.sleep(0)

        await asyncio.gather(*(consume(i) for i in range(count)))

    bench.check(
        scenario,
        "".join(
            f"""
            native:request:{index:02}
              chain:RunnableSequence
                prompt:ChatPromptTemplate
                llm:m1
                  native:model:m1
                  native:second
                parser:StrOutputParser
              native:consumer  x3
            """
            for index in range(count)
        ),
    )


def _as_step(body: Any) -> Any:
    return RunnableLambda(body, name="body") | RunnableLambda(str.upper, name="next")


def _as_node(body: Any) -> Any:
    async def node(_: State) -> dict[str, list[str]]:
        return {"log": [await body("hi")]}

    return RunnableLambda(lambda _: EMPTY, name="before") | one_node_graph(node)


def _as_tool(body: Any) -> Any:
    return RunnableLambda(lambda word: {"word": word}, name="before") | StructuredTool.from_function(
        coroutine=body, name="look", description="Look it up."
    )


# What a piece of work does below the body that left it running.
WORK = """
native:before
llm:m1
  native:model:m1
native:between
llm:m1
  native:model:m1
native:after
"""


@pytest.mark.parametrize("worker", ["task", "thread"])
@pytest.mark.parametrize(
    ("start", "around"),
    [
        (_as_step, ["chain:RunnableSequence", "  chain:next", "  chain:body"]),
        (_as_node, ["chain:RunnableSequence", "  chain:before", "  chain:LangGraph", "    chain:node"]),
        (_as_tool, ["chain:RunnableSequence", "  chain:before", "  tool:look"]),
    ],
    ids=["step", "node", "tool"],
)
def test_work_that_outlives_its_body(bench: Bench, start: Any, around: list[str], worker: str) -> None:
    """What a body leaves to a task or a thread is below that body from its first span to its last (pains #77)."""

    async def scenario(stage: Stage) -> None:
        model, ended, told = stage.model(), asyncio.Event(), threading.Event()
        left: list[Any] = []

        async def in_task() -> None:
            await ended.wait()
            stage.mark("native:before")
            await model.ainvoke("hi")
            stage.mark("native:between")
            await model.ainvoke("hi")
            stage.mark("native:after")

        def in_thread() -> None:
            told.wait()
            stage.mark("native:before")
            model.invoke("hi")
            stage.mark("native:between")
            model.invoke("hi")
            stage.mark("native:after")

        async def body(word: str) -> str:
            left.append(asyncio.create_task(in_task() if worker == "task" else asyncio.to_thread(in_thread)))
            return word

        await start(body).ainvoke("hi", stage.config)
        ended.set()
        told.set()
        await left[0]
        stage.mark("native:afterwards")

    depth = len(around[-1]) - len(around[-1].lstrip()) + 2
    bench.check(scenario, "\n".join([*around, indent(WORK, " " * depth), "native:afterwards"]))
