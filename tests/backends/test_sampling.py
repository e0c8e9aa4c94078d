"""What the gateways keep, policy by policy: every trace at a threshold, and few of those just below it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from opentelemetry.sdk.trace import Span, TracerProvider
from opentelemetry.trace import StatusCode, set_span_in_context

from ._apps import Sent, tracing
from ._production import Production, production_of
from ._programs import until

pytestmark = pytest.mark.timeout(180)

TRACES = 25
MOST_BY_CHANCE = 14
"""Of 25 traces kept with a probability of 10 %, more than 14 are once in 10 million runs."""

SECOND = 10**9


@dataclass(frozen=True)
class Case:
    """A trace of a root and a call below it.

    Attributes:
        call: What the call says.
        root: What the root says.
        seconds: How long both take.
        failed: Whether the call failed.
    """

    call: Mapping[str, Any] = field(default_factory=dict)
    root: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 1.0
    failed: bool = False


KEPT = {
    "a failure": Case(failed=True),
    "30 s": Case(seconds=30.5),
    "20,000 tokens in": Case({"gen_ai.usage.input_tokens": 20_000}),
    "4,000 tokens out": Case({"gen_ai.usage.output_tokens": 4_000}),
    "50,000 tokens in all": Case(root={"chainspan.usage.total_tokens": 50_000}),
    "cut off": Case({"gen_ai.response.finish_reasons": ["length"]}),
    "filtered": Case({"gen_ai.response.finish_reasons": ["content_filter"]}),
    "interrupted": Case({"chainspan.run.outcome": "interrupted"}),
    "cancelled": Case({"chainspan.run.outcome": "cancelled"}),
    "abandoned": Case({"chainspan.run.outcome": "abandoned"}),
    "evicted": Case({"chainspan.run.outcome": "evicted"}),
    "asked for": Case({"chainspan.keep": True}),
}
SAMPLED = {
    "nothing": Case(),
    "29 s": Case(seconds=29.5),
    "19,999 tokens in": Case({"gen_ai.usage.input_tokens": 19_999}),
    "3,999 tokens out": Case({"gen_ai.usage.output_tokens": 3_999}),
    "49,999 tokens in all": Case(root={"chainspan.usage.total_tokens": 49_999}),
    "finished": Case({"gen_ai.response.finish_reasons": ["stop"]}),
    "not to be kept": Case({"chainspan.keep": False}),
}


@pytest.fixture(scope="module")
def production(otelcol: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """The agents and the gateways."""
    with production_of(otelcol, tmp_path_factory.mktemp, "a pinch") as stack:
        yield stack


@pytest.fixture(scope="module")
def sent(production: Production) -> dict[str, Sent]:
    """What was sent of each case, through an agent, once the gateways have judged the last of it."""
    cases = {name: _run(production, case) for name, case in {**SAMPLED, **KEPT}.items()}
    _wait_for_judgement(production)
    return cases


@pytest.mark.parametrize("case", KEPT)
def test_what_matters_is_kept_whole(production: Production, sent: dict[str, Sent], case: str) -> None:
    """Every trace that a policy is for comes out of a gateway, with both of its spans."""
    kept = {span.span_id.hex() for span in production.kept}

    assert [key for key in sent[case].spans if key not in kept] == []


@pytest.mark.parametrize("case", SAMPLED)
def test_of_the_rest_few_are_kept_and_those_whole(production: Production, sent: dict[str, Sent], case: str) -> None:
    """Just below a threshold a trace is like any other: about one of ten is kept, and never half of one."""
    homes = [span.trace_id.hex() for span in production.kept]

    parts = {trace: homes.count(trace) for trace in sent[case].traces()}

    assert set(parts.values()) <= {0, 2}
    assert sum(count > 0 for count in parts.values()) <= MOST_BY_CHANCE


def _run(production: Production, case: Case) -> Sent:
    with tracing(production.agents[0].http) as (sent, _):
        for _ in range(TRACES):
            _trace(sent.provider, case)
    assert sent.delivered
    return sent


def _trace(provider: TracerProvider, case: Case) -> None:
    tracer = provider.get_tracer("test")
    end = 1_700_000_000 * SECOND
    start = end - int(case.seconds * SECOND)
    root = tracer.start_span("root", start_time=start, attributes=case.root)
    call = tracer.start_span("call", set_span_in_context(root), start_time=start, attributes=case.call)
    if case.failed:
        call.set_status(StatusCode.ERROR)
    for span in (call, root):
        assert isinstance(span, Span)
        span.end(end)


def _wait_for_judgement(production: Production) -> None:
    """Wait for traces that are surely kept, and were sent last."""
    last = _run(production, Case(failed=True))
    wanted = last.spans.keys()
    until(lambda: {span.span_id.hex() for span in production.kept} >= wanted, 60.0, "the last traces")
