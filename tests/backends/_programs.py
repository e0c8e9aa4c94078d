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

__all__ = ["find", "free_ports", "running", "until"]

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
) -> Iterator[int]:
    """Run a program until the block ends; its pid is what is given once a URL of it answers with success.

    Args:
        command: The program and its arguments.
        log: Where its output goes; shown when it does not come up.
        ready: A URL that answers with 200 when the program is ready.
        within_s: How long that may take.
        env: Variables besides those of this process.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})}, start_new_session=True
        )
    try:
        until(lambda: _answers(process, ready), within_s, f"{ready} of {command[0]}")
        yield process.pid
    except (TimeoutError, ChildProcessError) as error:
        raise AssertionError(f"{error}\n{log.read_text('utf-8', 'replace')[-4000:]}") from error
    finally:
        _stop(process)


def _answers(process: subprocess.Popen[bytes], url: str) -> bool:
    if process.poll() is not None:
        raise ChildProcessError(f"ended with {process.returncode} before it was ready")
    return requests.get(url, timeout=2).ok


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(_ENDS_WITHIN_S)
