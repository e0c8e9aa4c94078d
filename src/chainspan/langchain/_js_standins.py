"""What stands in for LangChain's objects, as LangChain.js writes the objects themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from chainspan._encode import plain

from ._standins import AIMessage, ChatGeneration, Document, LLMResult, Message

__all__ = ["js_form"]

_DEEPEST: Final = 3  # a message in a model's input: {"messages": [[...]]}
_CLASSES: Final = {"ai": "AIMessage", "human": "HumanMessage", "system": "SystemMessage", "tool": "ToolMessage"}
_FIELDS: Final = ("content", "tool_call_id", "tool_calls", "invalid_tool_calls", "usage_metadata")


def js_form(value: object) -> object:
    """Return a value as plain data, what stands in for LangChain's objects in the shape of these."""
    return plain(_shown(value, _DEEPEST))


def _shown(value: Any, depth: int) -> object:
    if type(value) is dict and depth:
        return {key: _shown(item, depth - 1) for key, item in value.items()}
    if type(value) is list and depth:
        return [_shown(item, depth - 1) for item in value]
    form = _FORMS.get(type(value))
    return value if form is None else form(value)


def _message(message: Message) -> object:
    given = vars(message)
    kwargs = {name: given[name] for name in _FIELDS if given.get(name) is not None}
    if metadata := given.get("response_metadata"):
        kwargs["response_metadata"] = metadata
    kwargs = {**kwargs, "additional_kwargs": {}, "response_metadata": metadata or {}}
    name = _CLASSES[given["type"]]
    return {"lc": 1, "type": "constructor", "id": ["langchain_core", "messages", name], "kwargs": kwargs}


def _generation(generation: Any) -> object:
    return {"text": generation.text, "message": _message(generation.message)}


def _result(result: LLMResult) -> object:
    return {"generations": [[_generation(one) for one in several] for several in result.generations]}


def _document(document: Any) -> object:
    return {"pageContent": document.page_content, "metadata": document.metadata}


_FORMS: Final[Mapping[type, Callable[[Any], object]]] = {
    AIMessage: _message,
    ChatGeneration: _generation,
    Document: _document,
    LLMResult: _result,
    Message: _message,
}
