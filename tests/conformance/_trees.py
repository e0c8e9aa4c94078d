"""Trees of spans as indented text, the one form in which the bench compares them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from textwrap import dedent

from opentelemetry.sdk.trace import ReadableSpan

__all__ = ["RUN_ID", "RUN_NAME", "RUN_TYPE", "Node", "forest_of", "parse", "render", "without_runs"]

RUN_ID = "chainspan.run.id"
RUN_TYPE = "chainspan.run.type"
RUN_NAME = "chainspan.run.name"

INDENT = "  "

Node = tuple[str, tuple["Node", ...]]  # a label and what hangs below it


def forest_of(spans: Iterable[ReadableSpan]) -> tuple[Node, ...]:
    """Return the trees that the spans form; a span whose parent is not among them is a root."""
    known = {span.context.span_id: span for span in spans if span.context}
    below: dict[int | None, list[int]] = defaultdict(list)
    for span_id, span in known.items():
        parent = span.parent.span_id if span.parent and span.parent.span_id in known else None
        below[parent].append(span_id)

    def grow(span_id: int) -> Node:
        return label(known[span_id]), _sorted(grow(child) for child in below[span_id])

    return _sorted(grow(root) for root in below[None])


def label(span: ReadableSpan) -> str:
    """Return ``type:name`` for a run and the plain name for any other span."""
    attributes = span.attributes or {}
    if RUN_ID in attributes:
        return f"{attributes.get(RUN_TYPE)}:{attributes.get(RUN_NAME)}"
    return span.name


def parse(text: str) -> tuple[Node, ...]:
    """Read indented text; ``label  x4`` stands for four equal trees."""
    lines = [line for line in dedent(text).splitlines() if line.strip()]
    return _parse_level(lines, 0)


def _parse_level(lines: Sequence[str], depth: int) -> tuple[Node, ...]:
    nodes: list[Node] = []
    starts = [i for i, line in enumerate(lines) if _depth(line) == depth]
    stops = [*starts[1:], len(lines)] if starts else []
    for start, stop in zip(starts, stops, strict=True):
        name, _, times = lines[start].strip().partition("  x")
        node = name, _parse_level(lines[start + 1 : stop], depth + 1)
        nodes += [node] * int(times or 1)
    return _sorted(nodes)


def without_runs(nodes: Iterable[Node], lost: Sequence[str]) -> tuple[Node, ...]:
    """Return the trees without these labels; what hangs below them moves up."""
    kept: list[Node] = []
    for name, below in nodes:
        inner = without_runs(below, lost)
        kept += inner if name in lost else [(name, inner)]
    return _sorted(kept)


def _depth(line: str) -> int:
    return (len(line) - len(line.lstrip())) // len(INDENT)


def _sorted(nodes: Iterable[Node]) -> tuple[Node, ...]:
    # By text, not by time: siblings that run at once have no order of their own.
    return tuple(sorted(nodes))


def render(forest: Iterable[Node], depth: int = 0) -> str:
    """Return the trees as indented text, siblings in alphabetical order."""
    return "".join(f"{INDENT * depth}{name}\n{render(below, depth + 1)}" for name, below in forest)
