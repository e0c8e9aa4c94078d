"""The call of a decision model is a model's, though LangChain reports it as a chain's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableLambda
from tests._traces import Traces, traces

from chainspan import OtelHandler

decisions = pytest.importorskip("langchain_core.decisions", reason="this langchain-core has no decision models")

__all__ = ["traces"]

TREE = """\
route
  chat decider-1
    POST api.example"""
USAGE = {"input_tokens": 11, "output_tokens": 2, "total_tokens": 13}
QUESTIONS = {"urgent": decisions.Noul(instructions="Is it urgent?")}


def decider(asks: Callable[[], Any]) -> Any:
    """Return a decision model that makes a request before it answers."""

    class Decider(decisions.BaseDecisionModel):  # type: ignore[misc,name-defined]  # of a module that may be missing
        model: str = "decider-1"

        @property
        def _provider(self) -> str:
            return "acme"

        def _classify(self, state: Any, questions: Any) -> Any:
            asks()
            answers = {name: {"type": "noul", "noul": 0.9} for name in questions}
            told = {"model": "decider-1-2026", "request_id": "r-1", "answers": answers, "usage": USAGE}
            return decisions.ClassifierResponse.model_validate(told)

    return Decider()


def asking(traces: Traces) -> Callable[[], None]:
    """Return what an instrumented client does."""
    return lambda: traces.tracer.start_span("POST api.example").end()


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_decision_is_a_models_call(traces: Traces, *, is_async: bool) -> None:
    """It says who was asked and who answered, its tokens are in the root's sums, and requests are below it."""
    model = decider(asking(traces))
    config: Any = {"callbacks": [OtelHandler(tracer_provider=traces.provider)], "run_name": "route"}
    given = {"state": "Help!", "questions": QUESTIONS}
    if is_async:
        await (RunnableLambda(dict) | model).ainvoke(given, config)
    else:
        (RunnableLambda(dict) | model).invoke(given, config)

    assert traces.tree == TREE.replace("  chat", "  dict\n  chat", 1)
    said, root = (dict(traces.span(name).attributes or {}) for name in ("chat decider-1", "route"))
    assert {key: value for key, value in said.items() if key.startswith("gen_ai.")} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "acme",
        "gen_ai.request.model": "decider-1",
        "gen_ai.response.id": "r-1",
        "gen_ai.response.model": "decider-1-2026",
        "gen_ai.usage.input_tokens": 11,
        "gen_ai.usage.output_tokens": 2,
    }
    assert (root["chainspan.usage.model_calls"], root["chainspan.usage.total_tokens"]) == (1, 13)


@pytest.mark.parametrize(
    ("state", "parts"),
    [
        ("Help!", [{"type": "text", "content": "Help!"}]),
        ([HumanMessage("Help!")], [{"type": "text", "content": "Help!"}]),
        ({"call": [1]}, [{"type": "state", "content": {"call": [1]}}]),
        ([{"call": 1}], [{"type": "state", "content": [{"call": 1}]}]),
    ],
    ids=["text", "messages", "mapping", "list"],
)
def test_what_is_asked_and_answered(traces: Traces, state: Any, parts: Any) -> None:
    """Where content is on, the state is a message, the questions are another, and so are the answers."""
    handler = OtelHandler(tracer_provider=traces.provider, content=True)

    decider(asking(traces)).invoke({"state": state, "questions": QUESTIONS}, {"callbacks": [handler]})

    said = traces.span("chat decider-1").attributes or {}
    question = {"id": "urgent", "type": "noul", "instructions": "Is it urgent?", "criteria": None}
    assert json.loads(str(said["gen_ai.input.messages"])) == [
        {"role": "user", "parts": parts},
        {"role": "user", "parts": [question]},
    ]
    [answer] = json.loads(str(said["gen_ai.output.messages"]))
    assert answer["parts"] == [{"id": "urgent", "type": "noul", "noul": 0.9}]


def test_a_decision_that_fails(traces: Traces) -> None:
    """It fails as any model's call does, by the name that the user gave it."""

    def refuse() -> None:
        raise ConnectionError

    config: Any = {"callbacks": [OtelHandler(tracer_provider=traces.provider)], "run_name": "gate"}
    with pytest.raises(ConnectionError):
        decider(refuse).invoke({"state": "Help!", "questions": QUESTIONS}, config)

    said = traces.span("gate").attributes or {}
    assert (said["error.type"], said["gen_ai.request.model"]) == ("ConnectionError", "decider-1")
