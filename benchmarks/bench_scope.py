"""What it costs to ask for the current span, as an instrumented HTTP client does with each request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks import contenders as who
from benchmarks.harness import FLOOR, NONE, Contender, Handlers, Row
from benchmarks.workloads import Probed, config
from langchain_core.runnables import RunnableLambda
from opentelemetry import trace

__all__ = ["ROWS"]

_ASKED = 200  # times in each run, so that the run itself does not count


def _no_question() -> None:
    pass


def _asking(handlers: Handlers) -> Callable[[], Any]:
    """Return the question; nobody at all is asked where there is no handler."""
    return trace.get_current_span if handlers else _no_question


def _inside(model: bool) -> Callable[[Handlers, int], Callable[[], object]]:
    def ready(handlers: Handlers, calls: int) -> Callable[[], None]:
        ask = _asking(handlers)

        def body(given: Any) -> Any:
            for _ in range(_ASKED):
                ask()
            return given

        step: Any = Probed(body=lambda: body(None)) if model else RunnableLambda(body)

        def run() -> None:
            for _ in range(calls):
                step.invoke("x", config(handlers))

        return run

    return ready


def _outside(handlers: Handlers, calls: int) -> Callable[[], None]:
    ask = _asking(handlers)
    RunnableLambda(_same).invoke("x", config(handlers))  # has left its context behind, if it leaves any

    def run() -> None:
        for _ in range(calls * _ASKED):
            ask()

    return run


def _same(given: Any) -> Any:
    return given


_CONTENDERS = (Contender(name=NONE, handlers=list), Contender(name=FLOOR, handlers=who.THE_FLOOR.handlers), who.OFF)

ROWS = [
    Row(
        name="get_current_span() in a step's body",
        work=_inside(model=False),
        contenders=_CONTENDERS,
        unit="call",
        units=_ASKED,
        share=0.5,
    ),
    Row(
        name="get_current_span() in a model's body",
        work=_inside(model=True),
        contenders=_CONTENDERS,
        unit="call",
        units=_ASKED,
        share=0.5,
    ),
    Row(
        name="get_current_span() after a run",
        work=_outside,
        contenders=_CONTENDERS,
        unit="call",
        units=_ASKED,
        share=0.5,
    ),
]
