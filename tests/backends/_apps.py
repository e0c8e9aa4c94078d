"""The applications whose traces go to every backend, and what was sent of them, span by span."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import uuid4

import pytest
from langchain.agents import create_agent
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolCall
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chainspan import ContentPolicy, OtelHandler
from chainspan._feeding import processor_for
from chainspan.exporters._otlp import otlp

__all__ = ["APPLICATIONS", "HTTP", "Sent", "Wire", "ask", "by_id", "tracing"]

Wire = Literal["http/protobuf", "grpc"]
HTTP: Wire = "http/protobuf"
Spans = dict[str, Span]
"""Spans by their ids in hex, with attributes in the order of their names."""

_LONG = " ".join(f"Satz {number}: größer als die meisten Grenzen, 限界を超える." for number in range(1_800))
_UNICODE = "Grüße an 世界 🌍🏽: שלום \N{RIGHT-TO-LEFT MARK} a\u0301 \x00\x07 \ud800 \N{LINE SEPARATOR} \uffff"
_TOOL_CALL = ToolCall(name="weather", args={"city": "東京"}, id="call_1")


class _Model(GenericFakeChatModel):
    """Answers from a script, and takes tools."""

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self


def _model(*answers: str | AIMessage) -> _Model:
    usage = {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18}
    messages = [answer if isinstance(answer, AIMessage) else AIMessage(answer) for answer in answers]
    for message in messages:
        message.usage_metadata = usage  # type: ignore[assignment]
        message.response_metadata = {"model_name": "scripted-1", "finish_reason": "stop"}
    return _Model(messages=iter(messages))


@tool
def weather(city: str) -> str:
    """Tell the weather."""
    return f"20 °C in {city}"


def ask(text: str, answer: str, config: Any) -> None:
    """Have a chain of a prompt, a model and a parser answer."""
    chain = ChatPromptTemplate.from_messages([("system", "Be brief."), ("user", "{text}")]) | _model(answer)
    (chain | StrOutputParser()).invoke({"text": text}, config)


def _chain(config: Any) -> None:
    ask("What is the weather?", "Twenty degrees.", config)


def _agent(config: Any) -> None:
    model = _model(AIMessage("", tool_calls=[_TOOL_CALL]), "Zwanzig Grad.")
    agent: Any = create_agent(model, [weather], name="helper")
    agent.invoke({"messages": [("user", "Wie ist das Wetter in 東京?")]}, config)


def _error(config: Any) -> None:
    def fail(_: object) -> None:
        raise ValueError("No such city: Ñandú")

    with pytest.raises(ValueError, match="No such city"):
        (RunnableLambda(str).with_config(run_name="read") | RunnableLambda(fail)).invoke(1, config)


def _interrupt(config: Any) -> None:
    def approve(_: MessagesState) -> Any:
        interrupt({"question": "Send it?"})

    graph: Any = StateGraph(MessagesState)
    graph.add_node("approve", approve)
    graph.add_edge(START, "approve")
    app = graph.compile(checkpointer=InMemorySaver(), name="approval")
    app.invoke({"messages": [("user", "Send it.")]}, {**config, "configurable": {"thread_id": "thread-1"}})


APPLICATIONS: Mapping[str, Callable[[Any], None]] = {
    "chain": _chain,
    "agent": _agent,
    "error": _error,
    "interrupt": _interrupt,
    "100 KB prompt": lambda config: ask(_LONG, "Too long.", config),
    "non-ASCII": lambda config: ask(_UNICODE, _UNICODE, config),
}


@dataclass
class Sent:
    """A service, its provider, and the spans that it ended.

    Attributes:
        service: A name that no other test's service has, which is also Phoenix's project.
        provider: Where its spans come from.
        delivered: Whether the flush at the end says that they arrived.
    """

    service: str
    provider: TracerProvider
    memory: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    delivered: bool = False

    @property
    def spans(self) -> Spans:
        """What was sent, as OpenTelemetry's own encoder puts it."""
        return by_id(span for trace in self.traces().values() for span in _encoded(trace))

    def traces(self) -> dict[str, list[ReadableSpan]]:
        """The finished spans by the ids of their traces."""
        traces: dict[str, list[ReadableSpan]] = {}
        for span in self.memory.get_finished_spans():
            assert span.context
            traces.setdefault(f"{span.context.trace_id:032x}", []).append(span)
        return traces


class _ByTurns(SpanProcessor):
    """Hands each finished span to the next of several processors."""

    def __init__(self, processors: Sequence[SpanProcessor]) -> None:
        self._next = itertools.cycle(processors)

    def on_end(self, span: ReadableSpan) -> None:
        next(self._next).on_end(span)


@contextmanager
def tracing(
    *endpoints: str,
    wire: Wire = HTTP,
    timeout_s: float = 20.0,
    keep: bool = False,
    content: bool | ContentPolicy = True,
) -> Iterator[tuple[Sent, OtelHandler]]:
    """Give a handler that sends with content, and what it sends; flush at the end.

    Args:
        endpoints: Where to, by turns.
        wire: How.
        timeout_s: How long the flush may take.
        keep: Whether the service asks that all of its traces be kept.
        content: What is recorded of prompts and answers.
    """
    service = f"chainspan-test-{uuid4().hex[:12]}"
    named = {"service.name": service, "openinference.project.name": service}
    resource = Resource({**named, "chainspan.keep": True} if keep else named)
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    sent = Sent(service, provider)
    exporters = [processor_for(otlp(endpoint, protocol=wire)) for endpoint in endpoints]
    for processor in (_ByTurns(exporters), SimpleSpanProcessor(sent.memory)):
        provider.add_span_processor(processor)
    try:
        yield sent, OtelHandler(tracer_provider=provider, content=content)
        sent.delivered = all(exporter.force_flush(int(timeout_s * 1000)) for exporter in exporters)
    finally:
        for exporter in exporters:
            exporter.shutdown()


def by_id(spans: Iterator[Span]) -> Spans:
    """Return spans by their ids, in a form that two encodings of one span share."""
    return {span.span_id.hex(): _in_order(span) for span in spans}


def _encoded(spans: list[ReadableSpan]) -> Iterator[Span]:
    for resource in encode_spans(spans).resource_spans:
        for scope in resource.scope_spans:
            yield from scope.spans


def _in_order(span: Span) -> Span:
    copy = Span()
    copy.CopyFrom(span)
    holders: list[Any] = [copy, *copy.events, *copy.links]
    for holder in holders:
        holder.attributes.sort(key=lambda attribute: attribute.key)
    return copy
