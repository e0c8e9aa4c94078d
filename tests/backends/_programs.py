"""Programs of others that the tests start: on loopback, on free ports, and stopped by their own pids."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import requests

__all__ = ["find", "free_ports", "running", "running_when_listening", "until"]

_ENDS_WITHIN_S = 10.0


def find(variable: str, *names: str) -> str | None:
    """Return the program that a variable names, else the first of these names that is on PATH."""
    named = os.environ.get(variable)
    return named or next((found for name in names if (found := shutil.which(name))), None)


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on now, each another one."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [probe.getsockname()[1] for probe in probes]


def until(condition: Callable[[], object], timeout_s: float, what: str) -> None:
    """Wait until a condition holds; a server that does not answer yet is none."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        with contextlib.suppress(requests.RequestException):
            if condition():
                return
        time.sleep(0.1)
    raise TimeoutError(f"not within {timeout_s:.0f} s: {what}")


@contextlib.contextmanager
def running(
    command: Sequence[str], log: Path, ready: str, *, within_s: float = 60.0, env: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Run a program until the block ends, which begins when a URL of it answers with success.

    Args:
        command: The program and its arguments.
        log: Where its output goes; shown when it does not come up.
        ready: A URL that answers with 200 when the program is ready.
        within_s: How long that may take.
        env: Variables besides those of this process.
    """
    with _started(command, log, lambda: requests.get(ready, timeout=2).ok, within_s, env):
        yield


@contextlib.contextmanager
def running_when_listening(command: Sequence[str], log: Path, *ports: int) -> Iterator[None]:
    """Run a program until the block ends, which begins when it listens on all of these ports."""
    with _started(command, log, lambda: all(map(_is_listened_on, ports)), 30.0, None):
        yield


@contextlib.contextmanager
def _started(
    command: Sequence[str],
    log: Path,
    is_ready: Callable[[], object],
    within_s: float,
    env: Mapping[str, str] | None,
) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})}, start_new_session=True
        )
    try:
        until(lambda: process.poll() is not None or is_ready(), within_s, f"{command[0]} is ready")
        assert process.poll() is None, f"{command[0]} ended:\n{log.read_text('utf-8', 'replace')[-4000:]}"
        yield
    finally:
        _stop(process)


def _is_listened_on(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(_ENDS_WITHIN_S)
