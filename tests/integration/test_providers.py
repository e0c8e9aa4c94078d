"""The providers' real client libraries against a server that speaks their wire format.

The HTTP calls are traced by OpenTelemetry's own instrumentation. The providers' newer
clients are built on httpx2, which has an instrumentor of its own beside the one for httpx
in the same package; an application that does not know which its clients use turns on both.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from examples.provider_stub import ProviderStub
from inline_snapshot import snapshot
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_openai import ChatOpenAI
from opentelemetry import trace
from opentelemetry.instrumentation import httpx as httpx_instrumentation
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from chainspan import OtelHandler

Chain = Runnable[dict[str, str], str]
Mode = Callable[[Chain, RunnableConfig], Awaitable[str]]


@pytest.fixture
def stub() -> Iterator[ProviderStub]:
    """A provider on this machine."""
    with ProviderStub() as provider:
        yield provider


@pytest.fixture
def memory() -> InMemorySpanExporter:
    """What the provider of the test exports to."""
    return InMemorySpanExporter()


@pytest.fixture
def provider(memory: InMemorySpanExporter) -> Iterator[TracerProvider]:
    """A TracerProvider that the HTTP clients' instrumentation uses as well."""
    tracer_provider = TracerProvider()
    tracer_provider.add_span_processor(SimpleSpanProcessor(memory))
    names = ("HTTPXClientInstrumentor", "HTTPX2ClientInstrumentor")
    instrumentors = [getattr(httpx_instrumentation, name)() for name in names if hasattr(httpx_instrumentation, name)]
    for each in instrumentors:
        each.instrument(tracer_provider=tracer_provider)
    yield tracer_provider
    for each in instrumentors:
        each.uninstrument()
    tracer_provider.shutdown()


@pytest.fixture
def config(provider: TracerProvider) -> RunnableConfig:
    """The config that a user passes when invoking."""
    return {"callbacks": [OtelHandler(tracer_provider=provider)]}


def anthropic(stub: ProviderStub, **more: Any) -> BaseChatModel:
    """Return the real Anthropic model, which talks to the stub."""
    options: dict[str, Any] = {"model": "claude-sonnet-5-5", "base_url": stub.url, "api_key": "none", "max_retries": 0}
    return ChatAnthropic(**options | more)


def openai(stub: ProviderStub, **more: Any) -> BaseChatModel:
    """Return the real OpenAI model, which talks to the stub."""
    options: dict[str, Any] = {
        "model": "gpt-4o-mini",
        "base_url": f"{stub.url}/v1",
        "api_key": "none",
        "max_retries": 0,
    }
    return ChatOpenAI(**options | {"stream_usage": True} | more)


def sum_chain(model: BaseChatModel) -> Chain:
    """Return the chain of the README with a parser behind it."""
    return ChatPromptTemplate.from_template("What is 1 + {number}?") | model | StrOutputParser()


async def invoke(chain: Chain, config: RunnableConfig) -> str:
    """Call the chain."""
    return chain.invoke({"number": "2"}, config)


async def ainvoke(chain: Chain, config: RunnableConfig) -> str:
    """Await the chain."""
    return await chain.ainvoke({"number": "2"}, config)


async def stream(chain: Chain, config: RunnableConfig) -> str:
    """Read the chain's stream to its end."""
    return "".join(chain.stream({"number": "2"}, config))


async def astream(chain: Chain, config: RunnableConfig) -> str:
    """Read the chain's asynchronous stream to its end."""
    chunks: AsyncIterator[str] = chain.astream({"number": "2"}, config)
    return "".join([chunk async for chunk in chunks])


def describe(span: ReadableSpan) -> str:
    """Return a span's line in the tree: its name, its kind, and how it failed."""
    failed = span.status.status_code is StatusCode.ERROR
    error_type = (span.attributes or {}).get("error.type", "")
    return f"{span.name} {span.kind.name} {'ERROR' if failed else ''} {error_type}".rstrip()


def tree(memory: InMemorySpanExporter) -> str:
    """Return the finished spans as text, each below its parent, in the order of their start."""
    spans = sorted(memory.get_finished_spans(), key=lambda span: span.start_time or 0)

    def lines(parent: int | None, depth: int) -> Iterator[str]:
        for span in spans:
            if (span.parent.span_id if span.parent else None) == parent:
                yield "  " * depth + describe(span)
                yield from lines(span.context.span_id, depth + 1)

    return "\n".join(lines(None, 0))


def named(memory: InMemorySpanExporter, name: str) -> ReadableSpan:
    """Return the span of this name."""
    [span] = [span for span in memory.get_finished_spans() if span.name == name]
    return span


MODES = pytest.mark.parametrize("mode", [invoke, ainvoke, stream, astream])


@MODES
async def test_http_call_of_anthropic_is_a_child_of_the_model(
    mode: Mode, stub: ProviderStub, memory: InMemorySpanExporter, config: RunnableConfig
) -> None:
    """Whole or streamed, sync or async, the POST stands below the model's span."""
    answer = await mode(sum_chain(anthropic(stub)), config)

    assert answer == "1 + 2 = 3"
    assert tree(memory) == snapshot("""\
RunnableSequence INTERNAL
  ChatPromptTemplate INTERNAL
  chat claude-sonnet-5-5 CLIENT
    POST CLIENT
  StrOutputParser INTERNAL\
""")


@MODES
async def test_http_call_of_openai_is_a_child_of_the_model(
    mode: Mode, stub: ProviderStub, memory: InMemorySpanExporter, config: RunnableConfig
) -> None:
    """Whole or streamed, sync or async, the POST stands below the model's span."""
    answer = await mode(sum_chain(openai(stub)), config)

    assert answer == "1 + 2 = 3"
    assert tree(memory) == snapshot("""\
RunnableSequence INTERNAL
  ChatPromptTemplate INTERNAL
  chat gpt-4o-mini CLIENT
    POST CLIENT
  StrOutputParser INTERNAL\
""")


@MODES
@pytest.mark.parametrize(
    ("model", "attributes"),
    [
        (
            anthropic,
            snapshot(
                {
                    "gen_ai.provider.name": "anthropic",
                    "gen_ai.request.model": "claude-sonnet-5-5",
                    "server.address": "127.0.0.1",
                    "server.port": "PORT",
                    "gen_ai.response.model": "claude-sonnet-5-5",
                    "gen_ai.response.finish_reasons": ("stop",),
                    "gen_ai.usage.input_tokens": 5,
                    "gen_ai.usage.output_tokens": 5,
                }
            ),
        ),
        (
            openai,
            snapshot(
                {
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o-mini",
                    "server.address": "127.0.0.1",
                    "server.port": "PORT",
                    "gen_ai.response.model": "gpt-4o-mini",
                    "gen_ai.response.finish_reasons": ("stop",),
                    "gen_ai.usage.input_tokens": 5,
                    "gen_ai.usage.output_tokens": 5,
                }
            ),
        ),
    ],
)
async def test_model_span_says_what_the_provider_answered(
    mode: Mode,
    model: Callable[[ProviderStub], BaseChatModel],
    attributes: dict[str, object],
    stub: ProviderStub,
    memory: InMemorySpanExporter,
    config: RunnableConfig,
) -> None:
    """Model, reason to stop and usage are the same in every mode."""
    await mode(sum_chain(model(stub)), config)

    [span] = [span for span in memory.get_finished_spans() if span.name.startswith("chat ")]
    said = {
        key: value
        for key, value in (span.attributes or {}).items()
        if key.startswith(("gen_ai.response.", "gen_ai.usage.", "gen_ai.provider", "server.", "gen_ai.request.model"))
    }
    for of_some_modes in ("gen_ai.response.id", "gen_ai.response.time_to_first_chunk"):
        said.pop(of_some_modes, None)  # LangChain keeps the id of whole answers only
    assert {**said, "server.port": "PORT"} == attributes


@MODES
async def test_trace_context_reaches_the_provider(
    mode: Mode, stub: ProviderStub, memory: InMemorySpanExporter, config: RunnableConfig
) -> None:
    """The request carries the ids of the HTTP span, in the trace of the chain."""
    await mode(sum_chain(openai(stub)), config)

    post = named(memory, "POST")
    carried = stub.requests[0].headers["traceparent"].split("-")
    assert carried[1:3] == [f"{post.context.trace_id:032x}", f"{post.context.span_id:016x}"]


@MODES
@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            anthropic,
            snapshot("""\
RunnableSequence INTERNAL ERROR langchain_anthropic.chat_models.AnthropicOverloadedError
  ChatPromptTemplate INTERNAL
  chat claude-sonnet-5-5 CLIENT ERROR langchain_anthropic.chat_models.AnthropicOverloadedError
    POST CLIENT ERROR\
"""),
        ),
        (
            openai,
            snapshot("""\
RunnableSequence INTERNAL ERROR langchain_openai.chat_models.base.OpenAIAPIError
  ChatPromptTemplate INTERNAL
  chat gpt-4o-mini CLIENT ERROR langchain_openai.chat_models.base.OpenAIAPIError
    POST CLIENT ERROR\
"""),
        ),
    ],
)
async def test_refusal_is_an_error_all_the_way_up(
    mode: Mode,
    model: Callable[[ProviderStub], BaseChatModel],
    expected: str,
    stub: ProviderStub,
    memory: InMemorySpanExporter,
    config: RunnableConfig,
) -> None:
    """An overloaded provider's answer raises, and each span that it passed says so."""
    stub.refusals.append(529)

    with pytest.raises(Exception, match="529"):
        await mode(sum_chain(model(stub)), config)

    assert tree(memory) == expected


@MODES
async def test_retries_of_the_sdk_stand_below_one_model_span(
    mode: Mode, stub: ProviderStub, memory: InMemorySpanExporter, config: RunnableConfig
) -> None:
    """The SDK repeats a request by itself: two POSTs, one model call."""
    stub.refusals.append(429)

    await mode(sum_chain(openai(stub, max_retries=1)), config)

    assert tree(memory) == snapshot("""\
RunnableSequence INTERNAL
  ChatPromptTemplate INTERNAL
  chat gpt-4o-mini CLIENT
    POST CLIENT ERROR
    POST CLIENT
  StrOutputParser INTERNAL\
""")


@pytest.mark.parametrize("mode", [stream, astream])
@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            anthropic,
            snapshot("""\
RunnableSequence INTERNAL ERROR httpx2.RemoteProtocolError
  ChatPromptTemplate INTERNAL
  chat claude-sonnet-5-5 CLIENT ERROR httpx2.RemoteProtocolError
    POST CLIENT
  StrOutputParser INTERNAL ERROR httpx2.RemoteProtocolError\
"""),
        ),
        (
            openai,
            snapshot("""\
RunnableSequence INTERNAL ERROR langchain_openai.chat_models.base.OpenAIConnectionError
  ChatPromptTemplate INTERNAL
  chat gpt-4o-mini CLIENT ERROR langchain_openai.chat_models.base.OpenAIConnectionError
    POST CLIENT
  StrOutputParser INTERNAL ERROR langchain_openai.chat_models.base.OpenAIConnectionError\
"""),
        ),
    ],
)
async def test_broken_stream_is_an_error_of_the_model(
    mode: Mode,
    model: Callable[[ProviderStub], BaseChatModel],
    expected: str,
    stub: ProviderStub,
    memory: InMemorySpanExporter,
    config: RunnableConfig,
) -> None:
    """The connection ends amid the answer: the HTTP call was fine, the model's run was not."""
    stub.break_after = 5

    with pytest.raises(Exception, match=r"peer closed connection|Connection error"):
        await mode(sum_chain(model(stub)), config)

    assert tree(memory) == expected


async def test_two_calls_at_once_are_two_traces(
    stub: ProviderStub, memory: InMemorySpanExporter, config: RunnableConfig
) -> None:
    """A batch runs in threads, and each POST finds its own model."""
    stub.delay_s = 0.05

    await sum_chain(anthropic(stub)).abatch([{"number": "1"}, {"number": "2"}], config)
    sum_chain(openai(stub)).batch([{"number": "1"}, {"number": "2"}], config)

    assert tree(memory) == snapshot("""\
RunnableSequence INTERNAL
  ChatPromptTemplate INTERNAL
  chat claude-sonnet-5-5 CLIENT
    POST CLIENT
  StrOutputParser INTERNAL
RunnableSequence INTERNAL
  ChatPromptTemplate INTERNAL
  chat claude-sonnet-5-5 CLIENT
    POST CLIENT
  StrOutputParser INTERNAL
RunnableSequence INTERNAL
  ChatPromptTemplate INTERNAL
  chat gpt-4o-mini CLIENT
    POST CLIENT
  StrOutputParser INTERNAL
RunnableSequence INTERNAL
  ChatPromptTemplate INTERNAL
  chat gpt-4o-mini CLIENT
    POST CLIENT
  StrOutputParser INTERNAL\
""")


def test_own_span_of_the_sdk_stands_between_the_model_and_the_http_call(
    monkeypatch: pytest.MonkeyPatch, stub: ProviderStub, memory: InMemorySpanExporter, provider: TracerProvider
) -> None:
    """The Anthropic SDK makes a span a call where there is a global provider; it joins the tree."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)

    sum_chain(anthropic(stub)).invoke({"number": "2"}, {"callbacks": [OtelHandler()]})

    assert tree(memory) == snapshot("""\
RunnableSequence INTERNAL
  ChatPromptTemplate INTERNAL
  chat claude-sonnet-5-5 CLIENT
    anthropic.messages.create CLIENT
      POST CLIENT
  StrOutputParser INTERNAL\
""")
