"""Every start has exactly one end, whatever happens in between."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import time
import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.language_models import FakeListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import StructuredTool
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, Sampler, SamplingResult
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags
from tests._traces import Traces, traces
from typing_extensions import override

from chainspan import OtelHandler, _orphans
from chainspan._content import Gate
from chainspan._lifecycle import Lifecycle
from chainspan._model import Outcome, RunEnd, RunFailure, RunKind, RunStart
from chainspan._profiles import profile
from chainspan._recording import Recording
from chainspan._runs import Run
from chainspan._trace import Trace

__all__ = ["traces"]


class Ledger(SpanProcessor):
    """Counts the starts and ends of each span."""

    def __init__(self) -> None:
        self.started: Counter[int] = Counter()
        self.ended: Counter[int] = Counter()

    @override
    def on_start(self, span: Span, parent_context: Any = None) -> None:
        self.started[span.get_span_context().span_id] += 1

    @override
    def on_end(self, span: ReadableSpan) -> None:
        self.ended[span.context.span_id] += 1


RECORDING = Recording(profile=profile("compat"), gate=Gate.of(content=True))


def started(run_id: UUID, parent: UUID | None = None, kind: RunKind = RunKind.CHAIN) -> RunStart:
    """Return the report of a start."""
    return RunStart(run_id=run_id, parent_id=parent, kind=kind, run_type="chain", name="run")


def unreadable() -> Any:
    """Raise as a payload does that cannot be read."""
    raise RuntimeError("unreadable")


ENDS = ["end", "fail", "end twice", "end unread", "fail unread", "never"]


@pytest.fixture
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Swallow faults, as in an application."""
    monkeypatch.delenv("CHAINSPAN_STRICT")


def finish(lifecycle: Lifecycle, run: UUID, how: str) -> None:
    """Report the end of a run in one of several ways."""
    if how.startswith("end"):
        lifecycle.end(run, unreadable if "unread" in how else RunEnd)
    if how.startswith("fail"):
        failure = unreadable if "unread" in how else (lambda: RunFailure(error=ValueError()))
        lifecycle.fail(run, Outcome.ERROR, failure)
    if "twice" in how:
        lifecycle.end(run, RunEnd)


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize("has_scope", [True, False], ids=["application", "own"])
def test_every_start_has_one_end(has_scope: bool) -> None:
    """Whatever the shape of the tree, the order of ends and the faults in them, spans end exactly once."""

    @given(st.lists(st.tuples(st.integers(0, 8), st.sampled_from(ENDS), st.integers(0, 99)), max_size=20))
    def check(runs: list[tuple[int, str, int]]) -> None:
        ledger, provider = Ledger(), TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(ledger)
        lifecycle = Lifecycle(provider.get_tracer("t"), has_scope=has_scope, max_open=6)
        before = trace.get_current_span()
        opened: list[UUID] = []
        for at, _, _ in runs:
            opened.append(uuid4())
            parent = opened[at % len(opened)]
            lifecycle.start(started(opened[-1], None if parent == opened[-1] else parent), RECORDING)

        for run, (_, how, _) in sorted(zip(opened, runs, strict=True), key=lambda pair: pair[1][2]):
            finish(lifecycle, run, how)
        lifecycle.close_all()

        assert ledger.started == ledger.ended == Counter(dict.fromkeys(ledger.started, 1))
        assert len(ledger.started) == len(runs)
        assert lifecycle.in_flight() == []
        assert trace.get_current_span() is before

    check()


def test_oldest_run_makes_room(traces: Traces) -> None:
    """Runs that never end are bounded: the oldest is ended, and says so (pains #17)."""
    lifecycle = Lifecycle(traces.tracer, has_scope=False, max_open=3)

    for _ in range(5):
        lifecycle.start(started(uuid4()), RECORDING)

    outcomes = [(span.attributes or {})["chainspan.run.outcome"] for span in traces.spans]
    assert outcomes == ["evicted", "evicted"]
    assert len(lifecycle.in_flight()) == 3


def test_unsampled_run_reads_nothing(traces: Traces) -> None:
    """Nothing is done for a run that is not sampled: no payload is read, no attribute made."""
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    lifecycle = Lifecycle(provider.get_tracer("t"), has_scope=True)
    root, child = uuid4(), uuid4()

    lifecycle.start(started(root), RECORDING)
    lifecycle.start(started(child, root), RECORDING)
    lifecycle.end(child, unreadable)
    lifecycle.fail(root, Outcome.ERROR, unreadable)

    assert lifecycle.in_flight() == []


def test_runs_below_an_unsampled_one_are_not_kept() -> None:
    """The root stands for all that is below it, to whatever depth, ended or not, and they are gone with it."""
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    lifecycle = Lifecycle(provider.get_tracer("t"), has_scope=True)
    root, child, grandchild, forgotten = uuid4(), uuid4(), uuid4(), uuid4()

    lifecycle.start(started(root), RECORDING)
    for run_id, parent in ((child, root), (grandchild, child), (forgotten, grandchild)):
        lifecycle.start(started(run_id, parent), RECORDING)
        assert lifecycle.span_of(run_id.int) is lifecycle.span_of(root.int) is trace.get_current_span()
    lifecycle.end(grandchild, unreadable)
    lifecycle.end(child, unreadable)
    kept = lifecycle.in_flight()
    lifecycle.end(root, unreadable)

    assert [run.id for run in kept] == [root.int]
    assert lifecycle.span_of(forgotten.int) is None


def test_nothing_below_an_unsampled_run_is_sampled_where_no_context_was_carried() -> None:
    """A bare thread with the config of an unsampled run keeps to that run's decision, while it runs and after."""
    traced, kept = Traces(), list[Any]()
    unsampled = NonRecordingSpan(SpanContext(7, 9, is_remote=True, trace_flags=TraceFlags(0)))

    def request(word: str) -> str:
        traced.tracer.start_span("request").end()
        return word

    inner = RunnableLambda(request)

    def body(word: str, config: Any) -> str:
        kept.append(config)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(inner.invoke, word, config).result()
        return word

    with trace.use_span(unsampled):
        RunnableLambda(body).invoke("x", {"callbacks": [OtelHandler(tracer_provider=traced.provider)]})
    with ThreadPoolExecutor(1) as pool:
        pool.submit(inner.invoke, "x", kept[0]).result()

    assert list(traced.spans) == []


def test_what_stands_for_others_makes_room_once() -> None:
    """Unsampled runs that never end are bounded as others are, and evicting them ends no span."""
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    lifecycle = Lifecycle(provider.get_tracer("t"), has_scope=False, max_open=3)
    root, children = uuid4(), [uuid4() for _ in range(5)]

    lifecycle.start(started(root), RECORDING)
    for child in children:
        lifecycle.start(started(child, root), RECORDING)

    # The root went for the third, and those with it that it stood for; the last two are runs of their own.
    known = [child for child in [root, *children] if lifecycle.span_of(child.int) is not None]
    assert known == children[3:] == [run.start.run_id for run in lifecycle.in_flight() if run.start is not None]


class ModelsOnly(Sampler):
    """Takes what model providers are asked, whatever became of the spans above."""

    @override
    def should_sample(
        self, parent_context: Any, trace_id: int, name: str, kind: SpanKind | None = None, *args: Any, **kwargs: Any
    ) -> SamplingResult:
        return SamplingResult(Decision.RECORD_AND_SAMPLE if kind is SpanKind.CLIENT else Decision.DROP)

    @override
    def get_description(self) -> str:
        return "models only"


def test_run_that_a_sampler_takes_below_one_that_it_left_out_says_all() -> None:
    """A model's span is complete though the chain above it is not sampled."""
    traced, alone = Traces(sampler=ModelsOnly()), Traces()
    chain = ChatPromptTemplate.from_template("hi") | GenericFakeChatModel(messages=repeat(AIMessage("hello")))

    for each in (traced, alone):
        chain.invoke({}, {"callbacks": [OtelHandler(tracer_provider=each.provider, content=True)]})

    own = {"chainspan.run.id"}
    expected = dict(alone.span("chat").attributes or {})
    assert traced.tree == "chat"
    assert {**(traced.span("chat").attributes or {}), **dict.fromkeys(own)} == {**expected, **dict.fromkeys(own)}


def test_suppressed_run_leaves_no_state(traces: Traces) -> None:
    """Under suppression nothing starts; what had started before still ends (pains #74)."""
    handler = OtelHandler(tracer_provider=traces.provider)
    outer, inner = uuid4(), uuid4()
    handler.on_chain_start(None, {}, run_id=outer, name="outer")

    with suppress_instrumentation():
        handler.on_chain_start(None, {}, run_id=inner, parent_run_id=outer, name="inner")
        handler.on_chain_end({}, run_id=inner)
        handler.on_chain_end({}, run_id=outer)

    assert traces.tree == "outer"
    assert handler.in_flight() == []


def test_tool_run_links_to_the_model_call_that_asked(traces: Traces) -> None:
    """Two tools asked for by two model calls each link to exactly their own (pains #45)."""
    handler = OtelHandler(tracer_provider=traces.provider)
    root = uuid4()
    handler.on_chain_start(None, {}, run_id=root, name="agent")
    for name in ("first", "second"):
        model, tool = uuid4(), uuid4()
        calls: Sequence[Any] = [{"name": name, "args": {}, "id": f"call_{name}"}]
        answer = LLMResult(generations=[[ChatGeneration(message=AIMessage("", tool_calls=[*calls]))]])
        handler.on_chat_model_start({}, [[HumanMessage("x")]], run_id=model, parent_run_id=root, name=f"model {name}")
        handler.on_llm_end(answer, run_id=model)
        handler.on_tool_start({"name": name}, "", run_id=tool, parent_run_id=root, tool_call_id=f"call_{name}")
        handler.on_tool_end("done", run_id=tool)
    handler.on_chain_end({}, run_id=root)

    for name in ("first", "second"):
        links = [link.context for link in traces.span(f"execute_tool {name}").links]
        assert links == [traces.span(f"model {name}").context]


def test_root_sums_up_what_its_models_used(traces: Traces) -> None:
    """Tail samplers find the trace's tokens and model calls on its root, under keys of our own (pains #7)."""
    handler = OtelHandler(tracer_provider=traces.provider)
    root = uuid4()
    handler.on_chain_start(None, {}, run_id=root, name="agent")
    for _ in range(2):
        model = uuid4()
        usage: Any = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
        answer = LLMResult(generations=[[ChatGeneration(message=AIMessage("hi", usage_metadata=usage))]])
        handler.on_chat_model_start({}, [[HumanMessage("x")]], run_id=model, parent_run_id=root, name="model")
        handler.on_llm_end(answer, run_id=model)
    handler.on_chain_end({}, run_id=root)

    totals = {k: v for k, v in (traces.span("agent").attributes or {}).items() if k.startswith("chainspan.usage")}
    assert totals == {
        "chainspan.usage.model_calls": 2,
        "chainspan.usage.input_tokens": 14,
        "chainspan.usage.output_tokens": 6,
        "chainspan.usage.total_tokens": 20,
    }


def test_root_sums_up_no_more_than_was_reported(traces: Traces) -> None:
    """Where no model counted its input, the root says nothing of it, and least of all 0 (pains #8)."""
    handler = OtelHandler(tracer_provider=traces.provider)
    usage: Any = {"input_tokens": 0, "output_tokens": 20, "total_tokens": 20}
    run = uuid4()

    handler.on_chat_model_start({}, [[HumanMessage("x")]], run_id=run, name="model")
    message = AIMessage("hi", usage_metadata=usage)
    handler.on_llm_end(LLMResult(generations=[[ChatGeneration(message=message)]]), run_id=run)

    totals = {k: v for k, v in (traces.span("model").attributes or {}).items() if k.startswith("chainspan.usage")}
    assert totals == {"chainspan.usage.model_calls": 1, "chainspan.usage.output_tokens": 20}


def test_threads_that_look_after_what_is_overdue_at_once() -> None:
    """Several threads find the same run overdue, and each goes on; the run below it is closed once."""
    closed: list[object] = []
    orphans = _orphans.Orphans(lambda run, _: closed.append(run))

    class Ended:
        """An ended run, of which another thread finds first that it is overdue."""

        is_found = False

        @property
        def children(self) -> dict[int, Run]:
            if not self.is_found:
                self.is_found = True
                with ThreadPoolExecutor() as pool:
                    pool.submit(orphans.sweep).result()
            return {}

        def open_below(self) -> list[str]:
            return ["below"]

    orphans.overdue.append((0, Ended()))  # type: ignore[arg-type]

    orphans.sweep()

    assert (closed, len(orphans.overdue)) == (["below"], 0)


def test_run_left_open_is_nobodys_later_parent(traces: Traces) -> None:
    """A run that was started by hand and never ended is current to no event loop and no thread that comes later."""
    handler = OtelHandler(tracer_provider=traces.provider)
    run = uuid4()

    def start() -> None:
        handler.on_tool_start({"name": "forgotten"}, "x", run_id=run)

    async def later() -> trace.Span:
        return trace.get_current_span()

    start()
    with ThreadPoolExecutor() as executor:
        seen = [
            trace.get_current_span(),
            asyncio.run(later()),
            executor.submit(contextvars.copy_context().run, trace.get_current_span).result(),
        ]
    handler.on_tool_end("", run_id=run)

    assert seen == [trace.INVALID_SPAN] * 3


def test_work_that_goes_on_for_ever_nests_as_deep_as_it_likes() -> None:
    """Each run starts the next one before it ends, many times over: each of them has one span."""
    ledger, provider = Ledger(), TracerProvider()
    provider.add_span_processor(ledger)
    handler = OtelHandler(tracer_provider=provider)
    runs = [uuid4() for _ in range(3_000)]

    for run, parent in zip(runs, (None, *runs), strict=False):
        handler.on_chain_start({"name": "turn"}, {}, run_id=run, parent_run_id=parent)
    for run in runs:
        handler.on_chain_end({}, run_id=run)

    assert (len(ledger.started), ledger.started) == (3_000, ledger.ended)


@pytest.mark.parametrize("has_scope", [True, False])
def test_turns_that_each_start_in_the_last_are_not_kept_for_ever(traces: Traces, has_scope: bool) -> None:
    """A job plans its next turn inside of its own run, when that has ended: all hang together, and few are kept."""
    processor = SimpleSpanProcessor(traces.memory)
    handler = OtelHandler(tracer_provider=traces.provider) if has_scope else OtelHandler(processor)
    planned: list[contextvars.Context] = []
    job: RunnableLambda[int, None] = RunnableLambda(lambda _: planned.append(contextvars.copy_context()))

    with traces.tracer.start_as_current_span("worker"):
        job.invoke(0, {"callbacks": [handler]})
        for _ in range(299):
            planned.pop().run(job.invoke, 0)

    turns = [span for span in traces.spans if span.name != "worker"]
    above = [span.parent.span_id for span in turns[1:] if span.parent is not None]
    assert (len(turns), above) == (300, [span.context.span_id for span in turns[:-1]])
    gc.collect()
    kept = [run for run in gc.get_objects() if type(run) is Run and run.context.trace_id == turns[0].context.trace_id]
    assert len(kept) < 150


def test_traces_that_each_start_in_the_last_are_not_kept_for_ever(traces: Traces) -> None:
    """Each turn of a job starts the next before it ends, and gives it handlers anew: all count their calls."""
    handler = OtelHandler(tracer_provider=traces.provider)
    turns = 1_200

    async def turn(_: object) -> None:
        if len(tasks) < turns:
            tasks.append(asyncio.ensure_future(job.ainvoke("", {"callbacks": [handler], "run_name": "job"})))
            await asyncio.sleep(0.001)

    async def main() -> None:
        tasks.append(asyncio.ensure_future(job.ainvoke("", {"callbacks": [handler], "run_name": "job"})))
        for task in tasks:
            await task

    tasks: list[asyncio.Future[Any]] = []
    job = FakeListChatModel(responses=["hi"]) | RunnableLambda(turn)
    asyncio.run(main())
    around = [len(_around(trace)) for trace in gc.get_objects() if type(trace) is Trace]

    ended = [span.attributes or {} for span in traces.spans if span.name == "job"]
    assert len(ended) == turns
    assert sum(int(str(attributes.get("chainspan.usage.model_calls", 0))) for attributes in ended) >= turns
    assert max(around) < turns / 10


def _around(trace: Trace) -> list[Trace]:
    found: list[Trace] = []
    while trace.outer is not None:
        trace = trace.outer
        found.append(trace)
    return found


class Request:
    """What an application keeps in a context variable of its own."""


request: contextvars.ContextVar[Request | None] = contextvars.ContextVar("request", default=None)


def begin() -> weakref.ref[Request]:
    """Begin with a request here, and return what tells whether it is still kept."""
    current = Request()
    request.set(current)
    return weakref.ref(current)


async def test_request_is_not_kept_while_others_are_open(traces: Traces) -> None:
    """A server that always has a tool at work keeps nothing of the request in which the first of them started."""
    kept: list[weakref.ref[Request]] = []
    handler = OtelHandler(tracer_provider=traces.provider)

    async def serve(goes_on: asyncio.Event) -> None:
        async def work() -> bool:
            return await goes_on.wait()

        kept.append(begin())
        step = StructuredTool.from_function(coroutine=work, name="work", description="Work.")
        await step.ainvoke({}, {"callbacks": [handler]})

    events = [asyncio.Event(), asyncio.Event()]
    tasks = [asyncio.create_task(serve(event)) for event in events]
    await asyncio.sleep(0.3)  # what looks for ends that nobody reports has been at work
    events[0].set()
    await tasks.pop(0)
    await asyncio.sleep(0.01)  # the loop has let go of it
    gc.collect()
    alive = [one() is not None for one in kept]
    events[1].set()
    await tasks.pop()

    assert alive == [False, True]


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Threads that take turns all the time, and what looks for ends that nobody reports does so in each of them."""
    interval_s = sys.getswitchinterval()
    monkeypatch.setattr(_orphans, "_LOOK_AGAIN_S", 0.001)
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval_s)


@pytest.mark.usefixtures("hurried")
def test_event_loops_of_several_threads_do_not_disturb_each_other(traces: Traces) -> None:
    """Each thread has an event loop of its own and a tool at work in it, for one handler."""
    handler = OtelHandler(tracer_provider=traces.provider)
    faults: list[dict[str, Any]] = []
    until_s = time.monotonic() + 3

    async def work(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "done"

    step = StructuredTool.from_function(coroutine=work, name="work", description="Work.")

    async def serve() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
        calls = [asyncio.create_task(step.ainvoke({"seconds": 3}, {"callbacks": [handler]})) for _ in range(50)]
        while time.monotonic() < until_s and not faults:
            await asyncio.create_task(step.ainvoke({"seconds": 0}, {"callbacks": [handler]}))
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)

    with ThreadPoolExecutor(4) as threads:
        for served in [threads.submit(asyncio.run, serve()) for _ in range(4)]:
            served.result()

    assert faults == []
