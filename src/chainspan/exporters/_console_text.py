"""The bracketed text of LangChain.js's console, line for line.

Every function here does what its counterpart in ``tracers/console.ts`` of
@langchain/core 1.4.0 does; the golden tests compare the two to the byte.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from chainspan._jstext import stringify, to_fixed, trim

__all__ = ["ABSENT", "Crumb", "Paint", "action_line", "end_line", "error_line", "outcome_line", "start_line"]

ABSENT = object()
"""Stands for an input or output that the span does not tell."""

_WORDS = {"chain": "Chain", "llm": "LLM", "tool": "Tool", "retriever": "Retriever"}
_STYLES = {
    "bold": ("\x1b[1m", "\x1b[22m"),
    "grey": ("\x1b[90m", "\x1b[39m"),
    "green": ("\x1b[32m", "\x1b[39m"),
    "cyan": ("\x1b[36m", "\x1b[39m"),
    "red": ("\x1b[31m", "\x1b[39m"),
    "blue": ("\x1b[34m", "\x1b[39m"),
}

Paint = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Crumb:
    """One run in the way from the root to a run.

    Attributes:
        section: Which of the four kinds of line it gets: chain, llm, tool, retriever.
        type: LangChain's word for it, as printed: also prompt, parser, …
        order: Its number in the trace, from 1.
    """

    section: str
    type: str
    name: str
    order: int


def paint(style: str, text: str) -> str:
    """Colour a piece of text."""
    before, after = _STYLES[style]
    return f"{before}{text}{after}"


def plain(_style: str, text: str) -> str:
    """Leave a piece of text as it is."""
    return text


def start_line(crumbs: Sequence[Crumb], inputs: object, *, color: bool) -> str:
    """Return what is printed when the last of the runs starts."""
    section = crumbs[-1].section
    if section == "llm" and isinstance(inputs, Mapping):
        inputs = _trim_prompts(inputs)
    shown = _quoted(inputs, "[input]") if section == "tool" else _json(inputs, "[inputs]")
    return f"{_head('start', crumbs, color)} Entering {_WORDS[section]} run with input: {shown}"


def end_line(crumbs: Sequence[Crumb], elapsed_ms: int, outputs: object, *, color: bool) -> str:
    """Return what is printed when the last of the runs has ended."""
    section = crumbs[-1].section
    fallback = "[response]" if section == "llm" else "[outputs]"
    shown = _quoted(outputs, "[output]") if section == "tool" else _json(outputs, fallback)
    head = _head("end", crumbs, color)
    return f"{head} [{_elapsed(elapsed_ms)}] Exiting {_WORDS[section]} run with output: {shown}"


def error_line(crumbs: Sequence[Crumb], elapsed_ms: int, error: str, *, color: bool) -> str:
    """Return what is printed when the last of the runs has failed."""
    head, word = _head("error", crumbs, color), _WORDS[crumbs[-1].section]
    return f"{head} [{_elapsed(elapsed_ms)}] {word} run errored with error: {_json(error, '[error]')}"


def outcome_line(crumbs: Sequence[Crumb], elapsed_ms: int, outcome: str, outputs: object, *, color: bool) -> str:
    """Return what is printed for a run that neither ended nor failed; LangChain.js has no such line."""
    head, word = _head(outcome, crumbs, color), _WORDS[crumbs[-1].section]
    shown = "" if outputs is ABSENT else f" with output: {_json(outputs, '[outputs]')}"
    return f"{head} [{_elapsed(elapsed_ms)}] {word} run {outcome}{shown}"


def action_line(crumbs: Sequence[Crumb], action: object, *, color: bool) -> str:
    """Return what is printed when an agent has chosen what to do."""
    wrap = paint if color else plain
    return (
        f"{wrap('blue', '[agent/action]')} [{_breadcrumbs(crumbs, wrap)}] "
        f"Agent selected action: {_json(action, '[action]')}"
    )


_HEAD_STYLES = {"start": "green", "error": "red"}


def _head(event: str, crumbs: Sequence[Crumb], color: bool) -> str:
    wrap = paint if color else plain
    label = wrap(_HEAD_STYLES.get(event, "cyan"), f"[{crumbs[-1].section}/{event}]")
    return f"{label} [{_breadcrumbs(crumbs, wrap)}]"


def _breadcrumbs(crumbs: Sequence[Crumb], wrap: Paint) -> str:
    names = [f"{crumb.order}:{crumb.type}:{crumb.name}" for crumb in crumbs]
    return wrap("grey", " > ".join([*names[:-1], wrap("bold", names[-1])]))


def _elapsed(elapsed_ms: int) -> str:
    return f"{elapsed_ms}ms" if elapsed_ms < 1_000 else f"{to_fixed(elapsed_ms / 1_000, 2)}s"


def _trim_prompts(inputs: Mapping[str, object]) -> Mapping[str, object]:
    prompts = inputs.get("prompts")
    if not isinstance(prompts, list):
        return inputs
    return {"prompts": [trim(prompt) if isinstance(prompt, str) else prompt for prompt in prompts]}


def _quoted(value: object, fallback: str) -> str:
    """Return a tool's text: in quotes, but not escaped."""
    return f'"{trim(value) if isinstance(value, str) else _json(value, fallback)}"'


def _json(value: object, fallback: str) -> str:
    if value is ABSENT:
        return fallback
    try:
        return stringify(value)
    except ValueError:
        return fallback
