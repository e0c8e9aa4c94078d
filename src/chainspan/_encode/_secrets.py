"""What never leaves, whatever the settings: API keys, bearer tokens, and binary data as text.

Looking for them must cost nearly nothing, as almost no text has any. So texts are first
asked, by searches that run in C, whether they can hold one at all (`is_suspicious`); only
those that can are looked at with regular expressions (`mask_text`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Final

__all__ = ["REDACTED", "SECRET", "base64_marker", "binary_marker", "is_secret_key", "is_suspicious", "mask_text"]

SECRET: Final = "[secret]"  # noqa: S105
REDACTED: Final = "[redacted]"

_TOKEN_CHARACTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-"
_AS_TOKEN: Final = bytes(ord("a") if i in _TOKEN_CHARACTERS else ord(" ") for i in range(256))
_SHORTEST_TOKEN: Final = 16
_LONGEST_RUN: Final = 64  # of base64 that is left alone

_NAMES: Final = (
    r"api[_-]?key|access[_-]?key|secret[_-]?key|private[_-]?key|client[_-]?secret|secret|passw(?:or)?d|passphrase"
    r"|(?:access|refresh|auth|id|bearer|session|security)[_-]?token|authorization|credentials?|(?:set-)?cookie"
)
_SECRET_KEY: Final = re.compile(rf"(?:.*[._-])?(?:{_NAMES})", re.IGNORECASE)
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
# Every word of _NAMES contains one of these, in lower case.
_HINTS: Final = (b"key", b"secret", b"passw", b"passphrase", b"token", b"authorization", b"credential", b"cookie")
_MARKS: Final = (b"bearer ", b"basic ", b"://")

# Formats of well-known keys: providers of models, clouds, code hosts, chat services, JSON web tokens, PEM.
_KNOWN: Final = re.compile(
    r"""
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
    | -----BEGIN[ A-Z]*PRIVATE[ ]KEY-----[\s\S]*?(?:-----END[ A-Z]*PRIVATE[ ]KEY-----|\Z)
    """,
    re.VERBOSE,
)
_SCHEME: Final = re.compile(r"\b(bearer|basic)([ ]+)(?!\[secret\])[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_IN_URL: Final = re.compile(r"(\w://[^\s/:@\"']*:)[^\s/@\"']+(?=@)")  # scheme://user:password@host
_ASSIGNED: Final = re.compile(
    rf"""
    ((?:{_NAMES}|[?&]key)             # a name
      ["'\\]*\s*(?:=>|[:=])\s*["'\\]*       # = or : with quotes of any depth
      (?:(?:bearer|basic)\s+)?)
    (?!\[secret\]|\[redacted\]|none\b|null\b|true\b|false\b)
    [^\s"'\\&,;)}}\]]{{4,}}                 # its value
    """,
    re.IGNORECASE | re.VERBOSE,
)
_RUN: Final = re.compile(rf"(?:[A-Za-z0-9+/_-]{{{_LONGEST_RUN + 1},}}\r?\n?)+(?:[A-Za-z0-9+/_-]+)?={{0,2}}")
_DATA_URL: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w.=+-]+)*);base64,([A-Za-z0-9+/_=\s%-]*)")


def is_secret_key(key: str) -> bool:
    """Return whether what stands under this key is a secret: ``x-api-key``, ``client_secret``, ``accessToken``."""
    return _SECRET_KEY.fullmatch(_CAMEL.sub("_", key)) is not None


def is_suspicious(text: bytes) -> bool:
    """Return whether a text may hold a secret or base64, and has to be looked at more closely.

    Errs on the safe side. Costs about 0.3 ms for 100 KB, where the regular expressions
    would cost some 20 ms.
    """
    if b"a" * _SHORTEST_TOKEN in text.translate(_AS_TOKEN):
        return True
    lower = text.lower()
    return any(hint in lower for hint in _HINTS) or any(mark in lower for mark in _MARKS)


def mask_text(text: str) -> str:
    """Return a text without secrets, and with binary data replaced by type, size and hash."""
    if not is_suspicious(text.encode("utf-8", "replace")):
        return text
    text = _DATA_URL.sub(_replace_data_url, text)
    text = _KNOWN.sub(SECRET, text)
    text = _SCHEME.sub(rf"\1\2{SECRET}", text)
    text = _IN_URL.sub(rf"\1{SECRET}", text)
    text = _ASSIGNED.sub(rf"\1{SECRET}", text)
    return _RUN.sub(_replace_run, text)


def binary_marker(kind: str, data: bytes) -> str:
    """Return what stands in place of binary data: its type, size and hash."""
    return f"[{kind} {len(data)} bytes sha256:{hashlib.sha256(data).hexdigest()[:16]}]"


def base64_marker(kind: str, text: str) -> str:
    """Return what stands in place of data given as base64: as for the data itself."""
    return binary_marker(kind, _decoded(text))


def _replace_data_url(match: re.Match[str]) -> str:
    return base64_marker(match[1] or "data", match[3])


def _replace_run(match: re.Match[str]) -> str:
    run = match[0]
    return base64_marker("base64", run) if _is_base64(run) else run


def _is_base64(run: str) -> bool:
    # A path, a slug or a line of one letter is no base64: that mixes cases and has few separators.
    separators = run.count("/") + run.count("-") + run.count("_")
    return run != run.lower() and run != run.upper() and separators * 12 <= len(run)


def _decoded(text: str) -> bytes:
    raw = text.translate({ord("-"): "+", ord("_"): "/", ord("%"): None}).encode("ascii", "replace")
    raw = b"".join(raw.split()).rstrip(b"=")
    raw = raw[: len(raw) - 1] if len(raw) % 4 == 1 else raw
    try:
        return base64.b64decode(raw + b"=" * (-len(raw) % 4))
    except (binascii.Error, ValueError):
        return text.encode("utf-8", "replace")
