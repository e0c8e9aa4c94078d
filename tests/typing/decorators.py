"""User code with decorators, which must check as it stands: signatures survive, and what is wrong is an error.

Never run: mypy and basedpyright read it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Generator, Iterator
from typing import Any

from langchain_core.callbacks import StdOutCallbackHandler
from openai import OpenAI, Stream
from openai.types.chat import ChatCompletionChunk
from typing_extensions import assert_type

from chainspan import OtelHandler, Traced, agent, chain, llm, prompt, retriever, tool


@prompt
def ask(number: str, *, times: int = 1) -> str:
    """Write a question."""
    return f"What is 1 + {number}?" * times


@llm(provider="anthropic", model="claude-9", name="claude", tags=["a"], metadata={"b": 1})
def claude(text: str) -> list[str]:
    """Ask a model."""
    return [text]


@llm
async def gpt(text: str) -> str:
    """Ask a model, and wait."""
    return text


@chain
def words(text: str) -> Iterator[str]:
    """Give one word after another."""
    yield from text.split()


@chain
def numbers(count: int) -> Generator[int, str, bool]:
    """Give numbers, and take texts."""
    said = yield count
    return bool(said)


@agent(callbacks=[OtelHandler()])
async def waits(text: str) -> AsyncIterator[str]:
    """Give one word after another, and wait."""
    yield text


@retriever
async def finds(query: str) -> AsyncGenerator[bytes, None]:
    """Find, and wait."""
    yield query.encode()


class Robot:
    """Has methods."""

    @tool
    def look(self, q: str) -> int:
        """Look it up."""
        return len(q)


def call_as_before() -> None:
    """A call takes what the function takes, and gives what it gives."""
    assert_type(ask("2", times=2), str)
    assert_type(claude("hi"), list[str])
    assert_type(words("a b"), Iterator[str])
    assert_type(numbers(3), Generator[int, str, bool])
    waiting: Coroutine[Any, Any, str] = gpt("hi")
    waiting.close()
    ask(2)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ask("2", other=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    claude()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def wait_as_before() -> None:
    """Coroutines and asynchronous generators too."""
    assert_type(await gpt("hi"), str)
    async for word in waits("a b"):
        assert_type(word, str)
    async for found in finds("q"):
        assert_type(found, bytes)


def invoke_with_callbacks() -> None:
    """What can be invoked takes callbacks, tags, metadata and a name."""
    assert_type(ask.invoke({"number": "2"}, callbacks=[OtelHandler(), StdOutCallbackHandler()]), str)
    assert_type(claude.invoke("hi", {"callbacks": [OtelHandler()]}, run_name="x"), list[str])
    ask.batch(["1", "2"], tags=["a"], metadata={"user_id": "u"})
    for word in words.stream("a b", callbacks=[]):
        assert_type(word, str)
    for number in numbers.stream(3):
        assert_type(number, int)
    assert_type(claude.with_config(run_name="x")("hi"), list[str])
    bound: Traced[[str], list[str]] = claude.with_config(run_name="x")
    bound("hi")
    ask.invoke("2", callback=[OtelHandler()])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def invoke_and_wait() -> None:
    """The asynchronous forms give what is awaited."""
    assert_type(await gpt.ainvoke("hi", callbacks=[OtelHandler()]), str)
    assert_type(await ask.ainvoke("2"), str)
    await gpt.abatch(["a", "b"])
    async for word in waits.astream("a b"):
        assert_type(word, str)
    async for said in gpt.astream("a b"):
        assert_type(said, str)


def keep_the_clients_types(client: OpenAI) -> None:
    """A stream of a client stays that client's stream."""

    @llm
    def streams(text: str) -> Stream[ChatCompletionChunk]:
        return client.chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": text}], stream=True)

    assert_type(streams("hi"), Stream[ChatCompletionChunk])
    for chunk in streams.stream("hi"):
        del chunk  # of the stream; mypy takes only what inherits from Iterator for one


def compose() -> None:
    """Steps compose with each other, with functions, and with dicts of those."""
    answer = ask | claude | len | {"said": gpt, "length": str}
    answer.invoke({"number": "2"}, callbacks=[OtelHandler()])
    (str.upper | ask).invoke("2")


def call_methods(robot: Robot) -> None:
    """A method is called with and without its object."""
    assert_type(robot.look("q"), int)
    assert_type(robot.look.invoke("q"), int)
    robot.look(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
