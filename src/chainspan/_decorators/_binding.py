"""From what a step is invoked with to a function's arguments, and from those to their names."""

from __future__ import annotations

import inspect
import sys
import weakref
from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial, partialmethod
from types import FunctionType, MethodType
from typing import Any, Final, NamedTuple, TypeAlias

if sys.version_info >= (3, 14):  # annotations are evaluated when asked for, and may name what only type checkers know
    from annotationlib import Format

    _inspected = partial(inspect.signature, annotation_format=Format.FORWARDREF)
else:
    _inspected = inspect.signature

__all__ = [
    "NOTHING",
    "Arguments",
    "Binds",
    "Flavor",
    "bind",
    "binds_of",
    "flavor_of",
    "named",
    "signature_of",
    "whole_of",
]

NOTHING: Final[Any] = inspect.Parameter.empty  # the input of a call that has none
_VARIADIC: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Arguments(NamedTuple):
    """The arguments of a call."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


class Flavor(Enum):
    """What calling a function gives."""

    FUNCTION = "function"
    COROUTINE = "coroutine"
    GENERATOR = "generator"
    ASYNC_GENERATOR = "async generator"

    @property
    def is_async(self) -> bool:
        """Whether it can only be used in asynchronous code."""
        return self in (Flavor.COROUTINE, Flavor.ASYNC_GENERATOR)

    @property
    def is_stream(self) -> bool:
        """Whether it gives one value after another."""
        return self in (Flavor.GENERATOR, Flavor.ASYNC_GENERATOR)


class Binds(Enum):
    """To what a class's attribute is bound when it is looked up."""

    NOTHING = "it stays what it is"
    OBJECT = "the object, as methods are"
    CLASS = "the class"
    ITS_CHOICE = "it has a way of its own"


def binds_of(function: object) -> Binds:
    """Return to what a function is bound that stands in a class."""
    if isinstance(function, FunctionType):
        return Binds.OBJECT
    if isinstance(function, classmethod):
        return Binds.CLASS
    stays = isinstance(function, (staticmethod, MethodType)) or not hasattr(type(function), "__get__")
    return Binds.NOTHING if stays else Binds.ITS_CHOICE


def whole_of(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function of which one is a part, as some of its arguments are given already; any other itself."""
    while isinstance(function, (partial, partialmethod)):
        function = function.func
    return function


_TESTS: Final = (
    (inspect.iscoroutinefunction, Flavor.COROUTINE),
    (inspect.isasyncgenfunction, Flavor.ASYNC_GENERATOR),
    (inspect.isgeneratorfunction, Flavor.GENERATOR),
)


def flavor_of(function: Callable[..., Any]) -> tuple[Flavor, bool]:
    """Return what calling a function gives, and whether that is known only of what it wraps.

    A wrapper may hand on the coroutine or the generator of what it wraps, as those of clients'
    methods do, or make something else of it: a context manager, a list, the result itself.
    """
    flavor = _told_by(function)
    inner = inspect.unwrap(whole_of(function))
    if flavor is not Flavor.FUNCTION or inner is function:
        return flavor, False
    wrapped = _told_by(inner)
    return wrapped, wrapped is not Flavor.FUNCTION


def _told_by(function: Callable[..., Any]) -> Flavor:
    called = getattr(type(function), "__call__", None)  # noqa: B004 - of an object that is no function
    for candidate in (function, called):
        for test, flavor in _TESTS:
            if test(candidate):
                return flavor
    return Flavor.FUNCTION


def bind(function: Callable[..., Any], given: Any, beside: Mapping[str, Any]) -> Arguments:
    """Return the arguments that an input stands for.

    A mapping is spread onto the parameters where it fits: where every key is the name of a
    parameter and no parameter without a default is left out, and an empty one where there is
    no parameter that could take it. Everything else, a mapping that does not fit too, is the
    first positional argument. No input is no argument.

    Args:
        function: What is called.
        given: The input.
        beside: What the function is handed beside the input, unless that has something of the name.
    """
    if given is NOTHING:
        return Arguments((), beside)
    if isinstance(given, Mapping) and _fits(function, given, beside):
        return Arguments((), {**beside, **given})
    return Arguments((given,), beside)


def _fits(function: Callable[..., Any], given: Mapping[Any, Any], beside: Mapping[str, Any]) -> bool:
    signature = signature_of(function)
    if signature is None or not all(isinstance(key, str) for key in given):
        return False
    return _binds(signature, **{**beside, **given}) and bool(given or not _binds(signature, given, **beside))


def _binds(signature: inspect.Signature, /, *args: Any, **kwargs: Any) -> bool:
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def named(function: Callable[..., Any], arguments: Arguments, *, with_defaults: bool = False) -> dict[str, Any]:
    """Return arguments by the names of their parameters."""
    signature = signature_of(function)
    if signature is None:
        return {**{str(index): value for index, value in enumerate(arguments.args)}, **arguments.kwargs}
    try:
        bound = signature.bind_partial(*arguments.args, **arguments.kwargs)
    except TypeError:  # the call is about to raise it
        return {"args": list(arguments.args), **arguments.kwargs}
    if with_defaults:
        bound.apply_defaults()
    flat: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            flat.update(value)
        elif kind is not inspect.Parameter.VAR_POSITIONAL or value:
            flat[name] = list(value) if kind in _VARIADIC else value
    return flat


_Signatures: TypeAlias = weakref.WeakKeyDictionary[Callable[..., Any], inspect.Signature | None]
_of_functions: _Signatures = weakref.WeakKeyDictionary()
_of_methods: _Signatures = weakref.WeakKeyDictionary()
_UNKNOWN: Final = inspect.Signature()
_PLAIN: Final = frozenset({type(None), bool, int, float, str, bytes})  # types of defaults that hold nothing else


def signature_of(function: Callable[..., Any]) -> inspect.Signature | None:
    """Return a function's signature; None for one that has none, such as some of C's.

    It is remembered for as long as the function lives, if that keeps nothing alive: a function holds its module,
    and so do the objects of the module's classes, which defaults may be.
    """
    is_bound = isinstance(function, MethodType)
    called = function.__func__ if isinstance(function, MethodType) else function
    known = _of_methods if is_bound else _of_functions
    try:
        signature = known.get(called, _UNKNOWN)
        if signature is _UNKNOWN:
            signature = _read_signature(called, is_bound=is_bound)
            if signature is None or all(_is_plain(one.default) for one in signature.parameters.values()):
                known[called] = signature
    except Exception:  # noqa: BLE001 - an object that can be called may have no hash, as dataclasses have none
        signature = _read_signature(called, is_bound=is_bound)
    return signature


def _is_plain(default: object) -> bool:
    return default is inspect.Parameter.empty or type(default) in _PLAIN


def _read_signature(function: Callable[..., Any], *, is_bound: bool) -> inspect.Signature | None:
    """Read a signature without its annotations, which name classes of the function's module."""
    try:
        whole = _inspected(function)
    except (TypeError, ValueError):
        return None
    bare = [one.replace(annotation=inspect.Parameter.empty) for one in whole.parameters.values()]
    return inspect.Signature(bare[1:] if is_bound else bare)
