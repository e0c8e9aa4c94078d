"""The frames that started runs: whoever has one on the stack is inside of what it started."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import FrameType

from ._executing import frames_below
from ._runs import Run
from ._stack import held_by
from ._tasks import executing_frames
from ._waiting import awaiters_here

__all__ = ["PUMPED", "handed", "is_starter", "leave_seat", "of_twins", "seated_in", "take_seat", "twins_of"]

PUMPED = frozenset({"_iter_v2_events", "_aiter_v2_events"})  # generators that a model's events are pulled from
_TEXT_MODELS = "langchain_core.language_models.llms"
_ONE_BY_ONE = frozenset({"_generate", "_agenerate"})  # functions there that call a model prompt by prompt

_starters: dict[int, Run] = {}  # address of a frame -> the run that it started last
is_starter: Callable[[int], bool] = _starters.__contains__
"""Whether a frame at an address may have started an open run; asked of each frame of a stack."""


def take_seat(run: Run, frame: FrameType | None) -> None:
    """Remember the frame that started a run: whoever has it on the stack is inside."""
    if frame is not None:
        if id(frame) in _starters:
            run.twin = seated_in(frame)
        _starters[id(frame)] = run


def leave_seat(run: Run) -> None:
    """Forget the frame that started a run."""
    if run.seat is not None and _starters.get(run.seat.frame_id) is run:
        del _starters[run.seat.frame_id]


def seated_in(frame: FrameType) -> Run | None:
    """Return the open run that a frame started last."""
    run = _starters.get(id(frame))
    if run is None or not run.open or run.seat is None:
        return None
    return run if run.seat.code is frame.f_code else None


def handed(frame: FrameType) -> int:
    """Return the id of the run whose manager a function of a model was handed, else 0."""
    if "run_manager" not in frame.f_code.co_varnames:
        return 0
    run_id = getattr(frame.f_locals.get("run_manager"), "run_id", None)
    return getattr(run_id, "int", 0)


def _configured(frame: FrameType) -> int:
    """Return the id of the run whose config a function was handed, else 0."""
    if "config" not in frame.f_code.co_varnames:
        return 0
    config = frame.f_locals.get("config")
    manager = config.get("callbacks") if type(config) is dict else None
    run_id = getattr(manager, "parent_run_id", None)
    return getattr(run_id, "int", 0)


def of_twins(run: Run, frame: FrameType | None) -> Run:
    """Tell apart the runs that one frame started before it executes them one by one.

    ``generate`` starts a run for each prompt first. It then hands each call of a chat model
    its run's manager, under the name ``run_manager``; those of a text model all get the
    first one's, and what has been answered so far tells which it is
    (langchain_core.language_models). ``batch`` hands each call of a step the run's config, and
    has no word for it where the step reports no run of its own.
    """
    twins = twins_of(run)
    by_id = {twin.id: twin for twin in twins}
    named: Run | None = None
    for inner in _called_by_starter(run, frame):
        named = named or by_id.get(handed(inner)) or by_id.get(_configured(inner))
        if inner.f_code.co_name in _ONE_BY_ONE and inner.f_globals.get("__name__") == _TEXT_MODELS:
            generations = held_by(inner, "generations")
            done = len(generations) if isinstance(generations, list) else 0
            return twins[done] if done < len(twins) else run
    return named or run


def _called_by_starter(run: Run, frame: FrameType | None) -> Iterator[FrameType]:
    """Go through the frames below the one that started a run, innermost first.

    Where that is not on the stack, those follow of the tasks that wait for what a task or a thread executes here,
    or else those that the run's own thread executes meanwhile.
    """
    seat = run.seat
    for inner in executing_frames(frame):
        if seat is None or seat.holds(inner):
            return
        yield inner
    for waiter in awaiters_here(frame, seat):
        for inner in waiter.frames:
            if seat is None or seat.holds(inner):
                return
            yield inner
    yield from () if seat is None else frames_below(seat)


def twins_of(run: Run) -> list[Run]:
    """Return the open runs that were started by one frame, in their order."""
    twins = [run]
    while twins[-1].twin is not None and twins[-1].twin.open:
        twins.append(twins[-1].twin)
    return twins[::-1]
