"""What the console's own spans carry: LangChain's payloads, in LangChain.js's form."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from opentelemetry.trace import SpanKind

from ._content import Gate, ShownGate
from ._encode import plain as as_plain
from ._jstext import stringify
from ._model import AttributeValue, Outcome, RunEnd, RunFailure, RunStart

__all__ = ["ConsoleProfile"]

_JSON, _TEXT = "application/json", "text/plain"


class ConsoleProfile:
    """Describes a run by what went in and what came out, as LangChain.js would print it.

    Args:
        form: Turns any object of the framework into plain data.
    """

    name = "console"
    schema_url: str | None = None
    cost_name: str | None = None

    def __init__(self, form: Callable[[object], object]) -> None:
        self._form = form

    def name_and_kind(self, run: RunStart) -> tuple[str, SpanKind]:
        """Return the run's own name, and the same kind for all: nothing leaves the process."""
        return run.name, SpanKind.INTERNAL

    def start(self, run: RunStart, gate: Gate) -> dict[str, AttributeValue]:
        """Describe the run's place and its input."""
        return {
            "chainspan.run.id": str(run.run_id),
            "chainspan.run.type": run.run_type,
            "chainspan.run.name": gate.name(run.name),
            **self._payload("input", _input_of(run), gate, is_compact=run.run_type == "tool"),
        }

    def end(self, run: RunStart, end: RunEnd, gate: Gate) -> dict[str, AttributeValue]:
        """Describe the output."""
        outputs = end.outputs if end.raw is None else end.raw
        if _is_chain(run):
            outputs = _as_record(outputs, "output")
        return self._payload("output", outputs, gate)

    def failure(self, run: RunStart, failure: RunFailure, gate: Gate) -> dict[str, AttributeValue]:
        """Say what a graph that was interrupted asks or hands over; of others the exception event says all."""
        del run
        said = failure.error.args if failure.outcome is Outcome.INTERRUPTED else ()
        return self._payload("output", said[0], gate) if said and said[0] else {}

    def event(self, data: object, gate: Gate) -> str | None:
        """Return an event's data as JSON, or None where content is off."""
        return _written(self._shown(data, gate), _as_data) if gate.on else None

    def _shown(self, value: object, gate: Gate) -> object:
        plain = self._form(value)
        return gate.shown(plain) if isinstance(gate, ShownGate) else plain

    def _payload(self, side: str, value: object, gate: Gate, *, is_compact: bool = False) -> dict[str, AttributeValue]:
        if not gate.on:
            return {}
        plain = self._shown(value, gate)
        if isinstance(plain, str):
            return {f"{side}.value": plain, f"{side}.mime_type": _TEXT}
        if is_compact and not _is_only_input(plain):
            return {f"{side}.value": _written(plain, _on_one_line), f"{side}.mime_type": _TEXT}
        return {f"{side}.value": _written(plain, _as_data), f"{side}.mime_type": _JSON}


def _written(tree: object, write: Callable[[object], str]) -> str:
    try:
        return write(tree)
    except (ValueError, TypeError, RecursionError):  # too deep, a circle, a number of 5,000 digits
        return write(as_plain(tree))


def _as_data(tree: object) -> str:
    return json.dumps(tree, ensure_ascii=False)


def _on_one_line(tree: object) -> str:
    return stringify(tree, indent=None)


def _is_only_input(arguments: object) -> bool:
    """Return whether a tool's only argument is named ``input``, which is printed alone, as LangChain.js does."""
    return isinstance(arguments, dict) and arguments.keys() == {"input"}


def _is_chain(run: RunStart) -> bool:
    return run.run_type not in ("llm", "tool", "retriever")


def _input_of(run: RunStart) -> object:
    return _as_record(run.inputs, "input") if _is_chain(run) else run.inputs


def _as_record(value: object, key: str) -> object:
    """Put what is no object under a key of its own, as ``_coerceToDict`` of LangChain.js does."""
    is_object = value is not None and not isinstance(value, (str, int, float, bool))
    if is_object and not (isinstance(value, (Sequence, set, frozenset))):
        return value
    return {key: value}
