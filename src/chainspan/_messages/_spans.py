"""The conversation that a span holds, whichever form the span and its names have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from .. import _semconv as names
from ._flattened import flattened_messages
from ._models import ChatMessage, parse_messages, parse_parts

__all__ = ["messages_from_span"]

_SIDES: Final = (
    (names.GEN_AI_INPUT_MESSAGES, names.OI_INPUT_MESSAGES),
    (names.GEN_AI_OUTPUT_MESSAGES, names.OI_OUTPUT_MESSAGES),
)


def messages_from_span(span: object) -> list[ChatMessage]:
    """Return the conversation that a model's or an agent's span holds: what went in, then what came out.

    Args:
        span: A span of any profile or library, ended or not; one of OTLP, as its JSON or its
            message; or anything else with attributes.

    Raises:
        ValidationError: If an attribute does not hold messages.
    """
    attributes = _attributes_of(span)
    messages: list[ChatMessage] = []
    instructions = attributes.get(names.GEN_AI_SYSTEM_INSTRUCTIONS)
    if isinstance(instructions, str):
        messages.append(ChatMessage(role="system", parts=parse_parts(instructions)))
    for name, prefix in _SIDES:
        text = attributes.get(name)
        messages += parse_messages(text) if isinstance(text, str) else flattened_messages(attributes, prefix)
    return messages


def _attributes_of(span: object) -> Mapping[str, Any]:
    held = span.get("attributes") if isinstance(span, Mapping) else getattr(span, "attributes", None)
    if isinstance(held, Mapping):
        return held
    return dict(_pairs(held)) if isinstance(held, Iterable) else {}


def _pairs(held: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Yield the texts among the attributes of OTLP, which are a list of keys and values."""
    for entry in held:
        if isinstance(entry, Mapping):
            yield str(entry.get("key")), (entry.get("value") or {}).get("stringValue")
        else:
            yield entry.key, entry.value.string_value
