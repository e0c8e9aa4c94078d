"""The ``chainspan`` command, run as a user runs it."""

from __future__ import annotations

import fcntl
import gzip
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from inline_snapshot import external_file, snapshot
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tests._warnings import FILTERS
from typing_extensions import override

COMMAND = (sys.executable, "-m", "chainspan")

SPANS = 15
"""How many spans the demo makes: 3 of the chain and the rest of the agent."""

NONE_ARRIVED = f"0 of {SPANS} spans arrived at http://127.0.0.1:PORT/v1/traces"

MASKS = (
    (r"\[\d+(\.\d+)?m?s\]", "[TIME]"),
    (r"\d+\.\d+ m?s\b", "TIME"),
    (r"lc_run--[0-9a-f-]+", "lc_run--ID"),
    (r'"id": "[0-9a-f-]{36}"', '"id": "UUID"'),
    (r"\b[0-9a-f]{32}\b", "TRACE"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r"\x1b\[[0-9;]*m", ""),
)


def masked(text: str) -> str:
    """Return the text without what differs from run to run, and without colours."""
    for pattern, stand_in in MASKS:
        text = re.sub(pattern, stand_in, text)
    return text


def after(title: str, output: str) -> str:
    """Return the part of the output that begins with a title."""
    return output[output.index(title) :]


def environment(**more: str) -> dict[str, str]:
    """Return this process's environment without what steers the command, and with some more."""
    steering = re.compile(r"OTEL_|CHAINSPAN_|LANGSMITH_|LANGCHAIN_|NO_COLOR|FORCE_COLOR|COLUMNS|PYTHON")
    kept = {name: value for name, value in os.environ.items() if not steering.match(name)}
    return kept | {"PYTHONWARNINGS": ",".join(FILTERS), "CHAINSPAN_STRICT": "1"} | more


def run(
    *arguments: str, command: tuple[str, ...] = COMMAND, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    env = environment(**env or {})
    encoding = env.get("PYTHONIOENCODING", "utf-8").partition(":")[0]
    return subprocess.run(
        [*command, *arguments], env=env, capture_output=True, encoding=encoding, check=False, timeout=50
    )


def started(*arguments: str) -> subprocess.Popen[bytes]:
    """Start the command, with Ctrl-C in force also where a shell has started the tests in the background."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  takes no lock
    )


class Collector(ThreadingHTTPServer):
    """Takes traces by OTLP over HTTP, as a collector does.

    Attributes:
        spans: What it has received.
        services: The names of the services that it came from.
        status: The HTTP status that it answers with.
        rejected: How many spans of the next request it says it has rejected.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _CollectorHandler)
        self.spans: list[Span] = []
        self.services: set[str] = set()
        self.status = 200
        self.rejected = 0
        self.url = f"http://127.0.0.1:{self.server_port}"


class _CollectorHandler(BaseHTTPRequestHandler):
    server: Collector  # type: ignore[mutable-override]

    def do_POST(self) -> None:
        body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
        request = ExportTraceServiceRequest.FromString(body)
        status, rejected = self.server.status, self.server.rejected
        self.server.rejected = 0
        if status == 200 and self.path == "/v1/traces":
            self.server.spans += [s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]
            said = [attribute for r in request.resource_spans for attribute in r.resource.attributes]
            self.server.services |= {a.value.string_value for a in said if a.key == "service.name"}
        answer = ExportTraceServiceResponse()
        answer.partial_success.rejected_spans = rejected
        answer.partial_success.error_message = "quota" if rejected else ""
        data = answer.SerializeToString()
        self.send_response(status if self.path == "/v1/traces" else 404)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    @override
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector on this machine."""
    with Collector() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def closed_port() -> str:
    """An address where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture(scope="module")
def plain() -> subprocess.CompletedProcess[str]:
    """The demo as it runs without options, its output piped."""
    return run("demo")


def test_demo_prints_the_trace_live_and_as_a_tree(plain: subprocess.CompletedProcess[str]) -> None:
    """The demo needs no key and no network, and its text is the same in every run."""
    assert plain.stderr == ""
    assert masked(plain.stdout) == external_file("demo.txt")
    assert plain.returncode == 0


def test_demo_writes_no_escape_codes_unless_a_terminal_reads_them(plain: subprocess.CompletedProcess[str]) -> None:
    """Piped output is plain; colours can be forced, and change nothing but colours."""
    forced = run("demo", env={"FORCE_COLOR": "1", "COLUMNS": "200"})

    assert "\x1b" not in plain.stdout
    assert "\x1b[" in after("The trace as a tree", forced.stdout)
    assert masked(forced.stdout) == masked(plain.stdout)


@pytest.mark.parametrize(
    ("arguments", "env"),
    [(("demo", "--no-color"), {}), (("demo",), {"NO_COLOR": "1"})],
    ids=["option", "NO_COLOR"],
)
def test_colours_can_be_switched_off(arguments: tuple[str, ...], env: dict[str, str]) -> None:
    """The option and NO_COLOR are both stronger than FORCE_COLOR."""
    done = run(*arguments, env={**env, "FORCE_COLOR": "1"})

    assert "\x1b" not in done.stdout


def test_demo_prints_ascii_where_the_output_cannot_hold_more() -> None:
    """A terminal of Windows with a code page gets a tree of plus and minus signs."""
    done = run("demo", env={"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"})

    assert done.returncode == 0
    assert done.stdout.isascii()


def test_tree_fits_a_narrow_terminal() -> None:
    """Long labels are folded inside the tree."""
    done = run("demo", env={"FORCE_COLOR": "1", "COLUMNS": "40"})

    tree = masked(done.stdout).split("The trace as a tree\n")[1].split("\n\n")[0]
    assert max(map(len, tree.splitlines())) <= 40


def test_demo_sends_the_trace_and_says_that_it_arrived(collector: Collector) -> None:
    """Every span of the two runs is at the collector, in two traces."""
    done = run("demo", "--otlp", env={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})

    assert len(collector.spans) == SPANS
    traces = list(dict.fromkeys(span.trace_id.hex() for span in collector.spans))
    assert after("All", done.stdout).split("\n\n")[0] == "\n".join(
        [f"All {SPANS} spans arrived at {collector.url}/v1/traces", *(f"  trace {each}" for each in traces)]
    )
    assert (done.stderr, done.returncode) == ("", 0)


@pytest.mark.parametrize(
    ("env", "name"),
    [
        ({}, "chainspan-demo"),
        ({"OTEL_SERVICE_NAME": "mine"}, "mine"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=mine"}, "mine"),
    ],
    ids=["default", "named", "resource"],
)
def test_demo_is_found_by_its_name_and_has_something_to_show(
    collector: Collector, env: dict[str, str], name: str
) -> None:
    """A backend lists the demo under a name of its own or the user's, and has the conversations."""
    run("demo", "--endpoint", collector.url, env=env)

    assert collector.services == {name}
    talks = [a.value.string_value for s in collector.spans for a in s.attributes if a.key == "gen_ai.output.messages"]
    assert any("That makes 12 euros." in talk for talk in talks)


def test_endpoint_option_implies_otlp_and_beats_the_environment(collector: Collector, closed_port: str) -> None:
    """What is typed is meant."""
    done = run("demo", "--endpoint", collector.url, env={"OTEL_EXPORTER_OTLP_ENDPOINT": closed_port})

    assert len(collector.spans) == SPANS
    assert done.returncode == 0


def test_nothing_is_sent_unasked(collector: Collector) -> None:
    """An endpoint in the environment is no request to send the demo there."""
    done = run("demo", env={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})

    assert collector.spans == []
    assert done.returncode == 0


def test_demo_says_that_the_environment_switches_tracing_off(collector: Collector) -> None:
    """Nothing recorded is nothing arrived, and why is said."""
    done = run("demo", "--endpoint", collector.url, env={"OTEL_SDK_DISABLED": "true"})

    assert "Nothing was recorded: OTEL_SDK_DISABLED or OTEL_TRACES_SAMPLER switches tracing off." in done.stdout
    assert masked(done.stderr) == "0 of 0 spans arrived at http://127.0.0.1:PORT/v1/traces (nothing was sent).\n"
    assert done.returncode == 1


def test_demo_says_that_nobody_listens(closed_port: str) -> None:
    """Although the SDK's own flush calls it a success."""
    done = run("demo", "--otlp", "--endpoint", closed_port)

    assert masked(done.stderr) == f"{NONE_ARRIVED} (ConnectionError). Is a collector running at that address?\n"
    assert "Where to look next" in done.stdout
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("status", "rejected", "said"),
    [
        (200, 3, "12 of 15 spans arrived at http://127.0.0.1:PORT/v1/traces (refused in part)."),
        (400, 0, f"{NONE_ARRIVED} (400 Bad Request). Is a collector running at that address?"),
        (302, 0, f"{NONE_ARRIVED} (302 Found). Is a collector running at that address?"),
    ],
    ids=["partly", "refused", "redirected"],
)
def test_demo_says_what_did_not_arrive(collector: Collector, status: int, rejected: int, said: str) -> None:
    """A collector that rejects some or all spans, or sends the client elsewhere, is quoted."""
    collector.status, collector.rejected = status, rejected

    done = run("demo", "--endpoint", collector.url)

    assert masked(done.stderr) == f"{said}\n"
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (("demo", "--endpoint", "localhost:4317"), {}),
        (("demo", "--otlp"), {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector"}),
        (("demo", "--no-such-option"), {}),
        (("no-such-command",), {}),
    ],
    ids=["endpoint", "environment", "option", "command"],
)
def test_wrong_use_exits_with_2(arguments: tuple[str, ...], env: dict[str, str]) -> None:
    """It is said on standard error, before anything runs, and without a traceback."""
    done = run(*arguments, env=env)

    assert done.returncode == 2
    assert done.stdout == ""
    assert "Usage:" in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_endpoint_is_named_with_its_source() -> None:
    """The message says where the address stands, what was expected and what came."""
    done = run("demo", "--otlp", env={"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4317", "COLUMNS": "200"})

    assert (
        "OTEL_EXPORTER_OTLP_ENDPOINT: expected a URL such as http://localhost:4318, got 'localhost:4317'" in done.stderr
    )


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (
            "typer",
            snapshot("""\
chainspan: the command line needs what is not installed: typer.
Install it with: pip install 'chainspan[cli]'
"""),
        ),
        (
            "rich",
            snapshot("""\
chainspan: the command line needs what is not installed: rich.
Install it with: pip install 'chainspan[cli]'
"""),
        ),
        (
            "langchain_core",
            snapshot("""\
chainspan: the demo traces LangChain, which is not installed.
Install it with: pip install 'chainspan[demo]'
"""),
        ),
    ],
)
def test_missing_extra_is_said_with_the_cure(missing: str, said: str) -> None:
    """Two sentences and exit code 1, no traceback."""
    code = f"import sys; sys.modules[{missing!r}] = None; from chainspan._cli import main; main()"

    done = run("demo", command=(sys.executable, "-c", code))

    assert (done.stdout, done.stderr, done.returncode) == ("", said, 1)


def test_demo_without_the_agent_package_shows_the_chain() -> None:
    """Only the agent needs more than langchain-core."""
    code = "import sys; sys.modules['langchain'] = None; from chainspan._cli import main; main()"

    done = run("demo", command=(sys.executable, "-c", code))

    assert masked(after("The agent is left out", done.stdout)) == snapshot("""\
The agent is left out: it needs pip install 'chainspan[demo]'.

The trace as a tree
RunnableSequence  TIME  5 tokens in, 5 out
├── ChatPromptTemplate  TIME
└── chat demo-1  TIME  5 tokens in, 5 out

Where to look next
  in your code    chain.invoke(..., config={"callbacks": [OtelHandler()]})
  as text         chain.invoke(..., config={"callbacks": [ConsoleHandler()]})
  in a backend    chainspan demo --otlp
  all options     chainspan demo --help
""")
    assert (done.stderr, done.returncode) == ("", 0)


def wait_until_stuck(process: subprocess.Popen[bytes]) -> None:
    """Wait until a process has slept for a while, as it does when nobody reads what it writes."""
    seen: list[str] = []
    deadline_s = time.monotonic() + 30
    while seen[-10:] != ["S"] * 10 and time.monotonic() < deadline_s:
        time.sleep(0.02)
        seen.append(Path(f"/proc/{process.pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0])


def test_interrupt_leaves_quietly() -> None:
    """Ctrl-C ends the demo with the shell's code for it, and no traceback."""
    with started("demo") as process:
        assert process.stdout
        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)  # too little for the trace: it waits in the midst of it
        process.stdout.read(1)
        wait_until_stuck(process)

        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)

    assert (errors, process.returncode) == (b"", 130)


def test_closed_pipe_is_no_traceback() -> None:
    """``chainspan demo | head -1`` ends without a word about it."""
    with started("demo") as process:
        assert process.stdout
        process.stdout.close()
        assert process.stderr

        errors = process.stderr.read()

    assert errors == b""


def test_pipe_that_is_closed_in_the_midst_is_no_traceback() -> None:
    """Also while a chain runs, whose handler is what writes then."""
    with started("demo") as process:
        assert process.stdout
        assert process.stderr
        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)  # too little for the trace: it waits in the midst of it
        process.stdout.read(1)
        wait_until_stuck(process)

        process.stdout.close()
        errors = process.stderr.read()

    assert (errors, process.returncode) == (b"", 1)


@pytest.mark.parametrize("arguments", [("demo",), ("--help",), ("--version",)])
def test_closed_output_is_no_traceback(arguments: tuple[str, ...]) -> None:
    """``chainspan demo >&-`` has nowhere to write, and does its work."""
    done = run(*arguments, command=("sh", "-c", 'exec "$0" "$@" >&-', *COMMAND))

    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


@pytest.mark.parametrize(
    ("arguments", "sentences"),
    [
        (
            ("--help",),
            [
                "Usage: chainspan [OPTIONS] COMMAND [ARGS]...",
                "See what your LLM chains do: every step becomes an OpenTelemetry span.",
                "Show the version.",
                "demo Trace a chain and an agent on this machine: no key, no network.",
            ],
        ),
        (
            ("demo", "--help"),
            [
                "Usage: chainspan demo [OPTIONS]",
                "Prints each step as it happens, then the trace as a tree with times and tokens.",
                "Exits with 1 when the trace was to be sent and did not arrive.",
                "Also send the trace to a collector, and say whether it arrived",
                "to OTEL_EXPORTER_OTLP_ENDPOINT where that is set, else to http://localhost:4318.",
                "Send it there instead. Implies --otlp.",
                "Print without colours, also on a terminal.",
            ],
        ),
    ],
    ids=["command", "demo"],
)
def test_help_says_what_each_option_does(arguments: tuple[str, ...], sentences: list[str]) -> None:
    """Whatever frame typer draws around it."""
    done = run(*arguments, env={"COLUMNS": "200", "PYTHONIOENCODING": "ascii:replace"})

    text = " ".join(done.stdout.replace("|", " ").split())
    assert [sentence for sentence in sentences if sentence not in text] == []
    assert done.returncode == 0


def test_version_is_the_package_s() -> None:
    """``--version`` names the package and its version on one line."""
    done = run("--version")

    assert re.fullmatch(r"chainspan \d+\.\d+\.\S+\n", done.stdout)
    assert done.returncode == 0
