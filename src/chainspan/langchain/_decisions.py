"""What a decision model is asked and answers: its call, which LangChain reports as a chain's, is a model's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from .._encode import attempt
from .._model import Message, ModelResponse, RunKind, RunStart
from ._kinds import is_own_name
from ._messages import messages
from ._payloads import model_request
from ._read import mapping, text_in
from ._usage import usage_of

__all__ = ["ANSWERS", "decided", "describe"]

ANSWERS: Final = "langchain_core.decisions.types"
"""The module of the class that a decision model answers with."""


def describe(start: RunStart) -> None:
    """Make a model's call of a chain's, where it is a decision model's: who is asked what."""
    metadata, asked = start.metadata, mapping(start.inputs)
    if "ls_model_name" not in metadata or "questions" not in asked:
        return
    start.kind = RunKind.CHAT
    start.named = start.named and not is_own_name(start)
    start.request = lambda: model_request(None, {"metadata": metadata})
    start.messages = lambda: [*_state(asked.get("state")), Message("user", _named(asked["questions"]))]


def decided(response: Any) -> ModelResponse:
    """Return what a decision model answered, and the tokens that took."""
    said: Mapping[str, Any] = attempt(lambda: vars(response), {})
    return ModelResponse(
        model=text_in(said, ("model",)),
        response_id=text_in(said, ("request_id",)),
        usage=usage_of(mapping(said.get("usage"))),
        messages=lambda: [Message("assistant", _named(said.get("answers")))],
    )


def _state(state: Any) -> Sequence[Message]:
    """Return a text or messages as such, and any other data as a part of its own."""
    items = state if isinstance(state, (list, tuple)) else (state,)
    made = () if isinstance(state, Mapping) else messages(items)
    return made if len(made) == len(items) else [Message("user", [{"type": "state", "content": state}])]


def _named(typed: Any) -> list[Mapping[str, object]]:
    """Return a part for each question or answer: its type, its name, and what it says."""
    return [{"id": name, **mapping(getattr(each, "__dict__", each))} for name, each in mapping(typed).items()]
