"""What is read from the payloads of LangChain's callbacks, of each provider and of none."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from decimal import Decimal
from fractions import Fraction
from itertools import chain, count
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import external_file
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage, messages_from_dict
from langchain_core.outputs import ChatGeneration, Generation, LLMResult
from langchain_core.prompt_values import ChatPromptValue, StringPromptValue
from langgraph.types import Command, Send
from pydantic import BaseModel
from tests import strategies

from chainspan._model import Message, ModelRequest, ModelResponse, RetrievedDocument, ToolRequest, Usage
from chainspan.langchain import _identity, _payloads, _responses
from chainspan.langchain._finish_reasons import finish_reasons
from chainspan.langchain._providers import provider_name

TESTS = Path(__file__).parents[1]
RECORDED = sorted(path.stem for path in (TESTS / "fixtures" / "payloads").glob("*.json"))

# As the providers bill them: a call that read 1,024 of its 1,200 tokens from the provider's
# cache and thought for 64 of its 90; one that wrote 50 and read 100 beside 10 new ones.
OPENAI = Usage(input_tokens=1200, output_tokens=90, cache_read=1024, reasoning=64)
CACHED = Usage(input_tokens=160, output_tokens=20, cache_read=100, cache_write=50)
BILLED = {
    "anthropic": CACHED,
    "azure": OPENAI,
    "bedrock": CACHED,
    "google": OPENAI,
    "mistral": Usage(input_tokens=12, output_tokens=5),
    "ollama": Usage(input_tokens=26, output_tokens=8),
    "openai": OPENAI,
    "openai-responses": OPENAI,
}


def _recorded(case: str) -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((TESTS / "fixtures" / "payloads" / f"{case}.json").read_text("utf-8"))
    return recorded


def _response(case: str) -> ModelResponse:
    end = _recorded(case)["end"]
    choices: list[Any] = [
        ChatGeneration(
            message=messages_from_dict([choice["message"]])[0],
            generation_info=choice["generation_info"],
        )
        for choice in end["generations"]
    ]
    return _responses.model_response(LLMResult(generations=[choices], llm_output=end["llm_output"]))


def _answer(**fields: Any) -> LLMResult:
    return LLMResult(generations=[[ChatGeneration(message=AIMessage("hi", **fields))]])


def _fields(message: Message) -> dict[str, object]:
    return {"role": message.role, "parts": list(message.parts)}


# ---------------------------------------------------------------- providers


@pytest.mark.parametrize("case", RECORDED)
def test_a_providers_payload(case: str) -> None:
    """Request, response and messages of a recorded call are those of the golden file (pains #21, #58)."""
    start = _recorded(case)["start"]

    request = _payloads.model_request(start["serialized"], start["kwargs"])
    asked = _payloads.input_messages([messages_from_dict(start["messages"])])
    response = _response(case)

    offered = _payloads.offered_tools(start["kwargs"])

    said = {
        "request": {key: value for key, value in asdict(request).items() if key != "memo"} | {"tools": list(offered)},
        "asked": [_fields(message) for message in asked],
        "response": {key: value for key, value in asdict(response).items() if key != "messages"},
        "answered": [_fields(message) for message in response.messages()],
    }
    assert json.loads(json.dumps(said)) == external_file(TESTS / "golden" / "payloads" / f"{case}.json")


@pytest.mark.parametrize("case", RECORDED)
def test_tokens_are_counted_as_billed(case: str) -> None:
    """Totals are inclusive and details within them, streamed or not, whoever counted (pains #8, #9)."""
    usage = _response(case).usage

    assert usage is not None
    billed = BILLED[case.rpartition("-")[0]]
    assert {key: value or None for key, value in asdict(usage).items()} == asdict(billed)


def test_a_stream_counts_what_the_whole_answer_does() -> None:
    """Each provider was recorded both ways."""
    assert {case.rpartition("-") for case in RECORDED} == {
        (provider, "-", mode) for provider in BILLED for mode in ("invoke", "stream")
    }


@pytest.mark.parametrize(
    ("metadata", "path", "name"),
    [
        ({"ls_provider": "openai"}, ["ChatOpenAI"], "openai"),
        ({"ls_provider": "azure"}, ["AzureChatOpenAI"], "azure.ai.openai"),
        ({"ls_provider": "azure"}, ["AzureAIChatCompletionsModel"], "azure.ai.inference"),
        ({"ls_provider": "amazon_bedrock"}, ["ChatBedrockConverse"], "aws.bedrock"),
        ({"ls_provider": "google_vertexai"}, ["ChatVertexAI"], "gcp.vertex_ai"),
        ({"ls_provider": "xai"}, ["ChatXAI"], "x_ai"),
        ({"ls_provider": "fireworks"}, ["ChatFireworks"], "fireworks"),
        ({"ls_provider": "anthropic-bedrock"}, ["ChatAnthropicBedrock"], "aws.bedrock"),
        ({"ls_provider": "openai-mantle"}, ["ChatOpenAIMantle"], "aws.bedrock"),
        ({"ls_provider": "NVIDIA"}, ["ChatNVIDIA"], "nvidia"),
        ({"ls_provider": "huggingfaceendpoint"}, ["HuggingFaceEndpoint"], "huggingface"),
        ({}, ["HuggingFaceEndpointEmbeddings"], "huggingface"),
        ({}, ["AzureAIEmbeddingsModel"], "azure.ai.inference"),
        ({}, ["langchain", "ChatMistralAI"], "mistral_ai"),
        ({}, ["ChatWhatever"], "whatever"),
        ({"ls_provider": 5}, [], None),
    ],
)
def test_a_providers_name(metadata: dict[str, Any], path: list[str], name: str | None) -> None:
    """A provider has the conventions' name, by its own word, else by the model's class."""
    assert provider_name(metadata, path) == name


@pytest.mark.parametrize(
    ("path", "provider"),
    [
        (["langchain", "chat_models", "openai", "AzureAIOpenAIApiChatModel"], "azure.ai.inference"),
        (["langchain", "chat_models", "openai", "ChatOpenAI"], "openai"),
        ([], "openai"),
        ([["no name"]], "openai"),
        (None, "openai"),
    ],
)
def test_who_hosts_a_model_is_known_by_the_class(path: list[Any] | None, provider: str) -> None:
    """Azure's models that are made of OpenAI's say that they are OpenAI's."""
    request = _payloads.model_request({"id": path}, {"metadata": {"ls_provider": "openai"}})

    assert request.provider == provider


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://mine.openai.azure.com/openai/v1/", "azure.ai.openai"),
        ("https://api.deepseek.com", "deepseek"),
        ("https://API.Groq.com/openai/v1", "groq"),
        ("https://generativelanguage.googleapis.com/v1beta/openai/", "gcp.gemini"),
        ("https://us-central1-aiplatform.googleapis.com/v1", "gcp.vertex_ai"),
        ("https://bedrock-runtime.us-west-2.amazonaws.com/openai/v1", "aws.bedrock"),
        ("https://bedrock-mantle.us-west-2.api.aws/v1", "aws.bedrock"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://notgroq.com", "openai"),
        ("http://localhost:8000/v1", "openai"),
    ],
)
def test_who_answers_openais_client(url: str, provider: str) -> None:
    """Many speak OpenAI's protocol: whose host is known is named, and any other may be a proxy of OpenAI's."""
    made_with = {"kwargs": {"openai_api_base": url}}

    asked = _payloads.model_request(made_with, {"metadata": {"ls_provider": "openai"}})
    by_class = _payloads.model_request(made_with, {"metadata": {"ls_provider": "fireworks"}})

    assert (asked.provider, by_class.provider) == (provider, "fireworks")


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://api.anthropic.com", "anthropic"),
        ("https://bedrock-runtime-fips.us-east-1.amazonaws.com", "aws.bedrock"),
        ("https://vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com", "aws.bedrock"),
        ("https://us-east5-aiplatform.googleapis.com/v1/", "gcp.vertex_ai"),
        ("https://aiplatform.us.rep.googleapis.com/v1", "gcp.vertex_ai"),
        ("https://mine.services.ai.azure.com/anthropic/", "azure.ai.inference"),
        ("https://api.moonshot.ai/anthropic", "moonshot_ai"),
        ("http://localhost:8000", "anthropic"),
    ],
)
def test_who_answers_anthropics_client(url: str, provider: str) -> None:
    """Anthropic's protocol is spoken by others too, and Anthropic's models are served elsewhere."""
    asked = _payloads.model_request({"kwargs": {"anthropic_api_url": url}}, {"metadata": {"ls_provider": "anthropic"}})

    assert asked.provider == provider


@pytest.mark.parametrize(
    ("made_with", "variable", "provider"),
    [
        ({}, None, "gcp.gemini"),
        ({"vertexai": True}, None, "gcp.vertex_ai"),
        ({"vertexai": False, "project": "p"}, "true", "gcp.gemini"),
        ({"project": "p"}, None, "gcp.vertex_ai"),
        ({"credentials": {"type": "not_implemented"}}, None, "gcp.vertex_ai"),
        ({"project": "p"}, "False", "gcp.gemini"),
        ({}, "1", "gcp.vertex_ai"),
        ({}, "perhaps", "gcp.gemini"),
    ],
)
def test_which_of_googles_services_answers(
    made_with: dict[str, Any], variable: str | None, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One integration serves both, and says of both that they are Gemini's."""
    monkeypatch.delenv("GOOGLE_GENAI_USE_VERTEXAI", raising=False)
    if variable is not None:
        monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", variable)

    request = _payloads.model_request({"kwargs": made_with}, {"metadata": {"ls_provider": "google_genai"}})

    assert request.provider == provider


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("end_turn", "stop"),
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("tool_use", "tool_call"),
        ("SAFETY", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("model_context_window_exceeded", "length"),
        ("MALFORMED_FUNCTION_CALL", "error"),
        ("UNEXPECTED_TOOL_CALL", "error"),
        ("TOO_MANY_TOOL_CALLS", "error"),
        ("MISSING_THOUGHT_SIGNATURE", "error"),
        ("TIMEOUT", "error"),
        ("pause_turn", "pause_turn"),
    ],
)
def test_why_a_model_stopped(raw: str, expected: str) -> None:
    """The reason is in the conventions' words; one that they have no word for stays."""
    assert finish_reasons([None], {"finish_reason": raw}) == ((raw,), (expected,))


# ---------------------------------------------------------------- usage


XAI: dict[str, dict[str, Any]] = {
    "raw": {
        "response_metadata": {
            "token_usage": {
                "prompt_tokens": 10,
                "completion_tokens": 20,
                "total_tokens": 38,
                "completion_tokens_details": {"reasoning_tokens": 8},
            }
        }
    },
    "langchain-openai": {
        "usage_metadata": {
            "input_tokens": 10,
            "output_tokens": 20,
            "total_tokens": 38,
            "output_token_details": {"reasoning": 8},
        }
    },
}


@pytest.mark.parametrize(
    ("result", "usage"),
    [
        pytest.param(_answer(), None, id="absent"),
        pytest.param(
            _answer(usage_metadata={"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}), None, id="not-counted"
        ),
        pytest.param(
            _answer(response_metadata={"token_usage": {"prompt_tokens": 3, "completion_tokens": 1}}),
            Usage(input_tokens=3, output_tokens=1),
            id="openai-raw",
        ),
        pytest.param(
            _answer(
                response_metadata={
                    "usage": {
                        "input_tokens": 10,
                        "output_tokens": 20,
                        "cache_read_input_tokens": 100,
                        "cache_creation_input_tokens": 50,
                    }
                }
            ),
            CACHED,
            id="anthropic-raw",
        ),
        pytest.param(
            _answer(
                response_metadata={
                    "usage_metadata": {
                        "prompt_token_count": 1200,
                        "candidates_token_count": 26,
                        "cached_content_token_count": 1024,
                        "thoughts_token_count": 64,
                    }
                }
            ),
            OPENAI,
            id="google-raw",
        ),
        pytest.param(
            LLMResult(
                generations=[[Generation(text="hi")]],
                llm_output={"token_usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}},
            ),
            Usage(input_tokens=3, output_tokens=1),
            id="text-model",
        ),
        pytest.param(
            LLMResult(
                generations=[[Generation(text="hi")]],
                llm_output={
                    "usage": {
                        "prompt_tokens": 10,
                        "completion_tokens": 20,
                        "cache_read_input_tokens": 100,
                        "cache_write_input_tokens": 50,
                    }
                },
            ),
            CACHED,
            id="text-model-of-bedrock",
        ),
        pytest.param(
            _answer(
                response_metadata={
                    "usage": {
                        "inputTokenCount": 10,
                        "outputTokenCount": 20,
                        "cacheReadInputTokenCount": 100,
                        "cacheWriteInputTokenCount": 50,
                    },
                }
            ),
            CACHED,
            id="metrics-of-bedrock",
        ),
        pytest.param(
            _answer(
                response_metadata={"token_count": {"total_tokens": 10.0, "input_tokens": 7.0, "output_tokens": 3.0}}
            ),
            Usage(input_tokens=7, output_tokens=3),
            id="stream-of-cohere",
        ),
        pytest.param(
            _answer(
                response_metadata={
                    "token_usage": {
                        "prompt_tokens": 160,
                        "completion_tokens": 20,
                        "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 50},
                    }
                }
            ),
            CACHED,
            id="openai-raw-written",
        ),
        pytest.param(
            _answer(
                usage_metadata={
                    "input_tokens": 10,
                    "output_tokens": 5,
                    "total_tokens": 15,
                    "input_token_details": {"cache_read": 90, "audio": 500},
                    "output_token_details": {"reasoning": 20},
                }
            ),
            Usage(input_tokens=100, output_tokens=25, cache_read=90, reasoning=20),
            id="counted-apart",
        ),
        pytest.param(
            _answer(
                usage_metadata={"input_tokens": 1200, "output_tokens": 90, "total_tokens": 1290},
                response_metadata={
                    "token_usage": {
                        "prompt_tokens": 1200,
                        "completion_tokens": 90,
                        "prompt_tokens_details": {"cached_tokens": 1024},
                        "completion_tokens_details": {"reasoning_tokens": 64},
                    }
                },
            ),
            OPENAI,
            id="details-of-mistral",
        ),
        pytest.param(
            _answer(
                usage_metadata={"input_tokens": 8, "output_tokens": 3, "total_tokens": 11},
                response_metadata={
                    "token_usage": {
                        "prompt_tokens": 1200,
                        "completion_tokens": 90,
                        "prompt_tokens_details": {"cached_tokens": 1024},
                    }
                },
            ),
            Usage(input_tokens=8, output_tokens=3),
            id="details-of-something-else",
        ),
        pytest.param(
            _answer(
                response_metadata={
                    "usage_metadata": {
                        "prompt_token_count": 100,
                        "tool_use_prompt_token_count": 50,
                        "candidates_token_count": 20,
                        "thoughts_token_count": 30,
                        "total_token_count": 200,
                    }
                }
            ),
            Usage(input_tokens=150, output_tokens=50, reasoning=30),
            id="what-google's-tools-found",
        ),
        *(
            pytest.param(_answer(**counts), Usage(input_tokens=10, output_tokens=28, reasoning=8), id=f"xai-{name}")
            for name, counts in XAI.items()
        ),
        pytest.param(
            _answer(
                response_metadata={"usage": {"prompt_tokens": 10, "completion_tokens": 20, "reasoning_tokens": 500}}
            ),
            Usage(input_tokens=10, output_tokens=520, reasoning=500),
            id="perplexity-raw",
        ),
        pytest.param(
            _answer(response_metadata={"usage": {"prompt_tokens": 10, "completion_tokens": 2, "cached_tokens": 7}}),
            Usage(input_tokens=10, output_tokens=2, cache_read=7),
            id="moonshot-raw",
        ),
    ],
)
def test_tokens_are_found(result: LLMResult, usage: Usage | None) -> None:
    """Usage is read from wherever it stands; where nobody counted there is none, and not 0."""
    read = _responses.model_response(result).usage

    assert read == usage


_counts = st.none() | st.integers(-5, 10**19) | st.floats() | strategies.texts
_details = st.dictionaries(st.sampled_from(["cache_read", "cache_creation", "audio", "reasoning"]), _counts)


@pytest.mark.parametrize("tier", ["flex", "priority"])
def test_details_of_a_service_tier_are_details(tier: str) -> None:
    """langchain-openai counts cached and reasoning tokens under other keys where a tier was used (pains #9)."""
    counts = {
        "input_tokens": 100,
        "output_tokens": 50,
        "total_tokens": 150,
        "input_token_details": {f"{tier}_cache_read": 80, tier: 20},
        "output_token_details": {f"{tier}_reasoning": 40, tier: 10},
    }

    usage = _responses.model_response(_answer(usage_metadata=counts)).usage

    assert usage == Usage(input_tokens=100, output_tokens=50, cache_read=80, reasoning=40)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "input_tokens": _counts,
            "output_tokens": _counts,
            "input_token_details": _details | _counts,
            "output_token_details": _details | _counts,
        },
    )
)
def test_details_are_within_their_totals(counts: dict[str, Any]) -> None:
    """Whatever an integration reports, no detail is larger than what it is part of."""
    answer = SimpleNamespace(usage_metadata=counts, response_metadata={}, tool_calls=[])

    usage = _responses.model_response(SimpleNamespace(generations=[[SimpleNamespace(message=answer)]])).usage

    if usage is not None:
        assert (usage.cache_read or 0) + (usage.cache_write or 0) <= (usage.input_tokens or 0)
        assert (usage.audio_input or 0) <= (usage.input_tokens or 0)
        assert max(usage.reasoning or 0, usage.audio_output or 0) <= (usage.output_tokens or 0)


@pytest.mark.parametrize("where", ["response_metadata", "generation_info", "llm_output"])
def test_tokens_are_found_wherever_an_integration_puts_them(where: str) -> None:
    """Counts in a provider's own form are read from each place, and 0 in one does not hide those in another."""
    held = {where: {"usage": {"prompt_tokens": 0, "input_tokens": 0, "inputTokens": 3, "outputTokens": 1}}}
    message = SimpleNamespace(response_metadata=held.get("response_metadata"))
    choice = SimpleNamespace(message=message, generation_info=held.get("generation_info"))

    response = _responses.model_response(SimpleNamespace(generations=[[choice]], llm_output=held.get("llm_output")))

    assert response.usage == Usage(input_tokens=3, output_tokens=1)


def test_an_answer_in_the_background_has_not_stopped() -> None:
    """OpenAI's Responses API says at which point it is, where else it says how it ended."""
    begun = AIMessage("", response_metadata={"object": "response", "status": "queued", "model_provider": "openai"})

    response = _responses.model_response(LLMResult(generations=[[ChatGeneration(message=begun)]]))

    assert (response.finish_reasons, response.extra) == ((), {"openai.api.type": "responses"})


def test_why_each_choice_stopped() -> None:
    """An answer of several choices says why each of them stopped, in the conventions' words and the provider's."""
    choices: list[Any] = [
        ChatGeneration(message=AIMessage("a", response_metadata={"stop_reason": "end_turn"})),
        ChatGeneration(message=AIMessage("b"), generation_info={"finish_reason": "length"}),
        ChatGeneration(message=AIMessage("c")),
    ]

    response = _responses.model_response(LLMResult(generations=[choices]))

    assert response.finish_reasons == ("stop", "length")
    assert response.extra == {"chainspan.response.finish_reasons_raw": "end_turn,length"}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"status": "completed"}, ["tool_call", "stop"]),
        ({"finish_reason": "STOP"}, ["tool_call", "stop"]),
        ({"finish_reason": "MAX_TOKENS"}, ["length", "length"]),
        ({"finish_reason": "stop"}, ["stop", "stop"]),
    ],
    ids=["responses", "google", "cut-off", "forced-by-tool-choice"],
)
def test_a_call_of_a_tool_is_told_where_the_provider_has_no_word_for_it(
    said: dict[str, Any], expected: list[str]
) -> None:
    """OpenAI's Responses API and Google say of calls and of texts that all is done; others say what they mean."""
    call: Any = {"type": "tool_call", "id": "1", "name": "f", "args": {}}
    calling = ChatGeneration(message=AIMessage("", tool_calls=[call], response_metadata=said))
    speaking = ChatGeneration(message=AIMessage("hi", response_metadata=said))

    response = _responses.model_response(LLMResult(generations=[[calling, speaking]]))

    assert list(response.finish_reasons) == expected


@pytest.mark.parametrize(
    ("feedback", "reasons"),
    [({"block_reason": "PROHIBITED_CONTENT"}, ["content_filter"]), ({"block_reason": 0, "safety_ratings": []}, [])],
)
def test_a_prompt_that_google_blocked(feedback: dict[str, Any], reasons: list[str]) -> None:
    """What is not answered at all says why not; Google says so of the prompt, and of most that nothing was wrong."""
    response = _responses.model_response(_answer(response_metadata={"prompt_feedback": feedback}))

    assert list(response.finish_reasons) == reasons


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("stop", ["stop"]),
        ("stopstop", ["stop"]),
        ("stoplength", ["stop", "length"]),
        ("tool_callsstop", ["tool_call", "stop"]),
        ("end_turnend_turn", ["stop"]),
        ("STOPMAX_TOKENS", ["stop", "length"]),
        ("pause_turnpause_turn", ["pause_turn"]),
        ("stopped", ["stopped"]),
    ],
)
def test_reasons_that_were_put_together_are_taken_apart(said: str, expected: list[str]) -> None:
    """A stream of several choices, or with its reason in two chunks, has one word for all that were said."""
    response = _responses.model_response(_answer(response_metadata={"finish_reason": said}))

    assert list(response.finish_reasons) == expected


@pytest.mark.parametrize(
    ("put_together", "said"),
    [("gpt-5-2026gpt-5-2026", "gpt-5-2026"), ("fp_1fp_1fp_1", "fp_1"), ("coco", "coco"), ("gpt-5-5", "gpt-5-5")],
)
def test_what_several_chunks_say_is_said_once(put_together: str, said: str) -> None:
    """Model, tier and fingerprint stand in the last chunk of each choice, and LangChain adds them up."""
    keys = ("model_name", "service_tier", "system_fingerprint")

    response = _responses.model_response(
        _answer(response_metadata={"model_provider": "openai", **dict.fromkeys(keys, put_together)})
    )

    assert {response.model, *response.extra.values()} == {said}


ENDPOINT = "https://user:secret@endpoint.example/v1?token=secret"


@pytest.mark.parametrize("where", ["response_metadata", "llm_output"])
def test_an_address_is_no_name_of_a_model(where: str) -> None:
    """Of an endpoint, langchain-huggingface hands on the address as the model that answered, secrets included."""
    held: dict[str, Any] = {where: {"model_name": ENDPOINT}}
    said = ChatGeneration(message=AIMessage("3", response_metadata=held.get("response_metadata", {})))

    answer = _responses.model_response(LLMResult(generations=[[said]], llm_output=held.get("llm_output")))
    asked = _payloads.model_request({"kwargs": {"model_id": ENDPOINT}}, {"metadata": {"ls_model_name": ENDPOINT}})

    assert (answer.model, asked.model) == (None, None)
    assert (asked.server_address, asked.server_port) == ("endpoint.example", 443)


OF_OPENAI = {"model_provider": "openai", "service_tier": "default", "system_fingerprint": "fp"}


@pytest.mark.parametrize(
    ("said", "of_all", "expected"),
    [
        ({"finish_reason": "stop"}, {**OF_OPENAI, "id": "chatcmpl-1"}, ("default", "fp", "chat_completions")),
        ({**OF_OPENAI, "finish_reason": "stop", "id": "x"}, None, ("default", "fp", "chat_completions")),
        ({**OF_OPENAI, "object": "response"}, None, ("default", "fp", "responses")),
        ({"model_provider": "openai", "id": "resp_1"}, None, (None, None, "responses")),
        ({"model_provider": "openai"}, None, (None, None, None)),
        ({"model_provider": "groq", "service_tier": "x"}, OF_OPENAI, (None, None, None)),
    ],
    ids=["of-several-choices", "chat", "responses", "responses-cut-off", "chat-cut-off", "another"],
)
def test_what_openai_says_besides(
    said: dict[str, Any], of_all: dict[str, Any] | None, expected: tuple[str | None, ...]
) -> None:
    """Tier, fingerprint and API are found where there are several choices too, and made up of nothing."""
    choice = ChatGeneration(message=AIMessage("a", response_metadata=said))

    extra = _responses.model_response(LLMResult(generations=[[choice, choice]], llm_output=of_all)).extra

    names = ("openai.response.service_tier", "openai.response.system_fingerprint", "openai.api.type")
    assert tuple(map(extra.get, names)) == expected


def test_a_model_that_raised_has_no_empty_answer() -> None:
    """LangChain hands over a message without content where a provider refused a call, and the half of a stream."""
    assert (
        _responses.partial_response(LLMResult(generations=[[ChatGeneration(message=AIMessage(""))]])).messages() == []
    )
    assert [message.parts for message in _responses.partial_response(_answer()).messages()] == [
        [{"type": "text", "content": "hi"}]
    ]


def test_an_answer_of_langchains_own_cache_is_marked() -> None:
    """LangChain marks what it took from its cache by a cost of 0 (pains #55)."""
    usage = {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12, "total_cost": 0}

    assert _responses.model_response(_answer(usage_metadata=usage)).cache_hit
    assert not _responses.model_response(_answer()).cache_hit


# ---------------------------------------------------------------- requests


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"max_completion_tokens": 5, "max_tokens": 9}, {"max_tokens": 5}),
        ({"max_tokens": None}, {}),
        ({"max_gen_len": 5}, {"max_tokens": 5}),
        ({"max_new_tokens": 5}, {"max_tokens": 5}),
        ({"inferenceConfig": {"maxTokens": 5, "topP": 0.5}}, {"top_p": 0.5, "max_tokens": 5}),
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"stop": ["A", "B"], "n": 3}, {"stop_sequences": ["A", "B"], "choice_count": 3}),
        ({"reasoning": {"effort": "high"}, "seed": 1}, {"seed": 1, "reasoning_level": "high"}),
        ({"output_config": {"effort": "low"}}, {"reasoning_level": "low"}),
        ({"api_key": "sk-secret", "headers": {"Authorization": "Bearer x"}, "model_kwargs": {"x": 1}}, {}),
        ({"temperature": strategies.RaisesOnEverything(), "top_p": [1, 2]}, {}),
    ],
)
def test_request_parameters(params: dict[str, Any], expected: dict[str, Any]) -> None:
    """Parameters are found under every provider's name for them, and nothing else is taken along (pains #53)."""
    request = _payloads.model_request(None, {"invocation_params": params})

    assert request.parameters == expected


@pytest.mark.parametrize(
    ("kwargs", "made_with", "expected"),
    [
        (
            {"invocation_params": {"top_p": 0.1}, "metadata": {"ls_temperature": 0.2}},
            {},
            {"top_p": 0.1, "temperature": 0.2},
        ),
        (
            {"invocation_params": {"stop": ["A"]}, "metadata": {"ls_stop": ["B"]}},
            {"stop": ["C"]},
            {"stop_sequences": ["A"]},
        ),
        ({"metadata": {"ls_stop": ["B"]}}, {"stop_sequences": ["C"]}, {"stop_sequences": ["B"]}),
        ({"invocation_params": {"stop": None}}, {"stop_sequences": ["C"], "api_key": "x"}, {"stop_sequences": ["C"]}),
        ({"invocation_params": {"generation_config": {"top_k": 1}, "options": {"top_k": 2}}}, {}, {"top_k": 1}),
        ({"invocation_params": {"temperature": [], "options": {"temperature": 2}}}, {}, {"temperature": 2}),
        (
            {"invocation_params": MappingProxyType({"temperature": 1})},
            OrderedDict(seed=2),
            {"temperature": 1, "seed": 2},
        ),
    ],
)
def test_the_call_decides_before_the_model(
    kwargs: dict[str, Any], made_with: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Of a parameter that is said twice, the call's is taken before LangChain's note and the model's own."""
    request = _payloads.model_request({"kwargs": made_with}, kwargs)

    assert request.parameters == expected


def test_values_are_read_each_time() -> None:
    """A model that is called with other values under the same keys has a span that says so."""
    params: dict[str, Any] = {"model": "a", "temperature": 0, "tools": ["f"], "base_url": "https://a", "format": "json"}
    asked = {"invocation_params": params}

    first, offered = asdict(_payloads.model_request(None, asked)), _payloads.offered_tools(asked)
    params.update(model="b", temperature=None, tools=["g"], base_url="https://b", format="text")
    second = asdict(_payloads.model_request(None, asked))

    assert first == asdict(
        ModelRequest(model="a", parameters={"temperature": 0}, server_address="a", server_port=443, output_type="json")
    )
    assert second == asdict(ModelRequest(model="b", server_address="b", server_port=443))
    assert offered == [{"type": "function", "name": "f"}]
    assert _payloads.offered_tools(asked) == [{"type": "function", "name": "g"}]


@pytest.mark.parametrize("values", [(1, 1.0, True), ("a", None, ""), ([1], [2], [1]), (["a"], ["b"], ["a"])])
@pytest.mark.parametrize("place", ["invocation_params", "metadata", "made with"])
def test_equal_values_of_other_types_are_not_taken_for_each_other(values: tuple[Any, ...], place: str) -> None:
    """What was read of an equal call is told again only where it is the same, in type and in all that lists hold."""
    for value in values:
        held = {"ls_temperature": value} if place == "metadata" else {"temperature": value, "stop": value}
        described = {"kwargs": held} if place == "made with" else None

        request = _payloads.model_request(described, {place: held})

        alone = {key.removeprefix("ls_"): held[key] for key in held}
        expected = _payloads.model_request(None, {"invocation_params": alone | {"seed": [object()]}})
        assert [(key, repr(found)) for key, found in request.parameters.items()] == [
            (key, repr(found)) for key, found in expected.parameters.items()
        ]


def test_calls_that_ask_for_the_same_share_what_was_read() -> None:
    """Most calls of a program do; a list may change, so a request that has one is read each time."""
    asked = {"invocation_params": {"model": "m", "temperature": 0.5, "tools": [object()]}}
    listed = {"invocation_params": {"model": "m", "stop": ["a"]}}

    assert _payloads.model_request(None, asked) is _payloads.model_request({}, asked)
    assert _payloads.model_request(None, listed) is not _payloads.model_request(None, listed)


class _Function(BaseModel):
    name: str
    description: str | None = None
    parameters: dict[str, Any]


class _Offered(BaseModel):
    """A tool as Cohere's client has it."""

    type: str
    function: _Function


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        (
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}},
            [{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}}],
        ),
        (
            {"name": "f", "description": "d", "input_schema": {"type": "object"}},
            [{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}}],
        ),
        (
            {"type": "web_search_20250305", "name": "web_search"},
            [{"type": "web_search_20250305", "name": "web_search"}],
        ),
        (
            {"function_declarations": [{"name": "f"}, {"name": "g"}]},
            [{"type": "function", "name": "f"}, {"type": "function", "name": "g"}],
        ),
        (
            {
                "google_search": None,
                "function_declarations": [
                    {
                        "name": "f",
                        "behavior": None,
                        "parameters": {
                            "type": {"_value_": "OBJECT", "_name_": "OBJECT", "_sort_order_": 6},
                            "any_of": None,
                            "properties": {"a": {"type": {"_value_": "INTEGER", "_name_": "INTEGER"}, "enum": None}},
                            "required": ["a"],
                        },
                    }
                ],
            },
            [
                {
                    "type": "function",
                    "name": "f",
                    "parameters": {"type": "OBJECT", "properties": {"a": {"type": "INTEGER"}}, "required": ["a"]},
                }
            ],
        ),
        (
            {"function_declarations": None, "google_search": {"exclude_domains": None}, "code_execution": {}},
            [
                {"type": "google_search", "name": "google_search"},
                {"type": "code_execution", "name": "code_execution"},
            ],
        ),
        ({"cachePoint": {"type": "default"}}, []),
        ({"systemTool": {"name": "nova_grounding"}}, [{"type": "function", "name": "nova_grounding"}]),
        (
            {"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}},
            [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
        ),
        ({"title": "f", "type": "object", "properties": {}}, [{"type": "function", "name": "f"}]),
        (
            _Offered(type="function", function=_Function(name="f", parameters={"type": "object"})),
            [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
        ),
        ("f", [{"type": "function", "name": "f"}]),
        (5, []),
        (object(), []),
    ],
)
def test_tool_definitions(tool: Any, expected: list[Any]) -> None:
    """A tool offered to a model is in the conventions' form, whichever provider's it came in."""
    assert list(_payloads.offered_tools({"invocation_params": {"tools": [tool]}})) == expected


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [
        ({"invocation_params": {"response_format": {"type": "json_schema"}}}, ("json", None)),
        ({"invocation_params": {"format": "json"}}, ("json", None)),
        ({"invocation_params": {"response_format": {"type": "text"}}}, (None, None)),
        ({"invocation_params": {"modalities": ["text", "audio"]}}, ("speech", None)),
        ({"invocation_params": {"response_modalities": ["TEXT", "IMAGE"]}}, ("image", None)),
        ({"invocation_params": {"response_modalities": ["TEXT"]}}, (None, None)),
        ({"options": {"ls_structured_output_format": {"schema": {"title": "A"}}}}, ("json", {"title": "A"})),
        ({}, (None, None)),
    ],
)
def test_what_kind_of_answer_was_asked_for(kwargs: dict[str, Any], expected: tuple[Any, Any]) -> None:
    """Images and speech are known by the provider's parameter; a structured answer also by LangChain's own note."""
    request = _payloads.model_request(None, kwargs)

    assert (request.output_type, request.output_schema) == expected


@pytest.mark.parametrize("made_with", [{"response_mime_type": "application/json"}, {"format": "json"}])
def test_a_model_may_be_made_for_structured_answers(made_with: dict[str, Any]) -> None:
    """What a model was made with is asked for with each call, and Google's integration says so there alone."""
    plain = {"invocation_params": {"response_format": {"type": "text"}}}

    assert _payloads.model_request({"kwargs": made_with}, {}).output_type == "json"
    assert _payloads.model_request({"kwargs": made_with}, plain).output_type is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.host.com/v1", ("api.host.com", 443)),
        ("http://[::1]:8080", ("::1", 8080)),
        ("https://user:secret@host", ("host", 443)),
        ("https://host:port", (None, None)),
        ("https://:8080", (None, None)),
        ("host", (None, None)),
    ],
)
@pytest.mark.parametrize("key", ["base_url", "azure_endpoint", "groq_api_base", "openrouter_api_base", "a_api_url"])
def test_where_the_server_is(key: str, url: str, expected: tuple[Any, Any]) -> None:
    """The server is host and port of the model's address, whatever an integration calls it, and nothing more of it."""
    request = _payloads.model_request({"kwargs": {key: url, "app_url": "https://mine"}}, {})

    assert (request.server_address, request.server_port) == expected


@given(strategies.hostile_values, strategies.hostile_values, strategies.hostile_values)
def test_nothing_that_comes_makes_reading_fail(one: Any, two: Any, three: Any) -> None:
    """Payloads that make no sense are read as such that say nothing."""
    kwargs = {"invocation_params": one, "metadata": two, "options": three, "inputs": one, "tool_call_id": two}

    _payloads.model_request(one, kwargs)
    offered = _payloads.offered_tools(kwargs)
    _payloads.input_messages(two)
    _payloads.input_messages([three])
    response = _responses.model_response(one)
    response.messages()
    result = SimpleNamespace(generations=[[SimpleNamespace(message=two, generation_info=three)]], llm_output=one)
    _responses.model_response(result).messages()
    _payloads.tool_request(one, two, kwargs)
    _payloads.tool_output(three)
    _payloads.documents(one)
    _identity.identity(two, three)

    assert list(offered) == []
    assert response.usage is None


# ---------------------------------------------------------------- tools, retrievers, identity


FOUND = ToolMessage("found", tool_call_id="1")
MISSING = ToolMessage("no such city", tool_call_id="2", status="error")


@pytest.mark.parametrize(
    ("update", "failed"),
    [
        ({"messages": [MISSING]}, "no such city"),
        ({"messages": [FOUND]}, None),
        ({"messages": [MISSING, FOUND]}, None),  # with the history, as of a handover
        ({"messages": [FOUND, AIMessage("hi")]}, None),
        ({"messages": []}, None),
        ({"messages": MISSING}, None),
        ([("messages", [MISSING])], None),
        (None, None),
    ],
)
def test_what_a_tool_writes_into_a_state(update: Any, failed: str | None) -> None:
    """A command whose last message is the tool's answer says what that one does of a failure."""
    command: Any = Command(goto="ask", update=update)

    assert _payloads.tool_output(command) == (command, failed)


def test_a_tool_call_keeps_its_arguments() -> None:
    """Arguments are the caller's own objects and not a print of them; the id is that of the model (pains #20)."""
    arguments = {"text": 'it\'s "x"', "n": None, "名": ["é"]}

    request = _payloads.tool_request(
        {"name": "f", "description": "Does it."}, str(arguments), {"inputs": arguments, "tool_call_id": "call_1"}
    )

    assert asdict(request) == asdict(
        ToolRequest(name="f", description="Does it.", call_id="call_1", arguments=arguments)
    )


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("done", ("done", None)),
        ({"a": 1}, ({"a": 1}, None)),
        (ToolMessage("done", tool_call_id="1"), ("done", None)),
        (ToolMessage("no such city", tool_call_id="1", status="error"), ("no such city", "no such city")),
        (ToolMessage(["a"], tool_call_id="1", status="error"), (["a"], '["a"]')),
    ],
)
def test_what_a_tool_returned(output: Any, expected: tuple[Any, Any]) -> None:
    """A message's content is the result; its status tells of a failure that was not raised."""
    assert _payloads.tool_output(output) == expected


def test_documents() -> None:
    """A document has its text, id, metadata and score, where the retriever left one."""
    found = [Document("a", id="1", metadata={"relevance_score": 0.5}), Document("b", metadata={"id": 7}), "nothing"]

    assert _payloads.documents(found) == [
        RetrievedDocument(content="a", id="1", score=0.5, metadata={"relevance_score": 0.5}),
        RetrievedDocument(content="b", id="7", metadata={"id": 7}),
    ]


@pytest.mark.parametrize(
    ("score", "expected"),
    [(Fraction(1, 2), 0.5), (1, 1.0), (True, None), ("0.5", None), (Decimal("0.5"), None)],
)
def test_the_score_of_a_document_is_any_real_number(score: object, expected: float | None) -> None:
    """A vector store's scores are often NumPy's, which are real numbers and neither int nor float."""
    [document] = _payloads.documents([Document("a", metadata={"score": score})])

    assert document.score == expected
    assert type(document.score) is type(expected)


@pytest.mark.parametrize(
    ("metadata", "tags", "expected"),
    [
        ({"thread_id": "t", "session_id": "s"}, [], ("t", None, None, None)),
        ({"session_id": 7, "user_id": UUID(int=1)}, [], ("7", str(UUID(int=1)), None, None)),
        ({"lc_agent_name": "helper", "conversation_id": ""}, [], (None, None, "helper", None)),
        ({}, ["seq:step:1", "retry:attempt:2"], (None, None, None, 2)),
        ({}, ["retry:attempt:x"], (None, None, None, None)),
        ({}, ["my retry:attempt:3"], (None, None, None, None)),
        (None, None, (None, None, None, None)),
        (MappingProxyType({"user_id": "u"}), ("retry:attempt:3",), (None, "u", None, 3)),
    ],
)
def test_who_runs(metadata: dict[str, Any], tags: list[str], expected: tuple[Any, ...]) -> None:
    """Conversation, user, agent and attempt are read from where LangChain's users put them (pains #12)."""
    assert tuple(_identity.identity(metadata, tags)) == expected


def test_a_mapping_without_an_end_is_read_as_far_as_its_first_keys() -> None:
    """Only a dict is sure to end; of any other mapping a thousand keys are looked at (guards against a hang)."""

    class Unending(Mapping[str, Any]):
        def __getitem__(self, key: str) -> Any:
            return {"thread_id": "t", "temperature": 1}.get(key, 0)

        def __len__(self) -> int:
            return 2

        def __iter__(self) -> Iterator[str]:
            return chain(["thread_id", "temperature"], map(str, count()))

    assert _identity.identity(Unending(), []).conversation_id == "t"
    assert _payloads.model_request(None, {"invocation_params": Unending()}).parameters == {"temperature": 1}


# ---------------------------------------------------------------- objects inside of inputs and outputs


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (HumanMessage("hi"), {"role": "user", "parts": [{"type": "text", "content": "hi"}]}),
        (
            ChatPromptValue(messages=[HumanMessage("hi")]),
            {"messages": [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]},
        ),
        (StringPromptValue(text="hi"), "hi"),
        (Document("text", metadata={"a": 1}), {"content": "text", "metadata": {"a": 1}}),
        (Generation(text="hi"), {"text": "hi"}),
        (Command(goto="node", update={"a": 1}), {"update": {"a": 1}, "goto": "node"}),
        (
            Send("node", {"messages": [HumanMessage("hi")]}),
            {"node": "node", "arg": {"messages": [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]}},
        ),
    ],
)
def test_langchains_objects_are_plain_data(value: object, expected: object) -> None:
    """What flows between the steps of a chain is recorded by what it says, messages in the conventions' form."""
    assert _payloads.plain({"x": [value]}) == {"x": [expected]}
