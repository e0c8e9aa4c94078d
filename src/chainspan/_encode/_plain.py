"""Any Python value as dicts, lists and scalars, without trusting the value.

Walks values itself instead of calling their ``model_dump``, ``__iter__`` or ``__str__``:
a serialiser written by somebody else may be slow, warn, change the value or raise. What
has to be called (``__repr__`` of a class that nobody here knows) is called in one place,
`attempt`.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import ipaddress
import pathlib
import re
import types
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import Any, Final, TypeVar

from .._model import Message
from ._secrets import SECRET, binary_marker

__all__ = ["attempt", "message_of", "plain", "register"]

T = TypeVar("T")

_MOST_DEPTH: Final = 64
_MOST_NODES: Final = 50_000
_MOST_TYPES: Final = 4_096
_LONGEST_REPR: Final = 2_000
_INT64: Final = 1 << 63
_SCALARS: Final = frozenset({str, bool, type(None)})  # plain already

CYCLE: Final = "[cycle]"
TOO_DEEP: Final = "[too deep]"
TOO_MANY: Final = "[too many values]"


def attempt(make: Callable[[], T], otherwise: T) -> T:
    """Call what may be foreign code, and return the other value if it raises."""
    try:
        return make()
    except Exception:  # noqa: BLE001  # hostile values are the purpose of this package
        return otherwise


def register(base: str, convert: Callable[[Any], object]) -> None:
    """Have every instance of a class, named in full, made plain by a function.

    The class is named and not passed, so that who registers need not import it. The
    function's result is walked in turn; it may hold anything but the value itself.
    """
    _converters[base] = convert
    _convert_by_class.clear()
    _visitors.clear()
    _visitors.update(_EXACT)


def message_of(value: object) -> Message | None:
    """Return the message that a framework's object is, or None for anything else."""
    convert = _convert_of(type(value))
    made = attempt(lambda: convert(value), None) if convert is not None else None
    return made if isinstance(made, Message) else None


def plain(
    value: object,
    *,
    hide: Callable[[str], str | None] | None = None,
    embed: Callable[[Message], str] | None = None,
) -> Any:
    """Return a value as dicts with text keys, lists, texts, ints, finite floats, bools and None.

    Args:
        value: Anything; it is only read.
        hide: Tells by a key what to put in place of its value; None to keep the value.
        embed: Tells what to put in place of a message; None for the message as plain data.
    """
    kind = type(value)
    if kind in _SCALARS:
        return value
    try:
        return _Walk(hide, embed).visit(value)
    except Exception:  # noqa: BLE001  # what no visitor foresaw, such as a stack that is nearly full
        return "[unreadable]"


class _Walk:
    """One pass over one value: where it is, and how much it may still visit."""

    __slots__ = ("embed", "hide", "left", "path")

    def __init__(self, hide: Callable[[str], str | None] | None, embed: Callable[[Message], str] | None) -> None:
        self.hide = hide
        self.embed = embed
        self.path: set[int] = set()  # ids of the containers around the current value
        self.left = _MOST_NODES

    def visit(self, value: Any) -> Any:
        """Return one value made plain."""
        kind = type(value)
        return (_visitors.get(kind) or _visitor_of(kind))(self, value)

    def inside(self, container: Any, walk: Callable[[_Walk, Any], Any]) -> Any:
        """Return what walking a container's content gives, unless it contains itself or is too deep."""
        here = id(container)
        if here in self.path:
            return CYCLE
        if len(self.path) >= _MOST_DEPTH:
            return TOO_DEEP
        self.path.add(here)
        try:
            return walk(self, container)
        except Exception:  # noqa: BLE001  # a mapping that raises, or one that changes meanwhile
            return _unprintable(container)
        finally:
            self.path.discard(here)

    def items(self, pairs: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
        """Return key-value pairs as a dict with text keys, hiding what has to be hidden."""
        result: dict[str, Any] = {}
        hide, scalars = self.hide, _SCALARS
        for key, value in pairs:
            name = key if type(key) is str else _key_text(key)
            if name in result:
                name = _other_name(name, result)
            marker = hide(name) if hide is not None else None
            if marker is not None:
                result[name] = _hidden(value, marker)
            else:
                result[name] = value if type(value) in scalars else self.visit(value)
            self.left -= 1
            if self.left < 0:
                result[TOO_MANY] = None
                break
        return result

    def values(self, values: Iterable[Any]) -> list[Any]:
        """Return values as a list."""
        result = []
        scalars = _SCALARS
        for value in values:
            result.append(value if type(value) in scalars else self.visit(value))
            self.left -= 1
            if self.left < 0:
                result.append(TOO_MANY)
                break
        return result


def _other_name(name: str, taken: Mapping[str, Any]) -> str:
    while name in taken:
        name += "~"  # 1 and "1" are two keys in Python and one in JSON
    return name


def _hidden(value: object, marker: str) -> object:
    # A number or a flag under the name of a secret (``"password": True``) tells nothing.
    return value if marker == SECRET and (value is None or isinstance(value, (bool, int))) else marker


def _key_text(key: Any) -> str:
    if isinstance(key, enum.Enum):
        key = key.value
    if isinstance(key, str):
        return str.__str__(key)
    if key is None or isinstance(key, (bool, int, float)):
        return attempt(lambda: str(key), "[key]").lower() if isinstance(key, bool) or key is None else _number_text(key)
    return attempt(lambda: str(key), _unprintable(key))


def _number_text(value: Any) -> str:
    return attempt(lambda: repr(value), "[number]")


def _type_name(value: object) -> str:
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def _unprintable(value: object) -> str:
    return f"[unprintable {_type_name(value)}]"


# ---------------------------------------------------------------- one visitor per kind of value


def _same(_walk: _Walk, value: Any) -> Any:
    return value


def _text(_walk: _Walk, value: Any) -> Any:
    return str.__str__(value)


def _int(_walk: _Walk, value: Any) -> Any:
    if -_INT64 <= value < _INT64:
        return int(value)
    # Beyond 64 bits most JSON readers round, and CPython refuses to print 4,300 digits.
    return attempt(lambda: int.__repr__(value), f"[int of {int.bit_length(value)} bits]")


def _float(_walk: _Walk, value: Any) -> Any:
    return float(value) if value - value == 0 else float.__repr__(value)  # NaN and infinities have no JSON


def _number(walk: _Walk, value: Any) -> Any:
    return attempt(lambda: _int(walk, int(value)), _unprintable(value))


def _real(walk: _Walk, value: Any) -> Any:
    return attempt(lambda: _float(walk, float(value)), _unprintable(value))


def _dict(walk: _Walk, value: Any) -> Any:
    return walk.inside(value, lambda walk, own: walk.items(list(dict.items(own))))


def _mapping(walk: _Walk, value: Any) -> Any:
    return walk.inside(value, lambda walk, own: walk.items([(key, own[key]) for key in own]))


def _sequence(walk: _Walk, value: Any) -> Any:
    return walk.inside(value, _Walk.values)


def _named_tuple(walk: _Walk, value: Any) -> Any:
    return walk.inside(value, lambda walk, own: walk.items(zip(own._fields, own, strict=False)))


def _bytes(_walk: _Walk, value: Any) -> Any:
    return attempt(lambda: binary_marker("bytes", bytes(value)), "[bytes]")


def _enum(walk: _Walk, value: Any) -> Any:
    return walk.visit(value._value_)


def _printed(_walk: _Walk, value: Any) -> Any:
    return attempt(lambda: str(value)[:_LONGEST_REPR], _unprintable(value))


def _iso(_walk: _Walk, value: Any) -> Any:
    return attempt(lambda: str(value.isoformat()), _unprintable(value))


def _class(_walk: _Walk, value: Any) -> Any:
    return attempt(lambda: f"[{value.__module__}.{value.__qualname__}]", "[class]")


def _error(walk: _Walk, value: Any) -> Any:
    message = attempt(lambda: str(value), "[unprintable]")
    return {"error": _type_name(value), "message": walk.visit(message)}


def _secret(_walk: _Walk, _value: Any) -> Any:
    return SECRET


def _model(walk: _Walk, value: Any) -> Any:
    """Visit a pydantic model by its fields; serialisers and computed fields would run foreign code."""
    hidden = {name for name, field in type(value).model_fields.items() if field.exclude or not field.repr}

    def fields(walk: _Walk, own: Any) -> Any:
        pairs = [*own.__dict__.items(), *(own.__pydantic_extra__ or {}).items()]
        return walk.items((name, item) for name, item in pairs if name not in hidden)

    return walk.inside(value, fields)


def _message(walk: _Walk, value: Message) -> Any:
    if walk.embed is not None:
        return walk.embed(value)
    fields = {"role": value.role, "parts": value.parts, "name": value.name}
    return walk.visit({key: held for key, held in fields.items() if held is not None})


def _dataclass(walk: _Walk, value: Any) -> Any:
    names = [field.name for field in dataclasses.fields(value) if field.repr]
    return walk.inside(value, lambda walk, own: walk.items((name, getattr(own, name, None)) for name in names))


def _unknown(_walk: _Walk, value: Any) -> Any:
    if getattr(type(value), "__repr__", None) is object.__repr__:
        return f"[{_type_name(value)}]"  # the default text holds nothing but an address
    text = attempt(lambda: repr(value), _unprintable(value))
    return text if len(text) <= _LONGEST_REPR else f"{text[:_LONGEST_REPR]}[+{len(text) - _LONGEST_REPR} characters]"


_Visitor = Callable[[_Walk, Any], Any]

_EXACT: Final[dict[type, _Visitor]] = {
    str: _same,
    bool: _same,
    type(None): _same,
    int: _int,
    float: _float,
    dict: _dict,
    list: _sequence,
    tuple: _sequence,
}

# Tried in this order for every other class, then remembered: an enum may be a str as well.
_BY_BASE: Final[tuple[tuple[Any, _Visitor], ...]] = (
    (enum.Enum, _enum),
    (str, _text),
    ((bytes, bytearray, memoryview), _bytes),
    (int, _int),
    (float, _float),
    (Integral, _number),
    (Real, _real),
    (dict, _dict),
    ((set, frozenset, list, deque), _sequence),
    ((dt.date, dt.time), _iso),
    ((decimal.Decimal, fractions.Fraction, uuid.UUID, dt.timedelta, pathlib.PurePath), _printed),
    ((ipaddress.IPv4Address, ipaddress.IPv6Address, complex, re.Pattern), _printed),
    (type, _class),
    ((types.FunctionType, types.BuiltinFunctionType), _class),
    (BaseException, _error),
    (Message, _message),
    (Mapping, _mapping),
)

_SECRET_CLASSES: Final = frozenset({"pydantic.types.SecretStr", "pydantic.types.SecretBytes", "pydantic.types.Secret"})

_converters: dict[str, Callable[[Any], object]] = {}
_visitors: dict[type, _Visitor] = dict(_EXACT)
_convert_by_class: dict[type, Callable[[Any], object] | None] = {}


def _visitor_of(kind: type) -> _Visitor:
    """Return what visits values of a class, and remember it."""
    unknown: _Visitor = _unknown
    visitor = attempt(lambda: _resolve(kind), unknown)
    if len(_visitors) >= _MOST_TYPES:  # classes made at run time must not pile up
        _visitors.clear()
        _visitors.update(_EXACT)
    _visitors[kind] = visitor
    return visitor


def _resolve(kind: type) -> _Visitor:
    if _names_of(kind) & _SECRET_CLASSES:
        return _secret
    if convert := _convert_of(kind):
        return _converting(convert)
    for bases, visitor in _BY_BASE:
        if issubclass(kind, bases):
            return visitor
    return _by_shape(kind)


def _names_of(kind: type) -> frozenset[str]:
    return frozenset(f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__)


def _convert_of(kind: type) -> Callable[[Any], object] | None:
    if kind not in _convert_by_class:
        if len(_convert_by_class) >= _MOST_TYPES:
            _convert_by_class.clear()
        nothing: frozenset[str] = frozenset()
        names = attempt(lambda: _names_of(kind), nothing)
        _convert_by_class[kind] = next((_converters[name] for name in _converters if name in names), None)
    return _convert_by_class[kind]


def _by_shape(kind: type) -> _Visitor:
    if issubclass(kind, tuple):
        return _named_tuple if hasattr(kind, "_fields") else _sequence
    if hasattr(kind, "__pydantic_fields__") and hasattr(kind, "__pydantic_serializer__"):
        return _model
    return _dataclass if dataclasses.is_dataclass(kind) else _unknown


def _converting(convert: Callable[[Any], object]) -> _Visitor:
    def visitor(walk: _Walk, value: Any) -> Any:
        return walk.inside(value, lambda walk, own: walk.visit(convert(own)))

    return visitor
