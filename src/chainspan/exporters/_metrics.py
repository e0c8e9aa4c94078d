"""Metrics by OTLP, from a thread that nothing waits for longer than it was told to.

The SDK's periodic reader logs a traceback for each failed export, and lets the end of the
process wait for as long as its exporter tries. This one collects the same, and sends it as
our spans are sent: what the endpoint answers is read, an outage is said once, and a flush
and the end of the process keep their bounds.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.environment_variables import (
    OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION,
    OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE,
    OTEL_METRIC_EXPORT_INTERVAL,
    OTEL_METRIC_EXPORT_TIMEOUT,
)
from opentelemetry.sdk.metrics import Counter, Histogram, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricReader, MetricsData
from opentelemetry.sdk.metrics.view import Aggregation, ExponentialBucketHistogramAggregation
from typing_extensions import override

from .._delivery import Delivery, untraced
from .._errors import ConfigurationError
from .._exit import EXIT_TIMEOUT_S, after_fork, close_at_exit
from .._guard import Guard, log_quietly, say_once
from .._outage import OutageLog, place_of
from .._starting import start_thread
from ._courier import Courier
from ._encoding import sayable
from ._otlp import otlp_sender
from ._senders import Answer, Sender, Verdict
from ._settings import OtlpSettings

__all__ = ["MetricsFeed", "otlp_metrics"]

_LAST_STEPS_S = 0.2  # of a close: for the thread to see that it is over
_MOST_DOUBTS = 3
_INFO: Final = 20
_WARNING: Final = 30
_NO_SUCH_SERVICE = ("404", "405", "501", "UNIMPLEMENTED")

_collecting = Guard("metrics.collect")

_DELTAS: dict[str, tuple[type, ...]] = {
    "cumulative": (),
    "delta": (Counter, ObservableCounter, Histogram),
    "lowmemory": (Counter, Histogram),
}
_AGGREGATIONS: dict[str, Callable[[], dict[type, Aggregation]]] = {
    "explicit_bucket_histogram": dict,  # the default, with the boundaries that each instrument advises
    "base2_exponential_bucket_histogram": lambda: {Histogram: ExponentialBucketHistogramAggregation()},
}


def otlp_metrics(endpoint: str | None = None, *, wanted: bool = True) -> MetricsFeed:
    """Return a reader that sends to an OTLP endpoint; all that is not given comes from OTEL_*.

    Args:
        endpoint: A URL; with no path it gets the signal's own, ``/v1/metrics``.
        wanted: Whether somebody asked for metrics, and has to be warned where the endpoint takes none.

    Raises:
        ConfigurationError: A variable cannot be used.
    """
    settings = OtlpSettings.read(endpoint, signal="metrics")
    return MetricsFeed(otlp_sender(settings), wanted=wanted)


class MetricsFeed(MetricReader):
    """Collects a MeterProvider's metrics every so often, and sends them.

    What cannot be sent is contained in what is sent next, unless the temporality is delta.

    Args:
        sender: Sends single requests.
        wanted: As of `otlp_metrics`.

    Attributes:
        endpoint: Where they go.
        covered: Tells whether an outage is said by somebody else, whose endpoint is at the same host.
    """

    def __init__(self, sender: Sender, *, wanted: bool = True) -> None:
        deltas = _chosen(OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE, _DELTAS)
        super().__init__(
            preferred_temporality=dict.fromkeys(deltas, AggregationTemporality.DELTA),
            preferred_aggregation=_chosen(OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION, _AGGREGATIONS)(),
        )
        self._is_delta = bool(deltas)
        self._interval_s = _seconds(OTEL_METRIC_EXPORT_INTERVAL, 60_000)
        self._patience_s = _seconds(OTEL_METRIC_EXPORT_TIMEOUT, 30_000)
        self._wanted = wanted
        self.covered: Callable[[], bool] = bool
        self.endpoint: str = sender.endpoint
        self._sender = sender
        self.outage: OutageLog = OutageLog(sender.endpoint, noun="data point", log=self._log)
        self._courier = Courier(_Knowing(sender), self.outage)
        self._closed = False
        self._arrived: list[tuple[object, ...]] = []  # what the last collection said that arrived
        self._start_afresh()
        after_fork(self._start_afresh)
        close_at_exit(self)

    def flush(self, timeout_s: float) -> Delivery:
        """Collect and send, for so long at most. A Delivery counts spans, hence this one is empty."""
        with self._changed:
            self._asked += 1
            upto = self._asked
            self._changed.notify_all()
        if timeout_s > 0:
            self._courier.hurry()
        with self._changed:
            self._changed.wait_for(lambda: self._done >= upto or self._thread is None, timeout_s)
        return Delivery()

    @override
    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Flush, and return whether all that was collected has arrived."""
        self.flush(timeout_millis / 1_000)
        return self._done >= self._asked and not self._unsent

    def close(self, timeout_s: float) -> None:
        """Flush, then stop, within the timeout."""
        if self._closed:
            return
        deadline_s = monotonic() + timeout_s
        self.flush(max(0.0, timeout_s - _LAST_STEPS_S))
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._courier.stop()
        if self._thread:
            self._thread.join(max(0.0, deadline_s - monotonic()))
        if self._unsent:
            self.outage.lost(self._unsent, "the process ended")
            if not self.outage.active:
                self.outage.failed("no answer in time")
        self.outage.closed()
        self._sender.close()

    @override
    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        """Close, within two seconds."""
        self.close(min(timeout_millis / 1_000, EXIT_TIMEOUT_S))

    @override
    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any) -> None:
        """Send what was collected; called by the SDK, on the thread that asked it to collect."""
        values = _values(metrics_data)
        if not values:
            return
        of_all = [replace(one, resource=sayable(one.resource)) for one in metrics_data.resource_metrics]
        body = encode_metrics(MetricsData(of_all)).SerializeToString()
        self._unsent = 0 if values == self._arrived else len(values)
        answer = self._courier.deliver(body, patience_s=self._patience_s, doubts=_MOST_DOUBTS)
        if answer.final:
            self._arrived, self._unsent = values, 0
            self._note_refusal(answer)
        elif self._is_delta and not self._closed:
            self._unsent = 0
            self.outage.lost(len(values), f"given up after {answer.reason}")

    def _note_refusal(self, answer: Answer) -> None:
        """Say once that the endpoint does not take what it is sent: the next time it will not either."""
        place = place_of(self.endpoint)
        if answer.reason.startswith(_NO_SUCH_SERVICE):
            say_once(
                f"{place} takes no metrics ({answer.reason}); OTEL_METRICS_EXPORTER=none sends it none.",
                _WARNING if self._wanted else _INFO,
            )
        elif answer.verdict is Verdict.REFUSED:
            say_once(f"{place} refuses metrics ({answer.reason}).")
        elif answer.rejected_spans:
            say_once(f"{place} refuses some of the metrics.")

    def _start_afresh(self) -> None:
        """Begin with nothing asked for: at first, and in a forked child."""
        self._changed = threading.Condition()
        self._asked = self._done = 0
        self._unsent = 0  # data points of the last collection that have not arrived
        self._arrived = []
        self._thread: threading.Thread | None = None
        self.outage.reset()
        if self._closed:
            return
        self._thread = threading.Thread(target=self._work, name="chainspan-metrics", daemon=True)
        start_thread(self._thread, otherwise=self._do_without_thread)

    def _do_without_thread(self) -> None:
        self._thread = None

    def _work(self) -> None:
        with untraced():
            while (upto := self._next()) is not None:
                with _collecting:
                    if self._collect is not None:  # no provider has been made of it; the SDK would log that
                        self.collect(timeout_millis=self._patience_s * 1_000)
                with self._changed:
                    self._done = upto
                    self._changed.notify_all()

    def _next(self) -> int | None:
        """Wait until it is time to collect, and return how many flushes that answers; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._asked > self._done, self._interval_s)
            return None if self._closed else self._asked

    def _log(self, level: int, sentence: str) -> None:
        if not self.covered():
            log_quietly(level, sentence)


class _Knowing:
    """Sends, and knows an endpoint that has no place for metrics from one that is out of order."""

    def __init__(self, sender: Sender) -> None:
        self.endpoint = sender.endpoint
        self._sender = sender

    def send(self, body: bytes) -> Answer:
        answer = self._sender.send(body)
        if answer.reason.startswith(_NO_SUCH_SERVICE):
            return Answer(verdict=Verdict.REFUSED, reason=answer.reason)
        return answer

    def close(self) -> None:
        self._sender.close()


def _values(data: MetricsData) -> list[tuple[object, ...]]:
    """Return what each data point says, whenever that was: two collections without news are equal."""
    scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics]
    metrics = [metric for scope in scopes for metric in scope.metrics]
    return [(metric.name, *_value(point)) for metric in metrics for point in metric.data.data_points]


def _value(point: object) -> list[object]:
    return [getattr(point, field, None) for field in ("attributes", "count", "sum", "value")]


def _chosen(name: str, allowed: dict[str, Any]) -> Any:
    """Return what a variable chooses, the first where it says nothing."""
    text = os.environ.get(name, "").strip().lower() or next(iter(allowed))
    if text not in allowed:
        raise ConfigurationError(name, expected=f"one of {', '.join(allowed)}", got=text)
    return allowed[text]


def _seconds(name: str, default_ms: int) -> float:
    text = os.environ.get(name, "").strip() or str(default_ms)
    if not text.isdecimal() or int(text) == 0:
        raise ConfigurationError(name, expected="milliseconds above 0", got=text)
    return int(text) / 1_000
