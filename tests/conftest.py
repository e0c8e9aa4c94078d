"""What every test runs under: strict mode, a quiet environment, and Hypothesis' profiles."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# What the guard would swallow and log in an application is an error in a test. Set here, before
# any module of chainspan is imported, since a process started by a test has to inherit it too.
os.environ["CHAINSPAN_STRICT"] = "1"

# Variables that would change what the library does, and come from the machine that runs the tests.
_OURS_TO_SET = ("CHAINSPAN_", "OTEL_", "LANGCHAIN_", "LANGSMITH_", "LANGGRAPH_", "ANTHROPIC_", "OPENAI_")
_COLOR = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE")

# A failing example is printed with the lines that repeat it; nothing depends on how quick the machine is.
settings.register_profile("dev", deadline=None, print_blob=True)
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, database=None)
settings.register_profile(
    "thorough", settings.get_profile("dev"), max_examples=2_000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


# What makes coverage measure the processes that a test starts (pyproject.toml, `patch = ["subprocess"]`).
_TRACING = ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START")


@pytest.fixture(autouse=True)
def _untraced(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start the processes of a test marked ``untraced`` as they are started without coverage."""
    if request.node.get_closest_marker("untraced") is not None:
        for name in _TRACING:
            monkeypatch.delenv(name, raising=False)


@pytest.fixture
def long_turns() -> Iterator[None]:
    """Let each thread go on until it waits: a new one before who has started it, however busy the machine is."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(10)
    yield
    sys.setswitchinterval(usual)


@pytest.fixture(autouse=True)
def _quiet_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the machine's own settings of tracing, providers and colours."""
    for name in [*os.environ]:
        if (name.startswith(_OURS_TO_SET) and name != "CHAINSPAN_STRICT") or name in _COLOR:
            monkeypatch.delenv(name)
