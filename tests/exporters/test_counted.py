"""A trace's tokens add up to the truth with a provider's own instrumentation switched on (pains #7)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig, RunnableLambda
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests._warnings import STRICT

from chainspan import OtelHandler
from chainspan._batching import BatchingProcessor
from chainspan._feeding import DirectProcessor, processor_for
from chainspan.exporters import counted_once, otlp, spool

from ._asked import Asked
from ._otlp_server import OtlpServer
from ._tokens import attributes_of, spent

USED = UsageMetadata(input_tokens=5, output_tokens=3, total_tokens=8)
TRUTH = (10, 6)  # of two calls

# What each library's instrumentation of a provider says of such a call.
LIBRARIES: Mapping[str, Mapping[str, Any]] = {
    "opentelemetry.instrumentation.openai_v2": {
        "gen_ai.operation.name": "chat",
        "gen_ai.usage.input_tokens": 5,
        "gen_ai.usage.output_tokens": 3,
    },
    "opentelemetry.instrumentation.openai.v1": {  # OpenLLMetry's
        "gen_ai.operation.name": "chat",
        "gen_ai.usage.input_tokens": 5,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.total_tokens": 8,
    },
    "opentelemetry.instrumentation.anthropic": {  # OpenLLMetry's, of a stream
        "gen_ai.operation.name": "chat",
        "gen_ai.usage.input_tokens": 0,
        "gen_ai.usage.output_tokens": 0,
    },
    "openinference.instrumentation.openai": {
        "openinference.span.kind": "LLM",
        "llm.token_count.prompt": 5,
        "llm.token_count.completion": 3,
        "llm.token_count.total": 8,
    },
}


class Instrumented(BaseChatModel):
    """A model whose client makes spans of its own."""

    library: str
    tracer: Any

    @property
    def _llm_type(self) -> str:
        return "instrumented"

    def _call(self) -> AIMessage:
        with self.tracer.start_as_current_span("client", attributes=LIBRARIES[self.library]):
            return AIMessage("yes", usage_metadata=USED)

    def _chunk(self) -> ChatGenerationChunk:
        return ChatGenerationChunk(message=AIMessageChunk(content="yes", usage_metadata=self._call().usage_metadata))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._call())])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        await asyncio.sleep(0)
        return ChatResult(generations=[ChatGeneration(message=self._call())])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        yield self._chunk()

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        await asyncio.sleep(0)
        yield self._chunk()


def by_invoke(model: BaseChatModel, config: RunnableConfig) -> None:
    """Call it twice, once below a chain, the second time below a span of the application's."""
    RunnableLambda(model.invoke).invoke("?", config)
    model.invoke("?", config)


def by_ainvoke(model: BaseChatModel, config: RunnableConfig) -> None:
    """Call it twice in a loop, at the same time."""

    async def main() -> None:
        await asyncio.gather(model.ainvoke("?", config), model.ainvoke("?", config))

    asyncio.run(main())


def by_stream(model: BaseChatModel, config: RunnableConfig) -> None:
    """Stream it twice, one stream after another."""
    for _ in range(2):
        assert "".join(chunk.text for chunk in model.stream("?", config)) == "yes"


def by_astream(model: BaseChatModel, config: RunnableConfig) -> None:
    """Stream it twice in a loop, chunks in turn."""

    async def read() -> None:
        async for _ in model.astream("?", config):
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(read(), read())

    asyncio.run(main())


WAYS = [by_invoke, by_ainvoke, by_stream, by_astream]
Way = Callable[[BaseChatModel, RunnableConfig], None]


def run(way: Way, library: str, processor: SpanProcessor, **options: Any) -> None:
    """Run a model with another library's spans below it, all to one processor."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    with OtelHandler(tracer_provider=provider, **options) as handler:
        way(Instrumented(library=library, tracer=provider.get_tracer(library)), {"callbacks": [handler]})
    provider.force_flush()


def attributes(spans: Iterable[ReadableSpan]) -> list[dict[str, Any]]:
    """Return each span's attributes."""
    return [dict(span.attributes or {}) for span in spans]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("feed", [SimpleSpanProcessor, BatchSpanProcessor, BatchingProcessor])
def test_tokens_add_up_to_the_truth(feed: Callable[[SpanExporter], SpanProcessor], way: Way, library: str) -> None:
    """Whichever library counts too, however the model is called and the spans are batched: once."""
    memory = InMemorySpanExporter()
    processor = feed(counted_once(memory))

    run(way, library, processor)
    left = attributes(memory.get_finished_spans())
    processor.shutdown()

    assert len(left) >= 4
    assert spent(left) == TRUTH


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("profile", ["latest", "openinference"])
def test_every_profile_counts_once(profile: str, library: str) -> None:
    """The names that we write, and those that the other library writes, need not be the same."""
    memory = InMemorySpanExporter()

    run(by_invoke, library, SimpleSpanProcessor(counted_once(memory)), profile=profile)

    assert spent(attributes(memory.get_finished_spans())) == TRUTH


def test_without_it_tokens_count_twice() -> None:
    """The model above is what it is said to be: two libraries count it, so that others add up both."""
    memory = InMemorySpanExporter()

    run(by_invoke, "opentelemetry.instrumentation.openai_v2", SimpleSpanProcessor(memory))

    assert spent(attributes(memory.get_finished_spans())) == (20, 12)


@pytest.mark.parametrize("way", WAYS)
def test_spans_in_a_spool_are_counted_once(server: OtlpServer, tmp_path: Path, way: Way) -> None:
    """A spool gets each span as it ends, is as durable as before, and what arrives is the truth."""
    exporter = spool(tmp_path, to=otlp(server.url))
    processor = processor_for(counted_once(exporter))

    run(way, "openinference.instrumentation.openai", processor)
    delivery = processor.flush(10)
    processor.close(2)

    assert isinstance(processor, DirectProcessor)
    assert (delivery.delivered, bool(delivery)) == (len(server.spans), True)
    assert spent(map(attributes_of, server.spans)) == TRUTH


@pytest.mark.parametrize("way", WAYS)
def test_spans_over_otlp_are_counted_once(server: OtlpServer, way: Way) -> None:
    """Under our own processor the exporter goes on to say what arrived, with the endpoint's name in the log."""
    exporter = otlp(server.url)
    wrapped = counted_once(exporter)
    processor = processor_for(wrapped)

    run(way, "opentelemetry.instrumentation.openai_v2", processor)
    delivery = processor.flush(10)
    processor.close(2)

    assert getattr(wrapped, "outage", None) is exporter.outage
    assert (delivery.delivered, bool(delivery)) == (len(server.spans), True)
    assert spent(map(attributes_of, server.spans)) == TRUTH


def test_one_exporter_is_enough() -> None:
    """What counts once already is returned as it is, and another's class keeps its name for the log."""
    exporter = counted_once(InMemorySpanExporter())

    assert counted_once(exporter) is exporter
    assert type(exporter).__name__ == "InMemorySpanExporter"


def test_flush_and_shutdown_are_passed_on() -> None:
    """The exporter behind is flushed and shut down, and its answer is handed back."""
    asked = Asked()
    exporter = counted_once(asked)

    answer = exporter.force_flush(5)
    exporter.shutdown()

    assert (answer, asked.asked) == (False, ["flush 5", "shutdown"])


PROGRAM = """
    import chainspan
    from langchain_core.messages import AIMessage
    from opentelemetry import trace

    chainspan.configure({arguments})
    theirs = trace.get_tracer("opentelemetry.instrumentation.openai_v2")

    @chainspan.llm
    def ask(question):
        with theirs.start_as_current_span("client") as span:
            span.set_attribute("gen_ai.usage.input_tokens", 5)
            span.set_attribute("gen_ai.usage.output_tokens", 3)
        usage = {{"input_tokens": 5, "output_tokens": 3, "total_tokens": 8}}
        return AIMessage("yes", usage_metadata=usage)

    ask.invoke("?", callbacks=[chainspan.OtelHandler()])
    print(chainspan.flush(10))
"""


@pytest.mark.parametrize("spooled", [False, True], ids=["memory", "spool"])
def test_what_configure_sets_up_counts_once(server: OtlpServer, tmp_path: Path, spooled: bool) -> None:
    """One call sets up a pipeline in which another library's tokens are not added to ours."""
    arguments = f"spool={str(tmp_path)!r}, metrics=False" if spooled else "metrics=False"

    done = subprocess.run(
        [sys.executable, *STRICT, "-c", textwrap.dedent(PROGRAM.format(arguments=arguments))],
        capture_output=True,
        text=True,
        env={"PATH": "", "OTEL_EXPORTER_OTLP_ENDPOINT": server.url},
        timeout=50,
        check=False,
    )

    assert done.stderr == ""
    assert done.stdout == "Delivery(delivered=2, pending=0, rejected=0, dropped=0, unverified=())\n"
    assert spent(map(attributes_of, server.spans)) == (5, 3)
    assert [attributes_of(span).get("chainspan.usage.input_tokens") for span in server.spans] == [None, 5]


FORKING = """
    import os, threading
    from chainspan.exporters._tally import Tally

    tally = Tally()
    held = threading.Event()

    def hold():
        with tally._lock:
            held.set()
            threading.Event().wait(30)

    threading.Thread(target=hold, daemon=True).start()
    held.wait()
    child = os.fork()
    if child == 0:
        tally.settled([])
        os._exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_child_waits_for_no_thread_of_its_parent() -> None:
    """A fork while another thread is at work leaves the child a lock of its own."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FORKING)], capture_output=True, text=True, timeout=20, check=False
    )

    assert (done.stdout, done.returncode) == ("7\n", 0)
