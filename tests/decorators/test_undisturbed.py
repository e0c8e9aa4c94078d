"""Where nobody listens, a decorated function is the function: what it costs, what it passes for, how it travels."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
import sys
import typing
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from langchain_core.runnables import Runnable, RunnableLambda
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel, ConfigDict

from chainspan import OtelHandler, Traced, chain, tool


def raw(x: int) -> int:
    """Return it."""
    return x


@chain
def function(x: int) -> int:
    """Return it."""
    return x


@chain
async def coroutine(x: int) -> int:
    """Return it."""
    return x


@chain
def generator(x: int) -> Iterator[int]:
    """Give it."""
    yield x


@chain
async def async_generator(x: int) -> AsyncIterator[int]:
    """Give it."""
    yield x


renamed = chain(raw)


class Called:
    """An object that can be called."""

    mark = 5

    def __call__(self, x: int) -> int:
        """Return it."""
        return x


class Box:
    """Has attributes of each sort, decorated."""

    def __init__(self, held: int = 1) -> None:
        self.held = held

    @tool
    def method(self, x: int) -> int:
        """Add."""
        return self.held + x

    @chain
    async def coroutine(self, x: int) -> int:
        """Add."""
        return self.held + x

    @chain
    def generator(self, x: int) -> Iterator[int]:
        """Add."""
        yield self.held + x

    @chain
    @classmethod
    def of_class(cls, x: int) -> tuple[str, int]:
        """Name the class."""
        return cls.__name__, x

    @classmethod
    @chain
    def in_class(cls, x: int) -> tuple[str, int]:
        """Name the class."""
        return cls.__name__, x

    @chain
    @staticmethod
    def static(x: int) -> int:
        """Return it."""
        return x

    @staticmethod
    @chain
    def in_static(x: int) -> int:
        """Return it."""
        return x

    size = chain(len)
    upper = chain(str.upper)
    called = chain(Called())


class Derived(Box):
    """Calls what it overrides."""

    @chain
    def method(self, x: int) -> int:
        """Add more."""
        return super().method(x) * 10


def dispose(made: Any) -> None:
    """Close what was made and is not wanted."""
    if inspect.iscoroutine(made):
        made.close()


def calls_in(work: Callable[[], object]) -> int:
    """Count the Python functions that are entered."""
    entered = []

    def note(_: object, event: str, __: object) -> None:
        entered.append(event)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return entered.count("call")


ASYNC_AND_NOT: list[Any] = [function, coroutine, generator, async_generator]


@pytest.mark.parametrize("decorated", ASYNC_AND_NOT, ids=lambda step: step.__name__)
def test_what_a_call_costs(decorated: Any) -> None:
    """A call of whatever sort enters one function of ours more."""
    plain = decorated.__wrapped__

    assert calls_in(lambda: dispose(decorated(1))) == calls_in(lambda: dispose(plain(1))) + 1
    assert calls_in(lambda: dispose(decorated(x=1))) == calls_in(lambda: dispose(plain(x=1))) + 1


@pytest.mark.parametrize("name", ["method", "coroutine", "generator", "of_class", "in_static", "static"])
def test_what_a_call_of_a_method_costs(name: str) -> None:
    """A method is looked up, which is another one; a static method is looked up in a longer way."""
    box = Box()
    plain = getattr(box, name).__wrapped__
    most = {"static": 5, "in_static": 1}.get(name, 2)

    assert calls_in(lambda: dispose(getattr(box, name)(1))) <= calls_in(lambda: dispose(plain(1))) + most


def test_chain_that_nobody_listens_to() -> None:
    """Inside a chain of LangChain's without handlers, a call is no more than a call either."""
    counted: list[int] = []
    count: Runnable[None, None] = RunnableLambda(lambda _: counted.append(calls_in(lambda: function(1))))

    count.invoke(None)

    assert counted == [calls_in(lambda: raw(1)) + 2]  # and the question whether anybody listens


def test_generators_are_the_functions_own() -> None:
    """What is returned is nothing of ours."""
    made: Any = generator(1)

    assert inspect.getgeneratorstate(made) == "GEN_CREATED"
    assert made.gi_code is generator.__code__


def test_methods_of_all_sorts() -> None:
    """Functions are bound to the object, class methods to the class, other callables as they would be undecorated."""
    box: Any = Box(2)

    assert (box.method(1), Derived(2).method(1), Box.method(box, 1)) == (3, 30, 3)
    derived: Any = Derived
    assert (box.of_class(1), derived.of_class(1), derived().in_class(1)) == (("Box", 1), ("Derived", 1), ("Derived", 1))
    assert (box.static(1), derived.static(1), box.in_static(1)) == (1, 1, 1)
    assert (box.size("ab"), box.called(3), Box.called.mark) == (2, 3, 5)
    assert Box.upper("a") == "A"


def test_method_passes_for_a_method() -> None:
    """Its signature lacks the object; two look-ups are equal; it can be hashed and referred to weakly."""
    box, other = Box(), Box()

    assert str(inspect.signature(box.method)) == "(x: 'int') -> 'int'"
    assert (box.method.__doc__, box.method.__name__, box.method.__qualname__) == ("Add.", "method", "Box.method")
    assert (box.method.__module__, inspect.getmodule(box.method)) == (__name__, sys.modules[__name__])
    assert type(box.method).__module__.startswith("chainspan.")
    assert box.method == box.method
    assert box.method != other.method
    assert box.method != raw
    assert len({box.method, box.method, other.method}) == 2
    assert box.method.__self__ is box
    method = box.method
    assert weakref.ref(method)() is method
    assert typing.get_type_hints(box.method) == {"x": int, "return": int}
    assert inspect.iscoroutinefunction(box.coroutine)
    assert inspect.isgeneratorfunction(box.generator)
    assert functools.partial(box.method, 1)() == 2
    assert "invoke" in dir(box.method)
    assert repr(box.method).startswith("<tool method: <bound method Box.method of ")


def test_method_passes_for_a_step(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """It is invoked, composed and configured as any."""
    box: Any = Box()

    method: object = box.method
    assert [isinstance(method, kind) for kind in (Traced, Runnable)] == [True, True]
    assert (box.method | chain(str)).invoke(1, callbacks=[handler]) == "2"
    assert (int | box.method).invoke("1", callbacks=[handler]) == 2
    assert box.method.with_config(callbacks=[handler])(3) == 4
    assert copy.copy(box.method)(1) == 2
    assert [span.name for span in memory.get_finished_spans()] == [
        "execute_tool method",
        "str",
        "Sequence",
        "int",
        "execute_tool method",
        "Sequence",
        "execute_tool method",
    ]


def test_handlers_bound_to_a_method(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """They hear of each call, of whichever object."""

    class Bound:
        @chain(callbacks=[handler])
        def method(self, x: int) -> int:
            return x

        @chain(callbacks=[handler])
        @classmethod
        def of_class(cls, x: int) -> int:
            return x

    bound: Any = Bound
    assert (bound().method(1), bound().of_class(2), bound.of_class(3)) == (1, 2, 3)
    one = bound()
    assert one.method == one.method
    assert len(memory.get_finished_spans()) == 3


def test_method_that_was_kept(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """A method that was looked up outside of a run joins the run in which it is called."""
    method = Box().method

    chain(lambda: method(1)).invoke(callbacks=[handler])

    assert [span.name for span in memory.get_finished_spans()] == ["execute_tool method", "lambda"]


def test_frames_of_a_recursion(handler: OtelHandler) -> None:
    """Each level of one takes four frames of the thousand that Python allows, and one call of ours without a run."""

    @chain
    def depths(levels: int) -> list[int]:
        frame, here = inspect.currentframe(), 0
        while frame is not None:
            frame, here = frame.f_back, here + 1
        return [here, *(depths(levels - 1) if levels else [])]

    for callbacks, most in ([], 2), ([handler], 4):
        levels = depths.invoke(2, callbacks=callbacks)[1:]
        assert levels[1] - levels[0] == most


async def test_names_of_what_is_yet_to_run(handler: OtelHandler) -> None:
    """What a warning, a traceback of a task or a debugger shows of it is the function, also inside a traced run."""

    @chain
    async def outer() -> list[Any]:
        return [coroutine(1), generator(1), async_generator(1), chain(functools.partial(coroutine.__wrapped__, 1))()]

    for made in (await outer(), await outer.ainvoke(callbacks=[handler])):
        assert [one.__name__ for one in made] == ["coroutine", "generator", "async_generator", "coroutine"]
        assert [one.__qualname__ for one in made] == ["coroutine", "generator", "async_generator", "coroutine"]
        for one in made[::3]:
            one.close()


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickling(protocol: int) -> None:
    """A decorated function travels to other processes as functions do, by name; so do methods, copies and rows."""

    def again(value: Any) -> Any:
        return pickle.loads(pickle.dumps(value, protocol))

    assert again(function) is function
    assert again(renamed)(1) == 1
    assert again(Box.method) is Box.method
    assert again(Box(5).method)(1) == 6
    assert again(Box(5).method.with_config(tags=["a"]))(1) == 6
    assert again(function.with_config(run_name="x"))._bound == ({"run_name": "x"},)
    assert again(function.bind(x=1).bind(x=2))() == function(2)
    assert again(Box(5).method.bind(x=1))() == 6
    assert again(function | renamed | {"a": renamed}).invoke(1) == {"a": 1}
    assert copy.deepcopy(function) is function


def test_functions_without_a_name_cannot_be_pickled() -> None:
    """No more than undecorated they can."""
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(chain(lambda: None))


class Order(BaseModel):
    """A model with a decorated method, which is no field."""

    model_config = ConfigDict(ignored_types=(Traced,))
    amount: int

    @chain
    def total(self, tax: int) -> int:
        """Add."""
        return self.amount + tax


def test_methods_of_models(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """A method of a model of pydantic's is one, where the model is told that it is no field."""
    order = Order(amount=1)

    assert (order.total(2), order.total.invoke({"tax": 2}, callbacks=[handler])) == (3, 3)
    assert order.model_dump() == {"amount": 1}
    assert [span.name for span in memory.get_finished_spans()] == ["total"]
