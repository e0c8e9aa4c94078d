"""OpenInference: flattened attributes, for Arize AX and older versions of Phoenix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import from_json

from .. import _semconv as names
from .._content import Gate
from .._encode import dumps, plain, shrink, size_of
from .._model import AttributeValue, ModelRequest, ModelResponse, RunEnd, RunFailure, RunKind, RunStart
from . import _shared as shared
from ._content import INPUT, OUTPUT, add_shown, documents_one_by_one
from ._exportable import exportable
from ._flattened import flattened

__all__ = ["OPENINFERENCE"]

_MODELS: Final = frozenset({RunKind.CHAT, RunKind.LLM, RunKind.EMBEDDINGS})
_EMBEDDING: Final = (names.OI_EMBEDDING_MODEL_NAME, names.OI_EMBEDDING_INVOCATION_PARAMETERS)
_MODEL: Final = (names.OI_MODEL_NAME, names.OI_INVOCATION_PARAMETERS)
_COUNT: Final = "count"  # of the texts to embed, which is no parameter of the model's
# 128 attributes is the SDK's default limit, and it drops the oldest ones first: the run's id, the model, the session.
_MOST: Final = 128
_MOST_OF_INPUT: Final = 48  # of them: messages and tools
_MOST_OF_OUTPUT: Final = 32
_MOST_OF_DOCUMENTS: Final = 72
_RESERVED: Final = 28  # of them: which run it is, tokens, costs, how it ended, and the sums of a trace

_USAGE: Final = {
    "input_tokens": names.OI_TOKENS_PROMPT,
    "output_tokens": names.OI_TOKENS_COMPLETION,
    "cache_read": names.OI_TOKENS_CACHE_READ,
    "cache_write": names.OI_TOKENS_CACHE_WRITE,
    "reasoning": names.OI_TOKENS_REASONING,
    "audio_input": names.OI_TOKENS_PROMPT_AUDIO,
    "audio_output": names.OI_TOKENS_COMPLETION_AUDIO,
}


@dataclass(frozen=True, slots=True)
class OpenInferenceProfile:
    """The names of OpenInference."""

    name: str = "openinference"
    schema_url: str | None = None
    cost_name: str | None = names.OI_COST_TOTAL

    name_and_kind = staticmethod(shared.name_and_kind)

    def start(self, run: RunStart, gate: Gate) -> dict[str, AttributeValue]:
        """Return what is known when the run starts."""
        attributes = shared.own(run, gate)
        if run.kind is RunKind.NODE:
            shared.add_node(attributes, run)
        attributes[names.OI_AGENT_NAME] = run.agent_name
        attributes[names.OI_TAGS] = shared.user_tags(run, gate) or None
        metadata = shared.user_metadata(run, gate)
        if metadata:
            attributes[names.OI_METADATA] = _together(metadata, gate.policy.max_attribute_bytes)
        if run.kind in _MODELS:
            _request(attributes, run, gate)
        elif run.kind is RunKind.TOOL:
            _tool(attributes, run, gate)
        else:
            shared.io(attributes, run.inputs if run.query is None else run.query, gate, INPUT)
        return exportable(attributes, gate, shared.identified(run, gate))

    def end(self, run: RunStart, end: RunEnd, gate: Gate) -> dict[str, AttributeValue]:
        """Return what is known when the run has ended well."""
        attributes: shared.Attributes = {}
        if run.kind in _MODELS:
            _response(attributes, end.response, gate)
        elif run.kind is RunKind.RETRIEVER:
            attributes.update(documents_one_by_one(end, gate, _MOST_OF_DOCUMENTS))
        else:
            shared.io(attributes, end.inputs, gate, INPUT)
            shared.io(attributes, end.outputs, gate, OUTPUT)
        shared.ended(attributes, end)
        return exportable(attributes, gate)

    def failure(self, run: RunStart, failure: RunFailure, gate: Gate) -> dict[str, AttributeValue]:
        """Return what is known when the run has raised."""
        attributes: shared.Attributes = {}
        shared.io(attributes, failure.inputs, gate, INPUT)
        if run.kind in _MODELS:
            _response(attributes, failure.response, gate)
        shared.failed(attributes, failure)
        return exportable(attributes, gate)


def _together(metadata: Mapping[str, AttributeValue], most_bytes: int) -> str:
    """Return the values of a run's metadata, each of which is within its bound, as the JSON text of one attribute."""
    text = dumps(plain(metadata))
    return text if size_of(text) <= most_bytes else shrink(from_json(text), most_bytes)


def _request(attributes: shared.Attributes, run: RunStart, gate: Gate) -> None:
    request = run.model or ModelRequest()
    model_key, parameters_key = _EMBEDDING if run.kind is RunKind.EMBEDDINGS else _MODEL
    attributes[model_key] = request.model
    attributes[names.OI_PROVIDER] = attributes[names.OI_SYSTEM] = request.provider
    attributes[names.OI_PROMPT_VERSION] = shared.metadatum(run, shared.PROMPT_VERSIONS, gate)
    attributes[names.SERVER_ADDRESS] = request.server_address
    attributes[names.SERVER_PORT] = request.server_port
    attributes[names.CHAINSPAN_EMBEDDINGS_COUNT] = request.parameters.get(_COUNT)
    parameters = {key: value for key, value in request.parameters.items() if key != _COUNT}
    if parameters:
        attributes[parameters_key] = dumps(_named(plain(parameters), gate))
    if not gate.on:
        return
    if run.kind is RunKind.EMBEDDINGS:
        shared.io(attributes, run.inputs, gate, INPUT)
        return
    messages = run.messages()
    add_shown(attributes, messages, gate, INPUT)
    room = min(_MOST_OF_INPUT, _MOST - _MOST_OF_OUTPUT - _RESERVED - len(attributes))
    tools = run.tools()[: room // 3] if gate.policy.tool_definitions else ()
    attributes.update(flattened(names.OI_INPUT_MESSAGES, messages, gate, room - len(tools)))
    for index, tool in enumerate(tools):
        attributes[f"{names.OI_TOOLS}.{index}.tool.json_schema"] = gate.json(tool)


def _tool(attributes: shared.Attributes, run: RunStart, gate: Gate) -> None:
    tool = run.tool
    attributes[names.OI_TOOL_NAME] = tool.name if tool else run.name
    if tool is None:
        return
    attributes[names.OI_TOOL_ID] = tool.call_id
    if gate.on and tool.description:
        attributes[names.OI_TOOL_DESCRIPTION] = gate.text(tool.description)
    shared.io(attributes, tool.arguments, gate, INPUT)
    attributes[names.OI_TOOL_PARAMETERS] = attributes.get(names.INPUT_VALUE)


def _response(attributes: shared.Attributes, response: ModelResponse | None, gate: Gate) -> None:
    if response is None:
        return
    attributes["llm.response.model_name"] = response.model
    if provider := response.extra.get(names.GEN_AI_PROVIDER_NAME):
        attributes[names.OI_PROVIDER] = attributes[names.OI_SYSTEM] = provider
    attributes[names.OI_FINISH_REASON] = response.finish_reasons[0] if response.finish_reasons else None
    shared.add_usage(attributes, response, _USAGE)
    prompt, completion = attributes.get(names.OI_TOKENS_PROMPT), attributes.get(names.OI_TOKENS_COMPLETION)
    if prompt is not None and completion is not None:
        attributes[names.OI_TOKENS_TOTAL] = prompt + completion
    if gate.on:
        messages = response.messages()
        add_shown(attributes, messages, gate, OUTPUT)
        attributes.update(flattened(names.OI_OUTPUT_MESSAGES, messages, gate, _MOST_OF_OUTPUT))


def _named(parameters: Any, gate: Gate) -> Any:
    """Return request parameters with the texts in them as the user's patterns leave them."""
    if isinstance(parameters, dict):
        return {key: _named(value, gate) for key, value in parameters.items()}
    if isinstance(parameters, list):
        return [_named(value, gate) for value in parameters]
    return gate.name(parameters) if isinstance(parameters, str) else parameters


OPENINFERENCE: Final = OpenInferenceProfile()
