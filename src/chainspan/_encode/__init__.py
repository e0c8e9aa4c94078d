"""Any Python value as JSON text: always valid, never raising, never larger than asked for.

Three steps, each usable alone: `plain` turns a value into dicts, lists and scalars;
`dumps` writes those with pydantic-core's Rust encoder; `shrink` makes the text fit into
a number of bytes by shortening the largest texts first. What gets lost leaves a marker
in square brackets, such as ``[cycle]`` or ``[+1234 bytes]``.
"""

from __future__ import annotations

from ._assigned import is_secret_key
from ._binary import marker_of_all, without_data
from ._flat import flat
from ._json import dump_bytes, dumps, parsed, shrink, size_of, well_formed
from ._labels import label
from ._markers import base64_marker, binary_marker
from ._plain import conversation_of, message_of, plain, shortened, some_messages
from ._safe import attempt
from ._secrets import REDACTED, SECRET, is_suspicious, mask_text
from ._visitors import register
from ._walk import PLACE

__all__ = [
    "PLACE",
    "REDACTED",
    "SECRET",
    "attempt",
    "base64_marker",
    "binary_marker",
    "conversation_of",
    "dump_bytes",
    "dumps",
    "flat",
    "is_secret_key",
    "is_suspicious",
    "label",
    "marker_of_all",
    "mask_text",
    "message_of",
    "parsed",
    "plain",
    "register",
    "shortened",
    "shrink",
    "size_of",
    "some_messages",
    "to_json",
    "well_formed",
    "without_data",
]


def to_json(value: object, *, limit_bytes: int | None = None) -> str:
    """Return a value as JSON text of at most so many bytes, with no redaction."""
    tree = plain(value)
    text = dumps(tree)
    return text if limit_bytes is None or size_of(text) <= limit_bytes else shrink(tree, limit_bytes)
