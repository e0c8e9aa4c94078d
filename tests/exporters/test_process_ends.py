"""No span is lost by the way a process ends: by itself, stopped, killed, forked, with a dead endpoint.

Real processes, real signals. Without a spool what was killed is lost; with one, nothing is.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from ._emitter import ENDINGS
from ._otlp_server import Hang, OtlpServer

pytestmark = pytest.mark.timeout(50)

EMITTER = Path(__file__).with_name("_emitter.py")
Done = subprocess.CompletedProcess[str]


def run(
    server: OtlpServer, directory: Path | str, count: int, ending: str
) -> tuple[set[str], subprocess.CompletedProcess[str]]:
    """Run the emitter to its end, and return the ids of its spans."""
    command = [sys.executable, str(EMITTER), server.url, str(directory), str(count), ending]
    done = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False)
    return set(done.stdout.split()), done


def once(ids: set[str]) -> dict[str, int]:
    """Each of these ids, one time."""
    return dict.fromkeys(ids, 1)


def test_killed_process_loses_nothing_that_was_spooled(server: OtlpServer, tmp_path: Path) -> None:
    """Spans of a process that SIGKILL ended in an outage are sent by the next process."""
    server.stop()
    ids, killed = run(server, tmp_path, 50, "kill")

    server.start()
    more, _ = run(server, tmp_path, 1, "exit")

    assert killed.returncode == -signal.SIGKILL
    assert (len(ids), len(more)) == (50, 1)
    assert server.arrivals == once(ids | more)


def test_process_killed_while_sending_loses_nothing(server: OtlpServer, tmp_path: Path) -> None:
    """Nothing is lost when the kill comes at any moment of a healthy run."""
    command = [sys.executable, str(EMITTER), server.url, str(tmp_path), "1", "waiting"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as emitter:
        assert server.wait_for(lambda: len(server.spans) > 100)
        emitter.kill()
        printed, _ = emitter.communicate()

    run(server, tmp_path, 0, "exit")

    assert set(printed.split()) <= set(server.arrivals)
    assert list(tmp_path.glob("*.otlp")) == list(tmp_path.glob("*.sending")) == []


@pytest.mark.parametrize("directory", ["-", "spool"])
@pytest.mark.parametrize(
    ("ending", "code"), [("exit", 0), ("term", -signal.SIGTERM), ("handled-term", 7), ("ignored-term", 0)]
)
def test_pending_spans_are_flushed_at_the_end(
    server: OtlpServer, tmp_path: Path, directory: str, ending: str, code: int
) -> None:
    """All arrive when a process exits or is stopped, which then ends as it would have without us."""
    ids, done = run(server, "-" if directory == "-" else tmp_path, 30, ending)

    assert done.returncode == code
    assert done.stderr == ""
    assert server.arrivals == once(ids)


def test_os_exit_loses_nothing_that_was_spooled(server: OtlpServer, tmp_path: Path) -> None:
    """A process that skips its exit hooks leaves its spans to the next one."""
    ids, _ = run(server, tmp_path, 30, "os-exit")

    run(server, tmp_path, 0, "exit")

    assert set(server.arrivals) == ids


@pytest.mark.parametrize("directory", ["-", "spool"])
@pytest.mark.parametrize("before", [0, 10], ids=["preloaded", "already-used"])
def test_forked_workers_send_theirs(server: OtlpServer, tmp_path: Path, directory: str, before: int) -> None:
    """What was built before a fork works in the children, and nothing is sent twice."""
    ids, done = run(server, "-" if directory == "-" else tmp_path, before or 10, "forks")

    assert (done.returncode, done.stderr) == (0, "")
    assert len(ids) == 50
    assert server.arrivals == once(ids)


WORKERS = {
    "billiard": """
        import billiard
        worker = billiard.Process(target=work)
        worker.start()
        worker.join()
    """,
    "celery": """
        from billiard.pool import Pool
        from celery.concurrency.prefork import process_destructor
        with Pool(1, maxtasksperchild=1, on_process_exit=process_destructor) as pool:
            pool.apply(work)
            pool.close()
            pool.join()
    """,
}


@pytest.mark.parametrize("library", WORKERS)
def test_workers_of_celery_send_theirs(server: OtlpServer, library: str) -> None:
    """A worker that ends after its last task runs no exit hooks, and sends what it has all the same."""
    pytest.importorskip(library, reason="celery is of the group `test`")
    program = textwrap.dedent("""
        import chainspan
        chainspan.configure()
        def work():
            chainspan.chain(lambda word: word, name="task").invoke("x", callbacks=[chainspan.OtelHandler()])
    """) + textwrap.dedent(WORKERS[library])
    environment = {"PATH": "", "OTEL_EXPORTER_OTLP_ENDPOINT": server.url, "OTEL_BSP_SCHEDULE_DELAY": "20000"}
    command = [sys.executable, "-c", program]

    done = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False, env=environment)

    assert (done.returncode, done.stderr) == (0, "")
    assert [span.name for span in server.spans] == ["task"]


@pytest.mark.parametrize("directory", ["-", "spool"])
@pytest.mark.parametrize("refuses", [True, False], ids=["refuses", "hangs"])
def test_dead_endpoint_delays_exit_by_two_seconds_at_most(
    server: OtlpServer, tmp_path: Path, directory: str, refuses: bool
) -> None:
    """One line with a count says what became of the spans, and the process ends in time (pains #26)."""
    spool_directory = "-" if directory == "-" else tmp_path
    _, healthy_s = timed(server, spool_directory, 30)
    server.behaviour = Hang()
    if refuses:
        server.stop()

    done, lasted_s = timed(server, spool_directory, 30)

    assert lasted_s - healthy_s < 2.5
    assert done.returncode == 0
    [line] = done.stderr.splitlines()
    assert line.startswith(f"No spans have reached {server.url} for ")
    assert ("30 spans were lost (the process ended)" if directory == "-" else "30 wait in ") in line


def timed(server: OtlpServer, directory: Path | str, count: int) -> tuple[Done, float]:
    """Run the emitter and take the time."""
    began_s = time.monotonic()
    _, done = run(server, directory, count, "exit")
    return done, time.monotonic() - began_s


def test_another_process_takes_over_when_the_sender_dies(server: OtlpServer, tmp_path: Path) -> None:
    """Of two processes with one spool one sends for both; when it is killed, the other does."""
    commands = [[sys.executable, str(EMITTER), server.url, str(tmp_path), "1", "waiting"]] * 2
    first = subprocess.Popen(commands[0], stdout=subprocess.PIPE, text=True)
    assert server.wait_for(lambda: len(server.spans) > 10)
    second = subprocess.Popen(commands[1], stdout=subprocess.PIPE, text=True)
    assert server.wait_for(lambda: any(not name.startswith(f"{first.pid}-") for name in server.names))

    first.kill()
    seen = len(server.spans)
    assert server.wait_for(lambda: len(server.spans) > seen + 50)
    second.kill()
    printed = [process.communicate()[0].split() for process in (first, second)]
    run(server, tmp_path, 0, "exit")

    assert {*printed[0], *printed[1]} <= set(server.arrivals)


def test_serverless_function_is_flushed_by_its_handler(server: OtlpServer) -> None:
    """When a process is frozen right after ``with handler:``, its spans have arrived (pains #27)."""
    command = [sys.executable, str(EMITTER), server.url, "-", "0", "freezing"]
    with subprocess.Popen(command) as frozen:
        _, status = os.waitpid(frozen.pid, os.WUNTRACED)
        arrived = server.names.copy()
        frozen.kill()

    assert os.WIFSTOPPED(status)
    assert arrived == ["frozen"]


def test_handler_that_was_preloaded_works_in_workers(server: OtlpServer) -> None:
    """A handler that was built before the fork sends the parent's spans and each worker's, once (pains #38)."""
    _, done = run(server, "-", 0, "preloading")

    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(server.names) == ["parent", "worker 0", "worker 1"]


@pytest.mark.parametrize("directory", ["-", "spool"])
def test_processes_of_multiprocessing_send_theirs(server: OtlpServer, tmp_path: Path, directory: str) -> None:
    """They end without exit hooks, and flush all the same, as workers of pools do."""
    ids, done = run(server, "-" if directory == "-" else tmp_path, 10, "processes")

    assert (done.returncode, done.stderr) == (0, "")
    assert len(ids) == 40
    assert server.arrivals == once(ids)


def test_run_that_is_open_when_its_process_forks(server: OtlpServer) -> None:
    """Its end is the parent's to tell, and the child makes spans of its own."""
    _, done = run(server, "-", 0, "fork-inside")

    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(server.names) == ["steps", "worker"]


def test_every_ending_of_the_emitter_is_tested() -> None:
    """No way to end that the emitter knows is left out here."""
    source = Path(__file__).read_text("utf-8")

    assert [name for name in ENDINGS if f'"{name}"' not in source] == []
