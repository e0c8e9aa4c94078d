"""What becomes of each kind of value.

Values are read, not asked: their ``model_dump``, ``__iter__`` or ``__str__`` may be slow,
warn, change the value or raise. What has to be called (the ``__repr__`` of a class that
nobody here knows) is called by `attempt`.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import ipaddress
import math
import pathlib
import re
import types
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from itertools import islice
from numbers import Integral, Real
from time import thread_time_ns
from typing import Any, Final

from .._model import Message
from ._binary import without_data
from ._markers import binary_marker
from ._safe import attempt, type_name, unprintable
from ._secrets import SECRET
from ._walk import PLACE, SCALARS, Visitor, Walk

__all__ = ["CONVERTERS", "VISITORS", "register"]

_MOST_TYPES: Final = 4_096
_LONGEST_REPR: Final = 2_000
_SLOW_NS: Final = 500_000  # of CPU; a callback is to take no more than a millisecond
_INT64: Final = 1 << 63
_MESSAGE: Final = 16  # other values take as long as a message, and as it takes to write one for the first time
_NEW_MESSAGE: Final = 64


def register(base: str, convert: Callable[[Any], object]) -> None:
    """Have every instance of a class, named in full, made plain by a function.

    The class is named and not passed, so that who registers need not import it. The
    function's result is walked in turn; it may hold anything but the value itself.
    """
    _converters[base] = convert
    CONVERTERS.clear()
    VISITORS.reset()


# ---------------------------------------------------------------- one visitor per kind of value


def _same(_walk: Walk, value: Any) -> Any:
    return value


def _text(_walk: Walk, value: Any) -> Any:
    return str.__str__(value)


def _int(_walk: Walk, value: Any) -> Any:
    if -_INT64 <= value < _INT64:
        return int(value)
    # Beyond 64 bits most JSON readers round, and CPython refuses to print 4,300 digits.
    return attempt(lambda: int.__repr__(value), f"[int of {int.bit_length(value)} bits]")


def _float(_walk: Walk, value: Any) -> Any:
    if math.isfinite(value):
        return float(value)
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"  # noqa: PLR0124  # JSON has none


def _number(walk: Walk, value: Any) -> Any:
    return attempt(lambda: _int(walk, int(value)), unprintable(value))


def _real(walk: Walk, value: Any) -> Any:
    return attempt(lambda: _float(walk, float(value)), unprintable(value))


def _dict(walk: Walk, value: Any) -> Any:
    return walk.items(dict.items(value))


def _mapping(walk: Walk, value: Any) -> Any:
    return walk.items([(key, value[key]) for key in islice(value, walk.left + 1)])


def _set(walk: Walk, value: Any) -> Any:
    return walk.values(attempt(lambda: sorted(value), list(value)) if len(value) <= walk.left else list(value))


def _named_tuple(walk: Walk, value: Any) -> Any:
    return walk.items(list(zip(value._fields, value, strict=False)))


def _bytes(_walk: Walk, value: Any) -> Any:
    return attempt(lambda: binary_marker("bytes", bytes(value)), "[bytes]")


def _enum(walk: Walk, value: Any) -> Any:
    return walk.visit(value._value_)


def _printed(_walk: Walk, value: Any) -> Any:
    return attempt(lambda: str(value)[:_LONGEST_REPR], unprintable(value))


def _iso(_walk: Walk, value: Any) -> Any:
    return attempt(lambda: str(value.isoformat()), unprintable(value))


def _class(_walk: Walk, value: Any) -> Any:
    return attempt(lambda: f"[{value.__module__}.{value.__qualname__}]", "[class]")


def _running(_walk: Walk, value: Any) -> Any:
    return f"[{type(value).__name__} {value.__qualname__}]"  # never consumed


def _error(walk: Walk, value: Any) -> Any:
    message = attempt(lambda: str(value), "[unprintable]")
    return {"error": type_name(value), "message": walk.visit(message)}


def _secret(_walk: Walk, _value: Any) -> Any:
    return SECRET


def _model(walk: Walk, value: Any) -> Any:
    """Visit a pydantic model by its fields; serialisers and computed fields would run foreign code."""
    hidden = {name for name, field in type(value).model_fields.items() if field.exclude or not field.repr}
    pairs = [*value.__dict__.items(), *(value.__pydantic_extra__ or {}).items()]
    return walk.items([(name, item) for name, item in pairs if name not in hidden])


def _message(walk: Walk, value: Message) -> Any:
    if walk.apart is not None:
        walk.take(_MESSAGE if value.memo else _NEW_MESSAGE)
        walk.apart.append(value)
        return PLACE
    fields: dict[str, object] = {"role": value.role, "parts": [without_data(part) for part in value.parts]}
    return walk.visit({**fields, "name": value.name} if value.name else fields)


def _dataclass(walk: Walk, value: Any) -> Any:
    names = [field.name for field in dataclasses.fields(value) if field.repr]
    return walk.items([(name, getattr(value, name, None)) for name in names])


def _named(_walk: Walk, value: Any) -> Any:
    return f"[{type_name(value)}]"


def _unknown(walk: Walk, value: Any) -> Any:
    """Print a value; nothing can stop what its class does then, which may be slow."""
    if getattr(type(value), "__repr__", None) is object.__repr__:
        return _named(walk, value)  # the default text holds nothing but an address
    text, is_slow = _printed_timed(value)
    if is_slow:
        VISITORS[type(value)] = _suspect
    return text


def _suspect(_walk: Walk, value: Any) -> Any:
    """Print a value of a class of which the last one took long; that may have been the garbage collector."""
    text, is_slow = _printed_timed(value)
    VISITORS[type(value)] = _named if is_slow else _unknown
    return text


def _printed_timed(value: Any) -> tuple[str, bool]:
    """Return a value as its class prints it, and whether that took long."""
    began_ns = thread_time_ns()
    text = attempt(lambda: repr(value), unprintable(value))
    is_slow = thread_time_ns() - began_ns > _SLOW_NS
    cut = len(text) - _LONGEST_REPR
    return text if cut <= 0 else f"{text[:_LONGEST_REPR]}[+{cut} characters]", is_slow


_EXACT: Final[dict[type, Visitor]] = {
    str: _same,
    bool: _same,
    type(None): _same,
    int: _int,
    float: _float,
    dict: _dict,
    list: Walk.values,
    tuple: Walk.values,
}

# Tried in this order for every other class, then remembered: an enum may be a str as well.
_BY_BASE: Final[tuple[tuple[Any, Visitor], ...]] = (
    (enum.Enum, _enum),
    (str, _text),
    ((bytes, bytearray, memoryview), _bytes),
    (int, _int),
    (float, _float),
    (Integral, _number),
    (Real, _real),
    (dict, _dict),
    ((set, frozenset), _set),
    ((list, deque), Walk.values),
    ((dt.date, dt.time), _iso),
    ((decimal.Decimal, fractions.Fraction, uuid.UUID, dt.timedelta, pathlib.PurePath), _printed),
    ((ipaddress.IPv4Address, ipaddress.IPv6Address, complex, re.Pattern), _printed),
    (type, _class),
    ((types.FunctionType, types.BuiltinFunctionType), _class),
    ((types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType), _running),
    (BaseException, _error),
    (Message, _message),
    (Mapping, _mapping),
)

_SECRET_CLASSES: Final = frozenset({"pydantic.types.SecretStr", "pydantic.types.SecretBytes", "pydantic.types.Secret"})

_converters: dict[str, Callable[[Any], object]] = {}


class _ConvertByClass(dict[type, "Callable[[Any], object] | None"]):
    """What makes the values of each class plain; found when it is first asked for, then remembered."""

    def __missing__(self, kind: type) -> Callable[[Any], object] | None:
        nothing: frozenset[str] = frozenset()
        names = attempt(lambda: _names_of(kind), nothing)
        found = next((_converters[name] for name in _converters if name in names), None)
        if len(self) >= _MOST_TYPES:
            self.clear()
        self[kind] = found
        return found


CONVERTERS: Final = _ConvertByClass()
"""What was registered for a class or one of its bases, or None."""


class _Visitors(dict[type, Visitor]):
    """What visits the values of each class; found when the first value of a class comes, then remembered."""

    def __missing__(self, kind: type) -> Visitor:
        unknown: Visitor = _unknown
        visitor = attempt(lambda: _resolve(kind), unknown)
        if len(self) >= _MOST_TYPES:  # classes made at run time must not pile up
            self.reset()
        self[kind] = visitor
        return visitor

    def reset(self) -> None:
        """Forget what was found."""
        self.clear()
        self.update(_EXACT)


VISITORS: Final = _Visitors(_EXACT)


def _resolve(kind: type) -> Visitor:
    if _names_of(kind) & _SECRET_CLASSES:
        return _secret
    if convert := CONVERTERS[kind]:
        return _converting(convert)
    for bases, visitor in _BY_BASE:
        if issubclass(kind, bases):
            return visitor
    return _by_shape(kind)


def _names_of(kind: type) -> frozenset[str]:
    return frozenset(f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__)


def _by_shape(kind: type) -> Visitor:
    if issubclass(kind, tuple):
        return _named_tuple if hasattr(kind, "_fields") else Walk.values
    if hasattr(kind, "__pydantic_fields__") and hasattr(kind, "__pydantic_serializer__"):
        return _model
    return _dataclass if dataclasses.is_dataclass(kind) else _unknown


def _converting(convert: Callable[[Any], object]) -> Visitor:
    def visitor(walk: Walk, value: Any) -> Any:
        made = convert(value)
        return made if type(made) in SCALARS else walk.visit(made)

    return visitor
