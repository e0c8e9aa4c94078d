"""The GenAI metrics: how long operations took, and how many tokens they used.

Recorded through the Metrics API on the application's MeterProvider, one value for each
operation that ended, sampled or not. Their attributes are those of the conventions, and
hold nothing that a user wrote.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.metrics import Histogram, MeterProvider, get_meter

from .. import _semconv as names
from .._model import ModelResponse, RunKind, RunStart, Streaming
from ._shared import OPERATIONS, workflow_name

__all__ = ["Ended", "Metrics"]

# The bucket boundaries that the conventions give for each metric.
_SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_AGENT_SECONDS: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6)
_WORKFLOW_SECONDS: Final = (1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0)
_TOKENS: Final = tuple(float(4**power) for power in range(14))


@dataclass(frozen=True, slots=True)
class _Metric:
    """A histogram of the conventions."""

    name: str
    description: str
    bounds: Sequence[float] = _SECONDS
    unit: str = "s"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """Which histograms a profile fills.

    Attributes:
        tokens: Of input and of output; one histogram where both share it.
        token_type: Whether the histogram says by an attribute which of the two it counts.
    """

    inference: _Metric
    first_chunk: _Metric
    tokens: tuple[_Metric, _Metric]
    token_type: bool


_OPERATION: Final = _Metric(names.METRIC_OPERATION_DURATION, "Duration of a GenAI client operation.")
_TOKEN_USAGE: Final = _Metric(names.METRIC_TOKEN_USAGE, "Tokens used by a GenAI operation.", _TOKENS, "{token}")
_FIRST: Final = "Time from the request to the first chunk of a streamed answer."
_TABLES: Final[Mapping[str, _Table]] = {
    "compat": _Table(
        inference=_OPERATION,
        first_chunk=_Metric(names.METRIC_TIME_TO_FIRST_CHUNK, _FIRST),
        tokens=(_TOKEN_USAGE, _TOKEN_USAGE),
        token_type=True,
    ),
    "latest": _Table(
        inference=_Metric(names.METRIC_INFERENCE_DURATION, "Duration of a model call."),
        first_chunk=_Metric(names.METRIC_INFERENCE_TIME_TO_FIRST_CHUNK, _FIRST),
        tokens=(
            _Metric(names.METRIC_INFERENCE_INPUT_TOKENS, "Input tokens of a model call.", _TOKENS, "{token}"),
            _Metric(names.METRIC_INFERENCE_OUTPUT_TOKENS, "Output tokens of a model call.", _TOKENS, "{token}"),
        ),
        token_type=False,
    ),
}
# Durations that are the same in both; a run of any other kind has none.
_DURATIONS: Final[Mapping[RunKind, _Metric]] = {
    RunKind.EMBEDDINGS: _OPERATION,
    RunKind.RETRIEVER: _OPERATION,
    RunKind.TOOL: _Metric(names.METRIC_EXECUTE_TOOL_DURATION, "Duration of a tool's execution."),
    RunKind.AGENT: _Metric(names.METRIC_INVOKE_AGENT_DURATION, "Duration of an agent's run.", _AGENT_SECONDS),
    RunKind.WORKFLOW: _Metric(names.METRIC_INVOKE_WORKFLOW_DURATION, "Duration of a graph's run.", _WORKFLOW_SECONDS),
}
_MODELS: Final = frozenset({RunKind.CHAT, RunKind.LLM})
_OF_CLIENTS: Final = _MODELS | {RunKind.EMBEDDINGS, RunKind.RETRIEVER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What is known of a run that has ended.

    Attributes:
        error_type: As on the span; None where there was no error.
        context: Holds the run's span, for exemplars.
    """

    duration_s: float
    response: ModelResponse | None = None
    streaming: Streaming | None = None
    error_type: str | None = None
    context: Context | None = None


class Metrics:
    """The histograms of one pipeline. Safe to share between threads.

    Args:
        profile: The profile's name; ``openinference``, which has no metrics, gets those of ``compat``.
        meter_provider: Where the values go; None: the global one.
        version: Of the instrumentation scope.
        schema_url: As of the pipeline's spans.
    """

    def __init__(
        self,
        profile: str = "compat",
        *,
        meter_provider: MeterProvider | None = None,
        version: str = "",
        schema_url: str | None = None,
    ) -> None:
        self._table = _TABLES.get(profile, _TABLES["compat"])
        self._meter = get_meter("chainspan", version, meter_provider, schema_url)
        self._histograms: dict[str, Histogram] = {}

    def record(self, run: RunStart, ended: Ended) -> None:
        """Record a run that has ended, if it is an operation of the conventions."""
        is_model = run.kind in _MODELS
        metric = self._table.inference if is_model else _DURATIONS.get(run.kind)
        if metric is None:
            return
        attributes = _attributes(run, ended)
        failed = {**attributes, names.ERROR_TYPE: ended.error_type} if ended.error_type else attributes
        self._record(metric, ended.duration_s, failed, ended.context)
        if is_model and ended.streaming is not None and ended.streaming.first_content_s is not None:
            self._record(self._table.first_chunk, ended.streaming.first_content_s, attributes, ended.context)
        if run.kind in _OF_CLIENTS and ended.response is not None and not ended.response.cache_hit:
            self._tokens(ended.response, attributes, ended.context)

    def _tokens(self, response: ModelResponse, attributes: dict[str, Any], context: Context | None) -> None:
        if response.usage is None:
            return
        counts = (response.usage.input_tokens, response.usage.output_tokens)
        for metric, kind, count in zip(self._table.tokens, ("input", "output"), counts, strict=True):
            if count is not None:
                typed = {**attributes, names.GEN_AI_TOKEN_TYPE: kind} if self._table.token_type else attributes
                self._record(metric, count, typed, context)

    def _record(self, metric: _Metric, value: float, attributes: dict[str, Any], context: Context | None) -> None:
        histogram = self._histograms.get(metric.name)
        if histogram is None:
            histogram = self._histograms[metric.name] = self._meter.create_histogram(
                metric.name,
                unit=metric.unit,
                description=metric.description,
                explicit_bucket_boundaries_advisory=list(metric.bounds),
            )
        histogram.record(value, attributes, context)


def _attributes(run: RunStart, ended: Ended) -> dict[str, Any]:
    if run.kind in _OF_CLIENTS:
        attributes = _of_operation(run, ended.response)
    elif run.kind is RunKind.TOOL:
        attributes = {
            names.GEN_AI_TOOL_NAME: run.tool.name if run.tool else run.name,
            names.GEN_AI_TOOL_TYPE: run.tool.type if run.tool else None,
            names.GEN_AI_AGENT_NAME: run.agent_name,
        }
    elif run.kind is RunKind.AGENT:
        attributes = {names.GEN_AI_AGENT_NAME: run.agent_name or run.name}
    else:
        attributes = {names.GEN_AI_WORKFLOW_NAME: workflow_name(run)}
    return {key: value for key, value in attributes.items() if value is not None}


def _of_operation(run: RunStart, response: ModelResponse | None) -> dict[str, Any]:
    model = run.model
    return {
        names.GEN_AI_OPERATION_NAME: OPERATIONS[run.kind],
        names.GEN_AI_PROVIDER_NAME: model.provider if model else None,
        names.GEN_AI_REQUEST_MODEL: model.model if model else None,
        names.GEN_AI_RESPONSE_MODEL: response.model if response else None,
        names.SERVER_ADDRESS: model.server_address if model else None,
        names.SERVER_PORT: model.server_port if model else None,
    }
