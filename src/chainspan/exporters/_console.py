"""The console: the text of LangChain.js, live as runs start and end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from typing_extensions import override

from chainspan import _semconv as names
from chainspan._delivery import Delivery
from chainspan._encode import mask_text
from chainspan._errors import require_flags, whole_number
from chainspan._exit import close_at_exit
from chainspan._guard import Guard

from . import _console_text as text
from . import _genai_spans as genai
from ._console_runs import Crumbs, LastWords, OpenRuns
from ._sinks import Outlet, Target

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span as ApiSpan

__all__ = ["ConsoleProcessor"]

_GUARD = Guard("the console")
_NS_PER_MS = 1_000_000
_OTHER_OUTCOMES = frozenset({"interrupted", "cancelled", "abandoned", "evicted"})


class ConsoleProcessor(SpanProcessor):
    """Prints the runs that its spans are about, in the bracketed text of LangChain.js.

    Spans that are not about an LLM are not printed, and the breadcrumbs pass through
    them. A span of another library often tells its input only at its end: its start is
    printed as soon as something starts inside of it, or else when it ends.

    Safe to share between threads: the text of one line is written whole, and no thread
    waits while another one writes. The only lock is held for counting, never while text
    is made or written.

    Args:
        to: A stream, a path (UTF-8, appended to), a logger (at INFO), or a function of one
            str; None for ``sys.stdout`` as it is at the time of writing.
        color: Whether to write colours; None for: on a terminal, unless the environment
            has ``NO_COLOR`` or ``FORCE_COLOR``. Files, loggers and functions get colours
            only for True.
        max_open: How many spans to keep. One that never ends makes room for newer ones.

    Raises:
        ConfigurationError: An argument cannot be used.
    """

    def __init__(self, to: Target = None, color: bool | None = None, *, max_open: int = 10_000) -> None:
        require_flags("ConsoleProcessor", may_be_none=True, color=color)
        self._outlet = Outlet(to, color)
        self._runs = OpenRuns(whole_number("ConsoleProcessor(max_open=)", max_open))
        close_at_exit(self)

    @override
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Print the start of a run."""
        with _GUARD:
            started = self._runs.enter(span)
            if started and self._outlet.is_enabled():
                self._write_starts(started)

    def on_event(self, span: ApiSpan, event_name: str, attributes: Mapping[str, object]) -> None:
        """Print an agent's action as it happens; processors hear of events only at the end.

        Other events are not printed.
        """
        if event_name != genai.AGENT_ACTION:
            return
        with _GUARD:
            crumbs = self._runs.act(span.get_span_context().span_id)
            if crumbs and self._outlet.is_enabled():
                self._write_actions(crumbs, [genai.action_of(attributes)])

    @override
    def on_end(self, span: ReadableSpan) -> None:
        """Print the end of a run."""
        with _GUARD:
            words = self._runs.leave(span)
            if words and words.crumbs and self._outlet.is_enabled():
                self._write_starts(words.started)
                self._write_end(span, words)

    @override
    def shutdown(self) -> None:
        """Close the file that was opened here, if there is one."""
        with _GUARD:
            self._outlet.close()

    @override
    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until all text is written, and return whether it is."""
        return bool(self.flush(timeout_millis / 1_000))

    def flush(self, timeout_s: float) -> Delivery:
        """Wait until all text is written, for so long at most. A Delivery counts no spans that are printed."""
        is_written = self._outlet.flush(timeout_s)
        return Delivery() if is_written else Delivery(unverified=(type(self).__name__,))

    def close(self, timeout_s: float) -> None:
        """Wait for text that a thread is writing which ends with the process; what comes later is printed as well."""
        self._outlet.flush(timeout_s)

    def _write(self, line: str) -> None:
        self._outlet.write(mask_text(line, keep_data=True))

    def _write_starts(self, started: Sequence[tuple[Crumbs, ReadableSpan]]) -> None:
        color = self._outlet.has_color()
        for crumbs, span in started:
            inputs = genai.input_of(crumbs[-1].section, span.attributes or {})
            self._write(text.start_line(crumbs, inputs, color=color))

    def _write_actions(self, crumbs: Crumbs, actions: Sequence[object]) -> None:
        color = self._outlet.has_color()
        for action in actions:
            self._write(text.action_line(crumbs, action, color=color))

    def _write_end(self, span: ReadableSpan, words: LastWords) -> None:
        crumbs = words.crumbs
        if genai.may_act(crumbs[-1].type):
            self._write_actions(crumbs, genai.actions_of(span)[words.actions :])
        self._write(_end_of(span, crumbs, color=self._outlet.has_color()))


def _end_of(span: ReadableSpan, crumbs: Crumbs, *, color: bool) -> str:
    elapsed_ms = ((span.end_time or 0) - (span.start_time or 0)) // _NS_PER_MS
    attributes = span.attributes or {}
    outputs = genai.output_of(crumbs[-1].section, attributes)
    outcome = str(attributes.get(names.CHAINSPAN_RUN_OUTCOME))
    if outcome in _OTHER_OUTCOMES:
        return text.outcome_line(crumbs, elapsed_ms, outcome, outputs, color=color)
    if (error := genai.error_of(span)) is not None:
        return text.error_line(crumbs, elapsed_ms, error, color=color)
    return text.end_line(crumbs, elapsed_ms, outputs, color=color)
