"""A decorated function that is bound to an object, as a method is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from chainspan.langchain._witness import child_config

__all__ = ["Method"]

_config_in_force = child_config.get


class _Module(str):
    """The module of the function for a method, and that of the class for the class."""

    __slots__ = ()

    def __get__(self, instance: Method | None, owner: type | None = None) -> str:
        return self if instance is None else str(instance.made_of[2].__module__)


class Method:
    """What looking up a decorated method gives: the method, and a step of a trace.

    Each look-up makes one, mostly just to call it. So it is small, and calls the function where
    nobody listens; for all else that is asked of it, it makes the step that it passes for.
    """

    __slots__ = ("__weakref__", "made_of")

    if TYPE_CHECKING:  # a class's annotations would hide those of the function

        def __init__(self) -> None:
            self.made_of: tuple[Any, Any, Any] = (None, None, None)
            """The function, None where handlers are bound to it; the object or class; the decorated function.

            One attribute, since with a `__getattr__` beside it each costs as much as a call.
            """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the method; inside a traced run, as a step of it."""
        function, instance, _ = self.made_of
        if function is not None and _config_in_force() is None:  # the way of nearly all calls
            return function(instance, *args, **kwargs) if kwargs else function(instance, *args)
        return self._step()(*args, **kwargs)

    if not TYPE_CHECKING:  # as of the step
        __call__.__annotations__ = {}

    def __getattr__(self, name: str) -> Any:
        """Answer for what the step has."""
        return getattr(self._step(), name)

    def _step(self) -> Any:
        _, instance, unbound = self.made_of
        return unbound.bound_to(instance)

    if not TYPE_CHECKING:  # a type checker takes a class for what it is
        __module__ = _Module(__name__)

        @property
        def __class__(self) -> type:
            """The class of the step, for ``isinstance``."""
            return type(self.made_of[2])

        @property
        def __doc__(self) -> str | None:
            """The documentation of the function."""
            return self.made_of[2].__doc__

    def __or__(self, other: Any) -> Any:
        """Return a step that hands its result on to another one, a function, or a dict of those."""
        return self._step() | other

    def __ror__(self, other: Any) -> Any:
        """Return a step that is handed the result of another one, a function, or a dict of those."""
        return other | self._step()

    @override
    def __eq__(self, other: object) -> bool:
        """Compare as methods do: the same function of the same object."""
        if type(other) is not Method:
            return NotImplemented
        return all(mine is its for mine, its in zip(self.made_of, other.made_of, strict=True))

    @override
    def __hash__(self) -> int:
        """Return the hash that goes with it."""
        return hash(tuple(map(id, self.made_of)))

    @override
    def __repr__(self) -> str:
        """Return what it is."""
        return repr(self._step())

    @override
    def __dir__(self) -> list[str]:
        """Return the names that the step has."""
        return dir(self._step())

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        """Return how to look it up again, in another process too."""
        _, instance, unbound = self.made_of
        return getattr, (instance, unbound.__name__)
