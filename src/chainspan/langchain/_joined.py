"""What LangChain puts together of a stream's chunks by joining texts, taken apart."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

__all__ = ["LONGEST_JOINED", "once"]

LONGEST_JOINED: Final = 512
"""Letters of a text that is looked at, and remembered."""

_SHORTEST_REPEATED: Final = 4  # letters; a model may be called "coco"


def once(text: str) -> str:
    """Return what is the same text in several chunks, as it is in each."""
    return _once(text) if len(text) <= LONGEST_JOINED else text


@lru_cache(maxsize=256)
def _once(text: str) -> str:
    length = (text + text).find(text, 1)
    return text[:length] if length >= _SHORTEST_REPEATED else text
