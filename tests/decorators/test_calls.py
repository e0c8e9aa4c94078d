"""What a decorated function is: called as before, and invoked in ways of its own."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import json
import re
import threading
import weakref
from collections import UserList
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
from inline_snapshot import snapshot
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableLambda
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests import strategies

from chainspan import ConfigurationError, OtelHandler, Traced, agent, chain, llm, prompt, retriever, tool


@chain
def both(first: Any, second: Any = "none") -> tuple[Any, Any]:
    """Return both."""
    return first, second


@chain
def count(to: int) -> Generator[int, int | None, None]:
    """Count, and take what is sent."""
    for number in range(to):
        sent = yield number
        if sent:
            yield sent


@chain
async def wait(text: str) -> str:
    """Wait."""
    await asyncio.sleep(0)
    return text


@chain
async def spell(word: str) -> AsyncIterator[str]:
    """Give one letter after another."""
    for letter in word:
        yield letter


class Shelf:
    """Has a method of each sort."""

    def __init__(self, book: str) -> None:
        self.book = book

    @retriever
    def find(self, query: str) -> list[str]:
        """Find a book."""
        return [self.book, query]

    @tool
    @staticmethod
    def size(of: str) -> int:
        """Measure."""
        return len(of)

    @chain
    @classmethod
    def make(cls, book: str) -> Shelf:
        """Make a shelf."""
        return cls(book)


def names(memory: InMemorySpanExporter) -> list[str]:
    """Return the spans' names in the order of their ends."""
    return [span.name for span in memory.get_finished_spans()]


def inputs(memory: InMemorySpanExporter) -> list[object]:
    """Return what the runs were given, in the order of their ends."""
    return [dict(span.attributes or {}).get("input.value") for span in memory.get_finished_spans()]


@pytest.mark.parametrize(
    ("given", "got"),
    [
        ("text", ("text", "none")),
        ({"first": 1, "second": 2}, (1, 2)),
        ({"first": 1}, (1, "none")),
        ({"second": 2}, ({"second": 2}, "none")),
        ({"first": 1, "other": 2}, ({"first": 1, "other": 2}, "none")),
        ({1: 2}, ({1: 2}, "none")),
        ({}, ({}, "none")),
        ([1, 2], ([1, 2], "none")),
        (None, (None, "none")),
    ],
    ids=repr,
)
def test_input_becomes_arguments(given: Any, got: tuple[Any, Any]) -> None:
    """A mapping is spread where it fits; anything else is the first argument."""
    assert both.invoke(given) == got


def test_no_input_is_no_argument() -> None:
    """A function without parameters can be invoked."""
    assert chain(lambda: "done").invoke() == "done"


def test_empty_mapping_is_no_argument_where_nothing_takes_it() -> None:
    """A tool without parameters is asked with ``{}``, as a model asks it; what takes an argument gets it."""
    functions: list[Any] = [lambda: "none", lambda **names: names, lambda *, name="none": name, lambda given="x": given]

    assert [tool(function).invoke({}) for function in functions] == ["none", {}, "none", {}]


def test_wrong_arguments_raise_what_a_call_raises(handler: OtelHandler) -> None:
    """A traced call with the wrong arguments raises the function's own error."""
    traced: Any = both.with_config(callbacks=[handler])

    with pytest.raises(TypeError, match="unexpected keyword argument 'third'"):
        traced(1, third=3)


def test_looks_like_its_function() -> None:
    """Name, documentation, signature, and what inspection tells of its sort."""
    assert (both.__name__, both.__doc__, both.__module__) == ("both", "Return both.", __name__)
    assert list(inspect.signature(both).parameters) == ["first", "second"]
    assert inspect.iscoroutinefunction(wait)
    assert inspect.isgeneratorfunction(count)
    assert inspect.isasyncgenfunction(spell)
    assert isinstance(Shelf("a").find, Traced)


def test_function_with_some_arguments_is_called_what_the_function_is(
    handler: OtelHandler, memory: InMemorySpanExporter
) -> None:
    """And is documented as that is, unless it has a name and a text of its own."""

    def look(where: str, what: str) -> str:
        """Look there."""
        return where + what

    own = functools.partial(look, "b")
    vars(own).update(__name__="look_in_b", __doc__="Look in b.")

    for part in functools.partial(functools.partial(look), "a"), own:
        tool(part).invoke("?", callbacks=[handler])

    told = [span.attributes or {} for span in memory.get_finished_spans()]
    assert [(each["gen_ai.tool.name"], each["gen_ai.tool.description"]) for each in told] == [
        ("look", "Look there."),
        ("look_in_b", "Look in b."),
    ]


async def test_arguments_that_are_bound_reach_the_function(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """As LangChain's own functions have them by `bind`, in every way to run."""
    bound = both.bind(second="b")

    for callbacks in ([], [handler]):
        assert bound.invoke("a", callbacks=callbacks) == ("a", "b")
        assert await bound.ainvoke({"first": "a"}, callbacks=callbacks) == ("a", "b")
        assert [*bound.stream("a", callbacks=callbacks)] == [("a", "b")]
        assert (bound | RunnableLambda(list)).invoke("a", {"callbacks": callbacks}) == ["a", "b"]
    assert Shelf("s").find.bind(query="q")() == ["s", "q"]
    assert {span.name for span in memory.get_finished_spans()} == {"both", "Sequence", "list"}


def test_methods_keep_their_object(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """Methods of all three sorts work on the class and on an object, called and invoked."""
    shelf = Shelf("Emma")

    assert shelf.find("q") == ["Emma", "q"]
    assert shelf.find.invoke({"query": "q"}, callbacks=[handler]) == ["Emma", "q"]
    assert (Shelf.size("abc"), shelf.size.invoke("abc", callbacks=[handler])) == (3, 3)
    assert Shelf.make.invoke("Emma", callbacks=[handler]).book == "Emma"
    assert Shelf.find(shelf, "q") == ["Emma", "q"]
    assert [dict(span.attributes or {})["chainspan.run.name"] for span in memory.get_finished_spans()] == [
        "find",
        "size",
        "make",
    ]


def test_object_of_a_method_is_no_argument(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """Nor where it is not looked up on the object: by a property, and by a class for the one that it is made from."""

    class Base:
        @llm
        def ask(self, text: str) -> str:
            return text

        @property
        @tool
        def size(self) -> int:
            return 1

        @functools.cached_property
        @retriever
        def found(self) -> list[str]:
            return ["Emma"]

    class Derived(Base):
        @chain
        def run(self, text: str) -> tuple[Any, ...]:
            return Base.ask(self, text), self.size, self.found

    assert Derived().run.invoke("hi", callbacks=[handler]) == ("hi", 1, ["Emma"])
    told = {span.name: dict(span.attributes or {}) for span in memory.get_finished_spans()}
    asked = [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]
    assert json.loads(str(told["chat"]["gen_ai.input.messages"])) == asked
    assert told["execute_tool size"]["gen_ai.tool.call.arguments"] == "{}"
    assert "Base" not in str(told)


def test_generator_can_be_sent_to(handler: OtelHandler) -> None:
    """What a consumer sends or throws reaches the body, traced or not."""
    for step in (count, count.with_config(callbacks=[handler])):
        values: Any = step(3)

        assert [next(values), values.send("sent"), next(values)] == [0, "sent", 1]
        with pytest.raises(KeyError):
            values.throw(KeyError("thrown"))


@pytest.mark.parametrize("piece", ["x" * 1_000_000, b"x" * 1_000_000])
def test_large_pieces_are_not_kept(piece: Any) -> None:
    """A run keeps of a stream's pieces what an answer may hold, and not the file that is read in them."""
    told: list[Any] = []

    class Handler(BaseCallbackHandler):
        def on_chain_end(self, outputs: Any, **_: Any) -> None:
            told.append(outputs)

    @chain
    def read(count: int) -> Iterator[Any]:
        yield from [piece] * count

    for count in (9, 30):
        assert sum(1 for _ in read.stream(count, callbacks=[Handler()])) == count
    assert [len(joined if isinstance(piece, str) else b"".join(joined)) for joined in told] == [9_000_000, 10_000_000]


async def test_every_way_to_run(handler: OtelHandler) -> None:
    """Traced and untraced calls of each sort give the same."""
    for callbacks in ([], [handler]):
        assert both.invoke(1, callbacks=callbacks) == (1, "none")
        assert await both.ainvoke(1, callbacks=callbacks) == (1, "none")
        assert count.invoke(3, callbacks=callbacks) == [0, 1, 2]
        assert [number async for number in count.astream(3, callbacks=callbacks)] == [0, 1, 2]
        assert await wait.ainvoke("a", callbacks=callbacks) == "a"
        assert [text async for text in wait.astream("a", callbacks=callbacks)] == ["a"]
        assert await spell.ainvoke("abc", callbacks=callbacks) == "abc"
        assert [*both.stream(1, callbacks=callbacks)] == [(1, "none")]
        assert both.batch([1, 2], {"max_concurrency": 1}, callbacks=callbacks) == [(1, "none"), (2, "none")]
        assert await wait.abatch(["a", "b"], callbacks=callbacks) == ["a", "b"]
        assert await wait("b") == "b"


def test_coroutine_cannot_be_invoked() -> None:
    """Asynchronous functions say what to use instead."""
    with pytest.raises(TypeError, match="wait is a coroutine: use ainvoke or astream"):
        _ = wait.invoke("a")


async def _all_of(stream: AsyncIterator[Any]) -> list[Any]:
    return [value async for value in stream]


@pytest.mark.parametrize("handled", [False, True])
async def test_stop_iteration_in_a_thread_ends_the_wait(
    *, handled: bool, handler: OtelHandler, memory: InMemorySpanExporter
) -> None:
    """A function that asks an empty iterator for a value fails, as a coroutine would that does."""

    @chain
    def first(of: list[Any]) -> Any:
        return next(iter(of))

    callbacks = [handler] if handled else []

    for awaited in first.ainvoke([], callbacks=callbacks), _all_of(first.astream([], callbacks=callbacks)):
        with pytest.raises(RuntimeError, match="coroutine raised StopIteration"):
            await asyncio.wait_for(awaited, 5)

    assert [span.attributes and span.attributes["error.type"] for span in memory.get_finished_spans()] == (
        ["RuntimeError", "RuntimeError"] if handled else []
    )


def test_batch_can_return_exceptions() -> None:
    """A failure takes its item's place where that is asked for."""
    parse = chain(int)

    results = parse.batch(["1", "x"], return_exceptions=True)

    assert results[0] == 1
    assert isinstance(results[1], ValueError)


async def test_id_of_a_batch_is_that_of_its_first_run(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """As with LangChain: runs of one id at the same time could not be told apart, nor what is called in them."""
    together = threading.Barrier(2, timeout=10)

    @chain
    def inner(number: int) -> int:
        return number

    @chain
    def outer(number: int) -> int:
        together.wait()
        return inner(number)

    config, given = {"callbacks": [handler]}, uuid4()
    options: Any = {"run_id": given}
    for calls in (
        lambda: outer.batch([1, 2], {**config, **options}),
        lambda: outer.batch([1, 2], config, **options),
        lambda: outer.abatch([1, 2], {**config, **options}),
    ):
        results: Any = calls()
        assert (await results if inspect.isawaitable(results) else results) == [1, 2]
        spans = memory.get_finished_spans()
        memory.clear()
        inputs = {span.context.span_id: (span.attributes or {})["input.value"] for span in spans}
        nested = [(inputs[span.context.span_id], inputs[span.parent.span_id]) for span in spans if span.parent]
        assert sorted(nested) == [('{"number":1}', '{"number":1}'), ('{"number":2}', '{"number":2}')]
        ids = {(span.attributes or {})["chainspan.run.id"]: inputs[span.context.span_id] for span in spans}
        assert ids[str(given)] == '{"number":1}'


def test_composition(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """Functions, decorated functions and dicts stand on either side."""
    ask = prompt(lambda text: f"{text}?")
    answer = llm(name="model")(lambda text: f"{text}!")

    step = str.strip | ask | {"said": answer, "size": len}

    assert step.invoke(" hi ", callbacks=[handler]) == {"said": "hi?!", "size": 3}
    assert sorted(names(memory)) == ["Parallel", "Sequence", "lambda", "len", "model", "strip"]
    assert ({"a": ask} | chain(dict)).invoke("x") == {"a": "x?"}
    with pytest.raises(TypeError, match="a step is a function, a runnable, or a dict of those; got int"):
        ask | 3


def test_what_is_recorded(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """Tools record their arguments by name, retrievers their documents, agents their name."""

    @tool
    def look(q: str, *more: str, deep: bool = False, **rest: int) -> str:
        """Look it up."""
        return q

    @retriever
    def find(query: str) -> list[Mapping[str, Any]]:
        return [{"text": query, "id": "7"}]

    @agent(name="scout")
    def search(topic: str) -> Any:
        return look(topic, "x", deep=True, limit=3), find(topic)

    search.invoke("sun", callbacks=[handler])

    tell = ("gen_ai.tool.call.arguments", "gen_ai.tool.description", "gen_ai.retrieval.documents", "gen_ai.agent.name")
    told = [
        (span.name, {key: value for key, value in dict(span.attributes or {}).items() if key in tell})
        for span in memory.get_finished_spans()
    ]
    assert told == snapshot(
        [
            (
                "execute_tool look",
                {
                    "gen_ai.agent.name": "scout",
                    "gen_ai.tool.description": "Look it up.",
                    "gen_ai.tool.call.arguments": '{"q":"sun","more":["x"],"deep":true,"limit":3}',
                },
            ),
            (
                "retrieval find",
                {
                    "gen_ai.agent.name": "scout",
                    "gen_ai.retrieval.documents": '[{"id":"7","content":"sun","metadata":{"id":"7"}}]',
                },
            ),
            ("invoke_agent scout", {"gen_ai.agent.name": "scout"}),
        ]
    )


def test_options_of_the_decorator_are_its_own(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """Metadata of the decorator is the step's; that of a call, of everything inside."""
    inner = chain(lambda: None)

    @chain(name="outer", metadata={"user_id": "mine"})
    def outer() -> None:
        inner()

    outer.invoke(callbacks=[handler], metadata={"thread_id": "talk"}, run_name="renamed")

    told = [
        (span.name, dict(span.attributes or {}).get("user.id"), dict(span.attributes or {}).get("session.id"))
        for span in memory.get_finished_spans()
    ]
    assert told == [("lambda", None, "talk"), ("renamed", "mine", "talk")]


@dataclass
class Adder:
    """An object that can be called and compared, and so has no hash."""

    to: int

    def __call__(self, x: int) -> int:
        """Add."""
        return self.to + x


def test_nothing_is_kept_of_functions_that_are_gone() -> None:
    """A function holds the module that it was made in, with all its data; a script that is run again makes new ones."""

    class Data:
        def ask(self, word: str) -> str:
            return word

    def asked(data: Data) -> weakref.ref[Data]:
        handler = OtelHandler(InMemorySpanExporter(), content=True)
        chain(lambda word: (data, word)).invoke({"word": "x"}, callbacks=[handler])
        chain(data.ask).invoke({"word": "x"}, callbacks=[handler])
        return weakref.ref(data)

    gone = [asked(Data()) for _ in range(3)]
    gc.collect()

    assert [data() for data in gone] == [None] * 3


SCRIPT = """
from chainspan import chain, llm

class Word:
    def ask(self):
        return self

@chain
def annotated(word: Word) -> Word:
    return word

@llm
def with_default(word, other=Word()):
    return "x"

def run(handler):
    for step in annotated, with_default:
        step.invoke({"word": "x"}, callbacks=[handler])
"""


def test_nothing_is_kept_of_modules_whose_classes_a_function_names() -> None:
    """Annotations and defaults lead to the function's module as well, by the methods of its classes."""

    def ran() -> weakref.ref[Any]:
        script = ModuleType("script")
        exec(SCRIPT, vars(script))
        script.run(OtelHandler(InMemorySpanExporter()))
        return weakref.ref(script.Word)

    gone = [ran() for _ in range(3)]
    gc.collect()

    assert [word() for word in gone] == [None] * 3


def test_object_without_a_hash(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """An object that can be called takes an input as a function does, whether somebody listens or not."""
    step = chain(Adder(1))

    assert step.invoke({"x": 2}) == step.invoke({"x": 2}, callbacks=[handler]) == 3
    assert inputs(memory) == ['{"x":2}']


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_file_that_a_retriever_finds(
    kind: Callable[[bytes], Any], handler: OtelHandler, memory: InMemorySpanExporter
) -> None:
    """Bytes are one document, as a text is, and not as many as there are bytes."""
    fetch = retriever(name="fetch")(lambda url: kind(b"%PDF" * 2_000))

    assert len(fetch.invoke("a.pdf", callbacks=[handler])) == 8_000
    (span,) = memory.get_finished_spans()
    (document,) = json.loads(str((span.attributes or {})["gen_ai.retrieval.documents"]))
    assert "8000" in document["content"]


def test_documents_that_cannot_be_read(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """What a retriever finds is its caller's, and its run ends."""
    unreadable = strategies.RaisesOnEverything()
    found = [unreadable, (unreadable, 0.5), "text"]
    search = retriever(lambda query: found)

    assert search.invoke("sun", callbacks=[handler]) is found
    assert names(memory) == ["retrieval lambda"]
    assert handler.in_flight() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": 1}, "name=): expected a text, got 1"),
        ({"tags": "test"}, "tags=): expected a list of texts, got 'test'"),
        ({"metadata": [1]}, "metadata=): expected a mapping, got [1]"),
        ({"callbacks": [InMemorySpanExporter]}, "callbacks=): expected handlers, got "),
        ({"callbacks": object()}, "callbacks=): expected handlers, got "),
        ({"model": "gpt-5"}, "model=): expected nothing: it is an option of llm, got 'gpt-5'"),
    ],
    ids=["name", "tags", "metadata", "class", "callbacks", "model"],
)
def test_options_that_cannot_be_used_are_refused(options: dict[str, Any], message: str) -> None:
    """Where a function is decorated the mistake is named, rather than in a call that it breaks."""
    with pytest.raises(ConfigurationError, match=re.escape(f"chain({message}")):
        chain(**options)


def test_tags_in_another_collection(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """Tags may come in any collection, such as that of a library for settings; a text is none."""
    several: list[Any] = [UserList(["one", "two"]), dict.fromkeys(("one", "two")).keys()]
    for tags in several:
        chain(tags=tags)(lambda word: word).invoke("x", callbacks=[handler])

    assert [(span.attributes or {})["chainspan.tags"] for span in memory.get_finished_spans()] == [("one", "two")] * 2


def test_what_is_no_option_is_refused() -> None:
    """An option that does not exist is an error, as of any function, and a name is no function."""
    with pytest.raises(TypeError, match=re.escape("tool() got an unexpected keyword argument 'title'")):
        tool(title="add")  # type: ignore[call-overload]
    with pytest.raises(ConfigurationError, match="@tool: expected a function, got 'add'"):
        tool("add")  # type: ignore[call-overload]


@pytest.mark.parametrize("attribute", [property(str), functools.cached_property(str)])
def test_what_is_looked_up_but_never_called_is_refused(attribute: Any) -> None:
    """A property is no function: what makes it is decorated, below it."""
    with pytest.raises(ConfigurationError, match="@chain: expected a function, got"):
        chain(attribute)


CALLS: dict[str, Callable[[Any], object]] = {
    "invoke": lambda step: step.invoke("x", callback=[]),
    "ainvoke": lambda step: asyncio.run(step.ainvoke("x", callback=[])),
    "stream": lambda step: list(step.stream("x", callback=[])),
    "batch": lambda step: step.batch(["x"], callback=[]),
    "abatch": lambda step: asyncio.run(step.abatch(["x"], callback=[])),
    "with_config": lambda step: step.with_config(callback=[]),
    "sequence": lambda step: (step | step).invoke("x", callback=[]),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_what_is_no_option_of_a_call_is_refused(call: Callable[[Any], object]) -> None:
    """A handler under a name that is misspelt would hear of nothing, and nobody would say so (pains #41)."""
    with pytest.raises(TypeError, match="got an unexpected keyword argument 'callback'"):
        call(chain(lambda x: x))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"callbacks": InMemorySpanExporter()}, "name(callbacks=): expected handlers, got <"),
        ({"callbacks": [OtelHandler]}, "name(callbacks=): expected handlers, got [<class "),
        ({"tags": "prod"}, "name(tags=): expected a list of texts, got 'prod'"),
        ({"metadata": ["order"]}, "name(metadata=): expected a mapping, got ['order']"),
    ],
    ids=["exporter", "class", "tags", "metadata"],
)
@pytest.mark.parametrize(
    "call",
    [lambda step, given: step.invoke("x", given), lambda step, given: step.invoke("x", **given)],
    ids=["in the config", "by keyword"],
)
def test_what_a_call_cannot_use_is_refused(
    options: dict[str, Any], message: str, call: Callable[[Any, dict[str, Any]], object]
) -> None:
    """An exporter in the place of a handler would hear of nothing, and nobody would say so."""
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        call(chain(name="name")(lambda x: x), options)


def test_what_is_no_config_of_a_call_is_refused() -> None:
    """A handler in the place of the config is told apart from one."""
    with pytest.raises(ConfigurationError, match=re.escape("name(config): expected a mapping, got <")):
        chain(name="name")(lambda x: x).invoke("x", OtelHandler())  # type: ignore[call-overload]


def test_any_key_of_a_config_may_be_given_by_itself(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """So LangChain's own runnables take it in their configs."""
    run_id = uuid4()
    chain(lambda x: x).invoke("x", callbacks=[handler], run_id=run_id)  # type: ignore[call-overload]

    [span] = memory.get_finished_spans()
    assert (span.attributes or {})["chainspan.run.id"] == str(run_id)


def test_configs_that_cannot_be_bound_are_refused() -> None:
    """Handlers are bound as what they are, and not as their exporters."""
    step = chain(lambda x: x)

    with pytest.raises(ConfigurationError, match="expected handlers, got"):
        step.with_config(callbacks=[InMemorySpanExporter()])
    with pytest.raises(ConfigurationError, match="expected handlers, got"):
        step.with_config({"callbacks": OtelHandler})
    with pytest.raises(ConfigurationError, match="expected a mapping"):
        step.with_config([OtelHandler()])  # type: ignore[arg-type]
