"""LiteLLM, which answers for many providers in OpenAI's form, against the stand-in."""

# ruff: noqa: E501 - attributes as they are

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from examples.provider_stub import ProviderStub
from inline_snapshot import snapshot
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chainspan import OtelHandler, llm

TELL = (
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "gen_ai.response.finish_reasons",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.output.messages",
)


@pytest.fixture
def completion(monkeypatch: pytest.MonkeyPatch, handler: OtelHandler) -> Any:
    """LiteLLM's function, decorated; told to look nothing up elsewhere."""
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    # It asks for an older openai than the other clients' tests run with, hence is not in their group.
    litellm = pytest.importorskip("litellm", reason="install litellm beside the group `test`")
    # It runs its own hooks in the thread's event loop. Where no test before had one, asyncio would make it
    # one that nobody closes; told that there is none, it makes its own and closes that.
    asyncio.set_event_loop(None)
    return llm(litellm.completion).with_config(callbacks=[handler])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_completion(completion: Any, memory: InMemorySpanExporter, stream: bool) -> None:
    """A whole answer and a stream say the same, and who has really answered."""
    asked = [{"role": "user", "content": "What is 1 + 2?"}]
    options = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}

    with ProviderStub() as stub:
        said = completion("openai/gpt-9", asked, api_base=f"{stub.url}/v1", api_key="none", **options)
        pieces = [*said] if stream else []

    (span,) = memory.get_finished_spans()
    attributes = dict(span.attributes or {})
    assert len(pieces) > 2 or not stream
    assert {key: attributes[key] for key in TELL if key in attributes} == snapshot(
        {
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "openai/gpt-9",
            "gen_ai.response.model": "gpt-9",
            "gen_ai.response.finish_reasons": ("stop",),
            "gen_ai.usage.input_tokens": 5,
            "gen_ai.usage.output_tokens": 5,
            "gen_ai.output.messages": '[{"role":"assistant","parts":[{"type":"text","content":"1 + 2 = 3"}],"finish_reason":"stop"}]',
        }
    )
