"""Several steps as one: one after another, or side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from typing_extensions import override

from chainspan.langchain._runnables import is_runnable

from ._kinds import KINDS, Own
from ._passing import passed_on
from ._step import Step, set_sequence
from ._traced import Traced

__all__ = ["Parallel", "Sequence", "sequence"]


def sequence(*parts: Any) -> Sequence:
    """Return steps that run one after another; sequences among them are taken apart."""
    steps: list[Any] = []
    for part in parts:
        step = _step(part)
        steps += step.steps if type(step) is Sequence and not step.is_bound else [step]
    return Sequence(steps)


def _step(part: Any) -> Any:
    if is_runnable(part):
        return part
    if isinstance(part, Mapping):
        return Parallel({name: _step(value) for name, value in part.items()})
    if callable(part):
        return Traced(part, KINDS["chain"])
    raise TypeError(f"a step is a function, a runnable, or a dict of those; got {type(part).__name__}")


class Sequence(Step):
    """Steps that run one after another, each on the result of the one before."""

    def __init__(self, steps: list[Any]) -> None:
        super().__init__(KINDS["chain"], Own(name="Sequence"))
        self.steps = steps

    @property
    def is_bound(self) -> bool:
        """Whether it has a config of its own."""
        return bool(self._bound)

    @override
    def _body(self, given: Any) -> Any:
        for step in self.steps:
            given = step.invoke(given)
        return given

    @override
    async def _abody(self, given: Any) -> Any:
        for step in self.steps:
            given = await step.ainvoke(given)
        return given

    @override
    def _items(self, given: Any) -> Generator[Any, Any, Any]:
        for step in self.steps[:-1]:
            given = step.invoke(given)
        yield from self.steps[-1].stream(given)

    @override
    def _aitems(self, given: Any) -> AsyncGenerator[Any, Any]:
        return passed_on(lambda: self._opened(given))

    async def _opened(self, given: Any) -> AsyncIterator[Any]:
        for step in self.steps[:-1]:
            given = await step.ainvoke(given)
        stream: AsyncIterator[Any] = self.steps[-1].astream(given)
        return stream


class Parallel(Step):
    """Steps that run at once on the same input, and give a dict of their results."""

    def __init__(self, steps: Mapping[str, Any]) -> None:
        super().__init__(KINDS["chain"], Own(name="Parallel"))
        self.steps = steps

    @override
    def _body(self, given: Any) -> Any:
        with ThreadPoolExecutor(len(self.steps) or 1) as threads:
            futures = {
                name: threads.submit(copy_context().run, step.invoke, given) for name, step in self.steps.items()
            }
            return {name: futures.pop(name).result() for name in self.steps}

    @override
    async def _abody(self, given: Any) -> Any:
        results = await asyncio.gather(*(step.ainvoke(given) for step in self.steps.values()))
        return dict(zip(self.steps, results, strict=True))


set_sequence(sequence)
