"""Streamed answers, put together again from what the providers' clients yield.

Each piece is handed to the reader that knows its shape. All readers add to the same
growing answer and return the text that a piece brought.
"""

from __future__ import annotations

from typing import Any, Final

from chainspan._encode import to_json
from chainspan.langchain._answers import Answer

from ._fields import at, has, items
from ._growing import GrowingAnswer
from ._pieces import SHAPES
from ._whole import answer_of_text, read_answer

__all__ = ["Gathered"]

_MOST_PIECES: Final = 100_000  # of one answer; what comes later is not kept
_MOST_UNREAD: Final = 1_000  # pieces that say nothing, and are kept for the case that none does
_LARGEST_VALUE: Final = 1_000_000  # bytes, of those


class Gathered:
    """What a stream has yielded so far.

    Attributes:
        pieces: How many pieces have come.
    """

    def __init__(self) -> None:
        self.pieces = 0
        self._grown = GrowingAnswer()
        self._unread: list[Any] | None = []  # as long as nothing that has come says anything

    def take(self, piece: Any) -> str:
        """Add a piece, and return the text that it brought."""
        self.pieces += 1
        if self.pieces > _MOST_PIECES:
            return ""
        said = self._read(piece)
        if self._unread is not None:
            self._unread = self._still_unread(piece, self._unread)
        return said

    def holds_more(self) -> bool:
        """Return whether thoughts or calls have come so far."""
        return self._grown.holds_more()

    def answer(self) -> Answer:
        """Return the answer as far as it has come: of pieces in which nobody finds any, their values."""
        if self._unread:
            return answer_of_text(to_json(self._unread, limit_bytes=_LARGEST_VALUE))
        return self._grown.answer()

    def _read(self, piece: Any) -> str:
        if isinstance(piece, str):
            return self._grown.choice().say(piece)
        if _is_whole(piece):
            self._grown.whole = read_answer(piece)
            return ""
        if has(piece, "data") and not has(piece, "choices"):  # Mistral's events
            piece = at(piece, "data")
        for tell, read in SHAPES:
            if has(piece, tell):
                return read(self._grown, piece)
        return ""

    def _still_unread(self, piece: Any, unread: list[Any]) -> list[Any] | None:
        if self._grown.has_begun:
            return None
        if piece is not None and len(unread) < _MOST_UNREAD:
            unread.append(piece)
        return unread


def _is_whole(piece: Any) -> bool:
    """Return whether a piece is an answer in itself, of a function that streams nothing."""
    choices = items(piece, "choices")
    if choices:
        return at(choices[0], "message") is not None
    return has(piece, "stop_reason") or has(piece, "stopReason") or isinstance(at(piece, "output"), (list, tuple))
