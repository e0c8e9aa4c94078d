"""What a run, a token and a history cost."""

from __future__ import annotations

from benchmarks import contenders as who
from benchmarks import workloads as what
from benchmarks.harness import Row, repeated

__all__ = ["ROWS"]

_FIRST = (who.BARE, who.THE_FLOOR, who.OFF, who.ON)
_SHORT = {"content off": 1.5, "content on": 2.0}
_TOKEN = {"content off": 1.2, "content on": 1.2}
_LONG = {"content off": 1.5, "content on": 4.0}

_STEPS, _LONG_STEPS = 10, 25
_RESULT_BYTES = 4_096  # times the long agent's steps: 100 KB

ROWS = [
    Row(
        name="prompt, model, parser: invoke",
        work=repeated(what.invoke_chain),
        units=what.CHAIN_RUNS,
        contenders=[*_FIRST, who.SAYING, who.REDACT, who.APART, who.EACH, who.CONSOLE],
        targets=_SHORT,
        share=2.0,
    ),
    Row(
        name="the same, ainvoke",
        work=what.asynchronously,
        units=what.CHAIN_RUNS,
        contenders=[*_FIRST, who.SAYING, who.APART],
        targets=_SHORT,
        share=1.5,
    ),
    Row(
        name="the same, not sampled",
        work=repeated(what.invoke_chain),
        units=what.CHAIN_RUNS,
        contenders=[who.BARE, who.UNSAMPLED_FLOOR, who.UNSAMPLED],
    ),
    Row(
        name="the same, spooled to disk",
        work=repeated(what.invoke_chain),
        units=what.CHAIN_RUNS,
        contenders=[who.BARE, who.THE_FLOOR, who.SPOOL],
        share=0.5,
        is_countable=False,
    ),
    Row(
        name="the same, in 8 threads",
        work=what.threads,
        is_countable=False,
        units=8 * what.CHAIN_RUNS,
        contenders=_FIRST,
    ),
    Row(
        name="the same, in 200 tasks at once",
        work=what.tasks(200),
        units=200 * what.CHAIN_RUNS,
        contenders=_FIRST,
    ),
    Row(
        name="a decorated function",
        work=repeated(what.call_decorated),
        contenders=_FIRST,
        share=0.5,
    ),
    Row(
        name="a stream of 1,000 tokens",
        work=repeated(what.stream_tokens(1_000)),
        unit="token",
        units=1_000,
        contenders=_FIRST,
        targets=_TOKEN,
    ),
    Row(
        name="100 KB of history, sent again",
        work=repeated(what.send_history),
        contenders=[*_FIRST, who.REDACT],
        targets=_LONG,
    ),
    Row(
        name="100 KB of history, never seen",
        work=what.send_new_history,
        contenders=_FIRST,
    ),
    Row(
        name="an agent of 10 tool steps",
        work=repeated(what.invoke_agent(_STEPS)),
        units=4 * _STEPS + 3,
        is_countable=False,
        contenders=_FIRST,
        share=1.5,
    ),
    Row(
        name="an agent that builds 100 KB up",
        work=repeated(what.invoke_agent(_LONG_STEPS, _RESULT_BYTES)),
        units=4 * _LONG_STEPS + 3,
        is_countable=False,
        contenders=_FIRST,
        share=2.0,
    ),
]
