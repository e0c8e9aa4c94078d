"""Others beside us: handlers, tracers, instrumentations, propagators, baggage, suppression, odd payloads."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout
from typing import Any

import httpx
import pytest
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.tracers import ConsoleCallbackHandler
from langchain_core.tracers.run_collector import RunCollectorCallbackHandler
from langgraph.graph import START, StateGraph
from langgraph.pregel.remote import RemoteGraph
from langgraph_sdk.client import LangGraphClient, SyncLangGraphClient
from opentelemetry import baggage, propagate, trace
from opentelemetry import context as otel_context
from opentelemetry.instrumentation.asyncio import AsyncioInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.logging import LoggingInstrumentor
from opentelemetry.instrumentation.threading import ThreadingInstrumentor
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chainspan import OtelHandler

from ._bench import Bench
from ._modes import CALLS, SYNC_ASYNC, Mode, modes
from ._python310 import IS_310
from ._stage import Stage, attached
from ._trees import forest_of, parse, render
from .test_chains import PARSER, PROMPT, WORD, both
from .test_consumers import graph_of
from .test_graphs import EMPTY, State
from .test_streams import SEQUENCE, sequence

# ------------------------------------------------------------------ other handlers


class Heard(AsyncCallbackHandler):
    """A user's async handler, which keeps what it hears."""

    def __init__(self) -> None:
        self.events: list[str] = []

    async def on_chain_start(self, *args: Any, **kwargs: Any) -> None:
        """Hear of a chain."""
        await asyncio.sleep(0)
        self.events.append("chain")

    async def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        """Hear of a chat model."""
        await asyncio.sleep(0)
        self.events.append("chat")

    async def on_llm_start(self, *args: Any, **kwargs: Any) -> None:
        """Hear of a text model."""
        await asyncio.sleep(0)
        self.events.append("llm")

    async def on_llm_end(self, *args: Any, **kwargs: Any) -> None:
        """Hear of a model's end."""
        await asyncio.sleep(0)
        self.events.append("llm end")


@pytest.mark.parametrize("kind", ["chat", "text"])
@modes([CALLS[1], CALLS[3]])
def test_async_handler_beside(bench: Bench, mode: Mode, kind: str) -> None:
    """A user's async handler hears what it would hear without us, text models included."""

    async def scenario(stage: Stage) -> Any:
        heard = Heard()
        model: Runnable[Any, Any] = stage.model("m") if kind == "chat" else stage.llm("m")
        await mode.run(PROMPT | model, WORD, {"callbacks": [*stage.callbacks, heard]})
        return sorted(heard.events)

    bench.check(
        scenario,
        f"""
        chain:RunnableSequence
          prompt:ChatPromptTemplate
          llm:m
            native:{"model" if kind == "chat" else "llm"}:m
        """,
    )


@modes(CALLS)
def test_run_collector_beside(bench: Bench, mode: Mode) -> None:
    """LangChain's own collector of runs sees the run tree it would see without us."""

    def scenario(stage: Stage) -> Any:
        collector = RunCollectorCallbackHandler()
        config = {"callbacks": [collector, *stage.callbacks]}

        def seen(_: Any) -> Any:
            (root,) = collector.traced_runs
            return root.name, [child.name for child in root.child_runs]

        async def acall() -> Any:
            return seen(await mode.run(sequence(stage), WORD, config))

        return acall() if mode.is_async else seen(mode.run(sequence(stage), WORD, config))

    bench.check(scenario, SEQUENCE)


@modes(CALLS)
def test_console_handler_beside(bench: Bench, mode: Mode) -> None:
    """LangChain's own console handler prints as many lines as without us."""

    def scenario(stage: Stage) -> Any:
        out = io.StringIO()
        config = {"callbacks": [*stage.callbacks, ConsoleCallbackHandler()]}

        async def acall() -> Any:
            with redirect_stdout(out):
                await mode.run(sequence(stage), WORD, config)
            return out.getvalue().count("[chain/start]"), out.getvalue().count("[llm/end]")

        if mode.is_async:
            return acall()
        with redirect_stdout(out):
            mode.run(sequence(stage), WORD, config)
        return out.getvalue().count("[chain/start]"), out.getvalue().count("[llm/end]")

    bench.check(scenario, SEQUENCE)


@modes(CALLS)
def test_same_handler_bound_and_passed(bench: Bench, mode: Mode) -> None:
    """A handler that LangChain calls twice for the root makes one tree."""

    def scenario(stage: Stage) -> Any:
        bound = sequence(stage).with_config(callbacks=stage.handlers)
        return mode.run(bound, WORD, stage.config)

    bench.check(scenario, SEQUENCE)


@modes(CALLS)
def test_two_handlers_of_one_provider(bench: Bench, mode: Mode) -> None:
    """Two handlers that feed one pipeline make one tree."""

    def scenario(stage: Stage) -> Any:
        config = {"callbacks": [*stage.more_handlers(), *stage.callbacks]}
        return mode.run(sequence(stage), WORD, config)

    bench.check(scenario, SEQUENCE)


@modes(CALLS)
def test_two_handlers_bound_and_passed(bench: Bench, mode: Mode) -> None:
    """So do two of which one is bound to the chain, and a third to its model (pains #34)."""

    def scenario(stage: Stage) -> Any:
        model = stage.model(callbacks=stage.more_handlers())
        bound = (PROMPT | model | PARSER).with_config(callbacks=stage.more_handlers())
        return mode.run(bound, WORD, stage.config)

    bench.check(scenario, SEQUENCE)


@modes(CALLS)
def test_handler_of_the_model_alone(bench: Bench, mode: Mode) -> None:
    """A handler given to a model's constructor sees that model, whose parent it never saw."""

    def scenario(stage: Stage) -> Any:
        return mode.run(PROMPT | stage.model(callbacks=stage.callbacks) | PARSER, WORD, {})

    bench.check(
        scenario,
        """
        llm:m1
          native:model:m1
        """,
        without="R",  # LangChain names a parent that no handler here has heard of
    )


RUNS_OF_SEQUENCE = """
    chain:RunnableSequence
      prompt:ChatPromptTemplate
      llm:m1
      parser:StrOutputParser
"""


@modes(CALLS)
def test_handler_with_a_pipeline_of_its_own(bench: Bench, mode: Mode) -> None:
    """A second pipeline beside the first has the same tree, and does not take the first one's place."""

    def scenario(stage: Stage) -> Any:
        exporter = InMemorySpanExporter()
        apart = [OtelHandler(SimpleSpanProcessor(exporter))] if stage.watched else []

        def check(answer: Any) -> Any:
            if stage.watched:
                spans = exporter.get_finished_spans()
                assert render(forest_of(spans)) == render(parse(RUNS_OF_SEQUENCE))
            return answer

        async def acall() -> Any:
            return check(await mode.run(sequence(stage), WORD, {"callbacks": [*stage.callbacks, *apart]}))

        if mode.is_async:
            return acall()
        return check(mode.run(sequence(stage), WORD, {"callbacks": [*apart, *stage.callbacks]}))

    bench.check(scenario, SEQUENCE)


@modes(SYNC_ASYNC)
def test_listeners(bench: Bench, mode: Mode) -> None:
    """Listeners are handlers of LangChain's own making, and run as ever."""

    def scenario(stage: Stage) -> Any:
        heard: list[str] = []
        listening = sequence(stage).with_listeners(
            on_start=lambda run: heard.append(f"start {run.name}"),
            on_end=lambda run: heard.append(f"end {run.name}"),
        )

        async def acall() -> Any:
            return await mode.run(listening, WORD, stage.config), heard

        return acall() if mode.is_async else (mode.run(listening, WORD, stage.config), heard)

    bench.check(scenario, SEQUENCE)


class Failing(AsyncCallbackHandler):
    """A handler of somebody else's that fails."""

    async def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        """Fail."""
        raise RuntimeError("not our fault")


def test_failing_handler_beside(bench: Bench) -> None:
    """Another handler's failure stays its own."""

    async def scenario(stage: Stage) -> Any:
        return await sequence(stage).ainvoke(WORD, {"callbacks": [Failing(), *stage.callbacks]})

    bench.check(scenario, SEQUENCE)


# ------------------------------------------------------------------ OpenTelemetry around and inside


@contextmanager
def instrumented(stage: Stage) -> Iterator[None]:
    """Switch the usual instrumentations on, as an application does at its start."""
    instrumentors: list[Any] = [HTTPXClientInstrumentor(), LoggingInstrumentor(), ThreadingInstrumentor()]
    if not IS_310:  # where the instrumentation leaves coroutines behind that were never awaited
        instrumentors.append(AsyncioInstrumentor())
    for instrumentor in instrumentors:
        instrumentor.instrument(tracer_provider=stage.provider, inject_trace_context=True)
    try:
        yield
    finally:
        for instrumentor in instrumentors:
            instrumentor.uninstrument()


def answer(_: httpx.Request) -> httpx.Response:
    """Answer without a network."""
    return httpx.Response(200)


def run_instrumented(stage: Stage, mode: Mode, chain: Runnable[Any, Any]) -> Any:
    """Run a chain in its mode, with the instrumentations on meanwhile."""

    async def acall() -> Any:
        with instrumented(stage):
            return await mode.run(chain, WORD, stage.config)

    if mode.is_async:
        return acall()
    with instrumented(stage):
        return mode.run(chain, WORD, stage.config)


@modes(CALLS)
def test_http_request_of_a_model(bench: Bench, mode: Mode) -> None:
    """A request of an instrumented HTTP client hangs below the model that makes it (pains #1)."""

    def scenario(stage: Stage) -> Any:
        def request(_: Any) -> None:
            with httpx.Client(transport=httpx.MockTransport(answer)) as client:
                HTTPXClientInstrumentor.instrument_client(client, tracer_provider=stage.provider)
                client.get("http://model.example/")

        async def arequest(_: Any) -> None:
            async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
                HTTPXClientInstrumentor.instrument_client(client, tracer_provider=stage.provider)
                await client.get("http://model.example/")

        chain = PROMPT | stage.model(inside=arequest if mode.is_async else request) | PARSER

        return run_instrumented(stage, mode, chain)

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
            GET
          parser:StrOutputParser
        """,
    )


@pytest.mark.usefixtures("long_turns")
@modes(CALLS)
def test_threads_of_bodies_under_instrumentations(bench: Bench, mode: Mode) -> None:
    """A thread that an instrumentation gives OpenTelemetry's context, and nothing else, belongs to who blocks for it.

    And in asynchronous code to who waits for it.
    """

    def scenario(stage: Stage) -> Any:
        def requests(given: Any) -> Any:
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(stage.mark, ["native:one", "native:two"]))
            return given

        async def arequests(given: Any) -> Any:
            loop = asyncio.get_running_loop()
            with ThreadPoolExecutor(2) as pool:
                await asyncio.gather(
                    *(loop.run_in_executor(pool, stage.mark, name) for name in ("native:one", "native:two"))
                )
            return given

        body: Runnable[Any, Any] = RunnableLambda(requests, afunc=arequests, name="body")
        chain = body | PROMPT | stage.model(inside=arequests if mode.is_async else requests) | PARSER

        return run_instrumented(stage, mode, chain)

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          chain:body
            native:one
            native:two
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
            native:one
            native:two
          parser:StrOutputParser
        """,
    )


@modes(CALLS)
def test_text_model_under_instrumentations(bench: Bench, mode: Mode) -> None:
    """Instrumented tasks stand between LangChain's report of a text model's start and its cause, and change nothing."""

    def scenario(stage: Stage) -> Any:
        chain = both(stage, "first") | stage.llm()

        async def acall() -> Any:
            with instrumented(stage):
                return await mode.run(chain, "hi", stage.config)

        if mode.is_async:
            return acall()
        with instrumented(stage):
            return mode.run(chain, "hi", stage.config)

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          chain:first
            native:lambda:first
          llm:t1
            native:llm:t1
        """,
    )


@modes(CALLS)
def test_graph_under_instrumentations(bench: Bench, mode: Mode) -> None:
    """Instrumented threads and tasks carry the same contexts that LangGraph carries."""

    def scenario(stage: Stage) -> Any:
        graph = graph_of(stage, mode)

        async def acall() -> Any:
            with instrumented(stage):
                return await mode.run(graph, EMPTY, stage.config)

        if mode.is_async:
            return acall()
        with instrumented(stage):
            return mode.run(graph, EMPTY, stage.config)

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
        """,
    )


def identity_of(span: ReadableSpan) -> trace.SpanContext:
    """Return the ids of a recorded span."""
    identity = span.get_span_context()
    assert identity is not None
    return identity


def traceparent(span: ReadableSpan) -> str:
    """Return the header that names a recorded span to another service."""
    identity = identity_of(span)
    ids = trace.format_trace_id(identity.trace_id), trace.format_span_id(identity.span_id)
    return f"00-{ids[0]}-{ids[1]}-{identity.trace_flags:02x}"


@modes(CALLS)
def test_log_records(bench: Bench, mode: Mode) -> None:
    """A log record written in a body carries the ids of that body's run (pains #3)."""

    def scenario(stage: Stage) -> Any:
        records: list[logging.LogRecord] = []
        logger = logging.getLogger("application")
        logger.setLevel(logging.INFO)

        def keep(record: logging.LogRecord) -> bool:
            records.append(record)
            return False

        logger.addFilter(keep)

        def write(_: Any) -> None:
            logger.info("asking")

        async def acall() -> Any:
            with instrumented(stage):
                await mode.run(PROMPT | stage.model(inside=write) | PARSER, WORD, stage.config)
            return check()

        def check() -> int:
            if stage.watched:
                (model,) = [span for span in stage.ledger.spans if span.name.startswith("chat")]
                assert records[0].__dict__["otelSpanID"] == trace.format_span_id(identity_of(model).span_id)
            logger.filters.clear()
            return len(records)

        if mode.is_async:
            return acall()
        with instrumented(stage):
            mode.run(PROMPT | stage.model(inside=write) | PARSER, WORD, stage.config)
        return check()

    bench.check(scenario, SEQUENCE)


@modes(CALLS)
def test_propagation(bench: Bench, mode: Mode) -> None:
    """What a body injects into a request names the body's run (pains #22)."""

    def scenario(stage: Stage) -> Any:
        carriers: list[dict[str, str]] = []

        def inject(_: Any) -> None:
            carriers.append({})
            propagate.inject(carriers[-1])

        def check(answer: Any) -> Any:
            if stage.watched:
                (model,) = [span for span in stage.ledger.spans if span.name.startswith("chat")]
                assert carriers == [{"traceparent": traceparent(model)}]
            return answer

        chain = PROMPT | stage.model(inside=inject) | PARSER

        async def acall() -> Any:
            return check(await mode.run(chain, WORD, stage.config))

        return acall() if mode.is_async else check(mode.run(chain, WORD, stage.config))

    bench.check(scenario, SEQUENCE)


@modes(SYNC_ASYNC)
def test_propagation_to_a_server_of_tools(bench: Bench, mode: Mode) -> None:
    """What a tool injects into the `_meta` of its call to an MCP server names the tool's run (pains #22)."""

    def scenario(stage: Stage) -> Any:
        requests: list[Any] = []

        def ask_server(q: str) -> str:
            meta: dict[str, str] = {}
            propagate.inject(meta)
            requests.append(
                {"method": "tools/call", "params": {"name": "lookup", "arguments": {"q": q}, "_meta": meta}}
            )
            return "found"

        def check(answer: Any) -> Any:
            if stage.watched:
                (tool,) = [span for span in stage.ledger.spans if span.name == "execute_tool lookup"]
                assert [request["params"]["_meta"]["traceparent"] for request in requests] == [traceparent(tool)]
            return answer

        async def acall() -> Any:
            return check(await mode.run(stage.tool(inside=ask_server), {"q": "x"}, stage.config))

        return acall() if mode.is_async else check(mode.run(stage.tool(inside=ask_server), {"q": "x"}, stage.config))

    bench.check(
        scenario,
        """
        tool:lookup
          native:tool:lookup
        """,
    )


@modes(CALLS)
def test_propagation_to_a_remote_graph(bench: Bench, mode: Mode) -> None:
    """The request for a graph that runs elsewhere carries a span of its node's trace, right below that (pains #22)."""

    def scenario(stage: Stage) -> Any:
        carried: list[str | None] = []

        def serve(request: httpx.Request) -> httpx.Response:
            carried.append(request.headers.get("traceparent"))
            return httpx.Response(
                200, headers={"content-type": "text/event-stream"}, text='event: values\ndata: {"log": ["far"]}\n\n'
            )

        client = httpx.Client(base_url="http://graphs.example", transport=httpx.MockTransport(serve))
        async_client = httpx.AsyncClient(base_url="http://graphs.example", transport=httpx.MockTransport(serve))
        for each in (client, async_client):
            HTTPXClientInstrumentor.instrument_client(each, tracer_provider=stage.provider)
        graph = StateGraph(State)
        remote = RemoteGraph("far", sync_client=SyncLangGraphClient(client), client=LangGraphClient(async_client))
        graph.add_node("remote", remote)
        graph.add_edge(START, "remote")

        def check(answer: Any) -> Any:
            if stage.watched:
                (request,) = [span for span in stage.ledger.spans if span.name == "POST"]
                assert carried == [traceparent(request)]
            return answer

        async def acall() -> Any:
            return check(await mode.run(graph.compile(), EMPTY, stage.config))

        return acall() if mode.is_async else check(mode.run(graph.compile(), EMPTY, stage.config))

    bench.check(
        scenario,
        """
        chain:LangGraph
          chain:remote
            POST
        """,
    )


REMOTE = trace.SpanContext(0xA1, 0xB2, is_remote=True, trace_flags=trace.TraceFlags(1))


@modes(CALLS)
def test_remote_parent(bench: Bench, mode: Mode) -> None:
    """Calls under a parent that another service names join its trace, and leave that parent current (pains #39)."""
    headers = {"traceparent": f"00-{0xA1:032x}-{0xB2:016x}-01"}

    def scenario(stage: Stage) -> Any:
        async def acall() -> Any:
            with attached(propagate.extract(headers)):
                answers = [await mode.run(sequence(stage), WORD, stage.config) for _ in range(2)]
                assert trace.get_current_span().get_span_context() == REMOTE
                return answers

        if mode.is_async:
            return acall()
        with attached(propagate.extract(headers)):
            answers = [mode.run(sequence(stage), WORD, stage.config) for _ in range(2)]
            assert trace.get_current_span().get_span_context() == REMOTE
            return answers

    # Both calls are in the one trace of the other service.
    seen = bench.check(scenario, SEQUENCE * 2, without="T", alone=True)

    assert {span.context.trace_id for span in seen.spans if span.context} == {0xA1}
    assert [span.parent for span in seen.spans if span.name == "RunnableSequence"] == [REMOTE] * 2


@modes(CALLS)
def test_parent_that_is_not_sampled(bench: Bench, mode: Mode) -> None:
    """Under a parent that was sampled out nothing is recorded, and bodies see the parent's trace."""
    parent = trace.NonRecordingSpan(trace.SpanContext(0xA1, 0xB2, is_remote=True))

    def scenario(stage: Stage) -> Any:
        traces: list[int] = []

        def look(_: Any) -> None:
            traces.append(trace.get_current_span().get_span_context().trace_id)

        async def acall() -> Any:
            with trace.use_span(parent):
                return await mode.run(sequence(stage, inside=look), WORD, stage.config), traces

        if mode.is_async:
            return acall()
        with trace.use_span(parent):
            return mode.run(sequence(stage, inside=look), WORD, stage.config), traces

    bench.check(scenario, "", without="P", alone=True)


@modes(CALLS)
def test_baggage_set_inside_a_body(bench: Bench, mode: Mode) -> None:
    """Baggage that a body sets reaches the calls it makes, and changes nobody's place."""

    def scenario(stage: Stage) -> Any:
        seen: list[object] = []
        model = stage.model(inside=lambda _: seen.append(baggage.get_baggage("user")))

        def run(word: str) -> Any:
            token = otel_context.attach(baggage.set_baggage("user", "u1"))
            try:
                stage.mark("native:with-baggage")
                return model.invoke(word).text, seen
            finally:
                otel_context.detach(token)

        async def arun(word: str) -> Any:
            token = otel_context.attach(baggage.set_baggage("user", "u1"))
            try:
                stage.mark("native:with-baggage")
                return (await model.ainvoke(word)).text, seen
            finally:
                otel_context.detach(token)

        return mode.run(RunnableLambda(run, arun, name="outer") | both(stage, "after"), "hi", stage.config)

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          chain:outer
            native:with-baggage
            llm:m1
              native:model:m1
          chain:after
            native:lambda:after
        """,
    )


@modes(CALLS)
def test_baggage_left_behind_in_a_model(bench: Bench, mode: Mode) -> None:
    """A body that attaches and never detaches does not keep its run current."""

    def scenario(stage: Stage) -> Any:
        def leave(_: Any) -> None:
            otel_context.attach(baggage.set_baggage("user", "u1"))

        return mode.run(PROMPT | stage.model(inside=leave) | both(stage, "after"), WORD, stage.config)

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
          chain:after
            native:lambda:after
        """,
    )


@modes(CALLS)
def test_suppression_around_a_call(bench: Bench, mode: Mode) -> None:
    """Where instrumentation is suppressed there are no spans of ours."""

    def scenario(stage: Stage) -> Any:
        async def acall() -> Any:
            with suppress_instrumentation():
                return await mode.run(sequence(stage), WORD, stage.config)

        if mode.is_async:
            return acall()
        with suppress_instrumentation():
            return mode.run(sequence(stage), WORD, stage.config)

    bench.check(scenario, "native:model:m1", without="P")


@modes(CALLS)
def test_suppression_inside_a_body(bench: Bench, mode: Mode) -> None:
    """A call that a body makes with instrumentation suppressed has no span; what follows has."""

    def scenario(stage: Stage) -> Any:
        model = stage.model()

        def run(word: str) -> str:
            with suppress_instrumentation():
                model.invoke(word)
            return model.invoke(word).text

        async def arun(word: str) -> str:
            with suppress_instrumentation():
                await model.ainvoke(word)
            return (await model.ainvoke(word)).text

        return mode.run(RunnableLambda(run, arun, name="outer"), "hi", stage.config)

    bench.check(
        scenario,
        """
        chain:outer
          native:model:m1
          llm:m1
            native:model:m1
        """,
        without="P",
    )


# ------------------------------------------------------------------ odd payloads


class BadRepr:
    """A value that cannot be shown."""

    def __repr__(self) -> str:
        """Fail."""
        raise RuntimeError("no repr")


def circular() -> Any:
    """Return a value that holds itself."""
    value: dict[str, Any] = {}
    value["self"] = value
    return value


def deep() -> Any:
    """Return a value nested deeper than the interpreter's stack."""
    value: Any = "bottom"
    for _ in range(5_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    "payload", [circular, deep, BadRepr, lambda: 10**5_000], ids=["circular", "deep", "bad-repr", "huge-int"]
)
@modes(CALLS)
def test_odd_payloads(bench: Bench, mode: Mode, payload: Any) -> None:
    """Inputs and outputs that cannot be serialised change nothing in the tree (pains #60)."""

    def scenario(stage: Stage) -> Any:
        def call(given: Any) -> Any:
            stage.mark("native:body")
            return {"still": given}

        async def acall(given: Any) -> Any:
            return call(given)

        def keep(given: Any) -> str:
            return type(given).__name__

        chain = RunnableLambda(call, acall, name="body") | RunnableLambda(keep, name="keep")
        return mode.run(chain, {"odd": payload()}, {**stage.config, "metadata": {"odd": payload()}})

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          chain:body
            native:body
          chain:keep
        """,
    )
