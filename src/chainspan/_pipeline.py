"""Where a handler's spans go: the application's provider, or a pipeline of the handler's own.

A pipeline holds the lifecycle of its runs, so that two handlers that feed the same one
claim each run once. Nothing here changes OpenTelemetry's global state.
"""

from __future__ import annotations

import atexit
import weakref
from collections.abc import Callable, Sequence
from typing import TypeAlias

from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.trace import ProxyTracerProvider
from typing_extensions import override

from ._delivery import Delivery, Flushable, flush_all
from ._ending import end_with_process, kept_batches
from ._errors import ConfigurationError
from ._exit import after_fork
from ._feeding import Worker, processor_for
from ._guard import Guard
from ._isolated import Isolated
from ._kept import Kept
from ._lifecycle import Lifecycle
from ._listeners import does_nothing
from ._living import Living
from ._locks import Lock
from ._own_providers import lend, take_back
from ._version import __version__
from ._workers import keep, kept_workers

__all__ = [
    "Pipeline",
    "Target",
    "apart",
    "is_set_up",
    "known_processors",
    "of_provider",
    "open_span",
    "processor_of",
]

Target: TypeAlias = SpanProcessor | SpanExporter

_lock = Lock()
_of_provider: Kept[Pipeline] = Kept()
_apart: weakref.WeakValueDictionary[tuple[int, ...], Pipeline] = weakref.WeakValueDictionary()


class Pipeline:
    """A tracer provider, and the lifecycle of the runs that are traced with it.

    Attributes:
        lifecycle: Decides over the runs.
        processors: The processors that this pipeline has to itself; none of a given provider.
        others: What else is flushed with it, such as metrics.
    """

    def __init__(  # noqa: PLR0913  each stands for itself
        self,
        provider: trace.TracerProvider,
        *,
        has_scope: bool,
        processors: Sequence[SpanProcessor] = (),
        targets: Sequence[Target] = (),
        others: Sequence[Flushable] = (),
        schema_url: str | None = None,
        clock: Callable[[], int] | None = None,
    ) -> None:
        tracer = provider.get_tracer("chainspan", __version__, schema_url)
        self.lifecycle = Lifecycle(tracer, has_scope=has_scope, clock=clock)
        self.processors = tuple(processors)
        self.others = tuple(others)
        self._targets = tuple(targets)  # keeps their ids from being given to others
        self._closers = end_with_process(targets)
        self._provider: Callable[[], trace.TracerProvider | None]
        self._provider = weakref.ref(provider) if has_scope else lambda: provider
        after_fork(self.lifecycle.disown_all)
        _live_pipelines.add(self)
        atexit.unregister(_at_exit)
        atexit.register(_at_exit)  # runs before the exit hooks of every provider made until now

    def flush(self, timeout_s: float) -> Delivery:
        """Have everything that has ended exported within the timeout, and say what arrived."""
        return flush_all(self.feeds(), timeout_s)

    def feeds(self) -> Sequence[SpanProcessor | Flushable]:
        """Return what is flushed: what spans go to, and the rest."""
        provider = self._provider()
        processors = self.processors if provider is None else _fed_by(provider) or (UnknownProcessors(provider),)
        return (*processors, *self.others)


def _fed_by(provider: trace.TracerProvider) -> Sequence[SpanProcessor]:
    """Return the processors that the SDK's provider has by now, but for those that do nothing with a span's end."""
    every = getattr(getattr(provider, "_active_span_processor", None), "_span_processors", ())
    found = [one.isolates if isinstance(one, Isolated) else one for one in every]
    return [one for one in found if not does_nothing(one.on_end)]


class UnknownProcessors(SpanProcessor):
    """Flushes a provider that has no processors, or does not show them."""

    def __init__(self, provider: trace.TracerProvider) -> None:
        self._provider = provider

    @override
    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        flush = getattr(self._provider, "force_flush", None)
        return flush is None or flush(timeout_millis) is not False


_live_pipelines: Living[Pipeline] = Living()


def of_provider(
    provider: trace.TracerProvider,
    schema_url: str | None = None,
    processors: Sequence[SpanProcessor] = (),
    others: Sequence[Flushable] = (),
) -> Pipeline:
    """Return the pipeline of a tracer provider that the application set up.

    Args:
        provider: The application's own, or one that was made from its environment.
        schema_url: The schema of the attributes' names.
        processors: All that the provider feeds, where that is known.
        others: What else is to be flushed with it.
    """
    with _lock.inside:
        pipeline = _of_provider.get(provider)
        if pipeline is None:
            pipeline = Pipeline(provider, has_scope=True, schema_url=schema_url, processors=processors, others=others)
            _of_provider.keep(provider, pipeline)
        return pipeline


def apart(
    targets: Sequence[Target],
    schema_url: str | None = None,
    clock: Callable[[], int] | None = None,
    *,
    is_whole: bool = False,
) -> Pipeline:
    """Return the pipeline that feeds the given processors and exporters and nothing else.

    The same objects give the same pipeline, for as long as a handler uses it; an exporter
    keeps one worker thread, however many handlers are made of it.

    Args:
        targets: The processors and exporters.
        schema_url: The schema of the attributes' names.
        clock: Nanoseconds since the epoch; for tests.
        is_whole: Whether it is fed all of every span, whatever the OTEL_* variables have
            for those that are exported: a sampler, limits, or that there are none.
    """
    key = tuple(id(target) for target in targets)
    with _lock.inside:
        pipeline = _apart.get(key)
        if pipeline is None:
            processors = [processor_of(target) for target in targets]
            own = lend([Isolated(processor) for processor in processors], is_whole=is_whole)
            pipeline = Pipeline(
                own.provider,
                has_scope=False,
                processors=processors,
                targets=() if is_whole else targets,
                schema_url=schema_url,
                clock=clock,
            )
            _apart[key] = pipeline
            weakref.finalize(pipeline, take_back, own).atexit = False
        return pipeline


def open_span(run_id: int) -> trace.Span | None:
    """Return the span of an open run in one of the application's own pipelines, or None."""
    for pipeline in _of_provider.values():
        span = pipeline.lifecycle.span_of(run_id)
        if span is not None:
            return span
    return None


def is_set_up(provider: trace.TracerProvider) -> bool:
    """Return whether a provider is more than the API's placeholder."""
    return not isinstance(provider, ProxyTracerProvider)


def processor_of(target: Target, where: str = "OtelHandler(*targets)") -> SpanProcessor:
    """Return what feeds a processor or an exporter that a user named, in the argument `where`."""
    if isinstance(target, SpanProcessor):
        return target
    if not isinstance(target, SpanExporter):
        raise ConfigurationError(where, expected="SpanProcessors or SpanExporters", got=target)
    return keep(processor_for(target), _is_used)


def _is_used(worker: Worker) -> bool:
    return any(worker in pipeline.processors for pipeline in _live_pipelines)


def known_processors() -> list[SpanProcessor | Flushable]:
    """Return the processors of all pipelines, also of those whose handler is gone, and what is flushed with them."""
    feeds = [processor for pipeline in _live_pipelines for processor in pipeline.feeds()]
    every: list[SpanProcessor | Flushable] = [*feeds, *kept_workers(), *kept_batches()]
    return list({id(processor): processor for processor in every}.values())


def _at_exit() -> None:
    """End what is still open, while there is somebody to export it."""
    for pipeline in _live_pipelines:
        with Guard("exit"):
            pipeline.lifecycle.close_all()
