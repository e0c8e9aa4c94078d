"""Answers, turns and documents as LangChain's own objects, for every handler that wants those."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from .._encode import attempt, parsed, to_json
from ._answers import Answer, Choice, Turn
from ._providers import provider_name
from ._usage import usage_of

if TYPE_CHECKING:
    from langchain_core.documents import Document
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
    from langchain_core.outputs import ChatGeneration, LLMResult
else:
    try:
        from langchain_core.documents import Document
        from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
        from langchain_core.outputs import ChatGeneration, LLMResult
    except ImportError:
        from ._standins import AIMessage, ChatGeneration, Document, LLMResult, Message

        HumanMessage = partial(Message, type="human")
        SystemMessage = partial(Message, type="system")
        ToolMessage = partial(Message, type="tool")

__all__ = ["documents_of", "llm_result", "to_message"]

_TOTALS: Final = ("input_tokens", "output_tokens")
_INPUT_DETAILS: Final = {"cache_read": "cache_read", "cache_write": "cache_creation", "audio_input": "audio"}
_OUTPUT_DETAILS: Final = {"reasoning": "reasoning", "audio_output": "audio"}
_TEXT_KEYS: Final = ("page_content", "content", "text")
_WHOLE: Final = (str, bytes, bytearray, memoryview, Mapping)  # types of one document, and not of several


def llm_result(answer: Answer, *, says_provider: bool) -> Any:
    """Return an answer as the result of a model's run.

    Args:
        answer: Of whichever provider.
        says_provider: Whether the answer is the only one to know the provider.
    """
    metadata: dict[str, Any] = {**answer.extra}
    if answer.model is not None:
        metadata["model_name"] = answer.model
    if answer.response_id is not None:
        metadata["id"] = answer.response_id
    if says_provider and answer.provider is not None:
        metadata["chainspan_provider"] = provider_name({"ls_provider": answer.provider}, ())
    if answer.provider == "openai":
        metadata["model_provider"] = "openai"
    usage = _usage_metadata(answer.usage)
    if usage is None and answer.usage:
        metadata["token_usage"] = dict(answer.usage)
    generations = [
        _generation(choice, metadata, usage if index == 0 else None) for index, choice in enumerate(answer.choices)
    ]
    return LLMResult(generations=[generations])


def _generation(choice: Choice, metadata: Mapping[str, Any], usage: Any) -> Any:
    own = {**metadata}
    if choice.finish_reason is not None:
        own["finish_reason"] = choice.finish_reason
    if not isinstance(choice.turn.content, str):
        own["output_version"] = "v1"  # the blocks are LangChain's, not a provider's
    message = _ai(choice.turn, response_metadata=own, usage_metadata=usage)
    text = choice.turn.content
    return ChatGeneration(message=message, text=text if isinstance(text, str) else "")


def _ai(turn: Turn, **fields: Any) -> Any:
    calls: dict[str, list[dict[str, Any]]] = {"tool_calls": [], "invalid_tool_calls": []}
    for call in turn.calls:
        arguments = _arguments(call.arguments)
        if isinstance(arguments, dict):
            made = {"name": call.name, "args": arguments, "id": call.id, "type": "tool_call"}
            calls["tool_calls"].append(made)
        else:
            made = {"name": call.name, "args": str(arguments), "id": call.id, "error": None}
            calls["invalid_tool_calls"].append({**made, "type": "invalid_tool_call"})
    return AIMessage(content=turn.content, **calls, **fields)


def _arguments(given: object) -> object:
    if isinstance(given, Mapping):
        return dict(given)
    if isinstance(given, str):
        return parsed(given or "{}")
    return {} if given is None else given


def _usage_metadata(counts: Mapping[str, Any]) -> Any:
    """Return tokens in LangChain's form, or None where a total is not known."""
    usage = usage_of({}, {"token_usage": counts}) if counts else None
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    made: dict[str, Any] = {name: getattr(usage, name) for name in _TOTALS}
    made["total_tokens"] = usage.input_tokens + usage.output_tokens
    for key, names in (("input_token_details", _INPUT_DETAILS), ("output_token_details", _OUTPUT_DETAILS)):
        details = {theirs: count for ours, theirs in names.items() if (count := getattr(usage, ours)) is not None}
        if details:
            made[key] = details
    return made


def to_message(turn: Turn) -> Any:
    """Return a turn as LangChain's message of its role."""
    if turn.role == "assistant":
        return _ai(turn)
    if turn.role == "tool":
        return ToolMessage(content=turn.content, tool_call_id=turn.call_id or "")
    return (SystemMessage if turn.role == "system" else HumanMessage)(content=turn.content)


def documents_of(found: Any) -> Any:
    """Return what a retriever found as documents, where it can be told what their text is."""
    if isinstance(found, _WHOLE) or not isinstance(found, Sequence):
        found = [] if found is None else [found]
    return [_told(item) for item in found]


def _told(item: Any) -> Any:
    told = attempt(partial(_document, item), None)
    return _text_of(item) if told is None else told


def _document(item: Any) -> Any:
    if hasattr(item, "page_content"):
        return item
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], float):  # with its score
        found = _document(item[0])
        return Document(page_content=found.page_content, metadata={**found.metadata, "score": item[1]})
    if isinstance(item, Mapping):
        key = next((key for key in _TEXT_KEYS if isinstance(item.get(key), str)), None)
        if key is not None:
            inner = item.get("metadata")
            rest = {name: value for name, value in item.items() if name not in (key, "metadata")}
            return Document(page_content=item[key], metadata={**rest, **(inner if isinstance(inner, Mapping) else {})})
    return _text_of(item)


def _text_of(item: Any) -> Any:
    return Document(page_content=item if isinstance(item, str) else to_json(item), metadata={})
