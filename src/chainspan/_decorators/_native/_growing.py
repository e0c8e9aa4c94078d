"""An answer while it comes, piece by piece."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from chainspan._encode import parsed
from chainspan.langchain._answers import Answer, Call, Choice, Turn

from ._blocks import add_block
from ._fields import plain_mapping, text
from ._messages import free_text
from ._whole import EXTRA, model_of, provider_of, usage_counts

__all__ = ["GrowingAnswer", "GrowingChoice"]

_TEXT: Final = "text"
_THOUGHT: Final = "reasoning"
_HELD: Final = "held"
_MADE: Final = "made"


class GrowingAnswer:
    """What has come of an answer so far.

    Attributes:
        whole: The answer, where the stream has said it in one piece.
        provider: Who answers, where a piece's class does not tell.
    """

    def __init__(self) -> None:
        self.whole: Answer | None = None
        self.provider: str | None = None
        self._choices: dict[int, GrowingChoice] = {}
        self._head = Answer(choices=())
        self._usage: dict[str, Any] = {}

    @property
    def has_begun(self) -> bool:
        """Whether anything has been said, or is known of who says it."""
        head = self._head
        return bool(self.whole or self._choices or self._usage or head.model or head.response_id)

    def holds_more(self) -> bool:
        """Return whether anything has come that is no text, thoughts or calls."""
        return any(choice.holds_more() for choice in self._choices.values())

    def choice(self, index: int = 0) -> GrowingChoice:
        """Return one of the choices, a new one where it has not begun."""
        return self._choices.setdefault(index, GrowingChoice())

    def note(self, piece: Any, **facts: str) -> None:
        """Note what stands around the choices: who answers, the tokens so far, and further facts."""
        head = self._head
        head.provider = head.provider or provider_of(piece)
        head.model = head.model or model_of(piece)
        head.response_id = head.response_id or text(piece, "id", "response_id")
        extra = {name: said for name in EXTRA if (said := text(piece, name)) is not None}
        head.extra = {**head.extra, **extra, **facts}
        self.count(usage_counts(piece))

    def add(self, answer: Answer) -> str:
        """Add an answer that is a piece of this one, and return its text."""
        head = self._head
        head.model, head.response_id = head.model or answer.model, head.response_id or answer.response_id
        head.provider = head.provider or answer.provider
        self.count(answer.usage)
        numbered = enumerate(answer.choices)
        return "".join(self.choice(index if made.index is None else made.index).add(made) for index, made in numbered)

    def count(self, usage: Mapping[str, Any]) -> None:
        """Note the tokens so far; a later count is the truer one."""
        self._usage.update(usage)

    def answer(self) -> Answer:
        """Return the answer as far as it has come."""
        if self.whole is not None:
            return self.whole
        head = self._head
        head.choices = [self._choices[index].choice() for index in sorted(self._choices)]
        head.choices = head.choices or [Choice(turn=Turn(role="assistant"))]
        head.provider, head.usage = self.provider or head.provider, self._usage
        return head


class GrowingChoice:
    """One choice while it comes."""

    def __init__(self) -> None:
        self._blocks: list[tuple[str, Any, list[str]]] = []  # in the order in which they began
        self._kind = ""  # of the last of them
        self._pieces: list[str] = []  # of its text
        self._held: dict[int, list[str]] = {}
        self._thinks = False
        self._calls: dict[int, tuple[Call, list[str]]] = {}
        self._custom: set[int] = set()
        self._reason: str | None = None

    def say(self, said: str | None) -> str:
        """Add text, and return it."""
        if said:
            if self._kind != _TEXT:
                self._begin(_TEXT)
            self._pieces.append(said)
        return said or ""

    def think(self, thought: str | None) -> None:
        """Add reasoning."""
        if thought:
            if self._kind != _THOUGHT:
                self._begin(_THOUGHT)
            self._pieces.append(thought)

    def part(self) -> None:
        """Have what is said or thought next be a block of its own."""
        self._kind = ""

    def call(
        self,
        index: int,
        call_id: str | None = None,
        name: str | None = None,
        arguments: object = None,
        *,
        is_custom: bool = False,
    ) -> None:
        """Add to a call; a text is the next piece of its arguments, or of what a custom tool is given."""
        if index in self._held:
            self._held[index].append(str(arguments))
            return
        if is_custom:
            self._custom.add(index)
        call, partial = self._calls.setdefault(index, (Call(id=None, name="", arguments=None), []))
        call.id, call.name = call.id or call_id, call.name or name or ""
        if isinstance(arguments, str):
            partial.append(arguments)
        elif arguments is not None:
            call.arguments = arguments

    def hold(self, index: int, block: Any) -> None:
        """Add a block that is no text and no call of ours; of a call of the provider's, the arguments come later."""
        self._held[index] = self._begin(_HELD, block)

    def stop(self, reason: Any) -> None:
        """Note why the model stopped."""
        if isinstance(reason, str) and reason:
            self._reason = reason

    def add(self, choice: Choice) -> str:
        """Add a choice that is a piece of this one, and return its text."""
        said = ""
        for block in choice.turn.blocks:
            if block.get("type") == "text":
                said += self.say(block["text"])
            elif block.get("type") == "reasoning":
                self.think(block["reasoning"])
            else:
                self._begin(_MADE, block)
        for call in choice.turn.calls:
            self._calls[len(self._calls)] = (call, [])
        self.stop(choice.finish_reason)
        return said

    def holds_more(self) -> bool:
        """Return whether thoughts or calls have come."""
        return self._thinks or bool(self._calls)

    def choice(self) -> Choice:
        """Return the choice as far as it has come."""
        turn = Turn(role="assistant")
        for kind, block, pieces in self._blocks:
            if kind == _HELD:
                add_block(turn, {**plain_mapping(block), "input": parsed("".join(pieces))} if pieces else block)
            else:
                turn.blocks.append(block if kind == _MADE else {"type": kind, kind: "".join(pieces)})
        for index, (call, partial) in sorted(self._calls.items()):
            given = "".join(partial) if partial else call.arguments
            given = free_text(given) if index in self._custom else given
            turn.calls.append(Call(id=call.id, name=call.name, arguments=given))
        return Choice(turn=turn, finish_reason=self._reason)

    def _begin(self, kind: str, block: Any = None) -> list[str]:
        self._kind, self._pieces = kind, []
        self._thinks = self._thinks or kind == _THOUGHT
        self._blocks.append((kind, block, self._pieces))
        return self._pieces
