"""A program that makes spans and then ends in some way. Started by test_faults.py.

    python _emitter.py URL DIRECTORY|- COUNT ENDING

It prints the id of each span once ``span.end()`` has returned: what is printed was handed over.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import Tracer

from chainspan._exit import flush_on_sigterm
from chainspan._feeding import processor_for
from chainspan.exporters._otlp import otlp
from chainspan.exporters._spools import spool

if TYPE_CHECKING:
    from chainspan import OtelHandler


def main(url: str, directory: str, count: int, ending: str) -> None:
    """Make the spans, then end as told."""
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)  # from Python 3.12 on
    if directory == "-":
        processor: SpanProcessor = processor_for(otlp(url))
    else:
        processor = processor_for(spool(directory, to=otlp(url)))
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("emitter")
    emit(tracer, count)
    ENDINGS[ending](tracer, count)


def emit(tracer: Tracer, count: int) -> None:
    """Make spans and print their ids."""
    for number in range(count):
        span = tracer.start_span(f"{os.getpid()}-{number}")
        span.end()
        # One write each, for processes print to the same pipe.
        os.write(1, f"{span.get_span_context().span_id:016x}\n".encode())


def end_by_exit(tracer: Tracer, count: int) -> None:
    """Return from main."""


def end_by_os_exit(tracer: Tracer, count: int) -> None:
    """Skip every exit hook."""
    os._exit(0)


def end_by_kill(tracer: Tracer, count: int) -> None:
    """Be killed."""
    os.kill(os.getpid(), signal.SIGKILL)


def end_by_term(tracer: Tracer, count: int) -> None:
    """Be stopped as containers are, with the flush that was asked for."""
    flush_on_sigterm()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)


def end_by_handled_term(tracer: Tracer, count: int) -> None:
    """Be stopped with a handler of the application's own, which makes one more span."""

    def stop(number: int, frame: object) -> None:
        emit(tracer, 1)
        sys.exit(7)

    signal.signal(signal.SIGTERM, stop)
    flush_on_sigterm()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)


def end_by_ignored_term(tracer: Tracer, count: int) -> None:
    """Ignore SIGTERM as before, and go on."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    flush_on_sigterm()
    os.kill(os.getpid(), signal.SIGTERM)
    emit(tracer, 1)


def end_by_forks(tracer: Tracer, count: int) -> None:
    """Make more spans in three children, which exit as programs do, and in the parent."""
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            emit(tracer, count)
            return
        children.append(child)
    emit(tracer, count)
    for child in children:
        os.waitpid(child, 0)


def end_by_processes(tracer: Tracer, count: int) -> None:
    """Make more spans in processes of multiprocessing's, which run no exit hooks."""
    forked = multiprocessing.get_context("fork")
    workers = [forked.Process(target=emit, args=(tracer, count)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def handler_to(url: str) -> OtelHandler:
    """Return a handler that sends to the endpoint."""
    from chainspan import OtelHandler  # noqa: PLC0415  LangChain is a second that the other endings do not need

    return OtelHandler(otlp(url))


def run_chain(name: str, handler: OtelHandler) -> None:
    """Run a chain of one step."""
    from langchain_core.runnables import RunnableLambda  # noqa: PLC0415  as above

    RunnableLambda(str).with_config(run_name=name).invoke(1, {"callbacks": [handler]})


def end_by_freezing(tracer: Tracer, count: int) -> None:
    """Run a chain with a handler, and be frozen for good right after its ``with``."""
    with handler_to(sys.argv[1]) as handler:
        run_chain("frozen", handler)
    os.kill(os.getpid(), signal.SIGSTOP)


def end_by_preloading(tracer: Tracer, count: int) -> None:
    """Build a handler, then fork workers that run a chain with it, as a server with preload does."""
    handler = handler_to(sys.argv[1])
    workers = []
    for number in range(2):
        worker = os.fork()
        if worker == 0:
            run_chain(f"worker {number}", handler)
            return
        workers.append(worker)
    run_chain("parent", handler)
    for worker in workers:
        os.waitpid(worker, 0)


def end_by_fork_inside(tracer: Tracer, count: int) -> None:
    """Fork while a run is open, and end it in the parent."""
    from chainspan import chain  # noqa: PLC0415  as above

    @chain
    def steps() -> Iterator[int]:
        yield 1

    handler = handler_to(sys.argv[1])
    steps_taken = steps.stream(callbacks=[handler])
    next(steps_taken)
    worker = os.fork()
    if worker == 0:
        run_chain("worker", handler)
        return
    os.waitpid(worker, 0)
    list(steps_taken)


def end_by_waiting(tracer: Tracer, count: int) -> None:
    """Make spans until somebody ends this."""
    while True:
        emit(tracer, 1)
        time.sleep(0.002)


ENDINGS = {
    "exit": end_by_exit,
    "os-exit": end_by_os_exit,
    "kill": end_by_kill,
    "term": end_by_term,
    "handled-term": end_by_handled_term,
    "ignored-term": end_by_ignored_term,
    "forks": end_by_forks,
    "processes": end_by_processes,
    "fork-inside": end_by_fork_inside,
    "freezing": end_by_freezing,
    "preloading": end_by_preloading,
    "waiting": end_by_waiting,
}

if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
