"""With content off, nothing that a user or a provider wrote is anywhere; drawn at random places."""

from __future__ import annotations

import builtins
import logging
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.callbacks import dispatch_custom_event
from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tools import StructuredTool
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from typing_extensions import override

from chainspan import ConsoleHandler, OtelHandler

PROFILES = ["compat", "latest", "openinference"]
PLACES = (
    "prompt", "variable", "system", "answer", "reasoning", "arguments", "result", "event", "query", "document",
    "document-metadata", "tag", "metadata-key", "metadata-value", "description", "response-metadata", "llm-output",
    "additional", "error", "note", "cause", "context", "local", "body", "group", "output",
)  # fmt: skip


class ProviderError(Exception):
    """An error as providers' clients raise it: with the body of the answer."""

    def __init__(self, message: str, body: object) -> None:
        super().__init__(message)
        self.body = body


class Echo(BaseChatModel):
    """Answers with what it was made with."""

    answer: Any
    output: Any

    @property
    @override
    def _llm_type(self) -> str:
        return "echo"

    @override
    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self.answer)], llm_output=self.output)


class Library(BaseRetriever):
    """Finds what it was made with."""

    document: Any

    @override
    def _get_relevant_documents(self, query: str, **_: Any) -> list[Document]:
        return [self.document]


class Words:
    """What stands at each place: the canary where it was drawn, else a plain word."""

    def __init__(self, canary: str, places: set[str]) -> None:
        self.canary, self.places = canary, places

    def __getitem__(self, place: str) -> str:
        return f"say {self.canary} now" if place in self.places else "plain"


def _look(table: dict[str, str], *keys: str) -> None:
    for key in keys:
        table[key]


def _failing(words: Words) -> Any:
    def fail(_: object) -> None:
        local = words["local"]
        error = ProviderError(words["error"], {"error": {"message": words["body"]}})
        error.__cause__ = ValueError(words["cause"])  # in whose place the context is not shown
        if sys.version_info >= (3, 11):
            error.add_note(words["note"])
            error.__cause__ = builtins.ExceptionGroup(words["group"], [error.__cause__])
        try:
            _look({}, words["context"], local)
        except KeyError:
            raise error  # noqa: B904 - with a context

    return fail


def _run(words: Words, handlers: list[Any]) -> None:
    message = AIMessage(
        [{"type": "thinking", "thinking": words["reasoning"]}, {"type": "text", "text": words["answer"]}],
        response_metadata={"model_provider": "anthropic", "headers": {"x": words["response-metadata"]}},
        additional_kwargs={"other": words["additional"]},
    )

    def look_up(what: str) -> str:
        dispatch_custom_event("looked", {"what": words["event"]})
        return words["result"]

    tool = StructuredTool.from_function(look_up, name="look_up", description=words["description"])
    metadata = {"source": words["document-metadata"]}
    library = Library(document=Document(words["document"], metadata=metadata))

    def act(_: object, config: RunnableConfig) -> str:
        library.invoke(words["query"], config)
        tool.invoke({"what": words["arguments"]}, config)
        return words["output"]

    prompt = ChatPromptTemplate([SystemMessage(words["system"]), HumanMessage(words["prompt"]), ("user", "{variable}")])
    model = Echo(answer=message, output={"raw": words["llm-output"]})
    config: RunnableConfig = {
        "callbacks": handlers,
        "tags": [words["tag"]],
        "metadata": {words["metadata-key"]: 1, "note": words["metadata-value"], "thread_id": "t-1"},
    }
    (prompt | model | RunnableLambda(act)).invoke({"variable": words["variable"]}, config)
    with pytest.raises(ProviderError):
        RunnableLambda(_failing(words)).invoke(words["prompt"], config)


class Lines(logging.Handler):
    """Keeps every line of every logger."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.text.append(self.format(record))


@settings(max_examples=20)
@given(canary=st.text("abcdefghijkXYZ019éß", min_size=8, max_size=20), places=st.sets(st.sampled_from(PLACES)))
def test_what_was_written_is_nowhere(canary: str, places: set[str]) -> None:
    """Neither in any profile's bytes, nor in the log, nor in a console without content (pains #5)."""
    memory, printed, lines = InMemorySpanExporter(), list[str](), Lines()
    handlers = [OtelHandler(SimpleSpanProcessor(memory), content=False, profile=profile) for profile in PROFILES]
    logging.getLogger().addHandler(lines)
    try:
        _run(Words(canary, places), [*handlers, ConsoleHandler(printed.append, color=False, content=False)])
    finally:
        logging.getLogger().removeHandler(lines)

    exported = encode_spans(memory.get_finished_spans()).SerializeToString().decode("utf-8", "replace")
    assert len(memory.get_finished_spans()) == 7 * len(PROFILES)
    assert [text for text in (exported, "\n".join(lines.text), "\n".join(printed)) if canary in text] == []


@pytest.mark.parametrize("place", PLACES)
def test_each_place_is_looked_at(place: str) -> None:
    """The test above would fail without the gate: with content on, spans hold what they are meant to hold."""
    memory = InMemorySpanExporter()
    handlers = [
        OtelHandler(SimpleSpanProcessor(memory), content=True, profile=profile)
        for profile in ("compat", "openinference")
    ]

    _run(Words("c4n4ry", {place}), handlers)

    exported = encode_spans(memory.get_finished_spans()).SerializeToString().decode("utf-8", "replace")
    never = {"response-metadata", "llm-output", "additional", "body", "local", "context"}
    if sys.version_info < (3, 11):
        never |= {"note", "group"}
    assert ("c4n4ry" in exported) is (place not in never)
