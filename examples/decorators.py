"""Trace plain functions: a prompt and a provider's own client, with no LangChain anywhere.

Runs without a key: without one, a stand-in on this machine answers for Anthropic.
"""

from __future__ import annotations

from anthropic import Anthropic
from anthropic.types import Message
from provider_stub import anthropic_or_stub

from chainspan import ConsoleHandler, llm, prompt

MODEL = "claude-haiku-4-5"


@prompt
def ask(number: str) -> str:
    """Write the question."""
    return f"What is 1 + {number}?"


with anthropic_or_stub() as where:
    client = Anthropic(**where)

    @llm(provider="anthropic", model=MODEL)
    def claude(text: str) -> Message:
        """Ask Claude."""
        return client.messages.create(model=MODEL, max_tokens=99, messages=[{"role": "user", "content": text}])

    answer = ask | claude | (lambda message: message.content[0].text)
    print(answer.invoke({"number": "2"}, callbacks=[ConsoleHandler(color=False, content=False)]))
