"""What is told of a run through the Logs API: a model call's details, an exception, an evaluation.

All of it is by choice, and what a user or a model wrote passes the same gate as on spans. An
event belongs to the run's span, and leaves whether that was sampled or not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, get_current_span, set_span_in_context
from pydantic_core import from_json

from .. import _semconv as names
from .._content import ContentPolicy, Gate
from .._encode import label as one_line
from .._guard import Guard, say_once
from .._model import Outcome, RunEnd, RunFailure, RunKind, RunStart
from .._version import __version__
from ._compat import COMPAT, GenAiProfile
from ._exportable import exportable
from ._latest import LATEST
from ._receivers import kept_with, logger_provider
from ._shared import error_type

if TYPE_CHECKING:
    from opentelemetry._logs import Logger, LoggerProvider

__all__ = ["DETAILED", "Teller", "exception_event", "record_evaluation"]

DETAILED: Final = frozenset({RunKind.CHAT, RunKind.LLM})
"""The kinds of runs that the conventions have an event with details of."""

_DEBUG, _INFO, _WARN = 5, 9, 13  # SeverityNumber, whose module is loaded only where events are emitted
_EXCEPTIONS: Final[Mapping[RunKind, str]] = {
    RunKind.CHAT: names.EVENT_CLIENT_EXCEPTION,
    RunKind.LLM: names.EVENT_CLIENT_EXCEPTION,
    RunKind.EMBEDDINGS: names.EVENT_CLIENT_EXCEPTION,
    RunKind.RETRIEVER: names.EVENT_CLIENT_EXCEPTION,
    RunKind.TOOL: names.EVENT_TOOL_EXCEPTION,
}
_OF_THE_CONVENTIONS: Final = ("gen_ai.", "openai.", "server.", "error.")
_STRUCTURED: Final = (
    names.GEN_AI_INPUT_MESSAGES,
    names.GEN_AI_OUTPUT_MESSAGES,
    names.GEN_AI_SYSTEM_INSTRUCTIONS,
    names.GEN_AI_TOOL_DEFINITIONS,
)
_NOWHERE: Final = (
    "chainspan.record_evaluation() has nowhere to send its event: set up a LoggerProvider of OpenTelemetry, "
    "or pass logger_provider=."
)
_EVALUATING: Final = Guard("evaluation")


def exception_event(kind: RunKind) -> str | None:
    """Return what the conventions call the event of an exception in a run of this kind; None where they have none."""
    return _EXCEPTIONS.get(kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Teller:
    """Emits the events of one run that has ended.

    Attributes:
        profile: Whose names are used; ``openinference`` has no events, and gets those of ``compat``.
        gate: What content passes.
        span: What the events belong to.
    """

    provider: LoggerProvider
    profile: str
    gate: Gate
    span: Span
    at_ns: int

    def details(self, run: RunStart, end: RunEnd | RunFailure | None) -> None:
        """Emit what the conventions say of a model call."""
        self._emit(names.EVENT_OPERATION_DETAILS, self._details(run, end), _DEBUG)

    def exception(self, run: RunStart, failure: RunFailure) -> None:
        """Emit what a run raised, where the conventions have an event for it."""
        event = exception_event(run.kind)
        if event is not None and failure.outcome is Outcome.ERROR:
            self._emit(event, self.gate.exception(failure.error), _WARN)

    @property
    def _speaks(self) -> GenAiProfile:
        return LATEST if self.profile == LATEST.name else COMPAT

    def _details(self, run: RunStart, end: RunEnd | RunFailure | None) -> dict[str, Any]:
        """Return the attributes of the call's span, with content as data rather than as text."""
        attributes: dict[str, Any] = dict(self._speaks.start(run, self.gate))
        if isinstance(end, RunEnd):
            attributes.update(self._speaks.end(run, end, self.gate))
        elif end is not None:
            attributes.update(self._speaks.failure(run, end, self.gate))
        own = {key: value for key, value in attributes.items() if key.startswith(_OF_THE_CONVENTIONS)}
        for key in _STRUCTURED:
            if key in own:
                own[key] = from_json(own[key])
        # The session that the run was started in may be over by now, and another one current.
        told = own.pop(names.GEN_AI_CONVERSATION_ID, None)
        conversation = (getattr(self.span, "attributes", None) or {}).get(names.SESSION_ID)
        if conversation is None and run.conversation_id is not None:
            conversation = told
        return own if conversation is None else {**own, names.GEN_AI_CONVERSATION_ID: conversation}

    def _emit(self, event: str, attributes: Mapping[str, Any], severity: int) -> None:
        logger = _logger(self.provider, self._speaks.schema_url)
        _emit(logger, event, attributes, severity=severity, span=self.span, at_ns=self.at_ns)


def record_evaluation(  # noqa: PLR0913  what the conventions have of an evaluation
    name: str,
    *,
    score: float | None = None,
    label: str | None = None,
    explanation: str | None = None,
    error: BaseException | None = None,
    span: Span | SpanContext | None = None,
    response_id: str | None = None,
    content: bool | ContentPolicy | None = None,
    logger_provider: LoggerProvider | None = None,
) -> None:
    """Record what an evaluation found of a span, as the event ``gen_ai.evaluation.result`` of the Logs API.

    Never raises. Without a LoggerProvider it says once in the log that there is none.

    Args:
        name: What was evaluated, such as ``relevance``.
        score: The result as a number.
        label: The result as a word, such as ``pass``.
        explanation: Why; content, hence recorded only where content is on.
        error: What the evaluation raised, where it failed.
        span: The span that was evaluated, or its identity (``span.get_span_context()``), which may
            be kept until long after. None: the current one.
        response_id: The provider's id of the answer, where its span is not at hand.
        content: As of `OtelHandler`, for the explanation.
        logger_provider: Emit to this provider instead of the global one.
    """
    with _EVALUATING:
        provider = logger_provider or _global_provider()
        if provider is None:
            say_once(_NOWHERE)
            return
        gate = Gate.of(content, in_events=True)
        attributes = {
            names.GEN_AI_EVALUATION_NAME: gate.name(one_line(name)),
            names.GEN_AI_EVALUATION_SCORE_VALUE: None if score is None or not math.isfinite(score) else float(score),
            names.GEN_AI_EVALUATION_SCORE_LABEL: None if label is None else gate.name(one_line(label)),
            names.GEN_AI_EVALUATION_EXPLANATION: None if explanation is None else gate.text(explanation),
            names.GEN_AI_RESPONSE_ID: response_id,
            names.ERROR_TYPE: None if error is None else error_type(error),
        }
        about = NonRecordingSpan(span) if isinstance(span, SpanContext) else span
        _emit(
            _logger(provider, names.SCHEMA_URL),
            names.EVENT_EVALUATION_RESULT,
            exportable(attributes, gate),
            severity=_INFO,
            span=get_current_span() if about is None else about,
        )


def _global_provider() -> LoggerProvider | None:
    return logger_provider()


def _logger(provider: LoggerProvider, schema_url: str | None) -> Logger:
    def made() -> Logger:
        return provider.get_logger("chainspan", __version__, schema_url)

    return kept_with(provider, ("logger", schema_url), made)


def _emit(
    logger: Logger, event: str, attributes: Mapping[str, Any], *, severity: int, span: Span, at_ns: int | None = None
) -> None:
    from opentelemetry._logs import LogRecord, SeverityNumber  # noqa: PLC0415  loaded by who set up a provider

    number = SeverityNumber(severity)
    logger.emit(
        LogRecord(
            timestamp=at_ns,
            context=set_span_in_context(span),
            severity_number=number,
            severity_text=number.name,
            attributes=dict(attributes),
            event_name=event,
        )
    )
