"""What kind of run LangChain reports, told from where it stands and what it carries."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import FrameType
from uuid import UUID

from chainspan._encode import attempt, label
from chainspan._model import RunKind, RunStart
from chainspan._stack import reporting, self_of, starter

from ._read import mapping

__all__ = ["AGENT_NAMES", "agent_of", "chain_kind", "is_own_name", "run_name"]

Peek = Callable[[UUID], RunStart | None]

_BY_RUN_TYPE = {"prompt": RunKind.PROMPT, "parser": RunKind.PARSER, "tool": RunKind.TOOL}
_CHAIN = RunKind.CHAIN  # a member is found far more slowly by its class
_AGENTS = frozenset({"langchain_create_agent", "deepagents"})
AGENT_NAMES = ("lc_agent_name", "agent_name")
_STEP_TAG = "graph:step:"
_LONGEST_KEPT = 100  # letters of a name that is remembered
_PLACE = "langgraph_checkpoint_ns"
_ENGINE = "langgraph.pregel"


def chain_kind(run_type: str | None, run: RunStart, peek: Peek) -> RunKind:
    """Return the kind of a run that was reported as a chain.

    Args:
        run_type: LangChain's own word, where it has one.
        run: What was reported; LangGraph and create_agent leave their marks in tags and metadata.
        peek: Tells what was reported of another run that is open.
    """
    if run_type in _BY_RUN_TYPE:
        return _BY_RUN_TYPE[run_type]
    metadata = run.metadata
    if metadata.get("chainspan_kind") == "agent":  # a decorated function
        return RunKind.AGENT
    if "ls_integration" not in metadata and "langgraph_step" not in metadata:
        return _CHAIN
    if (engine := _engine()) is not None:
        return _as_graph(run, self_of(engine))
    is_node = any(type(tag) is str and tag.startswith(_STEP_TAG) for tag in run.tags) or _is_task(run, peek)
    return RunKind.NODE if is_node else _CHAIN


def _is_task(run: RunStart, peek: Peek) -> bool:
    """Return whether a run is a task of LangGraph's functional API: a node that another one starts, without the tag.

    What is called in a task has its name from elsewhere, or the task's own place in the graph.
    """
    metadata = run.metadata
    if run.parent_id is None or run.name != metadata.get("langgraph_node"):
        return False
    parent = peek(run.parent_id)
    return parent is not None and parent.metadata.get(_PLACE) != metadata.get(_PLACE)


def run_name(serialized: object, name: object, default: str) -> tuple[str, bool]:
    """Return a run's name, and whether it was given for this run rather than taken from a class."""
    if type(name) is str:
        return _given(name) if len(name) <= _LONGEST_KEPT else (label(name), bool(name))
    try:
        return _class_name(serialized, name) or default, False
    except Exception:  # noqa: BLE001 - of a mapping that is none
        return default, False


@lru_cache(maxsize=1_024)
def _given(name: str) -> tuple[str, bool]:
    return label(name), bool(name)


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
    """Return whether a retriever's run, or a decision's, has its object's name; LangChain passes both in one place.

    One that reports its run itself, as an ensemble does, names itself nowhere else.
    """
    said = run.metadata.get("ls_retriever_name")
    if said is None:
        frame = reporting()
        return frame is not None and type(self_of(frame)).__name__ == run.name
    return type(said) is str and said in (
        run.name.removeprefix("Retriever").lower(),
        run.name.removesuffix("Retriever").lower(),
    )


def _engine() -> FrameType | None:
    """Return the frame that starts the run, if that is LangGraph's engine: the run is a graph then.

    A subgraph, a function on a conditional edge and any runnable inside a node carry the
    same metadata; only the code that starts them differs.
    """
    frame = starter(sys._getframe(1))  # noqa: SLF001 - the only way to see the stack
    if frame is None:
        return None
    module: str = frame.f_globals.get("__name__", "")
    return frame if module.startswith(_ENGINE) and frame.f_code.co_name in ("stream", "astream") else None


def _as_graph(run: RunStart, graph: object) -> RunKind:
    """Return the kind of a graph's run, and set which agent it belongs to.

    An agent says so in the config that it was made with. In what the call inherits, all
    graphs below an agent say so too, and bear its name.
    """
    config = attempt(lambda: mapping(graph.config), None)  # type: ignore[attr-defined]  # of LangGraph's engine
    own = run.metadata if config is None else mapping(config.get("metadata"))
    if own.get("ls_integration") not in _AGENTS:
        return RunKind.WORKFLOW
    name = own.get("lc_agent_name")
    run.agent_name = label(name) if isinstance(name, str) and name else None
    return RunKind.AGENT


def agent_of(run: RunStart, peek: Peek) -> str | None:
    """Return the agent that a run belongs to: its parent's, unless its own metadata has another name than that one."""
    parent = None if run.parent_id is None else peek(run.parent_id)
    if parent is None or any(run.metadata.get(key) != parent.metadata.get(key) for key in AGENT_NAMES):
        return run.agent_name
    return parent.agent_name
