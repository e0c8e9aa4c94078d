"""Brings a request to its endpoint, as often as it takes, and narrows down what is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import TypeVar

import tenacity

from .._exit import after_fork
from .._guard import Guard
from .._outage import OutageLog
from ._senders import Answer, Sender, Verdict

__all__ = ["Courier", "narrowed"]

_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 15.0
_LONGEST_RETRY_AFTER_S = 300.0
_MOST_SPLITS = 64

_FAULTY = Answer(verdict=Verdict.DOUBTFUL, reason="the sender raised")  # which it must not, so it is tried less often
_sending = Guard("courier.send")

T = TypeVar("T")


class Courier:
    """Sends one request at a time, pausing longer after each failure.

    Used by one thread; hurry() and stop() come from others.

    Args:
        outage: Told of every failure, and of the end of it.
    """

    def __init__(self, sender: Sender, outage: OutageLog) -> None:
        self._sender = sender
        self._outage = outage
        self._asked_s = 0.0  # how long the endpoint wants to be left alone
        self._wake = threading.Event()
        self._backoff = tenacity.wait_exponential(multiplier=_FIRST_PAUSE_S, max=_LONGEST_PAUSE_S)
        self._random = Random()  # noqa: S311  keeps retries apart
        self._over = threading.Event()
        after_fork(self._start_afresh)

    def deliver(self, body: bytes, *, patience_s: float | None = None, doubts: int | None = None) -> Answer:
        """Send until the answer is final, or patience, doubt or the process ends.

        Args:
            body: The encoded request.
            patience_s: How long to try; None: until stop().
            doubts: How many doubtful answers to take for this request; None: any number.
        """
        give_up = tenacity.stop_never if patience_s is None else tenacity.stop_before_delay(patience_s)
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda answer: not answer.final),
            wait=self._pause_s,
            sleep=self._sleep,
            stop=lambda state: give_up(state) or self._is_over(state, doubts),
            retry_error_callback=_answer_of,
        )
        return attempts(self._attempt, body)

    def hurry(self) -> None:
        """End a pause now, or skip the next one, unless the endpoint asked for it."""
        self._wake.set()

    def stop(self) -> None:
        """Try nothing again from now on."""
        self._over.set()
        self._wake.set()

    @property
    def stopped(self) -> bool:
        """Whether stop() has been called."""
        return self._over.is_set()

    def _start_afresh(self) -> None:
        self._wake = threading.Event()
        self._over = threading.Event()
        self._random.seed()

    def _attempt(self, body: bytes) -> Answer:
        answer = _FAULTY
        with _sending:
            answer = self._sender.send(body)
        if answer.final:
            self._outage.arrived()
        else:
            self._outage.failed(answer.reason)
        return answer

    def _pause_s(self, state: tenacity.RetryCallState) -> float:
        self._asked_s = min(_answer_of(state).retry_after_s or 0.0, _LONGEST_RETRY_AFTER_S)
        jitter_s = self._random.uniform(0, _FIRST_PAUSE_S)  # not the module's, which the application may have seeded
        return max(self._backoff(state) + jitter_s, self._asked_s)

    def _sleep(self, seconds: float) -> None:
        """Wait: for what the endpoint asked for in any case, for the rest until hurry()."""
        self._over.wait(self._asked_s)
        self._wake.wait(max(0.0, seconds - self._asked_s))
        if not self.stopped:
            self._wake.clear()

    def _is_over(self, state: tenacity.RetryCallState, doubts: int | None) -> bool:
        doubtful = _answer_of(state).verdict is Verdict.DOUBTFUL
        return self.stopped or (doubts is not None and doubtful and state.attempt_number >= doubts)


def _answer_of(state: tenacity.RetryCallState) -> Answer:
    answer = state.outcome.result() if state.outcome else None
    if not isinstance(answer, Answer):
        raise TypeError(f"expected an Answer, got {answer!r}")
    return answer


def narrowed(
    pieces: Sequence[T], send: Callable[[Sequence[T]], Answer], splits: int = _MOST_SPLITS
) -> Iterator[tuple[Sequence[T], Answer]]:
    """Send pieces together, and yield each part of them with its final answer.

    Where a request of several pieces is refused, its halves are sent for themselves, so
    that one poisoned piece does not take the others with it. After so many splits the
    endpoint refuses everything, and the rest is taken as refused.
    """
    todo = [pieces]
    while todo:
        part = todo.pop()
        answer = send(part)
        if answer.verdict is Verdict.REFUSED and len(part) > 1 and splits:
            splits -= 1
            half = len(part) // 2
            todo += [part[half:], part[:half]]  # the first half is sent next
        else:
            yield part, answer
