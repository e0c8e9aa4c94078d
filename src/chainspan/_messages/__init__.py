"""Messages in the shape of the GenAI conventions, and the way back from a span to them."""

from __future__ import annotations

from ._models import (
    BlobPart,
    ChatMessage,
    CompactionPart,
    FilePart,
    GenericPart,
    Part,
    ReasoningPart,
    ServerToolCallPart,
    ServerToolCallResponsePart,
    TextPart,
    ToolCallPart,
    ToolCallResponsePart,
    UriPart,
    parse_messages,
    parse_part,
)
from ._spans import messages_from_span

__all__ = [
    "BlobPart",
    "ChatMessage",
    "CompactionPart",
    "FilePart",
    "GenericPart",
    "Part",
    "ReasoningPart",
    "ServerToolCallPart",
    "ServerToolCallResponsePart",
    "TextPart",
    "ToolCallPart",
    "ToolCallResponsePart",
    "UriPart",
    "messages_from_span",
    "parse_messages",
    "parse_part",
]
