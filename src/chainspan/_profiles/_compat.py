"""The GenAI conventions 1.41, with additions that no backend of today misreads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .. import _semconv as names
from .._content import Gate
from .._model import (
    AttributeValue,
    ModelRequest,
    ModelResponse,
    RunEnd,
    RunFailure,
    RunKind,
    RunStart,
    Streaming,
)
from . import _shared as shared
from ._content import add_documents, add_input, add_output, add_query, add_tool_input, add_tool_output
from ._exportable import checked, exportable

__all__ = ["COMPAT", "GenAiProfile"]

_REQUEST: Final = {
    "temperature": names.GEN_AI_REQUEST_TEMPERATURE,
    "top_p": names.GEN_AI_REQUEST_TOP_P,
    "top_k": names.GEN_AI_REQUEST_TOP_K,
    "max_tokens": names.GEN_AI_REQUEST_MAX_TOKENS,
    "frequency_penalty": names.GEN_AI_REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": names.GEN_AI_REQUEST_PRESENCE_PENALTY,
    "stop_sequences": names.GEN_AI_REQUEST_STOP_SEQUENCES,
    "seed": names.GEN_AI_REQUEST_SEED,
    "choice_count": names.GEN_AI_REQUEST_CHOICE_COUNT,
    "reasoning_level": names.GEN_AI_REQUEST_REASONING_LEVEL,
    "previous_response_id": names.GEN_AI_REQUEST_PREVIOUS_RESPONSE_ID,
    "service_tier": names.OPENAI_REQUEST_SERVICE_TIER,
    "encoding_formats": names.GEN_AI_REQUEST_ENCODING_FORMATS,
    "dimensions": names.GEN_AI_EMBEDDINGS_DIMENSION_COUNT,
    "count": names.CHAINSPAN_EMBEDDINGS_COUNT,
}
_USAGE: Final = {
    "input_tokens": names.GEN_AI_USAGE_INPUT_TOKENS,
    "output_tokens": names.GEN_AI_USAGE_OUTPUT_TOKENS,
    "cache_read": names.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS,
    "cache_write": names.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS,
    "reasoning": names.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS,
}
_OPENAI: Final = frozenset({"openai", "azure.ai.openai"})
_STEPS: Final = frozenset({RunKind.CHAIN, RunKind.PROMPT, RunKind.PARSER})
_MODELS: Final = frozenset({RunKind.CHAT, RunKind.LLM, RunKind.EMBEDDINGS})


@dataclass(frozen=True, slots=True, kw_only=True)
class GenAiProfile:
    """A version of the GenAI conventions.

    Attributes:
        usage: What the counts of a `Usage` are called; those not named are not written.
        finish_reason_in_messages: Whether an output message says why the model stopped. Who asks for
            it, as Phoenix does, takes no message without; where the reason is not known, it is empty.
        wrap_results: Whether a tool's result that is no object is put into one.
        prompts: Whether the names of prompt templates are written. Langfuse takes every key
            that begins with ``gen_ai.prompt`` for the input, and then hides the messages.
        cost_name: What a call's cost is called besides; the conventions have no name for it.
        room_for_documents: How many attributes may hold a retriever's documents one by one, where Phoenix
            would take nothing of their list. A span of the SDK's has 128.
    """

    name: str
    schema_url: str | None
    usage: Mapping[str, str]
    finish_reason_in_messages: bool = True
    wrap_results: bool = False
    prompts: bool = False
    cost_name: str | None = None
    room_for_documents: int = 0

    name_and_kind = staticmethod(shared.name_and_kind)

    def start(self, run: RunStart, gate: Gate) -> dict[str, AttributeValue]:
        """Return what is known when the run starts."""
        kind, known = run.kind, shared.identified(run, gate)
        operation = shared.OPERATIONS.get(kind)
        attributes: shared.Attributes = {}
        if not shared.is_nobodys(run, gate):
            attributes = _whose(run, gate)
        elif gate.is_silent and kind in _STEPS:
            return known
        if not gate.is_silent:
            _add_users_own(attributes, run, gate)
        if operation is None:
            _step(attributes, run, gate)
        else:
            known[names.GEN_AI_OPERATION_NAME] = operation
            if kind in _MODELS:  # what is the same for many runs is checked once, unless each handler's patterns differ
                asked = self._asked(run.model or ModelRequest())
                (attributes if gate.policy.redact_patterns else known).update(asked)
            _STARTS[kind](attributes, run, gate)
        if self.prompts and kind in _MODELS:
            attributes[names.GEN_AI_PROMPT_NAME] = shared.metadatum(run, shared.PROMPT_NAMES, gate)
            attributes[names.GEN_AI_PROMPT_VERSION] = shared.metadatum(run, shared.PROMPT_VERSIONS, gate)
        return exportable(attributes, gate, known) if attributes else known

    def _asked(self, request: ModelRequest) -> Mapping[str, AttributeValue]:
        """Return what is said of a request, which is the same for all calls that ask for the same."""
        made = request.memo.get(self.name)
        if made is None:
            made = request.memo[self.name] = checked(_asked(request))
        return made

    def end(self, run: RunStart, end: RunEnd, gate: Gate) -> dict[str, AttributeValue]:
        """Return what is known when the run has ended well."""
        attributes: shared.Attributes = {}
        if end.inputs is not None:
            add_input(attributes, run, end.inputs, gate)
        if run.kind in _MODELS:
            self._response(attributes, run, end.response, end.streaming, gate)
        elif run.kind is RunKind.TOOL:
            add_tool_output(attributes, end.outputs, gate, wrap=self.wrap_results)
        elif run.kind is RunKind.RETRIEVER:
            add_documents(attributes, end, gate, self.room_for_documents)
        else:
            add_output(attributes, run, end.outputs, gate, () if self.finish_reason_in_messages else None)
        shared.ended(attributes, end)
        return exportable(attributes, gate)

    def failure(self, run: RunStart, failure: RunFailure, gate: Gate) -> dict[str, AttributeValue]:
        """Return what is known when the run has raised."""
        attributes: shared.Attributes = {}
        if failure.inputs is not None:
            add_input(attributes, run, failure.inputs, gate)
        if run.kind in _MODELS:
            self._response(attributes, run, failure.response, failure.streaming, gate)
        shared.failed(attributes, failure)
        return exportable(attributes, gate)

    def _response(
        self,
        attributes: shared.Attributes,
        run: RunStart,
        response: ModelResponse | None,
        streaming: Streaming | None,
        gate: Gate,
    ) -> None:
        if streaming is not None:
            attributes[names.GEN_AI_REQUEST_STREAM] = True
            attributes[names.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK] = streaming.first_content_s
        if response is None:
            return
        attributes[names.GEN_AI_RESPONSE_MODEL] = response.model
        attributes[names.GEN_AI_RESPONSE_ID] = response.response_id
        if response.dimensions is not None:
            attributes[names.GEN_AI_EMBEDDINGS_DIMENSION_COUNT] = response.dimensions
        attributes[names.GEN_AI_RESPONSE_FINISH_REASONS] = response.finish_reasons or None
        if extra := response.extra:
            provider = shared.provider_of(run, response)
            attributes.update(extra if provider is None or provider in _OPENAI else _of_anyone(extra))
        shared.add_usage(attributes, response, self.usage)
        if gate.on:
            reasons = response.finish_reasons if self.finish_reason_in_messages else None
            written = gate.messages(response.messages(), reasons)
            attributes[names.GEN_AI_OUTPUT_MESSAGES] = written if written != "[]" else None


def _of_anyone(extra: Mapping[str, AttributeValue]) -> Mapping[str, AttributeValue]:
    """Return what is no matter of OpenAI's: integrations for those who speak its protocol are often made of its own."""
    return {key: value for key, value in extra.items() if not key.startswith(names.OF_OPENAI)}


# ---------------------------------------------------------------- what is known at the start, by kind of run


def _add_users_own(attributes: shared.Attributes, run: RunStart, gate: Gate) -> None:
    if run.tags and (tags := shared.user_tags(run, gate)):
        attributes[names.CHAINSPAN_TAGS] = attributes[names.OI_TAGS] = tags
    if run.metadata:
        for key, value in shared.user_metadata(run, gate).items():
            attributes[f"{names.CHAINSPAN_METADATA}.{key}"] = value


def _whose(run: RunStart, gate: Gate) -> shared.Attributes:
    attributes = shared.own(run, gate)
    if run.kind not in shared.OPERATIONS:
        attributes[names.OI_AGENT_NAME] = run.agent_name
    else:
        attributes[names.GEN_AI_CONVERSATION_ID] = attributes.get(names.SESSION_ID)
        attributes[names.GEN_AI_AGENT_NAME] = run.agent_name
    return attributes


def _step(attributes: shared.Attributes, run: RunStart, gate: Gate) -> None:
    if run.kind is RunKind.NODE:
        shared.add_node(attributes, run)
    if gate.on:
        add_input(attributes, run, run.inputs, gate)


def _asked(request: ModelRequest) -> shared.Attributes:
    attributes: shared.Attributes = {
        names.GEN_AI_PROVIDER_NAME: request.provider,
        names.GEN_AI_REQUEST_MODEL: request.model,
        names.SERVER_ADDRESS: request.server_address,
        names.SERVER_PORT: request.server_port,
        names.GEN_AI_OUTPUT_TYPE: request.output_type,
        names.GEN_AI_REQUEST_STREAM: request.stream or None,
    }
    shared.add_parameters(attributes, request, _REQUEST)
    if request.provider not in _OPENAI:
        attributes.pop(names.OPENAI_REQUEST_SERVICE_TIER, None)
    return attributes


def _model(attributes: shared.Attributes, run: RunStart, gate: Gate) -> None:
    if not gate.on:
        return
    if run.kind is RunKind.EMBEDDINGS:  # the conventions have no place for what is embedded
        add_input(attributes, run, run.inputs, gate)
    else:
        attributes[names.GEN_AI_INPUT_MESSAGES] = gate.messages(run.messages())
    if gate.policy.tool_definitions and (tools := run.tools()):
        attributes[names.GEN_AI_TOOL_DEFINITIONS] = gate.json(tools)
    if run.model is not None and run.model.output_schema is not None:
        attributes[names.CHAINSPAN_OUTPUT_SCHEMA] = gate.json(run.model.output_schema)


def _tool(attributes: shared.Attributes, run: RunStart, gate: Gate) -> None:
    tool = run.tool
    attributes[names.GEN_AI_TOOL_NAME] = tool.name if tool else run.name
    attributes[names.GEN_AI_TOOL_TYPE] = tool.type if tool else "function"
    if tool is None:
        return
    attributes[names.GEN_AI_TOOL_CALL_ID] = tool.call_id
    add_tool_input(attributes, tool, gate)


def _retriever(attributes: shared.Attributes, run: RunStart, gate: Gate) -> None:
    attributes[names.CHAINSPAN_RETRIEVER_STORE] = run.metadata.get("ls_vector_store_provider")
    add_query(attributes, run.query, gate)


def _agent(attributes: shared.Attributes, run: RunStart, gate: Gate) -> None:
    attributes[names.GEN_AI_AGENT_NAME] = run.agent_name or run.name
    add_input(attributes, run, run.inputs, gate)


def _workflow(attributes: shared.Attributes, run: RunStart, gate: Gate) -> None:
    attributes[names.GEN_AI_WORKFLOW_NAME] = shared.workflow_name(run)
    add_input(attributes, run, run.inputs, gate)


_STARTS: Final[Mapping[RunKind, Callable[[Any, RunStart, Gate], None]]] = {
    RunKind.CHAT: _model,
    RunKind.LLM: _model,
    RunKind.EMBEDDINGS: _model,
    RunKind.TOOL: _tool,
    RunKind.RETRIEVER: _retriever,
    RunKind.AGENT: _agent,
    RunKind.WORKFLOW: _workflow,
}

COMPAT: Final = GenAiProfile(
    name="compat",
    schema_url=names.SCHEMA_URL,
    usage=_USAGE,
    cost_name=names.GEN_AI_USAGE_COST,
    room_for_documents=48,
)
