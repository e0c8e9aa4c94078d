"""What every step can do: be invoked, streamed, batched, composed; alone or inside a run."""

# ruff: noqa: A002 - `input` is LangChain's name for it

from __future__ import annotations

import asyncio
import copy
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from typing import Any

from typing_extensions import Self, Unpack

from chainspan.langchain._managers import force
from chainspan.langchain._runnables import RunnableBase

from ._binding import NOTHING
from ._drive import acall, agenerate, call, generate
from ._joining import joined
from ._kinds import Kind, Own
from ._options import CallOptions, Config, given, require_known, require_usable
from ._run import Run

__all__ = ["Step", "set_sequence"]


def _no_sequence(*_: Any) -> Any:
    raise NotImplementedError


_sequence: Callable[..., Any] = _no_sequence


def set_sequence(make: Callable[..., Any]) -> None:
    """Say how steps are put in a row, by what is itself made of steps."""
    global _sequence  # noqa: PLW0603 - set once, when the package is loaded
    _sequence = make


class Step(RunnableBase):
    """A step: a decorated function, or several steps together.

    Callbacks that a call is given, as ``callbacks=`` or in a config, reach everything that is
    called inside. Those of ``with_config`` run beside them, and so do those of the run that
    the call is made in. A step that no handler hears of just runs.
    """

    # Of the instance, not of the class: a bound method shares what it does not have itself.
    _kind: Kind
    _own: Own
    _bound: tuple[Config, ...]
    _tags: Sequence[str]
    _metadata: Mapping[str, Any]
    _is_stream: bool

    def __init__(self, kind: Kind, own: Own) -> None:
        self._kind = kind
        self._own = own
        self._bound = ()
        self._tags = ()
        self._metadata = {}
        self._is_stream = False

    @property
    def name(self) -> str:
        """The name of its runs."""
        return self._own.name

    # ------------------------------------------------------------ what a step is
    @abstractmethod
    def _body(self, given: Any) -> Any:
        """Run on an input."""

    @abstractmethod
    async def _abody(self, given: Any) -> Any:
        """Run on an input, in asynchronous code."""

    def _items(self, given: Any) -> Generator[Any, Any, Any]:
        """Run on an input, and yield what comes."""
        yield self._body(given)

    async def _aitems(self, given: Any) -> AsyncGenerator[Any, Any]:
        """Run on an input in asynchronous code, and yield what comes."""
        yield await self._abody(given)

    def _shown(self, given: Any) -> Any:
        """Return an input as the handlers are told of it."""
        return {} if given is NOTHING else given

    # ------------------------------------------------------------ running it
    def invoke(self, input: Any = NOTHING, config: Config | None = None, **options: Unpack[CallOptions]) -> Any:
        """Run on an input, and return the result; what comes as a stream is joined."""
        if self._is_stream:
            return joined([*self.stream(input, config, **options)])
        run = self._open(input, config, options)
        return self._body(input) if run is None else call(run, lambda: self._body(input))

    async def ainvoke(self, input: Any = NOTHING, config: Config | None = None, **options: Unpack[CallOptions]) -> Any:
        """Run on an input in asynchronous code; a synchronous function runs in a thread."""
        if self._is_stream:
            return joined([value async for value in self.astream(input, config, **options)])
        run = self._open(input, config, options)
        if run is None:
            return await self._abody(input)
        return await acall(run, lambda: self._abody(input))

    def stream(
        self,
        input: Any = NOTHING,
        config: Config | None = None,
        **options: Unpack[CallOptions],
    ) -> Iterator[Any]:
        """Run on an input, and yield what comes; the result, where that is all."""
        run = self._open(input, config, options)
        return self._items(input) if run is None else generate(run, lambda: self._items(input))

    def astream(
        self,
        input: Any = NOTHING,
        config: Config | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncIterator[Any]:
        """Run on an input in asynchronous code, and yield what comes."""
        run = self._open(input, config, options)
        return self._aitems(input) if run is None else agenerate(run, lambda: self._aitems(input))

    def batch(
        self,
        inputs: Sequence[Any],
        config: Config | Sequence[Config] | None = None,
        *,
        return_exceptions: bool = False,
        **options: Unpack[CallOptions],
    ) -> list[Any]:
        """Run on several inputs at once, in threads; ``max_concurrency`` of the config bounds them."""
        configs = _each(config, len(inputs))
        run = _caught(self.invoke) if return_exceptions else self.invoke
        if not inputs:
            return []
        with ThreadPoolExecutor(_limit(configs) or min(32, len(inputs))) as threads:
            called = zip(inputs, configs, _each(options, len(inputs)), strict=True)
            calls = [partial(run, given, own, **its) for given, own, its in called]
            futures = [threads.submit(copy_context().run, call) for call in calls]
            futures.reverse()  # one that is popped is not kept by the traceback of what it raises
            return [futures.pop().result() for _ in inputs]

    async def abatch(
        self,
        inputs: Sequence[Any],
        config: Config | Sequence[Config] | None = None,
        *,
        return_exceptions: bool = False,
        **options: Unpack[CallOptions],
    ) -> list[Any]:
        """Run on several inputs at once, in tasks; ``max_concurrency`` of the config bounds them."""
        configs = _each(config, len(inputs))
        slots = asyncio.Semaphore(_limit(configs) or len(inputs) or 1)

        async def one(given: Any, own: Config | None, its: Any) -> Any:
            async with slots:
                return await self.ainvoke(given, own, **its)

        calls = [one(*each) for each in zip(inputs, configs, _each(options, len(inputs)), strict=True)]
        return await asyncio.gather(*calls, return_exceptions=return_exceptions)

    def with_config(self, config: Config | None = None, **options: Unpack[CallOptions]) -> Self:
        """Return the step with callbacks, tags, metadata or a name for all its runs to come."""
        require_known("with_config()", options)
        require_usable("with_config", config, options)
        bound = copy.copy(self)
        vars(bound)["_bound"] = (*self._bound, *(given for given in (config, options) if given))
        return bound

    # ------------------------------------------------------------ composing it
    def __or__(self, other: Any) -> Any:
        """Return a step that hands its result on to another one, a function, or a dict of those."""
        return _sequence(self, other)

    def __ror__(self, other: Any) -> Any:
        """Return a step that is handed the result of another one, a function, or a dict of those."""
        return _sequence(other, self)

    # ------------------------------------------------------------ its runs
    def _open(self, given_: Any, config: Config | None, options: CallOptions) -> Run | None:
        require_known(self.name, options)
        require_usable(self.name, config, options)
        return self._run_of((*self._bound, config, options), lambda: self._shown(given_))

    def _run_of(self, configs: Sequence[Config | None], shown: Callable[[], Any]) -> Run | None:
        name = next((config["run_name"] for config in reversed(configs) if config and config.get("run_name")), None)
        own = self._own if name is None else replace(self._own, name=name, is_named=True)
        said = {**self._kind.own_metadata(own), **self._metadata}
        shared = self._kind.shared_metadata(own)
        forced = force(given(*configs, shared_metadata=shared, own_metadata=said, own_tags=self._tags))
        return None if forced is None else Run(self._kind, own, forced, shown)


def _each(config: Config | CallOptions | Sequence[Config] | None, count: int) -> Sequence[Any]:
    """Return what each call of a batch is given of what was given once; an id of a run is the first one's."""
    if config is not None and not isinstance(config, Mapping):
        return config
    others = {key: value for key, value in config.items() if key != "run_id"} if config else config
    return [config, *[others] * (count - 1)][:count]


def _limit(configs: Sequence[Config | None]) -> int | None:
    return next((config["max_concurrency"] for config in configs if config and config.get("max_concurrency")), None)


def _caught(invoke: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return invoke(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - asked for, in place of the result
            return error

    return run
