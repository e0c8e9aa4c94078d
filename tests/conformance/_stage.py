"""The stage on which a scenario plays: one provider, one handler under test, one recorder of the truth."""

from __future__ import annotations

import importlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tools import BaseTool, StructuredTool
from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.trace import SpanKind
from typing_extensions import override

from ._fakes import FakeChat, FakeLLM, FakeRetriever, Inside, Reply, SyncOnlyChat, SyncOnlyLLM

__all__ = ["Ledger", "Recorder", "Stage", "TrueRun"]


F = TypeVar("F", FakeChat, SyncOnlyChat, FakeLLM, SyncOnlyLLM, FakeRetriever)


def make_handler(provider: TracerProvider) -> Any:
    """Return a handler under test; ``CONFORMANCE_HANDLER=module:factory`` names another one."""
    module, _, name = os.environ.get("CONFORMANCE_HANDLER", "chainspan:OtelHandler").partition(":")
    return getattr(importlib.import_module(module), name)(tracer_provider=provider)


def carry_context(work: Any) -> Any:
    """Wrap a function with chainspan's helper for work in other threads."""
    return importlib.import_module("chainspan._current").carry_context(work)


def span_of(config: Any) -> Any:
    """Return the span of the run that a config was handed to."""
    return importlib.import_module("chainspan._current").span_of(config)


@contextmanager
def attached(context: otel_context.Context) -> Iterator[None]:
    """Have a context in place for a while."""
    token = otel_context.attach(context)
    try:
        yield
    finally:
        otel_context.detach(token)


class Ledger(SpanProcessor):
    """Counts the starts and the ends of each span, and keeps the ended ones."""

    def __init__(self) -> None:
        self.started: Counter[int] = Counter()
        self.ended: Counter[int] = Counter()
        self.names: dict[int, str] = {}
        self.spans: list[ReadableSpan] = []

    @override
    def on_start(self, span: Span, parent_context: Any = None) -> None:
        span_id = _id(span)
        self.started[span_id] += 1
        self.names[span_id] = span.name

    @override
    def on_end(self, span: ReadableSpan) -> None:
        self.ended[_id(span)] += 1
        self.spans.append(span)

    def faults(self) -> list[str]:
        """Return the spans that did not end exactly once."""
        counts = {i: (self.started[i], self.ended[i]) for i in self.started | self.ended}
        return [f"{self.names[i]}: {n[0]} starts, {n[1]} ends" for i, n in counts.items() if n != (1, 1)]


def _id(span: ReadableSpan) -> int:
    return span.context.span_id if span.context else 0


class TrueRun(NamedTuple):
    """A run as LangChain itself reports it."""

    parent: UUID | None
    label: str


class Recorder(BaseCallbackHandler):
    """A handler of the application's own, which also serves as the truth about its runs."""

    def __init__(self, *, inline: bool) -> None:
        self.run_inline = inline
        self.runs: dict[UUID, TrueRun] = {}
        self._events: list[tuple[str, UUID]] = []

    def events(self) -> list[str]:
        """Return what was reported as sorted ``event path`` lines, which no timing can change."""
        return sorted(f"{event} {self._path(run_id)}" for event, run_id in self._events)

    def _path(self, run_id: UUID | None) -> str:
        run = self.runs.get(run_id) if run_id else None
        return f"{self._path(run.parent)}/{run.label}" if run else ""

    def _started(self, kind: str, serialized: Any, run_id: UUID, ids: dict[str, Any]) -> None:
        name = ids.get("name") or (serialized or {}).get("name")
        self.runs[run_id] = TrueRun(ids.get("parent_run_id"), f"{kind}:{name}")
        self._events.append(("start", run_id))

    def _happened(self, event: str, run_id: UUID) -> None:
        self._events.append((event, run_id))

    @override
    def on_chain_start(self, serialized: Any, inputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        self._started(kwargs.get("run_type") or "chain", serialized, run_id, kwargs)

    @override
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        self._happened("end", run_id)

    @override
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        self._happened(f"error {type(error).__name__}", run_id)

    @override
    def on_chat_model_start(self, serialized: Any, messages: Any, *, run_id: UUID, **kwargs: Any) -> None:
        self._started("llm", serialized, run_id, kwargs)

    @override
    def on_llm_start(self, serialized: Any, prompts: Any, *, run_id: UUID, **kwargs: Any) -> None:
        self._started("llm", serialized, run_id, kwargs)

    @override
    def on_llm_new_token(self, token: Any, *, run_id: UUID, **kwargs: Any) -> None:
        self._happened("token", run_id)

    @override
    def on_llm_end(self, response: Any, *, run_id: UUID, **kwargs: Any) -> None:
        self._happened("end", run_id)

    @override
    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        self._happened(f"error {type(error).__name__}", run_id)

    @override
    def on_tool_start(self, serialized: Any, input_str: str, *, run_id: UUID, **kwargs: Any) -> None:
        self._started("tool", serialized, run_id, kwargs)

    @override
    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        self._happened("end", run_id)

    @override
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        self._happened(f"error {type(error).__name__}", run_id)

    @override
    def on_retriever_start(self, serialized: Any, query: str, *, run_id: UUID, **kwargs: Any) -> None:
        self._started("retriever", serialized, run_id, kwargs)

    @override
    def on_retriever_end(self, documents: Any, *, run_id: UUID, **kwargs: Any) -> None:
        self._happened("end", run_id)

    @override
    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        self._happened(f"error {type(error).__name__}", run_id)


@dataclass
class Stage:
    """What a scenario may use. Without a handler it plays the application alone.

    Attributes:
        inline: Whether the recorder asks LangChain to be called in the caller's context.
        first: Whether the handler under test stands before the recorder.
        watched: False for the run of the application alone, against which the others are compared.
    """

    inline: bool = True
    first: bool = True
    watched: bool = True
    ledger: Ledger = field(default_factory=Ledger)

    def __post_init__(self) -> None:
        """Make the provider and the handlers."""
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(self.ledger)
        self.tracer = self.provider.get_tracer("application")
        self.recorder = Recorder(inline=self.inline)
        self.handlers = self.more_handlers()

    def more_handlers(self) -> list[BaseCallbackHandler]:
        """Return a list with a new handler under test, empty where the application plays alone."""
        return [make_handler(self.provider)] if self.watched else []

    @property
    def callbacks(self) -> list[BaseCallbackHandler]:
        """The handlers to pass to a call."""
        together: list[BaseCallbackHandler] = [*self.handlers, self.recorder]
        return together if self.first else together[::-1]

    @property
    def config(self) -> Any:
        """The smallest config that passes the handlers to a call."""
        return {"callbacks": self.callbacks}

    def native(self, name: str, kind: SpanKind = SpanKind.CLIENT) -> AbstractContextManager[Any]:
        """Open a span as an instrumented library would: it knows OpenTelemetry and nothing else."""
        return self.tracer.start_as_current_span(name, kind=kind)

    def mark(self, name: str) -> None:
        """Open and close a native span at this place."""
        with self.native(name):
            pass

    def model(self, name: str = "m1", *replies: Reply, **extra: Any) -> FakeChat:
        """Return a chat model that gives these replies one after another, again and again."""
        return self._fake(FakeChat, name, replies, extra)

    def sync_model(self, name: str = "m1", *replies: Reply, **extra: Any) -> FakeChat:
        """Return a chat model that LangChain must run in a thread for an async caller."""
        return self._fake(SyncOnlyChat, name, replies, extra)

    def llm(self, name: str = "t1", *replies: Reply, **extra: Any) -> FakeLLM:
        """Return a model that completes text."""
        return self._fake(FakeLLM, name, replies, extra)

    def sync_llm(self, name: str = "t1", *replies: Reply, **extra: Any) -> SyncOnlyLLM:
        """Return a model that completes text, and that LangChain must run in a thread for an async caller."""
        return self._fake(SyncOnlyLLM, name, replies, extra)

    def retriever(self, name: str = "docs", *replies: Reply, **extra: Any) -> FakeRetriever:
        """Return a retriever."""
        return self._fake(FakeRetriever, name, replies, extra)

    def _fake(self, kind: type[F], name: str, replies: tuple[Reply, ...], extra: dict[str, Any]) -> F:
        script: dict[str, Any] = {"replies": list(replies)} if replies else {}
        return kind(name=name, native=self.native, **script, **extra)

    def tool(self, name: str = "lookup", inside: Inside | None = None, *, sync_only: bool = False) -> BaseTool:
        """Return a tool that does a piece of work, which it is given its argument for."""

        def run(q: str) -> Any:
            """Look something up."""
            self.mark(f"native:tool:{name}")
            return inside(q) if inside else f"found {q}"

        async def arun(q: str) -> Any:
            outcome = run(q)
            return await outcome if hasattr(outcome, "__await__") else outcome

        only: dict[str, Any] = {} if sync_only else {"coroutine": arun}
        return StructuredTool.from_function(run, name=name, description="Look it up.", **only)


Scenario = Callable[[Stage], Any]
