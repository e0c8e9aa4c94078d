"""Whom a client asks, of which its methods know: the server, and who answers at it."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import httpx
import openai
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests import strategies

from chainspan import OtelHandler, llm

from ._told import beginning_with

ANSWER = {
    "id": "1",
    "object": "chat.completion",
    "created": 0,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "3"}}],
    "service_tier": "default",
}


def told(memory: InMemorySpanExporter) -> dict[str, Any]:
    """Return what the one span says of who answers, and where."""
    return beginning_with(memory, "gen_ai.provider.name", "server.", "openai.")


@pytest.mark.parametrize(
    ("url", "server", "provider"),
    [
        ("https://api.openai.com/v1", "api.openai.com", "openai"),
        ("https://api.deepseek.com/v1", "api.deepseek.com", "deepseek"),
        ("https://a:b@here.openai.azure.com/openai", "here.openai.azure.com", "azure.ai.openai"),
    ],
)
@pytest.mark.parametrize("raw", [True, False])
def test_openai(
    url: str, server: str, provider: str, raw: bool, handler: OtelHandler, memory: InMemorySpanExporter
) -> None:
    """OpenAI's client asks many others, and what is OpenAI's is said of OpenAI alone."""
    stub: Any = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=ANSWER)))
    with openai.OpenAI(api_key="none", base_url=url, http_client=stub) as client:
        method: Any = client.chat.completions.with_raw_response.create if raw else client.chat.completions.create
        llm(method).with_config(callbacks=[handler])(model="m", messages=[{"role": "user", "content": "1 + 2?"}])

    of_openai = {"openai.api.type": "chat_completions", "openai.response.service_tier": "default"}
    assert told(memory) == {
        "gen_ai.provider.name": provider,
        "server.address": server,
        "server.port": 443,
        **(of_openai if provider.endswith("openai") else {}),
    }


async def test_method_with_some_arguments(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """Who is asked, and that the answer is to be awaited, is known where some arguments are given beforehand too."""
    stub: Any = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=ANSWER)))
    url = "https://api.deepseek.com/v1"
    async with openai.AsyncOpenAI(api_key="none", base_url=url, http_client=stub) as client:
        ask = llm(partial(client.chat.completions.create, model="m"))
        answer = await ask.ainvoke({"messages": [{"role": "user", "content": "1 + 2?"}]}, callbacks=[handler])

    assert answer.choices[0].message.content == "3"
    assert told(memory) == {
        "gen_ai.provider.name": "deepseek",
        "server.address": "api.deepseek.com",
        "server.port": 443,
    }


class Models:
    """Methods of a client in the form of Google's."""

    __module__ = "google.genai.models"

    def __init__(self, vertexai: bool) -> None:
        host = "europe-west1-aiplatform" if vertexai else "generativelanguage"
        options = SimpleNamespace(base_url=f"https://{host}.googleapis.com/")
        self._api_client = SimpleNamespace(vertexai=vertexai, _http_options=options)

    def generate_content(self, contents: str) -> str:
        """Answer."""
        return contents


Models.generate_content.__module__ = Models.__module__


@pytest.mark.parametrize(("vertexai", "provider"), [(True, "gcp.vertex_ai"), (False, "gcp.gemini")])
def test_google(vertexai: bool, provider: str, handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """One client serves two services."""
    llm(Models(vertexai).generate_content).with_config(callbacks=[handler])("x")

    assert told(memory)["gen_ai.provider.name"] == provider


class Hostile(strategies.RaisesOnEverything):
    """An object that raises when it is looked at."""

    def ask(self, prompt: str) -> str:
        """Answer."""
        return prompt


def test_other_objects(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """Of a method of anything else, nothing is said, whatever it is a method of."""
    assert llm(Hostile().ask).with_config(callbacks=[handler])("x") == "x"

    assert told(memory) == {}
