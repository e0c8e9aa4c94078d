"""Whether there is something in a text, told at a nanosecond a byte by the regular expressions of pydantic's core."""

from __future__ import annotations

from collections.abc import Callable

from pydantic_core import SchemaValidator, core_schema

__all__ = ["search"]


def search(pattern: str) -> Callable[[bytes | str], bool]:
    """Return what tells whether a pattern is found in a text, which is ASCII, or is bytes in UTF-8.

    Args:
        pattern: In the syntax of Rust's ``regex``, with white space ignored. Without the Unicode
            classes it is one table of states.
    """
    return SchemaValidator(core_schema.str_schema(pattern=f"(?x-u){pattern}")).isinstance_python
