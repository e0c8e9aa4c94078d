"""How a run is written down: what its span says when it starts, ends and fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode

from . import _semconv as names
from ._content import Gate
from ._counting import counted, handed_on
from ._guard import Guard
from ._model import AttributeValue, Outcome, RunEnd, RunEvent, RunFailure, RunKind, RunStart
from ._profiles import METERED, Ended, Price, Profile, Report, keep_session
from ._profiles._hints import hint_at_missing_usage
from ._run_span import RunSpan
from ._runs import Run

__all__ = [
    "Attributes",
    "Recording",
    "conclude",
    "describe_end",
    "describe_failure",
    "describe_start",
    "is_news",
    "is_reported",
    "keep_for_events",
    "links_to_caller",
    "note",
    "record_event",
    "report_end",
    "report_orphan",
]

Attributes = dict[str, AttributeValue]

_DESCRIBE, _CONCLUDE = Guard("recording.start"), Guard("recording.conclude")
_OK = Outcome.OK  # a member is found far more slowly by its class
_TELLING = {RunKind.LLM, RunKind.CHAT, RunKind.EMBEDDINGS, RunKind.TOOL, RunKind.RETRIEVER}
_SILENT = frozenset(RunKind) - _TELLING
"""Kinds of runs that, where content is off, have nothing to say when they end."""
_MUTE = _SILENT - METERED
"""Kinds of these of which nothing is told apart from their spans either."""


def _as_json(data: object, gate: Gate) -> str | None:
    return gate.json(data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """How a handler wants its runs recorded.

    Attributes:
        keeps: Whether a run gets a span of its own; others hand their children up.
        encode_event: Makes text of an event's data, as far as the gate lets it out.
        on_event: Told of events as they happen, which a span processor is not.
        price: Says what a model call cost; None: nobody does.
        report: Tells of ended runs apart from their spans; None: nothing does.
    """

    profile: Profile
    gate: Gate
    keeps: Callable[[RunStart], bool] | None = None
    encode_event: Callable[[object, Gate], str | None] = _as_json
    on_event: Callable[[Span, str, Mapping[str, AttributeValue]], None] | None = None
    price: Price | None = None
    report: Report | None = None


def links_to_caller(run: Run, start: RunStart) -> list[Link]:
    """Link a tool's run to the model call that asked for it."""
    call_id = start.tool.call_id if start.tool is not None else None
    caller = run.trace.asked(call_id) if call_id is not None else None
    return [Link(caller)] if caller is not None else []


def describe_start(run: Run) -> tuple[str, SpanKind, Attributes]:
    """Return the name and the kind of a run's span, and what the span says from its start."""
    start: Any = run.start  # it has just begun, so there is one
    gate, profile = run.gate, run.keep.profile
    try:
        attributes = profile.start(start, gate)
    except Exception as fault:  # noqa: BLE001 - of objects that raise when they are looked at
        _DESCRIBE.caught(fault)
        attributes = _barely(start, fault)
    name, kind = profile.name_and_kind(start)
    run.is_mute = not gate.on and start.kind in _MUTE
    return gate.name(name) if gate.policy.redact_patterns else name, kind, attributes


def _barely(start: RunStart, fault: Exception) -> Attributes:
    """Return which run a span is about that cannot be described, and the class of what went wrong."""
    return {
        names.CHAINSPAN_RUN_ID: str(start.run_id),
        names.CHAINSPAN_RUN_TYPE: start.run_type,
        names.CHAINSPAN_RUN_NAME: start.name,
        names.CHAINSPAN_FAULT: type(fault).__name__,
    }


def note(run: Run, fault: Exception) -> None:
    """Mark a span that lacks what could not be described."""
    if run.own:
        run.span.set_attribute(names.CHAINSPAN_FAULT, type(fault).__name__)


def is_news(run: Run, event: RunEvent, recording: Recording) -> bool:
    """Return whether a handler is the one to tell of an event: the one that tells of the run, or else the first."""
    if event.once:
        return not any(known.name == event.name for known in getattr(run.span, "events", ()))
    return run.keep is recording


def record_event(run: Run, event: RunEvent) -> None:
    """Write down what happened inside a run, and how that will have ended if it is reported to end well."""
    if event.outcome is not None:
        run.span.set_attribute(names.CHAINSPAN_RUN_OUTCOME, event.outcome.value)
    recording: Recording = run.keep
    attributes: Attributes = {}
    data = recording.encode_event(event.data, run.gate) if event.data is not None else None
    if data is not None:
        attributes["data"] = data
    name = run.gate.name(event.name)
    run.span.add_event(name, attributes, timestamp=run.trace.now_ns())
    if recording.on_event is not None:
        recording.on_event(run.span, name, attributes)


def describe_end(run: Run, start: RunStart, read: Callable[[], RunEnd]) -> tuple[Outcome, Attributes]:
    """Return how a run ended that did not raise, and what its span says of that."""
    recording: Recording = run.keep
    reports = is_reported(start, recording)
    if not reports and not run.gate.on and start.kind in _SILENT:
        return _OK, {}
    end = read()
    end.streaming = run.streaming()
    if end.streaming is not None:
        hint_at_missing_usage(start, end)
    told = handed_on(run, end)
    if reports:
        _report(run, start, end)
    attributes = recording.profile.end(start, end, run.gate)
    if end.response is not None:
        attributes.update(told or counted(run, recording.price, start, end.response, recording.profile.cost_name))
    if end.failed is None:
        return _OK, attributes
    run.span.set_status(Status(StatusCode.ERROR, run.gate.text(end.failed)))
    return Outcome.ERROR, attributes


def describe_failure(run: Run, start: RunStart, failure: RunFailure) -> Attributes:
    """Return what a run's span says of its failure, and record the exception."""
    recording: Recording = run.keep
    failure.streaming = run.streaming()
    told = handed_on(run, failure)
    if recording.report is not None and recording.report.wants(start):
        _report(run, start, failure)
    attributes = recording.profile.failure(start, failure, run.gate)
    if failure.response is not None:
        attributes.update(told or counted(run, recording.price, start, failure.response, recording.profile.cost_name))
    if failure.outcome is not Outcome.ERROR:
        return attributes
    if recording.report is None or not recording.report.keeps_exceptions_off_spans(start):
        event = run.gate.exception(failure.error)
        run.span.add_event("exception", event, timestamp=run.trace.now_ns())
    run.span.set_status(Status(StatusCode.ERROR, run.gate.error_message(failure.error)))
    return attributes


def conclude(run: Run, outcome: Outcome, attributes: Attributes) -> None:
    """Write what a span says at its end, with the sums of the trace on its root; all at once, which is cheapest."""
    try:
        if outcome is not _OK:
            attributes[names.CHAINSPAN_RUN_OUTCOME] = outcome.value
        if run.parent is None and run.trace.model_calls and run.trace.open_outer() is None:
            attributes.update(run.trace.totals())
        if not attributes:
            return
        if type(run.span) is RunSpan:
            run.span.take(attributes)
        else:
            run.span.set_attributes(attributes)
    except Exception as fault:  # noqa: BLE001 - the span ends all the same
        _CONCLUDE.caught(fault)


def is_reported(start: RunStart, recording: Recording) -> bool:
    """Return whether anything is told of a run apart from its span."""
    return recording.report is not None and recording.report.wants(start)


def keep_for_events(start: RunStart, recording: Recording) -> None:
    """Keep of a run without a span of ours what its events say, and what is not to be had at its end any more."""
    if recording.report is not None and recording.report.with_events:
        keep_session(start)


def report_end(run: Run, read: Callable[[], RunEnd | RunFailure]) -> None:
    """Report the end of a run that has no span, or one that is not sampled; `read` is called only if it has to be."""
    start = run.start
    if start is not None and run.keep.report.wants(start):
        end = read()
        end.streaming = run.streaming()
        handed_on(run, end)
        _report(run, start, end)


def report_orphan(run: Run) -> None:
    """Report a run whose end nobody reported: it took until now, and that is all there is to tell."""
    if run.start is not None and run.keep.report.wants(run.start):
        _report(run, run.start, None)


def _report(run: Run, start: RunStart, end: RunEnd | RunFailure | None) -> None:
    now_ns = max(run.trace.now_ns(), run.started_ns)
    run.keep.report.ended(
        Ended(
            run=start,
            span=run.span,
            claim=(run.id, id(run.registry)),
            duration_s=(now_ns - run.started_ns) / 1e9,
            at_ns=now_ns,
            end=end,
            streaming=run.streaming() if end is None else end.streaming,
        )
    )
