"""The fields of a message in the order in which LangChain.js lists them.

``JSON.stringify`` lists what a message's constructor was given, in the order it was
written in, and then what the constructor adds. Python remembers which fields were
given, but not their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, RemoveMessage

__all__ = ["message_fields"]

# The order of the fields that were given to a message, which Python forgets. It is the
# order in which they are usually written; those of every message come last.
_FIELDS = ("content", "role", "tool_call_id", "name", "status", "artifact", "id")
_MODEL_FIELDS = ("tool_calls", "invalid_tool_calls", "usage_metadata")
_LAST_FIELDS = ("additional_kwargs", "response_metadata")
# The order that AIMessageChunk.concat (messages/ai.ts) leaves behind.
_JOINED_FIELDS = (
    "content",
    *_LAST_FIELDS,
    "tool_call_chunks",
    "tool_calls",
    "id",
    "usage_metadata",
    "invalid_tool_calls",
)
_RUN_ID_PREFIXES = ("lc_run-", "run-")


def message_fields(message: BaseMessage) -> Iterator[tuple[str, object]]:
    """Yield what a message's constructor was given, then what LangChain.js adds to it."""
    if isinstance(message, RemoveMessage):
        yield from (("id", message.id), ("content", []), *((name, {}) for name in _LAST_FIELDS))
        return
    for name in dict.fromkeys(_message_names(message)):
        value = getattr(message, name, None)
        yield name, [_invalid_call(call) for call in value or ()] if name == "invalid_tool_calls" else value


def _message_names(message: BaseMessage) -> Iterator[str]:
    given = message.model_fields_set
    if isinstance(message, AIMessageChunk) and "tool_call_chunks" in given:
        yield from _JOINED_FIELDS
        return
    # LangChain sets these two on an answer that the model has made already, which adds
    # them behind all others (BaseMessage._updateId, messages/base.ts).
    late_id = str(message.id).startswith(_RUN_ID_PREFIXES)
    late = {"id"} if late_id else set()
    if not message.response_metadata:
        late.add("response_metadata")
    names = (*_FIELDS, *_MODEL_FIELDS, *(message.model_extra or {}), *_LAST_FIELDS)
    yield from (name for name in names if name in given and name not in late)
    yield from _names_always_there(message)
    yield "id"


def _invalid_call(call: Mapping[str, object]) -> Mapping[str, object]:
    """Put the keys in the order of ``tool_calls``; pydantic has sorted them otherwise."""
    order = [name for name in ("name", "args", "id", "error", "type") if name in call]
    return {**{name: call[name] for name in order}, **call}


def _names_always_there(message: BaseMessage) -> Sequence[str]:
    if isinstance(message, AIMessageChunk):
        return ("content", "tool_calls", "invalid_tool_calls", "tool_call_chunks", *_LAST_FIELDS)
    if isinstance(message, AIMessage):
        return ("content", "tool_calls", "invalid_tool_calls", *_LAST_FIELDS)
    return ("content", *_LAST_FIELDS)
