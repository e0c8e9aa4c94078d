"""What a model was made with is told of every model, whether or not its class is made to be serialised."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.language_models import FakeListChatModel, FakeStreamingListLLM, LangSmithParams
from langchain_core.runnables import Runnable, RunnableConfig
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from typing_extensions import override

from chainspan import OtelHandler

Model = Runnable[Any, Any]


class ChatHere(FakeListChatModel):
    """A chat model of a server on this machine."""

    base_url: str = "http://localhost:11434"
    num_predict: int = 64
    top_k: int = 5
    format: str = "json"
    api_key: str = "sk-none-of-anybody's-business"


class ChatElsewhere(FakeListChatModel):
    """A chat model with an address by another name."""

    elsewhere_api_base: str = "https://elsewhere.example/v1"


class CompletionHere(FakeStreamingListLLM):
    """A text model of a server on this machine."""

    base_url: str = "http://localhost:11434"
    top_k: int = 5


class ChatOfAHub(FakeListChatModel):
    """A chat model that says in a field of its own alone which model answers."""

    model_id: str


class GoogleGenerativeAI(CompletionHere):
    """A text model that either of Google's services serves."""

    project: str | None = None

    @override
    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        return LangSmithParams(ls_provider="google_genai")


class Elsewhere(AsyncCallbackHandler):
    """A handler of somebody else's, which LangChain tells in a task of its own."""


async def invoke(model: Model, config: RunnableConfig) -> None:
    """Call the model."""
    model.invoke("Hi", config)


async def ainvoke(model: Model, config: RunnableConfig) -> None:
    """Await the model."""
    await model.ainvoke("Hi", config)


async def among_others(model: Model, config: RunnableConfig) -> None:
    """Await the model, beside a handler that is not inline."""
    callbacks: Any = config["callbacks"]
    await model.ainvoke("Hi", {"callbacks": [*callbacks, Elsewhere()]})


async def stream(model: Model, config: RunnableConfig) -> None:
    """Read the model's stream."""
    assert list(model.stream("Hi", config))


async def astream(model: Model, config: RunnableConfig) -> None:
    """Read the model's asynchronous stream."""
    assert [chunk async for chunk in model.astream("Hi", config)]


async def abatch(model: Model, config: RunnableConfig) -> None:
    """Await the model, which is wrapped, for a batch."""
    await model.with_retry().abatch(["Hi"], config)


async def by_hand(model: Model, config: RunnableConfig, **path: Any) -> None:
    """Tell of a call that no model makes."""
    callbacks: Any = config["callbacks"]
    told: dict[str, Any] = {"run_id": "00000000-0000-0000-0000-000000000001", "name": "ChatHere"}
    described = {"lc": 1, "type": "not_implemented", **path}
    more = {"invocation_params": {"top_k": 9}}
    callbacks[0].on_chat_model_start(described, [[]], **told, **more)
    callbacks[0].on_llm_end(None, **told)


Mode = Callable[[Model, RunnableConfig], Awaitable[None]]
MODES = [invoke, ainvoke, among_others, stream, astream, abatch]
CHAT = {
    "gen_ai.output.type": "json",
    "gen_ai.request.max_tokens": 64,
    "gen_ai.request.top_k": 5,
    "server.address": "localhost",
    "server.port": 11434,
}
TEXT = {"gen_ai.request.top_k": 5, "server.address": "localhost", "server.port": 11434}


def run(mode: Mode, model: Model, handler: OtelHandler) -> None:
    """Call a model in a loop of asyncio's own; that of the tests has tasks of another class on Python 3.10."""

    async def main() -> None:
        await mode(model, {"callbacks": [handler]})

    asyncio.run(main())


def asked_for(model: Model, mode: Mode) -> dict[str, Any]:
    """Return what the span of a model says of what it was made with."""
    memory = InMemorySpanExporter()
    with OtelHandler(memory) as handler:
        run(mode, model, handler)
    said = [span.attributes or {} for span in memory.get_finished_spans()]
    [attributes] = [each for each in said if "gen_ai.operation.name" in each]
    return {key: attributes[key] for key in sorted(attributes) if key in CHAT}


@pytest.mark.parametrize("mode", MODES)
def test_chat_models_fields(mode: Mode) -> None:
    """The fields of a chat model's own are read, however it is called, and the address by any integration's word."""
    assert asked_for(ChatHere(responses=["3"]), mode) == CHAT
    assert asked_for(ChatElsewhere(responses=["3"]), mode) == {
        "server.address": "elsewhere.example",
        "server.port": 443,
    }


@pytest.mark.parametrize("mode", MODES)
def test_fields_of_a_class_that_no_module_has(mode: Mode) -> None:
    """A class that is made in a function, as in a test or a factory, is looked at as any other is."""

    class Local(ChatElsewhere):
        num_predict: int = 64

    assert asked_for(Local(responses=["3"]), mode) == {
        "gen_ai.request.max_tokens": 64,
        "server.address": "elsewhere.example",
        "server.port": 443,
    }


@pytest.mark.parametrize("mode", MODES)
def test_text_models_fields(mode: Mode) -> None:
    """So are those of a text model, whose start may be reported from another task."""
    assert asked_for(CompletionHere(responses=["3"]), mode) == TEXT


def test_a_call_decides_before_the_fields() -> None:
    """What is asked for in the call stands before what the model was made with; two models are two."""
    one, other = ChatHere(responses=["3"]), ChatHere(responses=["3"], base_url="http://other:80")

    assert asked_for(one.bind(top_k=7), invoke) == CHAT | {"gen_ai.request.top_k": 7}
    assert asked_for(other, invoke) == CHAT | {"server.address": "other", "server.port": 80}
    assert asked_for(one, invoke) == CHAT


@pytest.mark.parametrize(("project", "provider"), [(None, "gcp.gemini"), ("p-1", "gcp.vertex_ai")])
def test_which_of_googles_services_completes(project: str | None, provider: str) -> None:
    """Which service answers a text model of Google's is told by what it was made with, too."""
    memory = InMemorySpanExporter()
    with OtelHandler(memory) as handler:
        GoogleGenerativeAI(responses=["3"], project=project).invoke("Hi", {"callbacks": [handler]})

    [span] = memory.get_finished_spans()
    assert (span.attributes or {})["gen_ai.provider.name"] == provider


@pytest.mark.parametrize(
    ("model_id", "name"), [("owner/model", "chat owner/model"), ("https://endpoint.example/v1", "chat")]
)
@pytest.mark.parametrize("mode", MODES)
def test_which_model_a_hub_is_asked_for(mode: Mode, model_id: str, name: str) -> None:
    """A model that neither the call nor LangChain names is named by what it was made with, unless by an address."""
    memory = InMemorySpanExporter()
    with OtelHandler(memory) as handler:
        run(mode, ChatOfAHub(responses=["3"], model_id=model_id), handler)

    assert name in [span.name for span in memory.get_finished_spans()]


def test_fields_are_read_each_time() -> None:
    """A copy of a model, which LangChain describes as it does the model, has fields of its own, and they may change."""
    one = ChatHere(responses=["3"])
    assert asked_for(one, invoke) == CHAT
    other = one.model_copy(update={"top_k": 7})

    assert asked_for(other, invoke) == CHAT | {"gen_ai.request.top_k": 7}
    one.num_predict = 8
    assert asked_for(one, invoke) == CHAT | {"gen_ai.request.max_tokens": 8}


def test_nothing_is_kept_of_classes_that_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that is run again makes its models' classes anew, which hold all that the script has."""

    def ran() -> weakref.ref[type]:
        made = type("ChatHere", (FakeListChatModel,), {"__module__": __name__})
        monkeypatch.setattr(sys.modules[__name__], "ChatHere", made)
        assert asked_for(made(responses=["3"]), invoke) == {}
        monkeypatch.undo()
        return weakref.ref(made)

    gone = [ran() for _ in range(3)]
    gc.collect()

    assert [made() for made in gone] == [None] * 3


@pytest.mark.parametrize("path", [{"id": ["here", "ChatHere"]}, {"id": []}, {}], ids=["class", "empty", "none"])
def test_nothing_is_read_where_no_model_calls(path: dict[str, Any]) -> None:
    """A call that is reported by somebody else has no fields, and is read all the same."""
    assert asked_for(ChatHere(responses=["3"]), partial(by_hand, **path)) == {"gen_ai.request.top_k": 9}


@pytest.mark.parametrize("mode", [invoke, ainvoke, stream, astream])
def test_metrics_of_calls_that_are_not_sampled(mode: Mode) -> None:
    """The metric of a call says which server was asked, also where the call has no span."""
    reader = InMemoryMetricReader()
    tracer_provider = TracerProvider(sampler=ALWAYS_OFF)
    tracer_provider.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
    handler = OtelHandler(tracer_provider=tracer_provider, meter_provider=MeterProvider([reader]))

    run(mode, ChatHere(responses=["3"]), handler)

    data = reader.get_metrics_data()
    assert data is not None
    [metric] = [
        metric
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
        if metric.name == "gen_ai.client.operation.duration"
    ]
    [point] = metric.data.data_points
    assert isinstance(point, HistogramDataPoint)
    assert dict(point.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "here",
        "server.address": "localhost",
        "server.port": 11434,
    }
