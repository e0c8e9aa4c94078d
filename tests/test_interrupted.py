"""A handler of a signal may raise in the midst of anything, as Ctrl-C does; what comes later goes on."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chainspan._batching import BatchingProcessor
from chainspan.exporters import ConsoleProcessor

pytestmark = pytest.mark.timeout(30)

_MOST_STEPS = 1_000
_WHEN = frozenset({"call", "return", "c_return"})  # Python looks for signals as a function begins, and after a call


def interrupted(work: Callable[[], object], step: int) -> bool:
    """Raise once some work has called or left so many functions; return whether it has, or was done before."""
    left = step

    def profile(_frame: FrameType, event: str, _arg: object) -> None:
        nonlocal left
        if event in _WHEN:
            left -= 1
            if left == 0:
                raise KeyboardInterrupt

    sys.setprofile(profile)
    try:
        work()
    except KeyboardInterrupt:
        pass
    finally:
        sys.setprofile(None)
    return left <= 0


def finishes_elsewhere(work: Callable[[], object]) -> bool:
    """Return whether another thread can do some work, and need not wait for this one."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(5)
    return not thread.is_alive()


def _of_batches() -> SpanProcessor:
    return BatchingProcessor(InMemorySpanExporter())


def _of_console() -> SpanProcessor:
    return ConsoleProcessor(lambda _: None)


@pytest.mark.parametrize("make", [_of_batches, _of_console])
def test_no_lock_is_left_behind(make: Callable[[], SpanProcessor]) -> None:
    """Whatever step of a start or an end is the last one, other threads start and end spans."""
    processor, provider = make(), TracerProvider(shutdown_on_exit=False)
    attributes = {"chainspan.run.id": "1", "chainspan.run.type": "chain", "chainspan.run.name": "step"}

    def span() -> ReadableSpan:
        return provider.get_tracer("test").start_span("step", attributes=attributes)  # type: ignore[return-value]

    def work(one: ReadableSpan) -> None:
        processor.on_start(one)  # type: ignore[arg-type]
        processor.on_end(one)

    for step in range(1, _MOST_STEPS):
        if not interrupted(partial(work, span()), step):
            break
        assert finishes_elsewhere(lambda: work(span())), step
    processor.shutdown()

    assert 1 < step < _MOST_STEPS - 1
