"""An agent in a plain loop: the model asks for a tool, the tool answers, until the model is done.

Runs without a key: without one, a stand-in on this machine answers for Anthropic.
"""

from __future__ import annotations

from typing import Any

from anthropic import Anthropic
from provider_stub import anthropic_or_stub

from chainspan import ConsoleHandler, agent, llm, tool

NUMBERS = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@agent
def calculator(question: str, client: Anthropic) -> str:
    """Answer a question with the tools at hand."""
    ask = llm(client.messages.create)
    tools: list[Any] = [{"name": "add", "description": add.__doc__, "input_schema": NUMBERS}]
    messages: list[Any] = [{"role": "user", "content": question}]
    while True:
        said = ask(model="claude-haiku-4-5", max_tokens=99, messages=messages, tools=tools)
        calls = [block for block in said.content if block.type == "tool_use"]
        if not calls:
            return "".join(block.text for block in said.content if block.type == "text")
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": str(add(**call.input))} for call in calls]
        messages += [{"role": "assistant", "content": said.content}, {"role": "user", "content": results}]


with anthropic_or_stub() as where:
    console = ConsoleHandler(color=False, content=False)
    print(calculator.with_config(callbacks=[console])("What is 1 + 2?", Anthropic(**where)))
