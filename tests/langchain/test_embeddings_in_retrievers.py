"""Embeddings in a retriever stand below it, although LangChain does not tell them of its run."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Iterable
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langchain_core.vectorstores import VectorStore
from opentelemetry.trace import get_current_span
from tests._traces import Traces
from typing_extensions import override

from chainspan import OtelHandler, traced_embeddings
from chainspan.langchain._retrieving import _entered


class OwnEmbeddings(Embeddings):
    """Embeddings that open a span of their own, as an HTTP client does."""

    def __init__(self, traces: Traces) -> None:
        self.model = "te-3"
        self.traces = traces

    @override
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        with self.traces.tracer.start_as_current_span("POST"):
            return [[float(len(text)), 1.0] for text in texts]

    @override
    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


class ListStore(VectorStore):
    """A vector store that keeps a list."""

    def __init__(self, embeddings: Embeddings) -> None:
        self.own = embeddings
        self.held: list[tuple[list[float], str]] = []

    @override
    def add_texts(self, texts: Iterable[str], metadatas: list[dict[str, Any]] | None = None, **_: Any) -> list[str]:
        kept = list(texts)
        self.held += zip(self.own.embed_documents(kept), kept, strict=True)
        return kept

    @override
    def similarity_search(self, query: str, k: int = 4, **_: Any) -> list[Document]:
        wanted = self.own.embed_query(query)
        nearest = sorted(self.held, key=lambda entry: abs(entry[0][0] - wanted[0]))
        return [Document(text) for _, text in nearest[:k]]

    @override
    async def asimilarity_search(self, query: str, k: int = 4, **_: Any) -> list[Document]:
        wanted = await self.own.aembed_query(query)
        nearest = sorted(self.held, key=lambda entry: abs(entry[0][0] - wanted[0]))
        return [Document(text) for _, text in nearest[:k]]

    @classmethod
    @override
    def from_texts(cls, texts: list[str], embedding: Embeddings, *_: Any, **__: Any) -> ListStore:
        store = cls(embedding)
        store.add_texts(texts)
        return store


@pytest.fixture
def config(traces: Traces) -> RunnableConfig:
    """A config with a handler of the application's own pipeline."""
    return {"callbacks": [OtelHandler(tracer_provider=traces.provider)]}


@pytest.fixture
def store(traces: Traces) -> ListStore:
    """A store whose embeddings are traced, with one document."""
    store = ListStore.from_texts(["one"], traced_embeddings(OwnEmbeddings(traces)))
    traces.memory.clear()
    return store


@pytest.fixture
def search(store: ListStore) -> Runnable[str, int]:
    """A chain with a retriever of LangChain's own."""
    return (store.as_retriever(search_kwargs={"k": 1}) | RunnableLambda(len)).with_config(run_name="chain")


SEARCH = """\
chain
  retrieval VectorStoreRetriever
    embeddings te-3
      POST
  len"""


def test_indexing_stands_below_the_run_that_does_it(traces: Traces, config: RunnableConfig, store: ListStore) -> None:
    """Documents that a chain's step adds to a store are embedded below that step."""
    RunnableLambda(store.add_texts).with_config(run_name="index").invoke(["a", "b"], config)

    assert traces.tree == "index\n  embeddings te-3\n    POST"
    assert (traces.span("embeddings te-3").attributes or {})["chainspan.embeddings.count"] == 2


def test_a_search_stands_below_its_retriever(
    traces: Traces, config: RunnableConfig, search: Runnable[str, int]
) -> None:
    """The query is embedded below the retriever, and the call that this makes below the embeddings."""
    assert search.invoke("question", config) == 1

    assert traces.tree == SEARCH
    assert not get_current_span().get_span_context().is_valid


async def test_an_asynchronous_search_stands_below_its_retriever(
    traces: Traces, config: RunnableConfig, search: Runnable[str, int]
) -> None:
    """Searches of one task, one after the other and at the same time, each embed below their own retriever."""
    await search.ainvoke("question", config)
    await asyncio.gather(*(search.ainvoke(f"question {n}", config) for n in range(3)))

    assert traces.tree == "\n".join([SEARCH] * 4)


def test_each_search_of_a_batch_has_its_own(traces: Traces, config: RunnableConfig, search: Runnable[str, int]) -> None:
    """The threads of a batch do not mix up their retrievers."""
    search.batch([f"question {n}" for n in range(5)], config)

    assert traces.tree == "\n".join([SEARCH] * 5)


def test_tags_are_the_users_and_not_the_classes_that_langchain_names(traces: Traces, store: ListStore) -> None:
    """The classes of a store and its embeddings, with which LangChain tags a retriever, are no tags of the user's."""

    class Known(ListStore):
        """A store that tells its embeddings."""

        @property
        @override
        def embeddings(self) -> Embeddings:
            return self.own

    handler = OtelHandler(tracer_provider=traces.provider, content=True)
    retriever = Known(store.own).as_retriever()
    assert retriever.tags == ["Known", "_TracedEmbeddings"]

    retriever.invoke("question", {"callbacks": [handler], "tags": ["prod"]})

    told = {span.name: (span.attributes or {}).get("chainspan.tags") for span in traces.memory.get_finished_spans()}
    assert told == {"retrieval VectorStoreRetriever": ("prod",), "embeddings te-3": ("prod",), "POST": None}


def test_a_retriever_alone_is_enough(traces: Traces, config: RunnableConfig, store: ListStore) -> None:
    """Outside of every chain a retriever's embeddings are below it, and those after it are nobody's."""
    store.as_retriever().invoke("question", config)
    store.own.embed_query("later")

    assert traces.tree == "retrieval VectorStoreRetriever\n  embeddings te-3\n    POST\nPOST"


class Ensemble(BaseRetriever):
    """A retriever that asks another, then embeds, then runs a step that embeds."""

    store: Any
    step: Any

    @override
    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        config: RunnableConfig = {"callbacks": run_manager.get_child()}
        found: list[Document] = self.store.as_retriever().invoke(query, config)
        self.store.own.embed_query(query)
        self.step.invoke(query, config)
        return found


def test_retrievers_in_one_another(traces: Traces, config: RunnableConfig, store: ListStore) -> None:
    """What is embedded stands below the innermost run that is open: inner retriever, outer retriever, inner step."""
    step = RunnableLambda(store.own.embed_query).with_config(run_name="step")

    Ensemble(store=store, step=step).with_config(run_name="outer").invoke("question", config)

    assert traces.tree == (
        "outer\n"
        "  retrieval VectorStoreRetriever\n    embeddings te-3\n      POST\n"
        "  embeddings te-3\n    POST\n"
        "  step\n    embeddings te-3\n      POST"
    )


def test_a_retriever_that_failed_is_above_nothing(traces: Traces, config: RunnableConfig, store: ListStore) -> None:
    """After a failed search, embeddings in the same code stand below the run that is still open."""

    def act(query: str, config: RunnableConfig) -> None:
        with pytest.raises(TypeError):
            store.as_retriever(search_kwargs={"k": "x"}).invoke(query, config)
        store.own.embed_query(query)

    RunnableLambda(act).with_config(run_name="act").invoke("question", config)

    assert traces.tree == (
        "act\n  retrieval VectorStoreRetriever\n    embeddings te-3\n      POST\n  embeddings te-3\n    POST"
    )


def test_a_handler_of_its_own_pipeline_sees_the_same_tree(traces: Traces, search: Runnable[str, int]) -> None:
    """Two pipelines each have the embeddings below their own retriever."""
    apart = Traces()
    handlers = [OtelHandler(tracer_provider=traces.provider), OtelHandler(apart.memory)]

    search.invoke("question", {"callbacks": list(handlers)})
    handlers[1].flush()

    assert traces.tree == SEARCH
    assert apart.tree == SEARCH.replace("\n      POST", "")


def test_the_notes_do_not_pile_up(traces: Traces, config: RunnableConfig, search: Runnable[str, int]) -> None:
    """However many searches one piece of code makes, at most one retriever that has ended is remembered there."""

    def search_often() -> int:
        retriever = search.steps[0]  # type: ignore[attr-defined]
        for _ in range(20):
            retriever.invoke("question", config)
        return len(_entered.get())

    assert contextvars.Context().run(search_often) == 1
