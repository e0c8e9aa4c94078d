"""Setting up the global provider in one call."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from langchain_core.runnables import RunnableLambda
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests._pythons import needs_threads_at_exit
from tests._warnings import STRICT
from tests.exporters._otlp_server import OtlpServer
from tests.exporters._otlp_server import Status as Answering

from chainspan import Delivery, OtelHandler, _sink, chain
from chainspan.exporters import otlp


def run_alone(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own, since a global provider is set once for all."""
    return subprocess.run(
        [sys.executable, *STRICT, "-c", textwrap.dedent(program)],
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
        done = run_alone(PROGRAM.format(arguments=arguments), OTEL_EXPORTER_OTLP_ENDPOINT=server.url, **environment)

    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"{service}",
        "Delivery(delivered=1, pending=0, rejected=0, dropped=0, unverified=())",
    ]
    assert [headers.get("content-encoding") for headers in server.headers] == ["gzip"]


def test_processors_that_are_added_later_are_flushed() -> None:
    """What the application adds to the provider is flushed and told of, unless it makes nothing of spans."""
    with OtlpServer() as server:
        done = run_alone(
            """
            import chainspan
            from opentelemetry.sdk.trace import SpanProcessor
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

            class Marks(SpanProcessor):
                def on_start(self, span, parent_context=None):
                    span.set_attribute("mark", 1)

            provider = chainspan.configure()
            memory = InMemorySpanExporter()
            provider.add_span_processor(Marks())
            chainspan.chain(lambda x: x).invoke(1, callbacks=[chainspan.OtelHandler()])
            print(chainspan.flush(10))
            provider.add_span_processor(BatchSpanProcessor(memory, schedule_delay_millis=60_000))
            with chainspan.OtelHandler() as handler:
                chainspan.chain(lambda x: x).invoke(1, callbacks=[handler])
            print(len(memory.get_finished_spans()), handler.flush(10).unverified)
            """,
            OTEL_EXPORTER_OTLP_ENDPOINT=server.url,
        )

    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "Delivery(delivered=1, pending=0, rejected=0, dropped=0, unverified=())",
        "1 ('BatchSpanProcessor',)",
    ]


def test_nobody_listening_is_not_called_success() -> None:
    """A flush with no collector says what is pending, within its timeout (pains #26, #41)."""
    done = run_alone(
        PROGRAM.format(arguments="").replace("flush(10)", "flush(0.5)"),
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
    )

    assert done.stdout.splitlines()[1] == "Delivery(delivered=0, pending=1, rejected=0, dropped=0, unverified=())"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", " is not a URL such as http://localhost:4318"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "many", " is not a whole number, not below 0"),
    ],
)
def test_variable_that_a_bare_handler_cannot_use(name: str, value: str, said: str) -> None:
    """A handler that sets itself up says once which variable is at fault, and runs go on."""
    done = run_alone(
        """
        import chainspan
        step = chainspan.chain(lambda x: x)
        print([step.invoke(1, callbacks=[chainspan.OtelHandler()]) for _ in range(3)])
        """,
        **{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", name: value},
    )

    assert done.stdout == "[1, 1, 1]\n"
    assert done.stderr == f"OtelHandler() sends no spans: {name}{said}.\n"


def test_empty_argument_of_a_sampler_is_none() -> None:
    """A variable that is empty counts as not set, as the specification has it."""
    done = run_alone(
        "import chainspan; print(chainspan.configure().sampler.get_description())",
        OTEL_TRACES_EXPORTER="none",
        OTEL_TRACES_SAMPLER="traceidratio",
        OTEL_TRACES_SAMPLER_ARG="",
    )

    assert done.stdout == "TraceIdRatioBased{1.0}\n"


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


@pytest.mark.parametrize("calls", [1, 150], ids=["one", "more-than-are-kept"])
def test_flush_tells_of_handlers_that_are_gone(calls: int) -> None:
    """A handler that was made for one call, with an exporter of its own, is flushed and counted as others are."""
    with OtlpServer() as server:
        done = run_alone(
            f"""
            import chainspan
            from chainspan.exporters import otlp
            step = chainspan.chain(lambda x: x)
            for _ in range({calls}):
                step.invoke(1, callbacks=[chainspan.OtelHandler(otlp({server.url!r}))])
            print(chainspan.flush(20))
            """
        )
        arrived = len(server.spans)

    assert (done.stdout, done.stderr) == (f"{Delivery(delivered=calls)}\n", "")
    assert arrived == calls


def test_flush_is_doubtful_of_a_processor_whose_handler_is_gone() -> None:
    """A processor of the SDK's that cannot tell is flushed as well, and named."""
    done = run_alone(
        """
        import chainspan
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        memory = InMemorySpanExporter()
        chainspan.chain(lambda x: x).invoke(1, callbacks=[chainspan.OtelHandler(BatchSpanProcessor(memory))])
        print(chainspan.flush(10).unverified, len(memory.get_finished_spans()))
        """
    )

    assert (done.stdout, done.stderr) == ("('BatchSpanProcessor',) 1\n", "")


def test_a_console_does_not_make_the_flush_doubtful() -> None:
    """What is printed beside it has no say in whether all spans arrived."""
    with OtlpServer() as server:
        done = run_alone(
            """
            import chainspan
            chainspan.configure(console=True)
            console = chainspan.ConsoleHandler(lambda text: None)
            chainspan.chain(lambda x: x).invoke(1, callbacks=[chainspan.OtelHandler(), console])
            print(chainspan.flush(10), console.flush(1))
            """,
            OTEL_EXPORTER_OTLP_ENDPOINT=server.url,
        )

    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == f"{Delivery(delivered=1)} {Delivery()}"


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {"OTEL_TRACES_EXPORTER": "zipkin-of-old"},
            (
                "OTEL_TRACES_EXPORTER: expected otlp, console, none or the name of an installed exporter, "
                "got 'zipkin-of-old'"
            ),
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
            {"OTEL_SPAN_LINK_COUNT_LIMIT": "-1"},
            "OTEL_SPAN_LINK_COUNT_LIMIT: expected a whole number, not below 0, got '-1'",
        ),
        (
            {"OTEL_TRACES_SAMPLER": "sometimes"},
            (
                "OTEL_TRACES_SAMPLER: expected one of always_off, always_on, parentbased_always_off, "
                "parentbased_always_on, parentbased_traceidratio, traceidratio, got 'sometimes'"
            ),
        ),
    ],
    ids=["exporter", "ratio", "no-number", "limit", "sampler"],
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


@pytest.mark.parametrize("name", ["OTEL_PYTHON_TRACER_PROVIDER", "OTEL_PYTHON_METER_PROVIDER"])
def test_provider_that_is_not_installed(name: str) -> None:
    """The API raises a StopIteration wherever it is asked for one; that does not come through."""
    done = run_alone(
        """
        import chainspan
        print(chainspan.chain(lambda x: x).invoke(1, callbacks=[chainspan.OtelHandler()]))
        try:
            chainspan.configure()
        except chainspan.ConfigurationError as error:
            print(error)
        """,
        **{"OTEL_TRACES_EXPORTER": "none", name: "x"},
    )

    assert done.stdout.splitlines() == ["1", f"{name}: expected the name of an installed provider, got 'x'"]
    assert "chainspan failed" not in done.stderr


def test_provider_that_is_not_installed_is_looked_for_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The API logs it in full each time that it is asked; a provider that is set up later is fed all the same."""
    monkeypatch.setenv("OTEL_PYTHON_TRACER_PROVIDER", "nobody's")
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(_sink, "_unloadable", set())
    step = chain(lambda x: x)
    memory = InMemorySpanExporter()

    for _ in range(3):
        step.invoke(1, callbacks=[OtelHandler()])
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    step.invoke(1, callbacks=[OtelHandler()])

    assert [record.getMessage() for record in caplog.records] == ["Failed to load configured provider tracer_provider"]
    assert len(memory.get_finished_spans()) == 1


def test_bad_argument_is_refused_by_its_own_name() -> None:
    """What is no processor is refused as an argument of this call, and not of a handler's."""
    done = run_alone("import chainspan; chainspan.configure(processors=[1])")

    assert done.stderr.endswith("ConfigurationError: processors: expected SpanProcessors or SpanExporters, got 1\n")


def test_arguments_that_cannot_be_used_are_refused_before_anything_is_set_up() -> None:
    """Each is named with what was expected; a word is no flag, whatever it says."""
    done = run_alone("""
        import chainspan
        from opentelemetry import trace
        for arguments in (
            {"service_name": 1}, {"resource_attributes": ["a=b"]}, {"endpoint": 4318}, {"spool": 1},
            {"console": "no"}, {"metrics": "false"}, {"processors": None}, {"flush_on_sigterm": 0},
        ):
            try:
                chainspan.configure(**arguments)
            except chainspan.ConfigurationError as error:
                print(error)
        print(type(trace.get_tracer_provider()).__name__)
    """)

    assert done.stdout.splitlines() == [
        "configure(service_name=): expected a text, got 1",
        "configure(resource_attributes=): expected a mapping, got ['a=b']",
        "endpoint: expected a URL such as http://localhost:4318, got 4318",
        "spool: expected a directory that can be written, got 1",
        "configure(console=): expected True or False, got 'no'",
        "configure(metrics=): expected True or False, got 'false'",
        "configure(processors=): expected a list, got None",
        "configure(flush_on_sigterm=): expected True or False, got 0",
        "ProxyTracerProvider",
    ]


def test_spooled_spans_arrive_after_an_outage(tmp_path: Path) -> None:
    """With a spool, what was traced while nobody listened is sent by the next process (pains #26)."""
    spool = f"spool={str(tmp_path / 'spool')!r}"
    with OtlpServer() as server:
        server.stop()
        first = run_alone(
            PROGRAM.format(arguments=spool).replace("flush(10)", "flush(0.5)"), OTEL_EXPORTER_OTLP_ENDPOINT=server.url
        )
        server.start()
        second = run_alone(PROGRAM.format(arguments=spool), OTEL_EXPORTER_OTLP_ENDPOINT=server.url)

    assert "delivered=0, pending=1" in first.stdout
    assert second.stdout.splitlines()[1].startswith("Delivery(delivered=")
    assert [span.name for span in server.spans] == ["RunnableLambda", "RunnableLambda"]


@pytest.mark.parametrize(("opt_out", "arrived"), [("", 1), ("flush_on_sigterm=False", 0)], ids=["default", "opt-out"])
def test_sigterm_flushes_what_is_pending(opt_out: str, arrived: int) -> None:
    """A container that is stopped loses nothing, and the process still ends by the signal (pains #27)."""
    with OtlpServer() as server:
        done = run_alone(
            f"""
            import os, signal, time
            import chainspan
            from langchain_core.runnables import RunnableLambda
            chainspan.configure({opt_out})
            RunnableLambda(lambda x: x).invoke("x", {{"callbacks": [chainspan.OtelHandler()]}})
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)
            """,
            OTEL_EXPORTER_OTLP_ENDPOINT=server.url,
        )

    assert done.returncode == -signal.SIGTERM
    assert len(server.spans) == arrived


def test_what_is_lost_at_sigterm_is_said() -> None:
    """A process that ends by the signal runs no exit hooks, and says in the log how many spans end with it."""
    with OtlpServer() as server:
        server.behaviour = Answering(503)
        done = run_alone(
            """
            import logging, os, signal, time
            import chainspan
            logging.basicConfig(format="%(levelname)s %(message)s")
            chainspan.configure(metrics=False)
            chainspan.chain(lambda word: word).invoke("x", callbacks=[chainspan.OtelHandler()])
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)
            """,
            OTEL_EXPORTER_OTLP_ENDPOINT=server.url.removesuffix("/v1/traces"),
        )

    assert done.returncode == -signal.SIGTERM
    assert re.fullmatch(
        rf"WARNING No spans have reached {server.url} for \d s \(503 Service Unavailable\): "
        r"1 span was lost \(the process ended\)\.\n",
        done.stderr,
    )


def test_sigterm_flushes_under_gevent() -> None:
    """A worker of gevent's that waits for work flushes too, and ends by the signal."""
    pytest.importorskip("gevent", reason="gevent is of the group `test`")
    with OtlpServer() as server:
        done = run_alone(
            """
            from gevent import monkey
            monkey.patch_all()
            import os, signal, time
            import gevent
            import chainspan
            chainspan.configure()
            chainspan.chain(lambda word: word).invoke("x", callbacks=[chainspan.OtelHandler()])
            gevent.get_hub().loop.run_callback(os.kill, os.getpid(), signal.SIGTERM)
            time.sleep(30)
            """,
            OTEL_EXPORTER_OTLP_ENDPOINT=server.url,
        )

    assert (done.returncode, done.stderr) == (-signal.SIGTERM, "")
    assert len(server.spans) == 1


@pytest.mark.parametrize("spool", ["", "spool=os.environ['SPOOL']"], ids=["memory", "spool"])
def test_gevent_that_comes_late(tmp_path: Path, spool: str) -> None:
    """A worker of gunicorn's with a preloaded application patches after configure(); it ends, and all arrives."""
    pytest.importorskip("gevent", reason="gevent is of the group `test`")
    needs_threads_at_exit()  # for gevent's resolver of names
    with OtlpServer() as server:
        done = run_alone(
            f"""
            import os, warnings
            import chainspan
            chainspan.configure(metrics=False, {spool})
            from gevent import monkey
            warnings.simplefilter("ignore")
            monkey.patch_all()
            import gevent
            step = chainspan.chain(lambda word: word)
            calls = [gevent.spawn(step.invoke, "x", callbacks=[chainspan.OtelHandler()]) for _ in range(3)]
            gevent.joinall(calls)
            """,
            OTEL_EXPORTER_OTLP_ENDPOINT=server.url,
            SPOOL=str(tmp_path),
        )

    assert (done.returncode, done.stderr) == (0, "")
    assert len(server.spans) == 3


def test_what_ends_after_sigterm_is_sent_at_once() -> None:
    """A server finishes its requests, and then ends by the signal that it has caught: nobody asks for a flush."""
    with OtlpServer() as server:
        done = run_alone(
            """
            import os, signal, time
            import chainspan
            signal.signal(signal.SIGTERM, lambda *_: None)
            chainspan.configure()
            os.kill(os.getpid(), signal.SIGTERM)
            chainspan.chain(lambda word: word).invoke("x", callbacks=[chainspan.OtelHandler()])
            time.sleep(2)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)
            """,
            OTEL_EXPORTER_OTLP_ENDPOINT=server.url,
            OTEL_BSP_SCHEDULE_DELAY="20000",
        )

    assert (done.returncode, done.stderr) == (-signal.SIGTERM, "")
    assert len(server.spans) == 1


async def test_aflush_answers_as_flush_does() -> None:
    """The asynchronous flush tells the same truth, without blocking the loop."""
    with OtlpServer() as server:
        handler = OtelHandler(otlp(server.url))
        await RunnableLambda(lambda x: x).ainvoke("x", {"callbacks": [handler]})

        delivery = await handler.aflush(10)

    assert delivery == Delivery(delivered=1)
