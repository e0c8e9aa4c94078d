"""Requests that found no room on the disk, held in memory within a bound."""

from __future__ import annotations

import threading
from collections import deque

__all__ = ["SpoolMemory"]


class SpoolMemory:
    """A queue of encoded requests, each with the number of its spans. Thread-safe; one thread takes from it.

    Args:
        max_bytes: How much is held. What comes beyond it is refused.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.start_afresh()

    def start_afresh(self) -> None:
        """Hold nothing: at first, and in a forked child."""
        self._lock = threading.RLock()  # as the garbage collector may end a span while it is held
        self._requests: deque[tuple[bytes, int]] = deque()
        self._bytes = 0
        self.spans = 0

    def hold(self, body: bytes, spans: int) -> bool:
        """Hold a request; False when there is no room for it."""
        with self._lock:
            if self._bytes + len(body) > self._max_bytes:
                return False
            self._requests.append((body, spans))
            self._bytes += len(body)
            self.spans += spans
            return True

    def first(self) -> tuple[bytes, int] | None:
        """Return the oldest request, or None."""
        with self._lock:
            return self._requests[0] if self._requests else None

    def drop_first(self) -> None:
        """Forget the oldest request."""
        with self._lock:
            body, spans = self._requests.popleft()
            self._bytes -= len(body)
            self.spans -= spans

    def clear(self) -> int:
        """Forget everything, and return how many spans that were."""
        with self._lock:
            spans, self.spans, self._bytes = self.spans, 0, 0
            self._requests.clear()
            return spans
