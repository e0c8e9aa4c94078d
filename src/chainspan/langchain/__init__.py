"""LangChain and LangGraph: the only part of chainspan that knows them.

Works with langchain-core alone, and can be imported without it.
"""

from __future__ import annotations

from ._base import graph_base
from ._callbacks import CallbackAdapter
from ._witness import current_run_id, run_id_of

__all__ = ["CallbackAdapter", "current_run_id", "graph_base", "run_id_of"]
