"""What stands in place of binary data: its type, its size and its hash."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Final

__all__ = ["MOST_HASHED", "base64_marker", "binary_marker", "in_bytes"]

MOST_HASHED: Final = 64 * 1024
"""Bytes of data: to hash more takes too long in a callback."""

_LETTERS_HASHED: Final = (MOST_HASHED + 2) // 3 * 4
_OF_FIRST: Final = "first 64 KB "
_BLANKS: Final = (b"%", b" ", b"\n", b"\r", b"\t", b"\v", b"\f")  # which base64 may have between its letters
_TO_BASE64: Final = bytes.maketrans(b"-_", b"+/")
_OF_BREAKS: Final = frozenset({b"\n", b"\r"})
_LINE_BREAK: Final = re.compile(rb"\r?\n")
_PADDING: Final = b"= \n\r\t"
_TAIL: Final = 256  # characters at the end, of which some may be padding


def binary_marker(kind: str, data: bytes, size: int | None = None) -> str:
    """Return what stands in place of binary data: its type, its size, and its hash, of much data that of the first.

    Args:
        kind: The type.
        data: All of it, or at least its first 64 KB.
        size: How many bytes there are, where not all are given.
    """
    size = len(data) if size is None else size
    digest = hashlib.sha256(memoryview(data)[:MOST_HASHED]).hexdigest()[:16]
    return f"[{kind} {size} bytes {_OF_FIRST if size > MOST_HASHED else ''}sha256:{digest}]"


def base64_marker(kind: str, text: str | bytes) -> str:
    """Return what stands in place of binary data given as base64: as for the data itself."""
    first = in_bytes(text[: 2 * MOST_HASHED])
    if len(text) <= 2 * MOST_HASHED:
        return binary_marker(kind, _decoded(first))
    last = in_bytes(text[-_TAIL:])
    end = len(text) - len(last) + len(last.rstrip(_PADDING))
    return binary_marker(kind, _decoded(first, _LETTERS_HASHED), (end - _blanks(text, first, end)) * 3 // 4)


def _blanks(text: str | bytes, first: bytes, end: int) -> int:
    """Return how many characters of much base64 are none of its letters.

    Args:
        text: All of it.
        first: How it begins, which tells what there is to count: to count what is not there takes as long.
        end: Where its letters end.
    """
    signs = [sign for sign in _BLANKS if sign in first]
    breaks = _breaks(text, first, end) if signs and set(signs) <= _OF_BREAKS else None
    if breaks is not None:
        return breaks
    data = in_bytes(text) if signs else b""
    return sum(data.count(sign, 0, end) for sign in signs)


def _breaks(text: str | bytes, first: bytes, end: int) -> int | None:
    """Return how many characters break a text into lines of one width, or None where they stand otherwise.

    To look at where they have to stand takes a thirtieth of the time that it takes to count them.
    """
    found = _LINE_BREAK.search(first)
    if found is None:
        return None
    width, size = found.start(), len(found[0])
    columns = [text[width + at : end : width + size] for at in range(size)]
    is_even = all(column == column[:1] * len(column) for column in columns)
    return sum(map(len, columns)) if is_even else None


def in_bytes(text: str | bytes) -> bytes:
    """Return base64 as bytes, whichever it is given in."""
    return text if isinstance(text, bytes) else text.encode("utf-8", "replace")


def _decoded(text: bytes, most: int | None = None) -> bytes:
    """Return the data that base64 stands for, of so many letters at most; the text itself where it is none."""
    raw = _letters_of(text).rstrip(b"=")[:most]
    raw = raw[: len(raw) - 1] if len(raw) % 4 == 1 else raw
    try:
        return base64.b64decode(raw + b"=" * (-len(raw) % 4))
    except (binascii.Error, ValueError):
        return text


def _letters_of(text: bytes) -> bytes:
    """Return base64 in the letters of its usual alphabet, with nothing in between."""
    if b"-" in text or b"_" in text:
        text = text.translate(_TO_BASE64)
    return b"".join(text.translate(None, b"%").split()) if any(sign in text for sign in _BLANKS) else text
