"""From a handler to the pipeline that it feeds, which may be set up late."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from uuid import UUID

from opentelemetry import trace
from opentelemetry.environment_variables import OTEL_PYTHON_TRACER_PROVIDER

from . import _pipeline, _settings
from ._configure import provider_from_environment
from ._guard import say_once
from ._model import Outcome, RunEnd, RunEvent, RunFailure, RunStart
from ._pipeline import Pipeline
from ._recording import Recording

__all__ = ["GlobalPipeline", "Sink"]

_NOWHERE = (
    "OtelHandler() has nowhere to send its spans: call chainspan.configure(), set up a "
    "TracerProvider, set OTEL_EXPORTER_OTLP_ENDPOINT, or pass OtelHandler a processor or an exporter."
)


_unloadable: set[str] = set()
"""What OTEL_PYTHON_TRACER_PROVIDER named in vain. The API looks for it, and logs that in full, whenever it is asked."""


class Sink:
    """Reports runs to the pipeline that a handler feeds, which may be set up late.

    Attributes:
        pipeline: The one that is fed; None as long as there is none.
    """

    def __init__(self, feeds: Pipeline | Callable[[], Pipeline | None], recording: Recording) -> None:
        self._find = None if isinstance(feeds, Pipeline) else feeds
        self._recording = recording
        self.pipeline: Pipeline | None = None
        if isinstance(feeds, Pipeline):
            self._feed(feeds)

    def _feed(self, pipeline: Pipeline) -> None:
        """Report to a pipeline from now on, with no step in between."""
        lifecycle = pipeline.lifecycle
        self.end, self.fail = lifecycle.end, lifecycle.fail  # type: ignore[method-assign]
        self.chunk, self.peek = lifecycle.chunk, lifecycle.peek  # type: ignore[method-assign]
        self.event = partial(lifecycle.event, recording=self._recording)  # type: ignore[method-assign]
        if self._find is None:
            self.start = partial(lifecycle.start, recording=self._recording)  # type: ignore[method-assign]
        self.pipeline = pipeline  # last: another thread that sees it reports there at once

    def start(self, start: RunStart) -> None:
        pipeline = None if self._find is None else self._find()
        if pipeline is None:
            return
        if pipeline is not self.pipeline:
            self._feed(pipeline)
        pipeline.lifecycle.start(start, self._recording)

    def end(self, run_id: UUID, read: Callable[[], RunEnd]) -> None:
        """Do nothing, as below: without a pipeline no run is open."""

    def fail(self, run_id: UUID, outcome: Outcome, read: Callable[[], RunFailure]) -> None:
        pass

    def chunk(self, run_id: UUID, content: object) -> bool:  # noqa: ARG002 - as above
        return False

    def event(self, run_id: UUID, event: RunEvent) -> None:
        pass

    def peek(self, run_id: UUID) -> RunStart | None:
        pass


class GlobalPipeline:
    """Finds the application's own pipeline, whenever that is set up."""

    def __init__(self, schema_url: str | None) -> None:
        self._schema_url = schema_url
        self._provider: trace.TracerProvider | None = None
        self._pipeline: Pipeline | None = None

    def __call__(self) -> Pipeline | None:
        if _unloadable and _names_unloadable():
            return None
        try:
            provider = trace.get_tracer_provider()
        except Exception:  # noqa: BLE001 - of a provider that a variable names; the API has logged it, with the reason
            _unloadable.add(os.environ.get(OTEL_PYTHON_TRACER_PROVIDER, ""))
            return None
        if provider is not self._provider:
            self._pipeline = self._look(provider)
            self._provider = provider if self._pipeline is not None else None
        return self._pipeline

    def _look(self, provider: trace.TracerProvider) -> Pipeline | None:
        if _pipeline.is_set_up(provider):
            return _pipeline.of_provider(provider, self._schema_url)
        if _settings.asks_for_nothing():
            return None
        if not _settings.asks_for_export():
            say_once(_NOWHERE)
            return None
        made = provider_from_environment()
        return None if made is None else _pipeline.of_provider(made, self._schema_url)


def _names_unloadable() -> bool:
    is_set = getattr(trace, "_TRACER_PROVIDER", None) is not None  # in code, which goes before the variable
    return not is_set and os.environ.get(OTEL_PYTHON_TRACER_PROVIDER) in _unloadable
