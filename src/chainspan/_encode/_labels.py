"""Names that users give: fit for one line, whatever they hold."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from pydantic_core import from_json

from ._json import shrink, size_of, well_formed
from ._safe import attempt
from ._secrets import mask_text

__all__ = ["label"]

_LONGEST: Final = 1_000  # bytes of UTF-8; the lists of a backend show some 100 characters
_ENOUGH: Final = 8_000  # characters at both ends together, of which what is left is cut out

# A line's end would break a list of names, an escape code a terminal, a NUL a database's text.
_SPACE: Final = re.compile(r"[\t-\r\x1c-\x1f\x85\u2028\u2029]+")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def label(text: str, mask: Callable[[str], str] | None = None) -> str:
    """Return a name on one line, without control characters and secrets, of at most a kilobyte.

    Args:
        text: The name.
        mask: What else to take out of it.
    """
    own = text if type(text) is str else attempt(lambda: str.__str__(text), "[unreadable]")
    return _label(own) if mask is None and len(own) <= _LONGEST else _fitted(own, mask)


@lru_cache(maxsize=4_096)
def _label(text: str) -> str:
    return _fitted(text, None)


def _fitted(text: str, mask: Callable[[str], str] | None) -> str:
    if len(text) > _ENOUGH:
        half = _ENOUGH // 2
        text = f"{text[:half]}[+{len(text) - _ENOUGH} bytes]{text[-half:]}"
    plain = text if text.isprintable() else _CONTROL.sub("\ufffd", _SPACE.sub(" ", well_formed(text)))
    masked = mask_text(plain) if mask is None else mask(plain)
    return masked if size_of(masked) <= _LONGEST else str(from_json(shrink(masked, _LONGEST)))
