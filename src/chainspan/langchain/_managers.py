"""Whose handlers hear of a decorated function's run, and how they are told.

With LangChain its own managers and its own dispatch do the work, so that its handlers, its
context variables and its debug switches behave as in a chain. Without it the stand-ins of
`_standins` do the little that is needed.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID, uuid4

from ._witness import child_config

if TYPE_CHECKING:
    from langchain_core.callbacks import CallbackManager
    from langchain_core.callbacks.manager import ahandle_event, handle_event
else:
    try:
        from langchain_core.callbacks import CallbackManager
        from langchain_core.callbacks.manager import ahandle_event, handle_event
    except ImportError:
        from ._standins import CallbackManager, ahandle_event, handle_event

__all__ = ["Event", "Force", "Given", "atell", "force", "is_traced", "tell", "tell_in"]

_KEPT: Final = ("configurable", "max_concurrency", "recursion_limit")


class Event(NamedTuple):
    """A callback to make: its name, the handlers' flag that declines it, and its arguments."""

    name: str
    ignore: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a call was given beside its input, and what the callee adds for itself alone.

    Attributes:
        callbacks: Lists of handlers, each to run beside those in force, or a handler alone; or a
            manager, which LangChain hands over with the run that it stands for.
        tags: For the run and everything inside; so is the metadata.
        shared_metadata: What the callee adds for everything inside.
        own_tags: For the run alone; so is `own_metadata`.
    """

    config: Mapping[str, Any] = field(default_factory=dict)
    callbacks: Sequence[Any] = ()
    tags: Sequence[str] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    shared_metadata: Mapping[str, Any] = field(default_factory=dict)
    own_tags: Sequence[str] = ()
    own_metadata: Mapping[str, Any] = field(default_factory=dict)


class Force(NamedTuple):
    """The handlers in force for one run, and the config that its body sees."""

    run_id: UUID
    manager: Any
    config: dict[str, Any]


def is_traced() -> bool:
    """Return whether any handler hears of what is called here."""
    config = child_config.get()
    if config is None:
        return False
    callbacks = config.get("callbacks")
    return bool(getattr(callbacks, "handlers", callbacks))


def force(given: Given) -> Force | None:
    """Return the handlers in force for a call, or None where there is none, and nothing else to hand on inside."""
    inherited = child_config.get() or {}
    manager: Any = CallbackManager.configure(
        inheritable_callbacks=_callbacks(inherited.get("callbacks"), given.callbacks),
        inheritable_tags=list(given.tags),
        local_tags=list(given.own_tags),
        inheritable_metadata={**given.shared_metadata, **given.metadata},
        local_metadata=dict(given.own_metadata),
    )
    if not manager.handlers and not _hands_on(given, inherited):
        return None
    run_id = given.config.get("run_id")
    run_id = run_id if isinstance(run_id, UUID) else _new_id()
    below = {key: source[key] for source in (inherited, given.config) for key in _KEPT if source.get(key) is not None}
    below["tags"] = [*dict.fromkeys([*(inherited.get("tags") or ()), *given.tags])]
    below["metadata"] = {**(inherited.get("metadata") or {}), **given.shared_metadata, **given.metadata}
    seen: dict[str, Any] = {"recursion_limit": 25, "configurable": {}, **below}
    if not manager.handlers:
        return Force(run_id, manager, {"callbacks": None, **inherited, **seen})
    return Force(run_id, manager, {**seen, "callbacks": _child(manager, run_id)})


def _hands_on(given: Given, inherited: Mapping[str, Any]) -> bool:
    """Return whether a call was given for what is called inside what is not in force there yet."""
    return (
        _has_news(given.config, inherited, _KEPT)
        or _has_news(given.metadata, inherited.get("metadata") or {}, given.metadata)
        or not {*given.tags} <= {*(inherited.get("tags") or ())}
    )


def _has_news(given: Mapping[str, Any], known: Mapping[str, Any], keys: Iterable[str]) -> bool:
    return any(given.get(key) is not None and given[key] is not known.get(key) for key in keys)


def _callbacks(inherited: Any, given: Sequence[Any]) -> Any:
    """Return who is told: a manager that was given instead of those in force, a list beside them."""
    chosen: Any = inherited
    added: list[Any] = []
    for callbacks in given:
        if isinstance(callbacks, (list, tuple)):
            added += callbacks
        elif hasattr(callbacks, "handlers"):
            chosen = callbacks
        else:
            added.append(callbacks)
    if not added:
        return chosen
    if chosen is None or isinstance(chosen, (list, tuple)):
        return list({id(handler): handler for handler in [*(chosen or ()), *added]}.values())
    joined = chosen.copy()
    for handler in added:
        joined.add_handler(handler, inherit=True)
    return joined


def _child(manager: Any, run_id: UUID) -> Any:
    child: Any = CallbackManager(handlers=[], parent_run_id=run_id)
    child.set_handlers(list(manager.inheritable_handlers))
    child.add_tags(list(manager.inheritable_tags))
    child.add_metadata(dict(manager.inheritable_metadata))
    return child


def _make_id() -> Callable[[], UUID]:
    try:
        from langchain_core.utils.uuid import uuid7  # noqa: PLC0415  newer than langchain-core 1.0
    except ImportError:
        return uuid4
    return uuid7


_new_id = _make_id()


# ---------------------------------------------------------------- telling


def tell(handlers: Sequence[Any], event: Event) -> None:
    """Tell handlers of an event in synchronous code."""
    handle_event(list(handlers), event.name, event.ignore, *event.args, **event.kwargs)


async def atell(handlers: Sequence[Any], event: Event) -> None:
    """Tell handlers of an event in asynchronous code, and wait for those that are asynchronous."""
    if asyncio._get_running_loop() is None:  # noqa: SLF001 - in asyncio.__all__; another library's loop, as Trio's
        tell(handlers, event)
        return
    await ahandle_event(list(handlers), event.name, event.ignore, *event.args, **event.kwargs)


def tell_in(context: Context, handlers: Sequence[Any], event: Event) -> list[Any]:
    """Tell the handlers that are called in place, within a context; return the others."""
    inline = [handler for handler in handlers if _is_inline(handler, event.name)]
    if inline:
        context.run(tell, inline, event)
    return [handler for handler in handlers if handler not in inline]


def _is_inline(handler: Any, name: str) -> bool:
    if not getattr(handler, "run_inline", False):
        return False
    return not inspect.iscoroutinefunction(getattr(handler, name, None))
