"""What model calls cost, by a function of the user's."""

from __future__ import annotations

import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.language_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import RunnableLambda
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import chainspan
from chainspan import ConfigurationError, ModelCall, OtelHandler, RunKind, Usage
from chainspan._guard import faults

from ._received import Counting


def by_token(call: ModelCall) -> float:
    """Take a hundredth for each token in, and a tenth for each token out."""
    return (call.usage.input_tokens or 0) / 100 + (call.usage.output_tokens or 0) / 10


def _costs(price: Any, run: Callable[[OtelHandler], Any], **options: Any) -> list[tuple[str, Any, Any]]:
    """Return name, cost and sum of costs of each span."""
    exporter = InMemorySpanExporter()
    with OtelHandler(exporter, price=price, **options) as handler:
        run(handler)
    spans = exporter.get_finished_spans()
    attributes = [(span.name, span.attributes or {}) for span in spans]
    return [(name, told.get("chainspan.cost"), told.get("chainspan.usage.cost")) for name, told in attributes]


def _chain(handler: OtelHandler, **fields: Any) -> None:
    model = Counting(**fields)

    def ask_twice(text: str) -> str:
        return model.invoke(text).text + model.invoke(text).text

    RunnableLambda(ask_twice, name="twice").invoke("x", {"callbacks": [handler]})


@pytest.mark.parametrize("profile", ["compat", "latest", "openinference"])
def test_each_call_has_its_cost_and_the_root_their_sum(profile: str) -> None:
    """The cost of a call stands on its span, and the sum on the root alone."""
    assert _costs(by_token, _chain, profile=profile) == [
        ("chat gpt-5", 3.0, None),
        ("chat gpt-5", 3.0, None),
        ("twice", None, 6.0),
    ]


@pytest.mark.parametrize(
    ("profile", "name"), [("compat", "gen_ai.usage.cost"), ("latest", None), ("openinference", "llm.cost.total")]
)
def test_a_cost_stands_where_backends_read_it(profile: str, name: str | None) -> None:
    """Where a profile's readers look for a call's cost they find it, once for each call and not at the root."""
    exporter = InMemorySpanExporter()
    with OtelHandler(exporter, price=by_token, profile=profile) as handler:
        _chain(handler)

    told = [dict(span.attributes or {}) for span in exporter.get_finished_spans()]
    assert [{key: cost for key, cost in said.items() if "cost" in key} for said in told] == [
        *[{"chainspan.cost": 3.0} | ({} if name is None else {name: 3.0})] * 2,
        {"chainspan.usage.cost": 6.0},
    ]


@pytest.mark.parametrize("priced", [True, False])
def test_cached_tokens_have_a_rate_of_their_own(priced: bool) -> None:
    """Given rates, each call and the whole cost what the bill says; without, no span has a cost (pains #47)."""
    details = {"cache_read": 600_000, "cache_creation": 100_000}
    usage: Any = {"input_tokens": 1_000_000, "output_tokens": 10_000, "total_tokens": 1_010_000}
    answers: list[BaseMessage] = [
        AIMessage("a", usage_metadata={**usage, "input_token_details": details}),
        AIMessage("b", usage_metadata=usage),
    ]
    model = FakeMessagesListChatModel(responses=answers)

    def price(call: ModelCall) -> float:
        used = call.usage
        read, written = used.cache_read or 0, used.cache_write or 0
        plain = (used.input_tokens or 0) - read - written
        return (plain * 3.0 + read * 0.3 + written * 3.75 + (used.output_tokens or 0) * 15.0) / 1_000_000

    def run(handler: OtelHandler) -> None:
        ask_twice: RunnableLambda[str, str] = RunnableLambda(
            lambda text: model.invoke(text).text + model.invoke(text).text, name="twice"
        )
        ask_twice.invoke("x", {"callbacks": [handler]})

    costs = _costs(price if priced else None, run)

    first, second, root = (None, None, None) if not priced else (1.605, 3.15, 4.755)
    assert costs == [
        ("chat", pytest.approx(first), None),
        ("chat", pytest.approx(second), None),
        ("twice", None, pytest.approx(root)),
    ]


def test_the_function_is_told_what_prices_depend_on() -> None:
    """A price function gets kind, provider, both models and the usage."""
    calls: list[ModelCall] = []

    _costs(calls.append, lambda handler: Counting().invoke("x", {"callbacks": [handler]}))

    assert calls == [
        ModelCall(
            kind=RunKind.CHAT,
            provider="openai",
            model="gpt-5-1",
            requested_model="gpt-5",
            usage=Usage(input_tokens=100, output_tokens=20),
        )
    ]


def test_a_cache_hit_costs_nothing() -> None:
    """What LangChain's own cache answered was not billed, so nobody is asked for its price."""
    calls: list[ModelCall] = []

    def price(call: ModelCall) -> float:
        calls.append(call)
        return 1.0

    assert _costs(price, lambda handler: _chain(handler, cache=InMemoryCache())) == [
        ("chat gpt-5", 1.0, None),
        ("chat gpt-5", None, None),
        ("twice", None, 1.0),
    ]
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("cost", "recorded"),
    [(None, None), (float("nan"), None), (float("inf"), None), (Decimal("0.5"), 0.5), (2, 2.0), (0, 0.0)],
    ids=["unknown", "nan", "infinite", "decimal", "int", "free"],
)
def test_what_is_no_number_is_not_recorded(cost: Any, recorded: float | None) -> None:
    """A cost that is not known is absent, and one that is 0 is 0."""
    [(_, own, total)] = _costs(lambda _: cost, lambda handler: Counting().invoke("x", {"callbacks": [handler]}))

    assert (own, total) == (recorded, recorded)


@pytest.mark.parametrize(
    "price", [lambda _: 1 / 0, lambda _: "dear", lambda: 1.0], ids=["raises", "text", "wrong-arguments"]
)
def test_a_function_that_fails_hurts_nobody(price: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a price function raises is counted; the call, its span and its tokens are as without it."""
    monkeypatch.delenv("CHAINSPAN_STRICT")
    before = sum(count for site, count in faults().items() if site.startswith("price"))

    costs = _costs(price, _chain)

    assert [(own, total) for _, own, total in costs] == [(None, None)] * 3
    assert sum(count for site, count in faults().items() if site.startswith("price")) == before + 2


def test_a_fault_is_logged_without_its_message(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says where a fault comes from and its class; a message may hold what a user wrote (pains #5)."""
    monkeypatch.delenv("CHAINSPAN_STRICT")
    monkeypatch.setattr("chainspan._guard._faults", {})

    def priced(call: ModelCall) -> float:
        raise LookupError("c4n4ry") from ValueError("c4n4ry too")

    _costs(priced, _chain)

    [said] = [record for record in caplog.records if record.name == "chainspan"]
    assert "c4n4ry" not in logging.Formatter().format(said)
    assert "LookupError" in said.getMessage()
    assert said.getMessage().endswith("in priced")


def test_what_is_no_function_is_refused() -> None:
    """A price that cannot be asked is refused where it is given."""
    with pytest.raises(ConfigurationError, match=r"OtelHandler\(price=\): expected a function of a ModelCall"):
        OtelHandler(price=0.5)  # type: ignore[arg-type]


def test_decorated_functions_have_costs() -> None:
    """A function that calls a model has a price as LangChain's models have."""

    @chainspan.llm(provider="openai", model="gpt-5")
    def ask(text: str) -> dict[str, Any]:
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
        return {"object": "chat.completion", "id": "c1", "model": "gpt-5-1", "choices": [choice], "usage": usage}

    @chainspan.chain
    def helper(text: str) -> Any:
        return ask(text)

    assert _costs(by_token, lambda handler: helper.invoke("x", {"callbacks": [handler]})) == [
        ("chat gpt-5", 3.0, None),
        ("helper", None, 3.0),
    ]
