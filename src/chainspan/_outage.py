"""One log line per outage, with a count, however often the attempts fail.

A dead endpoint fails every few seconds and loses spans by the thousand. Who reads the
log wants to know once: since when, why, how many are lost and how many still wait.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from time import monotonic
from urllib.parse import urlsplit, urlunsplit

from ._guard import log_quietly

__all__ = ["OutageLog", "place_of"]

_WORTH_A_WARNING_S = 10.0


class OutageLog:
    """Gathers failures and losses, and says them in one line at a time.

    A line is written when an outage ends, when it has lasted for ``quiet_s``, and when
    the process ends during it; losses outside an outage at most every ``quiet_s``.
    Thread-safe; the clock and the writer are injected for tests.

    Args:
        target: Where the spans should go; the log names it without what may be a secret there.
        waiting: Returns what waits now, in words, such as ``12 spans wait in memory``.
        noun: What one of them is called, where they are no spans.
    """

    def __init__(
        self,
        target: str,
        *,
        waiting: Callable[[], str] = str,
        noun: str = "span",
        quiet_s: float = 60.0,
        clock: Callable[[], float] = monotonic,
        log: Callable[[int, str], None] = log_quietly,
    ) -> None:
        self.waiting = waiting
        self._target = place_of(target)
        self._noun = noun
        self._quiet_s = quiet_s
        self._clock = clock
        self._log = log
        self._lock = threading.RLock()  # as the garbage collector may end a span while it is held
        self._losses: Counter[str] = Counter()
        self._reason = ""
        self._began_s: float | None = None
        self._said_s: float | None = None

    @property
    def active(self) -> bool:
        """Whether the last attempt failed."""
        return self._began_s is not None

    @property
    def speaks(self) -> bool:
        """Whether a failure of the same endpoint is, has just been or may soon be said here."""
        lately = self._said_s is not None and self._clock() - self._said_s < self._quiet_s
        return self.active or lately or bool(self.waiting())

    def failed(self, reason: str) -> None:
        """Note an attempt that failed and will be repeated."""
        with self._lock:
            self._reason = reason
            if self._began_s is None:
                self._began_s, self._said_s = self._clock(), None
        self._say_when_due()

    def arrived(self) -> None:
        """Note an attempt that reached the endpoint: an outage, if there was one, is over."""
        if self._began_s is not None:
            self._say_end()
        elif self._losses:
            self._say_when_due()

    def lost(self, spans: int, why: str) -> None:
        """Note spans that will not arrive. Logs nothing: it may be called in a callback."""
        with self._lock:
            self._losses[why] += spans

    def closed(self) -> None:
        """Say what has not been said, because the process ends."""
        if self._losses or (self.active and self._said_s is None):
            self._say(logging.WARNING)
        self._began_s = None

    def reset(self) -> None:
        """Forget everything: in a forked child, it is the parent's to tell."""
        self._lock = threading.RLock()
        self._losses.clear()
        self._began_s = self._said_s = None

    def _say_when_due(self) -> None:
        began_s, said_s, now_s = self._began_s, self._said_s, self._clock()
        if began_s is not None:
            due = said_s is None and now_s - began_s >= self._quiet_s
        else:
            due = said_s is None or now_s - said_s >= self._quiet_s
        if due:
            self._say(logging.WARNING)

    def _say_end(self) -> None:
        lasted_s = self._clock() - (self._began_s or 0.0)
        unsaid = self._said_s is None and lasted_s >= _WORTH_A_WARNING_S
        self._say(logging.WARNING if unsaid or self._losses else logging.INFO, over=True)
        self._began_s = self._said_s = None

    def _say(self, level: int, *, over: bool = False) -> None:
        with self._lock:
            losses, self._losses = self._losses, Counter()
            self._said_s = self._clock()
        facts = [f"{spans:,} {self._were(spans)} lost ({why})" for why, spans in losses.items()]
        facts += [] if over else filter(None, [self.waiting()])
        self._log(level, f"{self._subject(over=over)}: {', '.join(facts) or 'none lost'}.")

    def _subject(self, *, over: bool) -> str:
        if self._began_s is None:
            return f"chainspan could not deliver all {self._noun}s to {self._target}"
        lasted_s = self._clock() - self._began_s
        tense = "reached" if over else "have reached"
        return f"No {self._noun}s {tense} {self._target} for {lasted_s:.0f} s ({self._reason})"

    def _were(self, count: int) -> str:
        return f"{self._noun} was" if count == 1 else f"{self._noun}s were"


def place_of(endpoint: str) -> str:
    """Return an address without user, password and query, which may be keys."""
    parts = urlsplit(endpoint)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))
