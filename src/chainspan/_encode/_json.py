"""Plain data as JSON text, and that text made to fit into a number of bytes."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from pydantic_core import to_json as _rust

from ._safe import attempt

__all__ = ["dump_bytes", "dumps", "parsed", "shrink", "size_of", "well_formed"]

# What tells a reader what the rest is, and is short: never shortened.
_KEPT: Final = frozenset({"role", "type", "id", "name", "tool_call_id", "finish_reason", "mime_type", "modality"})
_LONGEST_KEPT: Final = 128
_MARKER: Final = re.compile(r"\[\+(\d{1,15}) bytes\]")
_SHORTEST: Final = 16  # bytes left of a text before whole elements are left out instead


def dumps(tree: Any) -> str:
    """Return plain data as JSON text, non-ASCII characters as they are."""
    return dump_bytes(tree).decode("utf-8")


def dump_bytes(tree: Any) -> bytes:
    """Return plain data as JSON in UTF-8."""
    try:
        return _rust(tree, inf_nan_mode="strings")
    except ValueError:
        return _rust(_without_surrogates(tree), inf_nan_mode="strings")


def parsed(text: str) -> Any:
    """Return what a text says as JSON, or the text where it is none: cut off, or too deep to be read."""
    return attempt(lambda: json.loads(text), text)


def size_of(text: str) -> int:
    """Return how many bytes a text takes in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def shrink(tree: Any, limit_bytes: int) -> str:
    """Return plain data as JSON of at most so many bytes, and say in it what was cut.

    The longest texts are shortened first, all to one length, each keeping its head and
    tail; roles, types, names and ids are kept whole. Where that does not suffice, lists
    and dicts lose elements from their middle; where nothing would be left, one marker is.
    """
    text = dumps(tree)
    for length in (None, 256, 64, _SHORTEST):
        if size_of(text) <= limit_bytes:
            return text
        leaf = _leaf_length(tree, size_of(text) - limit_bytes) if length is None else length
        if leaf >= _SHORTEST:
            text = dumps(_cut_leaves(tree, leaf))
    return _drop_elements(_cut_leaves(tree, _SHORTEST), size_of(dumps(tree)), limit_bytes)


def well_formed(text: str) -> str:
    """Return a text that has a UTF-8 form: halves of a character are joined, single ones replaced."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _without_surrogates(tree: Any) -> Any:
    if isinstance(tree, str):
        return well_formed(tree)
    if isinstance(tree, dict):
        return {_without_surrogates(key): _without_surrogates(value) for key, value in tree.items()}
    return [_without_surrogates(value) for value in tree] if isinstance(tree, list) else tree


# ---------------------------------------------------------------- shortening texts


def _leaf_length(tree: Any, excess: int) -> int:
    """Return to how many bytes the longest texts must be cut so that so many bytes are saved."""
    sizes = sorted(_leaf_sizes(tree), reverse=True)
    total = 0
    for count, size in enumerate(sizes, 1):
        total += size
        following = sizes[count] if count < len(sizes) else 0
        # The marker of a cut text takes up to 24 bytes itself.
        if total - count * (following + 24) >= excess:
            return max((total - excess) // count - 24, 0)
    return 0


def _leaf_sizes(tree: Any) -> list[int]:
    sizes: list[int] = []
    stack = [(None, tree)]
    while stack:
        key, value = stack.pop()
        if isinstance(value, str):
            if not _is_kept(key, value):
                sizes.append(_encoded_size(value))
        elif isinstance(value, dict):
            stack.extend(value.items())
        elif isinstance(value, list):
            stack.extend((key, item) for item in value)
    return sizes


def _is_kept(key: str | None, text: str) -> bool:
    return key in _KEPT and len(text) <= _LONGEST_KEPT


def _encoded_size(text: str) -> int:
    return len(dump_bytes(text)) - 2


def _cut_leaves(tree: Any, length: int, key: str | None = None) -> Any:
    if isinstance(tree, str):
        return tree if _is_kept(key, tree) or len(tree) <= length // 6 else _cut_text(tree, length)
    if isinstance(tree, dict):
        return {name: _cut_leaves(value, length, name) for name, value in tree.items()}
    return [_cut_leaves(value, length, key) for value in tree] if isinstance(tree, list) else tree


def _cut_text(text: str, length: int) -> str:
    """Return a text cut to so many encoded bytes and a marker, head and tail kept."""
    size = _encoded_size(text)
    if size <= length + 24:
        return text
    kept = max(length * len(text) // size, 1)
    while kept > 1:
        head, tail = text[: kept - kept // 3], text[len(text) - kept // 3 :]
        used = _encoded_size(head) + _encoded_size(tail)
        if used <= length:
            # What was cut before, and is cut away now, counts as well.
            before = sum(map(int, _MARKER.findall(text[len(head) : len(text) - len(tail)])))
            return f"{head}[+{size - used + before} bytes]{tail}"
        kept = min(kept - 1, kept * length // used)
    return f"[+{size} bytes]"


# ---------------------------------------------------------------- leaving out elements


def _drop_elements(tree: Any, size: int, limit_bytes: int) -> str:
    for keep in (32, 8, 4, 2, 1):
        text = dumps(_thin(tree, keep))
        if size_of(text) <= limit_bytes:
            return text
    marker = dumps(f"[+{size} bytes]")
    return marker if size_of(marker) <= limit_bytes else "0"


def _thin(tree: Any, keep: int) -> Any:
    """Return a tree in which no list or dict has more than so many elements at head and tail each."""
    if isinstance(tree, list):
        return [_thin(value, keep) for value in _ends(tree, keep)]
    if isinstance(tree, dict):
        pairs = _ends(list(tree.items()), keep)
        return dict((pair[0], _thin(pair[1], keep)) if isinstance(pair, tuple) else (pair, "") for pair in pairs)
    return tree


def _ends(values: list[Any], keep: int) -> list[Any]:
    if len(values) <= 2 * keep + 1:
        return values
    return [*values[:keep], f"[+{len(values) - 2 * keep}]", *values[-keep:]]
