"""The words that the rest of chainspan speaks: a run, how it starts, and how it ends.

An adapter (LangChain's callbacks, the decorators) turns what it is told into these
types once, at the edge; everything behind it knows neither LangChain nor any
provider. Fields that are costly to read are callables, which are called only for a
run that is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from uuid import UUID

__all__ = [
    "AttributeValue",
    "Message",
    "ModelRequest",
    "ModelResponse",
    "Outcome",
    "RetrievedDocument",
    "RunEnd",
    "RunEvent",
    "RunFailure",
    "RunKind",
    "RunStart",
    "Streaming",
    "ToolRequest",
    "Usage",
]


AttributeValue = str | bool | int | float | Sequence[str] | Sequence[bool] | Sequence[int] | Sequence[float]
"""What an attribute of a span may hold."""


class RunKind(str, Enum):
    """What a run executes."""

    CHAIN = "chain"
    PROMPT = "prompt"
    PARSER = "parser"
    LLM = "llm"  # a model that completes text
    CHAT = "chat"  # a model that answers messages
    TOOL = "tool"
    RETRIEVER = "retriever"
    EMBEDDINGS = "embeddings"
    AGENT = "agent"
    WORKFLOW = "workflow"  # a graph
    NODE = "node"  # a node of a graph


class Outcome(str, Enum):
    """How a run ended. Only ERROR is an error; the others leave the span's status unset."""

    OK = "ok"
    ERROR = "error"
    INTERRUPTED = "interrupted"  # LangGraph handed control to a human or to another graph
    CANCELLED = "cancelled"  # its task was cancelled
    ABANDONED = "abandoned"  # its stream was closed or dropped before the end
    EVICTED = "evicted"  # it never ended, and made room for newer runs


@dataclass(slots=True, kw_only=True)
class Usage:
    """Tokens of one model call, as billed.

    ``input_tokens`` includes the cached ones and ``output_tokens`` the reasoning ones.
    None means that the provider did not say; it never means 0.
    Not frozen, as that takes four times as long to make; who is handed one changes nothing.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None


@dataclass(slots=True)
class Message:
    """One message of a conversation: its role and its parts.

    Attributes:
        role: system, user, assistant, tool, or what the API gave.
        parts: JSON-like dicts with a ``type``, in the shape of the GenAI conventions.
        name: The name of the speaker, where there is one.
        memo: What gates keep of the text that they made of the message, so that a history
            that is sent again with each turn is not written again.
    """

    role: str
    parts: Sequence[Mapping[str, object]]
    name: str | None = None
    memo: Any = field(default=None, compare=False, repr=False)


@dataclass(slots=True, kw_only=True, eq=False)
class ModelRequest:
    """What is known of a model call before it is made. Calls that ask for the same may share one: nobody changes it.

    Attributes:
        provider: The provider's name in the GenAI conventions, such as ``aws.bedrock``.
        model: The model that was asked for.
        parameters: Request parameters by their name in the conventions without the prefix:
            temperature, top_p, top_k, max_tokens, frequency_penalty, presence_penalty,
            stop_sequences, seed, choice_count, service_tier, reasoning_level.
        output_type: ``json``, ``image`` or ``speech``, where that was asked for.
        stream: Whether the answer is streamed; None when unknown at the start.
        memo: Where each profile keeps the attributes that it made of the request.
    """

    provider: str | None = None
    model: str | None = None
    server_address: str | None = None
    server_port: int | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)
    output_type: str | None = None
    output_schema: object = None
    stream: bool | None = None
    memo: dict[str, Mapping[str, AttributeValue]] = field(default_factory=dict, repr=False)


@dataclass(slots=True, kw_only=True, eq=False)
class ModelResponse:
    """What a model answered.

    Attributes:
        extra: Further facts by their full attribute name, such as ``openai.response.service_tier``.
        cache_hit: Whether the answer came from LangChain's own cache, and cost nothing.
        messages: Makes one message per choice; costly, hence called only when content is recorded.
        dimensions: Of embeddings: how long a vector is.
    """

    model: str | None = None
    response_id: str | None = None
    finish_reasons: Sequence[str] = ()
    usage: Usage | None = None
    cache_hit: bool = False
    extra: Mapping[str, str] = field(default_factory=dict)
    messages: Callable[[], Sequence[Message]] = tuple
    tool_call_ids: Sequence[str] = ()
    dimensions: int | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class ToolRequest:
    """A tool and the call that asked for it.

    Attributes:
        call_id: The id that the model gave to the call; None when the tool was called directly.
        arguments: The arguments by name; a string when the caller gave only text.
    """

    name: str
    description: str | None = None
    call_id: str | None = None
    arguments: object = None
    type: str = "function"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievedDocument:
    """One document that a retriever found."""

    content: str
    id: str | None = None
    score: float | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Streaming:
    """How a streamed answer came; known when the run ends.

    Attributes:
        first_content_s: Seconds from the start of the run to the first piece with content;
            None when none had any.
    """

    first_content_s: float | None = None


@dataclass(slots=True, eq=False)
class RunStart:
    """What is reported when a run starts.

    Attributes:
        run_id: LangChain's id of the run.
        parent_id: The run that it was started by; None for a root.
        run_type: LangChain's word for the kind, as its console prints it: chain, prompt, llm, …
        name: The run's own name: ``run_name`` where the user gave one, else the class's.
        named: Whether the user gave the name.
        inputs: What went in, as it came: a dict, messages, a string, any object.
        request: For models: what is asked for, or what reads it; see `model`.
        messages: For models: the messages, made only when content is recorded. For graphs: those of their state.
        tools: For models: the definitions of the tools that are offered, made only when content is recorded.
        query: For retrievers.
        agent_name: The agent that the run belongs to, where there is one.
        conversation_id: From the caller's metadata or LangGraph's ``thread_id``.
    """

    run_id: UUID
    parent_id: UUID | None
    kind: RunKind
    run_type: str
    name: str
    named: bool = False
    inputs: object = None
    tags: Sequence[str] = ()
    metadata: Mapping[str, object] = field(default_factory=dict)
    request: ModelRequest | Callable[[], ModelRequest] | None = None
    messages: Callable[[], Sequence[Message]] = tuple
    tools: Callable[[], Sequence[Mapping[str, object]]] = tuple
    tool: ToolRequest | None = None
    query: str | None = None
    agent_name: str | None = None
    conversation_id: str | None = None
    user_id: str | None = None
    attempt: int | None = None

    @property
    def model(self) -> ModelRequest | None:
        """What a model is asked for, read when somebody wants to know; None for other runs."""
        if callable(self.request):
            self.request = self.request()
        return self.request


@dataclass(slots=True, kw_only=True, eq=False)
class RunEnd:
    """What is reported when a run ends well.

    Attributes:
        raw: The output as the framework holds it, where ``outputs`` was taken out of that.
        inputs: The real input, where the start had none yet (streams); else None.
        failed: A tool's answer that says it failed without raising; the message or None.
    """

    outputs: object = None
    raw: object = None
    inputs: object = None
    response: ModelResponse | None = None
    documents: Callable[[], Sequence[RetrievedDocument]] | None = None
    failed: str | None = None
    streaming: Streaming | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class RunFailure:
    """What is reported when a run raises.

    Attributes:
        error: What was raised.
        outcome: What that means: an error, an interrupt, a cancellation, …
        response: Of a model: what it had answered until then.
        inputs: As in RunEnd.
    """

    error: BaseException
    outcome: Outcome = Outcome.ERROR
    response: ModelResponse | None = None
    inputs: object = None
    streaming: Streaming | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """Something that happened inside a run: a retry, a text, an agent's action, a custom event.

    Attributes:
        name: The event's name on the span.
        data: What came with it; content, hence recorded only where the gate lets it through.
        outcome: How the run will have ended if it is reported to end well; None: well.
        once: Whether it happens once in a run, so that a second report is of the same.
    """

    name: str
    data: object = None
    outcome: Outcome | None = None
    once: bool = False
