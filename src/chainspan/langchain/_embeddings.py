"""Embeddings, which LangChain reports to no callback: a wrapper that reports them itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

from typing_extensions import override

from .._encode import attempt
from .._errors import require, require_type
from .._guard import Guard
from .._model import ModelRequest, ModelResponse, RunEnd, RunFailure, RunKind, RunStart
from ._callbacks import CallbackAdapter
from ._ends import outcome_of
from ._providers import GEMINI, OPENAI, google_service, provider_name, served_at
from ._read import ADDRESSES, at
from ._requests import server_of
from ._retrieving import Place, open_sinks, place_of
from ._sink import RunSink
from ._witness import child_config

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings
else:
    try:
        from langchain_core.embeddings import Embeddings
    except ImportError:

        class Embeddings:
            """Stands in for LangChain's base where LangChain is not installed."""


__all__ = ["traced_embeddings"]

_MODEL: Final = ("model", "model_name", "model_id", "deployment", "deployment_name")
_FORMATS: Final = (("encoding_format",), ("model_kwargs", "encoding_format"), ("embedding_types",))  # the last Cohere's
_BELOW: Final = ("underlying_embeddings", "base_embeddings", "_inner")  # of a cache, hypothetical documents, ours
_MOST_BELOW: Final = 4
_INHERITED: Final = ("agent_name", "conversation_id", "user_id", "metadata", "tags")  # from the run that asks
_START, _END = Guard("langchain.embeddings.start"), Guard("langchain.embeddings.end")


def traced_embeddings(embeddings: Embeddings, *, callbacks: Iterable[object] = ()) -> Embeddings:
    """Return embeddings whose calls become spans below the run that makes them.

    LangChain has no callback for embeddings. Pass the returned ones wherever embeddings are
    taken, such as to a vector store. What they report to are the handlers of the chain, tool or
    retriever that they are called in, and the given ones.

    Args:
        embeddings: What does the work; every other attribute is still its own.
        callbacks: Handlers of chainspan that are told of every call, outside of runs too.

    Returns:
        Embeddings that give, and raise, what the given ones do.

    Raises:
        ConfigurationError: An argument cannot be used.
    """
    is_one = not isinstance(embeddings, type) and callable(getattr(embeddings, "embed_query", None))
    require(is_one, "traced_embeddings(embeddings)", expected="embeddings of LangChain's", got=embeddings)
    require_type("traced_embeddings(callbacks=)", callbacks, Iterable, expected="a list of handlers")
    return _TracedEmbeddings(embeddings, [item for item in callbacks if isinstance(item, CallbackAdapter)])


class _TracedEmbeddings(Embeddings):
    """Does what other embeddings do, and reports it."""

    def __init__(self, inner: Embeddings, handlers: Sequence[CallbackAdapter]) -> None:
        self._inner = inner
        self._handlers = handlers

    def __getattr__(self, name: str) -> Any:
        if name == "_inner":  # of a copy that has nothing yet
            raise AttributeError(name)
        return getattr(self._inner, name)

    @override
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        with _reported(self._inner, self._handlers, texts) as answer:
            vectors = self._inner.embed_documents(texts)
            answer.vectors = vectors
        return vectors

    @override
    def embed_query(self, text: str) -> list[float]:
        with _reported(self._inner, self._handlers, [text]) as answer:
            vector = self._inner.embed_query(text)
            answer.vectors = [vector]
        return vector

    @override
    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        with _reported(self._inner, self._handlers, texts) as answer:
            vectors = await self._inner.aembed_documents(texts)
            answer.vectors = vectors
        return vectors

    @override
    async def aembed_query(self, text: str) -> list[float]:
        with _reported(self._inner, self._handlers, [text]) as answer:
            vector = await self._inner.aembed_query(text)
            answer.vectors = [vector]
        return vector


class _Answer:
    """What a call gave, once it has."""

    vectors: Any = ()

    def end(self) -> RunEnd:
        dimensions = attempt(lambda: len(self.vectors[0]), None)  # an array has no truth of its own
        return RunEnd(response=ModelResponse(dimensions=dimensions))


@contextmanager
def _reported(inner: Embeddings, handlers: Sequence[CallbackAdapter], texts: Sequence[str]) -> Iterator[_Answer]:
    run_id, answer = uuid4(), _Answer()
    places: list[Place] = []
    with _START:
        places = _places(handlers)
        for place in places:
            place.sink.start(_start(inner, texts, run_id, place))
    try:
        yield answer
    except BaseException as error:
        with _END:
            failure = RunFailure(error=error, outcome=outcome_of(error))
            for place in places:
                place.sink.fail(run_id, failure.outcome, lambda: failure)
        raise
    with _END:
        for place in places:
            place.sink.end(run_id, answer.end)


def _places(handlers: Sequence[CallbackAdapter]) -> list[Place]:
    """Return where a call made here and now is reported to, once for each sink."""
    manager = (child_config.get() or {}).get("callbacks")
    parent_id = getattr(manager, "parent_run_id", None)
    told = (*(getattr(manager, "handlers", None) or ()), *handlers)
    sinks = open_sinks()
    sinks += [handler._sink for handler in told if isinstance(handler, CallbackAdapter)]  # noqa: SLF001
    return [place_of(sink, parent_id) for index, sink in enumerate(sinks) if _is_first(sink, sinks[:index])]


def _is_first(sink: RunSink, before: Sequence[RunSink]) -> bool:
    return all(other is not sink for other in before)


def _start(inner: Embeddings, texts: Sequence[str], run_id: UUID, place: Place) -> RunStart:
    name, is_known = type(inner).__name__, isinstance(texts, (list, tuple))  # what is read once is the model's to read
    start = RunStart(
        run_id=run_id,
        parent_id=place.parent_id,
        kind=RunKind.EMBEDDINGS,
        run_type="embeddings",
        name=name,
        inputs=list(texts) if is_known else None,
        request=_request(_asked(inner), len(texts) if is_known else None),
    )
    parent = None if place.parent_id is None else place.sink.peek(place.parent_id)
    if parent is not None:
        for field in _INHERITED:
            setattr(start, field, getattr(parent, field))
    return start


def _asked(inner: Embeddings) -> Embeddings:
    """Return what embeddings ask in the end, where they are made of others."""
    for _ in range(_MOST_BELOW):
        held: Mapping[str, Any] = getattr(inner, "__dict__", {})
        below = next((held[key] for key in _BELOW if isinstance(held.get(key), Embeddings)), None)
        if below is None:
            break
        inner = below
    return inner


def _request(inner: Embeddings, count: int | None) -> ModelRequest:
    held: Mapping[str, Any] = getattr(inner, "__dict__", {})
    host, port = server_of(held)
    if host is None:
        host, port = server_of({"base_url": held.get("model")})  # of an endpoint of Hugging Face's
    parameters: dict[str, object] = {} if count is None else {"count": count}
    if isinstance(held.get("dimensions"), int):
        parameters["dimensions"] = held["dimensions"]
    if (formats := next((told for path in _FORMATS if (told := at(held, path))), None)) is not None:
        parameters["encoding_formats"] = [formats] if isinstance(formats, str) else formats
    provider = provider_name({}, [type(inner).__name__])
    if provider == GEMINI:
        provider = google_service(held)
    elif provider == OPENAI and host is not None:
        provider = served_at(host)
    return ModelRequest(
        provider=provider,
        model=_model(inner, held),
        server_address=host,
        server_port=port,
        parameters=parameters,
    )


def _model(inner: Embeddings, held: Mapping[str, Any]) -> str | None:
    """Return the name of the model: one that was given, such as of a deployment, before one that is the default."""
    nothing: frozenset[str] = frozenset()
    given = attempt(lambda: frozenset(inner.model_fields_set), nothing)  # type: ignore[attr-defined]  # of pydantic's
    named = [key for key in _MODEL if isinstance(held.get(key), str) and not held[key].startswith(ADDRESSES)]
    name = next((held[key] for key in (*(key for key in named if key in given), *named)), None)
    return name and name.removeprefix("models/")  # Google's
