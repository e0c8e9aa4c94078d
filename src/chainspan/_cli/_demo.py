"""The demo: two small programs with a handler, then what the handler saw."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from rich.console import Console
from rich.text import Text

from .. import ConsoleHandler, OtelHandler
from ._delivery import Shipment
from ._programs import agent_is_installed, run_agent, run_chain
from ._tree import trace_trees

__all__ = ["Demo"]

_logger = logging.getLogger("chainspan")

_SERVICE = "chainspan-demo"

_NEXT = """\
  in your code    chain.invoke(..., config={"callbacks": [OtelHandler()]})
  as text         chain.invoke(..., config={"callbacks": [ConsoleHandler()]})
  in a backend    chainspan demo --otlp
  all options     chainspan demo --help"""


class Demo:
    """One showing of the demo.

    Args:
        send: Whether to send the trace by OTLP as well.
        endpoint: Where to; None for what the environment says.
        plain: Whether to do without colours, whatever the terminal can.
    """

    def __init__(self, *, send: bool, endpoint: str | None, plain: bool) -> None:
        self._shipment = Shipment(endpoint) if send else None
        self._plain = plain
        self._memory = InMemorySpanExporter()
        self._out = _console(plain=plain)
        # The command itself meets an output that takes no more, and ends there: `chainspan demo | head -1`.
        _logger.addFilter(_is_about_more_than_the_output)

    def run(self) -> bool:
        """Run both programs and show their trace; return whether all that was sent arrived."""
        self._run_programs()
        spans = self._memory.get_finished_spans()
        self._title("The trace as a tree")
        for tree in trace_trees(spans):
            self._out.print(tree, soft_wrap=not self._out.is_terminal)
        if not spans:
            self._note("Nothing was recorded: OTEL_SDK_DISABLED or OTEL_TRACES_SAMPLER switches tracing off.")
        arrived = self._report_delivery(spans)
        self._title("Where to look next")
        self._note(_NEXT)
        return arrived

    def _run_programs(self) -> None:
        provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._memory))
        if self._shipment:
            provider.add_span_processor(self._shipment.processor)
        # With content, which is made up here: a backend has nothing to show of a conversation that it was not sent.
        spans = OtelHandler(tracer_provider=provider, content=True)
        handlers = [ConsoleHandler(color=False if self._plain else None), spans]
        self._title("A chain: a prompt, then a model")
        run_chain(handlers)
        if agent_is_installed():
            self._title("An agent: it finds a price with a retriever, and multiplies with a tool")
            run_agent(handlers)
        else:
            self._note("\nThe agent is left out: it needs pip install 'chainspan[demo]'.")

    def _report_delivery(self, spans: Sequence[ReadableSpan]) -> bool:
        if not self._shipment:
            return True
        delivery, url = self._shipment.settle(), self._shipment.url
        if delivery and spans:
            self._title(f"All {delivery.delivered} spans arrived at {url}")
            for trace_id in dict.fromkeys(f"{span.context.trace_id:032x}" for span in spans if span.context):
                self._note(f"  trace {trace_id}")
            return True
        said = f"{delivery.delivered} of {len(spans)} spans arrived at {url} ({self._shipment.problem})."
        said += " Is a collector running at that address?" if spans and not delivery.delivered else ""
        _console(plain=self._plain, stderr=True).print(Text(said, "bold red"), soft_wrap=True)
        return False

    def _title(self, text: str) -> None:
        self._note(f"\n{text}", style="bold")

    def _note(self, text: str, style: str = "") -> None:
        self._out.print(Text(text, style=style), soft_wrap=True)
        self._out.file.flush()  # the console handler writes to the same place


def _is_about_more_than_the_output(record: logging.LogRecord) -> bool:
    return "The console cannot write to standard output" not in record.getMessage()


def _resource() -> Resource:
    """Return what the environment says of this service, with a name where it says none."""
    said = Resource.create()
    unnamed = str(said.attributes[SERVICE_NAME]).startswith("unknown_service")
    return said.merge(Resource({SERVICE_NAME: _SERVICE})) if unnamed else said


def _console(*, plain: bool, stderr: bool = False) -> Console:
    """Return a console that writes no escape codes where no colours are wanted."""
    file = sys.stderr if stderr else sys.stdout
    if plain or os.environ.get("NO_COLOR"):
        return Console(file=file, color_system=None, highlight=False)
    return Console(file=file, highlight=False)
