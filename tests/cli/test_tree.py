"""The small tree that the demo ends with."""

from __future__ import annotations

from io import StringIO

import pytest
from inline_snapshot import snapshot
from opentelemetry.sdk.trace import Tracer, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Span, Status, StatusCode, set_span_in_context
from rich.console import Console

from chainspan._cli._tree import trace_trees

MS = 1_000_000


@pytest.fixture
def memory() -> InMemorySpanExporter:
    """What the spans of the test end up in."""
    return InMemorySpanExporter()


@pytest.fixture
def tracer(memory: InMemorySpanExporter) -> Tracer:
    """The source of spans."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("test")
    assert isinstance(tracer, Tracer)
    return tracer


def started(tracer: Tracer, name: str, *, parent: Span | None, start_ms: int, **attributes: str | int) -> Span:
    """Start a span; underscores in the names of attributes stand for dots."""
    context = set_span_in_context(parent) if parent else None
    dotted = {key.replace("__", "."): value for key, value in attributes.items()}
    return tracer.start_span(name, context, attributes=dotted, start_time=start_ms * MS)


def rendered(memory: InMemorySpanExporter) -> str:
    """Return the trees as text without colour."""
    out = Console(file=StringIO(), width=80, color_system=None)
    for tree in trace_trees(memory.get_finished_spans()):
        out.print(tree)
    assert isinstance(out.file, StringIO)
    return out.file.getvalue()


def test_tree_shows_what_ran_in_what_for_how_long_and_how_many_tokens(
    tracer: Tracer, memory: InMemorySpanExporter
) -> None:
    """Tokens are added up from the models to the root; siblings stand in the order of their start."""
    root = started(tracer, "Agent", parent=None, start_ms=0)
    tool = started(tracer, "search", parent=root, start_ms=40)
    first, second = (
        started(
            tracer,
            f"chat {at}",
            parent=root,
            start_ms=at,
            gen_ai__usage__input_tokens=at,
            gen_ai__usage__output_tokens=1,
        )
        for at in (20, 30)
    )
    second.end(31 * MS)
    first.end(25 * MS)
    tool.end(45 * MS)
    root.end(1500 * MS)

    assert rendered(memory) == snapshot("""\
Agent  1.50 s  50 tokens in, 2 out
├── chat 20  5.0 ms  20 tokens in, 1 out
├── chat 30  1.0 ms  30 tokens in, 1 out
└── search  5.0 ms
""")


def test_failure_is_marked_with_its_description(tracer: Tracer, memory: InMemorySpanExporter) -> None:
    """What went wrong stands behind the span that it happened in."""
    root = started(tracer, "chain", parent=None, start_ms=0)
    child = started(tracer, "tool", parent=root, start_ms=0)
    child.set_status(Status(StatusCode.ERROR, "TimeoutError"))
    child.end(1 * MS)
    root.set_status(StatusCode.ERROR)
    root.end(2 * MS)

    assert rendered(memory) == snapshot("""\
chain  2.0 ms  failed
└── tool  1.0 ms  TimeoutError
""")


def test_span_of_an_unknown_parent_is_a_root(tracer: Tracer, memory: InMemorySpanExporter) -> None:
    """The chain was called inside a request whose own span is elsewhere."""
    request = started(tracer, "GET /", parent=None, start_ms=0)
    started(tracer, "chain", parent=request, start_ms=0).end(1 * MS)

    assert rendered(memory) == snapshot("""\
chain  1.0 ms
""")
