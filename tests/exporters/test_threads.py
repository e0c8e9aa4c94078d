"""The threads of exporters, which send for everybody and belong to no request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
from langchain_core.runnables import RunnableLambda
from opentelemetry import trace
from opentelemetry.instrumentation.threading import ThreadingInstrumentor
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from typing_extensions import override

from chainspan import OtelHandler
from chainspan.exporters import otlp, spool
from chainspan.exporters._metrics import otlp_metrics

from ._otlp_server import OtlpServer

Start = Callable[[OtlpServer, Path, ExitStack], OtelHandler]

seen: list[trace.Span] = []
"""The spans that were current in what the threads call."""


class Session(requests.Session):
    """An application's own session."""

    @override
    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        seen.append(trace.get_current_span())
        return super().send(*args, **kwargs)


def sends(server: OtlpServer, _: Path, at_end: ExitStack) -> OtelHandler:
    """Have spans sent."""
    return at_end.enter_context(OtelHandler(otlp(server.url, session=Session())))


def ships(server: OtlpServer, directory: Path, at_end: ExitStack) -> OtelHandler:
    """Have spans written to a spool, and sent from there."""
    exporter = spool(directory, to=otlp(server.url, session=Session()))
    at_end.callback(exporter.shutdown)
    return at_end.enter_context(OtelHandler(exporter))


def measures(server: OtlpServer, _: Path, at_end: ExitStack) -> OtelHandler:
    """Have metrics collected and sent."""

    def observe(_: CallbackOptions) -> Iterable[Observation]:
        seen.append(trace.get_current_span())
        return [Observation(1)]

    feed = otlp_metrics(f"http://127.0.0.1:{server.port}/v1/metrics")
    meters = MeterProvider([feed], shutdown_on_exit=False)
    at_end.callback(meters.shutdown)
    meters.get_meter("application").create_observable_gauge("users", [observe])
    feed.flush(10)
    return at_end.enter_context(OtelHandler(otlp(server.url)))


@pytest.fixture
def at_end() -> Iterator[ExitStack]:
    """What is shut down after a test, while threads are still instrumented."""
    seen.clear()
    instrumentor = ThreadingInstrumentor()
    instrumentor.instrument()
    try:
        with ExitStack() as stack:
            yield stack
    finally:
        instrumentor.uninstrument()


@pytest.mark.parametrize("start", [sends, ships, measures])
def test_threads_of_our_own_belong_to_no_request(
    server: OtlpServer, tmp_path: Path, at_end: ExitStack, start: Start
) -> None:
    """A thread that begins in the midst of a request goes on for the next ones, and has no current span."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("application")

    with tracer.start_as_current_span("GET /first"):
        handler = start(server, tmp_path, at_end)
        RunnableLambda(str).invoke(1, {"callbacks": [handler]})
        assert handler.flush(20)

    assert seen
    assert set(seen) == {trace.INVALID_SPAN}
