"""What stands in for LangChain's classes where LangChain is not installed.

Only as much as the decorators need, under LangChain's names, so that there is one way to
tell handlers of a run, whether LangChain is there or not.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Coroutine, Sequence
from typing import Any
from uuid import UUID

__all__ = ["AIMessage", "CallbackManager", "ChatGeneration", "Document", "LLMResult", "Message"]

_logger = logging.getLogger("chainspan")


class CallbackManager:
    """Which handlers hear of a run, and which of them hear of the runs inside it."""

    def __init__(
        self,
        handlers: Sequence[Any],
        inheritable_handlers: Sequence[Any] = (),
        parent_run_id: UUID | None = None,
    ) -> None:
        self.handlers = list(handlers)
        self.inheritable_handlers = list(inheritable_handlers)
        self.parent_run_id = parent_run_id
        self.tags: list[str] = []
        self.inheritable_tags: list[str] = []
        self.metadata: dict[str, Any] = {}
        self.inheritable_metadata: dict[str, Any] = {}

    @classmethod
    def configure(
        cls,
        inheritable_callbacks: Any = None,
        *,
        inheritable_tags: Sequence[str] = (),
        local_tags: Sequence[str] = (),
        inheritable_metadata: dict[str, Any] | None = None,
        local_metadata: dict[str, Any] | None = None,
    ) -> CallbackManager:
        """Return the manager of a run from the one above it, or from a list of handlers."""
        made: CallbackManager
        if inheritable_callbacks is None or isinstance(inheritable_callbacks, list):
            made = cls(inheritable_callbacks or (), inheritable_callbacks or ())
        else:
            made = inheritable_callbacks.copy()
        made.add_tags(inheritable_tags)
        made.add_tags(local_tags, inherit=False)
        made.add_metadata(inheritable_metadata or {})
        made.add_metadata(local_metadata or {}, inherit=False)
        return made

    def copy(self) -> CallbackManager:
        """Return a manager that can be added to."""
        copied = CallbackManager(self.handlers, self.inheritable_handlers, self.parent_run_id)
        copied.tags, copied.inheritable_tags = [*self.tags], [*self.inheritable_tags]
        copied.metadata, copied.inheritable_metadata = {**self.metadata}, {**self.inheritable_metadata}
        return copied

    def set_handlers(self, handlers: Sequence[Any]) -> None:
        """Set the handlers of this run and of those inside it."""
        self.handlers, self.inheritable_handlers = [*handlers], [*handlers]

    def add_handler(self, handler: Any, *, inherit: bool = True) -> None:
        """Add a handler once."""
        for handlers in (self.handlers, self.inheritable_handlers) if inherit else (self.handlers,):
            if handler not in handlers:
                handlers.append(handler)

    def add_tags(self, tags: Sequence[str], *, inherit: bool = True) -> None:
        """Add tags once."""
        for known in (self.tags, self.inheritable_tags) if inherit else (self.tags,):
            known += [tag for tag in tags if tag not in known]

    def add_metadata(self, metadata: dict[str, Any], *, inherit: bool = True) -> None:
        """Add metadata."""
        for known in (self.metadata, self.inheritable_metadata) if inherit else (self.metadata,):
            known.update(metadata)


# ---------------------------------------------------------------- telling


def handle_event(handlers: Sequence[Any], name: str, ignore: str, /, *args: Any, **kwargs: Any) -> None:
    """Tell each handler; what one raises is logged, unless it asks for more."""
    for handler in handlers:
        try:
            outcome = _callback(handler, name, ignore)(*args, **kwargs)
            if inspect.iscoroutine(outcome):
                _wait_for(outcome)
        except Exception as error:  # noqa: BLE001, PERF203 - as LangChain does
            _report(handler, name, error)


async def ahandle_event(handlers: Sequence[Any], name: str, ignore: str, /, *args: Any, **kwargs: Any) -> None:
    """Tell each handler, and wait for those that are asynchronous."""
    for handler in handlers:
        try:
            outcome = _callback(handler, name, ignore)(*args, **kwargs)
            if inspect.isawaitable(outcome):
                await outcome
        except Exception as error:  # noqa: BLE001, PERF203 - as LangChain does
            _report(handler, name, error)


def _callback(handler: Any, name: str, ignore: str) -> Any:
    return _nothing if getattr(handler, ignore, False) else getattr(handler, name, _nothing)


def _nothing(*_: Any, **__: Any) -> None:
    """Answer for a callback that a handler does not want."""


def _wait_for(coroutine: Coroutine[Any, Any, Any]) -> None:
    # A loop may be running in this thread, and cannot be entered again.
    faults: list[Exception] = []

    def run() -> None:
        try:
            asyncio.run(coroutine)
        except Exception as error:  # noqa: BLE001 - raised again where it belongs
            faults.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if faults:
        raise faults[0]


def _report(handler: Any, name: str, error: Exception) -> None:
    if getattr(handler, "raise_error", False):
        raise error
    # Without the error's message, which may hold what a user wrote.
    _logger.warning("Error in %s.%s callback: %s", type(handler).__name__, name, type(error).__qualname__)


# ---------------------------------------------------------------- what handlers are told


class _Fields:
    """An object that is what it was made with."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


class Message(_Fields):
    """A message: its ``type``, its content, and what else it holds."""


class AIMessage(Message):
    """A model's answer."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(**{"type": "ai", "tool_calls": [], "invalid_tool_calls": [], **fields})


class ChatGeneration(_Fields):
    """One answer of several."""

    message: AIMessage


class LLMResult(_Fields):
    """What a model's run ended with."""

    generations: list[list[ChatGeneration]]


class Document(_Fields):
    """What a retriever found."""

    page_content: str
