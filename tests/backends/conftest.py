"""The backends that are there, and a plain word about those that are not.

``$CHAINSPAN_OTELCOL`` and ``$CHAINSPAN_JAEGER`` name the programs; else they are looked for on
PATH. ``$JAEGER_URL`` names a Jaeger that runs already, with OTLP at 4317 and 4318 beside it, and
``$CHAINSPAN_KAFKA`` the address of a Kafka broker that runs, such as 127.0.0.1:9092, and
``$CHAINSPAN_OPENSEARCH`` the URL of an OpenSearch that runs, such as http://127.0.0.1:9200.
``$CHAINSPAN_PROMETHEUS`` and ``$CHAINSPAN_DOCKER`` name programs, else they are looked for on PATH.
``$CHAINSPAN_BACKENDS`` is the environment with Phoenix and rotel that scripts/test-backends makes.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ._collector import CONFIGS, at, read_at, written
from ._programs import find, free_ports, running
from ._readers import Jaeger, Phoenix

# Read now: every test runs without the variables of the machine.
_OTELCOL = find("CHAINSPAN_OTELCOL", "otelcol", "otelcol-contrib")
_JAEGER = find("CHAINSPAN_JAEGER", "jaeger")
_PROMETHEUS = find("CHAINSPAN_PROMETHEUS", "prometheus")
_DOCKER = find("CHAINSPAN_DOCKER", "docker")
_JAEGER_URL = os.environ.get("JAEGER_URL")
_KAFKA = os.environ.get("CHAINSPAN_KAFKA")
_OPENSEARCH = os.environ.get("CHAINSPAN_OPENSEARCH")
_ENVIRONMENT = os.environ.get("CHAINSPAN_BACKENDS")

_not_run: dict[str, str] = {}


def _absent(backend: str, why: str) -> None:
    _not_run[backend] = why
    pytest.skip(f"not run with {backend}: {why}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which backends nothing was run with."""
    for backend, why in _not_run.items():
        terminalreporter.write_line(f"NOT RUN with {backend}: {why}", yellow=True, bold=True)


@pytest.fixture(scope="session")
def otelcol() -> str:
    """A collector with the components that the configurations use."""
    if _OTELCOL is None:
        _absent("an OpenTelemetry Collector", "neither $CHAINSPAN_OTELCOL nor otelcol on PATH")
    return str(_OTELCOL)


@pytest.fixture(scope="session")
def prometheus() -> str:
    """Prometheus's program."""
    if _PROMETHEUS is None:
        _absent("Prometheus", "neither $CHAINSPAN_PROMETHEUS nor prometheus on PATH")
    return str(_PROMETHEUS)


@pytest.fixture(scope="session")
def kafka_broker() -> str:
    """The address of a Kafka broker that runs."""
    if _KAFKA is None:
        _absent("Kafka", "no $CHAINSPAN_KAFKA")
    return str(_KAFKA)


@pytest.fixture(scope="session")
def opensearch() -> str:
    """The URL of an OpenSearch that runs."""
    if _OPENSEARCH is None:
        _absent("OpenSearch", "no $CHAINSPAN_OPENSEARCH")
    return str(_OPENSEARCH).rstrip("/")


@pytest.fixture(scope="session")
def jaeger_program() -> str:
    """Jaeger's program."""
    if _JAEGER is None:
        _absent("Jaeger's program", "neither $CHAINSPAN_JAEGER nor jaeger on PATH")
    return str(_JAEGER)


@pytest.fixture(scope="session")
def jaeger(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jaeger]:
    """A running Jaeger: the one that $JAEGER_URL names, else one with our own configuration."""
    if _JAEGER_URL is not None:
        host = urlsplit(_JAEGER_URL).hostname
        yield Jaeger(_JAEGER_URL.rstrip("/"), f"http://{host}:4318", f"http://{host}:4317")
        return
    if _JAEGER is None:
        _absent("Jaeger", "no $JAEGER_URL, no $CHAINSPAN_JAEGER, and no jaeger on PATH")
    program = request.getfixturevalue("jaeger_program")
    query, query_grpc, http, grpc, health, metrics = free_ports(6)
    overlay = {
        "receivers": {"otlp": {"protocols": {"grpc": at(grpc), "http": at(http)}}},
        "extensions": {
            "healthcheckv2": {"http": at(health)},
            "jaeger_query": {"http": at(query), "grpc": at(query_grpc)},
        },
        "service": {"telemetry": {"metrics": {"readers": read_at(metrics)}}},
    }
    place = tmp_path_factory.mktemp("jaeger")
    command = [program, f"--config={CONFIGS / 'jaeger-dev.yaml'}", f"--config={written(place, overlay)}"]
    quiet = {"OTEL_TRACES_SAMPLER": "always_off"}  # it traces itself
    with running(command, place / "log", f"http://127.0.0.1:{health}/status", env=quiet):
        yield Jaeger(f"http://127.0.0.1:{query}", f"http://127.0.0.1:{http}", f"http://127.0.0.1:{grpc}")


@pytest.fixture(scope="session")
def docker_compose() -> list[str]:
    """The command of Docker Compose, which reads files without an engine."""
    command = [_DOCKER, "compose"] if _DOCKER else []
    if not command or subprocess.run([*command, "version"], capture_output=True, check=False, timeout=30).returncode:
        _absent("Docker Compose", "no docker with its plugin compose on PATH")
    return list(map(str, command))


@pytest.fixture(scope="session")
def environment() -> Path:
    """The directory with the commands of Phoenix and rotel."""
    if _ENVIRONMENT is None:
        _absent("Phoenix, rotel and the schema of Compose", "scripts/test-backends installs them")
    return Path(str(_ENVIRONMENT)).absolute() / "bin"


@pytest.fixture(scope="session")
def phoenix(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phoenix]:
    """A running Phoenix with a database of its own."""
    http, grpc = free_ports(2)
    place = tmp_path_factory.mktemp("phoenix")
    settings = {
        "PHOENIX_WORKING_DIR": str(place),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(http),
        "PHOENIX_GRPC_PORT": str(grpc),
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    url = f"http://127.0.0.1:{http}"
    command = [str(environment / "python"), "-m", "phoenix.server.main", "serve"]
    with running(command, place / "log", f"{url}/readyz", within_s=150.0, env=settings):
        yield Phoenix(url, f"http://127.0.0.1:{grpc}")
