"""Locks that a forked child finds free, and that never keep a thread out which is inside already.

Only the thread that forks goes on in the child. What another one held there would stay
locked for ever, and the first run of the child would wait for it.

The garbage collector may end a run in the midst of anything, such as that of a stream which was
dropped. If that needs a lock which the same thread holds, the thread would wait for itself.

A handler of a signal may raise between any two steps of Python code, as Ctrl-C does. A lock whose
``__enter__`` is written in Python may be taken by then, and no ``with`` knows of it yet.
"""

from __future__ import annotations

import threading

from ._exit import after_fork

__all__ = ["Lock"]


class Lock:
    """Keeps threads out of each other's way: ``with lock.inside:``. For what is not done at every run.

    Attributes:
        inside: The lock itself, which the thread that is inside may enter again.
    """

    __slots__ = ("__weakref__", "inside")

    def __init__(self) -> None:
        self._renew()
        after_fork(self._renew)

    def _renew(self) -> None:
        self.inside = threading.RLock()
