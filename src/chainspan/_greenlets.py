"""Greenlets: pieces of a thread that take turns, each with a stack of its own.

SQLAlchemy executes in one what asynchronous code asks of it, and that waits for it meanwhile. For gevent they
stand in for threads. Nothing here loads them.
"""

from __future__ import annotations

import sys
import weakref
from types import FrameType
from typing import Any

__all__ = ["frames_around", "frames_in", "greenlet_here", "is_gone", "stack_from"]


def greenlet_here() -> weakref.ref[Any] | None:
    """Return the greenlet that executes here; None in a process that has none."""
    here = _here()
    return None if here is None else weakref.ref(here)


def frames_around() -> list[FrameType]:
    """Return the frames of the greenlet that the one which executes here returns to, innermost first.

    Of gevent's that is the hub, whose own waits for nobody in particular.
    """
    waits = getattr(_here(), "parent", None)
    return [] if waits is None else stack_from(waits.gr_frame)


def frames_in(greenlet: weakref.ref[Any] | None) -> list[FrameType]:
    """Return the frames of a greenlet while others execute, innermost first; none of one that executes, or is over."""
    found = None if greenlet is None else greenlet()
    return [] if found is None else stack_from(found.gr_frame)


def is_gone(greenlet: weakref.ref[Any] | None) -> bool:
    """Return whether a greenlet is certainly over, or is none."""
    found = None if greenlet is None else greenlet()
    return found is None or found.dead


def stack_from(frame: FrameType | None) -> list[FrameType]:
    """Return the frames of a stack, innermost first."""
    frames: list[FrameType] = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames


def _here() -> Any:
    current = getattr(sys.modules.get("greenlet"), "getcurrent", None)
    return None if current is None else current()
