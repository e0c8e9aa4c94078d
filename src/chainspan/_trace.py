"""What all runs below one root share: the time, the sums of their model calls, and who asked for which tool."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from opentelemetry.trace import SpanContext

from . import _semconv as names
from ._model import ModelResponse

__all__ = ["Trace"]

_MOST_CALLS = 10_000  # tool calls remembered for one trace


@dataclass(slots=True, eq=False)
class Trace:
    """What all runs below one root share: a clock, and what their model calls add up to.

    The clock reads the wall once, at the root's start, and counts from there: a step of
    the wall clock neither makes a duration negative nor puts a child before its parent.

    Attributes:
        clock: Nanoseconds since the epoch; None: the machine's.
        input_tokens: As all calls reported them together; None where none did.
        output_tokens: The same.
        cost: What the model calls cost; None where no price is known.
        outer: The trace of the run in whose body the root was started without its knowing; it counts the calls too.
        is_over: Whether the root has ended, with the sums until then.
    """

    clock: Callable[[], int] | None = None
    model_calls: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: float | None = None
    outer: Trace | None = None
    is_over: bool = False
    _asked: dict[str, SpanContext] | None = None  # which model's span asked for a tool call, by the call's id
    _offset_ns: int = field(init=False)

    def __post_init__(self) -> None:
        """Read the wall clock."""
        self._offset_ns = time.time_ns() - time.perf_counter_ns()  # noqa: TID251 - the one wall clock

    def now_ns(self) -> int:
        """Return the time in nanoseconds since the epoch."""
        if self.clock is not None:
            return self.clock()
        return time.perf_counter_ns() + self._offset_ns

    def add(self, span: SpanContext, response: ModelResponse, *, is_counted: bool = False) -> None:
        """Count a model's answer in, unless that was done, and remember which tools it asked for."""
        if self.outer is not None:
            self.outer.add(span, response, is_counted=is_counted)
        if response.tool_call_ids:
            self._remember(span, response.tool_call_ids)
        if response.cache_hit or is_counted:
            return
        self.model_calls += 1
        usage = response.usage
        if usage is None:
            return
        if usage.input_tokens is not None:
            self.input_tokens = (self.input_tokens or 0) + usage.input_tokens
        if usage.output_tokens is not None:
            self.output_tokens = (self.output_tokens or 0) + usage.output_tokens

    def charge(self, cost: float) -> None:
        """Add what a model call cost."""
        self.cost = (self.cost or 0.0) + cost
        if self.outer is not None:
            self.outer.charge(cost)

    def inside(self, clock: Callable[[], int] | None) -> Trace:
        """Return the trace of a root in the body of a run of this one.

        Of those around this one, all but the nearest are let go if they are over: each of a row of roots may begin
        the next, without an end. While this one lasts both have one time, else a child could start before its parent.
        """
        around = self.outer
        while around is not None:
            around.outer = around.open_outer()
            around = around.outer
        trace = Trace(clock, outer=self)
        if not self.is_over:
            trace._offset_ns = self._offset_ns
        return trace

    def open_outer(self) -> Trace | None:
        """Return the innermost trace around this one that is not over, or None."""
        outer = self.outer
        while outer is not None and outer.is_over:
            outer = outer.outer
        return outer

    def _remember(self, span: SpanContext, call_ids: Sequence[str]) -> None:
        asked = self._asked = {} if self._asked is None else self._asked
        for call_id in call_ids[: _MOST_CALLS - len(asked)]:
            asked[call_id] = span

    def asked(self, call_id: str) -> SpanContext | None:
        """Return the span of the model that asked for a tool call, or None."""
        found = None if self._asked is None else self._asked.get(call_id)
        return self.outer.asked(call_id) if found is None and self.outer is not None else found

    def totals(self) -> dict[str, int | float]:
        """Return the sums as attributes of the root's span; tokens only as far as any were reported."""
        sums: dict[str, int | float] = {names.CHAINSPAN_USAGE_MODEL_CALLS: self.model_calls}
        if self.input_tokens is not None:
            sums[names.CHAINSPAN_USAGE_INPUT_TOKENS] = self.input_tokens
        if self.output_tokens is not None:
            sums[names.CHAINSPAN_USAGE_OUTPUT_TOKENS] = self.output_tokens
        if self.input_tokens is not None and self.output_tokens is not None:
            sums[names.CHAINSPAN_USAGE_TOTAL_TOKENS] = self.input_tokens + self.output_tokens
        if self.cost is not None:
            sums[names.CHAINSPAN_USAGE_COST] = self.cost
        return sums
