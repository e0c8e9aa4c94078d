"""The GenAI metrics: how long operations took, and how many tokens they used.

Recorded through the Metrics API on a MeterProvider, for each operation that ended, sampled
or not. Their attributes are those of the conventions, and hold nothing that a user wrote.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.metrics import Counter, Histogram, Meter, MeterProvider

from .. import _semconv as names
from .._content import Gate
from .._model import ModelResponse, RunKind, RunStart, Streaming, Usage
from .._version import __version__
from ._exportable import exportable
from ._receivers import kept_with
from ._shared import OPERATIONS, provider_of, workflow_name

__all__ = ["METERED", "Measured", "Metrics", "metrics_of"]

# The bucket boundaries that the conventions give for each metric.
_SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_AGENT_SECONDS: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6)
_WORKFLOW_SECONDS: Final = (1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0)
_TOKENS: Final = tuple(float(4**power) for power in range(14))

_MOST_APART: Final = 2_000  # sets of attributes of one metric, as OpenTelemetry specifies; its SDK has no such bound


@dataclass(frozen=True, slots=True)
class _Metric:
    """A histogram of the conventions."""

    name: str
    description: str
    bounds: Sequence[float] = _SECONDS
    unit: str = "s"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """Which metrics a profile fills.

    Attributes:
        tokens: Of input and of output; one histogram where both share it.
        token_type: Whether the histogram says by an attribute which of the two it counts.
        sums: Counters of tokens, by the field of a `Usage`.
    """

    inference: _Metric
    first_chunk: _Metric
    tokens: tuple[_Metric, _Metric]
    token_type: bool
    sums: Mapping[str, str]


_OPERATION: Final = _Metric(names.METRIC_OPERATION_DURATION, "Duration of a GenAI client operation.")
_TOKEN_USAGE: Final = _Metric(names.METRIC_TOKEN_USAGE, "Tokens used by a GenAI operation.", _TOKENS, "{token}")
_FIRST: Final = "Time from the request to the first chunk of a streamed answer."
_TABLES: Final[Mapping[str, _Table]] = {
    "compat": _Table(
        inference=_OPERATION,
        first_chunk=_Metric(names.METRIC_TIME_TO_FIRST_CHUNK, _FIRST),
        tokens=(_TOKEN_USAGE, _TOKEN_USAGE),
        token_type=True,
        sums={},
    ),
    "latest": _Table(
        inference=_Metric(names.METRIC_INFERENCE_DURATION, "Duration of a model call."),
        first_chunk=_Metric(names.METRIC_INFERENCE_TIME_TO_FIRST_CHUNK, _FIRST),
        tokens=(
            _Metric(names.METRIC_INFERENCE_INPUT_TOKENS, "Input tokens of a model call.", _TOKENS, "{token}"),
            _Metric(names.METRIC_INFERENCE_OUTPUT_TOKENS, "Output tokens of a model call.", _TOKENS, "{token}"),
        ),
        token_type=False,
        sums={
            "input_tokens": names.METRIC_USAGE_INPUT_TOKENS,
            "output_tokens": names.METRIC_USAGE_OUTPUT_TOKENS,
            "cache_read": names.METRIC_USAGE_CACHE_READ,
            "cache_write": names.METRIC_USAGE_CACHE_WRITE,
            "reasoning": names.METRIC_USAGE_REASONING,
        },
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
METERED: Final = _MODELS | _DURATIONS.keys()
"""The kinds of runs that there are metrics of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What is counted of a run that has ended.

    Attributes:
        response: Of a model, as far as it answered.
        error_type: As on the span; None where there was no error.
        context: Holds the run's span, for exemplars.
    """

    duration_s: float
    response: ModelResponse | None = None
    streaming: Streaming | None = None
    error_type: str | None = None
    context: Context | None = None


class Metrics:
    """The metrics of one profile with one meter. Safe to share between threads.

    Args:
        meter: Makes the instruments, each when it is first needed.
        profile: The profile's name; ``openinference``, which has no metrics, gets those of ``compat``.
    """

    def __init__(self, meter: Meter, profile: str = "compat") -> None:
        self._table = _TABLES.get(profile, _TABLES["compat"])
        self._meter = meter
        self._histograms: dict[str, Histogram] = {}
        self._counters: dict[str, Counter] = {}
        self._known: dict[str, set[frozenset[tuple[str, Any]]]] = {}  # sets of attributes, by the metric

    def record(self, run: RunStart, measured: Measured, gate: Gate) -> None:
        """Record a run that has ended, if it is an operation of the conventions."""
        is_model = run.kind in _MODELS
        metric = self._table.inference if is_model else _DURATIONS.get(run.kind)
        if metric is None:
            return
        attributes = _attributes(run, measured.response, gate)
        error = {} if measured.error_type is None else {names.ERROR_TYPE: measured.error_type}
        if not self._tells_apart(metric, {**attributes, **error}):
            attributes, error = {names.OTEL_METRIC_OVERFLOW: True}, {}
        self._record(metric, measured.duration_s, {**attributes, **error}, measured.context)
        if run.kind not in _OF_CLIENTS:
            return
        billed = _billed(measured.response)
        if billed is not None:
            self._tokens(billed, attributes, error, measured.context)
        if is_model:
            self._first_chunk(measured, attributes)
            self._sum_up(billed or Usage(), attributes, measured.context)

    def _tells_apart(self, metric: _Metric, attributes: dict[str, Any]) -> bool:
        """Return whether what has these attributes is not counted together with all else that is too much."""
        known = self._known.setdefault(metric.name, set())
        mine = frozenset(attributes.items())
        if mine not in known and len(known) < _MOST_APART:
            known.add(mine)
        return mine in known

    def _first_chunk(self, measured: Measured, attributes: dict[str, Any]) -> None:
        if measured.streaming is not None and measured.streaming.first_content_s is not None:
            self._record(self._table.first_chunk, measured.streaming.first_content_s, attributes, measured.context)

    def _tokens(self, usage: Usage, attributes: dict[str, Any], error: dict[str, str], context: Context | None) -> None:
        counts = (usage.input_tokens, usage.output_tokens)
        for metric, kind, count in zip(self._table.tokens, ("input", "output"), counts, strict=True):
            if count is not None and count >= 0:
                more = {names.GEN_AI_TOKEN_TYPE: kind} if self._table.token_type else error
                self._record(metric, count, {**attributes, **more}, context)

    def _sum_up(self, usage: Usage, attributes: dict[str, Any], context: Context | None) -> None:
        """Add to the counters, which have every call in them: 0 where nothing was billed."""
        for field, name in self._table.sums.items():
            for modality, count in _by_modality(usage, field):
                attributes = {**attributes, names.GEN_AI_TOKEN_MODALITY: modality}
                self._counter(name).add(count, attributes, context)

    def _counter(self, name: str) -> Counter:
        counter = self._counters.get(name)
        if counter is None:
            counter = self._meter.create_counter(name, unit="{token}", description="Tokens of model calls.")
            self._counters[name] = counter
        return counter

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


def metrics_of(provider: MeterProvider, profile: str, schema_url: str | None) -> Metrics:
    """Return the metrics of a profile with a provider: the same for all handlers."""

    def make() -> Metrics:
        return Metrics(provider.get_meter("chainspan", __version__, schema_url), profile)

    return kept_with(provider, (Metrics, profile), make)


def _billed(response: ModelResponse | None) -> Usage | None:
    """Return the tokens that somebody has to pay for, as far as anybody said."""
    return None if response is None or response.cache_hit else response.usage


def _by_modality(usage: Usage, field: str) -> list[tuple[str, int]]:
    """Return a count of tokens in parts; providers tell only those of audio apart from the rest."""
    total = getattr(usage, field) or 0
    audio = {"input_tokens": usage.audio_input, "output_tokens": usage.audio_output}.get(field) or 0
    if not 0 < audio <= total:
        return [("unknown", max(0, total))]
    return [("audio", audio), ("unknown", total - audio)]


def _attributes(run: RunStart, response: ModelResponse | None, gate: Gate) -> dict[str, Any]:
    if run.kind in _OF_CLIENTS:
        attributes = _of_operation(run, response)
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
    # A list, which only a payload gone wrong would hold here, cannot be a dimension of a metric.
    return {key: value for key, value in exportable(attributes, gate).items() if not isinstance(value, (list, tuple))}


def _of_operation(run: RunStart, response: ModelResponse | None) -> dict[str, Any]:
    model = run.model
    return {
        names.GEN_AI_OPERATION_NAME: OPERATIONS[run.kind],
        names.GEN_AI_PROVIDER_NAME: provider_of(run, response),
        names.GEN_AI_REQUEST_MODEL: model.model if model else None,
        names.GEN_AI_RESPONSE_MODEL: response.model if response else None,
        names.SERVER_ADDRESS: model.server_address if model else None,
        names.SERVER_PORT: model.server_port if model else None,
    }
