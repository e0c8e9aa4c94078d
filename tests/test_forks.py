"""A process that forks while another of its threads is inside chainspan: the child finds nothing locked."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chainspan import ConsoleHandler, OtelHandler, _ending, _feeding, _pipeline, chain, llm
from chainspan._profiles import _receivers
from chainspan.exporters import ConsoleProcessor, _spools, otlp, spool

METERS = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
PROCESSOR = ConsoleProcessor(lambda _: None)
HELD: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "pipelines": lambda: _pipeline._lock.inside,
    "workers": lambda: _feeding._shared_lock.inside,
    "given-processors": lambda: _ending._lock.inside,
    "instruments": lambda: _receivers._kept_lock.inside,
    "claims": lambda: _receivers.claims_of(METERS, "metrics")._lock,
    "spools": lambda: _spools._open_lock.inside,
    "printed-runs": lambda: PROCESSOR._runs._lock.inside,
}


def held(lock: AbstractContextManager[object]) -> threading.Thread:
    """Start a thread that is inside for as long as the process lives."""
    inside = threading.Event()

    def hold() -> None:
        with lock:
            inside.set()
            threading.Event().wait()

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    inside.wait()
    return thread


def trace_with_all(directory: Path) -> None:
    """Make handlers of every sort, and a run that they trace."""
    handlers = [
        OtelHandler(PROCESSOR, meter_provider=METERS),
        OtelHandler(InMemorySpanExporter(), BatchSpanProcessor(InMemorySpanExporter())),
        OtelHandler(spool(directory, to=otlp("http://127.0.0.1:9"))),
    ]
    llm(str).invoke(1, callbacks=handlers)


def child(work: Callable[[], None]) -> int:
    """Do something in a forked child, and return how that ends."""
    if pid := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    work()
    os._exit(0)


def print_in_child(directory: Path) -> None:
    """Fork while a text is being printed, and print another one in the child."""
    printing = threading.Event()
    printed: list[str] = []

    def take(text: str) -> None:
        printed.append(text)
        if threading.current_thread() is not threading.main_thread():
            printing.set()
            threading.Event().wait()

    handler = ConsoleHandler(take, color=False)
    threading.Thread(target=lambda: chain(str).invoke(1, callbacks=[handler]), daemon=True).start()
    printing.wait()
    chain(str).invoke(2, callbacks=[handler])  # waits for the other thread, which is the parent's

    def work() -> None:
        printed.clear()
        chain(str).invoke(3, callbacks=[handler])
        os._exit(0 if [text[:12] for text in printed] == ["[chain/start", "[chain/end] "] else 1)

    sys.exit(child(work))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")
@pytest.mark.parametrize("what", [*HELD, "console"])
def test_child_is_not_kept_waiting(tmp_path: Path, what: str) -> None:
    """Handlers that are made and used in a child need nothing that a thread of the parent held."""
    program = [sys.executable, "-W", "ignore", "-m", "tests.test_forks", what, str(tmp_path)]

    done = subprocess.run(program, timeout=20, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


if __name__ == "__main__":
    _, name, where = sys.argv
    if name == "console":
        print_in_child(Path(where))
    held(HELD[name]())
    sys.exit(child(lambda: trace_with_all(Path(where))))
