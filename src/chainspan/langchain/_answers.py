"""Messages and answers of whichever provider, on their way to LangChain's own objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["FREE_TEXT", "Answer", "Call", "Choice", "Turn"]

FREE_TEXT: Final = "__arg1"
"""The argument that LangChain makes of what a tool without a schema is called with."""


@dataclass(slots=True, kw_only=True)
class Call:
    """A tool that a model asks for; arguments that are no JSON stay a text."""

    id: str | None
    name: str
    arguments: object


@dataclass(slots=True, kw_only=True)
class Turn:
    """One message, of whichever provider.

    Attributes:
        role: system, user, assistant or tool.
        blocks: Its content, in the blocks of LangChain's messages.
        call_id: Of a tool's answer: the call that it answers.
    """

    role: str
    blocks: list[Mapping[str, Any]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    call_id: str | None = None

    @property
    def content(self) -> Any:
        """The content as a text, where it is nothing else."""
        if all(block.get("type") == "text" for block in self.blocks):
            return "".join(str(block.get("text") or "") for block in self.blocks)
        return [dict(block) for block in self.blocks]


@dataclass(slots=True, kw_only=True)
class Choice:
    """One of a model's answers.

    Attributes:
        index: Which of them, where that is said of a piece of it.
    """

    turn: Turn
    finish_reason: str | None = None
    index: int | None = None


@dataclass(slots=True, kw_only=True)
class Answer:
    """What a model answered, of whichever provider.

    Attributes:
        provider: As the provider's client names it.
        usage: The tokens, counted as the provider counts them.
        extra: Further facts: ``service_tier``, ``system_fingerprint``.
    """

    choices: Sequence[Choice]
    provider: str | None = None
    model: str | None = None
    response_id: str | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, str] = field(default_factory=dict)
