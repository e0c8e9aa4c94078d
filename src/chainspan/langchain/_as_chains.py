"""Runs that LangChain reports as chains', and calls something else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from chainspan._model import RunStart

from . import _decisions, _kinds, _payloads

__all__ = ["AS_CHAINS"]


def _describe_tool(start: RunStart) -> None:
    """Say of a tool's run what it is called with."""
    start.named = start.named and not _kinds.is_own_name(start)
    start.tool = _payloads.tool_request({"name": start.name}, start.inputs, {"inputs": start.inputs})


AS_CHAINS: Final[Mapping[object, Callable[[RunStart], None]]] = {"llm": _decisions.describe, "tool": _describe_tool}
"""What describes such runs, by LangChain's own word for what they are."""
