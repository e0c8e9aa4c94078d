"""What a span tells about an LLM run, whoever made it.

Spans of chainspan say it in ``chainspan.run.*``; those of others follow the GenAI
conventions, OpenInference or OpenLLMetry. A span that follows none of them is not
about an LLM, such as the HTTP request below a model call.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from opentelemetry.trace import StatusCode

from chainspan import _semconv as names

from ._console_text import ABSENT

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Event, ReadableSpan

__all__ = [
    "AGENT_ACTION",
    "action_of",
    "actions_of",
    "error_of",
    "has_input",
    "input_of",
    "may_act",
    "output_of",
    "type_of",
]

Attributes: TypeAlias = "Mapping[str, object]"

AGENT_ACTION = "agent_action"

_TRACELOOP_KIND = "traceloop.span.kind"
_TRACELOOP_INPUT = "traceloop.entity.input"
_TRACELOOP_OUTPUT = "traceloop.entity.output"

# Which attribute tells the run's type, the most telling one first, and what its values mean.
_TYPES: Sequence[tuple[str, Mapping[str, str]]] = (
    (
        names.OPENINFERENCE_SPAN_KIND,
        {"LLM": "llm", "TOOL": "tool", "RETRIEVER": "retriever", "PROMPT": "prompt", "AGENT": "agent"},
    ),
    (
        names.GEN_AI_OPERATION_NAME,
        {
            names.OPERATION_CHAT: "llm",
            names.OPERATION_TEXT_COMPLETION: "llm",
            "generate_content": "llm",
            names.OPERATION_EXECUTE_TOOL: "tool",
            names.OPERATION_RETRIEVAL: "retriever",
            names.OPERATION_EMBEDDINGS: "embeddings",
            names.OPERATION_INVOKE_AGENT: "agent",
            "create_agent": "agent",
        },
    ),
    (_TRACELOOP_KIND, {"tool": "tool", "agent": "agent"}),
    ("llm.request.type", {"chat": "llm", "completion": "llm", "embedding": "embeddings"}),
)
_INPUTS = (
    names.INPUT_VALUE,
    _TRACELOOP_INPUT,
    names.GEN_AI_INPUT_MESSAGES,
    names.GEN_AI_TOOL_CALL_ARGUMENTS,
    names.GEN_AI_RETRIEVAL_QUERY_TEXT,
)
_OUTPUTS = (
    names.OUTPUT_VALUE,
    _TRACELOOP_OUTPUT,
    names.GEN_AI_OUTPUT_MESSAGES,
    names.GEN_AI_TOOL_CALL_RESULT,
    names.GEN_AI_RETRIEVAL_DOCUMENTS,
)
_MIME_TYPES = {
    names.INPUT_VALUE: names.INPUT_MIME_TYPE,
    names.OUTPUT_VALUE: names.OUTPUT_MIME_TYPE,
}
_MESSAGES = frozenset({names.GEN_AI_INPUT_MESSAGES, names.GEN_AI_OUTPUT_MESSAGES})
_TRACEBACK = re.compile(r"^(  \+ Exception Group )?Traceback \(most recent call last\):$", re.MULTILINE)


def type_of(attributes: Attributes) -> str | None:
    """Return the run's type in LangChain's words; None for a span that is not about an LLM."""
    if own := attributes.get(names.CHAINSPAN_RUN_TYPE):
        return str(own)
    for name, types in _TYPES:
        if found := attributes.get(name):
            return types.get(str(found), "chain")
    return None


def has_input(attributes: Attributes) -> bool:
    """Return whether the span tells the run's input."""
    return any(name in attributes for name in _INPUTS)


def input_of(section: str, attributes: Attributes) -> object:
    """Return the run's input as plain data; ABSENT when the span does not tell it."""
    name, value = _first(_INPUTS, attributes)
    if value is ABSENT or section == "tool":
        return _argument(value)
    if name in _MESSAGES:
        return {"messages": value}
    key = {"llm": "prompts", "retriever": "query"}.get(section, "input")
    return value if isinstance(value, dict) else {key: _in_list(value) if section == "llm" else value}


def output_of(section: str, attributes: Attributes) -> object:
    """Return the run's output as plain data; ABSENT when the span does not tell it."""
    name, value = _first(_OUTPUTS, attributes)
    if value is ABSENT or section == "tool" or isinstance(value, dict):
        return value
    key = "messages" if name in _MESSAGES else {"retriever": "documents"}.get(section, "output")
    return {key: value}


def error_of(span: ReadableSpan) -> str | None:
    """Return the message of a failure and its traceback; None for a run that did not fail.

    A tool that answers that it failed has an output and no exception: it did not raise.
    """
    if span.status.status_code is not StatusCode.ERROR:
        return None
    for event in reversed(span.events):
        if event.name == "exception":
            return _exception_text(event)
    told = _first(_OUTPUTS, span.attributes or {})[1]
    return (span.status.description or "") if told is ABSENT else None


def may_act(run_type: str) -> bool:
    """Return whether actions of such a run are printed: ``handleAgentAction``, tracers/base.ts."""
    return run_type in {"chain", "agent"}


def action_of(attributes: Attributes) -> object:
    """Return the action of an ``agent_action`` event."""
    return _decoded(attributes.get("data", ABSENT), names.MIME_JSON)


def actions_of(span: ReadableSpan) -> list[object]:
    """Return the actions of an agent that the span has kept."""
    return [action_of(event.attributes or {}) for event in span.events if event.name == AGENT_ACTION]


def _exception_text(event: Event) -> str:
    attributes = event.attributes or {}
    message = str(attributes.get(names.EXCEPTION_MESSAGE, ""))
    stack = str(attributes.get(names.EXCEPTION_STACKTRACE, ""))
    # An exception that was never raised has a "traceback" of one line, which says nothing new.
    return f"{message}\n\n{stack.rstrip()}" if _TRACEBACK.search(stack) else message


def _first(among: Sequence[str], attributes: Attributes) -> tuple[str, object]:
    for name in among:
        if (value := attributes.get(name)) is not None:
            mime_type = attributes.get(_MIME_TYPES.get(name, ""))
            return name, _decoded(value, mime_type)
    return "", ABSENT


def _decoded(value: object, mime_type: object) -> object:
    """Return the data in an attribute's value: JSON where it is said or is plain to see."""
    if isinstance(value, (tuple, list)):
        return list(value)
    if not isinstance(value, str) or mime_type == names.MIME_TEXT:
        return value
    if mime_type != names.MIME_JSON and not value.startswith(("{", "[")):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):  # cut by a limit on the length of attributes
        return value


def _argument(value: object) -> object:
    """Return a tool's only argument where it is named ``input``, as LangChain.js does."""
    if isinstance(value, dict) and value.keys() == {"input"}:
        return value["input"]
    return value


def _in_list(value: object) -> object:
    return value if isinstance(value, list) else [value]
