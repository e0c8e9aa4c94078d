"""What never leaves, whatever the settings: API keys, bearer tokens, and binary data as text.

Looking for them must cost nearly nothing, as almost no text has any. So one search, by the
regular expressions of pydantic's core, tells whether there is any; only then it is asked
where, and only what surrounds those spots is rewritten.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from ._assigned import ASSIGNMENT, without_assigned
from ._binary import LONGEST_RUN, without_addresses, without_lines, without_runs
from ._search import search

__all__ = ["REDACTED", "SECRET", "is_suspicious", "mask_text"]

SECRET: Final = "[secret]"  # noqa: S105
REDACTED: Final = "[redacted]"

_TOKEN_CHARACTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-."
_AS_TOKEN: Final = bytes(ord("a") if i in _TOKEN_CHARACTERS else ord(" ") for i in range(256))
_TOKEN: Final = b"a" * 16  # the shortest run of such characters that may be a key
_DATA: Final = b"a" * (LONGEST_RUN + 1)
_MARGIN: Final = 40  # bytes before a spot that belong to it, such as the name of a scheme
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
_MASK: Final = SECRET.encode()
_KNOWN: Final = re.compile(
    _FORMATS.replace(r"\b", r"(?:\b|(?<=\\[nrtbf]))").encode(), re.VERBOSE
)  # "\n" in JSON is no word
_PEM: Final = re.compile(
    rb"-----BEGIN[ A-Z]*PRIVATE KEY-----[\s\S]*?(?:-----END[ A-Z]*PRIVATE KEY-----|\Z)",
)
_SCHEME: Final = re.compile(rb"(bearer|basic)([ ]+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_IN_URL: Final = re.compile(rb"(://[^\s/:@\"']*:)[^\s/@\"']+(?=@)")  # scheme://user:password@host
# What every alternative of _KNOWN begins with; of literals only, which makes the search twice as fast.
_PREFIX: Final = re.compile(
    rb"sk-|sk_|pk-|pk_|rk-|rk_|lsv2_|ls__|AIza|ya29\.|AKIA|ASIA|ABSK|ghp_|gho_|ghu_|ghs_|ghr_|github_pat|glpat-"
    rb"|xox|hf_|gsk_|xai-|pplx-|r8_|nvapi-|pcsk_|tvly-|eyJ"
)


# All of the above, a little wider, and in JSON too, where a line break is a backslash and
# a letter. Without the Unicode classes it is one table of states, which takes a nanosecond a byte.
_ANYWHERE: Final = _FORMATS.replace(r"\b", "")
_LINES: Final = r"[A-Za-z0-9+/]{48} (?:\\+r|\r)?(?:\\+n|\n) \x20* [A-Za-z0-9+/]{48}"
_has_words: Final = search(r"(?i: bearer\x20|basic\x20 ) | :// | data: | -----BEGIN")
_has_known: Final = search(_ANYWHERE)

is_suspicious: Final = search(
    rf"""{ASSIGNMENT}
      | (?i: bearer\x20+[A-Za-z0-9._~+/=-]{{8}} )
      | (?u: ://[^\s/:@"']*:[^\s/@"']+@ )
      | data:[\w.+/;=%-]*,
      | -----BEGIN[\x20A-Z]*PRIVATE\x20KEY-----
      | [A-Za-z0-9+/_-]{{{LONGEST_RUN + 1}}}
      | {_LINES}
      | {_ANYWHERE}
    """
)
"""Whether a text may hold a secret or binary data, and has to be looked at more closely.

Errs on the safe side. The text is ASCII, or is bytes in UTF-8, and may be JSON.
"""


def mask_text(text: str, *, keep_data: bool = False) -> str:
    """Return a text without secrets, and with binary data replaced by type, size and hash, or kept."""
    sought = text.encode("utf-8", "replace")
    if not is_suspicious(sought):
        return text
    has_words = _has_words(sought)
    given = text.encode("utf-8", "surrogatepass")
    data = _without_what_is_named(given if keep_data else _without_data(given, has_words), has_words)
    signs = _Signs(_has_known(data.decode("latin-1")), has_words)  # of what is left; of any bytes
    pieces, done = [], 0
    for start, end in _windows(sorted(_spots(data, signs)), data):
        window = _without_secrets(data[start:end], signs)
        pieces += [data[done:start], window if keep_data else without_runs(window)]
        done = end
    masked = b"".join([*pieces, data[done:]])
    return text if masked == given else masked.decode("utf-8", "surrogatepass")


# ---------------------------------------------------------------- where to look


class _Signs(NamedTuple):
    """Which of what takes longest to find is there at all."""

    known: bool
    words: bool


def _spots(text: bytes, signs: _Signs) -> Iterator[tuple[int, int]]:
    """Yield where a text may hold a secret: the first and the last byte of what gives it away."""
    yield from _runs(text, signs)
    if signs.words:
        yield from _matches(text, text.lower(), _BEARER, _SCHEME)
        yield from _matches(text, text, b"://", _IN_URL)


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
    shortest = _TOKEN if signs.known else _DATA
    start = tokens.find(shortest)
    while start >= 0:
        end = tokens.find(b" ", start)
        end = len(tokens) if end < 0 else end
        if end - start > LONGEST_RUN or _PREFIX.search(text, start, end):
            yield start, end
        start = tokens.find(shortest, end)


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


def _without_data(text: bytes, has_words: bool) -> bytes:
    return without_lines(without_addresses(text) if has_words else text)


def _without_what_is_named(text: bytes, has_words: bool) -> bytes:
    if has_words and b"-----BEGIN" in text:
        text = _PEM.sub(_MASK, text)
    return without_assigned(text)


def _without_secrets(text: bytes, signs: _Signs) -> bytes:
    text = _without_words(text) if signs.words else text
    return _KNOWN.sub(_MASK, text) if signs.known and _PREFIX.search(text) is not None else text


def _without_words(text: bytes) -> bytes:
    lower = text.lower()
    if b"bearer " in lower or b"basic " in lower:
        text = _SCHEME.sub(rb"\1\2[secret]", text)
    return _IN_URL.sub(rb"\1[secret]", text) if b"://" in text else text
