"""What kind of run LangChain reports, told from where it stands and what it carries."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from chainspan._encode import label
from chainspan._model import RunKind, RunStart
from chainspan._stack import starter

__all__ = ["chain_kind", "is_own_name", "run_name"]

_BY_RUN_TYPE = {"prompt": RunKind.PROMPT, "parser": RunKind.PARSER, "tool": RunKind.TOOL}
_CHAIN = RunKind.CHAIN  # a member is found far more slowly by its class
_AGENT = "langchain_create_agent"
_STEP_TAG = "graph:step:"
_ENGINE = "langgraph.pregel"


def chain_kind(run_type: str | None, run: RunStart, peek: Callable[[UUID], RunStart | None]) -> RunKind:
    """Return the kind of a run that was reported as a chain.

    Args:
        run_type: LangChain's own word, where it has one.
        run: What was reported; LangGraph and create_agent leave their marks in tags and metadata.
        peek: Returns what was reported of a run that is open.
    """
    if run_type in _BY_RUN_TYPE:
        return _BY_RUN_TYPE[run_type]
    metadata = run.metadata
    if metadata.get("chainspan_kind") == "agent":  # a decorated function
        return RunKind.AGENT
    if "ls_integration" not in metadata and "langgraph_step" not in metadata:
        return _CHAIN
    if _is_started_by_engine():
        return _graph_kind(metadata, None if run.parent_id is None else peek(run.parent_id))
    return RunKind.NODE if any(type(tag) is str and tag.startswith(_STEP_TAG) for tag in run.tags) else _CHAIN


def run_name(serialized: object, name: object, default: str) -> tuple[str, bool]:
    """Return a run's name, and whether it was given for this run rather than taken from a class."""
    if type(name) is str:
        return label(name), bool(name)
    try:
        return _class_name(serialized, name) or default, False
    except Exception:  # noqa: BLE001 - of a mapping that is none
        return default, False


def _class_name(serialized: object, name: object) -> str | None:
    if isinstance(name, str):
        return label(name)
    if type(serialized) is dict or isinstance(serialized, Mapping):
        path = serialized.get("id")
        last = path[-1] if path and (type(path) is list or isinstance(path, Sequence)) else None
        for candidate in (serialized.get("name"), last):
            if isinstance(candidate, str) and candidate:
                return label(candidate)
    return None


def is_own_name(run: RunStart) -> bool:
    """Return whether a retriever's run is called as the retriever is; LangChain passes both in one place."""
    said = run.metadata.get("ls_retriever_name")
    return type(said) is str and said in (
        run.name.removeprefix("Retriever").lower(),
        run.name.removesuffix("Retriever").lower(),
    )


def _is_started_by_engine() -> bool:
    """Return whether the run is a graph: started by LangGraph's engine itself.

    A subgraph, a function on a conditional edge and any runnable inside a node carry the
    same metadata; only the code that starts them differs.
    """
    frame = starter(sys._getframe(1))  # noqa: SLF001 - the only way to see the stack
    if frame is None:
        return False
    module: str = frame.f_globals.get("__name__", "")
    return module.startswith(_ENGINE) and frame.f_code.co_name in ("stream", "astream")


def _graph_kind(metadata: Mapping[str, Any], parent: RunStart | None) -> RunKind:
    if metadata.get("ls_integration") != _AGENT:
        return RunKind.WORKFLOW
    above: Mapping[str, Any] = parent.metadata if parent is not None else {}
    same = ("ls_integration", "lc_agent_name")
    is_inside = all(metadata.get(key) == above.get(key) for key in same)
    return RunKind.WORKFLOW if is_inside else RunKind.AGENT
