"""What every profile says alike: who ran, in which conversation, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from opentelemetry.trace import SpanKind

from .. import _semconv as names
from .._content import Gate
from .._encode import label
from .._model import (
    AttributeValue,
    ModelRequest,
    ModelResponse,
    Outcome,
    RunEnd,
    RunFailure,
    RunKind,
    RunStart,
    Usage,
)
from ._exportable import checked
from ._session import NOBODY, current_session, from_baggage

__all__ = [
    "OPERATIONS",
    "PROMPT_NAMES",
    "PROMPT_VERSIONS",
    "SPAN_KINDS",
    "Attributes",
    "add_node",
    "add_parameters",
    "add_usage",
    "ended",
    "error_type",
    "failed",
    "identified",
    "io",
    "is_nobodys",
    "metadatum",
    "name_and_kind",
    "own",
    "provider_of",
    "user_metadata",
    "user_tags",
    "workflow_name",
]

Attributes = dict[str, Any]

# Runs that are no operation of the GenAI conventions are not in here, and carry no gen_ai.* key.
OPERATIONS: Final[Mapping[RunKind, str]] = {
    RunKind.CHAT: names.OPERATION_CHAT,
    RunKind.LLM: names.OPERATION_TEXT_COMPLETION,
    RunKind.EMBEDDINGS: names.OPERATION_EMBEDDINGS,
    RunKind.TOOL: names.OPERATION_EXECUTE_TOOL,
    RunKind.RETRIEVER: names.OPERATION_RETRIEVAL,
    RunKind.AGENT: names.OPERATION_INVOKE_AGENT,
    RunKind.WORKFLOW: names.OPERATION_INVOKE_WORKFLOW,
}
_INTERNAL: Final = SpanKind.INTERNAL  # a member is found far more slowly by its class
SPAN_KINDS: Final[Mapping[RunKind, SpanKind]] = {
    RunKind.CHAT: SpanKind.CLIENT,
    RunKind.LLM: SpanKind.CLIENT,
    RunKind.EMBEDDINGS: SpanKind.CLIENT,
    RunKind.RETRIEVER: SpanKind.CLIENT,
}
_OPENINFERENCE_KINDS: Final[Mapping[RunKind, str]] = {
    RunKind.CHAT: "LLM",
    RunKind.LLM: "LLM",
    RunKind.EMBEDDINGS: "EMBEDDING",
    RunKind.TOOL: "TOOL",
    RunKind.RETRIEVER: "RETRIEVER",
    RunKind.AGENT: "AGENT",
    RunKind.PROMPT: "PROMPT",
}

# What LangChain and LangGraph put into metadata and tags for themselves.
_THEIR_METADATA: Final = (
    "ls_",
    "lc_",
    "langgraph_",
    "__",
    "chainspan.",
    "checkpoint_",
    "thread_id",
    "session_id",
    "conversation_id",
    "user_id",
)
# What a vector store's retriever is tagged with by LangChain: the classes of its store and of its embeddings.
_CLASSES: Final = ("ls_vector_store_provider", "ls_embedding_provider")
_THEIR_TAGS: Final = ("seq:step:", "graph:step:", "map:key:", "retry:attempt:", "langsmith:", "chainspan")
# Of the template that a model's input was made with; the latter two are LangChain's own, of its hub.
PROMPT_NAMES: Final = ("prompt_name", "lc_hub_repo")
PROMPT_VERSIONS: Final = ("prompt_version", "lc_hub_commit_hash")
_MOST_REMEMBERED: Final = 32  # keys
_TOTALS: Final = frozenset({"input_tokens", "output_tokens"})


def identified(run: RunStart, gate: Gate) -> dict[str, AttributeValue]:
    """Return which run it is, whichever the profile; checked, as all of it may be exported."""
    attributes: dict[str, AttributeValue] = {
        names.CHAINSPAN_RUN_ID: str(run.run_id),
        **_named(run.run_type, run.name, run.kind),
    }
    if gate.policy.redact_patterns:
        attributes[names.CHAINSPAN_RUN_NAME] = gate.name(run.name)
    return attributes


@lru_cache(maxsize=1_024)
def _named(run_type: str, name: str, kind: RunKind) -> Mapping[str, AttributeValue]:
    """Return what all runs of a name say, which are many, and names few."""
    return checked(
        {
            names.CHAINSPAN_RUN_TYPE: run_type,
            names.CHAINSPAN_RUN_NAME: name,
            names.OPENINFERENCE_SPAN_KIND: _OPENINFERENCE_KINDS.get(kind, "CHAIN"),
        }
    )


def is_nobodys(run: RunStart, gate: Gate) -> bool:
    """Return whether nobody says whose a run is, or which try, as of most: `own` has nothing to say then."""
    return not (
        run.conversation_id
        or run.user_id
        or run.agent_name
        or run.attempt
        or gate.policy.baggage
        or current_session() is not NOBODY
    )


def own(run: RunStart, gate: Gate) -> Attributes:
    """Return what else every span says of its run, whichever the profile: which try it is, and whose."""
    here = current_session()
    attributes: Attributes = {}
    if run.attempt is not None:
        attributes[names.CHAINSPAN_RUN_ATTEMPT] = run.attempt
    if (conversation := run.conversation_id or here.conversation) is not None:
        attributes[names.SESSION_ID] = conversation
    if (user := run.user_id or here.user) is not None:
        attributes[names.USER_ID] = user
    if gate.policy.baggage:
        attributes.update(from_baggage(gate))
    return attributes


def add_node(attributes: Attributes, run: RunStart) -> None:
    """Record where in a graph a node's run stands."""
    namespace = run.metadata.get("langgraph_checkpoint_ns")
    attributes[names.CHAINSPAN_NODE] = attributes[names.OI_NODE_NAME] = run.metadata.get("langgraph_node", run.name)
    attributes[names.CHAINSPAN_STEP] = run.metadata.get("langgraph_step")
    attributes[names.CHAINSPAN_CHECKPOINT] = attributes[names.OI_NODE_ID] = namespace


def user_tags(run: RunStart, gate: Gate) -> list[str]:
    """Return the user's own tags that may be recorded."""
    if not run.tags or (not gate.on and not gate.policy.tags):
        return []
    tags: Sequence[object] = run.tags
    if len(tags) == 1 and type(tags[0]) is str and tags[0].startswith(_THEIR_TAGS):
        return []  # as of each step of a sequence and each node of a graph
    theirs = [name for name in map(run.metadata.get, _CLASSES) if isinstance(name, str)]
    mine = [tag for tag in tags if isinstance(tag, str) and tag not in theirs and not tag.startswith(_THEIR_TAGS)]
    return gate.tags(mine) if mine else []


def user_metadata(run: RunStart, gate: Gate) -> Mapping[str, AttributeValue]:
    """Return the user's own metadata that may be recorded."""
    if not run.metadata or (not gate.on and not gate.policy.metadata):
        return {}
    given: Mapping[Any, object] = run.metadata
    asked = gate.policy.metadata or ()
    keys, find = tuple(given), _known_keys if len(given) <= _MOST_REMEMBERED else _users_keys
    mine = {key: given[key] for key in find(keys, frozenset(asked))}
    return gate.metadata(mine) if mine else {}


def _users_keys(given: tuple[Any, ...], asked: frozenset[str]) -> Sequence[str]:
    """Return which keys are the user's."""
    texts = (key for key in given if isinstance(key, str))
    return tuple(key for key in texts if not key.startswith(_THEIR_METADATA) or key in asked)


_known_keys = lru_cache(maxsize=256)(_users_keys)  # runs of one place in a program have the same each time


def metadatum(run: RunStart, keys: tuple[str, ...], gate: Gate) -> str | None:
    """Return a name of the user's that stands in a run's metadata under one of several keys, or None."""
    found = (run.metadata.get(key) for key in keys)
    return next((gate.name(value) for value in found if isinstance(value, str) and value), None)


def name_and_kind(run: RunStart) -> tuple[str, SpanKind]:
    """Return a span's name, the user's, else the operation and what it is applied to; and its kind.

    The kind is a client's where something outside is called.
    """
    kind = run.kind
    operation = OPERATIONS.get(kind)
    if operation is None:
        return run.name, _INTERNAL
    if run.named and kind not in _ALWAYS_NAMED:
        name = run.name
    else:
        target = _TARGETS[kind](run)
        name = label(f"{operation} {target}") if target else operation
    return name, SPAN_KINDS.get(kind, _INTERNAL)


def provider_of(run: RunStart, response: ModelResponse | None) -> str | None:
    """Return who answered; of a decorated function it may be the answer alone that tells."""
    said = response.extra.get(names.GEN_AI_PROVIDER_NAME) if response is not None and response.extra else None
    return said or (run.model.provider if run.model else None)


def _model_name(run: RunStart) -> str | None:
    request = run.model
    return request.model if request else None


def _tool_name(run: RunStart) -> str | None:
    return run.tool.name if run.tool else run.name


def workflow_name(run: RunStart) -> str | None:
    """Return the name of a graph, where it has one; ``LangGraph`` is what all others are called."""
    return None if run.name == "LangGraph" else run.name


_TARGETS: Final[Mapping[RunKind, Callable[[RunStart], str | None]]] = {
    RunKind.CHAT: _model_name,
    RunKind.LLM: _model_name,
    RunKind.EMBEDDINGS: _model_name,
    RunKind.TOOL: _tool_name,
    RunKind.RETRIEVER: lambda run: run.name,
    RunKind.AGENT: lambda run: run.agent_name or run.name,
    RunKind.WORKFLOW: workflow_name,
}
_ALWAYS_NAMED: Final = frozenset({RunKind.AGENT, RunKind.WORKFLOW})  # a graph names its own run


def add_parameters(attributes: Attributes, request: ModelRequest, table: Mapping[str, str]) -> None:
    """Record request parameters under the names that a table gives them."""
    for key, value in request.parameters.items():
        if key in table and not (key == "choice_count" and value == 1):
            attributes[table[key]] = value


def io(attributes: Attributes, value: object, gate: Gate, keys: tuple[str, str]) -> None:
    """Record what went into a run or came out of it, with its type; nothing where there was nothing."""
    written = None if value is None else gate.value(value)
    if written is not None:
        text, is_json = written
        attributes[keys[0]] = text
        attributes[keys[1]] = names.MIME_JSON if is_json else names.MIME_TEXT


def add_usage(attributes: Attributes, response: ModelResponse, table: Mapping[str, str]) -> None:
    """Record tokens under the names that a table gives them; of the details only those that are not 0.

    What came from LangChain's own cache was not billed: it is marked, and counted apart.
    """
    usage = response.usage
    if response.cache_hit:
        usage = usage or Usage()
        attributes[names.CHAINSPAN_CACHE_HIT] = True
        attributes[names.CHAINSPAN_SAVED_INPUT_TOKENS] = usage.input_tokens
        attributes[names.CHAINSPAN_SAVED_OUTPUT_TOKENS] = usage.output_tokens
    elif usage is not None:
        for field, name in table.items():
            count = getattr(usage, field)
            if count or field in _TOTALS:
                attributes[name] = count


def error_type(error: BaseException) -> str:
    """Return the ``error.type`` of an exception: its full class name, a builtin's unqualified."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def ended(attributes: Attributes, end: RunEnd) -> None:
    """Record of a run that did not raise whether it failed all the same."""
    if end.failed is not None:
        attributes[names.ERROR_TYPE] = "tool_error"
        attributes[names.CHAINSPAN_RUN_OUTCOME] = Outcome.ERROR.value


def failed(attributes: Attributes, failure: RunFailure) -> None:
    """Record why a run did not end well."""
    attributes[names.CHAINSPAN_RUN_OUTCOME] = failure.outcome.value
    if failure.outcome is Outcome.ERROR:
        attributes[names.ERROR_TYPE] = error_type(failure.error)
