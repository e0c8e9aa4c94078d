"""A finished trace as a small coloured tree: what ran in what, how long, for how many tokens."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode
from rich.text import Text
from rich.tree import Tree

from .._semconv import (
    CHAINSPAN_RUN_TYPE,
    GEN_AI_USAGE_INPUT_TOKENS,
    GEN_AI_USAGE_OUTPUT_TOKENS,
)

__all__ = ["trace_trees"]

_STYLES = {
    "llm": "bold magenta",
    "prompt": "blue",
    "retriever": "green",
    "tool": "yellow",
}

Children = dict[int | None, list[ReadableSpan]]


def trace_trees(spans: Iterable[ReadableSpan]) -> list[Tree]:
    """Return one tree for each root among the spans, in the order in which they started."""
    started = sorted(spans, key=lambda span: span.start_time or 0)
    known = {span.context.span_id for span in started if span.context}
    children: Children = defaultdict(list)
    for span in started:
        parent = span.parent.span_id if span.parent else None
        children[parent if parent in known else None].append(span)
    return [_branch(root, children) for root in children[None]]


def _branch(span: ReadableSpan, children: Children) -> Tree:
    branch = Tree(_label(span, _below(span, children)))
    for child in children.get(span.context.span_id if span.context else None, ()):
        branch.add(_branch(child, children))
    return branch


def _below(span: ReadableSpan, children: Children) -> list[ReadableSpan]:
    """Return the span and all that ran in it."""
    inner = children.get(span.context.span_id if span.context else None, ())
    return [span, *(each for child in inner for each in _below(child, children))]


def _label(span: ReadableSpan, below: Sequence[ReadableSpan]) -> Text:
    run_type = str((span.attributes or {}).get(CHAINSPAN_RUN_TYPE, ""))
    failed = span.status.status_code is StatusCode.ERROR
    name = (span.name, "bold red" if failed else _STYLES.get(run_type, "bold"))
    label = Text.assemble(name, (f"  {_duration(span)}", "cyan"))
    if tokens := _tokens(below):
        label.append(f"  {tokens}", style="dim")
    if failed:
        label.append(f"  {span.status.description or 'failed'}", style="red")
    return label


def _duration(span: ReadableSpan) -> str:
    took_ms = ((span.end_time or 0) - (span.start_time or 0)) / 1e6
    return f"{took_ms / 1000:.2f} s" if took_ms >= 1000 else f"{took_ms:.1f} ms"


def _tokens(spans: Sequence[ReadableSpan]) -> str:
    """Add up what the models among the spans used; nothing where none said."""
    used = [_usage(span) for span in spans]
    counted = [each for each in used if each]
    if not counted:
        return ""
    sent, made = (sum(column) for column in zip(*counted, strict=True))
    return f"{sent} tokens in, {made} out"


def _usage(span: ReadableSpan) -> tuple[int, int] | None:
    attributes = span.attributes or {}
    sent = attributes.get(GEN_AI_USAGE_INPUT_TOKENS)
    made = attributes.get(GEN_AI_USAGE_OUTPUT_TOKENS)
    if not isinstance(sent, int) or not isinstance(made, int):
        return None
    return sent, made
