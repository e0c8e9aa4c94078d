"""Adding up what a trace says about tokens, as a backend does that knows every library's names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span

__all__ = ["attributes_of", "spent"]

_INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt")
_OUTPUT = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion")


def spent(spans: Iterable[Mapping[str, Any]]) -> tuple[int, int]:
    """Return the input and the output tokens of all spans, each given by its attributes."""
    held = list(spans)
    return _sum(held, _INPUT), _sum(held, _OUTPUT)


def _sum(spans: Iterable[Mapping[str, Any]], keys: Iterable[str]) -> int:
    return sum(span.get(key, 0) for span in spans for key in keys)


def attributes_of(span: Span) -> dict[str, Any]:
    """Return the attributes of a span that was read from OTLP."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "") for pair in span.attributes}
