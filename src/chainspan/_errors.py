"""The exceptions that chainspan raises, all at construction and none while an application runs.

ChainspanError
└── ConfigurationError    an argument or environment variable that cannot be used
"""

from __future__ import annotations

__all__ = ["ChainspanError", "ConfigurationError"]


class ChainspanError(Exception):
    """Base class of every exception that chainspan raises."""


class ConfigurationError(ChainspanError, ValueError):
    """A setting cannot be used.

    The message says where the setting stands, what was expected and what came.
    """

    def __init__(self, where: str, *, expected: str, got: object) -> None:
        super().__init__(f"{where}: expected {expected}, got {got!r}")
        self.where = where
        self.expected = expected
        self.got = got
