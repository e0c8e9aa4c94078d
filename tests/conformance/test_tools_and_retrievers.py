"""Tools, retrievers, agents, and models inside them and inside each other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, ParamSpec, TypeVar

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.callbacks import AsyncCallbackManager, CallbackManager, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, ToolCall
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda, RunnablePassthrough
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from typing_extensions import override

from ._bench import Bench
from ._modes import ASYNC, CALLS, SYNC_ASYNC, Mode, modes
from ._stage import Stage
from ._trees import label
from .test_chains import PROMPT, both

P = ParamSpec("P")
T = TypeVar("T")


def asks_for(*tools: str) -> AIMessage:
    """Return an answer that asks for these tools."""
    calls = [ToolCall(name=name, args={"q": str(i)}, id=f"call-{i}") for i, name in enumerate(tools)]
    return AIMessage("", tool_calls=calls)


HELLO = {"messages": [("human", "hi")]}


@pytest.mark.parametrize("sync_only", [False, True], ids=["both-forms", "sync-only"])
@modes(SYNC_ASYNC)
def test_tool_called_directly(bench: Bench, mode: Mode, sync_only: bool) -> None:
    """A tool is a root when it is called directly, in a thread or not."""

    def scenario(stage: Stage) -> Any:
        return mode.run(stage.tool(sync_only=sync_only), {"q": "x"}, stage.config)

    bench.check(
        scenario,
        """
        tool:lookup
          native:tool:lookup
        """,
    )


@modes(SYNC_ASYNC)
def test_failing_tool(bench: Bench, mode: Mode) -> None:
    """A tool that raises ends with its error."""

    def scenario(stage: Stage) -> Any:
        def fail(q: str) -> None:
            raise LookupError(q)

        return mode.run(stage.tool(inside=fail), {"q": "x"}, stage.config)

    bench.check(
        scenario,
        """
        tool:lookup
          native:tool:lookup
        """,
        fails="LookupError",
    )


@modes(SYNC_ASYNC)
def test_retriever_called_directly(bench: Bench, mode: Mode) -> None:
    """A retriever is a root when it is called directly."""

    def scenario(stage: Stage) -> Any:
        return mode.run(stage.retriever(), "x", stage.config)

    bench.check(
        scenario,
        """
        retriever:docs
          native:retriever:docs
        """,
    )


@modes(SYNC_ASYNC)
def test_failing_retriever(bench: Bench, mode: Mode) -> None:
    """A retriever that raises ends with its error, and a later one does not hang below it."""

    def scenario(stage: Stage) -> Any:
        broken = stage.retriever("broken", LookupError("gone"))
        return mode.run(broken.with_fallbacks([stage.retriever("docs")]), "x", stage.config)

    bench.check(
        scenario,
        """
        chain:RunnableWithFallbacks
          retriever:broken
            native:retriever:broken
          retriever:docs
            native:retriever:docs
        """,
        # LangChain reports the two as roots beside it (runnables/fallbacks.py hands them the
        # outer config). They were called once, in one body: that is one trace.
        without="R",
    )


@modes(CALLS)
def test_retrieval_chain(bench: Bench, mode: Mode) -> None:
    """A retriever beside a passed-on question, a prompt and a model keep to their places."""

    def scenario(stage: Stage) -> Any:
        found = {"found": stage.retriever(), "word": RunnablePassthrough()}
        return mode.run(found | PROMPT | stage.model(), "x", stage.config)

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          chain:RunnableParallel<found,word>
            retriever:docs
              native:retriever:docs
            chain:RunnablePassthrough
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
        """,
    )


def calls_inside(stage: Stage, part: Runnable[Any, Any], given: Any) -> Runnable[Any, Any]:
    """Return a function that calls another part without any config, between two marks."""

    def run(_: Any) -> Any:
        stage.mark("native:before")
        answer = part.invoke(given)
        stage.mark("native:after")
        return answer

    async def arun(_: Any) -> Any:
        stage.mark("native:before")
        answer = await part.ainvoke(given)
        stage.mark("native:after")
        return answer

    return RunnableLambda(run, arun, name="outer")


@modes(CALLS)
def test_tool_inside_a_function(bench: Bench, mode: Mode) -> None:
    """A tool that a function calls hangs below the function."""

    def scenario(stage: Stage) -> Any:
        return mode.run(calls_inside(stage, stage.tool(), {"q": "x"}), "hi", stage.config)

    bench.check(
        scenario,
        """
        chain:outer
          native:before
          tool:lookup
            native:tool:lookup
          native:after
        """,
    )


@modes(CALLS)
def test_retriever_inside_a_function(bench: Bench, mode: Mode) -> None:
    """A retriever that a function calls hangs below the function."""

    def scenario(stage: Stage) -> Any:
        return mode.run(calls_inside(stage, stage.retriever(), "x"), "hi", stage.config)

    bench.check(
        scenario,
        """
        chain:outer
          native:before
          retriever:docs
            native:retriever:docs
          native:after
        """,
    )


def tool_around(stage: Stage, part: Runnable[Any, Any], name: str = "outer") -> BaseTool:
    """Return a tool that calls another part without any config, between two marks."""

    def run(q: str) -> str:
        """Ask someone else."""
        stage.mark("native:before")
        answer = part.invoke(q)
        stage.mark("native:after")
        return str(answer)

    async def arun(q: str) -> str:
        stage.mark("native:before")
        answer = await part.ainvoke(q)
        stage.mark("native:after")
        return str(answer)

    return StructuredTool.from_function(run, arun, name=name)


@modes(SYNC_ASYNC)
def test_tool_that_calls_a_model(bench: Bench, mode: Mode) -> None:
    """A model that a tool calls hangs below the tool, and the tool is current again afterwards."""

    def scenario(stage: Stage) -> Any:
        return mode.run(tool_around(stage, stage.model()), {"q": "x"}, stage.config)

    bench.check(
        scenario,
        """
        tool:outer
          native:before
          llm:m1
            native:model:m1
          native:after
        """,
    )


@modes(SYNC_ASYNC)
def test_tool_that_calls_a_chain_with_a_tool(bench: Bench, mode: Mode) -> None:
    """Tools, chains and models nest to any depth."""

    def scenario(stage: Stage) -> Any:
        inner = (
            stage.model("m2") | both(stage, "text", lambda m: m.text) | tool_around(stage, stage.model("m1"), "inner")
        )
        return mode.run(tool_around(stage, inner), {"q": "x"}, stage.config)

    bench.check(
        scenario,
        """
        tool:outer
          native:before
          chain:RunnableSequence
            llm:m2
              native:model:m2
            chain:text
              native:lambda:text
            tool:inner
              native:before
              llm:m1
                native:model:m1
              native:after
          native:after
        """,
    )


def below(run_manager: Any) -> RunnableConfig:
    """Return a config that makes a call a child of a model's run; models have no ``get_child``."""
    if run_manager is None:  # LangChain gives none to a streaming model
        return {}
    manager = AsyncCallbackManager if "Async" in type(run_manager).__name__ else CallbackManager
    handlers = run_manager.handlers
    return {"callbacks": manager(handlers, handlers, parent_run_id=run_manager.run_id)}


@modes(CALLS)
def test_model_that_wraps_a_model_and_tells_so(bench: Bench, mode: Mode) -> None:
    """An inner model that is given the outer's child callbacks hangs below the outer."""

    def scenario(stage: Stage) -> Any:
        inner = stage.model("inner")

        def ask(run_manager: Any) -> Any:
            return (inner.ainvoke if mode.is_async else inner.invoke)("hi", below(run_manager))

        return mode.run(PROMPT | stage.model("outer", inside=ask), {"word": "hi"}, stage.config)

    bench.check(
        scenario,
        WRAPPED_UNTOLD if "stream" in mode.name else WRAPPED_TOLD,
    )


@modes(CALLS)
def test_model_that_wraps_a_model_silently(bench: Bench, mode: Mode) -> None:
    """An inner model called without callbacks is the chain's for LangChain, beside the outer."""

    def scenario(stage: Stage) -> Any:
        inner = stage.model("inner")

        def ask(_: Any) -> Any:
            return (inner.ainvoke if mode.is_async else inner.invoke)("hi")

        return mode.run(PROMPT | stage.model("outer", inside=ask), {"word": "hi"}, stage.config)

    bench.check(scenario, WRAPPED_UNTOLD)


WRAPPED_TOLD = """
    chain:RunnableSequence
      prompt:ChatPromptTemplate
      llm:outer
        native:model:outer
        llm:inner
          native:model:inner
"""
WRAPPED_UNTOLD = """
    chain:RunnableSequence
      prompt:ChatPromptTemplate
      llm:outer
        native:model:outer
      llm:inner
        native:model:inner
"""


@pytest.mark.parametrize("sync_only", [False, True], ids=["both-forms", "sync-only"])
@modes(SYNC_ASYNC)
def test_parallel_tool_calls(bench: Bench, mode: Mode, sync_only: bool) -> None:
    """Tools that one answer asks for run at once, and each keeps its own body."""

    def scenario(stage: Stage) -> Any:
        names = ("a", "b", "c")
        tools = [stage.tool(name, sync_only=sync_only) for name in names]
        agent = create_agent(stage.model("m1", asks_for(*names), "done"), tools)
        return mode.run(agent, HELLO, stage.config)

    bench.check(
        scenario,
        """
        chain:LangGraph
          chain:model
            llm:m1
              native:model:m1
          chain:tools
            tool:a
              native:tool:a
          chain:tools
            tool:b
              native:tool:b
          chain:tools
            tool:c
              native:tool:c
          chain:model
            llm:m1
              native:model:m1
        """,
    )


@modes(SYNC_ASYNC)
def test_tool_node_with_several_calls(bench: Bench, mode: Mode) -> None:
    """A tool node that runs several calls in one node keeps them apart."""

    def scenario(stage: Stage) -> Any:
        graph = StateGraph(MessagesState)
        graph.add_node("tools", ToolNode([stage.tool(name) for name in ("a", "b", "c")]))
        graph.add_edge(START, "tools")
        return mode.run(graph.compile(), {"messages": [asks_for("a", "b", "c")]}, stage.config)

    bench.check(
        scenario,
        """
        chain:LangGraph
          chain:tools
            tool:a
              native:tool:a
            tool:b
              native:tool:b
            tool:c
              native:tool:c
        """,
    )


@pytest.mark.parametrize("again", [False, True], ids=["new-ids", "same-ids"])
@modes(CALLS)
def test_tools_link_to_the_model_call_that_asked(bench: Bench, mode: Mode, again: bool) -> None:
    """Of two turns with two calls each, every tool's span links to its own turn's model and no other (pains #45)."""
    turns = [asks_for("a", "b"), asks_for("a", "b")]
    if not again:
        for call in turns[1].tool_calls:
            call["id"] = f"later-{call['id']}"

    def scenario(stage: Stage) -> Any:
        model = stage.model("m1", *turns)

        def ask(state: MessagesState, config: RunnableConfig) -> Any:
            return {"messages": [model.invoke(state["messages"], config)]}

        async def aask(state: MessagesState, config: RunnableConfig) -> Any:
            return {"messages": [await model.ainvoke(state["messages"], config)]}

        graph = StateGraph(MessagesState)
        for turn in "12":
            asking: Any = aask if mode.is_async else ask
            graph.add_node(f"ask {turn}", asking)
            graph.add_node(f"tools {turn}", ToolNode([stage.tool("a"), stage.tool("b")]))
            graph.add_edge(f"ask {turn}", f"tools {turn}")
        graph.add_edge(START, "ask 1")
        graph.add_edge("tools 1", "ask 2")
        return mode.run(graph.compile(), HELLO, stage.config)

    both_tools = """
            tool:a
              native:tool:a
            tool:b
              native:tool:b
    """
    seen = bench.check(
        scenario,
        f"""
        chain:LangGraph
          chain:ask 1
            llm:m1
              native:model:m1
          chain:tools 1{both_tools.rstrip()}
          chain:ask 2
            llm:m1
              native:model:m1
          chain:tools 2{both_tools.rstrip()}
        """,
    )

    runs = sorted(seen.spans, key=lambda span: span.start_time or 0)
    models = [span.context.span_id for span in runs if span.context and label(span) == "llm:m1"]
    tools = [span for span in runs if label(span).startswith("tool:")]
    assert [[models.index(link.context.span_id) for link in span.links] for span in tools] == [[0], [0], [1], [1]]
    ids = {(span.attributes or {})["gen_ai.tool.call.id"] for span in tools}
    assert ids == {call["id"] for turn in turns for call in turn.tool_calls}


@modes(CALLS)
def test_agent(bench: Bench, mode: Mode) -> None:
    """An agent's turns are siblings: no turn nests in the one before."""

    def scenario(stage: Stage) -> Any:
        model = stage.model("m1", asks_for("lookup"), asks_for("lookup"), "done")
        return mode.run(create_agent(model, [stage.tool()], name="finder"), HELLO, stage.config)

    bench.check(
        scenario,
        """
        chain:finder
          chain:model  x3
            llm:m1
              native:model:m1
          chain:tools  x2
            tool:lookup
              native:tool:lookup
        """,
    )


@modes(CALLS)
def test_agent_whose_tool_is_an_agent(bench: Bench, mode: Mode) -> None:
    """A sub-agent behind a tool hangs below the tool."""

    def scenario(stage: Stage) -> Any:
        inner: Any = create_agent(stage.model("m2", asks_for("lookup"), "done"), [stage.tool()], name="inner")
        ask: Runnable[Any, Any] = RunnableLambda(lambda q: {"messages": [("human", q)]}, name="ask")
        tool = tool_around(stage, ask | inner, "delegate")
        outer = create_agent(stage.model("m1", asks_for("delegate"), "done"), [tool], name="outer")
        return mode.run(outer, HELLO, stage.config)

    bench.check(
        scenario,
        """
        chain:outer
          chain:model  x2
            llm:m1
              native:model:m1
          chain:tools
            tool:delegate
              native:before
              chain:RunnableSequence
                chain:ask
                chain:inner
                  chain:model  x2
                    llm:m2
                      native:model:m2
                  chain:tools
                    tool:lookup
                      native:tool:lookup
              native:after
        """,
    )


@modes(SYNC_ASYNC)
def test_agent_with_middleware(bench: Bench, mode: Mode) -> None:
    """What a middleware opens around and before the model call hangs below the node it runs in."""

    class Watch(AgentMiddleware):
        def __init__(self, stage: Stage) -> None:
            super().__init__()
            self.stage = stage

        def before_model(self, state: Any, runtime: Any) -> None:
            self.stage.mark("native:before_model")

        def wrap_model_call(self, request: Any, handler: Any) -> Any:
            with self.stage.native("native:around_model"):
                return handler(request)

        async def awrap_model_call(self, request: Any, handler: Any) -> Any:
            with self.stage.native("native:around_model"):
                return await handler(request)

    def scenario(stage: Stage) -> Any:
        agent = create_agent(stage.model(), [stage.tool()], middleware=[Watch(stage)])
        return mode.run(agent, HELLO, stage.config)

    bench.check(
        scenario,
        """
        chain:LangGraph
          chain:Watch.before_model
            native:before_model
          chain:model
            native:around_model
              llm:m1
                native:model:m1
        """,
    )


class BusyLoop(ThreadPoolExecutor):
    """Threads that have done their work before the event loop comes to wait for it, as beside a busy loop."""

    @override
    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future = super().submit(fn, *args, **kwargs)
        wait([future])
        return future


class Asking(BaseRetriever):
    """A retriever that knows no async and asks a chain, then another service."""

    stage: Any
    asked: Runnable[Any, Any]

    @override
    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        self.asked.invoke(query, {"callbacks": run_manager.get_child()})
        self.stage.mark("native:retriever")
        return []


@modes(ASYNC)
def test_retriever_in_a_thread_before_the_loop_waits_for_it(bench: Bench, mode: Mode) -> None:
    """A retriever that calls a chain while the event loop still executes what started it is open until its end."""

    def scenario(stage: Stage) -> Any:
        async def run() -> Any:
            asyncio.get_running_loop().set_default_executor(BusyLoop())
            retriever = Asking(name="docs", stage=stage, asked=both(stage, "asked"))
            return await mode.run(retriever | both(stage, "after"), "q", stage.config)

        return run()

    seen = bench.check(
        scenario,
        """
        chain:RunnableSequence
          retriever:docs
            chain:asked
              native:lambda:asked
            native:retriever
          chain:after
            native:lambda:after
        """,
    )
    assert seen.attributes("retriever:docs", "chainspan.run.outcome") == [None]
