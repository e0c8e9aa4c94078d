"""What executes where a run was started, and whether the function that started it has finished."""

from __future__ import annotations

import sys
from types import FrameType

from ._greenlets import frames_in, is_gone, stack_from
from ._seat import Seat
from ._stack import starter
from ._tasks import executing_frames, suspended_frames

__all__ = ["frames_below", "frames_of_thread", "is_over"]

_SHOWS_FRAMES: bool = getattr(sys, "_is_gil_enabled", lambda: True)()
"""Whether variables of a frame that another thread executes may be read: not without the GIL."""


def frames_of_thread(seat: Seat) -> list[FrameType]:
    """Return the frames that a run's thread executes right now, innermost first; none without the GIL."""
    return stack_from(_executes(seat)) if _SHOWS_FRAMES else []


def frames_below(seat: Seat) -> list[FrameType]:
    """Return those of them that are below the one which started the run; none where that does not execute."""
    frames = frames_of_thread(seat)
    return frames[: next((place for place, frame in enumerate(frames) if seat.holds(frame)), 0)]


def is_over(seat: Seat, *, but_for_newest: bool = False) -> bool:
    """Return whether the function that started a run has certainly finished.

    False also means "cannot be told": for streams, and behind awaitables that do not
    show what they await.

    Args:
        seat: Where the run was started.
        but_for_newest: Whether the frame that is starting a run right now is known to
            be another one, though it may stand at the same address.
    """
    if seat.code is None or seat.pauses:
        return False
    if seat.task is not None and seat.task.done():
        return True
    if any(map(seat.holds, frames_in(seat.greenlet))):
        return False
    if seat.is_here():
        stack = _above_newest() if but_for_newest else sys._getframe(1)  # noqa: SLF001 - the only way to see the stack
        return not any(map(seat.holds, executing_frames(stack)))
    return _is_over_elsewhere(seat)


def _is_over_elsewhere(seat: Seat) -> bool:
    if seat.task is not None:
        frames, is_whole = suspended_frames(seat.task)
        return is_whole and not any(map(seat.holds, frames))
    executes = _executes(seat)
    if executes is None:
        return is_gone(seat.greenlet)
    return not any(map(seat.holds, stack_from(executes)))


def _executes(seat: Seat) -> FrameType | None:
    return sys._current_frames().get(seat.thread_id)  # noqa: SLF001 - documented


def _above_newest() -> FrameType | None:
    """Return the frame that called the one which is starting a run right now."""
    here = sys._getframe(1)  # noqa: SLF001 - the only way to see the stack
    newest = starter(here)
    return here if newest is None else newest.f_back
