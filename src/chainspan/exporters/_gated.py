"""The gate of content for spans that other libraries made, in front of any exporter."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.trace import Link, Status
from pydantic_core import from_json

from .._content import ContentPolicy, Gate, names_thought
from .._encode import REDACTED, SECRET, attempt, is_secret_key, mask_text
from .._guard import Guard
from ._changing import changing
from ._rewritten import Rewritten

__all__ = ["gated"]

_GUARD = Guard("exporters.gated")
_SCOPE: Final = "chainspan"  # whose spans have passed the gate already

# Under which names the tracing libraries of this field keep what users and models wrote:
# the GenAI conventions of all versions, OpenInference, OpenLLMetry, Langfuse, LangSmith, MLflow,
# Pydantic's, database clients.
_CONTENT: Final = re.compile(
    r"""
      gen_ai\.(?:input\.messages | output\.messages | system_instructions)
    | gen_ai\.tool\.(?:definitions | description | message | call\.arguments | call\.result)
    | gen_ai\.(?:retrieval\.query\.text | retrieval\.documents | memory\.query\.text | memory\.records)
    | gen_ai\.(?:prompt | completion | choice | content)(?:\..* | s)?
    | gen_ai\.(?:system | user | assistant | evaluation)\.(?:message | explanation).*
    | (?:input | output)\.value
    | llm\.(?:input_messages | output_messages | prompts | completions | choices)(?:\..*)?
    | llm\.(?:prompt_template | tools | request\.functions | invocation_parameters)(?:\..*)?
    | retrieval\.documents\..* | reranker\..* | embedding\.(?:embeddings\..* | text | invocation_parameters)
    | tool\.(?:description | parameters | json_schema) | (?:tool_call | message | document)\..*
    | tag\.tags | metadata
    | gen_ai\.task\.(?:input | output) | gen_ai\.event\.content
    | langfuse\.(?:observation | trace)\.(?:input | output | status_message | tags | metadata(?:\..*)?)
    | langsmith\.(?:metadata\..* | span\.tags) | mlflow\.(?:spanInputs | spanOutputs | chat\.tools)
    | (?:pydantic_ai\.)?all_messages(?:_events)? | final_result | tool_(?:arguments | response)
    | (?:request | response)_data
    | traceloop\.(?:entity\.input | entity\.output | prompt\..* | association\.properties\..*)
    | exception\.message | db\.(?:statement | query\.text | query\.parameter\..*)
    """,
    re.VERBOSE,
)
# Events that are messages, as the conventions had them once, and how libraries call there what was written.
_MESSAGE_EVENT: Final = re.compile(r"gen_ai\.(?:(?:system|user|assistant|tool)\.message|choice|content\.\w+)")
_IN_MESSAGES: Final = re.compile(
    rf"{_CONTENT.pattern} | content | message | body | text | tool_calls | tool\.result", re.VERBOSE
)
_TOOLS: Final = re.compile(r"gen_ai\.tool\.definitions|llm\.(?:tools|request\.functions)(?:\..*)?")
_THOUGHTS: Final = frozenset({"reasoning", "reasoning_content", "thinking"})
_KINDS: Final = (".type", ".role")  # OpenInference's, OpenLLMetry's
_FRAMES: Final = re.compile(r'^(?:Traceback .*|  File ".*", line \d+, in .*)$', re.MULTILINE)


def gated(exporter: SpanExporter, content: bool | ContentPolicy | None = None) -> SpanExporter:
    """Return an exporter that lets through of every span what a policy allows.

    For pipelines that spans of other libraries go through as well. What chainspan records has
    passed the handler's own gate, and is left as it is.

    Args:
        exporter: What sends the spans.
        content: As of a handler: True, False, a `ContentPolicy`, or None for the environment's word.

    Raises:
        ConfigurationError: An argument cannot be used.
    """
    gate = Gate.of(content)
    return changing(exporter, lambda spans: _passed(spans, gate))


def _passed(spans: Sequence[ReadableSpan], gate: Gate) -> Sequence[ReadableSpan]:
    """Return the spans as they may leave; one that cannot be looked through does not."""
    passed = []
    for span in spans:
        with _GUARD:
            passed.append(span if _is_ours(span) else _gated_span(span, gate))
    return passed


def _is_ours(span: ReadableSpan) -> bool:
    scope = span.instrumentation_scope
    return scope is not None and scope.name == _SCOPE


def _gated_span(span: ReadableSpan, gate: Gate) -> ReadableSpan:
    description = span.status.description
    return Rewritten(
        span,
        _attributes(span.attributes, gate),
        name=gate.name(span.name),
        events=[_event(event, gate) for event in span.events],
        links=[Link(link.context, _attributes(link.attributes, gate)) for link in span.links],
        status=Status(span.status.status_code, description and gate.text(description)),
    )


def _event(event: Event, gate: Gate) -> Event:
    content = _CONTENT if _MESSAGE_EVENT.fullmatch(event.name) is None else _IN_MESSAGES
    return Event(gate.name(event.name), _attributes(event.attributes, gate, content), event.timestamp)


def _attributes(
    attributes: Mapping[str, Any] | None, gate: Gate, content: re.Pattern[str] = _CONTENT
) -> dict[str, Any]:
    held = _allowed(attributes or {}, gate.policy)
    passed = {key: _value(key, value, gate, content) for key, value in held.items()}
    return {key: value for key, value in passed.items() if value is not None}


def _allowed(held: Mapping[str, Any], policy: ContentPolicy) -> Mapping[str, Any]:
    """Return attributes without those of content that the policy leaves out, where they are an attribute each."""
    if not policy.tool_definitions:
        held = {key: value for key, value in held.items() if _TOOLS.fullmatch(key) is None}
    if policy.reasoning:
        return held
    thoughts = tuple(
        key[: -len("type")] for key, value in held.items() if key.endswith(_KINDS) and names_thought(value)
    )
    return {key: value for key, value in held.items() if not (_is_thought(key) or key.startswith(thoughts))}


def _is_thought(key: str) -> bool:
    return key.rpartition(".")[2] in _THOUGHTS and _CONTENT.fullmatch(key) is not None


def _value(key: str, value: Any, gate: Gate, content: re.Pattern[str]) -> Any:
    if key == "exception.stacktrace" and not gate.on:
        return gate.name("\n".join(_FRAMES.findall(str(value))))  # files, lines, functions; no source, no messages
    if content.fullmatch(key) is not None:
        return _content(value, gate)
    return _fact(key.rpartition(".")[2], value, gate)


def _content(value: Any, gate: Gate) -> Any:
    if not gate.on:
        return None
    if isinstance(value, str):
        tree = attempt(lambda: from_json(value), None) if value[:1] in ("{", "[") else None
        return gate.text(value) if tree is None else gate.json(tree)
    return [gate.text(item) if isinstance(item, str) else item for item in value] if _is_list(value) else value


def _fact(name: str, value: Any, gate: Gate) -> Any:
    """Return what is no content without secrets and without what the user's patterns and keys find."""
    if name.lower() in gate.policy.redact_keys:
        return REDACTED
    if isinstance(value, str):
        return SECRET if is_secret_key(name) else mask_text(gate.name(value))
    return [_fact(name, item, gate) for item in value] if _is_list(value) else value


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))
