"""Setting up OpenTelemetry's global provider in one call, from the standard variables."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import entry_points

from opentelemetry import trace
from opentelemetry.sdk.environment_variables import OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import (
    ConsoleSpanExporter,
    SimpleSpanProcessor,
    SpanExporter,
)
from opentelemetry.sdk.trace.sampling import _KNOWN_SAMPLERS

from . import _exit, _pipeline, _settings, exporters
from ._delivery import Delivery, flush_all
from ._errors import ConfigurationError
from ._feeding import processor_for
from ._guard import log_quietly

__all__ = ["configure", "flush", "provider_from_environment"]

_WARNING = 30
_RATIO = "traceidratio"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setup:
    """What a provider is made of, where the environment does not say so."""

    service_name: str | None = None
    resource_attributes: Mapping[str, str] | None = None
    endpoint: str | None = None
    spool: str | os.PathLike[str] | None = None
    console: bool = False
    processors: Sequence[SpanProcessor | SpanExporter] = ()


def configure(  # noqa: PLR0913  one call sets up all
    *,
    service_name: str | None = None,
    resource_attributes: Mapping[str, str] | None = None,
    endpoint: str | None = None,
    spool: str | os.PathLike[str] | None = None,
    console: bool = False,
    processors: Sequence[SpanProcessor | SpanExporter] = (),
    flush_on_sigterm: bool = True,
) -> trace.TracerProvider:
    """Set up the global TracerProvider from the standard OTEL_* variables.

    Spans are sent by OTLP over http/protobuf with gzip to ``http://localhost:4318``, unless
    arguments or variables say otherwise. A provider that is set up already is left as it is,
    and returned; that is said in the log.

    Args:
        service_name: The service's name; None: what ``OTEL_SERVICE_NAME`` or
            ``OTEL_RESOURCE_ATTRIBUTES`` says.
        resource_attributes: Further attributes of the resource.
        endpoint: Where OTLP goes, as ``OTEL_EXPORTER_OTLP_ENDPOINT``.
        spool: A directory that spans are kept in until they have arrived; they then outlive
            outages and the process. Needs the extra ``spool``.
        console: Whether runs are printed as well, as far as their spans tell.
        processors: Further processors and exporters to feed.
        flush_on_sigterm: Whether SIGTERM, by which containers are stopped, flushes for two
            seconds at most, before it does what it would have done.

    Raises:
        ConfigurationError: An argument or a variable cannot be used. Nothing is set up then.
    """
    current = trace.get_tracer_provider()
    if _pipeline.is_set_up(current):
        log_quietly(
            _WARNING,
            f"chainspan.configure() leaves the {type(current).__name__} alone that is set up "
            "already, and adds nothing to it.",
        )
        return current
    provider, feeds = _build(
        _Setup(
            service_name=service_name,
            resource_attributes=resource_attributes,
            endpoint=endpoint,
            spool=spool,
            console=console,
            processors=processors,
        )
    )
    trace.set_tracer_provider(provider)
    _pipeline.of_provider(provider, processors=feeds)
    if flush_on_sigterm:
        _exit.flush_on_sigterm()
    return provider


def flush(timeout_s: float = 10.0) -> Delivery:
    """Export what has ended in every pipeline of chainspan's, and say what became of it.

    Returns within the timeout. The answer is true only if everything arrived, as far as
    anybody can tell.
    """
    return flush_all(_pipeline.known_processors(), timeout_s)


@lru_cache(maxsize=1)
def provider_from_environment() -> TracerProvider:
    """Return a provider that exports as the environment asks, and is nobody's global one."""
    provider, feeds = _build(_Setup())
    _pipeline.of_provider(provider, processors=feeds)
    return provider


def _build(setup: _Setup) -> tuple[TracerProvider, list[SpanProcessor]]:
    _check_sampler()
    feeds = [*_exports(setup), *map(_pipeline.processor_of, setup.processors)]
    if setup.console:
        feeds.append(exporters.ConsoleProcessor())
    attributes = dict(setup.resource_attributes or {})
    if setup.service_name is not None:
        attributes[SERVICE_NAME] = setup.service_name
    provider = TracerProvider(resource=Resource.create(attributes))
    for processor in feeds:
        provider.add_span_processor(_pipeline.isolated(processor))
    return provider, feeds


def _exports(setup: _Setup) -> list[SpanProcessor]:
    chosen = os.environ.get(_settings.OTEL_TRACES_EXPORTER, "").strip() or "otlp"
    names = [name.strip().lower() for name in chosen.split(",") if name.strip()]
    if "none" in names:
        return []
    return [_export(name, setup) for name in names]


def _export(name: str, setup: _Setup) -> SpanProcessor:
    makers: Mapping[str, Callable[[], SpanProcessor]] = {
        "otlp": lambda: processor_for(_otlp(setup)),
        "console": lambda: SimpleSpanProcessor(ConsoleSpanExporter()),
    }
    if name in makers:
        return makers[name]()
    for point in entry_points(group="opentelemetry_traces_exporter", name=name):
        return processor_for(point.load()())
    raise ConfigurationError(
        _settings.OTEL_TRACES_EXPORTER,
        expected="otlp, console, none or the name of an installed exporter",
        got=name,
    )


def _otlp(setup: _Setup) -> SpanExporter:
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
        _check_ratio(os.environ.get(OTEL_TRACES_SAMPLER_ARG, "1"))


def _check_ratio(text: str) -> None:
    try:
        is_ratio = 0 <= float(text) <= 1
    except ValueError:
        is_ratio = False
    if not is_ratio:
        raise ConfigurationError(OTEL_TRACES_SAMPLER_ARG, expected="a number from 0 to 1", got=text)
