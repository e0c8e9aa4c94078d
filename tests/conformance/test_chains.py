"""Chains: sequences, parallels, functions, branches, retries, fallbacks, histories."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.language_models import LLM
from langchain_core.output_parsers import BaseOutputParser, StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder, PromptTemplate
from langchain_core.runnables import (
    Runnable,
    RunnableBranch,
    RunnableConfig,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    chain,
)
from langchain_core.runnables.history import RunnableWithMessageHistory
from typing_extensions import override

from chainspan import carry_context

from ._bench import Bench
from ._fakes import FakeLLM
from ._modes import ALL, CALLS, SYNC_ASYNC, Mode, modes
from ._stage import Stage

PROMPT = ChatPromptTemplate([("human", "{word}")])
PARSER = StrOutputParser()
WORD = {"word": "hi"}
ATTEMPT = "chainspan.run.attempt"
OUTCOME = "chainspan.run.outcome"


def both(stage: Stage, name: str, inside: Any = None) -> RunnableLambda[Any, Any]:
    """Return a function with a sync and an async form, which marks its body."""

    def run(given: Any) -> Any:
        stage.mark(f"native:lambda:{name}")
        return inside(given) if inside else given

    async def arun(given: Any) -> Any:
        return run(given)

    return RunnableLambda(run, afunc=arun, name=name)


@pytest.mark.filterwarnings("ignore:.*astream_log")
@modes(ALL)
def test_sequence(bench: Bench, mode: Mode) -> None:
    """The steps of a sequence are siblings, and the model's request hangs below the model."""

    def scenario(stage: Stage) -> Any:
        return mode.run(PROMPT | stage.model() | PARSER, WORD, stage.config)

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
          parser:StrOutputParser
        """,
    )


@pytest.mark.filterwarnings("ignore:.*astream_log")
@modes(ALL)
def test_bodies_of_prompts_and_parsers(bench: Bench, mode: Mode) -> None:
    """What a prompt's variable or a parser asks for hangs below it, in its own thread and in another's."""

    class Parser(BaseOutputParser[str]):
        stage: Any = None

        @override
        def parse(self, text: str) -> str:
            self.stage.mark("native:parser")
            with ThreadPoolExecutor(1) as pool:
                pool.submit(carry_context(self.stage.mark), "native:thread").result()
            return text

    def scenario(stage: Stage) -> Any:
        def last() -> str:
            stage.mark("native:prompt")
            return "!"

        prompt = ChatPromptTemplate([("human", "{word}{last}")]).partial(last=last)
        return mode.run(prompt | stage.model() | Parser(stage=stage), WORD, stage.config)

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          prompt:ChatPromptTemplate
            native:prompt
          llm:m1
            native:model:m1
          parser:Parser
            native:parser
            native:thread
        """,
    )


@modes(CALLS)
def test_sequence_with_a_model_that_knows_no_async(bench: Bench, mode: Mode) -> None:
    """A model that LangChain moves to a thread takes its run along."""

    def scenario(stage: Stage) -> Any:
        return mode.run(PROMPT | stage.sync_model() | PARSER, WORD, stage.config)

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
          parser:StrOutputParser
        """,
    )


@pytest.mark.filterwarnings("ignore:.*astream_log")
@modes(ALL)
def test_text_model(bench: Bench, mode: Mode) -> None:
    """A model that completes text is a run as a chat model is, and other handlers hear of it."""

    def scenario(stage: Stage) -> Any:
        prompt = PromptTemplate.from_template("{word}")
        return mode.run(prompt | stage.llm() | PARSER, WORD, stage.config)

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          prompt:PromptTemplate
          llm:t1
            native:llm:t1
          parser:StrOutputParser
        """,
    )


@modes(CALLS)
def test_model_alone(bench: Bench, mode: Mode) -> None:
    """A model called without any chain is a root."""

    def scenario(stage: Stage) -> Any:
        return mode.run(stage.model(), "hi", stage.config)

    bench.check(
        scenario,
        """
        llm:m1
          native:model:m1
        """,
    )


BATCH_OF_FOUR = """
    chain:RunnableSequence  x4
      prompt:ChatPromptTemplate
      llm:m1
        native:model:m1
      parser:StrOutputParser
"""


@pytest.mark.parametrize("limit", [None, 1], ids=["at-once", "one-by-one"])
@modes(SYNC_ASYNC)
def test_batch_of_four(bench: Bench, mode: Mode, limit: int | None) -> None:
    """Each item of a batch is a tree of its own, though all their roots start before one runs (pains #78)."""

    def scenario(stage: Stage) -> Any:
        sequence = PROMPT | stage.model() | PARSER
        config: Any = {**stage.config, "max_concurrency": limit}
        batch = sequence.abatch if mode.is_async else sequence.batch
        return batch([WORD] * 4, config)

    bench.check(scenario, BATCH_OF_FOUR)


@pytest.mark.parametrize("limit", [None, 1], ids=["at-once", "one-by-one"])
def test_batch_of_a_step_that_reports_no_run(bench: Bench, limit: int | None) -> None:
    """What such a step opens for an item is below that item's run, whose config the step was given."""

    class Step(Runnable[Any, Any]):
        def __init__(self, stage: Stage) -> None:
            self.stage = stage

        @override
        def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
            self.stage.mark("native:step")
            return input

    def scenario(stage: Stage) -> Any:
        config: Any = {**stage.config, "max_concurrency": limit}
        return (PROMPT | Step(stage) | stage.model()).batch([WORD] * 4, config)

    bench.check(
        scenario,
        """
        chain:RunnableSequence  x4
          prompt:ChatPromptTemplate
          native:step
          llm:m1
            native:model:m1
        """,
    )


@pytest.mark.parametrize("limit", [None, 1], ids=["at-once", "one-by-one"])
@modes(SYNC_ASYNC)
def test_batch_of_a_text_model(bench: Bench, mode: Mode, limit: int | None) -> None:
    """A text model gets all prompts of a batch in one call; what it does for each hangs below that one's run."""

    def scenario(stage: Stage) -> Any:
        sequence = PromptTemplate.from_template("{word}") | stage.llm() | PARSER
        config: Any = {**stage.config, "max_concurrency": limit}
        batch = sequence.abatch if mode.is_async else sequence.batch
        return batch([WORD] * 3, config)

    bench.check(
        scenario,
        """
        chain:RunnableSequence  x3
          prompt:PromptTemplate
          llm:t1
            native:llm:t1
          parser:StrOutputParser
        """,
    )


@modes(SYNC_ASYNC)
def test_generate_of_several_prompts(bench: Bench, mode: Mode) -> None:
    """So it is where a text model is called with several prompts directly."""

    def scenario(stage: Stage) -> Any:
        model = stage.llm()
        generate = model.agenerate if mode.is_async else model.generate
        return generate(["one", "two"], callbacks=stage.config["callbacks"])

    bench.check(
        scenario,
        """
        llm:t1  x2
          native:llm:t1
        """,
    )


@pytest.mark.usefixtures("long_turns")
@modes(SYNC_ASYNC)
def test_generate_by_a_text_model_without_async(bench: Bench, mode: Mode) -> None:
    """So it is where LangChain has threads call the model, which are handed the first prompt's manager each time."""

    def scenario(stage: Stage) -> Any:
        model = stage.sync_llm()
        generate = model.agenerate if mode.is_async else model.generate
        return generate(["one", "two", "three"], callbacks=stage.config["callbacks"])

    bench.check(
        scenario,
        """
        llm:t1  x3
          native:llm:t1
        """,
    )


def test_threads_that_start_at_once(bench: Bench) -> None:
    """And so it is where the thread begins before the task that gave it the work has come to wait for it."""

    class AtOnce(ThreadPoolExecutor):
        @override
        def _adjust_thread_count(self) -> None:
            super()._adjust_thread_count()
            time.sleep(0.005)

    async def scenario(stage: Stage) -> Any:
        class Text(FakeLLM):
            _acall = LLM._acall

        asyncio.get_running_loop().set_default_executor(AtOnce())
        await Text(name="t1", native=stage.native).agenerate(["one", "two", "three"], callbacks=stage.callbacks)
        models = {name: stage.sync_model(name, midway=lambda _: stage.mark("native:second")) for name in "ab"}
        return sorted([repr(chunk) async for chunk in RunnableParallel(models).astream("hi", stage.config)])

    bench.check(
        scenario,
        """
        llm:t1  x3
          native:llm:t1
        chain:RunnableParallel<a,b>
          llm:a
            native:model:a
            native:second
          llm:b
            native:model:b
            native:second
        """,
    )


@modes(SYNC_ASYNC)
def test_batch_by_a_text_model_without_async_in_a_function(bench: Bench, mode: Mode) -> None:
    """And so it is where the body of another run calls it."""

    def scenario(stage: Stage) -> Any:
        model = stage.sync_llm()

        def function(words: list[Any]) -> list[str]:
            return model.batch(words)

        async def afunction(words: list[Any]) -> list[str]:
            return await model.abatch(words)

        return mode.run(RunnableLambda(function, afunction, name="function"), ["one", "two", "three"], stage.config)

    bench.check(
        scenario,
        """
        chain:function
          llm:t1  x3
            native:llm:t1
        """,
    )


@pytest.mark.usefixtures("long_turns")
@pytest.mark.parametrize("hurries", [True, False])
@pytest.mark.parametrize("kind", ["llm:t1", "llm:m1"])
def test_generate_whose_bodies_use_threads(bench: Bench, kind: str, *, hurries: bool) -> None:
    """What a model has a thread or a task do for one of several prompts hangs below that one's run.

    Also where the thread is new, and does it before the task comes to wait.
    """

    def scenario(stage: Stage) -> Any:
        def in_thread() -> None:
            if not hurries:
                time.sleep(0.02)  # in which the task comes to wait
            stage.mark("native:thread")

        async def in_task() -> None:
            stage.mark("native:task")

        async def inside(_: object) -> None:
            with ThreadPoolExecutor(1) as pool:
                await asyncio.get_running_loop().run_in_executor(pool, copy_context().run, in_thread)
            await asyncio.create_task(in_task())

        if kind == "llm:t1":
            return stage.llm(inside=inside).agenerate(["one"] * 3, callbacks=stage.config["callbacks"])
        return stage.model(inside=inside).agenerate([PROMPT.format_messages(**WORD)] * 3, callbacks=stage.callbacks)

    bench.check(
        scenario,
        f"""
        {kind}  x3
          native:{"llm" if kind == "llm:t1" else "model"}:{kind[4:]}
          native:thread
          native:task
        """,
    )


@pytest.mark.usefixtures("long_turns")
@pytest.mark.parametrize("carried", [True, False])
@pytest.mark.parametrize("kind", ["llm:t1", "llm:m1"])
def test_generate_whose_bodies_wait_for_threads(bench: Bench, kind: str, *, carried: bool) -> None:
    """So it is where the body of a call without an event loop waits for a thread that was given its context."""

    def scenario(stage: Stage) -> Any:
        def inside(_: object) -> None:
            with ThreadPoolExecutor(1) as pool:
                work = partial(stage.mark, "native:thread")
                pool.submit(carry_context(work) if carried else partial(copy_context().run, work)).result()

        if kind == "llm:t1":
            return stage.llm(inside=inside).generate(["one"] * 3, callbacks=stage.callbacks)
        return stage.model(inside=inside).generate([PROMPT.format_messages(**WORD)] * 3, callbacks=stage.callbacks)

    bench.check(
        scenario,
        f"""
        {kind}  x3
          native:{"llm" if kind == "llm:t1" else "model"}:{kind[4:]}
          native:thread
        """,
    )


def test_generate_whose_bodies_leave_work_to_threads(bench: Bench) -> None:
    """What is carried along from one of several prompts hangs below that one's run, whichever executes by then."""

    def scenario(stage: Stage) -> Any:
        left: list[Callable[[str], None]] = []

        def inside(_: object) -> None:
            left.append(carry_context(stage.mark))
            if len(left) == len(prompts):
                with ThreadPoolExecutor(1) as pool:
                    list(pool.map(lambda work: work("native:left"), left))

        prompts = ["one", "two", "three"]
        return stage.llm(inside=inside).generate(prompts, callbacks=stage.callbacks)

    bench.check(
        scenario,
        """
        llm:t1  x3
          native:llm:t1
          native:left
        """,
    )


@modes(SYNC_ASYNC)
def test_batch_as_completed(bench: Bench, mode: Mode) -> None:
    """Items that come back as they complete are trees of their own too."""

    async def scenario_async(stage: Stage) -> Any:
        sequence = PROMPT | stage.model() | PARSER
        items = sequence.abatch_as_completed([WORD] * 4, stage.config)
        return sorted([item async for item in items])

    def scenario(stage: Stage) -> Any:
        sequence = PROMPT | stage.model() | PARSER
        return sorted(sequence.batch_as_completed([WORD] * 4, stage.config))

    bench.check(scenario_async if mode.is_async else scenario, BATCH_OF_FOUR)


@modes(SYNC_ASYNC)
def test_map(bench: Bench, mode: Mode) -> None:
    """A mapped sequence has one run for the whole, and the items below it."""

    def scenario(stage: Stage) -> Any:
        return mode.run((PROMPT | stage.model()).map(), [WORD] * 3, stage.config)

    bench.check(
        scenario,
        """
        chain:RunnableEach<RunnableSequence>
          chain:RunnableSequence  x3
            prompt:ChatPromptTemplate
            llm:m1
              native:model:m1
        """,
    )


@modes(SYNC_ASYNC)
def test_generate_with_two_prompts(bench: Bench, mode: Mode) -> None:
    """Two conversations given to one ``generate`` call are two runs, and neither parents the other."""

    def scenario(stage: Stage) -> Any:
        model, prompts = stage.model(), [PROMPT.format_messages(**WORD)] * 2
        generate = model.agenerate if mode.is_async else model.generate
        return generate(prompts, callbacks=stage.callbacks)

    bench.check(
        scenario,
        """
        llm:m1  x2
          native:model:m1
        """,
    )


@modes(CALLS)
def test_parallel(bench: Bench, mode: Mode) -> None:
    """Branches that run at once, in threads or tasks, keep their own children."""

    def scenario(stage: Stage) -> Any:
        branches = {name: PROMPT | stage.model(name) for name in ("a", "b", "c")}
        parallel = RunnableParallel(branches) | both(stage, "join", sorted)
        # The order in which branches stream is theirs to choose.
        return mode.run(parallel, WORD, stage.config)

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          chain:RunnableParallel<a,b,c>
            chain:RunnableSequence
              prompt:ChatPromptTemplate
              llm:a
                native:model:a
            chain:RunnableSequence
              prompt:ChatPromptTemplate
              llm:b
                native:model:b
            chain:RunnableSequence
              prompt:ChatPromptTemplate
              llm:c
                native:model:c
          chain:join
            native:lambda:join
        """,
    )


@modes(CALLS)
def test_assign(bench: Bench, mode: Mode) -> None:
    """A value that is assigned beside the input keeps its own children."""

    def scenario(stage: Stage) -> Any:
        assign = RunnablePassthrough.assign(answer=PROMPT | stage.model() | PARSER)
        return mode.run(assign | both(stage, "after"), WORD, stage.config)

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          chain:RunnableAssign<answer>
            chain:RunnableParallel<answer>
              chain:RunnableSequence
                prompt:ChatPromptTemplate
                llm:m1
                  native:model:m1
                parser:StrOutputParser
          chain:after
            native:lambda:after
        """,
    )


@modes(CALLS)
def test_chain_function(bench: Bench, mode: Mode) -> None:
    """What a ``@chain`` function opens hangs below it, before and after the call it makes."""

    def scenario(stage: Stage) -> Any:
        model = stage.model()

        @chain
        def shout(word: str) -> str:
            stage.mark("native:before")
            answer = model.invoke(word).text
            stage.mark("native:after")
            return answer

        @chain
        async def ashout(word: str) -> str:
            stage.mark("native:before")
            answer = (await model.ainvoke(word)).text
            stage.mark("native:after")
            return answer

        return mode.run((ashout if mode.is_async else shout).with_config(run_name="shout"), "hi", stage.config)

    bench.check(
        scenario,
        """
        chain:shout
          native:before
          llm:m1
            native:model:m1
          native:after
        """,
    )


@modes(CALLS)
def test_chain_generator(bench: Bench, mode: Mode) -> None:
    """What a ``@chain`` generator opens between two yields hangs below it."""

    def scenario(stage: Stage) -> Any:
        def words(given: Iterator[str]) -> Iterator[str]:
            for word in given:
                stage.mark("native:generator:one")
                yield word
                stage.mark("native:generator:two")
                yield word

        async def awords(given: AsyncIterator[str]) -> AsyncIterator[str]:
            async for word in given:
                stage.mark("native:generator:one")
                yield word
                stage.mark("native:generator:two")
                yield word

        step: Runnable[Any, Any] = RunnableGenerator(words, awords, name="words")
        return mode.run(step, "hi", stage.config)

    bench.check(
        scenario,
        """
        chain:words
          native:generator:one
          native:generator:two
        """,
    )


@modes(CALLS)
def test_generator_followed_by_another_step(bench: Bench, mode: Mode) -> None:
    """A generator's stream flows on into the next step, and each keeps what it opened."""

    def scenario(stage: Stage) -> Any:
        def upper(given: Iterator[Any]) -> Iterator[str]:
            for chunk in given:
                stage.mark("native:upper")
                yield chunk.text.upper()

        async def aupper(given: AsyncIterator[Any]) -> AsyncIterator[str]:
            async for chunk in given:
                stage.mark("native:upper")
                yield chunk.text.upper()

        step: Runnable[Any, Any] = RunnableGenerator(upper, aupper, name="upper")
        sequence = stage.model("m1", "word") | step | both(stage, "last")
        return mode.run(sequence, "hi", stage.config)

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          llm:m1
            native:model:m1
          chain:upper
            native:upper
          chain:last
            native:lambda:last
        """,
    )


@modes(CALLS)
def test_branch(bench: Bench, mode: Mode) -> None:
    """Conditions and the branch taken hang below the branching step."""

    def scenario(stage: Stage) -> Any:
        no = both(stage, "no", lambda _: False)
        branch = RunnableBranch((no, stage.model("m1")), stage.model("m2"))
        return mode.run(branch, "hi", stage.config)

    bench.check(
        scenario,
        """
        chain:RunnableBranch
          chain:no
            native:lambda:no
          llm:m2
            native:model:m2
        """,
    )


@modes(CALLS)
def test_function_that_returns_a_runnable(bench: Bench, mode: Mode) -> None:
    """The Runnable that a routing function returns runs below the function."""

    def scenario(stage: Stage) -> Any:
        route = both(stage, "route", lambda _: PROMPT | stage.model())
        return mode.run(route, WORD, stage.config)

    bench.check(
        scenario,
        """
        chain:route
          native:lambda:route
          chain:RunnableSequence
            prompt:ChatPromptTemplate
            llm:m1
              native:model:m1
        """,
    )


@modes(SYNC_ASYNC)
def test_retry(bench: Bench, mode: Mode) -> None:
    """Each attempt is a run of its own below the retrying one, with its number."""

    def scenario(stage: Stage) -> Any:
        model = stage.model("m1", ValueError("busy"), ValueError("busy"), "yes")
        flaky = both(stage, "flaky") | model
        return mode.run(flaky.with_retry(wait_exponential_jitter=False), "hi", stage.config)

    seen = bench.check(
        scenario,
        """
        chain:RunnableSequence
          chain:RunnableSequence  x3
            chain:flaky
              native:lambda:flaky
            llm:m1
              native:model:m1
        """,
    )

    # The retrying run bears the name of what it retries; LangChain numbers attempts from the second.
    assert seen.attributes("chain:RunnableSequence", ATTEMPT) == [None, None, 2, 3]
    assert seen.attributes("chain:RunnableSequence", OUTCOME) == [None, "error", "error", None]


@modes(SYNC_ASYNC)
def test_retry_in_vain(bench: Bench, mode: Mode) -> None:
    """Where the last attempt fails as well, the retrying run has failed."""

    def scenario(stage: Stage) -> Any:
        flaky = both(stage, "flaky") | stage.model("m1", ValueError("busy"))
        return mode.run(flaky.with_retry(wait_exponential_jitter=False), "hi", stage.config)

    seen = bench.check(
        scenario,
        """
        chain:RunnableSequence
          chain:RunnableSequence  x3
            chain:flaky
              native:lambda:flaky
            llm:m1
              native:model:m1
        """,
        fails="ValueError",
    )

    assert seen.attributes("chain:RunnableSequence", OUTCOME) == ["error"] * 4


@modes(CALLS)
def test_fallbacks(bench: Bench, mode: Mode) -> None:
    """The model that failed and the one that stepped in are both there."""

    def scenario(stage: Stage) -> Any:
        model = stage.model("m1", ValueError("down")).with_fallbacks([stage.model("m2")])
        return mode.run(PROMPT | model | PARSER, WORD, stage.config)

    bench.check(scenario, FALLBACKS_STREAMED if "stream" in mode.name else FALLBACKS_CALLED)


# LangChain reports the models of a call beside the run that tries them (runnables/fallbacks.py
# hands them the outer config), and those of a stream below it. The tree says what it says.
FALLBACKS_CALLED = """
    chain:RunnableSequence
      prompt:ChatPromptTemplate
      chain:RunnableWithFallbacks
      llm:m1
        native:model:m1
      llm:m2
        native:model:m2
      parser:StrOutputParser
"""
FALLBACKS_STREAMED = """
    chain:RunnableSequence
      prompt:ChatPromptTemplate
      chain:RunnableWithFallbacks
        llm:m1
          native:model:m1
        llm:m2
          native:model:m2
      parser:StrOutputParser
"""


@pytest.mark.filterwarnings("ignore:.*deprecated")
@modes(CALLS)
def test_message_history(bench: Bench, mode: Mode) -> None:
    """The history's own steps and the model stay in one tree."""

    def scenario(stage: Stage) -> Any:
        past = InMemoryChatMessageHistory()
        prompt = ChatPromptTemplate([MessagesPlaceholder("past"), ("human", "{word}")])
        talk = RunnableWithMessageHistory(
            prompt | stage.model(),
            lambda session_id: past,
            input_messages_key="word",
            history_messages_key="past",
        )
        return mode.run(talk, WORD, {**stage.config, "configurable": {"session_id": "1"}})

    bench.check(
        scenario,
        """
        chain:RunnableWithMessageHistory
          chain:insert_history
            chain:RunnableParallel<past>
              chain:load_history
          chain:check_sync_or_async
            chain:RunnableSequence
              prompt:ChatPromptTemplate
              llm:m1
                native:model:m1
        """,
    )


@modes(CALLS)
def test_failing_model(bench: Bench, mode: Mode) -> None:
    """An error passes through unchanged, and leaves neither an open span nor a current one."""

    def scenario(stage: Stage) -> Any:
        return mode.run(PROMPT | stage.model("m1", ValueError("no")) | PARSER, WORD, stage.config)

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          prompt:ChatPromptTemplate
          llm:m1
            native:model:m1
        """,
        fails="ValueError",
    )


@modes(CALLS)
def test_failing_prompt(bench: Bench, mode: Mode) -> None:
    """An error in the first step leaves the others out."""

    def scenario(stage: Stage) -> Any:
        return mode.run(PROMPT | stage.model() | PARSER, {"other": "hi"}, stage.config)

    bench.check(
        scenario,
        """
        chain:RunnableSequence
          prompt:ChatPromptTemplate
        """,
        fails="KeyError",
    )


@modes(SYNC_ASYNC)
def test_cached_answer(bench: Bench, mode: Mode) -> None:
    """An answer from LangChain's cache is a run without a request in it."""

    def scenario(stage: Stage) -> Any:
        model = stage.model(cache=InMemoryCache())
        if mode.is_async:
            return _twice(model, stage.config)
        return [model.invoke("hi", stage.config).text for _ in range(2)]

    bench.check(
        scenario,
        """
        llm:m1
          native:model:m1
        llm:m1
        """,
    )


async def _twice(model: Runnable[Any, Any], config: Any) -> list[str]:
    return [(await model.ainvoke("hi", config)).text for _ in range(2)]
