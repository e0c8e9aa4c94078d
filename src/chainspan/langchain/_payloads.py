"""What LangChain's callbacks are given, as chainspan's own types; total on whatever comes.

Nothing here imports LangChain: its objects are known by what they hold, as any of them may
come from a version, or an integration, that nobody has seen yet.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, Final, TypeGuard

from .. import _encode
from .._encode import attempt, label
from .._model import Message, ModelRequest, RetrievedDocument, ToolRequest
from ._messages import message_or_fields, messages
from ._offered import tools_of
from ._read import mapping, text_in
from ._requests import request_of

__all__ = [
    "RUNTIME",
    "documents",
    "input_messages",
    "model_request",
    "offered_tools",
    "plain",
    "tool_output",
    "tool_request",
    "without_runtime",
]

RUNTIME: Final = "runtime"
"""What LangGraph calls the parameter of a tool that it hands the graph's state, context and config to."""

_SCORE_KEYS: Final = ("relevance_score", "score", "_score", "similarity_score")
_SCORES: Final = frozenset(_SCORE_KEYS)
_NO_MESSAGE: Final = object()
_NO_MESSAGES: Final = frozenset({str, dict, list, tuple, int, float, bool, type(None)})


# ---------------------------------------------------------------- models


def model_request(serialized: Any, kwargs: Mapping[str, Any]) -> ModelRequest:
    """Return what a model is asked for, from the arguments of its start callback."""
    try:
        return request_of(serialized, kwargs)
    except Exception:  # noqa: BLE001  # of values that raise when they are looked at
        return ModelRequest()


def offered_tools(kwargs: Mapping[str, Any]) -> Sequence[Mapping[str, object]]:
    """Return the tools that a model may call, from the arguments of its start callback."""
    try:
        return tools_of(kwargs)
    except Exception:  # noqa: BLE001  # of values that raise when they are looked at
        return ()


def input_messages(given: Any) -> Sequence[Message]:
    """Return what a model is given, messages or prompts; of several conversations, the first."""
    return messages(given[0] if _is_batch(given) else given)


def _is_batch(given: Any) -> bool:
    return isinstance(given, (list, tuple)) and bool(given) and isinstance(given[0], (list, tuple))


# ---------------------------------------------------------------- tools


def tool_request(serialized: Any, input_str: Any, kwargs: Mapping[str, Any]) -> ToolRequest:
    """Return which tool is called with what; `input_str` is a Python repr, hence the last resort."""
    described = mapping(serialized)
    call_id = kwargs.get("tool_call_id")
    if type(call_id) is not str:
        call_id = str.__str__(call_id) if issubclass(type(call_id), str) else None
    inputs = kwargs.get("inputs")
    return ToolRequest(
        name=label(text_in(described, ("name",)) or text_in(kwargs, ("name",)) or "tool"),
        description=text_in(described, ("description",)),
        call_id=call_id,
        arguments=input_str if inputs is None else inputs,
    )


def without_runtime(given: dict[str, Any]) -> dict[str, Any]:
    """Return a tool's arguments without LangGraph's runtime, which LangChain leaves out only where it is annotated."""
    handed = getattr(sys.modules.get("langgraph.prebuilt.tool_node"), "ToolRuntime", ())
    if not isinstance(given.get(RUNTIME), handed):
        return given
    return {name: value for name, value in given.items() if name != RUNTIME}


def tool_output(output: Any) -> tuple[object, str | None]:
    """Return what a tool returned, and what it says where it failed without raising."""
    if type(output) in _NO_MESSAGES:
        return output, None
    content = _answered(output)
    if content is _NO_MESSAGE:
        return output, _told_by_last(output)
    return content, _told_of_failure(output, content)


def _answered(output: Any) -> Any:
    return attempt(lambda: output.content if output.tool_call_id is not None else _NO_MESSAGE, _NO_MESSAGE)


def _told_of_failure(message: Any, content: object) -> str | None:
    if getattr(message, "status", None) != "error":
        return None
    return content if isinstance(content, str) else _encode.to_json(content, limit_bytes=1_000)


def _told_by_last(command: Any) -> str | None:
    """Return what the answer says that a tool put last into a graph's state, where that is of a failure."""
    message = attempt(lambda: command.update["messages"][-1], None)
    content = _NO_MESSAGE if message is None else _answered(message)
    return None if content is _NO_MESSAGE else _told_of_failure(message, content)


# ---------------------------------------------------------------- retrievers


def documents(found: Any) -> Sequence[RetrievedDocument]:
    """Return what a retriever found."""
    if not isinstance(found, (list, tuple)):
        return ()
    made = []
    for item in found:
        try:
            made.append(_document(item))
        except Exception:  # noqa: BLE001, PERF203, S112  # of what is no document
            continue
    return made


def _document(item: Any) -> RetrievedDocument:
    metadata = mapping(getattr(item, "metadata", None))
    document_id = getattr(item, "id", None) or metadata.get("id")
    if document_id is not None and type(document_id) is not str:
        document_id = attempt(lambda: str(document_id), None)
    return RetrievedDocument(
        content=str(item.page_content),
        id=document_id,
        score=None if _SCORES.isdisjoint(metadata) else _score(metadata),
        metadata=metadata,
    )


def _score(metadata: Mapping[str, Any]) -> float | None:
    scores = (metadata.get(key) for key in _SCORE_KEYS)
    return next((float(value) for value in scores if _is_number(value)), None)


def _is_number(value: Any) -> TypeGuard[Real]:
    return isinstance(value, Real) and not isinstance(value, bool)  # which NumPy's are, as of most vector stores


def _document_fields(item: Any) -> object:
    fields = {"id": getattr(item, "id", None), "content": item.page_content, "metadata": item.metadata}
    return {key: value for key, value in fields.items() if value is not None}


# ---------------------------------------------------------------- anything else


def plain(value: object) -> object:
    """Return anything of LangChain's as JSON-able data, messages in the conventions' shape."""
    return _encode.plain(value)


def _prompt_fields(value: Any) -> object:
    return {"messages": value.messages} if hasattr(value, "messages") else value.text


def _generation_fields(value: Any) -> object:
    said = getattr(value, "message", None)
    return {"text": value.text} if said is None else {"message": said}


def _command_fields(value: Any) -> object:
    fields = {name: getattr(value, name, None) for name in ("update", "goto", "resume", "graph")}
    return {name: held for name, held in fields.items() if held not in (None, ())}


def _send_fields(value: Any) -> object:
    return {"node": value.node, "arg": value.arg}


_encode.register("langchain_core.messages.base.BaseMessage", message_or_fields)
_encode.register("langchain_core.documents.base.Document", _document_fields)
_encode.register("langchain_core.prompt_values.PromptValue", _prompt_fields)
_encode.register("langchain_core.outputs.generation.Generation", _generation_fields)
_encode.register("langgraph.types.Command", _command_fields)
_encode.register("langgraph.types.Send", _send_fields)
