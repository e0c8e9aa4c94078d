"""LangChain's own handlers, and users' own, on decorated functions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from langchain_core.callbacks import (
    AsyncCallbackHandler,
    BaseCallbackHandler,
    StdOutCallbackHandler,
    UsageMetadataCallbackHandler,
    get_usage_metadata_callback,
)
from langchain_core.messages import AIMessage
from langchain_core.outputs import LLMResult
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers.run_collector import RunCollectorCallbackHandler

from chainspan import chain, llm, prompt, tool

ANSWER = {
    "output": {"message": {"role": "assistant", "content": [{"text": "3"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 5, "outputTokens": 1},
}


@prompt
def ask(number: str) -> str:
    """Write a question."""
    return f"What is 1 + {number}?"


@llm(provider="aws.bedrock", model="nova")
def model(text: str) -> Any:
    """Answer as Bedrock does."""
    return {**ANSWER, "model": "nova"}


class Listener(AsyncCallbackHandler):
    """Notes what it hears, and in which event loop."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    async def _note(self, word: str) -> None:
        await asyncio.sleep(0)
        self.heard.append((word, id(asyncio.get_running_loop())))

    async def on_chain_start(self, *_: Any, **__: Any) -> None:
        """Hear of a chain's start."""
        await self._note("chain start")

    async def on_chain_end(self, *_: Any, **__: Any) -> None:
        """Hear of a chain's end."""
        await self._note("chain end")

    async def on_chat_model_start(self, *_: Any, **__: Any) -> None:
        """Hear of a model's start."""
        await self._note("model start")

    async def on_llm_new_token(self, *_: Any, **__: Any) -> None:
        """Hear of a token."""
        await self._note("token")

    async def on_llm_end(self, *_: Any, **__: Any) -> None:
        """Hear of a model's end."""
        await self._note("model end")


def test_usage_handler() -> None:
    """LangChain's counter of tokens finds them, passed or in force around."""
    passed = UsageMetadataCallbackHandler()

    with get_usage_metadata_callback() as around:
        (ask | model).invoke("2", callbacks=[passed])

    assert passed.usage_metadata == around.usage_metadata
    assert passed.usage_metadata == {"nova": {"input_tokens": 5, "output_tokens": 1, "total_tokens": 6}}


def test_stdout_handler(capsys: pytest.CaptureFixture[str]) -> None:
    """LangChain's printer prints the names of our steps."""
    (ask | model).invoke("2", callbacks=[StdOutCallbackHandler()])

    printed = capsys.readouterr().out
    assert "Entering new Sequence chain" in printed
    assert "Entering new ask chain" in printed


@pytest.mark.filterwarnings("ignore:The `copy` method is deprecated")  # which langchain-core 1.0 calls
def test_tracer() -> None:
    """LangChain's tracers get the tree, and LangChain's own messages and results."""
    collector = RunCollectorCallbackHandler()

    (ask | model).invoke({"number": "2"}, callbacks=[collector])

    (root,) = collector.traced_runs
    assert [(run.run_type, run.name) for run in [root, *root.child_runs]] == [
        ("chain", "Sequence"),
        ("prompt", "ask"),
        ("llm", "model"),
    ]
    assert root.child_runs[0].inputs == {"number": "2"}
    result = (root.child_runs[1].outputs or {})["generations"][0][0]
    assert result["text"] == "3"


def test_result_objects() -> None:
    """A handler of a model's end is given an LLMResult that holds an AIMessage."""
    results: list[LLMResult] = []

    class Keeper(BaseCallbackHandler):
        def on_llm_end(self, response: LLMResult, **_: Any) -> None:
            results.append(response)

    model.invoke("2", callbacks=[Keeper()])

    message = results[0].generations[0][0].message  # type: ignore[union-attr]
    assert isinstance(message, AIMessage)
    assert (message.text, message.response_metadata["finish_reason"]) == ("3", "end_turn")


async def test_async_handler_is_awaited_in_the_loop() -> None:
    """In asynchronous code an asynchronous handler runs in the caller's own loop, and in order."""
    listener, here = Listener(), id(asyncio.get_running_loop())

    await (ask | model).ainvoke("2", callbacks=[listener])

    words = ["chain start", "chain start", "chain end", "model start", "model end", "chain end"]
    assert listener.heard == [(word, here) for word in words]


def test_async_handler_in_synchronous_code() -> None:
    """In synchronous code it is waited for."""
    listener = Listener()

    (ask | model).invoke("2", callbacks=[listener])

    assert [word for word, _ in listener.heard] == [
        "chain start",
        "chain start",
        "chain end",
        "model start",
        "model end",
        "chain end",
    ]


def test_failing_handler_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """What a handler raises is logged, as LangChain does, and the call goes on."""

    class Broken(BaseCallbackHandler):
        def on_tool_start(self, *_: Any, **__: Any) -> None:
            raise OSError("full")

    look = tool(lambda q: q)

    assert look.invoke("a", callbacks=[Broken()]) == "a"
    assert "Broken.on_tool_start" in caplog.text


def test_callbacks_add_to_those_in_force() -> None:
    """Handlers of an inner call run beside those of the outer one."""
    outside, inside = UsageMetadataCallbackHandler(), UsageMetadataCallbackHandler()

    @chain
    def outer() -> None:
        model.invoke("1", callbacks=[inside])
        model("2")

    outer.invoke(callbacks=[outside])

    assert outside.usage_metadata["nova"]["input_tokens"] == 10
    assert inside.usage_metadata["nova"]["input_tokens"] == 5


def test_one_handler_needs_no_list() -> None:
    """A handler that is given alone is one beside those in force, wherever handlers are given."""
    usage = [UsageMetadataCallbackHandler() for _ in range(5)]
    option: Any = {"callbacks": usage[0]}
    bound: Any = llm(**option)(model.__wrapped__)

    @chain
    def outer() -> None:
        bound.with_config(callbacks=usage[1]).invoke("1", {"callbacks": usage[2]}, callbacks=usage[3])

    outer.invoke(callbacks=usage[4])

    assert [one.usage_metadata["nova"]["input_tokens"] for one in usage] == [5] * 5


SAID = {"configurable": {"session_id": "1"}, "recursion_limit": 7, "tags": ["a"], "metadata": {"user": "u"}}


@chain
def session(_: str = "") -> Any:
    """Return what LangChain hands on to a function of its own that is called inside."""
    made: Any = RunnableLambda
    return made(lambda _, config: tuple(_own(config)[key] for key in SAID)).invoke("")


def _own(config: Any) -> dict[str, Any]:
    """Return a config without what older versions of langchain-core repeat of its `configurable`."""
    repeated = config["configurable"]
    return {**config, "metadata": {key: value for key, value in config["metadata"].items() if key not in repeated}}


async def _first(stream: AsyncIterator[Any]) -> Any:
    return await anext(stream)


@pytest.mark.parametrize("handlers", [[], [BaseCallbackHandler()]], ids=["untraced", "traced"])
async def test_config_reaches_what_is_called_inside(handlers: list[BaseCallbackHandler]) -> None:
    """Whether anybody listens or not, and in no call that is made afterwards."""
    given: Any = {**SAID, "callbacks": handlers}
    alone: Any = {"tags": ["a"], "callbacks": handlers}
    langchains: Any = RunnableLambda(lambda _: session(""))

    got = [
        session.invoke("", given),
        await session.ainvoke("", given),
        next(session.stream("", given)),
        await _first(session.astream("", given)),
        *session.batch([""], given),
        session.with_config(given)(""),
        chain(lambda: session("")).invoke(config=given),
        langchains.invoke("", given),
        (session | tuple).invoke("", given),
    ]

    assert got == [(*SAID.values(),)] * 9
    assert session.invoke("", alone) == ({}, 25, ["a"], {})
    assert session.invoke("") == ({}, 25, [], {})
