"""Who is measured: nobody, the floor, and chainspan's handlers as users set them up."""

from __future__ import annotations

import atexit
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

from benchmarks.harness import FLOOR, NONE, Contender
from benchmarks.workloads import invoke_chain
from langchain_core.callbacks import BaseCallbackHandler
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, DEFAULT_ON, Sampler
from opentelemetry.trace import Span, set_span_in_context
from opentelemetry.util.types import Attributes
from typing_extensions import override

from chainspan import ConsoleHandler, ContentPolicy, OtelHandler
from chainspan.exporters import SpoolExporter
from chainspan.exporters._senders import Answer, Verdict

__all__ = [
    "APART",
    "BARE",
    "CONSOLE",
    "EACH",
    "OFF",
    "ON",
    "REDACT",
    "SAYING",
    "SPOOL",
    "THE_FLOOR",
    "UNSAMPLED",
    "UNSAMPLED_FLOOR",
    "FloorHandler",
    "Nowhere",
    "SayingHandler",
    "provider",
]


class Nowhere(SpanProcessor):
    """Takes spans and does nothing with them: what exporting costs is not the handler's."""

    @override
    def on_start(self, span: SdkSpan, parent_context: Context | None = None) -> None:
        pass

    @override
    def on_end(self, span: ReadableSpan) -> None:
        pass


class FloorHandler(BaseCallbackHandler):
    """Starts and ends a bare span for each run, below its parent's, and does nothing else."""

    run_inline = True

    def __init__(self, tracer_provider: TracerProvider) -> None:
        self._tracer = tracer_provider.get_tracer("floor")
        self._spans: dict[UUID, Span] = {}

    def _start(self, *_: Any, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any) -> None:
        parent = self._spans.get(parent_run_id) if parent_run_id is not None else None
        context = set_span_in_context(parent) if parent is not None else None
        self._spans[run_id] = self._tracer.start_span(kwargs.get("name") or "run", context)

    def _end(self, *_: Any, run_id: UUID, **__: Any) -> None:
        span = self._spans.pop(run_id, None)
        if span is not None:
            span.end()

    on_chain_start = on_llm_start = on_chat_model_start = on_tool_start = on_retriever_start = _start
    on_chain_end = on_llm_end = on_tool_end = on_retriever_end = _end
    on_chain_error = on_llm_error = on_tool_error = on_retriever_error = _end

    @override
    def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
        """Do nothing."""


class SayingHandler(FloorHandler):
    """The floor, with the attributes that chainspan's spans have: what the SDK alone takes for these.

    Args:
        tracer_provider: Makes the spans.
        said: What was said of a run of each name, at its start and at its end.
    """

    def __init__(self, tracer_provider: TracerProvider, said: Mapping[str, Sequence[Attributes]]) -> None:
        super().__init__(tracer_provider)
        self._said = said

    @override
    def _start(self, *given: Any, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any) -> None:
        parent = self._spans.get(parent_run_id) if parent_run_id is not None else None
        context = set_span_in_context(parent) if parent is not None else None
        name = kwargs.get("name") or given[0]["id"][-1]
        self._spans[run_id] = self._tracer.start_span(name, context, attributes=self._said[name][0])

    @override
    def _end(self, *_: Any, run_id: UUID, **__: Any) -> None:
        span = self._spans.pop(run_id, None)
        if isinstance(span, SdkSpan):
            at_end = self._said[span.name][1]
            if at_end:
                span.set_attributes(at_end)
            span.end()

    on_chain_start = on_llm_start = on_chat_model_start = on_tool_start = on_retriever_start = _start
    on_chain_end = on_llm_end = on_tool_end = on_retriever_end = _end
    on_chain_error = on_llm_error = on_tool_error = on_retriever_error = _end


class _Listener(SpanProcessor):
    """Notes what spans say at their start and at their end, by the names of their runs."""

    def __init__(self) -> None:
        self.said: dict[str, list[dict[str, Any]]] = {}

    @override
    def on_start(self, span: SdkSpan, parent_context: Context | None = None) -> None:
        at_start = dict(span.attributes or {})
        self.said[str(at_start["chainspan.run.name"])] = [at_start, {}]

    @override
    def on_end(self, span: ReadableSpan) -> None:
        at_end = dict(span.attributes or {})
        at_start, more = self.said[str(at_end["chainspan.run.name"])]
        more.update({key: value for key, value in at_end.items() if key not in at_start})


def _attributes_of_the_chain() -> Mapping[str, Sequence[Attributes]]:
    listener, traced = _Listener(), provider()
    traced.add_span_processor(listener)
    invoke_chain([OtelHandler(tracer_provider=traced, content=False)])
    return listener.said


@lru_cache(maxsize=1)
def _saying() -> list[BaseCallbackHandler]:
    return [SayingHandler(_SPANS, _attributes_of_the_chain())]


def provider(sampler: Sampler = DEFAULT_ON) -> TracerProvider:
    """Return a tracer provider whose spans go nowhere."""
    made = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    made.add_span_processor(Nowhere())
    return made


def _contender(name: str, handler: Any) -> Contender:
    return Contender(name=name, handlers=lambda: [handler])


def _redact(text: str) -> str:
    return text.replace("secret", "[redacted]")


_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")
_POLICY = ContentPolicy(capture=True, redact=_redact, redact_patterns=[_EMAIL], redact_keys=["ssn"])
_SPANS, _NOT_SAMPLED = provider(), provider(ALWAYS_OFF)
_CONSOLE = ConsoleHandler(lambda _: None)

BARE = Contender(name=NONE, handlers=list)
THE_FLOOR = _contender(FLOOR, FloorHandler(_SPANS))
SAYING = Contender(name="floor, with the attributes of content off", handlers=_saying)
OFF = _contender("content off", OtelHandler(tracer_provider=_SPANS, content=False))
ON = _contender("content on", OtelHandler(tracer_provider=_SPANS, content=True))
REDACT = _contender("content on, redacted", OtelHandler(tracer_provider=_SPANS, content=_POLICY))
APART = _contender("own pipeline, content off", OtelHandler(Nowhere(), content=False))
CONSOLE = Contender(name="console", handlers=lambda: [_CONSOLE], settle=_CONSOLE.flush)
UNSAMPLED_FLOOR = _contender(FLOOR, FloorHandler(_NOT_SAMPLED))
UNSAMPLED = _contender("not sampled", OtelHandler(tracer_provider=_NOT_SAMPLED, content=True))
EACH = Contender(name="made for the call", handlers=lambda: [OtelHandler(tracer_provider=_SPANS, content=False)])


class _Accepting:
    """A sender to an endpoint that takes everything at once."""

    endpoint = "nowhere"

    def send(self, body: bytes) -> Answer:  # noqa: ARG002  of the protocol
        """Accept."""
        return Answer(verdict=Verdict.ACCEPTED)

    def close(self) -> None:
        """Do nothing."""


@lru_cache(maxsize=1)
def _spooling() -> OtelHandler:
    directory = TemporaryDirectory(prefix="chainspan-bench-")  # goes when the process does
    atexit.register(directory.cleanup)
    return OtelHandler(SpoolExporter(Path(directory.name), _Accepting()), content=False)


SPOOL = Contender(name="spool, content off", handlers=lambda: [_spooling()], settle=lambda: _spooling().flush())
