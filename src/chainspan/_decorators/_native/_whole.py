"""Whole answers of the providers' clients."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from chainspan._encode import attempt
from chainspan.langchain._answers import Answer, Choice, Turn
from chainspan.langchain._finish_reasons import UNDONE

from ._blocks import add_block, add_blocks
from ._fields import at, has, items, plain_mapping, text
from ._messages import add_calls, add_message

__all__ = [
    "EXTRA",
    "answer_of_text",
    "model_of",
    "provider_of",
    "provider_of_module",
    "read_answer",
    "tokens_of_cohere",
    "usage_counts",
]

# The package that a response's class comes from → the provider, where no more is said.
_PACKAGES: Final[Mapping[str, str]] = {
    "anthropic": "anthropic",
    "azure.ai.inference": "azure.ai.inference",
    "botocore": "aws.bedrock",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "fireworks": "fireworks",
    "google.genai": "gcp.gemini",
    "groq": "groq",
    "huggingface_hub": "huggingface",
    "ibm_watsonx_ai": "ibm.watsonx.ai",
    "mistralai": "mistral_ai",
    "ollama": "ollama",
    "openai": "openai",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "together": "together",
    "xai_sdk": "x_ai",
}
# LiteLLM's names for some providers → the conventions' or LangChain's.
_OF_LITELLM: Final[Mapping[str, str]] = {
    "anthropic_text": "anthropic",
    "azure": "azure.ai.openai",
    "azure_text": "azure.ai.openai",
    "bedrock_mantle": "aws.bedrock",
    "codestral": "mistral_ai",
    "cohere_chat": "cohere",
    "fireworks_ai": "fireworks",
    "gemini": "gcp.gemini",
    "nvidia_nim": "nvidia",
    "ollama_chat": "ollama",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "vertex_ai": "gcp.vertex_ai",
    "vertex_ai_beta": "gcp.vertex_ai",
    "watsonx_text": "ibm.watsonx.ai",
}
EXTRA: Final = ("service_tier", "system_fingerprint")
# What LiteLLM has counted into the total already, under Anthropic's names for what is not.
_COUNTED: Final = ("cache_read_input_tokens", "cache_creation_input_tokens")
_CONVERSATION: Final = "conversation.response"  # of Mistral
_OF_OLLAMA: Final = ("prompt_eval_count", "eval_count")  # its tokens, in and out


def read_answer(response: Any) -> Answer | None:
    """Return what a response of a provider's client says, or None where it is none.

    A response without a single answer, such as one that a filter has blocked, is still read.
    """
    for tell, read in _SHAPES:
        if has(response, tell):
            return read(response)
    return None


def answer_of_text(said: str) -> Answer:
    """Return a plain text as an answer of which nothing else is known."""
    turn = Turn(role="assistant")
    add_blocks(turn, said)
    return Answer(choices=[Choice(turn=turn)])


def provider_of(response: Any) -> str | None:
    """Return the provider whose client made a response, as far as the response tells."""
    hidden = at(response, "_hidden_params")
    if isinstance(hidden, Mapping):  # LiteLLM
        said = text(hidden, "custom_llm_provider")
        return said and _OF_LITELLM.get(said, said)
    return provider_of_module(type(response).__module__)


def provider_of_module(module: str) -> str | None:
    """Return the provider whose client a module belongs to."""
    return next((name for package, name in _PACKAGES.items() if module.startswith(f"{package}.")), None)


def model_of(response: Any) -> str | None:
    """Return the model that answered; Google puts a folder before its name."""
    model = text(response, "model", "model_version")
    return None if model is None else model.removeprefix("models/")


def usage_counts(response: Any) -> dict[str, Any]:
    """Return a response's token counts, under the provider's own names."""
    held = at(response, "usage") or at(response, "usage_metadata")
    counts = plain_mapping(held)
    if type(held).__module__.startswith("litellm"):
        return {name: count for name, count in counts.items() if name not in _COUNTED}
    return counts


def _answer(response: Any, choices: Sequence[Choice]) -> Answer:
    return Answer(
        choices=choices or [_unsaid(response)],
        provider=provider_of(response),
        model=model_of(response),
        response_id=text(response, "id", "response_id"),
        usage=usage_counts(response),
        extra={name: said for name in EXTRA if (said := text(response, name)) is not None},
    )


def _unsaid(response: Any) -> Choice:
    """Return the answer of a model that was not let answer; Google says why."""
    return Choice(turn=Turn(role="assistant"), finish_reason=_reason(at(response, "prompt_feedback", "block_reason")))


def _of_choices(response: Any) -> Answer:
    """Read OpenAI's Chat Completions, and what is made in their form: Mistral's, LiteLLM's."""
    return _answer(response, [_choice(choice) for choice in items(response, "choices")])


def _choice(choice: Any) -> Choice:
    turn = add_message(Turn(role="assistant"), at(choice, "message"))
    if not turn.blocks:
        add_blocks(turn, at(choice, "text"))  # of the older Completions
    return Choice(turn=turn, finish_reason=_reason(at(choice, "finish_reason")))


def _of_output(response: Any) -> Answer | None:
    """Read OpenAI's Responses API, and Bedrock's Converse, which share one name."""
    if has(response, "stopReason"):
        return _of_converse(response)
    output = at(response, "output")
    if not isinstance(output, (list, tuple)):
        return None
    turn = Turn(role="assistant")
    for item in output:
        add_block(turn, item)
    reason = text(at(response, "incomplete_details"), "reason") or text(response, "status")
    answer = _answer(response, [Choice(turn=turn, finish_reason=None if reason in UNDONE else reason)])
    answer.extra = {**answer.extra, "object": "response"}
    return answer


def _of_converse(response: Any) -> Answer:
    turn = add_blocks(Turn(role="assistant"), at(response, "output", "message", "content"))
    answer = _answer(response, [Choice(turn=turn, finish_reason=text(response, "stopReason"))])
    answer.provider = "aws.bedrock"
    answer.response_id = text(at(response, "ResponseMetadata"), "RequestId")
    return answer


def _of_candidates(response: Any) -> Answer:
    """Read Google's GenerateContentResponse."""
    choices = [
        Choice(
            turn=add_blocks(Turn(role="assistant"), at(candidate, "content", "parts")),
            finish_reason=_reason(at(candidate, "finish_reason")),
            index=at(candidate, "index"),
        )
        for candidate in items(response, "candidates")
    ]
    return _answer(response, choices)


def _of_content(response: Any) -> Answer:
    """Read Anthropic's Message."""
    turn = add_blocks(Turn(role="assistant"), at(response, "content"))
    answer = _answer(response, [Choice(turn=turn, finish_reason=text(response, "stop_reason"))])
    answer.provider = answer.provider or "anthropic"
    return answer


def _of_outputs(response: Any) -> Answer | None:
    """Read a conversation with one of Mistral's agents: what it said, called and ran."""
    if text(response, "object") != _CONVERSATION:
        return None
    turn, outputs = Turn(role="assistant"), items(response, "outputs")
    for item in outputs:
        add_block(turn, item)
    answer = _answer(response, [Choice(turn=turn)])
    said = [item for item in outputs if at(item, "type") == "message.output"]
    answer.model = next((model for item in (*said, *outputs) if (model := model_of(item)) is not None), None)
    answer.response_id = next((text(item, "id") for item in said), None)
    return answer


def _of_message(response: Any) -> Answer | None:
    """Read Cohere's answers, which are one message."""
    is_first = text(response, "generation_id") is not None
    if at(response, "message") is None and not is_first:
        return None
    said = {"content": at(response, "text"), "tool_calls": at(response, "tool_calls")}  # of the first version's API
    turn = add_message(Turn(role="assistant"), said if is_first else at(response, "message"))
    answer = _answer(response, [Choice(turn=turn, finish_reason=_reason(at(response, "finish_reason")))])
    answer.usage = tokens_of_cohere(at(response, "meta" if is_first else "usage"))
    return answer


def tokens_of_cohere(usage: Any) -> dict[str, Any]:
    """Return what Cohere counted; what it bills is less."""
    cached = at(usage, "cached_tokens")
    counts = plain_mapping(at(usage, "tokens") or at(usage, "billed_units"))
    return counts if cached is None else {**counts, "cached_tokens": cached}


def _of_ollama(response: Any) -> Answer | None:
    """Read Ollama's answers, and the pieces of its streams, which are the same."""
    if not has(response, "message") and not has(response, "response"):
        return None
    turn = add_message(Turn(role="assistant"), at(response, "message"))
    if has(response, "response"):  # of what completes a text
        add_message(turn, {"thinking": at(response, "thinking"), "content": at(response, "response")})
    answer = _answer(response, [Choice(turn=turn, finish_reason=text(response, "done_reason"))])
    answer.usage = {name: count for name in _OF_OLLAMA if (count := at(response, name)) is not None}
    return answer


def _of_raw(response: Any) -> Answer | None:
    """Read what OpenAI's and Anthropic's clients hand out raw: the body, where that has come; a stream's has not."""
    body = attempt(response.http_response.json, None)
    answer = read_answer(body) if isinstance(body, Mapping) else None
    if answer is not None:
        answer.provider = provider_of(response)
    return answer


def _of_langchain(response: Any) -> Answer | None:
    """Read a message of LangChain's, which a decorated function may well return."""
    module = sys.modules.get("langchain_core.messages")
    if module is None or not isinstance(response, module.AIMessage):
        return None
    turn = add_blocks(Turn(role="assistant"), response.content)
    add_calls(turn, [*response.tool_calls, *response.invalid_tool_calls])
    said = response.response_metadata
    return Answer(
        choices=[Choice(turn=turn, finish_reason=text(said, "finish_reason", "stop_reason"))],
        model=text(said, "model_name", "model"),
        response_id=response.id,
        usage=dict(response.usage_metadata or {}),
    )


def _reason(given: Any) -> str | None:
    """Return why a model stopped; Google says it with an enum."""
    name = getattr(given, "name", given)
    return name if isinstance(name, str) and name else None


_SHAPES: Final[Sequence[tuple[str, Callable[[Any], Answer | None]]]] = (
    ("choices", _of_choices),
    ("candidates", _of_candidates),
    ("output", _of_output),
    ("stop_reason", _of_content),
    ("response_metadata", _of_langchain),
    ("done_reason", _of_ollama),
    ("finish_reason", _of_message),
    ("http_response", _of_raw),
    ("outputs", _of_outputs),
)
