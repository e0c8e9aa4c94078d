"""User code that must pass a type checker: read by mypy and pyright, run by nobody.

What must not pass stands here too, with the error that it has to give; a type checker
that no longer gives it calls the comment unused, which is an error as well.
"""

from __future__ import annotations

import io
import logging
from pathlib import Path

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import FakeListChatModel
from langchain_core.runnables import Runnable, RunnableConfig
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
    OtelHandler,
    RunKind,
    Usage,
    configure,
    current_span,
    span_of,
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
    OtelHandler("http://localhost:4318")  # type: ignore[arg-type]


def print_to() -> None:
    """The console writes to a stream, a path, a logger or a callable."""
    ConsoleHandler(io.StringIO(), color=True)
    ConsoleHandler(to=Path("trace.txt"))
    ConsoleHandler(to=logging.getLogger("trace"))
    ConsoleHandler(to=lambda text: None)
    ConsoleHandler(color="always")  # type: ignore[arg-type]


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


def misspell() -> None:
    """A name that is not public is an error, although names are loaded lazily."""
    _ = chainspan.OtelHandlr  # type: ignore[attr-defined]


__all__ = ["ContentPolicy", "configure", "span_of"]
