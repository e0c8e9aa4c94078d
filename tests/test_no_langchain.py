"""Without LangChain: the package is as good as it can be, and says what is missing where it is.

Each test runs in a process in which LangChain cannot be imported; the session ``bare`` of the
noxfile runs them where it is not installed either.
"""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

ABSENT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"langchain", "langchain_core", "langgraph", "langsmith"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""


def printed_by(code: str) -> str:
    """Run code where LangChain is absent, and return what it printed."""
    command = [sys.executable, "-W", "error", "-c", ABSENT + dedent(code)]
    run = subprocess.run(command, check=False, capture_output=True, text=True)
    if run.stderr:
        pytest.fail(run.stderr, pytrace=False)
    return run.stdout


def test_every_public_name_can_be_imported() -> None:
    """No public name needs LangChain to be there."""
    printed = printed_by("from chainspan import *; import chainspan.exporters, chainspan.langchain")

    assert printed == ""


def test_what_needs_langchain_says_what_to_install() -> None:
    """Messages of LangChain's cannot be made without it, and the error names the extra."""
    printed = printed_by("""
        from chainspan import current_span, messages_from_span

        try:
            messages_from_span(current_span())
        except ImportError as error:
            print(error)
    """)

    assert printed == "messages_from_span() makes messages of LangChain's: install chainspan[langchain]\n"


def test_console_handler_prints_what_it_is_told() -> None:
    """A handler may be fed by anybody who calls its callbacks."""
    printed = printed_by("""
        from uuid import UUID
        from chainspan import ConsoleHandler

        handler = ConsoleHandler(color=False)
        handler.on_chain_start({}, {"number": "2"}, run_id=UUID(int=1), name="Adder")
        handler.on_chain_error(ValueError("too many"), run_id=UUID(int=1))
        handler.flush()
    """)

    start, _, error = printed.partition("[chain/error]")
    assert start == '[chain/start] [1:chain:Adder] Entering Chain run with input: {\n  "number": "2"\n}\n'
    assert error.startswith(" [1:chain:Adder] [")
    assert "too many" in error


def test_otel_handler_makes_spans_of_what_it_is_told() -> None:
    """Spans need OpenTelemetry alone."""
    printed = printed_by("""
        from uuid import UUID
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        from chainspan import OtelHandler

        exporter = InMemorySpanExporter()
        with OtelHandler(exporter) as handler:
            handler.on_chain_start({}, {}, run_id=UUID(int=1), name="Outer")
            handler.on_chain_start({}, {}, run_id=UUID(int=2), parent_run_id=UUID(int=1), name="Inner")
            handler.on_chain_end({}, run_id=UUID(int=2))
            handler.on_chain_end({}, run_id=UUID(int=1))
        inner, outer = exporter.get_finished_spans()
        print(inner.name, outer.name, inner.parent == outer.context)
    """)

    assert printed == "Inner Outer True\n"
