"""Streamed answers, put together again from what the providers' clients yield.

Each piece is handed to the reader that knows its shape; a reader adds to the same answer,
so that a stream of any provider ends as a whole answer does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from chainspan.langchain._answers import Answer, Call, Choice, Turn

from ._blocks import add_blocks
from ._fields import at, has, items, plain_mapping, text
from ._whole import provider_of, read_answer, usage_counts

__all__ = ["Gathered"]

_MOST_PIECES: Final = 100_000  # of one answer; what comes later is not kept


class Gathered:
    """What a stream has yielded so far."""

    def __init__(self) -> None:
        self._choices: dict[int, _Growing] = {}
        self._answer = Answer(choices=())
        self._usage: dict[str, Any] = {}
        self._whole: Answer | None = None
        self.pieces = 0

    def take(self, piece: Any) -> str:
        """Add a piece, and return the text that it brought."""
        self.pieces += 1
        if self.pieces > _MOST_PIECES:
            return ""
        if isinstance(piece, str):
            return self._at(0).say(piece)
        piece = at(piece, "data") if has(piece, "data") and not has(piece, "choices") else piece  # Mistral
        if _is_whole(piece):
            self._whole = read_answer(piece)
            return ""
        for tell, read in _SHAPES:
            if has(piece, tell):
                return read(self, piece)
        return ""

    def answer(self) -> Answer:
        """Return the answer as far as it has come."""
        if self._whole is not None:
            return self._whole
        choices = [self._choices[index].choice() for index in sorted(self._choices)]
        self._answer.choices = choices or [Choice(turn=Turn(role="assistant"))]
        self._answer.usage = self._usage
        return self._answer

    # ------------------------------------------------------------ the readers
    def _head(self, piece: Any) -> None:
        """Note what stands around an answer: who gave it, and the tokens so far."""
        known = self._answer
        known.provider = known.provider or provider_of(piece)
        known.model = known.model or _model(piece)
        known.response_id = known.response_id or text(piece, "id", "response_id")
        extra = {name: said for name in ("service_tier", "system_fingerprint") if (said := text(piece, name))}
        known.extra = {**known.extra, **extra}
        self._usage.update(usage_counts(piece))

    def _chunk(self, piece: Any) -> str:
        """Read a chunk of OpenAI's Chat Completions, or of what has their form."""
        self._head(piece)
        said = ""
        for choice in items(piece, "choices"):
            grown = self._at(at(choice, "index") or 0)
            delta = at(choice, "delta")
            grown.think(text(delta, "reasoning_content"))
            content = at(delta, "content") or at(delta, "refusal") or at(choice, "text")
            said += grown.say(content if isinstance(content, str) else _joined(content, grown))
            for call in items(delta, "tool_calls"):
                self._call_delta(grown, call)
            grown.stop(at(choice, "finish_reason"))
        return said

    @staticmethod
    def _call_delta(grown: _Growing, call: Any) -> None:
        given = at(call, "function", "arguments")
        made = given if given is None or isinstance(given, str) else plain_mapping(given)
        index = at(call, "index")
        grown.call(index if isinstance(index, int) else 0, text(call, "id"), text(at(call, "function"), "name"), made)

    def _candidates(self, piece: Any) -> str:
        """Read Google's pieces, each an answer of its own."""
        self._head(piece)
        answer = read_answer(piece)
        said = ""
        for index, choice in enumerate(answer.choices if answer is not None else ()):
            said += self._at(index).add(choice)
        return said

    def _event(self, piece: Any) -> str:
        """Read an event with a type: Anthropic's, or those of OpenAI's Responses API."""
        kind = text(piece, "type") or ""
        if (response := at(piece, "response")) is not None and kind.endswith((".completed", ".incomplete", ".failed")):
            self._whole = read_answer(response)
            return ""
        read = _EVENTS.get(kind)
        return "" if read is None else read(self, piece)

    def _message_start(self, piece: Any) -> str:
        self._head(at(piece, "message"))
        return ""

    def _block_start(self, piece: Any) -> str:
        block = at(piece, "content_block")
        if at(block, "type") == "tool_use":
            self._at(0).call(at(piece, "index") or 0, text(block, "id"), text(block, "name"), None)
        return ""

    def _block_delta(self, piece: Any) -> str:
        delta, grown = at(piece, "delta"), self._at(0)
        grown.think(text(delta, "thinking"))
        if (partial := text(delta, "partial_json")) is not None:
            grown.call(at(piece, "index") or 0, None, None, partial)
        return grown.say(text(delta, "text"))

    def _message_delta(self, piece: Any) -> str:
        self._at(0).stop(at(piece, "delta", "stop_reason"))
        self._usage.update(usage_counts(piece))
        return ""

    def _text_delta(self, piece: Any) -> str:
        return self._at(0).say(text(piece, "delta"))

    # Bedrock says which event it is by the key that holds it.
    def _converse_start(self, piece: Any) -> str:
        held = at(piece, "contentBlockStart")
        call = at(held, "start", "toolUse")
        if call is not None:
            index = at(held, "contentBlockIndex") or 0
            self._at(0).call(index, text(call, "toolUseId"), text(call, "name"), None)
        return ""

    def _converse_delta(self, piece: Any) -> str:
        held, grown = at(piece, "contentBlockDelta"), self._at(0)
        delta = at(held, "delta")
        grown.think(text(at(delta, "reasoningContent"), "text"))
        if (partial := text(at(delta, "toolUse"), "input")) is not None:
            grown.call(at(held, "contentBlockIndex") or 0, None, None, partial)
        return grown.say(text(delta, "text"))

    def _converse_stop(self, piece: Any) -> str:
        self._answer.provider = "aws.bedrock"
        self._at(0).stop(at(piece, "messageStop", "stopReason"))
        return ""

    def _converse_metadata(self, piece: Any) -> str:
        self._usage.update(usage_counts(at(piece, "metadata")))
        return ""

    def _langchain(self, piece: Any) -> str:
        """Read a chunk of LangChain's, whose parts add up by themselves."""
        answer = read_answer(piece)
        if answer is None:
            return ""
        known = self._answer
        known.model, known.response_id = known.model or answer.model, known.response_id or answer.response_id
        self._usage = {**self._usage, **answer.usage}
        return "".join(self._at(0).add(choice) for choice in answer.choices)

    def _at(self, index: int) -> _Growing:
        return self._choices.setdefault(index, _Growing())


class _Growing:
    """One choice while it comes."""

    def __init__(self) -> None:
        self._said: list[str] = []
        self._thought: list[str] = []
        self._others: list[Mapping[str, Any]] = []
        self._calls: dict[int, tuple[Call, list[str]]] = {}
        self._reason: str | None = None

    def say(self, said: str | None) -> str:
        if said:
            self._said.append(said)
        return said or ""

    def think(self, thought: str | None) -> None:
        if thought:
            self._thought.append(thought)

    def call(self, index: int, call_id: str | None, name: str | None, arguments: object) -> None:
        call, partial = self._calls.setdefault(index, (Call(id=None, name="", arguments=None), []))
        call.id, call.name = call.id or call_id, call.name or name or ""
        if isinstance(arguments, str):
            partial.append(arguments)
        elif arguments is not None:
            call.arguments = arguments

    def stop(self, reason: Any) -> None:
        if isinstance(reason, str) and reason:
            self._reason = reason

    def add(self, choice: Choice) -> str:
        said = ""
        for block in choice.turn.blocks:
            if block.get("type") == "text":
                said += self.say(block["text"])
            elif block.get("type") == "reasoning":
                self.think(block["reasoning"])
            else:
                self._others.append(block)
        for call in choice.turn.calls:
            self._calls[len(self._calls)] = (call, [])
        self.stop(choice.finish_reason)
        return said

    def choice(self) -> Choice:
        turn = Turn(role="assistant")
        if self._thought:
            turn.blocks.append({"type": "reasoning", "reasoning": "".join(self._thought)})
        if self._said:
            turn.blocks.append({"type": "text", "text": "".join(self._said)})
        turn.blocks += self._others
        for _, (call, partial) in sorted(self._calls.items()):
            given = "".join(partial) if partial else call.arguments
            turn.calls.append(Call(id=call.id, name=call.name, arguments=given))
        return Choice(turn=turn, finish_reason=self._reason)


def _is_whole(piece: Any) -> bool:
    """Return whether a piece is an answer in itself, of a function that streams nothing."""
    choices = items(piece, "choices")
    if choices:
        return at(choices[0], "message") is not None
    return has(piece, "stop_reason") or has(piece, "stopReason") or isinstance(at(piece, "output"), (list, tuple))


def _model(piece: Any) -> str | None:
    model = text(piece, "model", "model_version")
    return None if model is None else model.removeprefix("models/")


def _joined(content: Any, grown: _Growing) -> str:
    """Return the text of a delta that comes in blocks (Mistral's reasoning models)."""
    turn = add_blocks(Turn(role="assistant"), content)
    for block in turn.blocks:
        grown.think(block.get("reasoning"))
    return "".join(block["text"] for block in turn.blocks if block.get("type") == "text")


_EVENTS: Final[Mapping[str, Callable[[Gathered, Any], str]]] = {
    "message_start": Gathered._message_start,
    "content_block_start": Gathered._block_start,
    "content_block_delta": Gathered._block_delta,
    "message_delta": Gathered._message_delta,
    "response.output_text.delta": Gathered._text_delta,
}
_SHAPES: Final[Sequence[tuple[str, Callable[[Gathered, Any], str]]]] = (
    ("choices", Gathered._chunk),
    ("candidates", Gathered._candidates),
    ("contentBlockStart", Gathered._converse_start),
    ("contentBlockDelta", Gathered._converse_delta),
    ("messageStop", Gathered._converse_stop),
    ("metadata", Gathered._converse_metadata),
    ("response_metadata", Gathered._langchain),
    ("type", Gathered._event),
)
