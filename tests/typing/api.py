"""User code that must pass a type checker: read by mypy and pyright, run by nobody.

What must not pass stands here too, with the error that it has to give; a type checker
that no longer gives it calls the comment unused, which is an error as well.
"""

from __future__ import annotations

import io
import logging
from decimal import Decimal
from pathlib import Path

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AnyMessage
from langchain_core.runnables import Runnable, RunnableConfig
from opentelemetry._logs import LoggerProvider
from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace import Span
from typing_extensions import assert_type

import chainspan
from chainspan import (
    ChainspanError,
    ConfigurationError,
    ConsoleHandler,
    ContentPolicy,
    ModelCall,
    OtelHandler,
    RunKind,
    Usage,
    configure,
    current_span,
    messages_from_span,
    record_evaluation,
    span_of,
    traced_embeddings,
)


def pass_handlers(chain: Runnable[str, str]) -> None:
    """Handlers are accepted wherever LangChain takes callbacks."""
    config: RunnableConfig = {"callbacks": [OtelHandler(), ConsoleHandler()]}
    chain.invoke("x", config=config)
    chain.invoke("x", {"callbacks": [OtelHandler()]})
    chain.with_config(callbacks=[ConsoleHandler()]).invoke("x")
    FakeListChatModel(responses=["y"], callbacks=[OtelHandler()])
    handler: BaseCallbackHandler = OtelHandler()
    del handler


def build_pipelines(processor: SpanProcessor, exporter: SpanExporter, provider: TracerProvider) -> None:
    """A handler takes processors and exporters, as many as wanted, or a provider."""
    OtelHandler(processor)
    OtelHandler(exporter, BatchSpanProcessor(ConsoleSpanExporter()))
    OtelHandler(tracer_provider=provider)
    OtelHandler("http://localhost:4318")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def tell_more(meters: MeterProvider, logs: LoggerProvider, span: Span) -> None:
    """A handler takes providers of metrics and logs, and a price by a function of a call."""

    def price(call: ModelCall) -> float | None:
        return None if call.usage.input_tokens is None else call.usage.input_tokens * 1e-6

    OtelHandler(price=price, events=True, meter_provider=meters, logger_provider=logs)
    OtelHandler(metrics=False, price=lambda call: Decimal(call.usage.output_tokens or 0))
    OtelHandler(price=lambda call: call.model)  # type: ignore[arg-type,return-value]  # pyright: ignore[reportArgumentType]
    record_evaluation("relevance", score=1, span=span)
    record_evaluation("relevance", label="good", span=span.get_span_context(), logger_provider=logs)


def print_to() -> None:
    """The console writes to a stream, a path, a logger or a callable."""
    ConsoleHandler(io.StringIO(), color=True)
    ConsoleHandler(to=Path("trace.txt"))
    ConsoleHandler(to=logging.getLogger("trace"))
    ConsoleHandler(to=lambda text: None)
    ConsoleHandler(color="always")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def use_as_context() -> None:
    """A handler is its own context manager, and its flush says whether all was sent."""
    with OtelHandler() as handler:
        assert_type(handler, OtelHandler)
    with ConsoleHandler() as console:
        assert_type(console, ConsoleHandler)
    if not handler.flush(timeout_s=1.0):
        raise TimeoutError


def ask_for_spans() -> None:
    """A span that was asked for has OpenTelemetry's own type."""
    assert_type(current_span(), Span)


def read_vocabulary(usage: Usage, error: ConfigurationError) -> ChainspanError:
    """The vocabulary is typed to the last field."""
    assert_type(usage.input_tokens, int | None)
    assert_type(RunKind("tool"), RunKind)
    assert_type(error.expected, str)
    return error


def wrap_embeddings(embeddings: Embeddings) -> None:
    """Traced embeddings are embeddings, and a span's messages are LangChain's."""
    assert_type(traced_embeddings(embeddings, callbacks=[OtelHandler()]), Embeddings)
    assert_type(messages_from_span(current_span()), list[AnyMessage])


def misspell() -> None:
    """A name that is not public is an error, although names are loaded lazily."""
    _ = chainspan.OtelHandlr  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


__all__ = ["ContentPolicy", "configure", "span_of"]
