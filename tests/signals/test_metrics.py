"""Metrics of real runs, as an application's MeterProvider collects them."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from langchain.agents import create_agent
from langchain_core.caches import InMemoryCache
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tools import ToolException, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import MessagesState, StateGraph
from langgraph.types import Command, interrupt
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from tests.test_configure import run_alone

import chainspan
from chainspan import ModelCall, OtelHandler
from chainspan.langchain import _responses

from ._received import Counting, Metered

CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-5",
    "gen_ai.response.model": "gpt-5-1",
}


@tool
def add(a: int, b: int) -> int:
    """Add."""
    return a + b


async def _invoke(model: Any, config: RunnableConfig) -> None:
    model.invoke("2 + 2?", config)


async def _ainvoke(model: Any, config: RunnableConfig) -> None:
    await model.ainvoke("2 + 2?", config)


async def _stream(model: Any, config: RunnableConfig) -> None:
    list(model.stream("2 + 2?", config))


async def _astream(model: Any, config: RunnableConfig) -> None:
    [_ async for _ in model.astream("2 + 2?", config)]


MODES: dict[str, Callable[[Any, RunnableConfig], Any]] = {
    "invoke": _invoke,
    "ainvoke": _ainvoke,
    "stream": _stream,
    "astream": _astream,
}


@pytest.mark.parametrize("mode", MODES)
async def test_a_call_is_counted_once_in_every_mode(mode: str, meters: Metered) -> None:
    """Duration and tokens are the same in all modes; a stream has the time to its first chunk besides (pains #48)."""
    handler = OtelHandler(InMemorySpanExporter(), meter_provider=meters.provider)

    await MODES[mode](Counting(), {"callbacks": [handler]})

    streamed = {"gen_ai.client.operation.time_to_first_chunk": 1} if "stream" in mode else {}
    assert meters.counts() == {
        "gen_ai.client.operation.duration": 1,
        "gen_ai.client.token.usage": 2,
        **streamed,
    }
    assert meters.attributes("gen_ai.client.operation.duration") == [CALL]
    sums = {p.attributes["gen_ai.token.type"]: p.sum for p in meters.points()["gen_ai.client.token.usage"]}
    assert sums == {"input": 100, "output": 20}


@pytest.mark.parametrize("mode", MODES)
async def test_an_error_says_its_type(mode: str, meters: Metered) -> None:
    """A call that raises is counted with the type of its error, and without tokens (pains #48)."""
    handler = OtelHandler(InMemorySpanExporter(), meter_provider=meters.provider)

    with pytest.raises(TimeoutError):
        await MODES[mode](Counting(replies=[TimeoutError("late")]), {"callbacks": [handler]})

    asked = {key: value for key, value in CALL.items() if key != "gen_ai.response.model"}
    assert meters.counts() == {"gen_ai.client.operation.duration": 1}
    assert meters.attributes("gen_ai.client.operation.duration") == [{**asked, "error.type": "TimeoutError"}]


def _run_agent(handler: OtelHandler) -> None:
    call = {"id": "call_1", "name": "add", "args": {"a": 2, "b": 2}}
    agent: Any = create_agent(Counting(replies=[call, "four"]), [add], name="helper")
    agent.invoke({"messages": [("user", "2 + 2?")]}, {"callbacks": [handler]})


def test_an_agent_and_its_parts_are_counted(meters: Metered) -> None:
    """An agent's run gives its own duration, that of each tool, and those of its model calls."""
    _run_agent(OtelHandler(InMemorySpanExporter(), meter_provider=meters.provider))

    assert meters.counts() == {
        "gen_ai.invoke_agent.duration": 1,
        "gen_ai.execute_tool.duration": 1,
        "gen_ai.client.operation.duration": 2,
        "gen_ai.client.token.usage": 4,
    }
    assert meters.attributes("gen_ai.execute_tool.duration") == [
        {"gen_ai.tool.name": "add", "gen_ai.tool.type": "function", "gen_ai.agent.name": "helper"}
    ]


@pytest.mark.parametrize("preset", ["all", "steps", "llm"])
@pytest.mark.parametrize("is_sampled", [True, False], ids=["sampled", "unsampled"])
def test_neither_sampling_nor_presets_change_metrics(preset: str, is_sampled: bool, meters: Metered) -> None:
    """What is not traced is counted all the same."""
    tracers = TracerProvider() if is_sampled else TracerProvider(sampler=ALWAYS_OFF)

    _run_agent(OtelHandler(tracer_provider=tracers, meter_provider=meters.provider, spans=preset))
    tracers.shutdown()

    assert meters.counts() == {
        "gen_ai.invoke_agent.duration": 1,
        "gen_ai.execute_tool.duration": 1,
        "gen_ai.client.operation.duration": 2,
        "gen_ai.client.token.usage": 4,
    }


def test_a_soft_error_of_an_unsampled_tool_is_told(meters: Metered) -> None:
    """A tool's answer that says it failed has its error type, traced or not."""
    tracers = TracerProvider(sampler=ALWAYS_OFF)
    handler = OtelHandler(tracer_provider=tracers, meter_provider=meters.provider)

    @tool
    def fail() -> str:
        """Fail."""
        raise ToolException("no")

    fail.handle_tool_error = True
    fail.invoke({"id": "call_1", "name": "fail", "args": {}, "type": "tool_call"}, {"callbacks": [handler]})
    tracers.shutdown()

    assert [found["error.type"] for found in meters.attributes("gen_ai.execute_tool.duration")] == ["tool_error"]


def test_two_handlers_of_one_call_count_it_once(meters: Metered) -> None:
    """A run counts once with a MeterProvider, however many handlers and pipelines report it."""
    tracers = TracerProvider()
    handlers = [
        OtelHandler(InMemorySpanExporter(), meter_provider=meters.provider),
        OtelHandler(InMemorySpanExporter(), meter_provider=meters.provider, profile="latest"),
        OtelHandler(tracer_provider=tracers, meter_provider=meters.provider),
    ]

    Counting().with_config(callbacks=[handlers[0]]).invoke("x", {"callbacks": [*handlers]})
    tracers.shutdown()

    assert meters.counts() == {"gen_ai.client.operation.duration": 1, "gen_ai.client.token.usage": 2}


def test_a_graph_that_goes_on_by_the_same_config_counts_again(meters: Metered) -> None:
    """A config with a run id, used again to resume, makes runs of the same id, and each of them counts."""

    def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [interrupt("Go on?")]}

    graph = StateGraph(MessagesState).add_node("ask", ask).set_entry_point("ask").compile(InMemorySaver(), name="asker")
    handlers = [OtelHandler(InMemorySpanExporter(), meter_provider=meters.provider) for _ in range(2)]
    config: RunnableConfig = {"callbacks": [*handlers], "run_id": uuid4(), "configurable": {"thread_id": "1"}}

    graph.invoke({"messages": []}, config)
    graph.invoke(Command(resume="yes"), config)

    assert meters.counts() == {"gen_ai.invoke_workflow.duration": 2}


def test_two_meter_providers_both_count(meters: Metered) -> None:
    """Handlers that feed different MeterProviders count for each of them."""
    other = Metered()
    handlers = [OtelHandler(InMemorySpanExporter(), meter_provider=each.provider) for each in (meters, other)]

    Counting().invoke("x", {"callbacks": [*handlers]})

    assert meters.counts() == other.counts() == {"gen_ai.client.operation.duration": 1, "gen_ai.client.token.usage": 2}
    other.provider.shutdown()


def test_one_flag_switches_metrics_off(meters: Metered, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither ``metrics=False`` nor the variable records anything, and the argument wins."""
    Counting().invoke(
        "x", {"callbacks": [OtelHandler(InMemorySpanExporter(), metrics=False, meter_provider=meters.provider)]}
    )
    monkeypatch.setenv("CHAINSPAN_METRICS", "false")
    Counting().invoke("x", {"callbacks": [OtelHandler(InMemorySpanExporter(), meter_provider=meters.provider)]})
    before = meters.counts()
    Counting().invoke(
        "x", {"callbacks": [OtelHandler(InMemorySpanExporter(), metrics=True, meter_provider=meters.provider)]}
    )

    assert before == {}
    assert meters.counts()["gen_ai.client.operation.duration"] == 1


@pytest.mark.parametrize(("is_metered", "times"), [(False, 0), (True, 1)], ids=["no-provider", "provider"])
def test_answers_are_read_only_if_somebody_counts(
    is_metered: bool, times: int, meters: Metered, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a MeterProvider the answer of an unsampled call is not even looked at."""
    read: list[Any] = []
    original = _responses.model_response

    def noted(result: Any) -> Any:
        read.append(result)
        return original(result)

    monkeypatch.setattr(_responses, "model_response", noted)
    tracers = TracerProvider(sampler=ALWAYS_OFF)
    handler = OtelHandler(tracer_provider=tracers, meter_provider=meters.provider if is_metered else None)

    Counting().invoke("x", {"callbacks": [handler]})
    tracers.shutdown()

    assert len(read) == times


def test_exemplars_lead_to_the_span(meters: Metered) -> None:
    """A value of a metric names the span that it was measured in."""
    exporter = InMemorySpanExporter()
    with OtelHandler(exporter, meter_provider=meters.provider) as handler:
        Counting().invoke("x", {"callbacks": [handler]})

    [span] = exporter.get_finished_spans()
    [point] = meters.points()["gen_ai.client.operation.duration"]
    assert [(e.trace_id, e.span_id) for e in point.exemplars] == [(span.context.trace_id, span.context.span_id)]


def test_the_duration_is_the_spans(meters: Metered) -> None:
    """The metric and the span tell the same duration, but for what writing the span takes."""
    exporter = InMemorySpanExporter()
    with OtelHandler(exporter, meter_provider=meters.provider) as handler:
        Counting().invoke("x", {"callbacks": [handler]})

    [span] = exporter.get_finished_spans()
    [point] = meters.points()["gen_ai.client.operation.duration"]
    assert 0 < point.sum <= ((span.end_time or 0) - (span.start_time or 0)) / 1e9


def test_a_stream_that_is_dropped_is_counted_without_error(meters: Metered) -> None:
    """Who stops reading has made a call and no error."""
    handler = OtelHandler(InMemorySpanExporter(), meter_provider=meters.provider)

    stream = Counting().stream("x", {"callbacks": [handler]})
    next(stream)
    del stream
    gc.collect()

    assert meters.counts()["gen_ai.client.operation.duration"] == 1
    assert "error.type" not in meters.attributes("gen_ai.client.operation.duration")[0]


async def test_a_run_whose_end_nobody_reports_is_counted(meters: Metered) -> None:
    """A call that is cancelled inside the model takes until it is noticed, and is no error."""
    handler = OtelHandler(InMemorySpanExporter(), meter_provider=meters.provider)
    entered = asyncio.Event()

    class Hanging(Counting):
        async def _agenerate(self, *_: Any, **__: Any) -> Any:
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(Hanging().ainvoke("x", {"callbacks": [handler]}))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(100):
        if not handler.in_flight():
            break
        await asyncio.sleep(0.02)

    asked = {key: value for key, value in CALL.items() if key != "gen_ai.response.model"}
    assert meters.attributes("gen_ai.client.operation.duration") == [asked]


def test_a_cache_hit_is_not_billed(meters: Metered) -> None:
    """What LangChain's own cache answered took time and no tokens."""
    handler = OtelHandler(InMemorySpanExporter(), meter_provider=meters.provider)
    model = Counting(cache=InMemoryCache())

    model.invoke("x", {"callbacks": [handler]})
    model.invoke("x", {"callbacks": [handler]})

    assert meters.counts() == {"gen_ai.client.operation.duration": 2, "gen_ai.client.token.usage": 2}


def test_plain_chains_are_not_counted(meters: Metered) -> None:
    """What is no operation of the conventions gives no metric."""
    handler = OtelHandler(InMemorySpanExporter(), meter_provider=meters.provider)

    RunnableLambda(lambda x: x).invoke("x", {"callbacks": [handler]})

    assert meters.counts() == {}


def test_a_provider_that_fails_hurts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A MeterProvider that raises costs its metrics, and neither the span nor the application."""
    monkeypatch.delenv("CHAINSPAN_STRICT")
    exporter = InMemorySpanExporter()

    class Broken(MeterProvider):
        def get_meter(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("broken")

    with OtelHandler(exporter, meter_provider=Broken(shutdown_on_exit=False)) as handler:
        answer = Counting().invoke("x", {"callbacks": [handler]})

    assert answer.text == "four"
    assert [(span.attributes or {})["gen_ai.usage.input_tokens"] for span in exporter.get_finished_spans()] == [100]


def test_decorated_functions_are_counted_as_langchains_are(meters: Metered) -> None:
    """Functions go through the same lifecycle, so they have the same metrics."""

    @chainspan.tool
    def look_up(what: str) -> str:
        return what

    @chainspan.llm(provider="openai", model="gpt-5")
    def ask(text: str) -> dict[str, Any]:
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": look_up(text)}}
        usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
        return {"object": "chat.completion", "id": "c1", "model": "gpt-5-1", "choices": [choice], "usage": usage}

    @chainspan.agent
    def helper(text: str) -> Any:
        return ask(text)

    handler = OtelHandler(InMemorySpanExporter(), meter_provider=meters.provider)
    helper.invoke("x", {"callbacks": [handler]})

    assert meters.counts() == {
        "gen_ai.invoke_agent.duration": 1,
        "gen_ai.execute_tool.duration": 1,
        "gen_ai.client.operation.duration": 1,
        "gen_ai.client.token.usage": 2,
    }
    assert meters.attributes("gen_ai.client.operation.duration") == [CALL]


@pytest.mark.parametrize(
    ("profile", "name"),
    [("compat", "gen_ai.provider.name"), ("latest", "gen_ai.provider.name"), ("openinference", "llm.provider")],
)
def test_provider_that_only_the_answer_tells(profile: str, name: str, meters: Metered) -> None:
    """Who answers a decorated function is known in metrics, to the price and on the span, whichever the profile."""
    asked: list[ModelCall] = []
    memory = InMemorySpanExporter()
    handler = OtelHandler(memory, meter_provider=meters.provider, profile=profile, price=asked.append)
    answer = {
        "output": {"message": {"content": [{"text": "four"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 5, "outputTokens": 3},
    }

    with handler:
        chainspan.llm(lambda prompt: answer).with_config(callbacks=[handler])("What is 2 + 2?")

    (span,) = memory.get_finished_spans()
    assert [call.provider for call in asked] == ["aws.bedrock"]
    assert (span.attributes or {})[name] == "aws.bedrock"
    counted = [dict(point.attributes or {}) for points in meters.points().values() for point in points]
    assert {attributes["gen_ai.provider.name"] for attributes in counted} == {"aws.bedrock"}


def test_the_global_provider_is_found_whenever_it_is_set_up() -> None:
    """A handler that is older than the application's MeterProvider records to it all the same."""
    done = run_alone(
        """
        import chainspan
        from langchain_core.language_models import FakeListChatModel
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        handler = chainspan.OtelHandler(InMemorySpanExporter())
        model = FakeListChatModel(responses=["a"])
        model.invoke("x", {"callbacks": [handler]})
        reader = InMemoryMetricReader()
        metrics.set_meter_provider(MeterProvider([reader]))
        model.invoke("x", {"callbacks": [handler]})
        [scope] = reader.get_metrics_data().resource_metrics[0].scope_metrics
        print(scope.scope.name, [(m.name, [p.count for p in m.data.data_points]) for m in scope.metrics])
        """
    )

    assert (done.stderr, done.stdout) == ("", "chainspan [('gen_ai.client.operation.duration', [1])]\n")


def test_names_without_number_are_counted_together(meters: Metered) -> None:
    """Who names each run of a graph or a tool anew gets no more than 2,000 series, and loses no count."""
    handler = OtelHandler(InMemorySpanExporter(), meter_provider=meters.provider)

    for number in range(2_100):
        run = uuid4()
        handler.on_tool_start({"name": f"tool {number}"}, "", run_id=run)
        handler.on_tool_end("", run_id=run)

    points = meters.points()["gen_ai.execute_tool.duration"]
    together = [point.count for point in points if point.attributes == {"otel.metric.overflow": True}]
    assert (len(points), together) == (2_001, [100])
