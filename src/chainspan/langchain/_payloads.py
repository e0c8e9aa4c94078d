"""What LangChain's callbacks are given, as chainspan's own types; total on whatever comes.

Nothing here imports LangChain: its objects are known by what they hold, as any of them may
come from a version, or an integration, that nobody has seen yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from numbers import Real
from typing import Any, Final, NamedTuple, TypeGuard
from uuid import UUID

from .. import _encode
from .. import _semconv as names
from .._encode import attempt, label
from .._model import Message, ModelRequest, ModelResponse, RetrievedDocument, ToolRequest
from ._kinds import AGENT_NAMES
from ._messages import message, message_or_fields, messages
from ._providers import finish_reason, once, reasons_in
from ._read import mapping, text_in
from ._requests import request_of, tools_of
from ._usage import usage_of

__all__ = [
    "NOBODY",
    "Identity",
    "documents",
    "identity",
    "input_messages",
    "model_request",
    "model_response",
    "offered_tools",
    "partial_response",
    "plain",
    "tool_output",
    "tool_request",
]

_CONVERSATION: Final = ("thread_id", "session_id", "conversation_id")
_RETRY: Final = "retry:attempt:"
_SCORE_KEYS: Final = ("relevance_score", "score", "_score", "similarity_score")
_SCORES: Final = frozenset(_SCORE_KEYS)
_REASONS: Final = ("finish_reason", "stop_reason", "stopReason", "done_reason")
_WITHOUT_CALLS: Final = frozenset({"completed", "STOP"})  # of OpenAI's Responses API, of Google
_MODELS: Final = ("model_name", "model", "model_id")
_IDS: Final = ("id", "response_id")
_OPENAI: Final = (
    ("service_tier", names.OPENAI_RESPONSE_SERVICE_TIER),
    ("system_fingerprint", names.OPENAI_RESPONSE_SYSTEM_FINGERPRINT),
)


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


def model_response(result: object) -> ModelResponse:
    """Return what a model answered, from an LLMResult that may hold anything."""
    try:
        return _response(result)
    except Exception:  # noqa: BLE001  # of values that raise when they are looked at
        return ModelResponse()


def partial_response(result: object) -> ModelResponse:
    """Return what a model that raised had answered until then; LangChain hands over an empty message for nothing."""
    response = model_response(result)
    said = response.messages
    response.messages = lambda: [message for message in said() if message.parts]
    return response


def _response(result: Any) -> ModelResponse:
    choices = _choices(result)
    choice = choices[0] if choices else None
    said = getattr(choice, "message", None)
    info, metadata = (
        mapping(getattr(choice, "generation_info", None)),
        mapping(getattr(said, "response_metadata", None)),
    )
    counts, llm_output = mapping(getattr(said, "usage_metadata", None)), mapping(getattr(result, "llm_output", None))
    facts = {**info, **metadata} if info and metadata else metadata or info
    raw = _reasons(choices, facts)
    reasons = [finish_reason(reason) for reason in raw]
    if not _WITHOUT_CALLS.isdisjoint(raw) and len(raw) == len(choices):
        _tell_calls(reasons, raw, choices)
    model = text_in(facts, _MODELS) or text_in(llm_output, _MODELS)
    return ModelResponse(
        model=model and once(model),
        response_id=text_in(facts, _IDS) or text_in(llm_output, _IDS),
        finish_reasons=reasons,
        usage=usage_of(counts, metadata, info, llm_output),
        cache_hit=_is_free(counts),
        extra=_extra(facts, llm_output, raw, reasons),
        messages=partial(_answers, choices),
        tool_call_ids=_tool_call_ids(said),
    )


def _extra(
    facts: Mapping[str, Any], llm_output: Mapping[str, Any], raw: Sequence[str], reasons: Sequence[str]
) -> dict[str, str]:
    extra: dict[str, str] = {}
    held = facts if "model_provider" in facts else llm_output  # where there are several choices, it is not said of each
    if held.get("model_provider") == "openai":
        for key, name in _OPENAI:
            if isinstance(said := held.get(key), str):
                extra[name] = once(str(said))
        if (api := _api_of(facts, held)) is not None:
            extra[names.OPENAI_API_TYPE] = api
    if isinstance(provider := facts.get("chainspan_provider"), str):
        extra[names.GEN_AI_PROVIDER_NAME] = provider  # of a decorated function, which does not know it before
    if raw != reasons:
        extra[names.CHAINSPAN_FINISH_REASONS_RAW] = ",".join(raw)
    return extra


def _api_of(facts: Mapping[str, Any], held: Mapping[str, Any]) -> str | None:
    """Return which of OpenAI's APIs answered; None where an answer was cut off before it showed."""
    response_id = text_in(held, ("id",)) or ""
    if facts.get("object") == "response" or response_id.startswith("resp_"):
        return "responses"
    return "chat_completions" if "finish_reason" in facts or response_id.startswith("chatcmpl") else None


def _choices(result: Any) -> Sequence[Any]:
    generations = getattr(result, "generations", None)
    if not generations or not isinstance(generations, (list, tuple)):
        return ()
    first = generations[0]
    return first if isinstance(first, (list, tuple)) else generations


def _reasons(choices: Sequence[Any], first: Mapping[str, Any]) -> Sequence[str]:
    """Return why the model stopped, of each choice that says so, in the provider's words."""
    said = _reason(first)
    reasons = [] if said is None else list(reasons_in(said))
    if len(choices) > 1:
        others = [_reason(_facts(choice)) for choice in choices[1:]]
        reasons += [said for said in others if said is not None]
    return reasons


def _tell_calls(reasons: list[str], raw: Sequence[str], choices: Sequence[Any]) -> None:
    """Tell calls of tools from other ends where a provider has one word for both."""
    for index, choice in enumerate(choices):
        if raw[index] in _WITHOUT_CALLS and getattr(getattr(choice, "message", None), "tool_calls", None):
            reasons[index] = "tool_call"


def _facts(choice: Any) -> Mapping[str, Any]:
    metadata = mapping(getattr(getattr(choice, "message", None), "response_metadata", None))
    return {**mapping(getattr(choice, "generation_info", None)), **metadata}


def _reason(facts: Mapping[str, Any]) -> str | None:
    said = text_in(facts, _REASONS)
    if said is not None:
        return said
    details = mapping(facts.get("incomplete_details"))
    said = text_in(details, ("reason",)) or text_in(facts, ("status",))
    return said or text_in(mapping(facts.get("prompt_feedback")), ("block_reason",))


def _is_free(counts: Mapping[str, Any]) -> bool:
    # The mark of LangChain's own cache (`_convert_cached_generations`, chat_models.py).
    cost = counts.get("total_cost")
    return type(cost) in (int, float) and cost == 0


def _answers(choices: Sequence[Any]) -> Sequence[Message]:
    return [made for choice in choices if (made := _answer(choice)) is not None]


def _answer(choice: Any) -> Message | None:
    said = getattr(choice, "message", None)
    if said is not None:
        return message(said)
    text = getattr(choice, "text", None)
    return Message("assistant", [{"type": "text", "content": text}] if isinstance(text, str) else [])


def _tool_call_ids(said: Any) -> Sequence[str]:
    calls = getattr(said, "tool_calls", None)
    if not isinstance(calls, list) or not calls:
        return ()
    return [call_id for call in calls if isinstance(call_id := mapping(call).get("id"), str)]


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


# ---------------------------------------------------------------- who, in which conversation


class Identity(NamedTuple):
    """Who runs and in which conversation, as metadata and tags say.

    Attributes:
        attempt: Which try this is, from 2; of ``with_retry``.
    """

    conversation_id: str | None = None
    user_id: str | None = None
    agent_name: str | None = None
    attempt: int | None = None


_NO_MESSAGE: Final = object()
_NO_MESSAGES: Final = frozenset({str, dict, list, tuple, int, float, bool, type(None)})
NOBODY: Final = Identity()
_IDENTITY_KEYS: Final = frozenset({*_CONVERSATION, "user_id", *AGENT_NAMES})


def identity(metadata: Any, tags: Any) -> Identity:
    """Return who a run belongs to, from its metadata and tags."""
    known = mapping(metadata)
    attempt_number = _attempt(tags) if tags else None
    if not known or _IDENTITY_KEYS.isdisjoint(known):
        return NOBODY if attempt_number is None else Identity(attempt=attempt_number)
    agent = _id_in(known, AGENT_NAMES)
    return Identity(
        _id_in(known, _CONVERSATION),
        _id_in(known, ("user_id",)),
        agent and label(agent),
        attempt_number,
    )


def _id_in(source: Mapping[str, Any], keys: Sequence[str]) -> str | None:
    for key in keys:
        value = source.get(key)
        if value is None:
            continue
        if type(value) is str and value:
            return value
        if issubclass(type(value), (int, UUID)):
            return attempt(lambda: str(value), None)  # noqa: B023  # called at once
    return None


def _attempt(tags: Any) -> int | None:
    for tag in tags if isinstance(tags, (list, tuple)) else ():
        if type(tag) is str and _RETRY in tag and tag.startswith(_RETRY):
            number = tag[len(_RETRY) :]
            return int(number) if number.isascii() and number.isdigit() else None
    return None


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


_encode.register("langchain_core.messages.base.BaseMessage", message_or_fields)
_encode.register("langchain_core.documents.base.Document", _document_fields)
_encode.register("langchain_core.prompt_values.PromptValue", _prompt_fields)
_encode.register("langchain_core.outputs.generation.Generation", _generation_fields)
_encode.register("langgraph.types.Command", _command_fields)
