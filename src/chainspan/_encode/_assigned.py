"""Secrets that are known by their name: assignments, lines of headers, and pairs of a name and a value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ._quotes import Edit, Quoted, edited, end_of_line, quoted
from ._search import search

__all__ = ["ASSIGNMENT", "is_secret_key", "is_secret_pair", "without_assigned"]

_NAMES: Final = (
    r"(?:api|access|account|secret|private)[_-]?key|client[_-]?secret|secret|passw(?:or)?d|passphrase"
    r"|(?:access|refresh|auth|id|bearer|session|security)[_-]?token|authorization|credentials?|(?:set-)?cookie"
)
_SECRET_KEY: Final = re.compile(rf"(?:.*[._-])?(?:{_NAMES})", re.IGNORECASE)
_LAST_LETTERS: Final = (
    "key",
    "secret",
    "wd",
    "word",
    "phrase",
    "token",
    "authorization",
    "credential",
    "credentials",
    "cookie",
)
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_LONGEST_NAME: Final = 64
_WORDS: Final = re.compile(r"[A-Za-z]+(?:[_-][A-Za-z]+)*")  # what the next of a list of names is as well

# How an assignment may begin: every name above ends in one of these, in lower case.
_HINTS: Final = (b"key", b"secret", b"pass", b"token", b"authorization", b"credential", b"cookie", b"sig", b"signature")
_HINT_END: Final = re.compile(  # quotes of any depth
    rb"(w(?:or)?d|phrase|s)?([\"'\\]*)\s*(=>|:=|={2,3}(?=\s*[bB]?\\*[\"'])|[:=,])\s*"
)
_LAST_QUOTE: Final = re.compile(rb"\\*[\"']\Z")
_IN_ADDRESS: Final = r"(?:[?&]|&amp;|\\u0026)"  # where a parameter of an address begins, in HTML and in JSON too
_SIGNATURE: Final = r"(?:[a-z-]{1,9}-)?sig(?:nature)?"  # what lets anybody in whom a signed address is shown to
_NAME: Final = re.compile(rf"(?:{_NAMES}|{_IN_ADDRESS}(?:key|{_SIGNATURE}))\Z".encode())

# In JSON a line's end is a backslash and a letter.
_SPACE: Final = rb"(?:\s|\\+[nrt])*"
_FIRST_OF_PAIR: Final = re.compile(
    rb"([\[(]SPACE|[\])]SPACE,SPACE)?[\[(]SPACE[bB]?\\*[\"'][\w.-]{0,64}\Z".replace(b"SPACE", _SPACE)
)
_END_OF_PAIR: Final = re.compile(rb"%b(?:,%b)?[\])]" % (_SPACE, _SPACE))

_SCHEMES: Final = (
    rb"bearer|basic|digest|token|api-?key|(?:aws4|goog4|tc3|acs3)-[\w-]+|negotiate|ntlm|hawk|hmac(?:-\w+)?|oauth"
    rb"|signature|shared-?key(?:-?lite)?|dpop|mutual|scram-[\w-]+|splunk|sso-key|genie-?key|jwt|bot|private-?token"
)
_MASKED: Final = rb"\[secret\]|\[redacted\]"
_KEPT: Final = re.compile(
    rb"\s*|(?:(?:%b)\s+)?(?:%b)|none|null|true|false|(?:%b)\s*" % (_SCHEMES, _MASKED, _SCHEMES), re.IGNORECASE
)
_SCHEME: Final = re.compile(rb"(?:%b)[ \t]+(?=\S)" % _SCHEMES, re.IGNORECASE)
_SOME_SCHEME: Final = re.compile(rb"[A-Za-z][\w-]{0,40}[ \t]+(?=[^\s\"'\\]{0,64}[0-9=])")
_COOKIE: Final = re.compile(rb"[^\s=;,\"'\\]{1,256}=")
_SENTENCE: Final = re.compile(rb"[a-z]{1,15}(?![^\s\"'\\.;!?)])")  # how one goes on, and no key
_BARE: Final = re.compile(
    rb"((?:(?:bearer|basic)\s+)?)(?!%b|(?:none|null|true|false|bearer|basic)\b)[^\s\"'\\&,;)}\]]{4,}" % _MASKED,
    re.IGNORECASE,
)
_TALK: Final = re.compile(rb"\s|\Z|[,:}\]]\s*(?:[\"'\\,:{}\[\]0-9]|\Z)")  # so the quote before closes a text
_IS_MASKED: Final = re.compile(_MASKED)
_NUMBER: Final = re.compile(rb"-?[0-9][0-9.eE+-]{3,}(?!\w)")
_LONGEST_START: Final = 16  # of a name, before a hint
_MOST_QUOTES: Final = 32
_MOST_QUOTED: Final = 256  # bytes after an apostrophe, which may be none that opens a text
_SECRET: Final = b"[secret]"

_BLOCK: Final = 2_048  # bytes that are looked at more closely where there may be an assignment among them
_LONGEST_SIGN: Final = 512  # bytes from a hint to the sign of its assignment

ASSIGNMENT: Final = r"""
        (?i: (?:key|secret|pass|token|authorization|credential|cookie)(?:w(?:or)?d|phrase|s)?
             (?: ["'\\nrtfu0b\s]*[:=] | \\*["']["'\\nrtfu0b\s]*, )
           | sig(?:nature)?= )
"""
"""What any of this begins with, a little wider, and in JSON too, for `search`."""
_is_assigning: Final = search(ASSIGNMENT)
_holds: Final = {hint: search(hint.decode()) for hint in _HINTS}
_holds_any: Final = search("|".join(map(bytes.decode, _HINTS)))


def is_secret_key(key: str) -> bool:
    """Return whether what stands under this key is a secret: ``x-api-key``, ``client_secret``, ``accessToken``."""
    return key.lower().endswith(_LAST_LETTERS) and _SECRET_KEY.fullmatch(_CAMEL.sub("_", key)) is not None


def is_secret_pair(first: str, second: str) -> bool:
    """Return whether two texts of a list are a secret and its key, and not two names, such as those of a schema."""
    return len(first) <= _LONGEST_NAME and is_secret_key(first) and _WORDS.fullmatch(second) is None


def without_assigned(text: bytes) -> bytes:
    """Return a text in which what is assigned to the name of a secret is masked.

    Quoted values are masked to their closing quote, headers to the end of their line, and
    others to the next white space.
    """
    return edited(text, _masks(text))


# ---------------------------------------------------------------- names


class _Assigned(NamedTuple):
    """Where something is assigned.

    Attributes:
        start: Where the last part of the name starts.
        at: Where the value starts.
        name: The end of the name, in lower case.
        quote: What closes the name, if it stands in quotes.
        sign: What parts the two: a comma in a pair.
    """

    start: int
    at: int
    name: bytes
    quote: bytes
    sign: bytes


def _masks(text: bytes) -> Iterator[Edit]:
    done = 0
    for found in sorted(_assignments(text.lower())):
        if found.start >= done and (edit := _mask(text, found)) is not None:
            done = edit.end
            yield edit


def _assignments(lower: bytes) -> Iterator[_Assigned]:
    as_text = lower.decode("latin-1")  # which any bytes are: a block may begin and end within a character
    for start in range(0, len(lower), _BLOCK):
        block = as_text[start : start + _BLOCK + _LONGEST_SIGN]
        if _holds_any(block) and _is_assigning(block):
            yield from _assignments_in(lower, start, [hint for hint in _HINTS if _holds[hint](block)])


def _assignments_in(lower: bytes, start: int, hints: Sequence[bytes]) -> Iterator[_Assigned]:
    """Yield what is assigned where a block starts, to a name that ends in one of the hints which it holds."""
    stop = start + _BLOCK
    for hint in hints:
        size = len(hint)
        at = lower.find(hint, start, stop + size - 1)
        while at >= 0:
            end = at + size
            if (found := _HINT_END.match(lower, end)) and (name := _name(lower, at, found)):
                quote = _LAST_QUOTE.search(found[2][-_MOST_QUOTES:])
                yield _Assigned(at, found.end(), name, quote[0] if quote else b"", found[3])
            at = lower.find(hint, end, stop + size - 1)


def _name(lower: bytes, at: int, found: re.Match[bytes]) -> bytes:
    end = found.start() + len(found[1] or b"")
    name = _NAME.search(lower[max(at - _LONGEST_START, 0) : end])
    return name[0] if name else b""


# ---------------------------------------------------------------- values


def _mask(text: bytes, found: _Assigned) -> Edit | None:
    """Return what masks an assigned value, or None if there is none, or it is masked already."""
    if found.sign == b",":
        return _mask_of_pair(text, found) if found.quote else None
    is_apostrophe = not found.quote and text.startswith(b"'", found.at)
    value = quoted(text, found.at, _MOST_QUOTED if is_apostrophe else None)
    if value is None:
        return _mask_of_bare(text, found)
    if is_apostrophe and value.after is None:
        return _mask_of_word(text, value.start)
    return None if not found.quote and _TALK.match(text, value.start) else _mask_of_quoted(text, value)


def _mask_of_quoted(text: bytes, value: Quoted) -> Edit | None:
    start, end, _ = value
    if _KEPT.fullmatch(text, start, end):
        return None
    scheme = _SCHEME.match(text, start, end)
    return Edit(scheme.end() if scheme else start, end, _SECRET)


def _mask_of_pair(text: bytes, found: _Assigned) -> Edit | None:
    first = _FIRST_OF_PAIR.search(text[max(found.start - 2 * _LONGEST_NAME, 0) : found.start])
    value = quoted(text, found.at) if first else None
    if first is None or value is None or value.after is None or _END_OF_PAIR.match(text, value.after) is None:
        return None
    is_among_pairs = first[1] is not None
    if not is_among_pairs and _WORDS.fullmatch(text[value.start : value.end].decode("utf-8", "replace")):
        return None
    return _mask_of_quoted(text, value)


def _mask_of_bare(text: bytes, found: _Assigned) -> Edit | None:
    if found.quote:
        return _mask_in_data(text, found)
    if found.name == b"authorization":
        return _mask_of_authorization(text, found.at)
    if found.name.endswith(b"cookie") and found.sign == b":" and _COOKIE.match(text, found.at):
        return _mask_to(found.at, end_of_line(text, found.at))
    return _mask_of_word(text, found.at)


def _mask_in_data(text: bytes, found: _Assigned) -> Edit | None:
    """Mask what is not quoted though its name is: a number becomes a text, which JSON needs."""
    if number := _NUMBER.match(text, found.at):
        return Edit(found.at, number.end(), found.quote + _SECRET + found.quote)
    return None if text.startswith((b"[", b"{"), found.at) else _mask_of_word(text, found.at)


def _mask_of_authorization(text: bytes, at: int) -> Edit | None:
    scheme = _SCHEME.match(text, at)
    start = scheme.end() if scheme else at
    if _IS_MASKED.match(text, start):
        return None
    is_line = _SOME_SCHEME.match(text, at) if scheme is None else not _SENTENCE.match(text, start)
    return _mask_to(start, end_of_line(text, start)) if is_line else _mask_of_word(text, start)


def _mask_to(start: int, end: int) -> Edit | None:
    return Edit(start, end, _SECRET) if end > start else None


def _mask_of_word(text: bytes, at: int) -> Edit | None:
    word = _BARE.match(text, at)
    return Edit(word.end(1), word.end(), _SECRET) if word else None
