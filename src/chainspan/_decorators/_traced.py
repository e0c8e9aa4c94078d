"""A decorated function."""

from __future__ import annotations

import sys
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterator,
    Mapping,
    Sequence,
)
from copy import copy
from functools import partial, update_wrapper
from types import MethodType
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, SupportsIndex, TypeVar, overload

from typing_extensions import Self, Unpack, override

from chainspan.langchain._managers import is_traced
from chainspan.langchain._witness import child_config

from ._binding import Arguments, Binds, Flavor, bind, binds_of, flavor_of, named, whole_of
from ._drive import acall, agenerate, call, call_wrapper, generate
from ._handed import handed, handed_to
from ._joining import ajoined, joined
from ._kinds import Kind, Own
from ._method import Method
from ._options import CallOptions, Config
from ._passing import InThreads, alone, in_thread, passed_on
from ._pickling import FIRST_BY_PATH, Bound, Carriers, function_of, marked, named_so, source_of
from ._typed import Typed
from ._undone import given_up

__all__ = ["Traced", "name_of"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
V = TypeVar("V")

_config_in_force = child_config.get
_new = object.__new__
_NOTHING: Mapping[str, Any] = {}
_UNSEEN: Any = object()
_CARRIERS: Final = "_kept_carriers"
_OBJECTS: Final = ("self", "cls")  # what methods call their first parameter; a property calls them as functions


class _Annotations:
    """The annotations of the function for a decorated one, which a class's own would hide."""

    def __get__(self, instance: Traced[..., Any] | None, owner: type | None = None) -> dict[str, Any]:
        return {} if instance is None else getattr(instance._function, "__annotations__", {})  # noqa: SLF001 - its own


class Traced(Typed[P, R_co]):
    """A function that is called as ever, and is a step of a trace where handlers listen.

    It looks like the function that it wraps: its name, signature and documentation, and what
    it tells of being a coroutine function or a generator function, are the function's.

    Args:
        function: What is decorated.
        kind: What kind of step it is.
        own: What is said of it where it is decorated; None for its own name.
    """

    if TYPE_CHECKING:
        __name__: str = ""
        __qualname__: str = ""
    elif sys.version_info >= (3, 14):  # before, `update_wrapper` hands them on, since they have been evaluated
        __annotations__ = _Annotations()

    def __init__(
        self,
        function: Callable[P, R_co],
        kind: Kind,
        own: Own | None = None,
        *,
        callbacks: Any = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        called: Callable[P, R_co] = function.__func__ if isinstance(function, (staticmethod, classmethod)) else function
        update_wrapper(self, called)
        super().__init__(kind, own or Own(name=name_of(called)))
        self._function = called
        self._flavor, self._is_wrapper = flavor_of(called)
        self._is_stream = self._flavor.is_stream and not self._is_wrapper
        self._hands_on = self._is_stream or self._is_wrapper or kind.is_model
        self._bound = ({"callbacks": callbacks},) if callbacks else ()
        self._tags = tags
        self._metadata = metadata or {}
        self._binds = binds_of(function)
        self._handed = handed_to(called)
        self._aim()

    def _aim(self) -> None:
        """Keep at hand what a call and a look-up need, each in one attribute."""
        vars(self).pop(_CARRIERS, None)  # of the step that this is a copy of
        self._direct = None if self._bound else self._function
        self._lookup = (self._direct if self._binds is Binds.OBJECT else None, self._binds is Binds.CLASS)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function; inside a traced run, as a step of it."""
        function = self._direct
        if function is not None and (_config_in_force() is None or not is_traced()):  # the way of nearly all calls
            return function(*args, **kwargs) if kwargs else function(*args)  # type: ignore[call-arg]
        called: R_co = self._called(Arguments(args, kwargs))
        return called

    if not TYPE_CHECKING:  # LangGraph reads of a node what a call takes, and asks the function where that says nothing
        __call__.__annotations__ = {}

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(self: Traced[Concatenate[Any, Q], V], instance: object, owner: type | None = None) -> Traced[Q, V]: ...
    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """Return the method of an object or of a class, decorated."""
        function, is_of_class = self._lookup
        if is_of_class:
            function, instance = self._direct, type(instance) if owner is None else owner
        elif function is None or instance is None:
            return self._looked_up(instance, owner)
        method = Method()
        method.made_of = function, instance, self  # not by its `__init__`, a call of which would cost as much again
        return method

    def _looked_up(self, instance: object, owner: type | None) -> Any:
        if instance is None or self._binds is Binds.NOTHING:
            return self
        if self._binds is Binds.ITS_CHOICE:
            return self._of(self._function.__get__(instance, owner))
        method = Method()
        method.made_of = None, instance, self
        return method

    def bound_to(self, instance: object) -> Traced[..., R_co]:
        """Return the step that a method of an object is."""
        return self._of(MethodType(self._function, instance))

    def bind(self, **arguments: Any) -> Traced[..., R_co]:
        """Return the step with some keyword arguments of its function given already."""
        return self._of(Bound(self._function, **arguments))

    def _of(self, target: Callable[..., R_co]) -> Traced[..., R_co]:
        if target is self._function:
            return self
        step: Traced[..., R_co] = copy(self)
        step._function, step._binds = target, Binds.NOTHING
        step._handed = handed_to(target) if self._handed else ()
        vars(step)["__wrapped__"] = target
        step._aim()
        return step

    @override
    def with_config(self, config: Config | None = None, **options: Unpack[CallOptions]) -> Self:
        """Return the step with callbacks, tags, metadata or a name for all its runs to come."""
        bound = super().with_config(config, **options)
        bound._aim()  # noqa: SLF001 - it is being made
        return bound

    def __getattr__(self, name: str) -> Any:
        """Answer for what the function has besides."""
        if "_function" not in vars(self):  # of an object that is being made
            raise AttributeError(name)
        return getattr(self._function, name)

    def __copy__(self) -> Self:
        """Return a copy of the step, of the same function."""
        copied = _new(type(self))
        vars(copied).update(vars(self))
        return copied

    @override
    def __reduce_ex__(self, protocol: SupportsIndex, /) -> str | tuple[Any, ...]:
        """Return how to find the step in another process: by its name, as functions are, if that can be."""
        if named_so(self) is not self:
            return _restored, self._parts(source_of(self._function))
        if int(protocol) < FIRST_BY_PATH:
            return str(self.__qualname__)
        return _marked, (self._carriers.mark,), self._carriers.parts

    def __setstate__(self, parts: Callable[[], tuple[Any, ...]]) -> None:
        """Become what was carried by value; a step that was found by its name is that already."""
        if "_function" not in vars(self):
            self._become(*parts())

    @property
    def _carriers(self) -> Carriers:
        made: Carriers = vars(self).setdefault(_CARRIERS, Carriers(self, self._parts(self._function)))
        return made

    def _parts(self, function: Any) -> tuple[Any, ...]:
        options = {"tags": self._tags, "metadata": self._metadata}
        return function, self._kind, self._own, self._bound, self._binds, options

    def _become(
        self,
        function: Callable[P, R_co],
        kind: Kind,
        own: Own,
        bound: tuple[Config, ...],
        binds: Binds,
        options: Mapping[str, Any],
    ) -> None:
        Traced.__init__(self, function, kind, own, **options)
        self._bound, self._binds = bound, binds
        self._aim()

    @override
    def __repr__(self) -> str:
        """Return what it is."""
        return f"<{self._kind.word} {self._own.name}: {self._function!r}>"

    # ------------------------------------------------------------ running the function
    def _called(self, arguments: Arguments) -> Any:
        args, kwargs = arguments
        run = self._run_of(self._bound, lambda: self._named(arguments))
        if run is None:
            return self._function(*args, **kwargs)
        body: partial[Any] = partial(self._function, *args, **kwargs)  # no frame more for each level of a recursion
        if self._is_wrapper:
            return call_wrapper(run, body)
        made = _DRIVERS[self._flavor](run, body)
        if self._flavor is not Flavor.FUNCTION:  # named in warnings, and where a loop's tasks are shown
            made.__name__ = getattr(self, "__name__", self._own.name)
            made.__qualname__ = getattr(self, "__qualname__", made.__name__)
        return made

    def _named(self, arguments: Arguments) -> dict[str, Any]:
        said = named(self._function, arguments, with_defaults=self._kind.is_model)
        if self._binds is Binds.OBJECT and arguments.args and (first := next(iter(said), "")) in _OBJECTS:
            del said[first]
        return said

    @override
    def _shown(self, given: Any) -> Any:
        args, kwargs = bind(self._function, given, dict.fromkeys(self._handed, _UNSEEN))
        return self._named(Arguments(args, {key: value for key, value in kwargs.items() if value is not _UNSEEN}))

    def _result(self, given: Any) -> Any:
        beside = handed(self._handed, _config_in_force()) if self._handed else _NOTHING
        args, kwargs = bind(self._function, given, beside)
        return self._function(*args, **kwargs)

    def _sync_result(self, given: Any) -> Any:
        may_be_sync = self._is_wrapper or not self._flavor.is_async
        value = self._result(given) if may_be_sync else None
        if not may_be_sync or (self._is_wrapper and given_up(value)):
            raise TypeError(f"{self._own.name} is a {self._flavor.value}: use ainvoke or astream")
        return value

    async def _async_result(self, given: Any) -> Any:
        if not self._flavor.is_async:
            return await in_thread(self._result, given)
        value = self._result(given)
        return await value if isinstance(value, Awaitable) else value

    @override
    def _body(self, given: Any) -> Any:
        value = self._sync_result(given)
        return joined([*value]) if self._is_wrapper and isinstance(value, Generator) else value

    @override
    async def _abody(self, given: Any) -> Any:
        value = await self._async_result(given)
        return await ajoined(value) if self._is_wrapper else value

    @override
    def _items(self, given: Any) -> Generator[Any, Any, Any]:
        value = self._sync_result(given)
        if self._hands_on and isinstance(value, Iterator):
            return (yield from value)
        yield value
        return None

    @override
    def _aitems(self, given: Any) -> AsyncGenerator[Any, Any]:
        return passed_on(lambda: self._opened(given))

    async def _opened(self, given: Any) -> AsyncIterator[Any]:
        value = self._result(given) if self._is_stream else await self._async_result(given)
        if self._hands_on:
            if isinstance(value, AsyncIterator):
                return value
            if isinstance(value, Iterator):
                return InThreads(value)
        return alone(value)


_DRIVERS: Mapping[Flavor, Callable[..., Any]] = {
    Flavor.FUNCTION: call,
    Flavor.COROUTINE: acall,
    Flavor.GENERATOR: generate,
    Flavor.ASYNC_GENERATOR: agenerate,
}


def _restored(source: Any, *parts: Any) -> Traced[..., Any]:
    """Return a step that was pickled."""
    step: Traced[..., Any] = _new(Traced)
    step._become(function_of(source), *parts)  # noqa: SLF001 - it is being made
    return step


def _marked(mark: Callable[[], None]) -> Traced[..., Any]:
    """Return the step that was found by its name, or one that is yet to be what was carried by value."""
    found: Traced[..., Any] | None = marked(mark)
    return _new(Traced) if found is None else found


def name_of(function: Callable[..., Any]) -> str:
    """Return what a function is called in a trace."""
    whole = function if hasattr(function, "__name__") else whole_of(function)
    name: str = getattr(whole, "__name__", type(whole).__name__)
    return "lambda" if name == "<lambda>" else name
