"""What a model answered, from LangChain's results of every provider; total on whatever comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from .. import _semconv as names
from .._model import Message, ModelResponse
from ._messages import message
from ._providers import finish_reason, once, reasons_in
from ._read import mapping, text_in
from ._usage import usage_of

__all__ = ["model_response", "partial_response"]

_REASONS: Final = ("finish_reason", "stop_reason", "stopReason", "done_reason")
_WITHOUT_CALLS: Final = frozenset({"completed", "STOP"})  # of OpenAI's Responses API, of Google
_MODELS: Final = ("model_name", "model", "model_id")
_IDS: Final = ("id", "response_id")
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
