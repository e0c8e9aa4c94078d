"""The collector's and Jaeger's configurations, and the compose files: whole, current, without a secret."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chainspan import ContentPolicy, _semconv
from chainspan.exporters._encoding import MAX_REQUEST_BYTES

from ._collector import CONFIGS, VALUES, merged, parsed

ROOT = CONFIGS.parent
OVERLAYS = sorted((CONFIGS / "exporters").glob("*.yaml"))
COLLECTOR = [
    [CONFIGS / "dev.yaml"],
    [CONFIGS / "agent.yaml"],
    [CONFIGS / "agent.yaml", CONFIGS / "agent-keep-content.yaml"],
    [CONFIGS / "gateway.yaml"],
    *([CONFIGS / base, overlay] for base in ("dev.yaml", "gateway.yaml") for overlay in OVERLAYS),
]
JAEGER = [
    *([CONFIGS / f"jaeger-{name}.yaml"] for name in ("dev", "ingester", "query")),
    *([CONFIGS / f"jaeger-{name}.yaml", CONFIGS / "jaeger-opensearch.yaml"] for name in ("ingester", "query")),
]
COMPOSE = [ROOT / "docker-compose.yml", ROOT / "docker-compose.production.yml"]
SMALLER = {"newrelic.yaml"}  # a backend that takes less than what we may send
KINDS = ("receivers", "processors", "exporters", "connectors", "extensions")


def name_of(paths: list[Path]) -> str:
    """Return what a configuration is called in the report."""
    return "+".join(path.stem for path in paths)


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Return every scalar with the key that it stands under."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, key)
    else:
        yield key, str(value)


def used_in(config: dict[str, Any]) -> dict[str, set[str]]:
    """Return the components that are used, by their kinds as far as their place tells."""
    used: dict[str, set[str]] = {"extensions": set(config["service"]["extensions"])}
    for pipeline in config["service"]["pipelines"].values():
        for place in ("receivers", "processors", "exporters"):
            used.setdefault(place, set()).update(pipeline.get(place, []))
    return used


@pytest.mark.parametrize("paths", [*COLLECTOR, *JAEGER], ids=name_of)
def test_all_that_is_used_is_defined(paths: list[Path]) -> None:
    """Pipelines name what there is, connectors have both ends, and queues lie in a storage that is started."""
    config = merged(*paths)
    used, connectors = used_in(config), set(config.get("connectors", {}))

    assert used["extensions"] == set(config["extensions"])
    assert used["receivers"] == set(config["receivers"]) | connectors
    assert used["exporters"] == set(config["exporters"]) | connectors
    assert used["processors"] <= set(config.get("processors", {}))
    for exporter in filter(None, config["exporters"].values()):
        storage = exporter.get("sending_queue", {}).get("storage")
        assert storage is None or storage in config["service"]["extensions"]


@pytest.mark.parametrize("path", OVERLAYS, ids=lambda path: path.stem)
def test_overlays_only_add(path: Path) -> None:
    """An overlay replaces no list of its base but the extensions, so that any of them go together."""
    for base in ("dev.yaml", "gateway.yaml"):
        below, above = merged(CONFIGS / base), parsed(path)

        assert not below["service"]["pipelines"].keys() & above["service"]["pipelines"].keys()
        assert set(below["service"]["extensions"]) <= set(
            above["service"].get("extensions", below["service"]["extensions"])
        )


@pytest.mark.parametrize("paths", COLLECTOR, ids=name_of)
def test_budgets_fit(paths: list[Path]) -> None:
    """What the library may send is received, and what is sent on holds the largest span that it makes."""
    config = merged(*paths)

    for protocol in config["receivers"]["otlp"]["protocols"].values():
        most = protocol.get("max_request_body_size") or protocol["max_recv_msg_size_mib"] << 20
        assert most >= MAX_REQUEST_BYTES
    for exporter in filter(None, config["exporters"].values()):
        batch = exporter.get("sending_queue", {}).get("batch")
        if batch and paths[-1].name not in SMALLER:
            assert ContentPolicy().max_span_bytes < batch["max_size"] < exporter["sending_queue"]["queue_size"]


@pytest.mark.parametrize(
    ("sender", "exporter", "receiver"),
    [("dev", "otlp_grpc/jaeger", "jaeger-dev"), ("agent", "load_balancing", "gateway")],
)
def test_a_batch_is_received_where_it_goes(sender: str, exporter: str, receiver: str) -> None:
    """What one of our collectors sends to the next at most, the next one takes."""
    batch = parsed(CONFIGS / f"{sender}.yaml")["exporters"][exporter]["sending_queue"]["batch"]
    protocols = parsed(CONFIGS / f"{receiver}.yaml")["receivers"]["otlp"]["protocols"]

    assert batch["max_size"] * 2 < protocols["grpc"]["max_recv_msg_size_mib"] << 20


def test_what_is_no_content_passes_the_agent() -> None:
    """The agent's list has every attribute of chainspan's own but those that hold what somebody wrote."""
    statements = parsed(CONFIGS / "agent.yaml")["processors"]["transform/drop_content"]["trace_statements"]
    [passing] = [
        re.compile(found[1].encode().decode("unicode_escape"))
        for statement in statements[0]["statements"]
        if (found := re.fullmatch(r'keep_matching_keys\(span\.attributes, "(.*)"\)', statement))
    ]
    own = {value for name, value in vars(_semconv).items() if name.startswith("CHAINSPAN_")} - {"chainspan.counted."}
    held = {*own, "chainspan.counted.input_tokens", "gen_ai.retrieval.top_k"}

    assert {name for name in held if not passing.match(name)} == {
        "chainspan.holds",
        "chainspan.metadata",
        "chainspan.output.schema",
        "chainspan.tags",
    }


def test_a_batch_fits_kafkas_messages() -> None:
    """What a gateway writes at most, the brokers take and the ingester reads."""
    kafka = parsed(CONFIGS / "gateway.yaml")["exporters"]["kafka"]
    ingester = parsed(CONFIGS / "jaeger-ingester.yaml")["receivers"]["kafka"]
    brokers = parsed(ROOT / "docker-compose.production.yml")["services"]["kafka"]["environment"]

    assert kafka["sending_queue"]["batch"]["max_size"] < kafka["producer"]["max_message_bytes"]
    assert {
        kafka["producer"]["max_message_bytes"],
        ingester["max_partition_fetch_size"],
        int(brokers["KAFKA_MESSAGE_MAX_BYTES"]),
        int(brokers["KAFKA_REPLICA_FETCH_MAX_BYTES"]),
    } == {8 << 20}
    assert kafka["traces"]["topic"] in ingester["traces"]["topics"]


@pytest.mark.parametrize("path", [*CONFIGS.rglob("*.y*ml"), *COMPOSE], ids=lambda path: path.name)
def test_no_secret_in_a_file(path: Path) -> None:
    """What proves who sends comes from the environment."""
    secret = re.compile(r"(?i)authorization|password|secret|token|connection_string|(api|license)[-_]key|team$")
    found = {key: value for key, value in leaves(parsed(path)) if secret.search(key)}

    assert [key for key, value in found.items() if "${" not in value] == []


@pytest.mark.parametrize("paths", COLLECTOR, ids=name_of)
def test_the_collector_accepts(paths: list[Path], otelcol: str, tmp_path: Path) -> None:
    """A real collector takes a configuration as it is, with no name in it that it calls deprecated."""
    if any(path.stem == "azure-monitor" for path in paths) and not _has(otelcol, "azure_monitor"):
        pytest.skip("not run: this collector is built without azure_monitor")
    command = [otelcol, "validate", *(f"--config={path}" for path in paths)]

    done = subprocess.run(
        command, env={**os.environ, **VALUES}, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30
    )

    assert (done.returncode, done.stderr + done.stdout) == (0, "")


@pytest.mark.parametrize("paths", JAEGER, ids=name_of)
def test_jaeger_accepts(paths: list[Path], jaeger_program: str, tmp_path: Path) -> None:
    """A real Jaeger takes a configuration as it is."""
    command = [jaeger_program, "validate", *(f"--config={path}" for path in paths)]

    done = subprocess.run(
        command, env={**os.environ, **VALUES}, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30
    )

    if "kafka" in done.stderr and "invalid keys: topics" in done.stderr:
        pytest.skip("not run: this Jaeger is older than 2.14, whose Kafka receiver knows one topic only")
    assert done.returncode == 0, done.stderr


def _has(otelcol: str, component: str) -> bool:
    done = subprocess.run([otelcol, "components"], capture_output=True, text=True, check=True, timeout=30)
    return component in done.stdout


# ------------------------------------------------------------------ compose


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_compose_files_follow_their_schema(path: Path, environment: Path) -> None:
    """The published schema of Compose takes the files."""
    command = [str(environment / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(path)]

    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_docker_compose_reads_them(path: Path, docker_compose: list[str]) -> None:
    """Compose itself takes the files, with all profiles."""
    command = [*docker_compose, "--file", str(path), "--profile", "metrics", "config", "--quiet"]

    done = subprocess.run(
        command, env={**os.environ, **VALUES}, capture_output=True, text=True, check=False, timeout=60
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_compose_files_are_pinned_local_and_gated(path: Path) -> None:
    """Images have versions, ports are open here alone, mounts exist, and what is waited for can be waited for."""
    compose = parsed(path)
    services, volumes = compose["services"], compose.get("volumes", {})

    for service in services.values():
        assert re.fullmatch(r"\$\{[A-Z]+_IMAGE:-[\w./-]+:v?\d+(\.\d+)+\}", service["image"])
        assert all(re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port) for port in service.get("ports", []))
        for source in (volume.split(":")[0] for volume in service.get("volumes", [])):
            assert (ROOT / source).is_file() if source.startswith("./") else source in volumes
        for other, condition in service.get("depends_on", {}).items():
            healthy = condition["condition"] == "service_healthy"
            assert not healthy or "healthcheck" in services[other]
        restarted = service.get("restart") != "no"
        assert "mem_limit" in service or not restarted


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_prometheus_looks_where_metrics_are(path: Path) -> None:
    """Every target of Prometheus is a service of the same file, at a port where its configuration shows metrics."""
    services = parsed(path)["services"]
    (mounted,) = services["prometheus"]["volumes"]

    for job in parsed(ROOT / mounted.split(":")[0])["scrape_configs"]:
        for target in (target for group in job["static_configs"] for target in group["targets"]):
            name, port = target.split(":")
            config = parsed(ROOT / services[name]["volumes"][0].split(":")[0])
            shown = [config["service"]["telemetry"]["metrics"]["readers"][0]["pull"]["exporter"]["prometheus"]["port"]]
            shown += [int(e["endpoint"].split(":")[1]) for k, e in config["exporters"].items() if k == "prometheus"]
            assert int(port) in shown
