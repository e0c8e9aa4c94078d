"""Models, tools and retrievers that answer from a script, each with a native CLIENT span in its body.

The native span stands for what a real body does: an instrumented HTTP client, a
database call. Its name says whose body it is: ``native:model:m1``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForLLMRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.language_models import LLM, BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, GenerationChunk
from langchain_core.retrievers import BaseRetriever
from pydantic import Field
from typing_extensions import override

__all__ = ["FakeChat", "FakeLLM", "FakeRetriever", "Inside", "Native", "Reply", "SyncOnlyChat", "SyncOnlyLLM"]

Native = Callable[[str], AbstractContextManager[Any]]
Inside = Callable[[Any], Any]  # called in the body with its run manager; its awaitable is awaited
Reply = str | AIMessage | BaseException


class _Scripted:
    """What the fakes share: a native span, an optional piece of work, and the next reply."""

    name: str | None
    native: Any
    replies: list[Any]
    inside: Any
    turn: list[int]

    def _label(self) -> str:
        raise NotImplementedError

    def _reply(self) -> Any:
        self.turn[0] += 1
        reply = self.replies[(self.turn[0] - 1) % len(self.replies)]
        if isinstance(reply, BaseException):
            raise type(reply)(*reply.args)  # a new one each time: an exception keeps its frames
        return reply

    def _work(self, run_manager: object) -> Any:
        with self.native(self._label()):
            pass
        if self.inside is not None:
            self.inside(run_manager)
        return self._reply()

    async def _awork(self, run_manager: object) -> Any:
        with self.native(self._label()):
            await asyncio.sleep(0)
        if self.inside is not None:
            outcome = self.inside(run_manager)
            if hasattr(outcome, "__await__"):
                await outcome
        return self._reply()


class FakeChat(_Scripted, BaseChatModel):
    """A chat model that generates and streams, sync and async."""

    model: str = "fake"
    native: Any = None
    replies: list[Any] = Field(default=["one two three"])
    inside: Any = None
    midway: Any = None  # called between the first chunk of a stream and the second
    turn: list[int] = Field(default=[0])

    @property
    @override
    def _llm_type(self) -> str:
        return "fake"

    @override
    def _label(self) -> str:
        return f"native:model:{self.name}"

    @override
    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self.bind(**kwargs)

    @override
    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return _result(self._work(run_manager))

    @override
    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return _result(await self._awork(run_manager))

    @override
    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for index, chunk in enumerate(_chunks(self._work(run_manager))):
            if index == 1 and self.midway is not None:
                self.midway(run_manager)
            yield chunk

    @override
    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for index, chunk in enumerate(_chunks(await self._awork(run_manager))):
            if index == 1 and self.midway is not None:
                outcome = self.midway(run_manager)
                if hasattr(outcome, "__await__"):
                    await outcome
            yield chunk
            await asyncio.sleep(0)


class SyncOnlyChat(FakeChat):
    """A chat model that knows no async: LangChain runs it in a thread."""

    _agenerate = BaseChatModel._agenerate
    _astream = BaseChatModel._astream


class FakeLLM(_Scripted, LLM):
    """A model that completes text."""

    name: str | None = None
    native: Any = None
    replies: list[Any] = Field(default=["one two three"])
    inside: Any = None
    turn: list[int] = Field(default=[0])

    @property
    @override
    def _llm_type(self) -> str:
        return "fake"

    @override
    def _label(self) -> str:
        return f"native:llm:{self.name}"

    @override
    def _call(self, prompt: str, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> str:
        return str(self._work(run_manager))

    @override
    async def _acall(self, prompt: str, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> str:
        return str(await self._awork(run_manager))

    @override
    def _stream(
        self, prompt: str, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[GenerationChunk]:
        for word in self._work(run_manager).split():
            yield GenerationChunk(text=word)

    @override
    async def _astream(
        self, prompt: str, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[GenerationChunk]:
        for word in (await self._awork(run_manager)).split():
            yield GenerationChunk(text=word)


class SyncOnlyLLM(FakeLLM):
    """A model that completes text and knows no async: LangChain runs it in a thread, and waits."""

    _acall = LLM._acall


class FakeRetriever(_Scripted, BaseRetriever):
    """A retriever that finds one document."""

    name: str | None = None
    native: Any = None
    replies: list[Any] = Field(default=["a document"])
    inside: Any = None
    turn: list[int] = Field(default=[0])

    @override
    def _label(self) -> str:
        return f"native:retriever:{self.name}"

    @override
    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        return [Document(self._work(run_manager))]

    @override
    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> list[Document]:
        return [Document(await self._awork(run_manager))]


def _message(reply: Any) -> AIMessage:
    return reply if isinstance(reply, AIMessage) else AIMessage(reply)


def _result(reply: Any) -> ChatResult:
    return ChatResult(generations=[ChatGeneration(message=_message(reply))])


def _chunks(reply: Any) -> Iterator[ChatGenerationChunk]:
    message = _message(reply)
    words = message.text.split() or [""]
    for word in words[:-1]:
        yield ChatGenerationChunk(message=AIMessageChunk(content=word))
    last = AIMessageChunk(content=words[-1], tool_calls=message.tool_calls, chunk_position="last")
    yield ChatGenerationChunk(message=last)
