"""A model that hands on what another one answered: its tokens are counted once, where the provider was asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.graph import START, StateGraph
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.signals._received import Counting, metered

from chainspan import OtelHandler, llm

COUNTED = {
    "chainspan.counted.input_tokens": 100,
    "chainspan.counted.output_tokens": 20,
    "chainspan.counted.by": "chainspan",
}
SUMS = {
    "chainspan.usage.model_calls": 1,
    "chainspan.usage.input_tokens": 100,
    "chainspan.usage.output_tokens": 20,
    "chainspan.usage.total_tokens": 120,
    "chainspan.usage.cost": 1.0,
}


@llm
def around(prompt: str) -> Any:
    """Hand on an answer."""
    return Counting().invoke(prompt)


@llm
def around_a_stream(prompt: str) -> Iterator[Any]:
    """Hand on an answer in pieces."""
    yield from Counting().stream(prompt)


@llm
def around_a_stream_that_breaks_off(prompt: str) -> Iterator[Any]:
    """Fail after all of an answer has been handed on."""
    yield from Counting().stream(prompt)
    raise ConnectionError


STREAMS = (around_a_stream, around_a_stream_that_breaks_off)


@llm
def through_a_chain(prompt: str) -> Any:
    """Hand on what a chain ends with."""
    return (RunnableLambda(str) | Counting()).invoke(prompt)


@llm
def through_a_graph(prompt: str) -> Any:
    """Hand on what a graph ends with."""
    graph: Any = StateGraph(dict)
    graph.add_node("ask", lambda _: {"answer": Counting().invoke(prompt)})
    graph.add_edge(START, "ask")
    return graph.compile().invoke({"q": prompt})["answer"]


@llm
def twice_around(prompt: str) -> Any:
    """Hand on what was handed on."""
    return around(prompt)


def _answered(tokens_in: int, tokens_out: int) -> dict[str, Any]:
    """Return what a client answers."""
    return {
        "stop_reason": "end_turn",
        "content": [],
        "usage": {"input_tokens": tokens_in, "output_tokens": tokens_out},
    }


@llm
def another(prompt: str) -> Any:
    """Answer with other counts."""
    return _answered(7, 3)


@llm
def first_of_two(prompt: str) -> Any:
    """Hand on the answer that was not the last."""
    first = Counting().invoke(prompt)
    another(prompt)
    return first


@llm
def two_together(prompt: str) -> Any:
    """Hand on two answers as one."""
    Counting().invoke(prompt)
    another(prompt)
    return _answered(107, 23)


@llm
def around_two_together(prompt: str) -> Any:
    """Hand on what was made of two."""
    return two_together(prompt)


@llm
def with_another(prompt: str) -> Any:
    """Answer with tokens of its own, after another answer."""
    Counting().invoke(prompt)
    return _answered(7, 3)


@tool
def _asking(q: str) -> Any:
    """Ask a model."""
    return Counting().invoke(q)


@llm
def with_a_tool(prompt: str) -> Any:
    """Answer by the way of a tool, behind which a call is another call."""
    return _asking.invoke({"q": prompt})


def told(model: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return what each span says of tokens, the innermost first, and the metrics' counts."""
    memory = InMemorySpanExporter()
    with metered() as meters:
        with OtelHandler(memory, meter_provider=meters.provider, price=lambda _: 1.0) as handler:
            result = model.with_config(callbacks=[handler])
            with suppress(ConnectionError):
                _ = list(result.stream("x")) if model in STREAMS else result.invoke("x")
        counts = meters.counts()
    words = ("gen_ai.usage", "chainspan.counted", "chainspan.usage")
    spans = [dict(span.attributes or {}) for span in memory.get_finished_spans()]
    return [{key: value for key, value in span.items() if key.startswith(words)} for span in spans], counts


@pytest.mark.parametrize("model", [around, *STREAMS, through_a_chain, through_a_graph, twice_around])
def test_counted_once(model: Any) -> None:
    """The innermost has the tokens, those above say what was counted, and sums, costs and metrics have them once."""
    spans, counts = told(model)

    chats = [span for span in spans if span]
    assert chats[0] == {
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cost": 1.0,
    }
    assert chats[1:-1] == [COUNTED] * (len(chats) - 2)
    assert chats[-1] == {**COUNTED, **SUMS}
    assert counts["gen_ai.client.token.usage"] == 2


@pytest.mark.parametrize("model", [first_of_two, two_together, around_two_together])
def test_what_is_made_of_two_answers_is_counted_once(model: Any) -> None:
    """A model that chooses one of several answers, or makes one of them, has no tokens of its own."""
    spans, counts = told(model)

    root = spans[-1]
    assert (root["chainspan.usage.model_calls"], root["chainspan.usage.cost"]) == (2, 2.0)
    assert (root["chainspan.usage.input_tokens"], root["chainspan.usage.output_tokens"]) == (107, 23)
    assert [span["gen_ai.usage.input_tokens"] for span in spans if "gen_ai.usage.input_tokens" in span] == [100, 7]
    assert root["chainspan.counted.by"] == "chainspan"
    assert counts["gen_ai.client.token.usage"] == 4


@pytest.mark.parametrize(("model", "tokens"), [(with_another, (107, 23)), (with_a_tool, (200, 40))])
def test_other_calls_count_too(model: Callable[..., Any], tokens: tuple[int, int]) -> None:
    """Tokens of one's own are one's own."""
    spans, counts = told(model)

    root = spans[-1]
    assert (root["chainspan.usage.input_tokens"], root["chainspan.usage.output_tokens"]) == tokens
    assert "chainspan.counted.by" not in root
    assert counts["gen_ai.client.token.usage"] == 4
