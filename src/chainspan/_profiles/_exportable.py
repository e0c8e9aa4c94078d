"""What may stand in an attribute: the one place where values are checked and cut before they leave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .. import _semconv as names
from .._content import Gate
from .._encode import attempt, label, well_formed
from .._model import AttributeValue

__all__ = ["checked", "exportable"]

# What has a vocabulary of its own, which is no user's and no provider's: out of reach of the user's patterns.
_FIXED: Final = frozenset(
    {
        names.CHAINSPAN_FAULT,
        names.CHAINSPAN_RUN_ID,
        names.CHAINSPAN_RUN_OUTCOME,
        names.CHAINSPAN_RUN_TYPE,
        names.ERROR_TYPE,
        names.GEN_AI_OPERATION_NAME,
        names.GEN_AI_OUTPUT_TYPE,
        names.GEN_AI_TOOL_TYPE,
        names.INPUT_MIME_TYPE,
        names.OPENAI_API_TYPE,
        names.OPENINFERENCE_SPAN_KIND,
        names.OUTPUT_MIME_TYPE,
    }
)
_NUMBERS: Final = frozenset({bool, int, float, type(None)})
_INT64: Final = 1 << 63
_LONGEST: Final = 1_000  # characters of what is no content, and has no budget: ids, reasons, parameters
_MOST_ITEMS: Final = 128
# How the attributes begin that the gate has fitted into the span's budget.
_CONTENT: Final = (
    names.INPUT_VALUE,
    names.OUTPUT_VALUE,
    names.GEN_AI_INPUT_MESSAGES,
    names.GEN_AI_OUTPUT_MESSAGES,
    names.GEN_AI_SYSTEM_INSTRUCTIONS,
    names.GEN_AI_TOOL_DEFINITIONS,
    names.GEN_AI_TOOL_DESCRIPTION,
    names.GEN_AI_TOOL_CALL_ARGUMENTS,
    names.GEN_AI_TOOL_CALL_RESULT,
    names.GEN_AI_RETRIEVAL_QUERY_TEXT,
    names.GEN_AI_RETRIEVAL_DOCUMENTS,
    names.CHAINSPAN_OUTPUT_SCHEMA,
    names.CHAINSPAN_METADATA,
    names.OI_DOCUMENTS,
    names.OI_INPUT_MESSAGES,
    names.OI_OUTPUT_MESSAGES,
    names.OI_METADATA,
    names.OI_INVOCATION_PARAMETERS,
    names.OI_EMBEDDING_INVOCATION_PARAMETERS,
    names.OI_TOOL_DESCRIPTION,
    names.OI_TOOL_PARAMETERS,
    names.OI_TOOLS,
)


def exportable(
    attributes: dict[str, Any], gate: Gate, known: dict[str, AttributeValue] | None = None
) -> dict[str, AttributeValue]:
    """Return attributes without those that cannot be exported, their texts as the user's patterns leave them.

    Args:
        attributes: What to check.
        gate: What decides over names; what is content has passed it.
        known: Attributes that are checked, to which the others are added.
    """
    if gate.policy.redact_patterns:
        attributes = {key: _redacted(key, value, gate) for key, value in attributes.items()}
    return checked(attributes, known)


def _redacted(key: str, value: Any, gate: Gate) -> Any:
    if type(value) in _NUMBERS or key in _FIXED or key.startswith(_CONTENT):
        return value
    if type(value) is list or type(value) is tuple:
        return [gate.name(_short(item)) for item in value[:_MOST_ITEMS]]
    return gate.name(_short(value))


def checked(attributes: Mapping[str, Any], known: dict[str, AttributeValue] | None = None) -> dict[str, AttributeValue]:
    """Return attributes without those that cannot be exported; the one place where values are checked."""
    result = {} if known is None else known
    for key, value in attributes.items():
        kind = type(value)  # not isinstance: a value may lie about its class
        if kind is str:
            is_plain = len(value) <= _LONGEST and value.isascii()
        elif kind is int:
            is_plain = -_INT64 <= value < _INT64
        else:  # the SDK has tuples for lists
            is_plain = kind is bool or kind is float or (kind is tuple and _are_plain_texts(value))
        if is_plain:
            result[key] = value
        elif value is not None:
            result[key] = _exportable(key, value)
    return result


def _exportable(key: str, value: Any) -> AttributeValue:
    kind = type(value)
    if kind is list or kind is tuple:
        return tuple([item if _is_plain_text(item) else _short(item) for item in value[:_MOST_ITEMS]])  # as the SDK's
    return _exportable_text(value) if issubclass(kind, str) and key.startswith(_CONTENT) else _short(value)


def _are_plain_texts(values: tuple[Any, ...]) -> bool:
    return len(values) <= _MOST_ITEMS and all(map(_is_plain_text, values))


def _is_plain_text(value: Any) -> bool:
    return type(value) is str and len(value) <= _LONGEST and value.isascii()


def _short(value: Any) -> str:
    text = _exportable_text(value)
    return text if len(text) <= _LONGEST else label(text)


def _exportable_text(value: Any) -> str:
    if issubclass(type(value), str):
        return well_formed(str.__str__(value))
    return well_formed(attempt(lambda: str.__str__(str(value)), "[unprintable]"))
