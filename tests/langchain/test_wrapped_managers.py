"""An instrumentation that wraps what LangChain reports the starts of runs by changes nothing for us."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from itertools import product
from types import FunctionType, ModuleType
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackManager, BaseCallbackHandler, CallbackManager
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import HumanMessage
from langchain_core.prompts import PromptTemplate
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, MessagesState, StateGraph
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chainspan import OtelHandler

STARTS = ("on_chain_start", "on_chat_model_start", "on_tool_start", "on_retriever_start")

MODULES = ("opentelemetry.instrumentation.genai.langchain._run_context", "wrapt.wrappers")


def _wrapper(wrapped: Any) -> Any:
    def start(self: Any, *args: Any, **kwargs: Any) -> Any:
        return wrapped(self, *args, **kwargs)

    return start


def _awrapper(wrapped: Any) -> Any:
    async def start(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await wrapped(self, *args, **kwargs)

    return start


def _in_module(wrapper: Callable[[Any], Any], name: str) -> Callable[[Any], Any]:
    """Return a function as if it stood in another module."""
    return FunctionType(wrapper.__code__, vars(ModuleType(name)))


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Return what is exported to while LangChain's managers are wrapped as the GenAI instrumentation does."""
    for manager, wrapper in ((CallbackManager, _wrapper), (AsyncCallbackManager, _awrapper)):
        for start, module in product(STARTS, MODULES):
            monkeypatch.setattr(manager, start, _in_module(wrapper, module)(getattr(manager, start)))
    return InMemorySpanExporter()


@pytest.fixture
def handler(memory: InMemorySpanExporter) -> OtelHandler:
    """Return a handler whose spans are exported there."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    return OtelHandler(tracer_provider=provider)


def _names(memory: InMemorySpanExporter) -> list[str]:
    return sorted(span.name for span in memory.get_finished_spans())


def _outcomes(memory: InMemorySpanExporter) -> list[object]:
    return [(span.attributes or {}).get("chainspan.run.outcome") for span in memory.get_finished_spans()]


class Here(FakeListChatModel):
    """A model that nobody made to be serialised."""

    base_url: str = "http://localhost:11434"


@pytest.mark.parametrize("is_async", [False, True])
def test_graphs_and_models_are_told_as_ever(memory: InMemorySpanExporter, handler: OtelHandler, is_async: bool) -> None:
    """Whether a graph starts a run, and which model is calling, is told by who stands on the stack."""
    model = Here(responses=["a"])

    def ask(state: MessagesState, config: RunnableConfig) -> dict[str, Any]:  # told its run on Python 3.10, too
        return {"messages": [model.invoke(state["messages"], config)]}

    graph = StateGraph(MessagesState)
    graph.add_node("ask", ask)
    graph.add_edge(START, "ask")
    made = graph.compile(name="helper")
    given: Any = {"messages": [HumanMessage("hi")]}

    if is_async:
        asyncio.run(made.ainvoke(given, {"callbacks": [handler]}))
    else:
        made.invoke(given, {"callbacks": [handler]})

    assert _names(memory) == ["ask", "chat", "invoke_workflow helper"]
    [chat] = [span for span in memory.get_finished_spans() if span.name == "chat"]
    assert (chat.attributes or {}).get("server.port") == 11434


class Slow(FakeListChatModel):
    """A model that takes its time."""

    async def _agenerate(self, *args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(10)


def test_a_model_that_is_cut_off_ends(memory: InMemorySpanExporter, handler: OtelHandler) -> None:
    """LangChain reports no end of a model whose task is cancelled; its span is ended all the same."""

    async def wait() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(Slow(responses=["a"]).ainvoke("hi", {"callbacks": [handler]}), 0.05)

    asyncio.run(wait())

    assert handler.in_flight() == []
    assert _outcomes(memory) == ["cancelled"]


class Refusing(BaseCallbackHandler):
    """A handler of somebody else's that lets no chain start."""

    raise_error = True
    run_inline = True

    def on_chain_start(self, *args: Any, **kwargs: Any) -> None:
        """Refuse."""
        raise PermissionError


@pytest.mark.parametrize("is_async", [False, True])
def test_a_start_that_another_handler_breaks_off_ends(
    memory: InMemorySpanExporter, handler: OtelHandler, is_async: bool
) -> None:
    """It is over when the manager that reported it is gone, which is found behind what wraps it."""
    config: RunnableConfig = {"callbacks": [handler, Refusing()]}
    chain = PromptTemplate.from_template("{x}") | Here(responses=["a"])

    def call() -> None:
        if is_async:
            asyncio.run(chain.ainvoke({"x": 1}, config))
        else:
            chain.invoke({"x": 1}, config)

    with pytest.raises(PermissionError):
        call()

    gc.collect()
    assert handler.in_flight() == []
    assert _outcomes(memory) == ["abandoned"]
