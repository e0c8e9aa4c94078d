"""What is told of each run that ends, apart from its span: metrics and events.

Handlers hold one of these where they want any of it. It looks for the application's
providers each time, as they may be set up late, and each run counts once with a provider,
however many handlers report it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import Span, set_span_in_context

from .. import _settings
from .._content import Gate
from .._guard import Guard
from .._model import Outcome, RunEnd, RunFailure, RunStart, Streaming
from ._events import DETAILED, Teller, exception_event
from ._metrics import METERED, Measured, metrics_of
from ._receivers import claims_of, load_named_provider, logger_provider, meter_provider
from ._shared import error_type

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider

    from . import Profile

__all__ = ["Ended", "Report", "Signals"]

_MEASURING, _TELLING = Guard("report.metrics"), Guard("report.events")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """What a handler wants told beside its spans.

    Attributes:
        metrics: Whether metrics are recorded.
        details: Whether each model call gives an event.
        exceptions: Whether what models, tools and retrievers raise gives an event.
        on_spans: Whether it is recorded on the span as well.
        meter_provider: Where metrics go. None: the global one.
        logger_provider: Where events go. None: the global one.
    """

    metrics: bool = True
    details: bool = False
    exceptions: bool = False
    on_spans: bool = True
    meter_provider: MeterProvider | None = None
    logger_provider: LoggerProvider | None = None

    @classmethod
    def choose(
        cls,
        profile: Profile,
        *,
        metrics: bool | None,
        events: bool | None,
        events_have_content: bool,
        meter_provider: MeterProvider | None,
        logger_provider: LoggerProvider | None,
    ) -> Signals:
        """Return what a handler's arguments say, else the environment."""
        exceptions, on_spans = _settings.exception_signals() or (profile.name == "latest", True)
        return cls(
            metrics=_settings.records_metrics() if metrics is None else metrics,
            details=_settings.emits_events(otherwise=events_have_content) if events is None else events,
            exceptions=exceptions and events is not False,
            on_spans=on_spans or events is False,
            meter_provider=meter_provider,
            logger_provider=logger_provider,
        )

    def __bool__(self) -> bool:
        """Return whether there is anything to tell."""
        return self.metrics or self.details or self.exceptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A run that has ended.

    Attributes:
        span: The run's own, or that of its nearest ancestor that has one.
        claim: What the run is known by, so that it counts once: its id, and what stands for its pipeline.
        end: What was reported of the end; None where nobody reported any.
    """

    run: RunStart
    span: Span
    claim: tuple[int, int]
    duration_s: float
    at_ns: int
    end: RunEnd | RunFailure | None = None
    streaming: Streaming | None = None

    @property
    def error_type(self) -> str | None:
        """Return what the span says in ``error.type``."""
        if isinstance(self.end, RunFailure):
            return error_type(self.end.error) if self.end.outcome is Outcome.ERROR else None
        return "tool_error" if self.end is not None and self.end.failed is not None else None


class Report:
    """Tells what a handler wants told of a run that has ended. Safe to share, and never raises.

    Args:
        profile: Whose names are used.
        gate: What the names in metrics pass.
        event_gate: What content in events passes.

    Attributes:
        with_events: Whether any run gives events.
    """

    __slots__ = ("_event_gate", "_gate", "_metrics", "_profile", "_signals", "with_events")

    def __init__(self, profile: Profile, gate: Gate, event_gate: Gate, signals: Signals) -> None:
        self._profile = profile
        self._gate = gate
        self._event_gate = event_gate
        self._signals = signals
        self._metrics = signals.metrics
        self.with_events = signals.details or signals.exceptions
        load_named_provider()

    def wants(self, run: RunStart) -> bool:
        """Return whether the end of a run has to be read for anything told here."""
        if run.kind not in METERED:  # hence of no events either
            return False
        if self._metrics and self._meter_provider() is not None:
            return True
        return self.with_events and _is_told(run) and self._logger_provider() is not None

    def ended(self, ended: Ended) -> None:
        """Tell of a run that has ended."""
        if self._metrics and ended.run.kind in METERED:
            with _MEASURING:
                provider = self._meter_provider()
                if provider is not None and claims_of(provider, "metrics").take(*ended.claim):
                    self._measure(provider, ended)
        if self.with_events and _is_told(ended.run):
            with _TELLING:
                logs = self._logger_provider()
                if logs is not None:
                    self._tell(logs, ended)

    def keeps_exceptions_off_spans(self, run: RunStart) -> bool:
        """Return whether a run's exception is told as an event alone."""
        if self._signals.on_spans or not self._signals.exceptions or exception_event(run.kind) is None:
            return False
        return self._logger_provider() is not None

    def _measure(self, provider: MeterProvider, ended: Ended) -> None:
        response = getattr(ended.end, "response", None)
        measured = Measured(
            duration_s=ended.duration_s,
            response=response,
            streaming=ended.streaming,
            error_type=ended.error_type,
            context=set_span_in_context(ended.span),
        )
        metrics = metrics_of(provider, self._profile.name, self._profile.schema_url)
        metrics.record(ended.run, measured, self._gate)

    def _tell(self, provider: LoggerProvider, ended: Ended) -> None:
        teller = Teller(
            provider=provider,
            profile=self._profile.name,
            gate=self._event_gate.for_run(ended.run),
            span=ended.span,
            at_ns=ended.at_ns,
        )
        raised = ended.end if self._signals.exceptions and isinstance(ended.end, RunFailure) else None
        if raised is not None and claims_of(provider, "exceptions").take(*ended.claim):
            teller.exception(ended.run, raised)
        if self._signals.details and ended.run.kind in DETAILED and claims_of(provider, "details").take(*ended.claim):
            teller.details(ended.run, ended.end)

    def _meter_provider(self) -> MeterProvider | None:
        return self._signals.meter_provider or meter_provider()

    def _logger_provider(self) -> LoggerProvider | None:
        return self._signals.logger_provider or logger_provider()


def _is_told(run: RunStart) -> bool:
    """Return whether there are events of runs of this kind; those that have details have exceptions too."""
    return exception_event(run.kind) is not None
