"""What a model does while its stream is closed is its own, though the chain around it has ended by then."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import aclosing, nullcontext
from contextvars import copy_context
from typing import Any, cast

import pytest
from langchain_core.runnables import RunnableGenerator, RunnableLambda
from opentelemetry import trace

from ._bench import Bench
from ._fakes import FakeChat
from ._stage import Stage
from .test_chains import PARSER, PROMPT, WORD
from .test_streams import sequence

Leave = Callable[[Iterator[Any]], None]


def _break(stream: Iterator[Any]) -> None:
    for _ in stream:
        break


def _close(stream: Iterator[Any]) -> None:
    next(stream)
    cast("Any", stream).close()


leaves = pytest.mark.parametrize("leave", [_break, _close], ids=lambda leave: leave.__name__)

DRAINED = """
    chain:RunnableSequence{times}
      prompt:ChatPromptTemplate
      llm:m1
        native:model:m1
        native:second
      parser:StrOutputParser
"""


def drained(stage: Stage) -> Any:
    """Return a chain whose model makes a request midway: LangChain pulls the rest of what is left early."""
    return PROMPT | stage.model(midway=lambda _: stage.mark("native:second")) | PARSER


@leaves
def test_model_drained_after_its_chain(bench: Bench, leave: Leave) -> None:
    """LangChain reports the chain's end, then pulls the rest from the model, which is open still."""

    def scenario(stage: Stage) -> None:
        before = trace.get_current_span()
        leave(drained(stage).stream(WORD, stage.config))
        assert trace.get_current_span() == before
        stage.mark("native:afterwards")

    bench.check(scenario, DRAINED.format(times="") + "\n    native:afterwards")


@leaves
def test_models_drained_one_after_the_other(bench: Bench, leave: Leave) -> None:
    """Nothing of a stream that was left stays for the next one, inside a span of the consumer's too."""

    def scenario(stage: Stage) -> None:
        for index in range(4):
            with nullcontext() if index % 2 else stage.native("native:request"):
                leave(drained(stage).stream(WORD, stage.config))

    below = "\n".join(f"  {line}" for line in DRAINED.format(times="").splitlines())
    bench.check(scenario, DRAINED.format(times="  x2") + f"\n    native:request  x2\n{below}")


@leaves
def test_model_drained_inside_a_body(bench: Bench, leave: Leave) -> None:
    """A body that leaves a nested stream goes on in its own run."""

    def scenario(stage: Stage) -> None:
        def run(word: Any) -> None:
            leave(drained(stage).stream(word))
            stage.mark("native:outer")

        RunnableLambda(run, name="outer").invoke(WORD, stage.config)

    bench.check(
        scenario,
        """
        chain:outer
          chain:RunnableSequence
            prompt:ChatPromptTemplate
            llm:m1
              native:model:m1
              native:second
            parser:StrOutputParser
          native:outer
        """,
    )


@leaves
def test_model_drained_deep_inside(bench: Bench, leave: Leave) -> None:
    """So it is where a function streams the chain on: its run ends first, then the chain's, then the model's."""

    def scenario(stage: Stage) -> None:
        def passing(given: Iterator[Any]) -> Iterator[Any]:
            for one in given:
                for chunk in drained(stage).stream(one):  # noqa: UP028 - `yield from` closes the chain first
                    yield chunk

        leave(RunnableGenerator(passing, name="passing").stream(WORD, stage.config))
        stage.mark("native:afterwards")

    bench.check(
        scenario,
        """
        chain:passing
          chain:RunnableSequence
            prompt:ChatPromptTemplate
            llm:m1
              native:model:m1
              native:second
            parser:StrOutputParser
        native:afterwards
        """,
    )


def test_request_while_a_stream_is_closed(bench: Bench) -> None:
    """What a model requests as its stream is closed, to cancel its answer for instance, hangs below it."""

    def scenario(stage: Stage) -> None:
        class Cancelling(FakeChat):
            def _stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
                try:
                    yield from super()._stream(*args, **kwargs)
                finally:
                    stage.mark("native:cancel")

        model = Cancelling(name="m1", native=stage.native)
        _close((PROMPT | model | PARSER).stream(WORD, stage.config))
        stage.mark("native:afterwards")

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
            native:cancel
          parser:StrOutputParser
        native:afterwards
        """,
    )


def test_async_stream_closed(bench: Bench) -> None:
    """LangChain closes an asynchronous stream's steps without draining them, and the current span is as before."""

    async def scenario(stage: Stage) -> None:
        before = trace.get_current_span()
        async with aclosing(cast("Any", drained(stage).astream(WORD, stage.config))) as stream:
            await anext(stream)
        assert trace.get_current_span() == before
        stage.mark("native:afterwards")

    bench.check(scenario, DRAINED.format(times="").replace("native:second", "") + "\n    native:afterwards")


@pytest.mark.parametrize("name", ["model", "sequence"])
def test_the_collector_changes_no_context(name: str) -> None:
    """Where it closes streams, it may do so in the midst of a change of the context, which another would break."""
    stage = Stage()
    runnable: Any = stage.model() if name == "model" else sequence(stage)
    held: list[Any] = [runnable.stream("hi" if name == "model" else WORD, stage.config)]
    held.append(held)
    next(held[0])
    before = dict(copy_context().items())

    del held
    gc.collect()

    assert not stage.ledger.faults()
    assert {variable: id(value) for variable, value in copy_context().items()} == {
        variable: id(value) for variable, value in before.items()
    }
