"""What is told through the Logs API: details of model calls, exceptions and evaluations."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langchain_core.tools import tool
from opentelemetry import trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from tests._traces import Traces
from tests.test_configure import run_alone

import chainspan
from chainspan import OtelHandler, record_evaluation, span_of

from ._received import Counting, Logged

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
EMIT = "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT"
SIGNAL = "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN"
DETAILS = {
    "gen_ai.operation.name": "chat",
    "gen_ai.conversation.id": "c-1",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-5",
    "gen_ai.response.model": "gpt-5-1",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 20,
}
SAID = {"role": "user", "parts": ({"type": "text", "content": "2 + 2?"},)}
ANSWERED = {"role": "assistant", "parts": ({"type": "text", "content": "four"},)}


def _ask(handler: OtelHandler, **fields: Any) -> None:
    with chainspan.session(conversation="c-1"):
        Counting(**fields).invoke("2 + 2?", {"callbacks": [handler]})


def test_by_default_there_is_no_event(logs: Logged) -> None:
    """Events are by choice: a LoggerProvider alone gets none."""
    _ask(OtelHandler(InMemorySpanExporter(), logger_provider=logs.provider))

    assert logs.events() == []


def test_a_call_gives_its_details_without_content(logs: Logged) -> None:
    """With events on, each model call tells what its span tells, and no content."""
    _ask(OtelHandler(InMemorySpanExporter(), events=True, logger_provider=logs.provider))

    assert logs.events() == [("gen_ai.client.inference.operation.details", DETAILS)]


def test_content_is_data_where_it_is_on(logs: Logged) -> None:
    """With content on, messages stand in the event as they are: structured, and not as a text."""
    _ask(
        OtelHandler(InMemorySpanExporter(), events=True, content=True, profile="latest", logger_provider=logs.provider)
    )

    [(_, told)] = logs.events()
    assert {key: value for key, value in told.items() if key not in DETAILS} == {
        "gen_ai.input.messages": (SAID,),
        "gen_ai.output.messages": (ANSWERED,),
    }


@pytest.mark.parametrize(
    ("capture", "on_span", "in_event"),
    [
        ("NO_CONTENT", False, False),
        ("SPAN_ONLY", True, False),
        ("EVENT_ONLY", False, True),
        ("SPAN_AND_EVENT", True, True),
        ("true", True, True),
    ],
)
def test_the_variable_chooses_where_content_goes(
    capture: str, on_span: bool, in_event: bool, logs: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each value of the conventions' variable lets content out where it says, and nowhere else."""
    monkeypatch.setenv(CAPTURE, capture)
    exporter = InMemorySpanExporter()

    with OtelHandler(exporter, events=True, logger_provider=logs.provider) as handler:
        _ask(handler)

    [span] = exporter.get_finished_spans()
    [(_, told)] = logs.events()
    assert ("gen_ai.input.messages" in (span.attributes or {})) is on_span
    assert ("gen_ai.input.messages" in told) is in_event


@pytest.mark.parametrize(
    ("environment", "argument", "count"),
    [
        ({CAPTURE: "EVENT_ONLY"}, None, 1),
        ({CAPTURE: "SPAN_AND_EVENT"}, None, 1),
        ({CAPTURE: "SPAN_ONLY"}, None, 0),
        ({CAPTURE: "EVENT_ONLY", EMIT: "false"}, None, 0),
        ({EMIT: "true"}, None, 1),
        ({EMIT: "true"}, False, 0),
        ({EMIT: "false"}, True, 1),
    ],
)
def test_what_switches_events_on(
    environment: dict[str, str], argument: bool | None, count: int, logs: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An argument wins over the variable of events, and that over the one of content."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    _ask(OtelHandler(InMemorySpanExporter(), events=argument, logger_provider=logs.provider))

    assert len(logs.events()) == count


def test_an_event_belongs_to_its_span(logs: Logged) -> None:
    """The event carries the identity of the call's span, and severity DEBUG, as the conventions ask."""
    exporter = InMemorySpanExporter()
    with OtelHandler(exporter, events=True, logger_provider=logs.provider) as handler:
        _ask(handler)

    [span] = exporter.get_finished_spans()
    [record] = [each.log_record for each in logs.records()]
    assert (record.trace_id, record.span_id) == (span.context.trace_id, span.context.span_id)
    assert (record.severity_text, record.severity_number) == ("DEBUG", SeverityNumber.DEBUG)
    assert (span.start_time or 0) <= (record.timestamp or 0) <= (span.end_time or 0)


def test_an_unsampled_call_gives_its_details(logs: Logged) -> None:
    """Events are no part of sampling."""
    tracers = TracerProvider(sampler=ALWAYS_OFF)

    _ask(OtelHandler(tracer_provider=tracers, events=True, logger_provider=logs.provider))
    tracers.shutdown()

    assert [name for name, _ in logs.events()] == ["gen_ai.client.inference.operation.details"]


@pytest.mark.parametrize("sampler", [ALWAYS_ON, ALWAYS_OFF], ids=["sampled", "unsampled"])
def test_an_event_is_of_the_session_that_its_call_started_in(sampler: Sampler, logs: Logged) -> None:
    """What is read of a stream in another session, or after all of them, stays in the first one, traced or not."""
    tracers = TracerProvider(sampler=sampler)
    handler = OtelHandler(tracer_provider=tracers, events=True, logger_provider=logs.provider)

    for first in ("c-1", None):
        with chainspan.session(conversation=first):
            pieces = Counting().stream("x", {"callbacks": [handler]})
            next(pieces)
        with chainspan.session(conversation="c-2"):
            list(pieces)
    tracers.shutdown()

    assert [attributes.get("gen_ai.conversation.id") for _, attributes in logs.events()] == ["c-1", None]


def test_two_handlers_of_one_call_give_one_event(logs: Logged) -> None:
    """A call gives its details once to a LoggerProvider, however many handlers report it."""
    first, second = (OtelHandler(InMemorySpanExporter(), events=True, logger_provider=logs.provider) for _ in range(2))

    Counting().invoke("x", {"callbacks": [first, second]})

    assert len(logs.events()) == 1


def _raise(handler: OtelHandler) -> None:
    @tool
    def fail() -> str:
        """Fail."""
        raise LookupError("a secret")

    with pytest.raises(TimeoutError):
        Counting(replies=[TimeoutError("a secret")]).invoke("x", {"callbacks": [handler]})
    with pytest.raises(LookupError):
        fail.invoke({}, {"callbacks": [handler]})


EXCEPTIONS = [
    ("gen_ai.client.operation.exception", "TimeoutError"),
    ("gen_ai.execute_tool.exception", "LookupError"),
]


@pytest.mark.parametrize(
    ("options", "variable", "in_logs", "on_spans"),
    [
        ({"profile": "compat"}, "", False, True),
        ({"profile": "compat"}, "logs", True, False),
        ({"profile": "compat"}, "logs/dup", True, True),
        ({"profile": "latest"}, "", True, True),
        ({"profile": "latest"}, "logs", True, False),
        ({"profile": "latest", "events": False}, "logs", False, True),
    ],
)
def test_where_exceptions_are_told(
    options: dict[str, Any],
    variable: str,
    in_logs: bool,
    on_spans: bool,
    logs: Logged,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Exceptions stand on spans, in ``latest`` in events too, and where the conventions' variable says."""
    monkeypatch.setenv(SIGNAL, variable)
    exporter = InMemorySpanExporter()

    with OtelHandler(exporter, logger_provider=logs.provider, **options) as handler:
        _raise(handler)

    told = [(name, found["exception.type"]) for name, found in logs.events()]
    spans = exporter.get_finished_spans()
    assert told == (EXCEPTIONS if in_logs else [])
    assert [[event.name for event in span.events] for span in spans] == [["exception"] if on_spans else []] * 2
    assert [(span.attributes or {})["error.type"] for span in spans] == ["TimeoutError", "LookupError"]


def test_exceptions_stay_on_spans_where_there_are_no_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a LoggerProvider no variable makes an exception vanish."""
    monkeypatch.setenv(SIGNAL, "logs")
    exporter = InMemorySpanExporter()

    with OtelHandler(exporter) as handler:
        _raise(handler)

    assert [[event.name for event in span.events] for span in exporter.get_finished_spans()] == [["exception"]] * 2


@pytest.mark.parametrize("content", [False, True], ids=["off", "on"])
def test_messages_of_exceptions_are_content(content: bool, logs: Logged) -> None:
    """An exception in an event has type and frames, and its message only where content is on."""
    _raise(OtelHandler(InMemorySpanExporter(), profile="latest", content=content, logger_provider=logs.provider))

    assert ["a secret" in str(told) for _, told in logs.events()] == [content, content]
    assert all("exception.stacktrace" in told for _, told in logs.events())
    assert {record.log_record.severity_text for record in logs.records()} == {"WARN"}


def test_a_logger_that_fails_hurts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A LoggerProvider that raises costs its events, and neither the span nor the application."""
    monkeypatch.delenv("CHAINSPAN_STRICT")
    exporter = InMemorySpanExporter()

    class Broken(LoggerProvider):
        def get_logger(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("broken")

    with OtelHandler(exporter, events=True, logger_provider=Broken(shutdown_on_exit=False)) as handler:
        _ask(handler)

    assert [(span.attributes or {})["gen_ai.usage.input_tokens"] for span in exporter.get_finished_spans()] == [100]


# ---------------------------------------------------------------- evaluations


def test_an_evaluation_belongs_to_the_span_that_it_is_of(logs: Logged) -> None:
    """A result can be recorded long after, by the identity of the span."""
    exporter = InMemorySpanExporter()
    with OtelHandler(exporter) as handler:
        _ask(handler)
    [span] = exporter.get_finished_spans()

    record_evaluation(
        "relevance",
        score=0.75,
        label="good",
        explanation="because of a secret",
        span=span.context,
        response_id="r-1",
        logger_provider=logs.provider,
    )

    assert logs.events() == [
        (
            "gen_ai.evaluation.result",
            {
                "gen_ai.evaluation.name": "relevance",
                "gen_ai.evaluation.score.value": 0.75,
                "gen_ai.evaluation.score.label": "good",
                "gen_ai.response.id": "r-1",
            },
        )
    ]
    [record] = [each.log_record for each in logs.records()]
    assert (record.trace_id, record.span_id) == (span.context.trace_id, span.context.span_id)


async def test_each_of_many_calls_at_once_has_a_handle_for_what_is_found_later(logs: Logged) -> None:
    """Of fifty tasks with one handler each knows its own trace, and what is found later is its span's (pains #35)."""
    traces = Traces()
    handler = OtelHandler(tracer_provider=traces.provider, content=True)
    handles: dict[str, trace.SpanContext] = {}

    async def answer(word: str, config: RunnableConfig) -> str:
        await asyncio.sleep(0)
        handles[word] = span_of(config).get_span_context()
        return word

    step: Runnable[str, str] = RunnableLambda(answer)
    await asyncio.gather(*(step.ainvoke(f"w{n}", {"callbacks": [handler]}) for n in range(50)))
    for word, handle in handles.items():
        record_evaluation("liked", label=word, span=handle, logger_provider=logs.provider)

    assert len({handle.trace_id for handle in handles.values()}) == 50
    answered = {(span.attributes or {})["input.value"]: span.context for span in traces.spans}
    found = {
        record.attributes["gen_ai.evaluation.score.label"]: (record.trace_id, record.span_id)
        for record in (each.log_record for each in logs.records())
    }
    assert found == {word: (context.trace_id, context.span_id) for word, context in answered.items()}


def test_what_an_evaluation_is_called_holds_no_secret(logs: Logged) -> None:
    """A judge's label may quote what it read; what is no content is put on one line, too."""
    key = "sk-proj-abcdefghijklmnopqrstuvwx"
    record_evaluation(f"leak of {key}", label=f"found\n{key}", logger_provider=logs.provider)

    assert [told for _, told in logs.events()] == [
        {"gen_ai.evaluation.name": "leak of [secret]", "gen_ai.evaluation.score.label": "found [secret]"}
    ]


def test_an_evaluation_is_of_the_current_span_by_default(logs: Logged) -> None:
    """Inside a span no span has to be named; a failed evaluation says what it raised."""
    tracers = TracerProvider()
    with tracers.get_tracer("mine").start_as_current_span("step") as span:
        record_evaluation("relevance", error=TimeoutError("late"), logger_provider=logs.provider)
        record_evaluation("length", score=1, span=span, logger_provider=logs.provider)
        identity = trace.get_current_span().get_span_context()
    tracers.shutdown()

    assert [told for _, told in logs.events()] == [
        {"gen_ai.evaluation.name": "relevance", "error.type": "TimeoutError"},
        {"gen_ai.evaluation.name": "length", "gen_ai.evaluation.score.value": 1.0},
    ]
    assert {each.log_record.span_id for each in logs.records()} == {identity.span_id}


@pytest.mark.parametrize("content", [False, True], ids=["off", "on"])
def test_explanations_are_content(content: bool, logs: Logged) -> None:
    """Why an evaluation came to its result may quote the answer, so it passes the gate."""
    record_evaluation("relevance", explanation="a secret", content=content, logger_provider=logs.provider)

    [(_, told)] = logs.events()
    assert told.get("gen_ai.evaluation.explanation") == ("a secret" if content else None)


def test_without_a_logger_provider_that_is_said_once() -> None:
    """An evaluation that goes nowhere raises nothing, and says once what to do."""
    done = run_alone(
        """
        import logging; logging.basicConfig(format="%(levelname)s %(message)s")
        import chainspan
        chainspan.record_evaluation("relevance", score=1)
        chainspan.record_evaluation("relevance", score=float("nan"))
        """
    )

    assert done.stdout == ""
    assert done.stderr == (
        "WARNING chainspan.record_evaluation() has nowhere to send its event: set up a LoggerProvider of "
        "OpenTelemetry, or pass logger_provider=.\n"
    )


def test_decorated_functions_give_events(logs: Logged) -> None:
    """A function that calls a model gives the event that LangChain's models give."""

    @chainspan.llm(provider="openai", model="gpt-5")
    def ask(text: str) -> dict[str, Any]:
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "four"}}
        usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
        return {"object": "chat.completion", "model": "gpt-5-1", "choices": [choice], "usage": usage}

    handler = OtelHandler(
        InMemorySpanExporter(), events=True, content=True, profile="latest", logger_provider=logs.provider
    )
    with chainspan.session(conversation="c-1"):
        ask.invoke("2 + 2?", {"callbacks": [handler]})

    assert logs.events() == [
        (
            "gen_ai.client.inference.operation.details",
            {
                **DETAILS,
                "gen_ai.response.finish_reasons": ("stop",),
                "gen_ai.input.messages": (SAID,),
                "gen_ai.output.messages": (ANSWERED,),
            },
        )
    ]
