"""Retrievers that report their runs themselves, as ensembles do, are named as all others are."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackManager, CallbackManager, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig
from tests._traces import Traces, traces
from typing_extensions import override

from chainspan import OtelHandler

__all__ = ["traces"]


class Library(BaseRetriever):
    """A retriever that LangChain reports."""

    @override
    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        return [Document(page_content=query)]


class Libraries(Library):
    """A retriever that asks others, and reports its run itself."""

    retrievers: list[BaseRetriever]

    @override
    def invoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:
        given = config or {}
        name = given.get("run_name") or self.get_name()
        run = CallbackManager.configure(given.get("callbacks")).on_retriever_start(None, input, name=name)
        found = [
            document for each in self.retrievers for document in each.invoke(input, {"callbacks": run.get_child()})
        ]
        run.on_retriever_end(found)
        return found

    @override
    async def ainvoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:
        given = config or {}
        name = given.get("run_name") or self.get_name()
        manager = AsyncCallbackManager.configure(given.get("callbacks"))
        run = await manager.on_retriever_start(None, input, name=name)
        found = [
            document
            for each in self.retrievers
            for document in await each.ainvoke(input, {"callbacks": run.get_child()})
        ]
        await run.on_retriever_end(found)
        return found


@pytest.mark.parametrize(
    ("named", "name"), [({}, "retrieval Libraries"), ({"run_name": "look it up"}, "look it up")], ids=["class", "user"]
)
async def test_a_retriever_that_names_itself(named: RunnableConfig, name: str, traces: Traces) -> None:
    """The name of its class is no name that a user gave, unless a user gave one."""
    libraries = Libraries(retrievers=[Library()])
    config: RunnableConfig = {**named, "callbacks": [OtelHandler(tracer_provider=traces.provider)]}

    libraries.invoke("What is 1 + 2?", config)
    await libraries.ainvoke("What is 1 + 2?", config)

    one = f"{name}\n  retrieval Library"
    assert traces.tree == f"{one}\n{one}"
