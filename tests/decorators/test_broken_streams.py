"""Streams of the providers' real clients that are broken off: each ends its run, and lets go of its connection."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from typing import Any

import anthropic
import boto3  # type: ignore[import-untyped]  # has none
import openai
import pytest
from examples.provider_stub import ProviderStub
from google import genai
from mistralai.client import Mistral
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chainspan import OtelHandler, llm

from ._wire import google_and_amazon

SAID: list[Any] = [{"role": "user", "content": "What is 1 + 2?"}]

Stream = Callable[[], Any]


@pytest.fixture
def streams(handler: OtelHandler) -> Iterator[dict[str, Stream]]:
    """Each provider's client, asked for a stream."""
    with ExitStack() as stack:
        stub = stack.enter_context(ProviderStub())
        cloud = stack.enter_context(google_and_amazon())
        gpt = stack.enter_context(openai.OpenAI(base_url=f"{stub.url}/v1", api_key="none"))
        claude = stack.enter_context(anthropic.Anthropic(base_url=stub.url, api_key="none"))
        gemini = stack.enter_context(genai.Client(api_key="none", http_options={"base_url": cloud}))
        mistral = stack.enter_context(Mistral(api_key="none", server_url=stub.url))
        keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
        bedrock = boto3.client("bedrock-runtime", endpoint_url=cloud, region_name="eu-west-1", **keys)

        def traced(method: Any, **given: Any) -> Stream:
            step = llm(method).with_config(callbacks=[handler])
            return lambda: step(**given)

        converse = traced(bedrock.converse_stream, modelId="m", messages=[{"role": "user", "content": [{"text": "a"}]}])
        yield {
            "openai": traced(gpt.chat.completions.create, model="m", messages=SAID, stream=True),
            "anthropic": traced(claude.messages.create, model="m", max_tokens=9, messages=SAID, stream=True),
            "google": traced(gemini.models.generate_content_stream, model="m", contents="a"),
            "mistral": traced(mistral.chat.stream, model="m", messages=SAID),
            "bedrock": lambda: converse()["stream"],
        }


def outcomes(memory: InMemorySpanExporter) -> list[object]:
    """Return how the runs ended."""
    return [dict(span.attributes or {}).get("chainspan.run.outcome", "ok") for span in memory.get_finished_spans()]


def by_close(stream: Any) -> None:
    """Close a stream; Mistral's has no method for it."""
    stream.close() if hasattr(stream, "close") else stream.__exit__(None, None, None)


def by_with(stream: Any) -> None:
    """Raise inside the ``with`` of a stream, or of what closes it where it has none, as Google's."""
    with suppress(KeyError), stream if hasattr(stream, "__exit__") else closing(stream):
        raise KeyError


def by_dropping(stream: Any) -> None:
    """Forget a stream: the caller does."""


@pytest.mark.parametrize("leave", [by_close, by_with, by_dropping])
@pytest.mark.parametrize("provider", ["openai", "anthropic", "google", "mistral", "bedrock"])
def test_broken_off(
    streams: dict[str, Stream], provider: str, leave: Callable[[Any], None], memory: InMemorySpanExporter
) -> None:
    """However it is left after its first piece, the run is abandoned, once."""
    stream = streams[provider]()
    next(iter(stream))
    assert outcomes(memory) == []

    leave(stream)
    del stream
    gc.collect()

    assert outcomes(memory) == ["abandoned"]


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google", "mistral", "bedrock"])
def test_read_to_the_end(streams: dict[str, Stream], provider: str, memory: InMemorySpanExporter) -> None:
    """A stream that was read and then closed ended well, once."""
    stream = streams[provider]()
    pieces = [*stream]
    by_close(stream)

    assert len(pieces) > 2
    assert outcomes(memory) == ["ok"]
