"""Embeddings have spans where LangChain has no callback for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.runnables import RunnableLambda
from langgraph.graph import START, StateGraph
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from pydantic import BaseModel
from typing_extensions import override

from chainspan import ConfigurationError, OtelHandler, traced_embeddings


class NamedEmbeddings(Embeddings):
    """Embeddings of a model with a name and an address."""

    def __init__(self) -> None:
        self.model = "te-3"
        self.base_url = "https://host/v1"

    @override
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    @override
    def embed_query(self, text: str) -> list[float]:
        return [float(len(text))] * 4


class FailingEmbeddings(Embeddings):
    """Embeddings whose provider is down."""

    @override
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        raise TimeoutError(texts[0])

    @override
    def embed_query(self, text: str) -> list[float]:
        raise TimeoutError(text)


class DeployedEmbeddings(BaseModel, Embeddings):
    """Embeddings of a model with a default, and with what may be given instead, as Azure's."""

    model: str = "text-embedding-ada-002"
    deployment: str | None = "text-embedding-ada-002"
    encoding_format: str | None = None
    embedding_types: list[str] = []
    model_kwargs: dict[str, Any] = {}

    @override
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[1.0]]

    @override
    def embed_query(self, text: str) -> list[float]:
        return [1.0]


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """What the handler exports to."""
    return InMemorySpanExporter()


@pytest.fixture
def handler(exporter: InMemorySpanExporter) -> OtelHandler:
    """A handler that records content."""
    return OtelHandler(SimpleSpanProcessor(exporter), content=True)


def _attributes(exporter: InMemorySpanExporter) -> dict[str, Any]:
    span = next(span for span in exporter.get_finished_spans() if span.name.startswith("embeddings"))
    attributes = dict(span.attributes or {})
    for key in ("chainspan.run.id", "chainspan.usage.model_calls"):  # of each run; of a root
        attributes.pop(key, None)
    return {"name": span.name, "kind": span.kind.name, **attributes}


EXPECTED = {
    "name": "embeddings te-3",
    "kind": "CLIENT",
    "chainspan.run.type": "embeddings",
    "chainspan.run.name": "NamedEmbeddings",
    "openinference.span.kind": "EMBEDDING",
    "gen_ai.operation.name": "embeddings",
    "gen_ai.provider.name": "named",
    "gen_ai.request.model": "te-3",
    "server.address": "host",
    "server.port": 443,
    "chainspan.embeddings.count": 2,
    "input.value": '["a","b"]',
    "input.mime_type": "application/json",
    "gen_ai.embeddings.dimension.count": 4,
}


def test_embeddings_in_a_chain_are_its_child(exporter: InMemorySpanExporter, handler: OtelHandler) -> None:
    """A call in a chain's body has a span below the chain's, with model, count and dimensions (pains #56)."""
    embeddings = traced_embeddings(NamedEmbeddings())
    chain = RunnableLambda(embeddings.embed_documents).with_config(run_name="chain")

    chain.invoke(["a", "b"], {"callbacks": [handler]})

    assert _attributes(exporter) == EXPECTED
    child, parent = exporter.get_finished_spans()
    assert child.parent is not None
    assert (parent.name, child.parent.span_id) == ("chain", parent.context.span_id)


def test_embeddings_say_whose_they_are(exporter: InMemorySpanExporter, handler: OtelHandler) -> None:
    """A call belongs to the conversation, the user and the agent of the run that makes it, with that one's metadata."""
    embeddings = traced_embeddings(NamedEmbeddings())

    def store(state: dict[str, Any]) -> dict[str, Any]:
        embeddings.embed_documents(["a", "b"])
        return state

    graph: Any = StateGraph(dict)
    graph.add_node("store", store)
    graph.add_edge(START, "store")
    metadata = {"user_id": "ann", "lc_agent_name": "librarian", "tenant": "acme"}
    config: Any = {"callbacks": [handler], "metadata": metadata, "tags": ["nightly"]}
    graph.compile().invoke({}, {**config, "configurable": {"thread_id": "t1"}})

    assert _attributes(exporter) == {
        **EXPECTED,
        "session.id": "t1",
        "gen_ai.conversation.id": "t1",
        "user.id": "ann",
        "gen_ai.agent.name": "librarian",
        "chainspan.metadata.tenant": "acme",
        "chainspan.tags": ("nightly",),
        "tag.tags": ("nightly",),
    }


async def test_embeddings_are_traced_in_asynchronous_code(exporter: InMemorySpanExporter, handler: OtelHandler) -> None:
    """The asynchronous call says what the other one does."""
    embeddings = traced_embeddings(NamedEmbeddings(), callbacks=[handler])

    vectors = await embeddings.aembed_documents(["a", "b"])

    assert vectors == NamedEmbeddings().embed_documents(["a", "b"])
    assert _attributes(exporter) == EXPECTED


async def test_a_query_is_one_text(exporter: InMemorySpanExporter, handler: OtelHandler) -> None:
    """A query is embedded as a list of one would be."""
    embeddings = traced_embeddings(NamedEmbeddings(), callbacks=[handler])

    assert embeddings.embed_query("a") == await embeddings.aembed_query("a")

    one, other = (span.attributes or {} for span in exporter.get_finished_spans())
    assert one["input.value"] == other["input.value"] == '["a"]'
    assert one["chainspan.embeddings.count"] == 1


@pytest.mark.parametrize(
    ("arguments", "model"),
    [
        ({}, "text-embedding-ada-002"),
        ({"deployment": "mine"}, "mine"),
        ({"deployment": "mine", "model": "te-3"}, "te-3"),
        ({"model": "models/gemini-embedding-001"}, "gemini-embedding-001"),
    ],
)
def test_the_model_is_the_one_that_was_asked_for(
    arguments: dict[str, Any], model: str, exporter: InMemorySpanExporter, handler: OtelHandler
) -> None:
    """What was given comes before a default, without what Google's clients put before it."""
    traced_embeddings(DeployedEmbeddings(**arguments), callbacks=[handler]).embed_query("a")

    assert (said := _attributes(exporter))["gen_ai.request.model"] == model
    assert said["name"] == f"embeddings {model}"


@pytest.mark.parametrize(("vertexai", "provider"), [(None, "gcp.gemini"), (True, "gcp.vertex_ai")])
def test_which_of_googles_services_embeds(
    vertexai: bool | None, provider: str, exporter: InMemorySpanExporter, handler: OtelHandler
) -> None:
    """One integration serves both."""

    class GoogleGenerativeAIEmbeddings(DeployedEmbeddings):
        vertexai: bool | None = None

    embeddings = GoogleGenerativeAIEmbeddings(vertexai=vertexai)
    traced_embeddings(embeddings, callbacks=[handler]).embed_query("a")

    assert _attributes(exporter)["gen_ai.provider.name"] == provider


@pytest.mark.parametrize(
    ("url", "provider"),
    [("https://mine.openai.azure.com/openai/v1", "azure.ai.openai"), ("https://host/v1", "openai")],
)
def test_who_answers_openais_client(
    url: str, provider: str, exporter: InMemorySpanExporter, handler: OtelHandler
) -> None:
    """Whose host is asked is named."""

    class OpenAIEmbeddings(DeployedEmbeddings):
        openai_api_base: str

    traced_embeddings(OpenAIEmbeddings(openai_api_base=url), callbacks=[handler]).embed_query("a")

    assert _attributes(exporter)["gen_ai.provider.name"] == provider


def test_an_address_is_no_name_of_a_model(exporter: InMemorySpanExporter, handler: OtelHandler) -> None:
    """Hugging Face's embeddings take the address of an endpoint for a model, and it may hold credentials."""
    embeddings = NamedEmbeddings()
    embeddings.model = "https://user:secret@endpoint.example:8080"
    del embeddings.base_url

    traced_embeddings(embeddings, callbacks=[handler]).embed_query("a")

    assert "secret" not in str([(span.name, span.attributes) for span in exporter.get_finished_spans()])
    attributes = _attributes(exporter)
    assert (attributes["server.address"], attributes["server.port"]) == ("endpoint.example", 8080)


@pytest.mark.parametrize(
    ("arguments", "formats"),
    [
        ({}, None),
        ({"encoding_format": "float"}, ("float",)),
        ({"model_kwargs": {"encoding_format": "base64"}}, ("base64",)),
        ({"embedding_types": ["int8", "ubinary"]}, ("int8", "ubinary")),
    ],
)
def test_formats_that_were_asked_for(
    arguments: dict[str, Any], formats: tuple[str, ...] | None, exporter: InMemorySpanExporter, handler: OtelHandler
) -> None:
    """How vectors are to be encoded is read from where each integration has it."""
    traced_embeddings(DeployedEmbeddings(**arguments), callbacks=[handler]).embed_query("a")

    assert _attributes(exporter).get("gen_ai.request.encoding_formats") == formats


@pytest.mark.parametrize("is_traced", [False, True])
def test_embeddings_that_ask_others(is_traced: bool, exporter: InMemorySpanExporter, handler: OtelHandler) -> None:
    """Embeddings with a cache are no provider, and have no model: those are of what they ask."""

    class CachedEmbeddings(NamedEmbeddings):
        def __init__(self) -> None:
            self.underlying_embeddings = traced_embeddings(OpenAIEmbeddings()) if is_traced else OpenAIEmbeddings()

    class OpenAIEmbeddings(NamedEmbeddings):
        pass

    traced_embeddings(CachedEmbeddings(), callbacks=[handler]).embed_query("a")

    said = _attributes(exporter)
    names = ("chainspan.run.name", "gen_ai.provider.name", "gen_ai.request.model", "server.address")
    assert tuple(map(said.get, names)) == ("CachedEmbeddings", "openai", "te-3", "host")


def test_a_failure_is_the_callers(exporter: InMemorySpanExporter, handler: OtelHandler) -> None:
    """What the embeddings raise is raised, and recorded as an error."""
    embeddings = traced_embeddings(FailingEmbeddings(), callbacks=[handler])

    with pytest.raises(TimeoutError, match="a"):
        embeddings.embed_query("a")

    [span] = exporter.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "TimeoutError"


def test_texts_that_are_read_once_are_the_models_to_read(exporter: InMemorySpanExporter, handler: OtelHandler) -> None:
    """A generator of texts is embedded whole, and what it raises is raised."""
    embeddings = traced_embeddings(NamedEmbeddings(), callbacks=[handler])

    def texts() -> Iterator[str]:
        yield "a"
        raise LookupError("b cannot be read")

    assert len(embeddings.embed_documents(text for text in "ab")) == 2  # type: ignore[arg-type]
    with pytest.raises(LookupError, match="b cannot be read"):
        embeddings.embed_documents(texts())  # type: ignore[arg-type]

    whole, broken = (dict(span.attributes or {}) for span in exporter.get_finished_spans())
    assert (whole["gen_ai.embeddings.dimension.count"], whole.get("chainspan.embeddings.count")) == (4, None)
    assert broken["error.type"] == "LookupError"


def test_vectors_may_be_an_array(exporter: InMemorySpanExporter, handler: OtelHandler) -> None:
    """An array of several vectors has no truth of its own, and a length all the same."""

    class Array(list[list[float]]):
        def __bool__(self) -> bool:
            raise ValueError("ambiguous")

    class Arrays(NamedEmbeddings):
        @override
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return Array([[0.0, 1.0] for _ in texts])

    traced_embeddings(Arrays(), callbacks=[handler]).embed_documents(["a"])

    assert _attributes(exporter)["gen_ai.embeddings.dimension.count"] == 2
    assert "chainspan.fault" not in _attributes(exporter)


def test_what_is_no_embeddings_is_refused() -> None:
    """A class in place of its object, and a handler in place of a list of some, are told at once."""
    with pytest.raises(ConfigurationError, match=r"traced_embeddings\(embeddings\): expected embeddings"):
        traced_embeddings(Embeddings)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"traced_embeddings\(callbacks=\): expected a list of handlers"):
        traced_embeddings(DeterministicFakeEmbedding(size=1), callbacks=OtelHandler())  # type: ignore[arg-type]


def test_without_a_handler_nothing_is_recorded() -> None:
    """Outside of every run, and with no handler given, the call is just the call."""
    embeddings = traced_embeddings(NamedEmbeddings())

    assert embeddings.embed_query("a") == NamedEmbeddings().embed_query("a")


def test_the_wrapper_is_what_it_wraps() -> None:
    """Every attribute of the embeddings is still there."""
    assert traced_embeddings(NamedEmbeddings()).model == "te-3"  # type: ignore[attr-defined]


def test_a_handler_is_told_once(exporter: InMemorySpanExporter, handler: OtelHandler) -> None:
    """A handler that the run has as well as the embeddings records one span."""
    embeddings = traced_embeddings(NamedEmbeddings(), callbacks=[handler])

    RunnableLambda(embeddings.embed_query).invoke("a", {"callbacks": [handler]})

    assert len(exporter.get_finished_spans()) == 2
