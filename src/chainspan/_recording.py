"""How a run is written down: what its span says when it starts, ends and fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from opentelemetry.trace import Link, Span, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from ._content import Gate
from ._model import Outcome, RunEnd, RunFailure, RunStart
from ._profiles import Profile
from ._runs import Run

__all__ = ["Recording", "describe_end", "describe_failure", "links_to_caller", "sum_up"]

_OUTCOME = "chainspan.run.outcome"


def _as_json(data: object, gate: Gate) -> str | None:
    return gate.json(data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """How a handler wants its runs recorded.

    Attributes:
        keeps: Whether a run gets a span of its own; others hand their children up.
        encode_event: Makes text of an event's data, as far as the gate lets it out.
        on_event: Told of events as they happen, which a span processor is not.
    """

    profile: Profile
    gate: Gate
    keeps: Callable[[RunStart], bool] | None = None
    encode_event: Callable[[object, Gate], str | None] = _as_json
    on_event: Callable[[Span, str, Mapping[str, AttributeValue]], None] | None = None


def links_to_caller(run: Run, start: RunStart) -> list[Link]:
    """Link a tool's run to the model call that asked for it."""
    call_id = start.tool.call_id if start.tool is not None else None
    caller = run.trace.asked.get(call_id) if call_id is not None else None
    return [Link(caller)] if caller is not None else []


def describe_end(run: Run, start: RunStart, end: RunEnd) -> Outcome:
    recording: Recording = run.keep
    end.streaming = run.streaming()
    attributes = recording.profile.end(start, end, run.gate)
    if attributes:
        run.span.set_attributes(attributes)
    if end.response is not None:
        run.trace.add(run.context, end.response)
    if end.failed is None:
        return Outcome.OK
    run.span.set_status(Status(StatusCode.ERROR, run.gate.text(end.failed)))
    return Outcome.ERROR


def describe_failure(run: Run, start: RunStart, failure: RunFailure) -> None:
    recording: Recording = run.keep
    failure.streaming = run.streaming()
    run.span.set_attributes(recording.profile.failure(start, failure, run.gate))
    if failure.response is not None:
        run.trace.add(run.context, failure.response)
    if failure.outcome is not Outcome.ERROR:
        return
    event = run.gate.exception(failure.error)
    run.span.add_event("exception", event, timestamp=run.trace.now_ns())
    run.span.set_status(Status(StatusCode.ERROR, run.gate.error_message(failure.error)))


def sum_up(run: Run, outcome: Outcome) -> None:
    if outcome is not Outcome.OK:
        run.span.set_attribute(_OUTCOME, outcome.value)
    if run.parent is None and run.trace.model_calls:
        run.span.set_attributes(run.trace.totals())
