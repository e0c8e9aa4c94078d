"""What never leaves, whatever the settings: API keys, bearer tokens, and binary data as text.

Looking for them must cost nearly nothing, as almost no text has any. So one search, by the
regular expressions of pydantic's core, tells whether there is any; only then it is asked
where, and only what surrounds those spots is rewritten.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from pydantic_core import SchemaValidator, core_schema

__all__ = [
    "REDACTED",
    "SECRET",
    "base64_marker",
    "binary_marker",
    "is_secret_key",
    "is_suspicious",
    "mask_text",
    "without_data",
]

SECRET: Final = "[secret]"  # noqa: S105
REDACTED: Final = "[redacted]"

_TOKEN_CHARACTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-."
_AS_TOKEN: Final = bytes(ord("a") if i in _TOKEN_CHARACTERS else ord(" ") for i in range(256))
_TOKEN: Final = b"a" * 16  # the shortest run of such characters that may be a key
_LONGEST_RUN: Final = 64  # of base64 that is left alone
_MOST_HASHED: Final = 64 * 1024  # bytes of data: to hash more takes too long in a callback
_OF_FIRST: Final = "first 64 KB "
_ENOUGH: Final = 4_096  # bytes of a run that tell what it is
_NO_LETTERS: Final = (b"=", b"%", b" ", b"\n", b"\r", b"\t")  # which base64 may have between its letters
_MARGIN: Final = 40  # bytes before a spot that belong to it, such as ``data:image/png;base64,``

_NAMES: Final = (
    r"api[_-]?key|access[_-]?key|secret[_-]?key|private[_-]?key|client[_-]?secret|secret|passw(?:or)?d|passphrase"
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
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")

# How an assignment may begin: every name above ends in one of these, in lower case.
_HINTS: Final = (b"key", b"secret", b"pass", b"token", b"authorization", b"credential", b"cookie")
_HINT_END: Final = re.compile(rb"(?:w(?:or)?d|phrase|s)?[\"'\\]*\s*(?:=>|[:=])")
_BEARER: Final = b"bearer "

# Formats of well-known keys: providers of models, clouds, code hosts, chat services, JSON web tokens.
_FORMATS: Final = r"""
      \b(?:sk|pk|rk)-(?:[A-Za-z0-9]+-)*[A-Za-z0-9_-]{16,}      # OpenAI, Anthropic, Langfuse, OpenRouter
    | \b(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{16,}            # Stripe
    | \b(?:lsv2_(?:pt|sk)_|ls__)[A-Za-z0-9_]{16,}              # LangSmith
    | \bAIza[A-Za-z0-9_-]{30,}                                 # Google
    | \bya29\.[A-Za-z0-9_-]{16,}
    | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b                            # AWS
    | \bABSK[A-Za-z0-9+/=]{40,}
    | \bgh[pousr]_[A-Za-z0-9]{16,} | \bgithub_pat_\w{20,} | \bglpat-[\w-]{16,}
    | \bxox[abeoprs]-[A-Za-z0-9-]{10,}
    | \bhf_[A-Za-z0-9]{20,} | \bgsk_[A-Za-z0-9]{20,} | \bxai-[A-Za-z0-9]{20,} | \bpplx-[A-Za-z0-9]{20,}
    | \br8_[A-Za-z0-9]{20,} | \bnvapi-[A-Za-z0-9_-]{20,} | \bpcsk_\w{20,} | \btvly-[\w-]{16,}
    | \beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*
"""
_KNOWN: Final = re.compile(_FORMATS.encode(), re.VERBOSE)
_PEM: Final = re.compile(
    rb"-----BEGIN[ A-Z]*PRIVATE KEY-----[\s\S]*?(?:-----END[ A-Z]*PRIVATE KEY-----|\Z)",
)
_SCHEME: Final = re.compile(rb"(bearer|basic)([ ]+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_IN_URL: Final = re.compile(rb"(://[^\s/:@\"']*:)[^\s/@\"']+(?=@)")  # scheme://user:password@host
_ASSIGNED: Final = re.compile(
    rf"""
    ((?:{_NAMES}|[?&]key)                   # a name
      ["'\\]*\s*(?:=>|[:=])\s*["'\\]*       # = or : with quotes of any depth
      (?:(?:bearer|basic)\s+)?)
    (?!\[secret\]|\[redacted\]|(?:none|null|true|false|bearer|basic)\b)
    [^\s"'\\&,;)}}\]]{{4,}}                 # its value
    """.encode(),
    re.IGNORECASE | re.VERBOSE,
)
_RUN: Final = re.compile(rb"(?:[A-Za-z0-9+/_-]{%d,}\r?\n?)+(?:[A-Za-z0-9+/_-]+)?={0,2}" % (_LONGEST_RUN + 1))
_DATA_URL: Final = re.compile(rb"data:([\w.+-]+/[\w.+-]+)?((?:;[\w.=+-]+)*);base64,([A-Za-z0-9+/_=\s%-]*)")
# What every alternative of _KNOWN begins with; of literals only, which makes the search twice as fast.
_PREFIX: Final = re.compile(
    rb"sk-|sk_|pk-|pk_|rk-|rk_|lsv2_|ls__|AIza|ya29\.|AKIA|ASIA|ABSK|ghp_|gho_|ghu_|ghs_|ghr_|github_pat|glpat-"
    rb"|xox|hf_|gsk_|xai-|pplx-|r8_|nvapi-|pcsk_|tvly-|eyJ"
)


def _search(pattern: str) -> Callable[[bytes | str], bool]:
    return SchemaValidator(core_schema.str_schema(pattern=f"(?x-u){pattern}")).isinstance_python


# All of the above, a little wider, and in JSON too, where a line break is a backslash and
# a letter. Without the Unicode classes it is one table of states, which takes a nanosecond a byte.
_ANYWHERE: Final = _FORMATS.replace(r"\b", "")
_ASSIGNMENT: Final = r"""
        (?i: (?:key|secret|pass|token|authorization|credential|cookie)(?:w(?:or)?d|phrase|s)?
             ["'\\nrtfu0b\s]*[:=] )
"""
_has_words: Final = _search(r"(?i: bearer\x20|basic\x20 ) | :// | data: | -----BEGIN")
_is_assigning: Final = _search(_ASSIGNMENT)
_has_known: Final = _search(_ANYWHERE)

is_suspicious: Final = _search(
    rf"""{_ASSIGNMENT}
      | (?i: bearer\x20+[A-Za-z0-9._~+/=-]{{8}} )
      | (?u: ://[^\s/:@"']*:[^\s/@"']+@ )
      | data:[\w.+/;=-]*;base64,
      | -----BEGIN[\x20A-Z]*PRIVATE\x20KEY-----
      | [A-Za-z0-9+/_-]{{{_LONGEST_RUN + 1}}}
      | {_ANYWHERE}
    """
)
"""Whether a text may hold a secret or binary data, and has to be looked at more closely.

Errs on the safe side. The text is ASCII, or is bytes in UTF-8, and may be JSON.
"""


def is_secret_key(key: str) -> bool:
    """Return whether what stands under this key is a secret: ``x-api-key``, ``client_secret``, ``accessToken``."""
    return key.lower().endswith(_LAST_LETTERS) and _SECRET_KEY.fullmatch(_CAMEL.sub("_", key)) is not None


def mask_text(text: str, *, keep_data: bool = False) -> str:
    """Return a text without secrets, and with binary data replaced by type, size and hash, or kept."""
    sought = text.encode("utf-8", "replace")
    if not is_suspicious(sought):
        return text
    signs = _Signs(_is_assigning(sought), _has_known(sought), _has_words(sought))
    data = text.encode("utf-8", "surrogatepass")
    windows = _windows(sorted(_spots(data, signs)), data)
    if not windows:
        return text
    pieces, done = [], 0
    for start, end in windows:
        pieces += [data[done:start], (_without_secrets if keep_data else _masked)(data[start:end], signs)]
        done = end
    return b"".join([*pieces, data[done:]]).decode("utf-8", "surrogatepass")


def binary_marker(kind: str, data: bytes, size: int | None = None) -> str:
    """Return what stands in place of binary data: its type, its size, and its hash, of much data that of the first.

    Args:
        kind: The type.
        data: All of it, or at least its first 64 KB.
        size: How many bytes there are, where not all are given.
    """
    size = len(data) if size is None else size
    digest = hashlib.sha256(memoryview(data)[:_MOST_HASHED]).hexdigest()[:16]
    return f"[{kind} {size} bytes {_OF_FIRST if size > _MOST_HASHED else ''}sha256:{digest}]"


def base64_marker(kind: str, text: str | bytes) -> str:
    """Return what stands in place of binary data given as base64: as for the data itself."""
    data = text.encode("utf-8", "replace") if isinstance(text, str) else text
    if len(data) <= 2 * _MOST_HASHED:
        return binary_marker(kind, _decoded(data))
    letters = len(data) - sum(map(data.count, _NO_LETTERS))
    return binary_marker(kind, _decoded(data[: 2 * _MOST_HASHED]), letters * 3 // 4)


def without_data(part: Mapping[str, object]) -> Mapping[str, object]:
    """Return a part of a message with its binary data replaced by type, size and hash."""
    content = part.get("content")
    if part.get("type") != "blob" or not isinstance(content, (str, bytes)):
        return part
    kind = str(part.get("mime_type") or part.get("modality") or "data")
    marker = base64_marker(kind, str.__str__(content)) if isinstance(content, str) else binary_marker(kind, content)
    return {**part, "content": marker}


# ---------------------------------------------------------------- where to look


class _Signs(NamedTuple):
    """Which of what takes longest to find is there at all."""

    assignments: bool
    known: bool
    words: bool


def _spots(text: bytes, signs: _Signs) -> Iterator[tuple[int, int]]:
    """Yield where a text may hold a secret: the first and the last byte of what gives it away."""
    yield from _runs(text, signs)
    if signs.assignments:
        yield from _assignments(text.lower())
    if not signs.words:
        return
    yield from _matches(text, text.lower(), _BEARER, _SCHEME)
    yield from _matches(text, text, b"://", _IN_URL)
    yield from _matches(text, text, b"data:", _DATA_URL)
    yield from _matches(text, text, b"-----BEGIN", _PEM)


def _assignments(lower: bytes) -> Iterator[tuple[int, int]]:
    """Yield where something is assigned to a name that ends like that of a secret."""
    for hint in _HINTS:
        at = lower.find(hint)
        while at >= 0:
            if found := _HINT_END.match(lower, at + len(hint)):
                yield at, found.end()
            at = lower.find(hint, at + 1)


def _matches(text: bytes, searched: bytes, word: bytes, pattern: re.Pattern[bytes]) -> Iterator[tuple[int, int]]:
    """Yield where a pattern matches that begins with a word, which is far quicker to find."""
    at = searched.find(word)
    while at >= 0:
        if found := pattern.match(text, at):
            yield at, found.end()
        at = searched.find(word, at + 1)


def _runs(text: bytes, signs: _Signs) -> Iterator[tuple[int, int]]:
    """Yield the long runs of characters that keys and base64 consist of, without plain words and paths."""
    tokens = text.translate(_AS_TOKEN)
    start = tokens.find(_TOKEN)
    while start >= 0:
        end = tokens.find(b" ", start)
        end = len(tokens) if end < 0 else end
        if end - start > _LONGEST_RUN or (signs.known and _PREFIX.search(text, start, end)):
            yield start, end
        start = tokens.find(_TOKEN, end)


def _windows(spots: list[tuple[int, int]], text: bytes) -> list[tuple[int, int]]:
    """Return what is to be looked at: the spots with what surrounds them, those that touch made one."""
    windows: list[tuple[int, int]] = []
    for start, end in spots:
        first, last = max(start - _MARGIN, 0), _end_of_word(text, end)
        if windows and first <= windows[-1][1]:
            windows[-1] = (windows[-1][0], max(last, windows[-1][1]))
        else:
            windows.append((first, last))
    return windows


def _end_of_word(text: bytes, at: int) -> int:
    found = _WORD_END.match(text, at)
    return found.end() if found else at


# After a spot come at most a space, a scheme and the secret itself.
_WORD_END: Final = re.compile(rb"(?:[\"'\\]*\s*[\"'\\]*(?:bearer|basic)?)\s*[^\s\"'\\]*", re.IGNORECASE)


# ---------------------------------------------------------------- what to put there


def _masked(text: bytes, signs: _Signs) -> bytes:
    text = _DATA_URL.sub(_replace_data_url, text) if signs.words else text
    return _RUN.sub(_replace_run, _without_secrets(text, signs))


def _without_secrets(text: bytes, signs: _Signs) -> bytes:
    text = _without_words(text) if signs.words else text
    if signs.known and _PREFIX.search(text) is not None:
        text = _KNOWN.sub(b"[secret]", text)
    has_assignment = signs.assignments and next(_assignments(text.lower()), None) is not None
    return _ASSIGNED.sub(rb"\1[secret]", text) if has_assignment else text


def _without_words(text: bytes) -> bytes:
    if b"-----BEGIN" in text:
        text = _PEM.sub(b"[secret]", text)
    lower = text.lower()
    if b"bearer " in lower or b"basic " in lower:
        text = _SCHEME.sub(rb"\1\2[secret]", text)
    return _IN_URL.sub(rb"\1[secret]", text) if b"://" in text else text


def _replace_data_url(match: re.Match[bytes]) -> bytes:
    return base64_marker((match[1] or b"data").decode(), match[3]).encode()


def _replace_run(match: re.Match[bytes]) -> bytes:
    run = match[0]
    return base64_marker("base64", run).encode() if _is_base64(run) else run


def _is_base64(run: bytes) -> bool:
    # A path, a slug or a line of one letter is no base64: that mixes cases and has few separators.
    run = run[:_ENOUGH]
    separators = run.count(b"/") + run.count(b"-") + run.count(b"_")
    return run != run.lower() and run != run.upper() and separators * 12 <= len(run)


def _decoded(text: bytes) -> bytes:
    raw = b"".join(text.translate(_TO_BASE64, b"%").split()).rstrip(b"=")
    raw = raw[: len(raw) - 1] if len(raw) % 4 == 1 else raw
    try:
        return base64.b64decode(raw + b"=" * (-len(raw) % 4))
    except (binascii.Error, ValueError):
        return text


_TO_BASE64: Final = bytes.maketrans(b"-_", b"+/")
