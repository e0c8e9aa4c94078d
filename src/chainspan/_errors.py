"""The exceptions that chainspan raises, all at construction and none while an application runs.

ChainspanError
└── ConfigurationError    an argument or environment variable that cannot be used
"""

from __future__ import annotations

from decimal import Decimal
from numbers import Real
from typing import Any, Final, TypeGuard

from typing_extensions import override

__all__ = [
    "ChainspanError",
    "ConfigurationError",
    "is_number",
    "require",
    "require_flags",
    "require_type",
    "whole_number",
]


_PLAIN: Final = (str, int, float, type(None))


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

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        """Return how to raise the same in another process; what came may be nothing that can be sent there."""
        got = self.got if isinstance(self.got, _PLAIN) else repr(self.got)
        return _restored, (str(self), self.where, self.expected, got)


def _restored(message: str, where: str, expected: str, got: object) -> ConfigurationError:
    error = ConfigurationError(where, expected=expected, got=got)
    error.args = (message,)
    return error


def require(is_usable: bool, where: str, *, expected: str, got: object) -> None:
    """Refuse a setting that cannot be used."""
    if not is_usable:
        raise ConfigurationError(where, expected=expected, got=got)


def require_flags(where: str, *, may_be_none: bool = False, **flags: object) -> None:
    """Refuse an argument that is no flag: a word such as ``"false"``, taken for one, would be true."""
    expected = "True, False or None" if may_be_none else "True or False"
    for name, got in flags.items():
        is_flag = isinstance(got, bool) or (got is None and may_be_none)
        require(is_flag, f"{where}({name}=)", expected=expected, got=got)


def require_type(where: str, got: object, *types: type, expected: str) -> None:
    """Refuse a value of another type."""
    require(isinstance(got, types), where, expected=expected, got=got)


def is_number(got: object) -> TypeGuard[float]:
    """Return whether something is a number of any sort, such as NumPy's, or 1e9 for a size."""
    if isinstance(got, Decimal):
        return got.is_finite()  # what is not raises where it is compared, or divided
    return isinstance(got, Real)


def whole_number(where: str, got: object) -> int:
    """Return a number to count to, and refuse what is none."""
    if is_number(got) and got > 0 and got % 1 == 0:
        return int(got)
    raise ConfigurationError(where, expected="a whole number above 0", got=got)
