"""The examples, run as a reader runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from inline_snapshot import snapshot

EXAMPLES = Path(__file__).parents[1] / "examples"

LIBRARIES = {"provider_stub"}
"""The modules among them that the others import."""


def run(name: str) -> tuple[str, str]:
    """Run an example and return what it wrote to standard output and standard error."""
    steering = re.compile(r"OTEL_|CHAINSPAN_|LANGSMITH_|LANGCHAIN_|ANTHROPIC_|NO_COLOR|FORCE_COLOR|PYTHON|COVERAGE_")
    env = {key: value for key, value in os.environ.items() if not steering.match(key)}
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / f"{name}.py"],
        env=env | {"CHAINSPAN_STRICT": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    return re.sub(r"\[\d+(\.\d+)?m?s\]", "[TIME]", done.stdout), re.sub(r"\[\d+(\.\d+)?m?s\]", "[TIME]", done.stderr)


def test_every_example_is_tested() -> None:
    """A new example needs a test here."""
    assert {path.stem for path in EXAMPLES.glob("*.py")} - LIBRARIES == snapshot()


def test_quickstart_prints_the_trace_of_the_chain() -> None:
    """Without a key, the stand-in answers and the trace is the one that the README shows."""
    output, note = run("quickstart")

    assert re.sub(r"lc_run--[0-9a-f-]+", "lc_run--ID", output) == snapshot()
    assert note == snapshot()


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("own_pipeline", snapshot()),
        ("langgraph_agent", snapshot()),
        ("console_sinks", snapshot()),
    ],
)
def test_example_prints_what_it_promises(name: str, printed: tuple[str, str]) -> None:
    """Standard output and standard error are the same in every run."""
    assert run(name) == printed
