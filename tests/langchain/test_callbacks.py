"""LangChain's callbacks: all of them are known, and none of them can do harm."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import json
import logging
import sys
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from langchain_core.callbacks import BaseCallbackHandler, dispatch_custom_event
from langchain_core.callbacks.base import CallbackManagerMixin
from langchain_core.language_models.llms import LLM
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.callbacks import GraphCallbackHandler
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphInterrupt
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt
from tests._traces import Traces, traces

from chainspan import OtelHandler, _guard, _handlers
from chainspan.langchain import CallbackAdapter

__all__ = ["traces"]


@pytest.fixture
def handler(traces: Traces) -> OtelHandler:
    """Return a handler that records everything."""
    return OtelHandler(tracer_provider=traces.provider, content=True)


@pytest.fixture
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Swallow faults as in an application, and forget those of other tests."""
    monkeypatch.delenv("CHAINSPAN_STRICT")
    monkeypatch.setattr(_guard, "_faults", {})


def callbacks_of(kind: type) -> set[str]:
    """Return the names of a handler class's callbacks."""
    return {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if name.startswith("on_")}


def test_every_callback_is_handled() -> None:
    """A callback that LangChain or LangGraph adds is either handled here or declined by name."""
    declined: set[str] = set()

    offered = (
        callbacks_of(BaseCallbackHandler) | callbacks_of(GraphCallbackHandler) | callbacks_of(CallbackManagerMixin)
    )

    assert offered - declined == {name for name in vars(CallbackAdapter) if name.startswith("on_")}


def test_metadata_stays_the_object_that_it_is(handler: OtelHandler) -> None:
    """Runs that are started together are told by it, and langchain-core before 1.5 gives text models an empty one."""
    given: dict[str, Any] = {}
    run_id = uuid4()

    handler.on_llm_start({}, ["a"], run_id=run_id, metadata=given)

    start = handler._sink.peek(run_id)
    handler.on_llm_end(LLMResult(generations=[]), run_id=run_id)
    assert start is not None
    assert start.metadata is given


@pytest.mark.parametrize("kind", ["chain", "llm", "tool", "retriever"])
def test_each_start_has_an_end_and_an_error(kind: str) -> None:
    """Whatever can start can end and fail (pains #59)."""
    assert callable(getattr(CallbackAdapter, f"on_{kind}_end"))
    assert callable(getattr(CallbackAdapter, f"on_{kind}_error"))


STARTS: dict[str, Callable[[OtelHandler, UUID], None]] = {
    "chain": lambda handler, run: handler.on_chain_start(None, {"x": 1}, run_id=run, name="c"),
    "chat": lambda handler, run: handler.on_chat_model_start({}, [[HumanMessage("hi")]], run_id=run, name="m"),
    "llm": lambda handler, run: handler.on_llm_start({}, ["hi"], run_id=run, name="m"),
    "tool": lambda handler, run: handler.on_tool_start({"name": "t"}, "x", run_id=run),
    "retriever": lambda handler, run: handler.on_retriever_start({}, "q", run_id=run, name="r"),
}
ERRORS = {"chain": "chain", "chat": "llm", "llm": "llm", "tool": "tool", "retriever": "retriever"}


@pytest.mark.parametrize(
    ("error", "status", "outcome"),
    [
        (ValueError("broken"), "ERROR", "error"),
        (KeyboardInterrupt(), "ERROR", "error"),
        (asyncio.CancelledError(), "UNSET", "cancelled"),
        (GeneratorExit(), "UNSET", "abandoned"),
        (GraphInterrupt(()), "UNSET", "interrupted"),
        (type("GraphInterrupt", (Exception,), {})("only the name"), "ERROR", "error"),
        ("only a text", "ERROR", "error"),
    ],
    ids=["error", "keyboard-interrupt", "cancelled", "closed-stream", "interrupt", "namesake", "text"],
)
@pytest.mark.parametrize("kind", STARTS)
def test_outcome_of_a_failure(
    kind: str, error: object, status: str, outcome: str, handler: OtelHandler, traces: Traces
) -> None:
    """What left the run decides whether it failed; an interrupt is no error (pains #2, #16)."""
    run = uuid4()
    STARTS[kind](handler, run)

    getattr(handler, f"on_{ERRORS[kind]}_error")(error, run_id=run)

    (span,) = traces.spans
    assert span.status.status_code.name == status
    assert (span.attributes or {})["chainspan.run.outcome"] == outcome
    assert [event.name for event in span.events] == (["exception"] if status == "ERROR" else [])


def test_outcome_of_a_killed_greenlet(handler: OtelHandler, traces: Traces) -> None:
    """A server of gevent's that gives a request up kills its greenlet; that is no error of the chain's (pains #16)."""
    gevent = pytest.importorskip("gevent", reason="gevent is of the group `test`")
    steps = RunnableLambda(lambda x: x).with_config(run_name="first") | RunnableLambda(lambda _: gevent.sleep(60))

    request = gevent.spawn(steps.invoke, 1, {"callbacks": [handler], "run_name": "chain"})
    gevent.sleep(0)
    request.kill()

    said = {span.name: (span.attributes or {}).get("chainspan.run.outcome") for span in traces.spans}
    assert said == {"first": None, "RunnableLambda": "cancelled", "chain": "cancelled"}
    assert {span.status.status_code.name for span in traces.spans} == {"UNSET"}


@pytest.mark.parametrize("name", ["StopException", "RerunException"])
def test_outcome_of_a_stopped_script(
    name: str, handler: OtelHandler, traces: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streamlit ends a script that shows what a chain does, when a page is closed or a button pressed (pains #16)."""
    stop: type[BaseException] = type(name, (BaseException,), {})
    monkeypatch.setitem(sys.modules, "streamlit.runtime.scriptrunner", SimpleNamespace(**{name: stop}))

    def show(_: int) -> None:
        raise stop

    with pytest.raises(stop):
        (RunnableLambda(lambda x: x) | RunnableLambda(show)).invoke(1, {"callbacks": [handler], "run_name": "chain"})

    said = {span.name: (span.attributes or {}).get("chainspan.run.outcome") for span in traces.spans}
    assert (said["show"], said["chain"]) == ("cancelled", "cancelled")
    assert {span.status.status_code.name for span in traces.spans} == {"UNSET"}


RUBBISH: list[tuple[str, Callable[[OtelHandler], None]]] = [
    ("id", lambda handler: handler.on_chain_start(None, {}, run_id="no uuid")),
    ("no-id", lambda handler: handler.on_chain_end({}, run_id=None)),
    ("token", lambda handler: handler.on_llm_new_token("x", run_id=None)),
    ("messages", lambda handler: handler.on_chat_model_start(7, object(), run_id=uuid4())),
    ("prompts", lambda handler: handler.on_llm_start(None, None, run_id=uuid4(), invocation_params=3)),
    ("tool", lambda handler: handler.on_tool_start(None, None, run_id=uuid4(), inputs=object())),
    ("tags", lambda handler: handler.on_chain_start([], [], run_id=uuid4(), tags=7, metadata="x", name=9)),
    ("unknown-end", lambda handler: handler.on_llm_end(LLMResult(generations=[]), run_id=uuid4())),
    ("unknown-error", lambda handler: handler.on_tool_error(ValueError(), run_id=uuid4())),
    ("event", lambda handler: handler.on_custom_event("e", object(), run_id=uuid4())),
    ("interrupt", lambda handler: handler.on_interrupt(None)),
]


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize("call", [call for _, call in RUBBISH], ids=[name for name, _ in RUBBISH])
def test_rubbish_raises_nothing_and_is_logged_once(
    call: Callable[[OtelHandler], None], handler: OtelHandler, caplog: pytest.LogCaptureFixture
) -> None:
    """A callback fed with what it cannot read does no harm and says so at most once (pains #40, #62)."""
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            contextvars.copy_context().run(call, handler)  # some start a run, which nobody will end

    assert len(caplog.records) <= 1


@pytest.mark.usefixtures("lenient")
def test_fault_in_reading_an_end_still_ends_the_span(handler: OtelHandler, traces: Traces) -> None:
    """A payload that raises when it is read costs its attributes, and not the span (pains #60)."""

    class Hostile:
        @property
        def generations(self) -> Any:
            raise RuntimeError("not yours")

    run = uuid4()
    handler.on_llm_start({}, ["hi"], run_id=run, name="m")

    handler.on_llm_end(Hostile(), run_id=run)

    assert [span.name for span in traces.spans] == ["m"]
    assert handler.in_flight() == []


def test_handler_bound_and_passed_gives_one_tree(handler: OtelHandler, traces: Traces) -> None:
    """LangChain reports a root twice to a handler that is bound and passed; it is one run (pains #34)."""
    chain = RunnableLambda(lambda x: x).with_config(run_name="step", callbacks=[handler])

    chain.invoke("x", config={"callbacks": [handler, OtelHandler(tracer_provider=traces.provider)]})

    assert traces.tree == "step"


def test_events_inside_a_run_stand_on_its_span(handler: OtelHandler, traces: Traces) -> None:
    """Texts, retries, actions and custom events become span events with their data (pains #67)."""
    run = uuid4()
    handler.on_chain_start(None, {}, run_id=run, name="c")

    handler.on_text("some text", run_id=run)
    handler.on_custom_event("progress", {"done": 3}, run_id=run)
    handler.on_chain_end({}, run_id=run)

    (span,) = traces.spans
    assert [(event.name, dict(event.attributes or {})) for event in span.events] == [
        ("text", {"data": '"some text"'}),
        ("progress", {"data": '{"done":3}'}),
    ]


def test_several_handlers_tell_of_an_event_once(handler: OtelHandler, traces: Traces) -> None:
    """What LangChain and LangGraph tell each handler of a pipeline, and one that is bound and passed twice, is once."""

    def ask(state: dict[str, Any]) -> dict[str, Any]:
        for _ in range(2):
            dispatch_custom_event("progress", "half")
        interrupt("may I?")
        return state

    graph: Any = StateGraph(dict)
    graph.add_node("ask", ask)
    graph.add_edge(START, "ask")
    asking: Any = graph.compile(checkpointer=InMemorySaver()).with_config(callbacks=[handler])
    other = OtelHandler(tracer_provider=traces.provider)
    config = {"callbacks": [other, handler], "configurable": {"thread_id": "1"}}

    asking.invoke({}, config)
    asking.invoke(Command(resume="yes"), config)

    told = [(span.name, [event.name for event in span.events]) for span in traces.spans]
    assert told == [
        ("ask", ["progress", "progress"]),
        ("invoke_workflow", ["interrupt"]),
        ("ask", ["progress", "progress"]),
        ("invoke_workflow", ["resume"]),
    ]


@pytest.mark.parametrize("is_async", [False, True])
def test_handler_made_before_langgraph_is_loaded_hears_of_interrupts(
    traces: Traces, monkeypatch: pytest.MonkeyPatch, is_async: bool
) -> None:
    """LangGraph tells only handlers of a class of its own, which one that is made early cannot be of yet."""
    with monkeypatch.context() as early:
        early.setattr(_handlers, "graph_base", lambda: None)
        handler = OtelHandler(tracer_provider=traces.provider)
    graph: Any = StateGraph(dict)
    graph.add_node("ask", lambda _: {"answer": "yes"})
    graph.add_edge(START, "ask")
    asking = graph.compile(checkpointer=InMemorySaver(), interrupt_before=["ask"])
    config = {"callbacks": [handler], "configurable": {"thread_id": "1"}}

    for given in ({"word": "x"}, None):
        if is_async:
            asyncio.run(asking.ainvoke(given, config))
        else:
            asking.invoke(given, config)

    told = [(span.name, [event.name for event in span.events]) for span in traces.spans]
    assert told == [("invoke_workflow", ["interrupt"]), ("ask", []), ("invoke_workflow", ["resume"])]
    assert isinstance(handler, OtelHandler)


def test_nothing_is_kept_of_classes_that_are_gone(traces: Traces) -> None:
    """A script that is run again makes its class of handlers anew each time, and with it holds its module."""

    def made() -> weakref.ref[type]:
        class Mine(OtelHandler):
            pass

        handler = Mine(tracer_provider=traces.provider)
        graph: Any = StateGraph(dict)
        graph.add_node("ask", lambda _: {"answer": "yes"})
        graph.add_edge(START, "ask")
        graph.compile().invoke({"word": "x"}, {"callbacks": [handler]})
        assert (type(handler) is type(Mine()), isinstance(handler, GraphCallbackHandler)) == (True, True)
        return weakref.ref(Mine)

    gone = [made() for _ in range(3)]
    gc.collect()

    assert [cls() for cls in gone] == [None] * 3


@pytest.mark.parametrize(
    ("ends", "outcome"),
    [
        (lambda handler, run: handler.on_chain_end({}, run_id=run), "interrupted"),
        (lambda handler, run: handler.on_chain_error(ValueError(), run_id=run), "error"),
        (lambda handler, run: handler.on_chain_error(GeneratorExit(), run_id=run), "abandoned"),
    ],
    ids=["well", "error", "abandoned"],
)
def test_graph_that_pauses_ends_as_interrupted(
    handler: OtelHandler, traces: Traces, ends: Callable[[OtelHandler, UUID], None], outcome: str
) -> None:
    """LangGraph reports the end of a graph that waits for a human as a good one; what ends otherwise does so (#2)."""
    run = uuid4()
    handler.on_chain_start(None, {}, run_id=run, name="graph")

    handler.on_interrupt(SimpleNamespace(run_id=run, checkpoint_id="1", interrupts=()))
    ends(handler, run)

    assert (traces.spans[0].attributes or {})["chainspan.run.outcome"] == outcome


def test_partial_answer_of_an_abandoned_stream_is_kept(handler: OtelHandler, traces: Traces) -> None:
    """What a model had said when its stream was closed is recorded (pains #16)."""
    run = uuid4()
    handler.on_chat_model_start({}, [[HumanMessage("hi")]], run_id=run, name="m")
    partial = LLMResult(generations=[[ChatGeneration(message=AIMessage("so far"))]])

    handler.on_llm_error(GeneratorExit(), run_id=run, response=partial)

    assert "so far" in str((traces.spans[0].attributes or {})["gen_ai.output.messages"])


class Shouting(LLM):
    """A text model that answers in capitals."""

    @property
    def _llm_type(self) -> str:
        return "shouting"

    def _call(self, prompt: str, *args: Any, **kwargs: Any) -> str:
        return prompt.upper()


@pytest.mark.parametrize("in_batch", [True, False], ids=["batch", "abatch"])
def test_no_run_of_a_batch_is_taken_for_over_when_the_next_one_starts(
    handler: OtelHandler, traces: Traces, in_batch: bool
) -> None:
    """A text model starts a run for each prompt of a batch first; each ends with its own answer."""
    config: RunnableConfig = {"callbacks": [handler]}

    if in_batch:
        Shouting().batch(["a", "b", "c"], config)
    else:
        asyncio.run(Shouting().abatch(["a", "b", "c"], config))

    said = [dict(span.attributes or {}) for span in traces.spans]
    answers = sorted(json.loads(str(each["gen_ai.output.messages"]))[0]["parts"][0]["content"] for each in said)
    assert answers == ["A", "B", "C"]
    assert not any("chainspan.run.outcome" in each for each in said)
