"""Binary data as text: base64 in one run or in many lines, and ``data:`` addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

from ._markers import MOST_HASHED, base64_marker, binary_marker, in_bytes
from ._quotes import Edit, edited, end_of_line, end_of_quoted
from ._search import search

__all__ = [
    "LONGEST_RUN",
    "marker_of_all",
    "without_addresses",
    "without_data",
    "without_lines",
    "without_runs",
]

LONGEST_RUN: Final = 64
"""How many characters of base64 are left alone."""

_CHUNK: Final = 4_096  # characters that tell what they are
_LEAST_ADDRESS: Final = 64  # characters of data in an address that is not base64
_MASK: Final = b"[secret]"
_LEAST_LINES: Final = 3
_LEAST_REST: Final = 16  # letters of a last line that does not end in "="

_ADDRESS: Final = re.compile(rb"data:([\w.+-]+/[\w.+-]+)?((?:;[\w.=+-]+)*);base64,([A-Za-z0-9+/_=\s%-]*)")
_OTHER_ADDRESS: Final = re.compile(rb"data:([\w.+-]+/[\w.+-]+)?(?:;[\w.=+%-]+)*,(?!\s)")
_BARE_DATA: Final = re.compile(  # with brackets and apostrophes only in pairs
    rb"(?:[^\s\"'\\<>\[\](){}]+|\([^\s\"'\\<>\[\](){}]*\)|'[^\s\"'\\<>\[\](){}]*')*"
)

_ONLY: Final = re.compile(rb"[A-Za-z0-9+/_\s-]*={0,2}\s*")
_SAMPLES: Final = 32  # places in a long text that tell whether all of it is data
_SAMPLE: Final = 256  # characters of each

_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_TO_LETTERS: Final = bytes(ord("a") if i in _LETTERS else ord(" ") for i in range(256))
_RUN_LETTERS: Final = _LETTERS + b"_-"
_TO_RUN_LETTERS: Final = bytes(ord("a") if i in _RUN_LETTERS else ord(" ") for i in range(256))
_LEAST_RUN: Final = b"a" * (LONGEST_RUN + 1)
_LEAST_LINE: Final = b"a" * 48
_BREAK: Final = re.compile(rb"((?:\\+r|\r)?(?:\\+n|\n)[ ]{0,16})")  # in JSON a line ends in a backslash and a letter
_has_breaks: Final = search(r"\n | \\n")
_LINES: Final = re.compile(
    rb"(?:[A-Za-z0-9+/]{48,76}%b){2,}[A-Za-z0-9+/]{1,76}={0,2}(?![A-Za-z0-9+/])"
    % _BREAK.pattern.replace(b"((", b"(?:(")
)
_CASELESS: Final = b"0123456789+/_-=\r\n"
_HEX: Final = b"0123456789abcdefABCDEF"
_FEWEST: Final = 6  # letters that data consists of
_GLANCE: Final = 64  # characters, which nearly always show as many
_BACKSLASH: Final = ord("\\")
_ESCAPE: Final = re.compile(rb"[nrtbf]|u[0-9a-fA-F]{4}")  # after a backslash, in JSON
_DIGIT: Final = re.compile(rb"[0-9]")


def marker_of_all(text: str) -> str | None:
    """Return what stands in place of a long text that is one piece of base64, also as an address, or None.

    Samples tell, from its head to its tail: to look at all of it would take too long in a callback.
    """
    address = _ADDRESS.match(in_bytes(text[:_CHUNK])) if text.isascii() else None
    data = text[address.start(3) :] if address else text
    places = range(0, len(data) - _SAMPLE, max(len(data) // _SAMPLES, _SAMPLE))
    samples = [in_bytes(data[at : at + _SAMPLE]) for at in places]
    if not samples or not all(map(_ONLY.fullmatch, [*samples, in_bytes(data[-_SAMPLE:])])):
        return None
    if address is None and not _is_base64(b"".join(samples)):
        return None
    return base64_marker(_kind(address) if address else "base64", data)


def without_data(part: Mapping[str, object]) -> Mapping[str, object]:
    """Return a part of a message with its binary data replaced by type, size and hash."""
    content = part.get("content")
    if part.get("type") != "blob" or not isinstance(content, (str, bytes)):
        return part
    kind = str(part.get("mime_type") or part.get("modality") or "data")
    marker = base64_marker(kind, str.__str__(content)) if isinstance(content, str) else binary_marker(kind, content)
    return {**part, "content": marker}


def without_runs(text: bytes) -> bytes:
    """Return a text with every long run of base64 replaced by its size and hash."""
    return edited(text, _runs(text))


# ---------------------------------------------------------------- addresses


def without_addresses(text: bytes) -> bytes:
    """Return a text with every ``data:`` address replaced by the type, size and hash of its data."""
    return edited(text, _addresses(text)) if b"data:" in text else text


def _addresses(text: bytes) -> Iterator[Edit]:
    at = text.find(b"data:")
    while at >= 0:
        edit = _address(text, at)
        if edit is not None:
            yield edit
        at = text.find(b"data:", at + 1 if edit is None else edit.end)


def _address(text: bytes, at: int) -> Edit | None:
    if found := _ADDRESS.match(text, at):
        return Edit(at, found.end(), base64_marker(_kind(found), found[3]).encode())
    found = _OTHER_ADDRESS.match(text, at)
    if found is None:
        return None
    start, end = found.end(), _end_of_data(text, at, found.end())
    own = end - start - len(_MASK) * text.count(_MASK, start, end)  # masking makes it no longer
    if own < _LEAST_ADDRESS:
        return None
    return Edit(at, end, _unquoted_marker(_kind(found), text[start:end]).encode())


def _kind(found: re.Match[bytes]) -> str:
    return (found[1] or b"data").decode()


def _end_of_data(text: bytes, at: int, start: int) -> int:
    """Return where the data of an address ends: at its closing quote, or with its last tag, or at white space."""
    if (end := end_of_quoted(text, at, start)) is not None:
        return end
    if text.startswith((b"<", b"%3C", b"%3c"), start):
        end = end_of_line(text, start, is_markup=True)
        tags = [text.rfind(tag, start, end) + len(tag) for tag in (b">", b"%3E", b"%3e")]
        return max(tags) if max(tags) > start else end
    found = _BARE_DATA.match(text, start)
    return found.end() if found else start


def _unquoted_marker(kind: str, data: bytes) -> str:
    """Return the marker of data with percent signs, of which three characters may be a byte."""
    size = len(data) - 2 * data.count(b"%")
    return binary_marker(kind, unquote_to_bytes(data[: 3 * MOST_HASHED]), size if size > MOST_HASHED else None)


# ---------------------------------------------------------------- base64 in lines


def without_lines(text: bytes) -> bytes:
    """Return a text with base64 that is broken into lines replaced by its size and hash."""
    return edited(text, _blocks(text)) if _has_breaks(text.decode("latin-1")) else text  # which any bytes are


def _blocks(text: bytes) -> Iterator[Edit]:
    letters = text.translate(_TO_LETTERS)
    start = letters.find(_LEAST_LINE)
    while start >= 0:
        # The letter of an escaped break before is none of the line.
        start += text.startswith((b"\\n", b"\\r"), start - 1) if start else 0
        found = _LINES.match(text, start)
        if found and _is_base64(found[0]):
            yield Edit(start, found.end(), _without_blocks(_BREAK.split(found[0])))
        end = found.end() if found else letters.find(b" ", start)
        start = letters.find(_LEAST_LINE, end) if end >= 0 else -1


def _without_blocks(parts: list[bytes]) -> bytes:
    """Return lines, and the breaks between them, with every block of base64 replaced."""
    result, at = [], 0
    while at < len(parts):
        end = _end_of_block(parts, at)
        data = b"".join(parts[at:end:2])
        is_block = end - at >= 2 * _LEAST_LINES - 1 and _DIGIT.search(data) is not None and _is_base64(data)
        result += [base64_marker("base64", data).encode()] if is_block else parts[at:end]
        result += parts[end : end + 1]
        at = end + 1
    return b"".join(result)


def _end_of_block(parts: list[bytes], at: int) -> int:
    """Return where the lines end that are as long as the first, with a shorter one that is the rest of the data."""
    width, end = len(parts[at]), at + 1
    while end < len(parts) and len(parts[end + 1]) == width:
        end += 2
    is_rest = end < len(parts) and len(parts[end + 1]) < width and _is_rest(parts[end + 1])
    return end + 2 if is_rest and end - at > 1 else end


def _is_rest(line: bytes) -> bool:
    return line.endswith(b"=") or (len(line) % 4 == 0 and len(line) >= _LEAST_REST)


# ---------------------------------------------------------------- base64 in a run


def _runs(text: bytes) -> Iterator[Edit]:
    letters = text.translate(_TO_RUN_LETTERS)
    at = letters.find(_LEAST_RUN)
    while at >= 0:
        # The letter of an escape before is none of the run.
        escape = _ESCAPE.match(text, at) if at and text[at - 1] == _BACKSLASH else None
        start, end = escape.end() if escape else at, _end_of_run(text, letters, at)
        if end - start > LONGEST_RUN and _is_base64(run := text[start:end]):
            yield Edit(start, end, base64_marker("base64", run).encode())
        at = letters.find(_LEAST_RUN, end)


def _end_of_run(text: bytes, letters: bytes, start: int) -> int:
    """Return where a run ends: with the line that is too short for one, behind those that are not."""
    line, end = start, _end_of_letters(letters, start)
    while end - line > LONGEST_RUN:
        line = _behind(text, end, b"\r", b"\n")
        end = _end_of_letters(letters, line)
    return _behind(text, end, b"=", b"=")


def _end_of_letters(letters: bytes, at: int) -> int:
    end = letters.find(b" ", at)
    return end if end >= 0 else len(letters)


def _behind(text: bytes, at: int, *signs: bytes) -> int:
    """Return the place behind those of the signs that stand at one."""
    for sign in signs:
        at += len(sign) * text.startswith(sign, at)
    return at


def _is_base64(run: bytes) -> bool:
    """Return whether any piece of a run looks like base64, as data may begin with thousands of zeros, all one letter.

    A path, a slug, a hash or a line of one letter is no base64: that mixes cases and has few separators.
    """
    return any(_is_mixed(run[at : at + _CHUNK]) for at in range(0, len(run), _CHUNK)) and bool(run.strip(_HEX))


def _is_mixed(chunk: bytes) -> bool:
    if chunk.islower() or chunk.isupper() or not chunk.strip(_CASELESS):
        return False
    separators = chunk.count(b"/") + chunk.count(b"-") + chunk.count(b"_")
    return separators * 12 <= len(chunk) and any(len(set(part)) >= _FEWEST for part in (chunk[:_GLANCE], chunk))
