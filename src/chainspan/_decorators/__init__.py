"""Plain functions as steps of a trace, which speak LangChain's callback protocol."""

from __future__ import annotations

from ._compose import Parallel, Sequence
from ._decorate import agent, chain, llm, prompt, retriever, tool
from ._traced import Traced

__all__ = ["Parallel", "Sequence", "Traced", "agent", "chain", "llm", "prompt", "retriever", "tool"]
