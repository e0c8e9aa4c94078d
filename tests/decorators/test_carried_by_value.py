"""Functions that another process cannot import, as those of a script, are carried there by value."""

from __future__ import annotations

import inspect
import pickle
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from chainspan import chain, tool

cloudpickle = pytest.importorskip("cloudpickle", reason="install cloudpickle, which is in the group `test`")


@chain(tags=["t"])
def countdown(number: int, by: int = 1) -> list[int]:
    """Count down."""
    return [] if number <= 0 else [number, *countdown(number - by)]


@chain
async def ping(number: int) -> int:
    """Call the other one."""
    return 0 if number <= 0 else 1 + await pong(number - 1)


@chain
async def pong(number: int) -> int:
    """Call the other one."""
    return 0 if number <= 0 else 1 + await ping(number - 1)


class Base:
    """Has a method."""

    @tool
    def look(self, q: str) -> str:
        """Look it up."""
        return q.upper()


class Shelf(Base):
    """Has a method of each sort."""

    @tool
    def look(self, q: str) -> str:
        """Look it up here."""
        return super().look(q) + "!"

    @chain
    @classmethod
    def make(cls, q: str) -> str:
        """Name the class."""
        return cls.__name__ + q

    @chain
    @staticmethod
    def size(q: str) -> int:
        """Measure it."""
        return len(q)


@pytest.fixture(autouse=True)
def script() -> Iterator[None]:
    """Have this module taken for one that cannot be imported elsewhere, as ``__main__`` is."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def carried(value: Any) -> Any:
    """Return what another process makes of a value."""
    return pickle.loads(cloudpickle.dumps(value))


def test_function_that_calls_itself() -> None:
    """It comes whole, with what it was decorated with, and is not the one that is here."""
    there = carried(countdown)

    assert there is not countdown
    assert there.__wrapped__ is not countdown.__wrapped__
    assert (there(3), there.invoke({"number": 4, "by": 2})) == ([3, 2, 1], [4, 2, 1])
    assert (there.__name__, there.__doc__, there._tags) == ("countdown", "Count down.", ["t"])
    assert inspect.signature(there) == inspect.signature(countdown)


async def test_functions_that_call_each_other() -> None:
    """A coroutine function is one."""
    there = carried(ping)

    assert inspect.iscoroutinefunction(there)
    assert await there(3) == await there.ainvoke(3) == 3


def test_class() -> None:
    """Its methods are bound to what they were bound to."""
    there = carried(Shelf)

    assert (there().look("a"), there.make("a"), there().make.invoke("a")) == ("A!", "Shelfa", "Shelfa")
    assert (there.size("a"), there().size.invoke("ab")) == (1, 2)
    assert carried(Shelf().look)("a") == "A!"


def test_steps_that_are_made_of_it() -> None:
    """Configured ones, those with some arguments, and rows."""
    again = carried(countdown.with_config(run_name="x"))

    assert (again(1), again._bound) == ([1], ({"run_name": "x"},))
    assert carried(countdown.bind(by=2))(4) == [4, 2, 1]
    assert carried(countdown | {"said": Shelf.size}).invoke(2) == {"said": 2}


def test_what_a_name_stands_for_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that was put in the place of another is carried as it is, also after that one has been."""
    carried(countdown)
    configured = countdown.with_config(tags=["u"])
    monkeypatch.setitem(globals(), "countdown", configured)

    assert carried(configured)._bound == ({"tags": ["u"]},)
    assert pickle.loads(pickle.dumps(configured)) is configured
