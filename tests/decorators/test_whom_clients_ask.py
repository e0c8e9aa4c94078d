"""Whom a client asks, of which its methods know: the server, and who answers at it."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.auth.credentials import AnonymousCredentials
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests import strategies

from chainspan import OtelHandler, llm

from ._told import beginning_with

_NOBODY = AnonymousCredentials()  # type: ignore[no-untyped-call]  # has none
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


@pytest.mark.parametrize(("vertexai", "provider"), [(True, "gcp.vertex_ai"), (False, "gcp.gemini")])
def test_chat_of_google(vertexai: bool, provider: str, handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """A chat asks by the models that it was made of."""
    key: Any = {"credentials": _NOBODY, "project": "p", "location": "eu"} if vertexai else {"api_key": "k"}
    with genai.Client(vertexai=vertexai, **key) as client:
        send: Any = client.chats.create(model="gemini-9").send_message
        with pytest.raises(TypeError, match="nonsense"):
            llm(send).with_config(callbacks=[handler])("1 + 2?", nonsense=True)

    assert told(memory)["gen_ai.provider.name"] == provider


@pytest.mark.parametrize(
    ("client", "provider"),
    [
        (anthropic.AnthropicBedrock(aws_access_key="a", aws_secret_key="b", aws_region="eu-west-1"), "aws.bedrock"),
        (anthropic.AnthropicVertex(region="europe-west1", project_id="p"), "gcp.vertex_ai"),
        (anthropic.AnthropicFoundry(resource="mine", api_key="none"), "azure.ai.inference"),
        (anthropic.Anthropic(api_key="none"), "anthropic"),
    ],
    ids=["bedrock", "vertex", "foundry", "anthropic"],
)
def test_anthropic(client: Any, provider: str, handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """Anthropic's package has clients for the clouds that serve its models."""
    with client:
        ask = llm(client.messages.create).with_config(callbacks=[handler])
        with pytest.raises(TypeError, match="nonsense"):
            ask(model="claude-9", messages=[{"role": "user", "content": "1 + 2?"}], max_tokens=9, nonsense=True)

    assert told(memory)["gen_ai.provider.name"] == provider


@pytest.mark.parametrize(
    ("module", "provider"),
    [
        ("groq.resources.chat.completions", "groq"),
        ("huggingface_hub.inference._client", "huggingface"),
        ("openrouter.chat", "openrouter"),
        ("perplexity.resources.chat.completions", "perplexity"),
        ("fireworks.resources.chat.completions", "fireworks"),
        ("together.resources.chat.completions", "together"),
    ],
)
@pytest.mark.parametrize("of_answer", [True, False])
def test_other_clients(
    module: str, provider: str, of_answer: bool, handler: OtelHandler, memory: InMemorySpanExporter
) -> None:
    """Clients in OpenAI's form are told by the package that a method, or the class of its answer, is from."""

    class Completion(SimpleNamespace):
        """An answer in their form."""

    def create(prompt: str) -> Any:
        return Completion(**ANSWER) if of_answer else ANSWER

    (Completion if of_answer else create).__module__ = module
    llm(create).with_config(callbacks=[handler])("1 + 2?")

    assert told(memory)["gen_ai.provider.name"] == provider


@pytest.mark.parametrize(
    ("said", "provider"),
    [
        ("azure", "azure.ai.openai"),
        ("azure_ai", "azure.ai.inference"),
        ("vertex_ai", "gcp.vertex_ai"),
        ("gemini", "gcp.gemini"),
        ("bedrock", "aws.bedrock"),
        ("xai", "x_ai"),
        ("mistral", "mistral_ai"),
        ("together_ai", "together"),
        ("groq", "groq"),
    ],
)
def test_litellm(said: str, provider: str, handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """LiteLLM has names of its own for whom it has asked."""
    answer = SimpleNamespace(**ANSWER, _hidden_params={"custom_llm_provider": said})

    llm(lambda prompt: answer).with_config(callbacks=[handler])("1 + 2?")

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
