"""Processors of the application's lose nothing at the end of a process."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests._pythons import needs_threads_at_exit
from tests._warnings import STRICT
from tests.exporters._otlp_server import OtlpServer

from chainspan import OtelHandler, _ending

pytestmark = pytest.mark.timeout(50)

PROGRAM = """
    import logging, os, signal, sys, time; logging.basicConfig()
    import chainspan
    from chainspan import OtelHandler
    from chainspan.exporters import flush_on_sigterm, otlp, spool
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    directory, url = sys.argv[1:]

    @chainspan.chain
    def step(x):
        return x
"""
OWN = "\nstep.invoke(1, callbacks=[OtelHandler(BatchSpanProcessor({exporter}))])"
OF_CONFIGURE = """
chainspan.configure(processors=[BatchSpanProcessor({exporter})])
step.invoke(1, callbacks=[OtelHandler()])
"""
# A connection that older versions of urllib3 leave to the end of the process is no fault.
WARNINGS = [*STRICT, "-W", "ignore::ResourceWarning"]
TERM = "\nflush_on_sigterm(); os.kill(os.getpid(), signal.SIGTERM); time.sleep(30)"


@pytest.fixture
def server() -> Iterator[OtlpServer]:
    """A healthy endpoint."""
    with OtlpServer() as server:
        yield server


def run(server: OtlpServer, directory: Path, more: str) -> subprocess.CompletedProcess[str]:
    """Run the program and more to its end."""
    return subprocess.run(
        [sys.executable, *WARNINGS, "-c", textwrap.dedent(PROGRAM) + more, str(directory), server.url],
        capture_output=True,
        text=True,
        env={"PATH": "", "OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"},
        timeout=45,
        check=False,
    )


@pytest.mark.parametrize(("ending", "code"), [("", 0), (TERM, -signal.SIGTERM)], ids=["exit", "sigterm"])
@pytest.mark.parametrize("exporter", ["otlp(url)", "spool(directory, to=otlp(url))"], ids=["otlp", "spool"])
@pytest.mark.parametrize("given", [OWN, OF_CONFIGURE], ids=["handler", "configure"])
def test_batches_of_the_sdk_are_sent_at_the_end(
    server: OtlpServer, tmp_path: Path, given: str, exporter: str, ending: str, code: int
) -> None:
    """What waits in the SDK's own processor is sent, though the handler that named it is long gone."""
    if exporter.startswith("spool") and not ending:
        needs_threads_at_exit()
    done = run(server, tmp_path, given.format(exporter=exporter) + ending)

    assert (done.returncode, done.stderr) == (code, "")
    assert server.names == ["step"]


def test_other_processors_are_shut_down_once_at_the_end(server: OtlpServer, tmp_path: Path) -> None:
    """A processor of the application's own is ended by the process, with its handler's last spans."""
    more = """
class Mine(chainspan.exporters.ConsoleProcessor):
    def shutdown(self):
        print("shut down")

handler = OtelHandler(Mine(lambda text: print(text.partition("]")[0])))
steps = step.stream(1, callbacks=[handler])
next(steps)
"""

    done = run(server, tmp_path, more)

    assert done.stderr == ""
    assert done.stdout.splitlines() == ["[chain/start", "[chain/abandoned", "shut down"]


def test_handlers_of_many_processors_keep_some() -> None:
    """An application that makes a processor of the SDK's for each call is not made to keep them all."""
    for _ in range(70):
        processor = BatchSpanProcessor(InMemorySpanExporter())
        OtelHandler(processor)
        processor.shutdown()  # type: ignore[no-untyped-call]
    gc.collect()

    assert len(_ending._batches) == 64
