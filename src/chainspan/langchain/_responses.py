"""What a model answered, from LangChain's results of every provider; total on whatever comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from .. import _semconv as names
from .._model import Message, ModelResponse
from ._finish_reasons import finish_reasons
from ._joined import once
from ._messages import message
from ._parts import beside
from ._read import ADDRESSES, mapping, text_in
from ._usage import usage_of

__all__ = ["Silent", "holds_more", "model_response", "partial_response", "starts_whole"]

_MODELS: Final = ("model_name", "model", "model_id")
_IDS: Final = ("id", "response_id")
_EMPTY_AT_FIRST: Final = frozenset({"text", "reasoning"})
_OPENAI: Final = (
    ("service_tier", names.OPENAI_RESPONSE_SERVICE_TIER),
    ("system_fingerprint", names.OPENAI_RESPONSE_SYSTEM_FINGERPRINT),
)


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


class Silent(str):
    """The empty text of the first piece of an answer that holds something else; for others it is an empty text.

    They are told of such pieces at the end, in the whole answer: LangGraph hands on what it is told of before that
    as a message of its own.
    """

    __slots__ = ()


def holds_more(token: object, chunk: Any) -> bool:
    """Return whether a piece of a streamed answer holds something else than text, such as a part of a call."""
    if type(token) is Silent:
        return True
    said = getattr(chunk, "message", None)
    return said is not None and bool(getattr(said, "tool_call_chunks", None) or beside(said.__dict__))


def starts_whole(event: Mapping[str, Any]) -> bool:
    """Return whether the event that starts a block brings content: a call, or what comes in one piece, as an image."""
    return mapping(event.get("content")).get("type") not in _EMPTY_AT_FIRST


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
    raw, reasons = finish_reasons(choices, facts)
    calls = getattr(said, "tool_calls", None)
    model = text_in(facts, _MODELS) or text_in(llm_output, _MODELS)
    return ModelResponse(
        model=None if model is None or model.startswith(ADDRESSES) else once(model),
        response_id=text_in(facts, _IDS) or text_in(llm_output, _IDS),
        finish_reasons=reasons,
        usage=usage_of(counts, metadata, info, llm_output),
        cache_hit="total_cost" in counts and _is_free(counts["total_cost"]),
        extra=_extra(facts, llm_output, raw, reasons),
        messages=partial(_answers, choices),
        tool_call_ids=_ids_of(calls) if calls else (),
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


def _is_free(cost: object) -> bool:
    # The mark of LangChain's own cache (`_convert_cached_generations`, chat_models.py).
    return type(cost) in (int, float) and cost == 0


def _answers(choices: Sequence[Any]) -> Sequence[Message]:
    return [made for choice in choices if (made := _answer(choice)) is not None]


def _answer(choice: Any) -> Message | None:
    said = getattr(choice, "message", None)
    if said is not None:
        return message(said)
    text = getattr(choice, "text", None)
    return Message("assistant", [{"type": "text", "content": text}] if isinstance(text, str) else [])


def _ids_of(calls: Any) -> Sequence[str]:
    if not isinstance(calls, list):
        return ()
    return [call_id for call in calls if isinstance(call_id := mapping(call).get("id"), str)]
