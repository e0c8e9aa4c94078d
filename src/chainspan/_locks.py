"""Locks that a forked child finds free, and that never keep a thread out which is inside already.

Only the thread that forks goes on in the child. What another one held there would stay
locked for ever, and the first run of the child would wait for it.

The garbage collector may end a run in the midst of anything, such as that of a stream which was
dropped. If that needs a lock which the same thread holds, the thread would wait for itself.
"""

from __future__ import annotations

import threading

from ._exit import after_fork

__all__ = ["Lock"]


class Lock:
    """Keeps threads out of each other's way: ``with lock:``. For what is not done at every run.

    The thread that is inside may enter again.
    """

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self._renew()
        after_fork(self._renew)

    def __enter__(self) -> None:
        """Wait until no other thread is inside."""
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        """Let the next thread in."""
        self._lock.release()

    def _renew(self) -> None:
        self._lock = threading.RLock()
