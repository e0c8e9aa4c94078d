"""What is different on Python 3.10, in one place, with the reason.

Before 3.11 asyncio cannot give a task a context (``create_task(context=...)``), so LangChain and
LangGraph do not tell an asynchronous body which run it is in. Spans opened in the body are right all
the same, and so is every run that the body passes its config to. A call without a config is unknown to
LangChain there: it has no run, hence no span. From 3.11 on nothing of this applies.
"""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["IS_310", "LOST", "MISPLACED", "UNSUPPORTED", "handed_on"]

IS_310 = sys.version_info < (3, 11)

LOST = {
    # Which runs LangChain loses: an agent's own nodes call their model without a config.
    "test_agent[ainvoke]": ["llm:m1"],
    "test_agent[astream]": ["llm:m1"],
    "test_agent_whose_tool_is_an_agent[ainvoke]": ["llm:m1"],  # and see MISPLACED
    "test_agent_whose_tool_is_an_agent[astream]": ["llm:m1"],
    "test_agent_with_middleware[ainvoke]": ["llm:m1"],
    "test_parallel_tool_calls[ainvoke-both-forms]": ["llm:m1"],
    "test_parallel_tool_calls[ainvoke-sync-only]": ["llm:m1"],
    # And a sync node of an async graph, which LangGraph moves to a thread.
    "test_sync_nodes_in_an_async_run[ainvoke]": ["llm:m1"],
    "test_sync_nodes_in_an_async_run[astream]": ["llm:m1"],
}

MISPLACED = {
    # Where LangChain names another parent, so that the tree (W) is not the one written in the test:
    # the inner agent's model is reported below the tool around that agent, whose config is the last one known.
    "test_agent_whose_tool_is_an_agent[ainvoke]",
    "test_agent_whose_tool_is_an_agent[astream]",
}

UNSUPPORTED = {
    # What LangGraph cannot do there, with or without us.
    "test_interrupt_and_resume[ainvoke]": "LangGraph: interrupt() in an async node needs Python 3.11",
    "test_interrupt_and_resume[astream]": "LangGraph: interrupt() in an async node needs Python 3.11",
    "test_interrupt_in_a_tool[ainvoke]": "LangGraph: interrupt() in an async node needs Python 3.11",
    "test_interrupt_in_a_tool[astream]": "LangGraph: interrupt() in an async node needs Python 3.11",
    "test_resumed_in_the_trace_of_the_interrupt[ainvoke]": "LangGraph: interrupt() in an async node needs Python 3.11",
    "test_resumed_in_the_trace_of_the_interrupt[astream]": "LangGraph: interrupt() in an async node needs Python 3.11",
    "test_interrupt_in_a_subgraph[ainvoke]": "LangGraph: interrupt() in an async node needs Python 3.11",
    "test_interrupt_in_a_subgraph[astream]": "LangGraph: interrupt() in an async node needs Python 3.11",
    "test_functional_api[ainvoke]": "LangGraph: async tasks of the functional API need Python 3.11",
    "test_functional_api[astream]": "LangGraph: async tasks of the functional API need Python 3.11",
    "test_a_call_that_nobody_hears_of_in_a_thread[astream_events-node]": "LangGraph: from Python 3.11 on",
    # Nor are the calls known of what an async body leaves running, once that body is over.
    **{
        f"test_work_that_outlives_its_body[{case}]": "LangChain: an async body is told its run from Python 3.11 on"
        for case in ("step-task", "node-task", "node-thread", "tool-task")
    },
}


def handed_on(config: Any) -> Any:
    """Return what an async body of a graph has to hand on: its config before Python 3.11, else nothing."""
    return config if IS_310 else None
