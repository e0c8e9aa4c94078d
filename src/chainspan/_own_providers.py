"""The tracer providers of pipelines that handlers have to themselves.

The SDK leaves something of each provider with the interpreter, to be called in every forked
child, and never takes it back: who makes a handler for each call would make forks slower and
slower. So a provider whose pipeline is gone serves the next one that is set up alike.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from opentelemetry import trace
from opentelemetry.sdk.environment_variables import OTEL_SDK_DISABLED, OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, SynchronousMultiSpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from ._encode import attempt
from ._errors import ConfigurationError

__all__ = ["OwnProvider", "lend", "span_limits", "take_back"]

# ruff: noqa: SLF001 - the fields of the SDK's providers that a new pipeline must not find as the last one left them

_MOST_SPARE: Final = 64
_READ_BY_SDK: Final = (OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG, OTEL_SDK_DISABLED)
_HELD: Final = ("_active_span_processor", "_tracers")


class OwnProvider(NamedTuple):
    """A provider, and what it was made from, by which it is known whether it can serve another pipeline."""

    settings: tuple[Any, ...]
    provider: TracerProvider


_spare: list[OwnProvider] = []


def lend(processors: Sequence[SpanProcessor], *, is_whole: bool) -> OwnProvider:
    """Return a provider that feeds the given processors and nothing else.

    To be called by one thread at a time.

    Args:
        processors: What it feeds.
        is_whole: Whether these get all of every span, whatever the OTEL_* variables have for those that are
            exported: a sampler, limits, or that there are none.
    """
    limits = _no_limits() if is_whole else span_limits()
    resource = _resource()
    settings = (is_whole, repr(limits), *map(os.environ.get, _READ_BY_SDK))
    own = _spare_one(settings, resource) or OwnProvider(settings, _made(resource, limits, is_whole=is_whole))
    for processor in processors:
        own.provider.add_span_processor(processor)
    return own


def take_back(own: OwnProvider) -> None:
    """Keep a provider for the next pipeline; spans and tracers of the last one still have the processors of that.

    May be called by the garbage collector, in the midst of anything.
    """
    provider: Any = own.provider
    if len(_spare) < _MOST_SPARE and all(hasattr(provider, name) for name in _HELD):
        provider._active_span_processor = SynchronousMultiSpanProcessor()  # type: ignore[no-untyped-call]
        provider._tracers = {}
        _spare.append(own)


def span_limits() -> SpanLimits:
    """Return the limits of the OTEL_* variables.

    Raises:
        ConfigurationError: One of them cannot be used.
    """
    try:
        return SpanLimits()
    except ValueError as error:
        name = str(error).partition(" ")[0]  # the SDK's words begin with the variable
        raise ConfigurationError(name, expected="a whole number, not below 0", got=os.environ.get(name)) from None


def _spare_one(settings: tuple[Any, ...], resource: Resource) -> OwnProvider | None:
    for own in _spare[:]:  # in one step, as the collector may add to it meanwhile
        if own.settings == settings and own.provider.resource == resource:
            _spare.remove(own)
            return own
    return None


def _made(resource: Resource, limits: SpanLimits, *, is_whole: bool) -> TracerProvider:
    provider = TracerProvider(
        sampler=ALWAYS_ON if is_whole else None, resource=resource, shutdown_on_exit=False, span_limits=limits
    )
    if is_whole:
        provider._disabled = False  # read from OTEL_SDK_DISABLED, where no argument says so
    return provider


@lru_cache(maxsize=1)
def _no_limits() -> SpanLimits:
    names = inspect.signature(SpanLimits).parameters
    return SpanLimits(**dict.fromkeys(names, SpanLimits.UNSET))


def _resource() -> Resource:
    """Return the application's resource, so that its spans and ours name the same service."""
    resource = getattr(attempt(trace.get_tracer_provider, None), "resource", None)
    return resource if isinstance(resource, Resource) else _default_resource()


@lru_cache(maxsize=1)
def _default_resource() -> Resource:
    return Resource.create()
