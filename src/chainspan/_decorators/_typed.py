"""The step that a function of some type makes, as type checkers see it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from typing_extensions import Unpack, override

from ._options import CallOptions, Config
from ._step import Step

__all__ = ["Typed"]

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
V = TypeVar("V")


class Typed(Step, Generic[P, R_co]):
    """A step whose ways to run it take and return what a function does, by that function's type.

    A function that is annotated to return an iterator may be a generator, whose values are joined,
    or return a stream, which is handed on: ``invoke`` cannot know.
    """

    if TYPE_CHECKING:

        @overload
        def invoke(
            self: Typed[..., Iterator[Any]],
            input: Any = ...,
            config: Config | None = None,
            **options: Unpack[CallOptions],
        ) -> Any: ...
        @overload
        def invoke(
            self: Typed[..., V], input: Any = ..., config: Config | None = None, **options: Unpack[CallOptions]
        ) -> V: ...
        @override
        def invoke(self, input: Any = ..., config: Config | None = None, **options: Unpack[CallOptions]) -> Any: ...

        @overload
        async def ainvoke(
            self: Typed[..., Coroutine[Any, Any, V]],
            input: Any = ...,
            config: Config | None = None,
            **options: Unpack[CallOptions],
        ) -> V: ...
        @overload
        async def ainvoke(
            self: Typed[..., AsyncIterator[Any]] | Typed[..., Iterator[Any]],
            input: Any = ...,
            config: Config | None = None,
            **options: Unpack[CallOptions],
        ) -> Any: ...
        @overload
        async def ainvoke(
            self: Typed[..., V], input: Any = ..., config: Config | None = None, **options: Unpack[CallOptions]
        ) -> V: ...
        @override
        async def ainvoke(
            self, input: Any = ..., config: Config | None = None, **options: Unpack[CallOptions]
        ) -> Any: ...

        @overload
        def stream(
            self: Typed[..., Iterator[V]],
            input: Any = ...,
            config: Config | None = None,
            **options: Unpack[CallOptions],
        ) -> Iterator[V]: ...
        @overload
        def stream(
            self: Typed[..., V], input: Any = ..., config: Config | None = None, **options: Unpack[CallOptions]
        ) -> Iterator[V]: ...
        @override
        def stream(
            self, input: Any = ..., config: Config | None = None, **options: Unpack[CallOptions]
        ) -> Iterator[Any]: ...

        @overload
        def astream(
            self: Typed[..., Coroutine[Any, Any, V]],
            input: Any = ...,
            config: Config | None = None,
            **options: Unpack[CallOptions],
        ) -> AsyncIterator[V]: ...
        @overload
        def astream(
            self: Typed[..., AsyncIterator[V]],
            input: Any = ...,
            config: Config | None = None,
            **options: Unpack[CallOptions],
        ) -> AsyncIterator[V]: ...
        @overload
        def astream(
            self: Typed[..., Iterator[V]],
            input: Any = ...,
            config: Config | None = None,
            **options: Unpack[CallOptions],
        ) -> AsyncIterator[V]: ...
        @overload
        def astream(
            self: Typed[..., V], input: Any = ..., config: Config | None = None, **options: Unpack[CallOptions]
        ) -> AsyncIterator[V]: ...
        @override
        def astream(
            self, input: Any = ..., config: Config | None = None, **options: Unpack[CallOptions]
        ) -> AsyncIterator[Any]: ...
