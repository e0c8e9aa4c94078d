"""A MeterProvider and a LoggerProvider that keep what they get, and a model that counts tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from opentelemetry.sdk._logs import LoggerProvider, export
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, MetricsData
from pydantic import Field
from typing_extensions import override

__all__ = ["Counting", "Logged", "Metered", "logged", "metered"]

USAGE = UsageMetadata(input_tokens=100, output_tokens=20, total_tokens=120)


class Counting(BaseChatModel):
    """A chat model of 100 tokens in and 20 out, which calls tools or raises where its replies say so."""

    model: str = "gpt-5"
    replies: list[Any] = Field(default=["four"])
    turn: list[int] = Field(default=[0])

    @property
    @override
    def _llm_type(self) -> str:
        return "counting"

    @override
    def _get_ls_params(self, stop: Any = None, **kwargs: Any) -> Any:
        return {"ls_provider": "openai", "ls_model_name": self.model, "ls_model_type": "chat"}

    @override
    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self.bind(**kwargs)

    def _reply(self) -> AIMessage:
        reply = self.replies[self.turn[0] % len(self.replies)]
        self.turn[0] += 1
        if isinstance(reply, Exception):
            raise type(reply)(*reply.args)
        told: dict[str, Any] = {"usage_metadata": USAGE, "response_metadata": {"model_name": f"{self.model}-1"}}
        return AIMessage(reply, **told) if isinstance(reply, str) else AIMessage("", tool_calls=[reply], **told)

    @override
    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._reply())])

    @override
    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        reply = self._reply()
        yield ChatGenerationChunk(message=AIMessageChunk(content=reply.text))
        yield ChatGenerationChunk(
            message=AIMessageChunk(content="", usage_metadata=USAGE, response_metadata=reply.response_metadata)
        )


class Metered:
    """What a MeterProvider was told."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader])

    def data(self) -> MetricsData | None:
        """Return everything, as the SDK holds it."""
        return self.reader.get_metrics_data()

    def points(self) -> dict[str, list[Any]]:
        """Return the data points of each metric."""
        data = self.data()
        resources = [] if data is None else data.resource_metrics
        metrics = [metric for resource in resources for scope in resource.scope_metrics for metric in scope.metrics]
        return {metric.name: list(metric.data.data_points) for metric in metrics}

    def counts(self) -> dict[str, int]:
        """Return how many values each histogram got."""
        points = self.points().items()
        return {name: sum(p.count for p in found if isinstance(p, HistogramDataPoint)) for name, found in points}

    def attributes(self, name: str) -> list[dict[str, Any]]:
        """Return the attributes of each data point of a metric."""
        return [dict(point.attributes) for point in self.points()[name]]


class Logged:
    """What a LoggerProvider was told."""

    def __init__(self) -> None:
        # Older SDKs have it under its older name.
        memory: Any = vars(export).get("InMemoryLogRecordExporter") or vars(export)["InMemoryLogExporter"]
        self._exporter = memory()
        self.provider = LoggerProvider()
        self.provider.add_log_record_processor(SimpleLogRecordProcessor(self._exporter))

    def records(self) -> list[Any]:
        """Return all records."""
        return list(self._exporter.get_finished_logs())

    def events(self) -> list[tuple[str | None, dict[str, Any]]]:
        """Return the name and the attributes of each."""
        records = [record.log_record for record in self.records()]
        return [(record.event_name, dict(record.attributes or {})) for record in records]


@contextmanager
def metered() -> Iterator[Metered]:
    """Provide a MeterProvider, and shut it down."""
    held = Metered()
    try:
        yield held
    finally:
        held.provider.shutdown()


@contextmanager
def logged() -> Iterator[Logged]:
    """Provide a LoggerProvider, and shut it down."""
    held = Logged()
    try:
        yield held
    finally:
        held.provider.shutdown()
