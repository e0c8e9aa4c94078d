"""The messages of the GenAI conventions as pydantic models.

They are for reading: they check what a span holds and give it types. Writing
(`chainspan._content`) makes the same shapes as plain dicts, since an agent's history is
written with every call of its model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Tag, TypeAdapter

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
    "parse_messages",
    "parse_part",
    "parse_parts",
]


class _Part(BaseModel):
    """What parts share: further keys are allowed and kept."""

    model_config = ConfigDict(extra="allow", frozen=True)


class TextPart(_Part):
    """Text, said or read."""

    type: Literal["text"] = "text"
    content: str


class ReasoningPart(_Part):
    """What a model thought before it answered."""

    type: Literal["reasoning"] = "reasoning"
    content: str


class ToolCallPart(_Part):
    """A model's request to call a tool. Arguments that are no JSON stay a text."""

    type: Literal["tool_call"] = "tool_call"
    id: str | None = None
    name: str
    arguments: Any = None


class ToolCallResponsePart(_Part):
    """What a tool answered."""

    type: Literal["tool_call_response"] = "tool_call_response"
    id: str | None = None
    response: Any


class ServerToolCallPart(_Part):
    """A call of a tool that the provider runs itself."""

    type: Literal["server_tool_call"] = "server_tool_call"
    id: str | None = None
    name: str
    server_tool_call: dict[str, Any]


class ServerToolCallResponsePart(_Part):
    """What a tool of the provider's answered."""

    type: Literal["server_tool_call_response"] = "server_tool_call_response"
    id: str | None = None
    server_tool_call_response: dict[str, Any]


class BlobPart(_Part):
    """Data within the message. Of what chainspan writes, `content` is type, size and hash."""

    type: Literal["blob"] = "blob"
    mime_type: str | None = None
    modality: str
    content: str


class FilePart(_Part):
    """Data that the provider holds."""

    type: Literal["file"] = "file"
    mime_type: str | None = None
    modality: str
    file_id: str


class UriPart(_Part):
    """Data that stands elsewhere."""

    type: Literal["uri"] = "uri"
    mime_type: str | None = None
    modality: str
    uri: str


class CompactionPart(_Part):
    """What a provider made of an older part of the conversation."""

    type: Literal["compaction"] = "compaction"
    id: str | None = None
    content: str | None = None


class GenericPart(_Part):
    """A part of any other type."""

    type: str


_PARTS: Final = {
    model.model_fields["type"].default: model
    for model in (
        TextPart,
        ReasoningPart,
        ToolCallPart,
        ToolCallResponsePart,
        ServerToolCallPart,
        ServerToolCallResponsePart,
        BlobPart,
        FilePart,
        UriPart,
        CompactionPart,
    )
}


def _type_of(part: Any) -> str:
    kind = part.get("type") if isinstance(part, Mapping) else getattr(part, "type", None)
    return kind if isinstance(kind, str) and kind in _PARTS else "generic"


Part = Annotated[
    Annotated[TextPart, Tag("text")]
    | Annotated[ReasoningPart, Tag("reasoning")]
    | Annotated[ToolCallPart, Tag("tool_call")]
    | Annotated[ToolCallResponsePart, Tag("tool_call_response")]
    | Annotated[ServerToolCallPart, Tag("server_tool_call")]
    | Annotated[ServerToolCallResponsePart, Tag("server_tool_call_response")]
    | Annotated[BlobPart, Tag("blob")]
    | Annotated[FilePart, Tag("file")]
    | Annotated[UriPart, Tag("uri")]
    | Annotated[CompactionPart, Tag("compaction")]
    | Annotated[GenericPart, Tag("generic")],
    Discriminator(_type_of),
]


class ChatMessage(BaseModel):
    """One message: a role and its parts."""

    model_config = ConfigDict(extra="allow", frozen=True)

    role: str
    parts: list[Part]
    name: str | None = None
    finish_reason: str | None = None


_MESSAGES: Final = TypeAdapter(list[ChatMessage])
_PART_LIST: Final = TypeAdapter(list[Part])
_PART: Final[TypeAdapter[Part]] = TypeAdapter(Part)


def parse_messages(text: str) -> list[ChatMessage]:
    """Read the messages of one attribute.

    Raises:
        ValidationError: If the text is not the JSON of messages.
    """
    return _MESSAGES.validate_json(text)


def parse_parts(text: str) -> list[Part]:
    """Read the parts of one message.

    Raises:
        ValidationError: If the text is not the JSON of parts.
    """
    return _PART_LIST.validate_json(text)


def parse_part(fields: object) -> Part:
    """Return a part that was read already.

    Raises:
        ValidationError: If it is none.
    """
    return _PART.validate_python(fields)
