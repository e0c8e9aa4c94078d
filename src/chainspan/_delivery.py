"""What became of the spans that were handed over, told as it is.

The SDK's ``force_flush()`` answers True when nobody listened, and may take many times
its timeout. Here a flush keeps its timeout and returns a Delivery: how many spans
arrived, how many wait, and how many were lost on the way.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Protocol, runtime_checkable

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value
from opentelemetry.sdk.trace import SpanProcessor

from ._guard import Guard
from ._starting import start_thread

__all__ = ["Delivery", "Flushable", "aflush_all", "flush_all", "untraced"]

_flushing = Guard("delivery.flush")
_SHARE = 0.9  # of a timeout that a processor is given, so that its answer comes back within it
_LONGEST_S = 7 * 24 * 3_600.0  # that a flush may take; locks cannot wait for ever


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Where the spans are that were handed over since the start.

    It is true when all of them arrived, and false as soon as one waits, was lost, or
    went to a processor that does not tell. The four numbers add up to what was handed over.

    Attributes:
        delivered: Accepted by the endpoint.
        pending: Not sent yet: in memory, or in the spool, from where they are still sent.
        rejected: Refused by the endpoint for good; a spool keeps them aside.
        dropped: Lost here: a queue or a spool was full, a process ended, an exporter failed.
        unverified: The processors that cannot say what arrived, such as the SDK's own.
    """

    delivered: int = 0
    pending: int = 0
    rejected: int = 0
    dropped: int = 0
    unverified: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Return whether everything arrived, as far as anyone can tell."""
        return not (self.pending or self.lost or self.unverified)

    def __add__(self, other: Delivery) -> Delivery:
        """Return both together, as the delivery of a pipeline with two processors."""
        return Delivery(
            delivered=self.delivered + other.delivered,
            pending=self.pending + other.pending,
            rejected=self.rejected + other.rejected,
            dropped=self.dropped + other.dropped,
            unverified=self.unverified + other.unverified,
        )

    @property
    def lost(self) -> int:
        """How many spans will not arrive."""
        return self.rejected + self.dropped


@runtime_checkable
class Flushable(Protocol):
    """What can say where its spans are. Our own processors and exporters can."""

    def flush(self, timeout_s: float) -> Delivery:
        """Send what is pending, for so long at most, and return where the spans are then."""
        ...


def flush_all(processors: Iterable[SpanProcessor | Flushable], timeout_s: float) -> Delivery:
    """Flush all at the same time and return where their spans are, within the timeout.

    A processor that is not ours is asked to ``force_flush()`` on a thread of its own,
    which is left behind when it takes longer.
    """
    timeout_s = min(timeout_s, _LONGEST_S)
    deadline_s = monotonic() + timeout_s
    flushes = [_Flush(processor, deadline_s) for processor in processors]
    answers = [flush.result() for flush in flushes]
    return sum(answers, Delivery())


async def aflush_all(processors: Iterable[SpanProcessor | Flushable], timeout_s: float) -> Delivery:
    """Do what flush_all does, without blocking the event loop.

    On a thread of its own, and not the loop's: those may all be at work for long.
    """
    answer: Future[Delivery] = Future()
    work = partial(_answer, answer, list(processors), timeout_s)
    start_thread(threading.Thread(target=work, name="chainspan-aflush", daemon=True), otherwise=work)
    return await asyncio.wrap_future(answer)


def _answer(answer: Future[Delivery], processors: Sequence[SpanProcessor | Flushable], timeout_s: float) -> None:
    if answer.set_running_or_notify_cancel():
        try:
            answer.set_result(flush_all(processors, timeout_s))
        except BaseException as fault:  # noqa: BLE001 - raised where it is waited for
            answer.set_exception(fault)


class _Flush:
    """One processor being flushed on its own thread, so that none waits for another."""

    def __init__(self, processor: SpanProcessor | Flushable, deadline_s: float) -> None:
        self._processor = processor
        self._deadline_s = deadline_s
        self._answer = Delivery(unverified=(type(processor).__name__,))
        self._thread = threading.Thread(target=self._run, name="chainspan-flush", daemon=True)
        start_thread(self._thread, otherwise=self._run)

    def result(self) -> Delivery:
        if self._thread.ident is not None:
            self._thread.join(self._left_s())
        return self._answer

    def _run(self) -> None:
        with _flushing:
            if isinstance(self._processor, Flushable):
                self._answer = self._processor.flush(self._left_s() * _SHARE)
            else:
                self._processor.force_flush(int(self._left_s() * 1000))

    def _left_s(self) -> float:
        return max(0.0, self._deadline_s - monotonic())


@contextmanager
def untraced() -> Iterator[None]:
    """Suppress instrumentation, so that sending spans makes no spans."""
    token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, value=True))
    try:
        yield
    finally:
        detach(token)
