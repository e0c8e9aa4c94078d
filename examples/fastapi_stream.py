"""A FastAPI endpoint that streams a model's answer, each request a trace of its own.

The span of the model lasts until the last piece is sent, and is current while a piece is
fetched, not while it is sent. ``fastapi run examples/fastapi_stream.py`` serves it; run as a
script, it asks itself once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anthropic import AsyncAnthropic
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from provider_stub import anthropic_or_stub

from chainspan import ConsoleHandler, chain, llm

handlers = [ConsoleHandler(color=False, content=False)]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Keep one client as long as the application lives."""
    with anthropic_or_stub() as where:
        app.state.client = AsyncAnthropic(**where)
        yield


app = FastAPI(lifespan=lifespan)


@llm(provider="anthropic")
async def claude(text: str, *, model: str = "claude-haiku-4-5") -> AsyncIterator[str]:
    """Stream Claude's answer."""
    messages = [{"role": "user", "content": text}]
    async with app.state.client.messages.stream(model=model, max_tokens=99, messages=messages) as stream:
        async for piece in stream.text_stream:
            yield piece


@chain
async def answer(question: str) -> AsyncIterator[str]:
    """Answer a question, piece by piece."""
    async for piece in claude(question):
        yield piece


@app.get("/ask")
async def ask(question: str) -> StreamingResponse:
    """Stream the answer to a question."""
    return StreamingResponse(answer.astream(question, callbacks=handlers), media_type="text/plain")


if __name__ == "__main__":
    from fastapi.testclient import TestClient

    with TestClient(app) as browser:
        print(browser.get("/ask", params={"question": "What is 1 + 2?"}).text)
