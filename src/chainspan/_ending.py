"""Processors of the application's, which end with the process as those of a provider do.

The SDK's provider shuts its processors down at exit. A handler's own does not, for ours end
by themselves; what it was given besides is ended here, before the exporters of ours that it
may feed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from ._delivery import Delivery
from ._exit import close_at_exit
from ._locks import Lock

__all__ = ["end_with_process", "kept_batches"]

_MOST_BATCHES = 64
"""Processors of the SDK's that are kept when their handler is gone: their threads go on without it, and hold spans."""

_batches: OrderedDict[int, _Given] = OrderedDict()
_lock = Lock()


class _Given:
    """Flushes and closes a processor as that can: how long it takes is its own."""

    def __init__(self, processor: SpanProcessor) -> None:
        self.processor = processor

    def flush(self, timeout_s: float) -> Delivery:
        if timeout_s > 0:
            self.processor.force_flush(int(timeout_s * 1_000))
        return Delivery(unverified=(type(self.processor).__name__,))

    def close(self, timeout_s: float) -> None:  # noqa: ARG002  a shutdown() takes none
        self.processor.shutdown()


def end_with_process(targets: Iterable[object]) -> list[object]:
    """Have the processors among these shut down when the process ends, and flushed where SIGTERM flushes.

    Returns:
        What does that, for as long as somebody holds it.
    """
    closers: list[object] = []
    for target in targets:
        if isinstance(target, SpanProcessor):
            closer = _Given(target)
            close_at_exit(closer, first=True)
            closers.append(closer)
            if isinstance(target, BatchSpanProcessor):
                _keep(id(target), closer)
    return closers


def kept_batches() -> list[SpanProcessor]:
    """Return the processors of the SDK's that are kept, whether a handler names them still or not."""
    return [given.processor for given in list(_batches.values())]


def _keep(key: int, closer: _Given) -> None:
    with _lock.inside:
        _batches[key] = closer
        _batches.move_to_end(key)
        if len(_batches) > _MOST_BATCHES:
            _batches.popitem(last=False)
