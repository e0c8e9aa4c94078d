"""The messages of the GenAI conventions as pydantic models.

They are for reading: they check what a span holds and give it types. Writing
(`chainspan._content`) makes the same shapes as plain dicts, since an agent's history is
written with every call of its model. What was cut to size before it was written is read as
well: where something was left out stands a word such as ``[+527]``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Tag,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import to_json

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


_LEFT_OUT: Final = re.compile(r"\[\+\d+( bytes)?\]")


def _text_of(value: object) -> str:
    return value if isinstance(value, str) else to_json(value).decode()


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
    name: Annotated[str, BeforeValidator(lambda name: "" if name is None else name)] = ""
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
    """A part of any other type, or of another shape than its type has."""

    type: Annotated[str, BeforeValidator(_text_of)] = ""


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


def _any_part(given: Any, read: ValidatorFunctionWrapHandler) -> Any:
    """Return a part whatever it is: one that does not fit its type is generic, and what is no object is a text."""
    if not isinstance(given, (Mapping, BaseModel)):
        return TextPart(content=_text_of(given))
    try:
        return read(given)
    except ValidationError:
        return GenericPart.model_validate(given)


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
    WrapValidator(_any_part),
]


class ChatMessage(BaseModel):
    """One message: a role and its parts."""

    model_config = ConfigDict(extra="allow", frozen=True)

    role: str
    parts: list[Part]
    name: str | None = None
    finish_reason: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _shortened(cls, given: Any) -> Any:
        """Take the word on messages that were left out for one of the system's, and that on parts for their text."""
        if isinstance(given, str) and _LEFT_OUT.fullmatch(given):
            return {"role": "system", "parts": [given]}
        if isinstance(given, Mapping) and "parts" not in given:
            left_out = [key for key in given if _LEFT_OUT.fullmatch(key)]
            return {**given, "parts": left_out} if left_out else given
        return given


def _listed(given: Any) -> Any:
    """Return a list as it is; of one for which there was no room at all, a word is left."""
    return [given] if isinstance(given, str) else given


_MESSAGES: Final = TypeAdapter(Annotated[list[ChatMessage], BeforeValidator(_listed)])
_PART_LIST: Final = TypeAdapter(Annotated[list[Part], BeforeValidator(_listed)])
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
        ValidationError: If the text is not the JSON of a list.
    """
    return _PART_LIST.validate_json(text)


def parse_part(fields: object) -> Part:
    """Return a part that was read already, whatever it is."""
    return _PART.validate_python(fields)
