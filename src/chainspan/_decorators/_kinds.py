"""What each kind of step tells of itself: which callbacks, with what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from typing_extensions import override

from chainspan._encode import attempt, to_json
from chainspan.langchain._answers import Answer, Turn
from chainspan.langchain._managers import Event
from chainspan.langchain._results import documents_of, llm_result, to_message

from ._native import answer_of_text, read_answer, read_request

__all__ = ["KINDS", "Kind", "Own"]

_UNREAD: Final[tuple[list[Turn], dict[str, Any]]] = ([], {})
_LARGEST_VALUE: Final = 1_000_000  # bytes, of a model's answer that is nobody's response object


Start = tuple[str, str, tuple[Any, ...], dict[str, Any]]
"""A first callback: its name, the flag that declines it, its arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """What is said of a step where it is decorated.

    Attributes:
        is_named: Whether the name was given, rather than taken from the function.
        provider: Of a model: who answers, such as ``anthropic``.
        model: The model that is asked; it counts as the one that answered where the answer names none.
        made_with: Of a client's method: whom the client asks, by LangChain's names for that.
        description: What a tool does.
    """

    name: str
    is_named: bool = False
    provider: str | None = None
    model: str | None = None
    made_with: Mapping[str, Any] = field(default_factory=dict)
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of step.

    Attributes:
        word: The middle of its callbacks' names: the chain of ``on_chain_end``.
        ignore: The flag by which a handler declines them.
        run_type: LangChain's word for the kind, where a chain is more than that.
        started: Makes the first callback's name, flag and arguments.
        output: Makes of a result what the last callback is given.
    """

    word: str
    ignore: str
    run_type: str | None = None
    started: Callable[[Own, Any], Start]
    output: Callable[[Own, Any], Any] = lambda _, value: value
    is_model: bool = False
    is_agent: bool = False

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        """Return how to find the kind in another process."""
        return _kind_named, (next(name for name, kind in KINDS.items() if kind is self),)

    def own_metadata(self, own: Own) -> Mapping[str, Any]:
        """Return what a step's run says of itself, under the names that LangChain has for it."""
        if self.is_agent:
            return {"chainspan_kind": "agent"}
        if not self.is_model:
            return {}
        said = {"ls_provider": own.provider, "ls_model_name": own.model, "ls_model_type": "chat"}
        return {key: value for key, value in said.items() if value is not None}

    def shared_metadata(self, own: Own) -> Mapping[str, Any]:
        """Return what everything inside a step's run says too."""
        return {"lc_agent_name": own.name} if self.is_agent else {}

    def ended(self, own: Own, value: Any, ids: Mapping[str, Any]) -> Event:
        """Return the callback for a run that ended well."""
        return Event(f"on_{self.word}_end", self.ignore, (self.output(own, value),), ids)

    def failed(self, error: BaseException, ids: Mapping[str, Any]) -> Event:
        """Return the callback for a run that raised."""
        return Event(f"on_{self.word}_error", self.ignore, (error,), ids)


def _chain(run_type: str | None) -> Callable[[Own, Any], Start]:
    def started(_: Own, inputs: Any) -> Start:
        return "on_chain_start", "ignore_chain", (None, inputs), {"run_type": run_type}

    return started


def _kind_named(name: str) -> Kind:
    return KINDS[name]


def _serialized(own: Own) -> dict[str, Any]:
    described: dict[str, Any] = {"name": own.name, "type": "function"}
    return {**described, "kwargs": dict(own.made_with)} if own.made_with else described


def _tool(own: Own, inputs: Any) -> Start:
    serialized = {**_serialized(own), "description": own.description or ""}
    return "on_tool_start", "ignore_agent", (serialized, str(attempt(lambda: str(inputs), ""))), {"inputs": inputs}


def _retriever(own: Own, inputs: Any) -> Start:
    query = inputs.get("query") if isinstance(inputs, Mapping) else inputs
    if query is None and inputs:
        query = next(iter(inputs.values()))
    said = query if isinstance(query, str) else to_json(query)
    return "on_retriever_start", "ignore_retriever", (_serialized(own), said), {}


def _model(own: Own, inputs: Any) -> Start:
    turns, params = attempt(lambda: read_request(inputs), _UNREAD)
    if own.model is not None:
        params = {"model": own.model, **params}
    messages = [to_message(turn) for turn in turns]
    kwargs = {"invocation_params": params, "options": {}, "batch_size": 1}
    return "on_chat_model_start", "ignore_chat_model", (_serialized(own), [messages]), kwargs


def _answer(own: Own, value: Any) -> Any:
    answer = value if isinstance(value, Answer) else attempt(lambda: read_answer(value), None)
    if answer is None:
        answer = answer_of_text(value if isinstance(value, str) else to_json(value, limit_bytes=_LARGEST_VALUE))
    if answer.model is None and answer.usage:  # tokens that are counted by model
        answer = replace(answer, model=own.model)
    return llm_result(answer, says_provider=own.provider is None)


KINDS: Final[Mapping[str, Kind]] = {
    "agent": Kind(word="chain", ignore="ignore_chain", started=_chain(None), is_agent=True),
    "chain": Kind(word="chain", ignore="ignore_chain", started=_chain(None)),
    "llm": Kind(word="llm", ignore="ignore_llm", started=_model, output=_answer, is_model=True),
    "prompt": Kind(word="chain", ignore="ignore_chain", run_type="prompt", started=_chain("prompt")),
    "retriever": Kind(
        word="retriever",
        ignore="ignore_retriever",
        started=_retriever,
        output=lambda _, found: documents_of(found),
    ),
    "tool": Kind(word="tool", ignore="ignore_agent", started=_tool),
}
