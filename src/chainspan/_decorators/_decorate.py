"""The decorators."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from chainspan._errors import require, require_type

from ._binding import whole_of
from ._kinds import KINDS, Own
from ._native import made_with, provider_of_module
from ._options import are_handlers, are_several
from ._traced import Traced, name_of

__all__ = ["agent", "chain", "llm", "prompt", "retriever", "tool"]

P = ParamSpec("P")
R = TypeVar("R")


class Decorator(Protocol):
    """Decorates functions, bare or with options."""

    @overload
    def __call__(self, function: Callable[P, R], /) -> Traced[P, R]: ...
    @overload
    def __call__(
        self,
        *,
        name: str | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        callbacks: Any = None,
    ) -> Bare: ...


class ModelDecorator(Protocol):
    """Decorates functions that ask a model, bare or with options."""

    @overload
    def __call__(self, function: Callable[P, R], /) -> Traced[P, R]: ...
    @overload
    def __call__(
        self,
        *,
        provider: str | None = None,
        model: str | None = None,
        name: str | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        callbacks: Any = None,
    ) -> Bare: ...


class Bare(Protocol):
    """Decorates one function."""

    def __call__(self, function: Callable[P, R], /) -> Traced[P, R]: ...


def _decorator(kind: str, about: str) -> Any:
    def decorate(  # noqa: PLR0913  each stands for itself
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        provider: str | None = None,
        model: str | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        callbacks: Any = None,
    ) -> Any:
        _check_texts(kind, name=name, provider=provider, model=model)
        require(are_several(tags), f"{kind}(tags=)", expected="a list of texts", got=tags)
        require_type(f"{kind}(metadata=)", metadata, Mapping, type(None), expected="a mapping")
        require(are_handlers(callbacks), f"{kind}(callbacks=)", expected="handlers", got=callbacks)

        def wrap(wrapped: Callable[..., Any]) -> Traced[..., Any]:
            require(_is_function(wrapped), f"@{kind}", expected="a function", got=wrapped)
            whole = whole_of(wrapped)
            own = Own(
                name=name or name_of(wrapped),
                is_named=bool(name),
                provider=provider or provider_of_module(getattr(whole, "__module__", None) or ""),
                model=model,
                made_with=made_with(whole) if kind == "llm" else {},
                description=inspect.getdoc(wrapped if _has_own_text(wrapped) else whole) if kind == "tool" else None,
            )
            return Traced(wrapped, KINDS[kind], own, tags=tags, metadata=metadata, callbacks=callbacks)

        return wrap if function is None else wrap(function)

    decorate.__name__ = decorate.__qualname__ = kind
    decorate.__doc__ = about
    return decorate


def _check_texts(kind: str, **options: object) -> None:
    for option, given in options.items():
        require_type(f"{kind}({option}=)", given, str, type(None), expected="a text")
        is_for_kind = given is None or option == "name" or KINDS[kind].is_model
        require(is_for_kind, f"{kind}({option}=)", expected="nothing: it is an option of llm", got=given)


def _has_own_text(function: Callable[..., Any]) -> bool:
    """Return whether a function that is a part of another is documented itself."""
    return "__doc__" in getattr(function, "__dict__", {})


def _is_function(given: object) -> bool:
    """Return whether something can be called, or is looked up by a class as its methods are."""
    return callable(given) or (hasattr(given, "__get__") and not isinstance(given, (property, cached_property)))


chain: Decorator = _decorator(
    "chain",
    """Make a function a step of its own, which holds others.""",
)

prompt: Decorator = _decorator(
    "prompt",
    """Make a function that writes a prompt a step.""",
)

llm: ModelDecorator = _decorator(
    "llm",
    """Make a function that asks a model a step.

What it returns is read as the answer: the response of a provider's client, the stream of one,
a text. Its arguments are read by the names that the clients have for them: ``messages``,
``model``, ``temperature``, …; the first one is the question where none of these names is there.

Args:
    provider: The provider as OpenTelemetry's conventions name it: ``anthropic``, ``openai``,
        ``aws.bedrock``, … None: what the decorated client's method says, else the response.
    model: The model that is asked, where no argument says it.
""",
)

tool: Decorator = _decorator(
    "tool",
    """Make a function a tool: its arguments are recorded by name, its docstring describes it.""",
)

retriever: Decorator = _decorator(
    "retriever",
    """Make a function that finds documents a step: its first argument is the query.""",
)

agent: Decorator = _decorator(
    "agent",
    """Make a function an agent: what runs inside belongs to it by its name.""",
)
