"""Trace a chain: pass a handler when you invoke it.

Set ANTHROPIC_API_KEY to ask the real model; without it, a local stand-in answers.
"""

from __future__ import annotations

from langchain_anthropic import ChatAnthropic
from langchain_core.prompts import ChatPromptTemplate
from provider_stub import anthropic_or_stub

from chainspan import ConsoleHandler

prompt = ChatPromptTemplate.from_template("What is 1 + {number}?")

with anthropic_or_stub() as provider:
    chain = prompt | ChatAnthropic(model="claude-sonnet-5-5", **provider)
    chain.invoke({"number": "2"}, config={"callbacks": [ConsoleHandler()]})
