"""What LangChain reports at the start of a run, whatever kind it is of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from chainspan._model import RunKind, RunStart

from . import _kinds
from ._ends import uuid_of
from ._identity import NOBODY, identity
from ._sink import RunSink

__all__ = ["begun", "told"]

_RUN_TYPES = {
    RunKind.CHAIN: "chain",
    RunKind.CHAT: "llm",
    RunKind.LLM: "llm",
    RunKind.TOOL: "tool",
    RunKind.RETRIEVER: "retriever",
}


def told(kwargs: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Return the tags, the metadata and the name among the arguments of a start callback."""
    return kwargs.get("tags"), kwargs.get("metadata"), kwargs.get("name")


def begun(  # noqa: PLR0913, PLR0917 - what LangChain reports of each run
    sink: RunSink,
    kind: RunKind,
    serialized: Any,
    inputs: Any,
    run_id: Any,
    parent_run_id: Any,
    tags: Any,
    metadata: Any,
    name: Any,
) -> RunStart:
    """Return what is reported of any run that starts."""
    run_type = _RUN_TYPES[kind]
    name, named = _kinds.run_name(serialized, name, run_type)
    if not metadata and type(metadata) is not dict:  # an empty one stays the same object, by which runs are told
        metadata = {}
    start = RunStart(  # made for each run, and in half the time without names
        run_id if type(run_id) is UUID else uuid_of(run_id),
        parent_run_id if parent_run_id is None or type(parent_run_id) is UUID else uuid_of(parent_run_id),
        kind,
        run_type,
        name,
        named,
        inputs,
        tags or (),
        metadata,
    )
    known = identity(metadata, tags)
    if known is not NOBODY:
        start.conversation_id, start.user_id, start.agent_name, start.attempt = known
        if start.agent_name is not None:
            start.agent_name = _kinds.agent_of(start, sink.peek)
    return start
