"""Hands finished spans to an exporter on one background thread, and counts every one.

It differs from the SDK's BatchSpanProcessor in what it says and in what it keeps: what
the exporter answered is counted, a flush keeps its timeout, a batch that cannot be sent
stays until it can or the queue's bound is reached, and the end of the process waits two
seconds at most. The thread starts with the first span, so a handler may be built before
a fork, and ends when there has been nothing to do for a while.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import Protocol, runtime_checkable

from opentelemetry.context import Context
from opentelemetry.sdk.environment_variables import (
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE,
    OTEL_BSP_MAX_QUEUE_SIZE,
    OTEL_BSP_SCHEDULE_DELAY,
)
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from typing_extensions import override

from ._delivery import Delivery, untraced
from ._errors import ConfigurationError
from ._exit import EXIT_TIMEOUT_S, after_fork, close_at_exit, is_ending
from ._guard import Guard, say_once
from ._outage import OutageLog
from ._starting import start_thread

__all__ = ["BatchingProcessor", "Deliverer"]

_IDLE_S = 5.0
_LAST_STEPS_S = 0.2  # of a close: for the thread to see that it is over

_TOO_LATE = (
    "Spans that end when their exporter has been closed are lost, as those of exit hooks are that were "
    "registered before chainspan.configure(); a spool keeps them for the next process."
)

_delivering = Guard("batching.deliver")


@runtime_checkable
class Deliverer(Protocol):
    """An exporter that says what became of the spans, rather than success or failure."""

    outage: OutageLog

    def deliveries(self, spans: Sequence[ReadableSpan]) -> Iterator[Delivery]:
        """Send the spans, trying again until they are settled or stop() is called.

        Yields:
            What became of some of them, as soon as that is known; pending ones have been given
            up because of stop().
        """
        ...

    def hurry(self) -> None:
        """Try again now, where a failed attempt waits for the next one."""
        ...

    def stop(self) -> None:
        """Give up what cannot be sent at once, now and from now on."""
        ...


class BatchingProcessor(SpanProcessor):
    """Queues finished spans for one exporter. Safe to share between handlers and threads.

    Args:
        exporter: Any exporter; one that is a Deliverer is believed in detail.
        max_queue_spans: How many spans may wait; beyond it the oldest is dropped and counted.
            OTEL_BSP_MAX_QUEUE_SIZE, else 2,048.
        max_batch_spans: How many go to the exporter at once. OTEL_BSP_MAX_EXPORT_BATCH_SIZE, else 512.
        delay_s: How long a span waits for company. OTEL_BSP_SCHEDULE_DELAY (in ms), else 1 s.
    """

    _thread: threading.Thread | None

    def __init__(
        self,
        exporter: SpanExporter,
        *,
        max_queue_spans: int | None = None,
        max_batch_spans: int | None = None,
        delay_s: float | None = None,
    ) -> None:
        self._exporter = exporter
        self._deliverer: Deliverer = exporter if isinstance(exporter, Deliverer) else _Plain(exporter)
        self._deliverer.outage.waiting = self._waiting
        self._max_queue_spans = max_queue_spans or _from_environment(OTEL_BSP_MAX_QUEUE_SIZE, 2_048)
        self._max_batch_spans = max_batch_spans or _from_environment(OTEL_BSP_MAX_EXPORT_BATCH_SIZE, 512)
        self._delay_s = delay_s or _from_environment(OTEL_BSP_SCHEDULE_DELAY, 1_000) / 1_000
        self._handed = 0  # spans, of which those before the first `_due_upto` do not wait for company
        self._due_upto = 0
        self._closed = False
        self._given_up = False
        self._start_afresh()
        after_fork(self._start_afresh)
        close_at_exit(self)

    @override
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing: only finished spans are sent."""

    @override
    def on_end(self, span: ReadableSpan) -> None:
        """Queue a finished span, if it is sampled."""
        if not (span.context and span.context.trace_flags.sampled):
            return
        thread: threading.Thread | None = None
        with self._lock:
            self._handed += 1
            is_late = self._closed
            if is_late:
                self._drop(1, "the process was ending")
            else:
                if len(self._queue) >= self._max_queue_spans:
                    self._queue.popleft()
                    self._drop(1, "the queue was full")
                self._queue.append(span)
                if len(self._queue) in {1, self._max_batch_spans}:
                    self._changed.notify_all()
                if self._thread is None:
                    thread = self._new_thread()
        if thread is not None:  # with no lock held: to start it waits for it, and it takes the lock first of all
            start_thread(thread, otherwise=self._do_without_thread)
        if is_late:
            say_once(_TOO_LATE)

    def flush(self, timeout_s: float) -> Delivery:
        """Send what is queued, for so long at most, and return where all spans are then."""
        with self._lock:
            upto = self._due_upto = self._handed
            self._changed.notify_all()
        if timeout_s > 0:
            self._deliverer.hurry()
        with self._lock:
            self._changed.wait_for(lambda: self._settled_spans >= upto, timeout_s)
            return self._settled + Delivery(pending=self._handed - self._settled_spans, dropped=self._dropped)

    @override
    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush, and return whether all spans arrived."""
        return bool(self.flush(timeout_millis / 1_000))

    def close(self, timeout_s: float) -> None:
        """Flush, then stop; what is still pending is counted as dropped and logged."""
        if self._closed:
            return
        deadline_s = monotonic() + timeout_s
        self.flush(max(0.0, timeout_s - _LAST_STEPS_S))
        with self._lock:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        self._deliverer.stop()
        if thread and thread.is_alive():
            thread.join(max(0.0, deadline_s - monotonic()))
        if self._give_up() and not self._deliverer.outage.active:
            self._deliverer.outage.failed("no answer in time")
        self._deliverer.outage.closed()
        self._exporter.shutdown()

    @override
    def shutdown(self) -> None:
        """Close, within two seconds."""
        self.close(EXIT_TIMEOUT_S)

    def _start_afresh(self) -> None:
        """Begin with nothing pending; in a forked child, what is queued is the parent's to send."""
        self._lock = threading.RLock()  # entered in one step, which a condition is not: see `chainspan._locks`
        self._changed = threading.Condition(self._lock)
        self._queue: deque[ReadableSpan] = deque()
        self._thread = None
        self._settled, self._dropped = Delivery(), 0
        self._handed = self._due_upto = 0
        self._closed = self._given_up = False
        self._deliverer.outage.reset()

    @property
    def _settled_spans(self) -> int:
        return self._settled.delivered + self._settled.lost + self._dropped

    def _waiting(self) -> str:
        waiting = self._handed - self._settled_spans
        return f"{waiting:,} wait in memory" if waiting else ""

    def _drop(self, spans: int, why: str) -> None:
        # In one step: the garbage collector may end spans, and have some dropped, in the midst of more.
        self._dropped += spans
        self._deliverer.outage.lost(spans, why)

    def _new_thread(self) -> threading.Thread | None:
        """Return the thread to start, unless one was for a span that the garbage collector has ended meanwhile."""
        thread = threading.Thread(target=self._work, name="chainspan-batching", daemon=True)
        if self._thread is not None:
            return None
        self._thread = thread
        return thread

    def _do_without_thread(self) -> None:
        self._thread = None  # close() counts what is left then

    def _work(self) -> None:
        with untraced():
            while batch := self._next_batch():
                self._deliver(batch)

    def _deliver(self, batch: Sequence[ReadableSpan]) -> None:
        """Have a batch sent, and count each part of it when it is settled: the whole may take long."""
        left = len(batch)
        try:
            for answer in self._deliverer.deliveries(batch):
                left -= answer.delivered + answer.pending + answer.lost
                self._settle(answer)
        except BaseException as fault:  # noqa: BLE001 - a panic in Rust is no Exception, and would end this thread
            _delivering.caught(fault)
            self._settle(Delivery(dropped=left))

    def _next_batch(self) -> list[ReadableSpan]:
        """Wait for a batch that is due and take it; empty when there was none for a while."""
        with self._lock:
            self._changed.wait_for(lambda: self._queue or self._closed, _IDLE_S)
            if self._queue:
                self._changed.wait_for(self._is_due, self._delay_s)
            else:
                self._thread = None
            return [self._queue.popleft() for _ in range(min(len(self._queue), self._max_batch_spans))]

    def _is_due(self) -> bool:
        is_asked_for = self._closed or self._settled_spans < self._due_upto
        return is_asked_for or len(self._queue) >= self._max_batch_spans or is_ending()

    def _settle(self, answer: Delivery) -> None:
        with self._lock:
            if self._given_up:
                return
            if answer.pending:
                self._drop(answer.pending, "the process ended")
            self._settled += Delivery(delivered=answer.delivered, rejected=answer.rejected, dropped=answer.dropped)
            self._changed.notify_all()

    def _give_up(self) -> int:
        """Count what is left as dropped, and return how much that is."""
        with self._lock:
            self._given_up = True
            if left := self._handed - self._settled_spans:
                self._drop(left, "the process ended")
            self._queue.clear()
            return left


class _Plain:
    """Any exporter as a Deliverer: what it calls a failure is lost, for it tried again itself."""

    def __init__(self, exporter: SpanExporter) -> None:
        self.outage = OutageLog(type(exporter).__name__)
        self._exporter = exporter
        self._stopped = False

    def deliveries(self, spans: Sequence[ReadableSpan]) -> Iterator[Delivery]:
        yield Delivery(pending=len(spans)) if self._stopped else self._delivered(spans)

    def _delivered(self, spans: Sequence[ReadableSpan]) -> Delivery:
        failure = "the exporter failed"
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001  reported as what it is: a loss
            result, failure = SpanExportResult.FAILURE, f"the exporter raised {type(error).__name__}"
        if result is SpanExportResult.SUCCESS:
            self.outage.arrived()
            return Delivery(delivered=len(spans))
        self.outage.lost(len(spans), failure)
        self.outage.failed(failure)
        return Delivery(dropped=len(spans))

    def hurry(self) -> None:
        """Do nothing: its own pauses are not ours to cut short."""

    def stop(self) -> None:
        self._stopped = True


def _from_environment(name: str, default: int) -> int:
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    if not text.isdecimal() or int(text) == 0:
        raise ConfigurationError(name, expected="a whole number above 0", got=text)
    return int(text)
