"""Off means off, in metrics and events too: a word that is put everywhere is in none of their bytes."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.test_content import CANARY, _invoke_everything

import chainspan
from chainspan import ContentPolicy, ModelCall, OtelHandler, record_evaluation

from ._received import Counting, Logged, Metered


def _bytes(meters: Metered, logs: Logged) -> tuple[str, str]:
    """Return what a Collector would get of metrics and of events."""
    data = meters.data()
    assert data is not None
    requests = encode_metrics(data), encode_logs(logs.records())
    of_metrics, of_events = (request.SerializeToString().decode("utf-8", "replace") for request in requests)
    return of_metrics, of_events


def _everything(meters: Metered, logs: Logged, content: bool | ContentPolicy, **options: Any) -> tuple[str, str]:
    told: list[ModelCall] = []
    handler = OtelHandler(
        InMemorySpanExporter(),
        content=content,
        events=True,
        price=told.append,
        meter_provider=meters.provider,
        logger_provider=logs.provider,
        **options,
    )

    @chainspan.tool
    def decorated(what: str) -> str:
        """Say the canary."""
        raise LookupError(f"nothing for {what}")

    @chainspan.llm
    def ask(text: str) -> str:
        return f"answer {text}"

    _invoke_everything(handler)
    ask.invoke(f"ask {CANARY}", {"callbacks": [handler], "tags": [CANARY], "metadata": {"note": CANARY}})
    with pytest.raises(LookupError):
        decorated.invoke(CANARY, {"callbacks": [handler]})
    record_evaluation("relevance", score=1, explanation=f"for {CANARY}", content=content, logger_provider=logs.provider)
    return _bytes(meters, logs)


@pytest.mark.parametrize("profile", ["compat", "latest", "openinference"])
def test_off_means_off(profile: str, meters: Metered, logs: Logged, caplog: pytest.LogCaptureFixture) -> None:
    """With content off, neither metrics nor events hold anything that a user wrote, and all of them are there."""
    of_metrics, of_events = _everything(meters, logs, content=False, profile=profile)

    assert CANARY not in of_metrics
    assert CANARY not in of_events
    assert CANARY not in caplog.text
    assert "gen_ai.execute_tool.duration" in of_metrics
    assert of_events.count("gen_ai.client.inference.operation.details") == 2
    assert of_events.count("gen_ai.execute_tool.exception") == (2 if profile == "latest" else 0)
    assert of_events.count("gen_ai.evaluation.result") == 1


@pytest.mark.parametrize("profile", ["compat", "latest"])
def test_metrics_hold_no_content_at_all(profile: str, meters: Metered, logs: Logged) -> None:
    """With content on it is in the events, which proves the test above, and still not in the metrics."""
    of_metrics, of_events = _everything(meters, logs, content=True, profile=profile)

    assert CANARY not in of_metrics
    assert of_events.count(CANARY) > 5


@pytest.mark.parametrize(
    "policy",
    [
        ContentPolicy(capture=True, redact_patterns=[CANARY]),
        ContentPolicy(capture=True, redact=lambda text: text.replace(CANARY, "***")),
    ],
    ids=["pattern", "function"],
)
def test_masks_apply_to_events(policy: ContentPolicy, meters: Metered, logs: Logged) -> None:
    """What is masked on spans is masked in events."""
    of_metrics, of_events = _everything(meters, logs, content=policy, profile="latest")

    assert CANARY not in of_metrics
    assert CANARY not in of_events


def test_a_run_that_is_tagged_has_no_content_in_events(logs: Logged) -> None:
    """What switches content off for a part of a graph does so in events."""
    handler = OtelHandler(InMemorySpanExporter(), content=True, events=True, logger_provider=logs.provider)

    Counting().invoke(CANARY, {"callbacks": [handler], "tags": ["chainspan:no-content"]})

    assert CANARY not in str(logs.events())
    assert len(logs.events()) == 1
