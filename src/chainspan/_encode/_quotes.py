"""Where quoted text ends, in JSON, in JSON inside JSON, and in what Python prints."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

__all__ = ["Edit", "Quoted", "edited", "end_of_line", "end_of_quoted", "quoted"]

# What may end a text in quotes. An apostrophe inside a word does not, and a text in apostrophes
# ends with the JSON text around it.
_ENDS: Final = {
    b'"': re.compile(rb"(?<!\\)(\\*)\"|\r?\n"),
    b"'": re.compile(rb"(?<!\\)(\\*)'(?![\w']|\[secret\])|\r?\n|(?<!\\)\\*\"\s*[,:}\]]"),
}
_QUOTE: Final = re.compile(rb"[bB]?(\\*)([\"'])")
_BEFORE: Final = re.compile(rb"(\\*)([\"'])\Z")
_MOST_BACKSLASHES: Final = 32  # before a quote; JSON in JSON in JSON in JSON has 15

# A line that may stand in quotes: up to a quote or a line's end, which in JSON is a backslash
# and a letter, with quoted values of its own.
_LINE: Final = rb"""(?: [^"'\r\n\\=]+
                      | =(\\*)"(?:[^\s,:;.+})\]"'\\][^"\r\n\\]*)?\1"
                      | =
                      | APOSTROPHE
                      | \\+(?![\\rnbftu0"'])
                    )*"""
_HEADER: Final = re.compile(_LINE.replace(b"APOSTROPHE", rb"(?<=\w)'(?=\w)"), re.VERBOSE)
_MARKUP: Final = re.compile(_LINE.replace(b"APOSTROPHE", rb"'(?!\s*[,:})\]])"), re.VERBOSE)


class Edit(NamedTuple):
    """What to put in place of a piece of a text."""

    start: int
    end: int
    text: bytes


class Quoted(NamedTuple):
    """A text in quotes: where it starts and ends, and where its closing quote ends, if there is one."""

    start: int
    end: int
    after: int | None


def edited(text: bytes, edits: Iterable[Edit]) -> bytes:
    """Return a text with pieces replaced; of pieces that overlap the first."""
    pieces, done = [], 0
    for start, end, new in edits:
        if start >= done:
            pieces += [text[done:start], new]
            done = end
    return b"".join([*pieces, text[done:]]) if pieces else text


def quoted(text: bytes, at: int, most: int | None = None) -> Quoted | None:
    """Return the quoted text that begins at a place, or None if none does.

    Args:
        text: All of it.
        at: Where the quote is expected.
        most: How far to look for the closing quote.
    """
    opening = _QUOTE.match(text, at)
    if opening is None:
        return None
    start = opening.end()
    return _closed(text, start, len(opening[1]), opening[2], len(text) if most is None else start + most)


def end_of_quoted(text: bytes, at: int, start: int) -> int | None:
    """Return where the quotes close that open right before a place, or None."""
    opening = _BEFORE.search(text, max(at - _MOST_BACKSLASHES, 0), at)
    if opening is None:
        return None
    found = _closed(text, start, len(opening[1]), opening[2], len(text))
    return found.end


def end_of_line(text: bytes, at: int, *, is_markup: bool = False) -> int:
    """Return where a line ends that may stand in quotes itself."""
    found = (_MARKUP if is_markup else _HEADER).match(text, at)
    return found.end() if found else at


def _closed(text: bytes, start: int, depth: int, quote: bytes, most: int) -> Quoted:
    """Find the closing quote: it has the backslashes of the opening one, after none or some that are escaped."""
    for found in _ENDS[quote].finditer(text, start, most):
        if found[1] is None:
            return Quoted(start, found.start(), None)
        count = len(found[1])
        if count % (depth + 1) != depth:  # this closes a text around this one
            return Quoted(start, found.end() - (~count & (count + 1)), None)
        if count % (2 * depth + 2) == depth:
            return Quoted(start, found.end() - depth - 1, found.end())
    return Quoted(start, min(most, len(text)), None)
