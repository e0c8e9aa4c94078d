"""A runnable that LangChain reports as a chain, and calls a tool, is described as a tool."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig, RunnableLambda, RunnableSerializable
from tests._traces import Traces, traces
from typing_extensions import override

from chainspan import OtelHandler

__all__ = ["traces"]

TREE = """\
ask
  {name}
    POST api.example"""


class Decider(RunnableSerializable[dict[str, str], str]):
    """A client of an application's own, or of a library, that reports its calls."""

    asks: Any

    def _decided(self, given: dict[str, str]) -> str:
        self.asks()
        return given["question"].upper()

    @override
    def invoke(self, input: dict[str, str], config: RunnableConfig | None = None, **kwargs: Any) -> str:
        return self._call_with_config(self._decided, input, config, run_type="tool")


@pytest.mark.parametrize(
    ("config", "name"), [({}, "execute_tool Decider"), ({"run_name": "decide"}, "decide")], ids=["class", "user"]
)
def test_a_tool_is_described(traces: Traces, config: RunnableConfig, name: str) -> None:
    """Its span has a tool's name, and what it was called with beside what came of it."""
    handler = OtelHandler(tracer_provider=traces.provider, content=True)
    decider = Decider(asks=lambda: traces.tracer.start_span("POST api.example").end())

    def ask(given: dict[str, str]) -> str:
        return decider.invoke(given, config)

    RunnableLambda(ask).invoke({"question": "why"}, {"callbacks": [handler]})

    assert traces.tree == TREE.format(name=name)
    said = dict(traces.span(name).attributes or {})
    told = {key: value for key, value in said.items() if key.startswith("gen_ai.tool.") and "description" not in key}
    assert told == {
        "gen_ai.tool.name": name.removeprefix("execute_tool "),
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.arguments": '{"question":"why"}',
        "gen_ai.tool.call.result": "WHY",
    }
