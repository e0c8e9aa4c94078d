"""Play a scenario once, in a context of its own, and note what came of it."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from typing_extensions import override

from ._stage import Recorder, Scenario, Stage
from ._trees import label

__all__ = ["AMBIENT", "Observation", "play"]

AMBIENT = "ambient"
LOOP_TURNS = 8  # what is called soon may call something soon itself


@dataclass
class Observation:
    """What came of playing a scenario once."""

    ambient: bool
    stage: Stage
    logs: list[str] = field(default_factory=list)
    result: str = ""
    failure: str = ""
    restored: bool = False

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans of the scenario, without the ambient one."""
        return [span for span in self.stage.ledger.spans if span.name != AMBIENT]

    @property
    def truth(self) -> Recorder:
        """The recorder that stood beside the handler."""
        return self.stage.recorder

    def attributes(self, span_label: str, key: str) -> list[Any]:
        """Return one attribute of all spans with this label, in order of their start."""
        spans = [span for span in self.spans if label(span) == span_label]
        spans.sort(key=lambda span: span.start_time or 0)
        return [(span.attributes or {}).get(key) for span in spans]


def play(scenario: Scenario, stage: Stage, *, ambient: bool) -> Observation:
    """Play a scenario in a context of its own, and wait until its remains are collected."""
    seen = Observation(ambient=ambient, stage=stage)
    with _logged(seen.logs):
        contextvars.copy_context().run(_play, scenario, seen)
        gc.collect()
    return seen


def _play(scenario: Scenario, seen: Observation) -> None:
    around = seen.stage.tracer.start_as_current_span(AMBIENT) if seen.ambient else nullcontext()
    with around:
        if inspect.iscoroutinefunction(scenario):
            asyncio.run(_act(scenario, seen))
            return
        before = trace.get_current_span()
        try:
            outcome = scenario(seen.stage)
        except AssertionError:
            raise
        except Exception as error:  # noqa: BLE001 (the application's failure is its result)
            outcome, seen.failure = error, type(error).__name__
        if inspect.isawaitable(outcome):
            asyncio.run(_act(lambda _: outcome, seen))
            return
        seen.result = _plain(outcome)
        seen.restored = _same(before, trace.get_current_span())


async def _act(scenario: Scenario, seen: Observation) -> None:
    before = trace.get_current_span()
    try:
        seen.result = _plain(await scenario(seen.stage))
    except AssertionError:
        raise
    except Exception as error:  # noqa: BLE001 (the application's failure is its result)
        seen.result, seen.failure = _plain(error), type(error).__name__
    seen.restored = _same(before, trace.get_current_span())
    for _ in range(2):
        gc.collect()
        await _quiet()


async def _quiet() -> None:
    """Wait until what the call left behind is done: finalizers of streams, callbacks in threads."""
    for _ in range(LOOP_TURNS):
        await asyncio.sleep(0)
    if left := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(left, timeout=5)


def _plain(value: object) -> str:
    """Return a result as text without the parts that differ from run to run."""
    text = f"{type(value).__name__} {value!r}"
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}", "<id>", text)
    return re.sub(r"0x[0-9a-f]+|\d{4}-\d\d-\d\d[T ][\d:.+]+", "<varies>", text)


def _same(before: trace.Span, after: trace.Span) -> bool:
    equal = after == before and before == after
    return after is before or (equal and after.get_span_context() == before.get_span_context())


@contextmanager
def _logged(lines: list[str]) -> Iterator[None]:
    class Keeper(logging.Handler):
        @override
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.levelname} {record.name}: {_plain(record.getMessage())}")

    keeper = Keeper(logging.WARNING)
    logging.getLogger().addHandler(keeper)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(keeper)
