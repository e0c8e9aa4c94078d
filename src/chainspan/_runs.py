"""The runs that are open now, and each one's place in the tree.

LangChain knows a run by a UUID and reports it twice: started, then ended or failed.
All that has to last from the first report to the second is kept here, so a pipeline
owns one registry instead of one dict for each fact about a run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext
from typing_extensions import override

from ._model import RunStart, Streaming
from ._seat import Seat
from ._trace import Trace

__all__ = ["Run", "RunRegistry"]

_MOST_PAST = 64  # ended runs that are remembered for those that start in them late, and above these


class Run:
    """One run, from its start until nobody refers to it any more.

    An ended run may live on in a context that somebody copied. It then keeps its place
    and its span's identity, and lets go of everything else.

    Args:
        start: What is reported of its start.
        around: The span that is current around it, until it has one of its own.
        parent: The run that it was started by; None for a root.
        trace: What it shares with the other runs below its root.
        registry: The open runs of its pipeline.
        keep: How the handler that claimed the run wants it recorded.

    Attributes:
        id: The run id's integer.
        start: What was reported when the run started; None once it has ended.
        span: The span that is current inside; of a run that has no span of its own, its
            nearest ancestor's.
        own: Whether ``span`` is this run's own.
        started_ns: When it started, in nanoseconds since the epoch.
        children: The runs that it started and that are not past, by id.
        natives: The ids of the foreign span that the run's span hangs below, and of that one's parent; of a
            root in the body of another run, those that are above that one, too.
        seat: Where the run was started; None once it has ended.
        first_chunk_ns: When the first content of a streamed answer came.
        is_streamed: Whether a piece of a streamed answer has come.
        gate: What decides over the run's content.
        attached: The context that was made current at the start, where one was.
        is_mute: Whether there is nothing to say of its end, unless it raises.
        is_watched: Whether it is looked for that the run is over without being reported.
        counted: Of a model: the tokens, in and out, of each answer that other models below it gave.
        drops: Whether no run below it is ever recorded.
        stands_for: The ids of open runs below that are not kept, as nobody will know of them.
        twin: The run that the same frame started just before, where it is open still.
        witness: What tells that the function which started it is gone, where it may be left without an end.
    """

    __slots__ = (
        "attached",
        "children",
        "counted",
        "drops",
        "first_chunk_ns",
        "gate",
        "id",
        "is_mute",
        "is_streamed",
        "is_watched",
        "keep",
        "natives",
        "open",
        "own",
        "parent",
        "registry",
        "seat",
        "span",
        "stands_for",
        "start",
        "started_ns",
        "trace",
        "twin",
        "witness",
    )

    def __init__(
        self, start: RunStart, around: Span, parent: Run | None, trace: Trace, registry: RunRegistry, keep: Any
    ) -> None:
        self.id: int = start.run_id.int
        self.start: RunStart | None = start
        self.span = around
        self.parent = parent
        self.trace = trace
        self.registry = registry
        self.keep = keep
        self.started_ns = trace.now_ns()
        self.own = self.open = True
        self.is_mute = self.is_streamed = self.is_watched = self.drops = False
        self.children: dict[int, Run] = {}
        self.natives: tuple[int, ...] = ()
        self.counted: list[tuple[int | None, int | None]] | None = None
        self.first_chunk_ns: int | None = None
        self.seat: Seat | None = None
        self.gate: Any = None
        self.attached: Context | None = None
        self.stands_for: set[int] | None = None
        self.twin: Run | None = None
        self.witness: object = None

    @override
    def __repr__(self) -> str:
        """Name the run."""
        name = self.start.name if self.start is not None else "ended"
        return f"<Run {name} {self.id:032x}>"

    @property
    def context(self) -> SpanContext:
        """The identity of the run's span."""
        return self.span.get_span_context()

    @property
    def is_leaf(self) -> bool:
        """Whether LangChain does not say when this run is the current one (models, retrievers)."""
        return self.start is not None and self.start.run_type in ("llm", "retriever")

    @property
    def is_past(self) -> bool:
        """Whether it has ended, and every run below it too: a stream's steps are closed, and drained, after it."""
        return not self.open and not self.children

    def is_within(self, ancestor: Run) -> bool:
        """Return whether this run is another one or lies below it."""
        run: Run | None = self
        while run is not None:
            if run is ancestor:
                return True
            run = run.parent
        return False

    def knows_native(self, span_id: int) -> bool:
        """Return whether a foreign span stands above this run or one of its ancestors."""
        run: Run | None = self
        while run is not None:
            if span_id in run.natives:
                return True
            run = run.parent
        return False

    def natives_above(self) -> tuple[int, ...]:
        """Return the ids of the foreign spans that are known to stand above this run, of the nearest ones."""
        found: list[int] = []
        run: Run | None = self
        while run is not None and len(found) < _MOST_PAST:
            found += run.natives
            run = run.parent
        return tuple(found[:_MOST_PAST])

    def streaming(self) -> Streaming | None:
        """Return how the answer was streamed; None where it was not."""
        if not self.is_streamed:
            return None
        first = self.first_chunk_ns
        seconds = None if first is None else (first - self.started_ns) / 1e9
        return Streaming(first_content_s=seconds)

    def open_below(self) -> list[Run]:
        """Return the runs below this one that are open, deepest first."""
        below: list[Run] = []
        left = list(self.children.values())
        while left:  # and no recursion: work that goes on for ever may nest as deep as it likes
            below.append(left.pop())
            left.extend(list(below[-1].children.values()))
        return [run for run in reversed(below) if run.open]

    def close(self) -> None:
        """Mark the run as ended, and take it out of the tree, with each run above it that waited for it."""
        self.open = False
        if self.parent is None:
            self.trace.is_over = True
        run = self
        while run.parent is not None and not (run.open or run.children):  # is past
            run.parent.children.pop(run.id, None)
            run = run.parent

    def shorten(self) -> None:
        """Forget what is past far above this run, as work may go on for ever that starts in what started it last."""
        top: Run = self
        for _ in range(_MOST_PAST):
            if top.parent is None:
                return
            top = top.parent
        if not top.is_past:
            return
        above = top.parent
        while above is not None and above.is_past:
            top.natives = (*top.natives, *above.natives)[-_MOST_PAST:]
            above = above.parent
        top.parent = above

    def disown(self) -> None:
        """Leave the end to the process that this one was forked from; runs below stay where they are."""
        self.span = NonRecordingSpan(self.context)

    def let_go(self) -> None:
        """Keep no more of an ended run than its identity."""
        self.span = NonRecordingSpan(self.span.get_span_context())
        self.start = self.seat = self.keep = self.gate = self.attached = self.twin = self.witness = None


class RunRegistry:
    """The open runs of one pipeline, by id.

    Safe to share between threads: ``batch()`` reports to one handler from many. An id
    that is not open is answered with None, never with an exception.

    Attributes:
        get: Returns the open run with an id, or None; the dict's own method, as it is asked all the time.

    Args:
        max_open: How many runs to keep. An application that is cut off between start and
            end never reports the end, and would leak the run.
        on_evict: Called, outside the lock, with each run that had to make room.
    """

    def __init__(self, *, max_open: int = 10_000, on_evict: Callable[[Run], None]) -> None:
        self._max_open = max_open
        self._on_evict = on_evict
        self._lock = threading.RLock()  # as the garbage collector may run what starts another
        self._open: dict[int, Run] = {}  # oldest first
        self._past: dict[int, Run] = {}
        self._long_past: dict[int, Run] = {}
        self.get: Callable[[int], Run | None] = self._open.get

    def add(self, run: Run) -> None:
        """Register a run that has started."""
        self._open[run.id] = run
        if run.parent is not None:
            run.parent.children[run.id] = run
        if len(self._open) > self._max_open:
            self._make_room()

    def add_as(self, run_id: int, run: Run) -> None:
        """Have an open run stand for one below it, until that is taken or its own end comes."""
        self._open[run_id] = run
        if run.stands_for is None:
            run.stands_for = set()
        run.stands_for.add(run_id)
        if len(self._open) > self._max_open:
            self._make_room()

    def take(self, run_id: int) -> Run | None:
        """Forget an open run that has ended, and return it; None too where another one stood for it."""
        run = self._open.pop(run_id, None)
        if run is None:
            return None
        past = self._past
        past[run_id] = run
        if len(past) * 2 >= _MOST_PAST and self._past is past:  # one of the threads that come here at once does it
            self._long_past, self._past = past, {}
        if run.id != run_id:
            if run.stands_for is not None:
                run.stands_for.discard(run_id)
            return None
        if run.stands_for is not None:
            for other in run.stands_for.copy():
                self._open.pop(other, None)
        return run

    def past(self, run_id: int) -> Run | None:
        """Return a run that ended not long ago, or None.

        A thread that was given a run's config may start its work when that run has ended, and
        belongs there all the same.
        """
        return self._past.get(run_id) or self._long_past.get(run_id)

    def __contains__(self, run_id: int) -> bool:
        """Return whether a run is open."""
        return run_id in self._open

    def __iter__(self) -> Iterator[Run]:
        """Go through the runs that are open now, oldest first."""
        return iter([run for run_id, run in self._open.copy().items() if run.id == run_id])

    def __len__(self) -> int:
        """Return how many ids are known: 0 when no trace is in progress."""
        return len(self._open)

    def _make_room(self) -> None:
        with self._lock:  # only those who evict exclude one another; dict operations are atomic
            oldest = next(iter(self._open.copy()), None)
            evicted = None if oldest is None else self.take(oldest)
        if evicted is not None:
            self._on_evict(evicted)
