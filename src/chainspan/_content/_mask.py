"""The user's own redaction: by key, by pattern and by function, over plain data."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any, Final

from .._encode import PLACE, REDACTED, SECRET, attempt, is_secret_key, is_suspicious, mask_text
from ._policy import ContentPolicy

__all__ = ["MASK_FAILED", "Mask", "mask_of"]

MASK_FAILED: Final = "[mask failed]"
_MOST_KEYS: Final = 10_000

# What holds together a message in the conventions' shape; a mask that changed it would
# leave data that no backend can show. What is below is data again.
_MESSAGE_KEYS: Final = frozenset({"role", "type", "id", "finish_reason", "mime_type", "modality"})
_DATA_KEYS: Final = frozenset({"arguments", "response", "server_tool_call", "server_tool_call_response"})


class _Markers(dict[str, str | None]):
    """What stands in place of the value under each key that was asked for."""

    def __init__(self, names: Collection[str]) -> None:
        super().__init__()
        self._names = names

    def __missing__(self, key: str) -> str | None:
        marker = REDACTED if key.lower() in self._names else SECRET if is_secret_key(key) else None
        if len(self) < _MOST_KEYS:
            self[key] = marker
        return marker


class Mask:
    """What one policy masks. Safe to share between threads.

    Attributes:
        hide: Tells by a key what stands in place of its value; None to keep the value.
        is_active: Whether the user asked for any masking of texts.
    """

    __slots__ = ("_function", "_patterns", "hide", "is_active")

    def __init__(self, policy: ContentPolicy) -> None:
        self.hide: Callable[[str], str | None] = _Markers(policy.redact_keys).__getitem__
        self._patterns = tuple(pattern for pattern in policy.redact_patterns if isinstance(pattern, re.Pattern))
        self._function = policy.redact
        self.is_active = bool(self._patterns or self._function)

    def text(self, text: str) -> str:
        """Return one text masked: by the user's rules first, by those on secrets last."""
        if self.is_active and text != PLACE:
            text = attempt(lambda: self.user_masked(text), MASK_FAILED)
        return mask_text(text)

    def leaves(self, text: str) -> bool:
        """Return whether an ASCII text surely stays as it is."""
        return not self.is_active and not is_suspicious(text)

    def name(self, name: str) -> str:
        """Return a name or an id masked by the user's patterns; the function is for texts."""
        return attempt(lambda: self._redacted(name), MASK_FAILED) if self._patterns else name

    def user_masked(self, text: str) -> str:
        """Return one text masked by the user's rules alone; it raises what their function does."""
        text = self._redacted(text)
        return text if self._function is None else _masked(self._function, text)

    def _redacted(self, text: str) -> str:
        for pattern in self._patterns:
            text = pattern.sub(REDACTED, text)
        return text

    def tree(self, tree: Any, change: Callable[[str], str], kept: frozenset[str] = frozenset()) -> Any:
        """Return plain data with every text changed, keys too, but for what stands under the kept keys."""
        if isinstance(tree, str):
            return change(tree)
        if isinstance(tree, list):
            return [self.tree(value, change, kept) for value in tree]
        if not isinstance(tree, dict):
            return tree
        result: dict[str, Any] = {}
        for key, value in tree.items():
            name = key if kept else change(key)
            while name in result:
                name += "~"
            result[name] = value if key in kept and isinstance(value, str) else self._below(key, value, change, kept)
        return result

    def _below(self, key: str, value: Any, change: Callable[[str], str], kept: frozenset[str]) -> Any:
        return self.tree(value, change, frozenset() if key in _DATA_KEYS else kept)

    def messages(self, tree: Any, change: Callable[[str], str]) -> Any:
        """Return messages in the conventions' shape with every text changed, their structure kept."""
        return self.tree(tree, change, _MESSAGE_KEYS)


def mask_of(policy: ContentPolicy) -> Mask:
    """Return the mask of a policy; equal policies share one, and with it what was written under it."""
    try:
        return _shared(policy)
    except TypeError:  # of a function that is an object and has no hash
        return Mask(policy)


_shared = lru_cache(maxsize=64)(Mask)


def _masked(function: Callable[[str], object], text: str) -> str:
    try:
        masked = function(text)
    except (Exception, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as panic:  # such as one in Rust, which is no Exception
        raise RuntimeError("a mask failed") from panic
    if not isinstance(masked, str):
        raise TypeError(f"a mask must return a str, not {type(masked).__name__}")
    return str.__str__(masked)
