"""Setting up the global provider in one call."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from tests.exporters._otlp_server import OtlpServer


def run_alone(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own, since a global provider is set once for all."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        env={"PATH": "", **environment},
        timeout=50,
        check=False,
    )


def test_refuses_politely_to_replace_a_provider() -> None:
    """A provider that is there stays, is returned, and that is said in the log."""
    done = run_alone(
        """
        import logging; logging.basicConfig(format="%(levelname)s %(name)s %(message)s")
        import chainspan
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        mine = TracerProvider()
        trace.set_tracer_provider(mine)
        print(chainspan.configure(service_name="other") is mine is trace.get_tracer_provider())
        """
    )

    assert done.stdout == "True\n"
    assert done.stderr == (
        "WARNING chainspan chainspan.configure() leaves the TracerProvider alone that is set up already, "
        "and adds nothing to it.\n"
    )


def test_importing_and_handling_change_no_global_state() -> None:
    """Nobody who did not ask for it gets a global provider (pains #14)."""
    done = run_alone(
        """
        import chainspan
        from opentelemetry import trace
        chainspan.OtelHandler(), chainspan.ConsoleHandler()
        print(type(trace.get_tracer_provider()).__name__)
        """
    )

    assert (done.stdout, done.stderr) == ("ProxyTracerProvider\n", "")


PROGRAM = """
    import chainspan
    from langchain_core.runnables import RunnableLambda
    provider = chainspan.configure({arguments})
    RunnableLambda(lambda x: x).invoke("x", {{"callbacks": [chainspan.OtelHandler()]}})
    print(provider.resource.attributes["service.name"], provider.resource.attributes.get("team"))
    print(chainspan.flush(10))
"""


@pytest.mark.parametrize(
    ("arguments", "environment", "service"),
    [
        ("service_name='shop', resource_attributes={'team': 'a'}", {}, "shop a"),
        ("", {"OTEL_SERVICE_NAME": "env", "OTEL_RESOURCE_ATTRIBUTES": "team=b"}, "env b"),
    ],
    ids=["arguments", "environment"],
)
def test_spans_arrive_over_http(arguments: str, environment: dict[str, str], service: str) -> None:
    """One call is enough to be seen at an OTLP endpoint, with the service's name."""
    with OtlpServer() as server:
        done = run_alone(
            PROGRAM.format(arguments=arguments), OTEL_EXPORTER_OTLP_ENDPOINT=server.url, **environment
        )

    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"{service}",
        "Delivery(delivered=1, pending=0, rejected=0, dropped=0, unverified=())",
    ]
    assert [headers.get("content-encoding") for headers in server.headers] == ["gzip"]


def test_nobody_listening_is_not_called_success() -> None:
    """A flush with no collector says what is pending, within its timeout (pains #26, #41)."""
    done = run_alone(
        PROGRAM.format(arguments="").replace("flush(10)", "flush(0.5)"),
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
    )

    assert done.stdout.splitlines()[1] == "Delivery(delivered=0, pending=1, rejected=0, dropped=0, unverified=())"


def test_console_of_the_global_provider_prints_what_spans_tell() -> None:
    """With console=True runs are printed too; content that is off is not (point 4 of the gate)."""
    done = run_alone(
        """
        import chainspan
        from langchain_core.runnables import RunnableLambda
        chainspan.configure(console=True)
        RunnableLambda(lambda x: x).invoke("a secret", {"callbacks": [chainspan.OtelHandler()]})
        """,
        OTEL_TRACES_EXPORTER="none",
    )

    assert done.stderr == ""
    assert "secret" not in done.stdout
    assert done.stdout.startswith("[chain/start] [1:chain:RunnableLambda] Entering Chain run with input: [inputs]\n")


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {"OTEL_TRACES_EXPORTER": "zipkin-of-old"},
            "OTEL_TRACES_EXPORTER: expected otlp, console, none or the name of an installed exporter, "
            "got 'zipkin-of-old'",
        ),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"},
            "OTEL_TRACES_SAMPLER_ARG: expected a number from 0 to 1, got '2'",
        ),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "some"},
            "OTEL_TRACES_SAMPLER_ARG: expected a number from 0 to 1, got 'some'",
        ),
        (
            {"OTEL_TRACES_SAMPLER": "sometimes"},
            "OTEL_TRACES_SAMPLER: expected one of always_off, always_on, parentbased_always_off, "
            "parentbased_always_on, parentbased_traceidratio, traceidratio, got 'sometimes'",
        ),
    ],
    ids=["exporter", "ratio", "no-number", "sampler"],
)
def test_bad_variable_is_refused_with_where_expected_and_got(environment: dict[str, str], message: str) -> None:
    """What cannot be used is said, and nothing is set up."""
    done = run_alone(
        """
        import chainspan
        from opentelemetry import trace
        try:
            chainspan.configure()
        except chainspan.ConfigurationError as error:
            print(error)
        print(type(trace.get_tracer_provider()).__name__)
        """,
        **environment,
    )

    assert (done.stdout, done.stderr) == (f"{message}\nProxyTracerProvider\n", "")
