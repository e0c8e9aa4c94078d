"""What the tests of the decorators share: spans to look at, and providers to call."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chainspan import OtelHandler

sys.path.append(str(Path(__file__).parents[2]))  # the examples' stand-in for a provider


@pytest.fixture
def memory() -> InMemorySpanExporter:
    """Where the spans of the test go."""
    return InMemorySpanExporter()


@pytest.fixture
def handler(memory: InMemorySpanExporter) -> Iterator[OtelHandler]:
    """A handler with a pipeline of its own, which records content."""
    with OtelHandler(SimpleSpanProcessor(memory), content=True) as handler:
        yield handler
