"""The content that the GenAI profiles write: messages where there are any, else input and output values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from .. import _semconv as names
from .._content import Gate, is_thought
from .._encode import attempt, message_of, some_messages
from .._model import AttributeValue, Message, RetrievedDocument, RunEnd, RunKind, RunStart, ToolRequest
from ._shared import Attributes, io

__all__ = [
    "INPUT",
    "OUTPUT",
    "add_documents",
    "add_input",
    "add_output",
    "add_query",
    "add_shown",
    "add_tool_input",
    "add_tool_output",
    "documents_one_by_one",
]

INPUT: Final = (names.INPUT_VALUE, names.INPUT_MIME_TYPE)
OUTPUT: Final = (names.OUTPUT_VALUE, names.OUTPUT_MIME_TYPE)
_ROLES: Final = {"human": "user", "ai": "assistant"}
_TEXTS_IN: Final = (("text", "content"), ("tool_call_response", "response"))
_NO_MESSAGES: Final[list[Message]] = []
_WITH_MESSAGES: Final = frozenset({RunKind.AGENT, RunKind.WORKFLOW})
_OF_EACH_DOCUMENT: Final = frozenset({"id", "score"})  # by the conventions 1.41


def add_input(attributes: Attributes, run: RunStart, value: object, gate: Gate) -> None:
    """Record what went into a run: the messages of a graph's state, else the whole value."""
    if not gate.on:
        return
    given = (run.messages() if value is run.inputs else ()) if run.kind in _WITH_MESSAGES else None
    messages = given if given is None else given or attempt(lambda: _messages_in(value), _NO_MESSAGES)
    if messages:
        attributes[names.GEN_AI_INPUT_MESSAGES] = gate.messages(messages)
        add_shown(attributes, messages, gate, INPUT)
    else:
        io(attributes, value, gate, INPUT)


def add_output(attributes: Attributes, run: RunStart, value: object, gate: Gate, reasons: Sequence[str] | None) -> None:
    """Record what came out of a run: the last message of a graph's state, else the whole value."""
    if not gate.on:
        return
    messages = attempt(lambda: _messages_in(value), _NO_MESSAGES) if run.kind in _WITH_MESSAGES else None
    if messages:
        attributes[names.GEN_AI_OUTPUT_MESSAGES] = gate.messages(messages[-1:], reasons)
        add_shown(attributes, messages, gate, OUTPUT)
    else:
        io(attributes, value, gate, OUTPUT)


def add_shown(attributes: Attributes, messages: Sequence[Message], gate: Gate, keys: tuple[str, str]) -> None:
    """Record what the last message says, which lists of traces and sessions show where they show no messages.

    One that says nothing, such as a call of a tool that somebody has to approve, stands there itself.
    """
    if not gate.on or not messages:
        return
    last = messages[-1]
    texts = [str.__str__(text) for text in _texts(last.parts)]  # whose own `__str__` may raise
    if any(texts):
        io(attributes, "\n".join(texts), gate, keys)
    elif any(gate.policy.reasoning or not is_thought(part) for part in last.parts):
        attributes[keys[0]], attributes[keys[1]] = gate.messages([last]), names.MIME_JSON


def _texts(parts: Sequence[object]) -> Iterator[str]:
    """Yield the texts among parts, and those of a tool's answer, which may be an agent's as well."""
    for part in parts:
        fields: Mapping[str, object] = part if isinstance(part, Mapping) else {}
        said = next((fields.get(key) for kind, key in _TEXTS_IN if fields.get("type") == kind), None)
        if isinstance(said, str):
            yield said
        elif isinstance(said, list):
            yield from _texts(said)


def _messages_in(value: object) -> list[Message]:
    """Return the messages of a graph's state, or nothing where there are others than messages."""
    held = value.get("messages") if isinstance(value, Mapping) else value
    if not isinstance(held, (list, tuple)):
        return []
    made = [_message(item) for item in some_messages(held)]
    return [message for message in made if message is not None] if None not in made else []


def _message(item: object) -> Message | None:
    """Return a message, also one that is written as LangChain lets users write it: ``("user", "hi")``."""
    if isinstance(item, (list, tuple)) and len(item) == 2:
        role, content = item
    elif isinstance(item, Mapping):
        role, content = item.get("role"), item.get("content")
    else:
        return message_of(item)
    if not isinstance(role, str) or not isinstance(content, str):
        return None
    return Message(role=_ROLES.get(role, role), parts=[{"type": "text", "content": content}])


def add_tool_input(attributes: Attributes, tool: ToolRequest, gate: Gate) -> None:
    """Record what a tool is for and what it was called with."""
    if not gate.on:
        return
    if tool.description:
        attributes[names.GEN_AI_TOOL_DESCRIPTION] = gate.text(tool.description)
    if tool.arguments is not None:
        written = gate.value(tool.arguments)
        attributes[names.GEN_AI_TOOL_CALL_ARGUMENTS] = written[0] if written else None


def add_tool_output(attributes: Attributes, result: object, gate: Gate, *, wrap: bool) -> None:
    """Record what a tool returned: a text as it is, anything else as JSON."""
    if not gate.on or result is None:
        return
    if wrap and not issubclass(type(result), (str, Mapping)):
        result = {"result": result}
    written = gate.value(result)
    attributes[names.GEN_AI_TOOL_CALL_RESULT] = written[0] if written else None


def add_query(attributes: Attributes, query: str | None, gate: Gate) -> None:
    """Record what was searched for, under both names that backends read."""
    if gate.on and query is not None:
        attributes[names.GEN_AI_RETRIEVAL_QUERY_TEXT] = text = gate.text(query)
        attributes[names.INPUT_VALUE] = gate.again(text, is_json=False)
        attributes[names.INPUT_MIME_TYPE] = names.MIME_TEXT


def add_documents(attributes: Attributes, end: RunEnd, gate: Gate, room: int) -> None:
    """Record what a retriever found, under both names that backends read.

    Where a document lacks what the conventions ask of each, they stand one by one as well, in as many
    attributes as there is room for: Phoenix takes nothing of such a list.
    """
    if gate.on and end.documents is not None:
        found = [_document_fields(document) for document in end.documents()]
        attributes[names.GEN_AI_RETRIEVAL_DOCUMENTS] = text = gate.json(found)
        attributes[names.OUTPUT_VALUE] = gate.again(text, is_json=True)
        attributes[names.OUTPUT_MIME_TYPE] = names.MIME_JSON
        if room and not all(fields.keys() >= _OF_EACH_DOCUMENT for fields in found):
            attributes.update(_one_by_one(found, gate, room))


def documents_one_by_one(end: RunEnd, gate: Gate, room: int) -> Attributes:
    """Return what a retriever found as OpenInference has it, the first documents, each whole."""
    if not gate.on or end.documents is None:
        return {}
    return _one_by_one([_document_fields(document) for document in end.documents()], gate, room)


def _one_by_one(documents: Sequence[Mapping[str, object]], gate: Gate, room: int) -> Attributes:
    attributes: Attributes = {}
    for index, fields in enumerate(documents):
        if len(attributes) + len(fields) > room:
            break
        for key, value in fields.items():
            attributes[f"{names.OI_DOCUMENTS}.{index}.document.{key}"] = _scalar(value, gate)
    return attributes


def _scalar(value: object, gate: Gate) -> AttributeValue | None:
    if isinstance(value, str):
        return gate.text(value)
    return value if isinstance(value, (int, float)) else gate.json(value)


def _document_fields(document: RetrievedDocument) -> dict[str, object]:
    """Return a document in the shape of the conventions, which allow further keys."""
    fields = {
        "id": document.id,
        "score": document.score,
        "content": document.content,
        "metadata": document.metadata or None,
    }
    return {key: value for key, value in fields.items() if value is not None}
