"""Code that looks at the current span: what it holds is a span like any other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.graph import START, StateGraph
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import INVALID_SPAN, Link, SpanKind, Status, StatusCode

from chainspan import current_span

from ._bench import Bench, Observation
from ._modes import CALLS, SYNC_ASYNC, Mode, modes
from ._python310 import handed_on
from ._stage import Stage, span_of
from ._trees import RUN_NAME
from .test_graphs import EMPTY, State

Look = Callable[[Stage, trace.Span], Any]

BODIES = {
    "chain": ("chain:body", ""),
    "tool": ("tool:lookup", "native:tool:lookup"),
    "retriever": ("retriever:docs", "native:retriever:docs"),
    "model": ("llm:m1", "native:model:m1"),
}


def looking(stage: Stage, body: str, look: Callable[[], Any]) -> tuple[Any, Any]:
    """Return a part whose body does a piece of work, and what to call it with."""
    if body == "chain":

        def run(given: Any) -> Any:
            look()
            return given

        async def arun(given: Any) -> Any:
            await asyncio.sleep(0)
            return run(given)

        return RunnableLambda(run, arun, name="body"), "hi"
    parts: dict[str, Any] = {"tool": stage.tool, "retriever": stage.retriever, "model": stage.model}
    return parts[body](inside=lambda _: look() and None), {"q": "x"} if body == "tool" else "x"


def check_in_bodies(bench: Bench, mode: Mode, body: str, look: Callable[[Stage], Any]) -> Observation:
    """Play a look at the current span in a body; the look asserts what it sees."""

    def scenario(stage: Stage) -> Any:
        looks: list[Any] = []

        def once() -> None:
            if stage.watched:
                looks.append(True)
                look(stage)

        part, given = looking(stage, body, once)

        async def acall() -> Any:
            answer = await mode.run(part, given, stage.config)
            assert looks == [True] * stage.watched
            return answer

        if mode.is_async:
            return acall()
        answer = mode.run(part, given, stage.config)
        assert looks == [True] * stage.watched
        return answer

    root, inner = BODIES[body]
    return bench.check(scenario, f"{root}\n  {inner}" if inner else root)


every_body = pytest.mark.parametrize("body", list(BODIES))


@every_body
@modes(SYNC_ASYNC)
def test_is_a_span(bench: Bench, mode: Mode, body: str) -> None:
    """It is a recording span by type, and a readable one, as the SDK's is."""

    def look(_: Stage) -> None:
        span = trace.get_current_span()
        assert isinstance(span, trace.Span)
        assert isinstance(span, ReadableSpan)
        assert span.is_recording()
        assert bool(span)

    check_in_bodies(bench, mode, body, look)


@every_body
@modes(SYNC_ASYNC)
def test_compares_as_a_span(bench: Bench, mode: Mode, body: str) -> None:
    """It equals itself, is asked for again and again, and is found in a set; others it does not equal."""

    def look(stage: Stage) -> None:
        span, again = trace.get_current_span(), trace.get_current_span()
        assert span == again
        assert hash(span) == hash(again)
        assert {span: "found"}[again] == "found"
        assert span != INVALID_SPAN
        with stage.tracer.start_as_current_span("ambient") as other:
            assert trace.get_current_span() is other
            assert trace.get_current_span() != span
        assert trace.get_current_span() == span
        assert current_span() == span

    def scenario_tree_has_no_place_for_the_other_span(stage: Stage) -> None:
        look(Stage())  # of another provider, so that it does not show in the tree
        assert stage.watched

    check_in_bodies(bench, mode, body, scenario_tree_has_no_place_for_the_other_span)


@every_body
@modes(SYNC_ASYNC)
def test_has_an_identity(bench: Bench, mode: Mode, body: str) -> None:
    """Its ids are those of the run's span, which is exported under them."""
    identities: list[trace.SpanContext] = []

    def look(_: Stage) -> None:
        identities.append(trace.get_current_span().get_span_context())

    seen = check_in_bodies(bench, mode, body, look)

    assert identities[-1] in [span.context for span in seen.spans]
    assert identities[-1].is_valid
    assert not identities[-1].is_remote


@every_body
@modes(SYNC_ASYNC)
def test_takes_what_a_span_takes(bench: Bench, mode: Mode, body: str) -> None:
    """What a body says of the current span is said of its run."""

    def look(_: Stage) -> None:
        span = trace.get_current_span()
        span.set_attribute("one", 1)
        span.set_attributes({"two": 2})
        span.add_event("happened", {"what": "this"})
        span.add_link(trace.SpanContext(1, 2, is_remote=False))
        span.record_exception(ValueError("seen"))
        span.set_status(Status(StatusCode.OK))
        span.update_name("renamed")

    seen = check_in_bodies(bench, mode, body, look)

    (span,) = [span for span in seen.spans if span.name == "renamed"]
    assert span.attributes is not None
    assert (span.attributes["one"], span.attributes["two"]) == (1, 2)
    assert [event.name for event in span.events] == ["happened", "exception"]
    assert Link(trace.SpanContext(1, 2, is_remote=False)).context in [link.context for link in span.links]
    assert span.status.status_code is StatusCode.OK


@every_body
@modes(SYNC_ASYNC)
def test_has_what_an_sdk_span_has(bench: Bench, mode: Mode, body: str) -> None:
    """Code that reads an SDK span's attributes, its kind, its parent or its times finds them."""

    def look(_: Stage) -> None:
        span: Any = trace.get_current_span()
        assert isinstance(span.name, str)
        assert span.attributes[RUN_NAME] == BODIES[body][0].partition(":")[2]
        assert span.kind in {SpanKind.INTERNAL, SpanKind.CLIENT}
        assert isinstance(span.start_time, int)
        assert span.end_time is None
        assert span.context.is_valid
        assert span.resource is not None
        assert span.instrumentation_scope.name == "chainspan"
        assert not hasattr(span, "no_such_thing")

    check_in_bodies(bench, mode, body, look)


@every_body
@modes(SYNC_ASYNC)
def test_kept_beyond_its_run(bench: Bench, mode: Mode, body: str) -> None:
    """A body's span that somebody keeps stays that span: it ends, and answers for nobody else."""
    kept: list[tuple[trace.Span, trace.SpanContext]] = []

    def look(_: Stage) -> None:
        span = trace.get_current_span()
        kept.append((span, span.get_span_context()))

    check_in_bodies(bench, mode, body, look)

    span, identity = kept[-1]
    assert span.get_span_context() == identity
    assert not span.is_recording()


@every_body
@modes(SYNC_ASYNC)
def test_made_current_again(bench: Bench, mode: Mode, body: str) -> None:
    """``use_span`` and a context made by hand hold it as they hold any span."""

    def look(_: Stage) -> None:
        span = trace.get_current_span()
        with trace.use_span(span, end_on_exit=False):
            assert trace.get_current_span() == span
        elsewhere = trace.set_span_in_context(span, otel_context.Context())
        assert trace.get_current_span(elsewhere).get_span_context() == span.get_span_context()
        assert trace.get_current_span() == span

    check_in_bodies(bench, mode, body, look)


@every_body
@modes(SYNC_ASYNC)
def test_not_ended_by_others(bench: Bench, mode: Mode, body: str) -> None:
    """The context that holds it can be attached and detached, and the span is as it was."""

    def look(_: Stage) -> None:
        here = otel_context.get_current()
        before = trace.get_current_span(here)
        token = otel_context.attach(here)
        assert trace.get_current_span() == before
        otel_context.detach(token)
        assert trace.get_current_span() == before
        assert trace.get_current_span(otel_context.set_value("key", "value")) == before

    check_in_bodies(bench, mode, body, look)


def test_outside_every_body(bench: Bench) -> None:
    """Outside it is what it is without us."""

    async def scenario(stage: Stage) -> Any:
        before = trace.get_current_span()
        await stage.model().ainvoke("hi", stage.config)
        after = trace.get_current_span()
        assert after.get_span_context() == before.get_span_context()
        assert after.is_recording() == before.is_recording()
        assert (after == INVALID_SPAN) == (before == INVALID_SPAN)

    bench.check(
        scenario,
        """
        llm:m1
          native:model:m1
        """,
    )


@modes(SYNC_ASYNC)
def test_span_of_a_config(bench: Bench, mode: Mode) -> None:
    """``span_of`` names the run that a config was handed to, even inside a span of the user's own."""

    def scenario(stage: Stage) -> Any:
        def run(given: Any, config: Any) -> Any:
            outer = trace.get_current_span()
            with stage.native("native:user"):
                assert span_of(config) == (outer if stage.watched else INVALID_SPAN)
            return given

        async def arun(given: Any, config: Any) -> Any:
            await asyncio.sleep(0)
            return run(given, config)

        step: Any = RunnableLambda(arun if mode.is_async else run, name="body")
        return mode.run(step, "hi", stage.config)

    bench.check(
        scenario,
        """
        chain:body
          native:user
        """,
    )


@modes(CALLS)
def test_attribute_lands_on_the_step(bench: Bench, mode: Mode) -> None:
    """What a node, a tool and a model say of the current span, streaming or not, is said of that step (pains #51)."""

    def say(*_: Any) -> None:
        span: Any = current_span()
        span.set_attribute("said", getattr(span, "attributes", {}).get(RUN_NAME))

    def scenario(stage: Stage) -> Any:
        tool = stage.tool(inside=say)
        model = stage.model(inside=say, midway=lambda _: current_span().set_attribute("said.later", True))

        def node(_: State, config: RunnableConfig) -> dict[str, list[str]]:
            say()
            tool.invoke({"q": "x"})
            answer = "".join(chunk.text for chunk in model.stream("hi"))
            span_of(config).set_attribute("said.of", "node")
            return {"log": [answer]}

        async def anode(_: State, config: RunnableConfig) -> dict[str, list[str]]:
            say()
            await tool.ainvoke({"q": "x"}, handed_on(config))
            answer = "".join([chunk.text async for chunk in model.astream("hi", handed_on(config))])
            span_of(config).set_attribute("said.of", "node")
            return {"log": [answer]}

        graph = StateGraph(State)
        step: Any = anode if mode.is_async else node
        graph.add_node("node", step)
        graph.add_edge(START, "node")
        return mode.run(graph.compile(), EMPTY, stage.config)

    seen = bench.check(
        scenario,
        """
        chain:LangGraph
          chain:node
            tool:lookup
              native:tool:lookup
            llm:m1
              native:model:m1
        """,
    )

    attributes = [span.attributes or {} for span in seen.spans]
    runs = {str(of[RUN_NAME]): of for of in attributes if RUN_NAME in of}
    assert {name: {key: of[key] for key in of if key.startswith("said")} for name, of in runs.items()} == {
        "LangGraph": {},
        "node": {"said": "node", "said.of": "node"},
        "lookup": {"said": "lookup"},
        "m1": {"said": "m1", "said.later": True},
    }
