"""The metrics of the conventions, as an application's MeterProvider collects them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader

from chainspan._content import ContentPolicy, Gate
from chainspan._model import ModelRequest, ModelResponse, RunKind, RunStart, Streaming, ToolRequest, Usage
from chainspan._profiles._metrics import Measured, metrics_of

OFF = Gate.of(content=False)
REQUEST = ModelRequest(provider="openai", model="gpt-5", server_address="api.openai.com", server_port=443)
RESPONSE = ModelResponse(model="gpt-5-1", usage=Usage(input_tokens=100, output_tokens=20))
MODEL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-5",
    "gen_ai.response.model": "gpt-5-1",
    "server.address": "api.openai.com",
    "server.port": 443,
}


def _run(kind: RunKind, name: str = "name", **fields: Any) -> RunStart:
    return RunStart(run_id=UUID(int=1), parent_id=None, kind=kind, run_type=kind.value, name=name, **fields)


def _collected(
    profile: str, run: RunStart, ended: Measured, gate: Gate = OFF
) -> dict[str, list[tuple[float, dict[str, Any]]]]:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    metrics_of(provider, profile, None).record(run, ended, gate)
    data = reader.get_metrics_data()
    provider.shutdown()
    if data is None:
        return {}
    [resource] = data.resource_metrics
    metrics = [metric for scope in resource.scope_metrics for metric in scope.metrics]
    return {metric.name: [_point(point) for point in metric.data.data_points] for metric in metrics}


def _point(point: Any) -> tuple[float, dict[str, Any]]:
    value = point.sum if isinstance(point, HistogramDataPoint) else point.value
    return value, dict(point.attributes or {})


def test_a_model_call_in_compat() -> None:
    """A streamed call counts its duration, its first chunk and its tokens, under the names of 1.41."""
    ended = Measured(duration_s=2.5, response=RESPONSE, streaming=Streaming(first_content_s=0.5))

    assert _collected("compat", _run(RunKind.CHAT, request=REQUEST), ended) == {
        "gen_ai.client.operation.duration": [(2.5, MODEL)],
        "gen_ai.client.operation.time_to_first_chunk": [(0.5, MODEL)],
        "gen_ai.client.token.usage": [
            (100, {**MODEL, "gen_ai.token.type": "input"}),
            (20, {**MODEL, "gen_ai.token.type": "output"}),
        ],
    }


def test_a_model_call_in_latest() -> None:
    """The next conventions have names of their own for model calls, and count each kind of token apart."""
    usage = Usage(input_tokens=100, output_tokens=20, cache_read=60, audio_input=30, reasoning=5)
    response = ModelResponse(model="gpt-5-1", usage=usage)
    ended = Measured(duration_s=2.5, response=response, streaming=Streaming(first_content_s=0.5))
    unknown = {**MODEL, "gen_ai.token.modality": "unknown"}

    assert _collected("latest", _run(RunKind.CHAT, request=REQUEST), ended) == {
        "gen_ai.client.inference.duration": [(2.5, MODEL)],
        "gen_ai.client.inference.time_to_first_chunk": [(0.5, MODEL)],
        "gen_ai.client.inference.operation.input_tokens": [(100, MODEL)],
        "gen_ai.client.inference.operation.output_tokens": [(20, MODEL)],
        "gen_ai.client.inference.usage.input_tokens": [
            (30, {**MODEL, "gen_ai.token.modality": "audio"}),
            (70, unknown),
        ],
        "gen_ai.client.inference.usage.output_tokens": [(20, unknown)],
        "gen_ai.client.inference.usage.cache_read.input_tokens": [(60, unknown)],
        "gen_ai.client.inference.usage.cache_write.input_tokens": [(0, unknown)],
        "gen_ai.client.inference.usage.reasoning.output_tokens": [(5, unknown)],
    }


def test_a_call_that_failed_is_in_the_sums_of_latest() -> None:
    """The counters of the next conventions have every call in them, with 0 where nothing was used."""
    run = _run(RunKind.CHAT, request=REQUEST)

    collected = _collected("latest", run, Measured(duration_s=1, error_type="TimeoutError"))

    counters = {name: points for name, points in collected.items() if ".usage." in name}
    assert len(counters) == 5
    assert all(value == 0 for points in counters.values() for value, _ in points)


@pytest.mark.parametrize("profile", ["compat", "latest"])
def test_hostile_names_are_masked_and_made_encodable(profile: str) -> None:
    """What a user redacts is redacted in metrics too, and half a surrogate pair does not stop all metrics."""
    gate = Gate.of(ContentPolicy(redact_patterns=["acme"]))
    run = _run(RunKind.TOOL, tool=ToolRequest(name="acme\ud800"), agent_name="at acme")

    assert _collected(profile, run, Measured(duration_s=1), gate) == {
        "gen_ai.execute_tool.duration": [
            (
                1,
                {
                    "gen_ai.tool.name": "[redacted]\ufffd",
                    "gen_ai.tool.type": "function",
                    "gen_ai.agent.name": "at [redacted]",
                },
            )
        ]
    }


@pytest.mark.parametrize(
    ("run", "name", "attributes"),
    [
        (
            _run(RunKind.TOOL, tool=ToolRequest(name="look_up", description="secret"), agent_name="helper"),
            "gen_ai.execute_tool.duration",
            {"gen_ai.tool.name": "look_up", "gen_ai.tool.type": "function", "gen_ai.agent.name": "helper"},
        ),
        (_run(RunKind.AGENT, agent_name="helper"), "gen_ai.invoke_agent.duration", {"gen_ai.agent.name": "helper"}),
        (_run(RunKind.WORKFLOW, "support"), "gen_ai.invoke_workflow.duration", {"gen_ai.workflow.name": "support"}),
        (_run(RunKind.WORKFLOW, "LangGraph"), "gen_ai.invoke_workflow.duration", {}),
        (_run(RunKind.RETRIEVER), "gen_ai.client.operation.duration", {"gen_ai.operation.name": "retrieval"}),
    ],
    ids=["tool", "agent", "workflow", "unnamed-workflow", "retriever"],
)
@pytest.mark.parametrize("profile", ["compat", "latest", "openinference"])
def test_other_operations(profile: str, run: RunStart, name: str, attributes: dict[str, Any]) -> None:
    """Tools, agents, graphs and retrievers count their durations, alike in every profile."""
    assert _collected(profile, run, Measured(duration_s=1.5)) == {name: [(1.5, attributes)]}


@pytest.mark.parametrize("kind", [RunKind.CHAIN, RunKind.PROMPT, RunKind.PARSER, RunKind.NODE])
def test_what_is_no_operation_is_not_counted(kind: RunKind) -> None:
    """Chains, prompts, parsers and nodes have no metric in the conventions."""
    assert _collected("compat", _run(kind), Measured(duration_s=1.5)) == {}


def test_a_failure_says_its_kind() -> None:
    """The duration of a failed call carries the type of its error."""
    run = _run(RunKind.CHAT, request=ModelRequest(provider="openai"))

    assert _collected("compat", run, Measured(duration_s=1, error_type="TimeoutError")) == {
        "gen_ai.client.operation.duration": [
            (
                1,
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "openai",
                    "error.type": "TimeoutError",
                },
            )
        ]
    }


@pytest.mark.parametrize(
    "response",
    [ModelResponse(), ModelResponse(usage=Usage(input_tokens=5, output_tokens=5), cache_hit=True)],
    ids=["absent", "cached"],
)
def test_tokens_that_were_not_billed_are_not_counted(response: ModelResponse) -> None:
    """Absent usage is no 0, and what LangChain's cache saved was not used."""
    collected = _collected("compat", _run(RunKind.CHAT, request=REQUEST), Measured(duration_s=1, response=response))

    assert list(collected) == ["gen_ai.client.operation.duration"]


def test_the_buckets_are_those_of_the_conventions() -> None:
    """Without a view of the user's, the histograms have the boundaries that dashboards expect."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    ended = Measured(duration_s=1, response=RESPONSE)
    metrics_of(provider, "compat", None).record(_run(RunKind.CHAT, request=REQUEST), ended, OFF)

    data = reader.get_metrics_data()
    provider.shutdown()

    assert data is not None
    bounds = {
        metric.name: list(point.explicit_bounds)
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
        for point in metric.data.data_points
        if isinstance(point, HistogramDataPoint)
    }
    assert bounds == {
        "gen_ai.client.operation.duration": [
            0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
        ],
        "gen_ai.client.token.usage": [
            1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864,
        ],
    }  # fmt: skip
