"""One run of a step: what its handlers are told, and what its body finds in the context."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import Context, ContextVar, Token, copy_context
from dataclasses import replace
from types import TracebackType
from typing import Any, Final

from chainspan._aside import aside
from chainspan._guard import Guard
from chainspan.langchain._managers import Event, Force, atell, tell, tell_in
from chainspan.langchain._responses import Silent
from chainspan.langchain._witness import child_config

from ._joining import joined
from ._kinds import Kind, Own
from ._native import Gathered

__all__ = ["Inside", "Run"]

_MOST_KEPT: Final = 10_000  # values of a stream that are no model's
_MOST_TOGETHER: Final = 10_000_000  # characters and bytes of those that are nothing else, such as pieces of a file
_SIZED: Final = frozenset({str, bytes, bytearray, memoryview})
_MISSING: Final = object()
_READ: Final = Guard("decorators.read")
_newest: ContextVar[Inside | None] = ContextVar("chainspan_inside", default=None)


class Run:
    """A run between its start and its end; ``with Inside(run):`` stands around each piece of its body.

    What the handlers make current when they are told of the start, such as a span, is kept
    apart and put in place while the body runs, so that nobody outside ever sees it: not
    the consumer of a stream between two values, nor a task that it starts meanwhile.

    Attributes:
        carried: What is put in place, as the last piece of the body left it.
    """

    __slots__ = ("_force", "_gathered", "_has_begun", "_inputs", "_kept", "_kind", "_open", "_own", "_room", "carried")

    def __init__(self, kind: Kind, own: Own, force: Force, inputs: Callable[[], Any]) -> None:
        self._kind = kind
        self._own = own
        self._force = force
        self._inputs = inputs
        self.carried: list[tuple[ContextVar[Any], Any]] = []
        self._gathered = Gathered() if kind.is_model else None
        self._kept: list[Any] = []
        self._room = _MOST_TOGETHER
        self._open = self._has_begun = False

    # ------------------------------------------------------------ what the handlers are told
    @property
    def is_open(self) -> bool:
        """Whether the end has not been told yet."""
        return self._open

    @property
    def is_model(self) -> bool:
        """Whether the step is a model, whose answer may come as a stream."""
        return self._gathered is not None

    def start(self) -> None:
        """Tell the handlers of the start."""
        event, context = self._started(), copy_context()
        context.run(tell, self._force.manager.handlers, event)
        self._carry(context)

    async def astart(self) -> None:
        """Tell the handlers of the start, in asynchronous code."""
        event, context = self._started(), copy_context()
        others = tell_in(context, self._force.manager.handlers, event)
        self._carry(context)
        if others:
            await atell(others, event)

    def take(self, value: Any) -> None:
        """Note a value of a stream."""
        if (event := self._taken(value)) is not None:
            tell(self._force.manager.handlers, event)

    async def atake(self, value: Any) -> None:
        """Note a value of a stream, in asynchronous code."""
        if (event := self._taken(value)) is not None:
            await atell(self._force.manager.handlers, event)

    def end(self, value: Any) -> None:
        """Tell the handlers of the end."""
        if (event := self._ended(value)) is not None:
            tell(self._force.manager.handlers, event)

    async def aend(self, value: Any) -> None:
        """Tell the handlers of the end, in asynchronous code."""
        if (event := self._ended(value)) is not None:
            await atell(self._force.manager.handlers, event)

    def end_stream(self) -> None:
        """Tell the handlers of the end of a stream."""
        self.end(self._whole())

    async def aend_stream(self) -> None:
        """Tell the handlers of the end of a stream, in asynchronous code."""
        await self.aend(self._whole())

    def fail(self, error: BaseException) -> None:
        """Tell the handlers that the body raised, or was given up."""
        if (event := self._failed(error)) is None:
            return
        if isinstance(error, GeneratorExit):
            aside(tell, self._force.manager.handlers, event)
        else:
            tell(self._force.manager.handlers, event)

    async def afail(self, error: BaseException) -> None:
        """Tell the handlers that the body raised, in asynchronous code."""
        if isinstance(error, GeneratorExit):  # there may be nobody left to await for
            self.fail(error)
        elif (event := self._failed(error)) is not None:
            await atell(self._force.manager.handlers, event)

    # ------------------------------------------------------------ how it is said
    def _carry(self, context: Context) -> None:
        changed = [(variable, value) for variable, value in context.items() if variable.get(_MISSING) is not value]
        self.carried = [*changed, (child_config, self._force.config)]

    def _started(self) -> Event:
        self._open = True
        manager = self._force.manager
        inputs: Any = {}
        with _READ:
            inputs = self._inputs()
        name, ignore, args, kwargs = self._kind.started(self._own, inputs)
        if self._own.model is None and isinstance(asked := kwargs.get("invocation_params", {}).get("model"), str):
            self._own = replace(self._own, model=asked)
        said: dict[str, Any] = {"tags": manager.tags, "metadata": manager.metadata}
        if self._own.is_named or self._kind.word == "chain":  # LangChain has no other place for a chain's
            said["name"] = self._own.name
        return Event(name, ignore, args, {**self._ids(), **said, **kwargs})

    def _taken(self, value: Any) -> Event | None:
        if not self._open:  # another thread came to the end before this one
            return None
        if self._gathered is None:
            self._keep(value)
            return None
        said = ""
        with _READ:
            said = self._gathered.take(value)
            if not (said or self._has_begun) and self._gathered.holds_more():
                said = Silent()
        self._has_begun = self._has_begun or bool(said) or type(said) is Silent
        kwargs = {**self._ids(), "tags": self._force.manager.tags, "chunk": None}
        return Event("on_llm_new_token", "ignore_llm", (said,), kwargs)

    def _keep(self, value: Any) -> None:
        if len(self._kept) < _MOST_KEPT and self._room > 0:
            self._kept.append(value)
            if type(value) in _SIZED:
                self._room -= len(value)

    def _whole(self) -> Any:
        with _READ:
            return joined(self._kept) if self._gathered is None else self._gathered.answer()
        return None

    def _ended(self, value: Any) -> Event | None:
        if not self._open:
            return None
        self._open = False
        return self._kind.ended(self._own, value, self._last())

    def _failed(self, error: BaseException) -> Event | None:
        if not self._open:
            return None
        self._open = False
        event = self._kind.failed(error, self._last())
        if self._gathered is None or not self._gathered.pieces:
            return event
        partial = self._kind.output(self._own, self._whole())
        return event._replace(kwargs={**event.kwargs, "response": partial})

    def _ids(self) -> dict[str, Any]:
        return {"run_id": self._force.run_id, "parent_run_id": self._force.manager.parent_run_id}

    def _last(self) -> Mapping[str, Any]:
        return {**self._ids(), "tags": self._force.manager.tags}


class Inside:
    """``with Inside(run):`` puts in place what belongs to a run, and takes it out again.

    Each entering is an object of its own, as threads and tasks may pull at one stream at once.
    Tasks that share a context leave in any order: what one of them leaves below that of
    another is taken out together with the other's.
    """

    __slots__ = ("_below", "_run", "_tokens")

    def __init__(self, run: Run) -> None:
        self._run: Run | None = run  # until it is left: a context that was copied meanwhile keeps this object
        self._below = _newest.get()
        self._tokens: list[tuple[ContextVar[Any], Token[Any]]] = []

    def __enter__(self) -> None:
        """Put what belongs to the run in place."""
        carried = () if self._run is None else self._run.carried
        self._tokens = [(variable, variable.set(value)) for variable, value in carried]
        self._tokens.append((_newest, _newest.set(self)))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take it out again, and keep what the body has changed of it."""
        run, self._run = self._run, None
        if run is None or _newest.get() is not self:  # left elsewhere, or below what another task has put in place
            return
        run.carried = [(variable, variable.get(value)) for variable, value in run.carried]
        left: Inside | None = self
        while left is not None and left.is_left:
            left = left.take_out()

    @property
    def is_left(self) -> bool:
        """Whether the piece of the body is over."""
        return self._run is None

    def take_out(self) -> Inside | None:
        """Take out what was put in place, and return what is below it."""
        for variable, token in reversed(self._tokens):
            try:
                variable.reset(token)
            except (ValueError, RuntimeError):  # noqa: PERF203 - put in place in the context that this is a copy of
                return None
        below, self._below, self._tokens = self._below, None, []
        return below
