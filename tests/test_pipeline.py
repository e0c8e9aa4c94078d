"""Where spans go: the global provider, a given one, or a pipeline of the handler's own."""

from __future__ import annotations

import asyncio
import copy
import gc
import logging
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import weakref
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import INVALID_SPAN
from tests._traces import Traces, traces, tree_of
from tests._warnings import STRICT
from typing_extensions import override

from chainspan import ConfigurationError, ConsoleHandler, OtelHandler, _guard, span_of
from chainspan._pipeline import known_processors

__all__ = ["traces"]


class Collected(SpanProcessor):
    """Keeps what has ended."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    @override
    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


class Broken(SpanProcessor):
    """Raises wherever it is called."""

    @override
    def on_start(self, span: Span, parent_context: Any = None) -> None:
        raise RuntimeError("start")

    @override
    def on_end(self, span: ReadableSpan) -> None:
        raise RuntimeError("end")


class Exported(SpanExporter):
    """Keeps what was exported."""

    def __init__(self) -> None:
        self.names: list[str] = []

    @override
    def export(self, spans: Any) -> SpanExportResult:
        self.names += [span.name for span in spans]
        return SpanExportResult.SUCCESS


@dataclass
class Tracers(trace.TracerProvider):
    """Stands before the SDK's provider; as a dataclass it has no hash."""

    provider: trace.TracerProvider

    @override
    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        return self.provider.get_tracer(*args, **kwargs)


@dataclass
class Meters(metrics.MeterProvider):
    """The same of metrics."""

    provider: metrics.MeterProvider

    @override
    def get_meter(self, *args: Any, **kwargs: Any) -> metrics.Meter:
        return self.provider.get_meter(*args, **kwargs)


def steps(*names: str) -> Runnable[Any, Any]:
    """Return a chain of two steps or more that do nothing."""
    first, *rest = [RunnableLambda(lambda x: x).with_config(run_name=name) for name in names]
    chain: Runnable[Any, Any] = first
    for step in rest:
        chain = chain | step
    return chain.with_config(run_name="chain")


TREE = "chain\n  one\n  two"


def test_own_pipeline_gets_its_own_runs_and_nothing_else(traces: Traces) -> None:
    """A handler with a processor reaches it with the runs of its call alone (pains #13, #14)."""
    mine = Collected()

    with traces.tracer.start_as_current_span("foreign"):
        steps("one", "two").invoke("x", {"callbacks": [OtelHandler(mine)]})
        steps("three", "four").invoke("x")

    assert tree_of(mine.spans) == TREE
    assert traces.tree == "foreign"


async def test_pipelines_of_two_tenants_who_call_one_chain_at_once() -> None:
    """Each gets exactly its own runs, in tasks and in threads (pains #13)."""
    chain = steps("one", "two")
    tenants = {name: Collected() for name in ("a", "b")}

    def config(name: str) -> RunnableConfig:
        return {"callbacks": [OtelHandler(tenants[name])], "metadata": {"thread_id": name}}

    calls = [chain.ainvoke(name, config(name)) for name in [*tenants] * 20]
    threads = [asyncio.to_thread(chain.invoke, name, config(name)) for name in [*tenants] * 20]
    await asyncio.gather(*calls, *threads)

    for name, mine in tenants.items():
        assert len(mine.spans) == 40 * 3
        assert {(span.attributes or {})["session.id"] for span in mine.spans} == {name}
        assert {span.name for span in mine.spans if span.parent is None} == {"chain"}


def test_root_of_an_own_pipeline_links_to_the_span_around(traces: Traces) -> None:
    """The exported root has no parent that is missing here, and one link to it (pains #36)."""
    mine = Collected()

    with traces.tracer.start_as_current_span("request") as request:
        steps("one", "two").invoke("x", {"callbacks": [OtelHandler(mine)]})

    root = mine.spans[-1]
    assert root.parent is None
    assert [link.context for link in root.links] == [request.get_span_context()]
    assert root.context.trace_id != request.get_span_context().trace_id


def test_own_pipeline_decides_for_itself_what_is_sampled() -> None:
    """Below a parent that was not sampled the global pipeline gets nothing, and one of the handler's own the tree."""
    mine, traces = Collected(), Traces()
    unsampled = trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=True))
    handlers: list[Any] = [OtelHandler(tracer_provider=traces.provider), OtelHandler(mine)]

    with trace.use_span(unsampled):
        steps("one", "two").invoke("x", {"callbacks": handlers})

    assert (traces.tree, tree_of(mine.spans)) == ("", TREE)


def test_own_pipeline_leaves_the_current_span_alone(traces: Traces) -> None:
    """Inside a body that only an own pipeline traces, the application's span is current."""
    seen: list[trace.Span] = []

    with traces.tracer.start_as_current_span("request") as request:
        body: Runnable[Any, None] = RunnableLambda(lambda _: seen.append(trace.get_current_span()))
        body.invoke("x", {"callbacks": [OtelHandler(Collected())]})

    assert seen == [request]


def test_broken_processor_harms_neither_the_call_nor_its_neighbours(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A processor that raises is reported once, and those beside it get every span (pains #40)."""
    monkeypatch.delenv("CHAINSPAN_STRICT")
    monkeypatch.setattr(_guard, "_faults", {})
    before, after = Collected(), Collected()

    answers = [steps("one", "two").invoke("x", {"callbacks": [OtelHandler(before, Broken(), after)]}) for _ in range(2)]

    assert answers == ["x", "x"]
    assert tree_of(before.spans[:3]) == tree_of(after.spans[3:]) == TREE
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert _guard.faults() == {"processor Broken: RuntimeError": 12}


def test_same_pipeline_twice_gives_one_tree() -> None:
    """Two handlers of the same processor claim each run once (pains #34)."""
    mine = Collected()

    steps("one", "two").with_config(callbacks=[OtelHandler(mine)]).invoke("x", {"callbacks": [OtelHandler(mine)]})

    assert tree_of(mine.spans) == TREE


def test_handlers_of_two_pipelines_work_in_one_call(traces: Traces) -> None:
    """A bound handler and one passed at invoke time each get the whole tree."""
    mine = Collected()

    steps("one", "two").with_config(callbacks=[OtelHandler(mine)]).invoke(
        "x", {"callbacks": [OtelHandler(tracer_provider=traces.provider)]}
    )

    assert tree_of(mine.spans) == traces.tree == TREE


def test_providers_without_a_hash(traces: Traces) -> None:
    """Providers that stand before the SDK's are dataclasses with some libraries, such as Logfire; each is itself."""
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    providers = [Tracers(traces.provider), Tracers(traces.provider)]
    handlers: list[Any] = [
        OtelHandler(tracer_provider=provider, meter_provider=Meters(meters)) for provider in providers
    ]

    FakeListChatModel(responses=["3"]).invoke("x", {"callbacks": handlers})
    gone = weakref.ref(providers.pop())
    del handlers[1:]
    gc.collect()

    assert traces.tree == "chat\nchat"
    data = reader.get_metrics_data()
    assert data is not None
    [recorded] = data.resource_metrics[0].scope_metrics[0].metrics
    assert recorded.name == "gen_ai.client.operation.duration"
    assert gone() is None


def test_handlers_made_for_each_call_leave_nothing_with_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork is no slower after hundreds of them: a provider whose pipeline is gone serves the next (pains #38)."""
    hooks: list[object] = []
    monkeypatch.setattr(os, "register_at_fork", lambda **hook: hooks.append(hook))
    tenants = [Collected() for _ in range(200)]

    for number, tenant in enumerate(tenants):
        steps("one", str(number)).invoke("x", {"callbacks": [OtelHandler(tenant)]})

    assert [[span.name for span in tenant.spans] for tenant in tenants] == [
        ["one", str(number), "chain"] for number in range(200)
    ]
    assert len(hooks) < 10


def test_what_is_open_in_a_pipeline_that_is_gone_is_not_the_next_ones() -> None:
    """A run that ends after its handler is gone goes where it belongs, whichever pipeline has the provider by then."""
    started: list[Span] = []

    class Starting(Collected):
        def on_start(self, span: Span, parent_context: Context | None = None) -> None:
            started.append(span)

    mine, other = Starting(), Collected()
    OtelHandler(mine).on_chain_start({}, {}, run_id=uuid4(), name="late")
    gc.collect()

    RunnableLambda(str).invoke("x", {"callbacks": [OtelHandler(other)]})
    started[0].end()

    assert [[span.name for span in one.spans] for one in (mine, other)] == [["late"], ["str"]]


def test_provider_of_other_settings_serves_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment and the application say by now holds for a new pipeline, not what they said before."""
    kept = [Collected() for _ in range(4)]
    RunnableLambda(str).invoke("x", {"callbacks": [OtelHandler(kept[0])]})
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    RunnableLambda(str).invoke("x", {"callbacks": [OtelHandler(kept[1])]})
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_on")
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1")
    RunnableLambda(str).invoke("x", {"callbacks": [OtelHandler(kept[2])]})
    monkeypatch.delenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT")
    provider = TracerProvider(resource=Resource({"service.name": "mine"}), shutdown_on_exit=False)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    RunnableLambda(str).invoke("x", {"callbacks": [OtelHandler(kept[3])]})

    assert [len(one.spans) for one in kept] == [1, 0, 1, 1]
    assert len(kept[2].spans[0].attributes or {}) == 1
    assert kept[3].spans[0].resource.attributes["service.name"] == "mine"


def test_hundreds_of_handlers_of_one_exporter_share_a_worker() -> None:
    """An exporter has one worker thread, however many handlers are made of it (pains #65)."""
    exporter = Exported()
    chain = steps("one", "two")
    chain.invoke("x", {"callbacks": [OtelHandler(exporter)]})
    before = {*threading.enumerate()}

    for _ in range(600):  # within the queue's bound of 2,048 spans
        chain.invoke("x", {"callbacks": [OtelHandler(exporter)]})

    assert {*threading.enumerate()} <= before
    delivery = OtelHandler(exporter).flush(10)
    assert (delivery.delivered, delivery.pending, delivery.lost) == (1_803, 0, 0)
    assert Counter(exporter.names) == Counter({"one": 601, "two": 601, "chain": 601})


def test_exporters_of_long_ago_go_where_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is at its limit of threads gets its handlers all the same, and loses nothing (pains #65)."""
    exporters = [Exported() for _ in range(70)]
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "chainspan-retire":
            raise RuntimeError("can't start new thread")
        start(thread)

    for exporter in exporters[:5]:
        steps("one", "two").invoke("x", {"callbacks": [OtelHandler(exporter)]})
    monkeypatch.setattr(threading.Thread, "start", refuse)
    for exporter in exporters[5:]:
        OtelHandler(exporter)

    assert [exporter.names for exporter in exporters[:5]] == [["one", "two", "chain"]] * 5


def test_pipeline_goes_with_its_last_handler() -> None:
    """A processor that was made for one call is not kept (pains #17)."""
    mine = Collected()
    handler = OtelHandler(mine)
    steps("one", "two").invoke("x", {"callbacks": [handler]})
    mine.spans.clear()

    del handler
    gc.collect()

    holders = [thing for thing in gc.get_referrers(mine) if type(thing).__module__.startswith("chainspan")]
    assert holders == []


def test_flush_while_other_threads_make_handlers() -> None:
    """A flush of everything goes through what there is at the moment, and raises nothing into the application."""
    kept = [OtelHandler(Collected()) for _ in range(300)]
    is_over = threading.Event()

    def serve() -> None:
        while not is_over.is_set():
            OtelHandler(Collected())

    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            serving = [threads.submit(serve) for _ in range(4)]
            try:
                for _ in range(150):
                    assert len(known_processors()) >= len(kept)
            finally:
                is_over.set()
            for served in serving:
                served.result()
    finally:
        sys.setswitchinterval(interval_s)


def test_leaving_a_with_block_flushes() -> None:
    """After the block everything has been exported (pains #27)."""
    exporter = Exported()

    with OtelHandler(exporter) as handler:
        steps("one", "two").invoke("x", {"callbacks": [handler]})

    assert exporter.names == ["one", "two", "chain"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: OtelHandler("otlp"),  # type: ignore[arg-type]
            "OtelHandler(*targets): expected SpanProcessors or SpanExporters, got 'otlp'",
        ),
        (lambda: OtelHandler(spans="few"), "OtelHandler(spans=): expected all, steps or llm, got 'few'"),
        (lambda: OtelHandler(spans=["llm"]), "OtelHandler(spans=): expected all, steps or llm, got ['llm']"),  # type: ignore[arg-type]
        (lambda: OtelHandler(profile="mine"), "profile: expected one of compat, latest, openinference, got 'mine'"),
        (lambda: OtelHandler(profile=["mine"]), "profile: expected one of compat, latest, openinference, got ['mine']"),  # type: ignore[arg-type]
        (lambda: OtelHandler(metrics="no"), "OtelHandler(metrics=): expected True, False or None, got 'no'"),  # type: ignore[arg-type]
        (lambda: OtelHandler(events="false"), "OtelHandler(events=): expected True, False or None, got 'false'"),  # type: ignore[arg-type]
        (lambda: OtelHandler(tracer_provider="x"), "OtelHandler(tracer_provider=): expected a TracerProvider, got 'x'"),  # type: ignore[arg-type]
        (
            lambda: OtelHandler(tracer_provider=TracerProvider),  # type: ignore[arg-type]
            f"OtelHandler(tracer_provider=): expected a TracerProvider, got {TracerProvider}",
        ),
        (lambda: OtelHandler(meter_provider=1), "OtelHandler(meter_provider=): expected a MeterProvider, got 1"),  # type: ignore[arg-type]
        (
            lambda: OtelHandler(logger_provider=logging.getLogger("x")),  # type: ignore[arg-type]
            "OtelHandler(logger_provider=): expected a LoggerProvider of OpenTelemetry, got <Logger x (WARNING)>",
        ),
    ],
    ids=[
        "target",
        "spans",
        "spans in a list",
        "profile",
        "profile in a list",
        "metrics",
        "events",
        "tracer",
        "class of a provider",
        "meter provider",
        "logger",
    ],
)
def test_argument_that_cannot_be_used_is_refused(make: Any, message: str) -> None:
    """A mistake is said when the handler is made: where it is, what was expected and what came."""
    with pytest.raises(ConfigurationError) as raised:
        make()

    assert str(raised.value) == message


@pytest.mark.parametrize("got", ["few", object()], ids=["text", "object"])
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_error_of_another_process_is_raised_in_this_one(got: object, again: Any) -> None:
    """A pool of processes hands it on as it was, rather than breaking."""
    error = ConfigurationError("OtelHandler(spans=)", expected="all, steps or llm", got=got)

    made = again(error)

    assert (type(made), str(made), made.where, made.expected) == (type(error), str(error), error.where, error.expected)
    assert made.got == (got if isinstance(got, str) else repr(got))


@pytest.mark.parametrize("config", [None, {}, {"callbacks": []}, 1, OtelHandler], ids=str)
def test_what_is_no_config_of_a_run_has_no_span(config: Any) -> None:
    """Inside an application nothing is raised, whatever was passed."""
    assert span_of(config) is INVALID_SPAN


def test_provider_and_processors_are_not_both_taken(traces: Traces) -> None:
    """A handler feeds a provider or has a pipeline of its own."""
    with pytest.raises(ConfigurationError, match="no provider where processors"):
        OtelHandler(Collected(), tracer_provider=traces.provider)


@pytest.mark.parametrize(
    ("spans", "tree"),
    [("all", "chain\n  one\n  model"), ("steps", "model"), ("llm", "model")],
)
def test_preset_hands_children_to_the_nearest_kept_ancestor(spans: str, tree: str, traces: Traces) -> None:
    """Runs that a preset leaves out have no span, and nothing is orphaned (pains #24)."""
    model = FakeListChatModel(responses=["hi"]).with_config(run_name="model")
    handler = OtelHandler(tracer_provider=traces.provider, spans=spans)

    step = RunnableLambda(lambda x: x).with_config(run_name="one")

    with traces.tracer.start_as_current_span("request"):
        step.pipe(model).with_config(run_name="chain").invoke("x", {"callbacks": [handler]})

    inner = "\n".join(f"  {line}" for line in tree.splitlines())
    assert traces.tree.replace("chat", "model") == f"request\n{inner}"


def run_alone(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own, where no provider is set up."""
    return subprocess.run(
        [sys.executable, *STRICT, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        env={"PATH": "", **environment},
        timeout=50,
        check=False,
    )


CALL = """
    import logging; logging.basicConfig(format="%(levelname)s %(name)s %(message)s")
    from chainspan import OtelHandler
    from langchain_core.runnables import RunnableLambda
    from opentelemetry import trace
    for _ in range(2):
        print(RunnableLambda(lambda x: x).invoke("x", {"callbacks": [OtelHandler()]}))
    print(type(trace.get_tracer_provider()).__name__)
"""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_TRACES_SAMPLER", "always_off"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1"),
    ],
)
def test_console_prints_whatever_is_exported(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Samplers and limits are for what leaves the process."""
    monkeypatch.setenv(name, value)
    lines: list[str] = []

    RunnableLambda(lambda text: text).invoke("a text", {"callbacks": [ConsoleHandler(lines.append, color=False)]})

    assert lines[0] == '[chain/start] [1:chain:RunnableLambda] Entering Chain run with input: {\n  "input": "a text"\n}'
    assert [line.partition("]")[0] for line in lines] == ["[chain/start", "[chain/end"]


def test_console_prints_once_however_its_place_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two handlers for one file, or for one method, are one console."""
    monkeypatch.chdir(tmp_path)
    lines: list[str] = []
    files = [ConsoleHandler("trace.txt"), ConsoleHandler(Path("trace.txt")), ConsoleHandler(tmp_path / "trace.txt")]

    RunnableLambda(str).invoke(1, {"callbacks": [*files, ConsoleHandler(lines.append), ConsoleHandler(lines.append)]})

    written = Path("trace.txt").read_text("utf-8")
    assert (written.count("[chain/start]"), written.count("[chain/end]")) == (1, 1)
    assert len(lines) == 2


def test_without_a_provider_the_cure_is_named_once() -> None:
    """A bare handler with nowhere to send says so in one sentence, once (pains #41)."""
    done = run_alone(CALL)

    assert done.stdout == "x\nx\nProxyTracerProvider\n"
    assert done.stderr == (
        "WARNING chainspan OtelHandler() has nowhere to send its spans: call chainspan.configure(), set up a "
        "TracerProvider, set OTEL_EXPORTER_OTLP_ENDPOINT, or pass OtelHandler a processor or an exporter.\n"
    )


def test_environment_that_asks_for_an_export_gets_one() -> None:
    """Where the environment names an exporter a bare handler is enough, and the global provider stays unset."""
    done = run_alone(CALL, OTEL_TRACES_EXPORTER="console", OTEL_SERVICE_NAME="shop")

    assert done.stderr == ""
    assert done.stdout.count('"name": "RunnableLambda"') == 2
    assert done.stdout.count('"service.name": "shop"') == 2
    assert done.stdout.endswith("ProxyTracerProvider\n")


@pytest.mark.parametrize(("name", "value"), [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")])
def test_handler_that_is_switched_off_is_silent(name: str, value: str) -> None:
    """The variables that switch everything off do so without a word."""
    done = run_alone(CALL, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", **{name: value})

    assert (done.stdout, done.stderr) == ("x\nx\nProxyTracerProvider\n", "")


def test_provider_set_up_after_the_handler_is_used() -> None:
    """A handler that was made first feeds the provider that is set up later."""
    done = run_alone(
        """
        from chainspan import OtelHandler
        handler = OtelHandler()
        from langchain_core.runnables import RunnableLambda
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        memory, provider = InMemorySpanExporter(), TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(memory))
        trace.set_tracer_provider(provider)
        RunnableLambda(lambda x: x).invoke("x", {"callbacks": [handler]})
        print([span.name for span in memory.get_finished_spans()])
        """
    )

    assert (done.stdout, done.stderr) == ("['RunnableLambda']\n", "")


class Named(OtelHandler):
    """A user's own handler, with a state of its own."""

    def __init__(self, owner: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.owner = owner
        self.seen = 0


def test_handler_that_was_used_travels_to_other_processes(traces: Traces, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound handler is pickled with its chain, before and after its first call, and feeds what is global there."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", traces.provider)
    handlers = Named("me"), OtelHandler(spans="llm", content=True)
    handlers[0].seen = 2
    chain = (RunnableLambda(str) | FakeListChatModel(responses=["y"])).with_config(callbacks=list(handlers))
    chain.invoke("x")
    assert traces.tree == "RunnableSequence\n  str\n  chat"

    elsewhere = Traces()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", elsewhere.provider)
    again = pickle.loads(pickle.dumps(chain))
    again.invoke("x")

    assert elsewhere.tree == traces.tree
    mine, other = again.config["callbacks"]
    assert (type(mine), mine.owner, mine.seen) == (type(handlers[0]), "me", 2)
    assert type(other) is type(handlers[1])


def test_console_travels_to_other_processes(tmp_path: Path) -> None:
    """A console that is named by its path prints there, whichever process it is in."""
    path = tmp_path / "console.txt"
    handler = pickle.loads(pickle.dumps(ConsoleHandler(path)))

    RunnableLambda(str).invoke("x", {"callbacks": [handler]})

    assert path.read_text().startswith("[chain/start] [1:chain:str]")


def test_provider_that_is_not_the_sdks_is_fed_through_the_api() -> None:
    """A global provider that has no more than OpenTelemetry's API gets all runs, nested as they are (pains #82)."""
    done = run_alone(
        """
        import contextlib, logging; logging.basicConfig()
        from chainspan import OtelHandler, current_span
        from langchain_core.runnables import RunnableLambda
        from opentelemetry import trace

        class Span(trace.Span):
            def __init__(self, name, parent):
                self.name, self.parent = name, parent
                self.context = trace.SpanContext(7, id(self), is_remote=False, trace_flags=trace.TraceFlags(1))
                self.attributes, self.ends = {}, 0
            def get_span_context(self): return self.context
            def is_recording(self): return not self.ends
            def set_attribute(self, key, value): self.attributes[key] = value
            def set_attributes(self, attributes): self.attributes.update(attributes)
            def add_event(self, *args, **kwargs): pass
            def record_exception(self, *args, **kwargs): pass
            def set_status(self, *args, **kwargs): pass
            def update_name(self, name): self.name = name
            def end(self, end_time=None): self.ends += 1

        class Tracer(trace.Tracer):
            def __init__(self): self.spans = []
            def start_span(self, name, context=None, kind=None, attributes=None, *args, **kwargs):
                self.spans.append(Span(name, trace.get_current_span(context).get_span_context().span_id))
                self.spans[-1].set_attributes(attributes or {})
                return self.spans[-1]
            @contextlib.contextmanager
            def start_as_current_span(self, name, context=None, **kwargs):
                with trace.use_span(self.start_span(name, context), end_on_exit=True) as span:
                    yield span

        class Provider(trace.TracerProvider):
            tracer = Tracer()
            def get_tracer(self, *args, **kwargs): return self.tracer

        trace.set_tracer_provider(Provider())
        def body(x):
            current_span().set_attribute("seen", True)
            with trace.get_tracer("application").start_as_current_span("inside"):
                return x
        chain = RunnableLambda(body) | RunnableLambda(lambda x: x, name="second")
        print(chain.invoke("x", {"callbacks": [OtelHandler()]}))
        names = {span.context.span_id: span.name for span in Provider.tracer.spans}
        for span in Provider.tracer.spans:
            print(names.get(span.parent), span.name, span.ends, span.attributes.get("seen"))
        """
    )

    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "x",
        "None RunnableSequence 1 None",
        "RunnableSequence body 1 True",
        "body inside 1 None",
        "RunnableSequence second 1 None",
    ]


def test_run_that_is_open_at_exit_is_exported() -> None:
    """A run that the end of the process cuts off is ended before the provider shuts down."""
    done = run_alone(
        """
        from uuid import uuid4
        from chainspan import OtelHandler
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor, ConsoleSpanExporter
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(
            formatter=lambda span: f"{span.name} {span.attributes['chainspan.run.outcome']}\\n")))
        OtelHandler(tracer_provider=provider).on_chain_start(None, {}, run_id=uuid4(), name="cut off")
        """
    )

    assert (done.stdout, done.stderr) == ("cut off abandoned\n", "")
