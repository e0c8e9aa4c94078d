"""Two other libraries' handlers, doing the same work in the same rounds.

Each is the handler that its library's instrumentation would put into every callback manager,
here passed as chainspan's is, with spans that go nowhere. Needs an environment that has the
libraries, and is no part of the tests: ``nox -s peers``.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from benchmarks import contenders as who
from benchmarks import workloads as what
from benchmarks.harness import Contender, Row, Work, repeated
from openinference.instrumentation import OITracer, TraceConfig
from openinference.instrumentation.langchain._tracer import OpenInferenceTracer
from opentelemetry.instrumentation.langchain import LangchainInstrumentor
from opentelemetry.instrumentation.langchain.callback_handler import TraceloopCallbackHandler
from opentelemetry.sdk.metrics import MeterProvider

__all__ = ["ROWS"]

# OpenInference's attributes of a long history are more than a span may have, which the SDK says each time.
logging.getLogger("opentelemetry.attributes").setLevel(logging.ERROR)

_SPANS, _METER = who.provider(), MeterProvider(shutdown_on_exit=False).get_meter("peers")


def _openinference(name: str, **hidden: bool) -> Contender:
    tracer = OITracer(_SPANS.get_tracer("openinference"), config=TraceConfig(**hidden))
    handler = OpenInferenceTracer(tracer, False)
    return Contender(name=name, handlers=lambda: [handler])


def _openllmetry(name: str, *, content: bool) -> Contender:
    LangchainInstrumentor()  # which sets what the handler reads of its configuration
    durations, tokens = _METER.create_histogram("duration"), _METER.create_histogram("tokens")
    handler = TraceloopCallbackHandler(_SPANS.get_tracer("openllmetry"), durations, tokens)

    def handlers() -> list[Any]:
        os.environ["TRACELOOP_TRACE_CONTENT"] = str(content).lower()  # read in each callback
        return [handler]

    return Contender(name=name, handlers=handlers)


_ALL = [
    who.BARE,
    who.THE_FLOOR,
    who.OFF,
    who.ON,
    _openllmetry("OpenLLMetry, content off", content=False),
    _openllmetry("OpenLLMetry, content on", content=True),
    _openinference("OpenInference, content off", hide_inputs=True, hide_outputs=True),
    _openinference("OpenInference, content on"),
]


def _row(name: str, work: Work, unit: str, units: int) -> Row:
    return Row(name=name, work=work, contenders=_ALL, unit=unit, units=units, share=2.0)


ROWS = [
    _row("prompt, model, parser: invoke", repeated(what.invoke_chain), "run", what.CHAIN_RUNS),
    _row("the same, ainvoke", what.asynchronously, "run", what.CHAIN_RUNS),
    _row("a stream of 1,000 tokens", repeated(what.stream_tokens(1_000)), "token", 1_000),
    _row("100 KB of history, sent again", repeated(what.send_history), "run", 1),
]
