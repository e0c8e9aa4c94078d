"""Trace an agent: the handler sees the graph, its nodes, each model call and each tool call."""

from __future__ import annotations

from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from opentelemetry.sdk.trace.export import ConsoleSpanExporter
from provider_stub import anthropic_or_stub

from chainspan import OtelHandler


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


one_line_a_span = ConsoleSpanExporter(formatter=lambda span: f"{span.name}\n")

with anthropic_or_stub() as provider, OtelHandler(one_line_a_span) as handler:
    agent = create_agent(ChatAnthropic(model="claude-sonnet-5-5", **provider), [multiply], name="calculator")
    question = HumanMessage("What is 6 times 7?")
    answer = agent.invoke({"messages": [question]}, config={"callbacks": [handler]})
    print(answer["messages"][-1].text)
