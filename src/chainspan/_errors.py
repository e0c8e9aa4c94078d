"""The exceptions that chainspan raises, all at construction and none while an application runs.

ChainspanError
└── ConfigurationError    an argument or environment variable that cannot be used
"""

from __future__ import annotations

from typing import Any, Final

from typing_extensions import override

__all__ = ["ChainspanError", "ConfigurationError", "require", "require_count", "require_flags", "require_type"]


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


def require_count(where: str, got: object) -> None:
    """Refuse what is no number to count to."""
    require(isinstance(got, int) and got > 0, where, expected="a whole number above 0", got=got)
