"""Setting up OpenTelemetry's global provider in one call, from the standard variables."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Final, TypeAlias

from opentelemetry import metrics as otel_metrics
from opentelemetry import trace
from opentelemetry.environment_variables import OTEL_PYTHON_METER_PROVIDER, OTEL_PYTHON_TRACER_PROVIDER
from opentelemetry.sdk.environment_variables import OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import (
    ConsoleSpanExporter,
    SimpleSpanProcessor,
    SpanExporter,
)
from opentelemetry.sdk.trace.sampling import _KNOWN_SAMPLERS

from . import _ending, _exit, _pipeline, _settings, exporters
from ._delivery import Delivery, Flushable, flush_all
from ._encode import attempt
from ._errors import ConfigurationError, require_flags, require_type
from ._feeding import processor_for
from ._guard import log_quietly
from ._isolated import Isolated
from ._own_providers import span_limits
from ._profiles import meter_provider

__all__ = ["configure", "flush", "provider_from_environment"]

_WARNING = 30
_RATIO = "traceidratio"
_NAMED_PROVIDERS: Final[tuple[tuple[str, Callable[[], object]], ...]] = (
    (OTEL_PYTHON_TRACER_PROVIDER, trace.get_tracer_provider),
    (OTEL_PYTHON_METER_PROVIDER, otel_metrics.get_meter_provider),
)


_ByOtlp: TypeAlias = "exporters.OtlpExporter | exporters.SpoolExporter"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setup:
    """What a provider is made of, where the environment does not say so."""

    service_name: str | None = None
    resource_attributes: Mapping[str, str] | None = None
    endpoint: str | None = None
    spool: str | os.PathLike[str] | None = None
    console: bool = False
    metrics: bool = False
    processors: Sequence[SpanProcessor | SpanExporter] = ()

    def __post_init__(self) -> None:
        """Check what nothing else does that it is handed to."""
        attributes, nothing = self.resource_attributes, type(None)
        require_type("configure(service_name=)", self.service_name, str, nothing, expected="a text")
        require_type("configure(resource_attributes=)", attributes, Mapping, nothing, expected="a mapping")
        require_type("configure(processors=)", self.processors, Collection, expected="a list")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Built:
    """What was made, and what it feeds: `others` is what is flushed besides the spans."""

    tracers: TracerProvider
    meters: otel_metrics.MeterProvider | None
    feeds: Sequence[SpanProcessor]
    others: Sequence[Flushable]


def configure(  # noqa: PLR0913  one call sets up all
    *,
    service_name: str | None = None,
    resource_attributes: Mapping[str, str] | None = None,
    endpoint: str | None = None,
    spool: str | os.PathLike[str] | None = None,
    console: bool = False,
    metrics: bool = True,
    processors: Sequence[SpanProcessor | SpanExporter] = (),
    flush_on_sigterm: bool = True,
) -> trace.TracerProvider:
    """Set up the global TracerProvider and MeterProvider from the standard OTEL_* variables.

    Spans are sent by OTLP over http/protobuf with gzip to ``http://localhost:4318``, unless
    arguments or variables say otherwise, and metrics to the same place every minute. A
    TracerProvider that is set up already is left as it is, and returned, and nothing is set
    up; that is said in the log. A MeterProvider that is set up already is left as it is.

    Args:
        service_name: The service's name; None: what ``OTEL_SERVICE_NAME`` or
            ``OTEL_RESOURCE_ATTRIBUTES`` says.
        resource_attributes: Further attributes of the resource.
        endpoint: Where OTLP goes, as ``OTEL_EXPORTER_OTLP_ENDPOINT``.
        spool: A directory that spans are kept in until they have arrived; they then outlive
            outages and the process. Needs the extra ``spool``.
        console: Whether runs are printed as well, as far as their spans tell.
        metrics: Whether a MeterProvider is set up. Where ``OTEL_METRICS_EXPORTER`` says nothing,
            metrics are sent only if spans are, by OTLP.
        processors: Further processors and exporters to feed.
        flush_on_sigterm: Whether SIGTERM, by which containers are stopped, flushes for two
            seconds at most, before it does what it would have done.

    Raises:
        ConfigurationError: An argument or a variable cannot be used. Nothing is set up then.
    """
    _check(console=console, metrics=metrics, flush_on_sigterm=flush_on_sigterm)
    current = trace.get_tracer_provider()
    if _pipeline.is_set_up(current):
        log_quietly(
            _WARNING,
            f"chainspan.configure() leaves the {type(current).__name__} alone that is set up "
            "already, and adds nothing to it.",
        )
        return current
    built = _build(
        _Setup(
            service_name=service_name,
            resource_attributes=resource_attributes,
            endpoint=endpoint,
            spool=spool,
            console=console,
            metrics=metrics and meter_provider() is None,
            processors=processors,
        )
    )
    trace.set_tracer_provider(built.tracers)
    if built.meters is not None:
        otel_metrics.set_meter_provider(built.meters)
    _exit.close_first()
    _ending.end_with_process(processors)  # before what they may feed, which the provider would be too late for
    _pipeline.of_provider(built.tracers, processors=built.feeds, others=built.others)  # ends its runs before that
    if flush_on_sigterm:
        _exit.flush_on_sigterm()
    return built.tracers


def flush(timeout_s: float = 10.0) -> Delivery:
    """Export what has ended in every pipeline of chainspan's, and say what became of it.

    Those count whose handlers are gone, too. Returns within the timeout. The answer is true
    only if everything arrived, as far as anybody can tell.
    """
    return flush_all(_pipeline.known_processors(), timeout_s)


@lru_cache(maxsize=1)
def provider_from_environment() -> TracerProvider | None:
    """Return a provider that exports as the environment asks, and is nobody's global one.

    Where a variable cannot be used there is none, and that is said in the log.
    """
    try:
        built = _build(_Setup())
    except ValueError as error:  # also of an exporter or a sampler that somebody else has made
        what = f"{error.where} is not {error.expected}" if isinstance(error, ConfigurationError) else str(error)
        log_quietly(_WARNING, f"OtelHandler() sends no spans: {what}.")
        return None
    _pipeline.of_provider(built.tracers, processors=built.feeds)
    return built.tracers


def _check(**flags: bool) -> None:
    """Refuse what is no flag, and providers that are not installed: the API raises where it is asked for one."""
    require_flags("configure", **flags)
    for name, ask in _NAMED_PROVIDERS:
        if attempt(ask, None) is None:
            expected = "the name of an installed provider"
            raise ConfigurationError(name, expected=expected, got=os.environ.get(name))


def _build(setup: _Setup) -> _Built:
    _check_sampler()
    feeds, spans = _exports(setup)
    feeds += [_pipeline.processor_of(target, "processors") for target in setup.processors]
    if setup.console:
        feeds.append(exporters.ConsoleProcessor())
    attributes = dict(setup.resource_attributes or {})
    if setup.service_name is not None:
        attributes[SERVICE_NAME] = setup.service_name
    resource = Resource.create(attributes)
    meters, others = _meters(setup, resource, spans) if setup.metrics else (None, [])
    provider = TracerProvider(resource=resource, span_limits=span_limits())
    for processor in feeds:
        provider.add_span_processor(Isolated(processor))
    return _Built(tracers=provider, meters=meters, feeds=feeds, others=others)


def _meters(
    setup: _Setup, resource: Resource, spans: _ByOtlp | None
) -> tuple[otel_metrics.MeterProvider | None, list[Flushable]]:
    """Return a MeterProvider and what flushes it; none where nothing is to be exported."""
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415  takes long, and not everybody wants it

    from .exporters._readers import metric_readers  # noqa: PLC0415  likewise

    readers = metric_readers(setup.endpoint, None if spans is None else (spans.endpoint, spans.outage))
    if not readers:
        return None, []
    # Not shut down at exit by itself, for as long as its readers like: each is closed with the spans' exporters.
    provider = MeterProvider([reader for reader, _ in readers], resource=resource, shutdown_on_exit=False)
    return provider, [flushed for _, flushed in readers]


def _exports(setup: _Setup) -> tuple[list[SpanProcessor], _ByOtlp | None]:
    """Return what spans go to, and the exporter among it that sends them by OTLP."""
    chosen = os.environ.get(_settings.OTEL_TRACES_EXPORTER, "").strip() or "otlp"
    names = [name.strip().lower() for name in chosen.split(",") if name.strip()]
    if "none" in names:
        return [], None
    otlp = _otlp(setup) if "otlp" in names else None
    return [_export(name, otlp) for name in names], otlp


def _export(name: str, otlp: _ByOtlp | None) -> SpanProcessor:
    if name == "otlp" and otlp is not None:
        return processor_for(exporters.counted_once(otlp))
    if name == "console":
        return SimpleSpanProcessor(exporters.counted_once(ConsoleSpanExporter()))
    for point in entry_points(group="opentelemetry_traces_exporter", name=name):
        return processor_for(exporters.counted_once(point.load()()))
    raise ConfigurationError(
        _settings.OTEL_TRACES_EXPORTER,
        expected="otlp, console, none or the name of an installed exporter",
        got=name,
    )


def _otlp(setup: _Setup) -> _ByOtlp:
    exporter = exporters.otlp(setup.endpoint)
    return exporter if setup.spool is None else exporters.spool(setup.spool, to=exporter)


def _check_sampler() -> None:
    """Refuse what the SDK would replace by its default, with no more than a line in the log."""
    name = os.environ.get(OTEL_TRACES_SAMPLER, "").strip().lower()
    if not name:
        return
    installed = {point.name for point in entry_points(group="opentelemetry_traces_sampler")}
    known = sorted({*_KNOWN_SAMPLERS, *installed})
    if name not in known:
        raise ConfigurationError(OTEL_TRACES_SAMPLER, expected=f"one of {', '.join(known)}", got=name)
    if name.endswith(_RATIO):
        _check_ratio(os.environ.get(OTEL_TRACES_SAMPLER_ARG, "").strip() or "1")


def _check_ratio(text: str) -> None:
    try:
        is_ratio = 0 <= float(text) <= 1
    except ValueError:
        is_ratio = False
    if not is_ratio:
        raise ConfigurationError(OTEL_TRACES_SAMPLER_ARG, expected="a number from 0 to 1", got=text)
