"""What is traced: chains, streams, histories, agents and plain functions, with a model that answers at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

from benchmarks.harness import Handlers, Work
from langchain.agents import create_agent
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.tools import tool
from typing_extensions import override

from chainspan import chain as traced_chain

__all__ = [
    "CHAIN_RUNS",
    "FakeModel",
    "Probed",
    "agent",
    "asynchronously",
    "call_decorated",
    "chain",
    "config",
    "history",
    "invoke_agent",
    "invoke_chain",
    "runs_of",
    "send_history",
    "send_new_history",
    "stream_tokens",
    "tasks",
    "threads",
]

CHAIN_RUNS = 4
_TURNS, _MESSAGE_BYTES = 50, 1_024
_USAGE: Any = {"input_tokens": 12, "output_tokens": 7, "total_tokens": 19}
_QUESTION = {"topic": "bears", "place": "a bar"}


class FakeModel(BaseChatModel):
    """Answers at once, and says what a model of a provider says of itself.

    Attributes:
        steps: How many times it asks for a tool before it answers.
    """

    model: str = "gpt-4o-mini"
    temperature: float = 0.2
    steps: int = 0
    tokens: int = 1

    @property
    @override
    def _llm_type(self) -> str:
        return "fake-chat"

    @property
    @override
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model, "temperature": self.temperature, "max_tokens": 256}

    @override
    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        return self

    @override
    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        done = sum(isinstance(message, ToolMessage) for message in messages) if self.steps else 0
        calls: list[Any] = []
        if done < self.steps:
            calls = [{"name": "look_up", "args": {"word": f"word {done}"}, "id": f"call-{done}"}]
        said = AIMessage(
            "" if calls else "A bear walks into a bar.",
            tool_calls=calls,
            usage_metadata=_USAGE,
            response_metadata={"model_name": "gpt-4o-mini-2024-07-18", "finish_reason": "stop", "id": "r-1"},
        )
        return ChatResult(generations=[ChatGeneration(message=said)])

    @override
    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        return self._generate(messages)

    @override
    def _stream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        for _ in range(self.tokens):
            chunk = ChatGenerationChunk(message=AIMessageChunk(content="word "))
            if run_manager is not None:
                run_manager.on_llm_new_token("word ", chunk=chunk)
            yield chunk

    @override
    async def _astream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for _ in range(self.tokens):
            chunk = ChatGenerationChunk(message=AIMessageChunk(content="word "))
            if run_manager is not None:
                await run_manager.on_llm_new_token("word ", chunk=chunk)
            yield chunk


class OneAnswer(FakeModel):
    """Answers whole only: LangChain streams by itself from a model that can, where a graph asks it to."""

    _stream = BaseChatModel._stream  # noqa: SLF001 - says that it cannot
    _astream = BaseChatModel._astream  # noqa: SLF001


class Probed(OneAnswer):
    """Has a function called within its run."""

    body: Callable[[], object]

    @override
    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.body()
        return super()._generate(messages)


def config(handlers: Handlers) -> RunnableConfig:
    """Return a call's config; without handlers it is as if none was given."""
    return {"callbacks": handlers} if handlers else {}


# ---------------------------------------------------------------- short chains


@lru_cache(maxsize=1)
def chain() -> Runnable[dict[str, str], str]:
    """Return a prompt, a model and a parser: with the sequence around them, four runs."""
    prompt = ChatPromptTemplate.from_template("Tell a joke about {topic} in {place}.")
    return prompt | OneAnswer() | StrOutputParser()


def invoke_chain(handlers: Handlers) -> None:
    """Run the chain once."""
    chain().invoke(_QUESTION, config(handlers))


def asynchronously(handlers: Handlers, calls: int) -> Callable[[], object]:
    """Run the chain by ``ainvoke``, once after the other."""

    async def run() -> None:
        for _ in range(calls):
            await chain().ainvoke(_QUESTION, config(handlers))

    return lambda: asyncio.run(run())


def tasks(count: int) -> Work:
    """Return the work of running the chain in so many asyncio tasks at once."""

    def ready(handlers: Handlers, calls: int) -> Callable[[], object]:
        async def run() -> None:
            for _ in range(calls):
                await asyncio.gather(*(chain().ainvoke(_QUESTION, config(handlers)) for _ in range(count)))

        return lambda: asyncio.run(run())

    return ready


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(8)


def threads(handlers: Handlers, calls: int) -> Callable[[], object]:
    """Run the chain in eight threads; a call is one in each."""

    def run() -> None:
        def often(_: int) -> None:
            for _ in range(calls):
                invoke_chain(handlers)

        list(_pool().map(often, range(8)))

    return run


# ---------------------------------------------------------------- plain functions


@traced_chain
def add_one(number: int) -> int:
    """Return the next number."""
    return number + 1


def call_decorated(handlers: Handlers) -> None:
    """Call the decorated function as it is; with handlers, so that they are told."""
    if handlers:
        add_one.invoke(1, callbacks=handlers)
    else:
        add_one(1)


# ---------------------------------------------------------------- streams


def stream_tokens(count: int) -> Callable[[Handlers], None]:
    """Return a call that streams so many tokens from a model."""
    model = FakeModel(tokens=count)

    def call(handlers: Handlers) -> None:
        for _ in model.stream("Tell a long story.", config(handlers)):
            pass

    return call


# ---------------------------------------------------------------- long histories


@lru_cache(maxsize=1)
def history() -> tuple[BaseMessage, ...]:
    """Return fifty turns of conversation, 100 KB in all."""
    text = ("The quick brown fox jumps over the lazy dog, again. " * 20)[:_MESSAGE_BYTES]
    turns = ((HumanMessage(f"{turn} {text}"), AIMessage(f"{turn} {text}")) for turn in range(_TURNS))
    return tuple(message for turn in turns for message in turn)


def send_history(handlers: Handlers) -> None:
    """Send a model the history that it was sent before."""
    OneAnswer().invoke(list(history()), config(handlers))


def send_new_history(handlers: Handlers, calls: int) -> Callable[[], None]:
    """Send a model, in each call, messages that nobody has seen before."""
    model = OneAnswer()
    histories = [[message.model_copy() for message in history()] for _ in range(calls)]

    def run() -> None:
        for messages in histories:
            model.invoke(messages, config(handlers))

    return run


# ---------------------------------------------------------------- agents


@tool
def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word} means something."


def _long_tool(size: int) -> Any:
    @tool("look_up")
    def look_up_at_length(word: str) -> str:
        """Look a word up."""
        return (f"{word} means something. " * (size // 10))[:size]

    return look_up_at_length


@lru_cache(maxsize=4)
def agent(steps: int, result_bytes: int = 0) -> Any:
    """Return a LangGraph agent that calls its tool so many times, and then answers."""
    return create_agent(OneAnswer(steps=steps), [_long_tool(result_bytes) if result_bytes else look_up])


def invoke_agent(steps: int, result_bytes: int = 0) -> Callable[[Handlers], None]:
    """Return a call of the agent."""

    def call(handlers: Handlers) -> None:
        question = {"messages": [HumanMessage("What do these words mean?")]}
        agent(steps, result_bytes).invoke(question, {"recursion_limit": 4 * steps + 10, **config(handlers)})

    return call


class _Counter(BaseCallbackHandler):
    """Counts the runs that start."""

    run_inline = True

    def __init__(self) -> None:
        self.runs = 0

    def _start(self, *_: Any, **__: Any) -> None:
        self.runs += 1

    on_chain_start = on_chat_model_start = on_tool_start = _start


def runs_of(call: Callable[[Handlers], None]) -> int:
    """Return how many runs a call makes."""
    counter = _Counter()
    call([counter])
    return counter.runs
