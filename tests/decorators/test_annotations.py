"""What the annotations of a decorated function are, and that they need not name what there is."""

from __future__ import annotations

import functools
import inspect
import json
import sys
import typing
from textwrap import dedent
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chainspan import OtelHandler, Traced, chain

# Without the import above, as most write: annotations are evaluated, from Python 3.14 on when somebody asks for them.
PROGRAM = """
    from chainspan import chain

    @chain
    def add(x: {type}, y: int = 2) -> {type}:
        return x + y

    class Box:
        @chain
        def method(self, x: {type}) -> int:
            return x
"""
LATER = "Later"  # for type checkers only, or defined further below


def made(annotation: str) -> Any:
    """Return what a module has in which that is a type."""
    program: dict[str, Any] = {"__name__": "program"}
    exec(compile(dedent(PROGRAM.format(type=annotation)), "program.py", "exec", dont_inherit=True), program)
    return program


@chain
def described(x: int) -> str:
    """Return it as text."""
    return str(x)


def test_annotations_are_those_of_the_function() -> None:
    """They are there for whoever asks, in the form that the function has them in."""
    program = made("float")

    add, method = program["add"], program["Box"]().method

    assert add.__annotations__ == inspect.get_annotations(add) == {"x": float, "y": int, "return": float}
    assert inspect.get_annotations(method) == typing.get_type_hints(method) == {"x": float, "return": int}
    assert inspect.get_annotations(described) == {"x": "int", "return": "str"}
    assert typing.get_type_hints(described) == {"x": int, "return": str}
    assert inspect.get_annotations(chain(functools.partial(described, 1))) == {}
    assert typing.get_type_hints(Traced) is not None


@pytest.mark.skipif(sys.version_info < (3, 14), reason="annotations are evaluated at once before Python 3.14")
def test_annotations_need_not_name_what_there_is(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """A function is called with what a mapping has for its parameters, and its input is named after them."""
    program = made(LATER)

    assert program["add"].invoke({"x": 1}, callbacks=[handler]) == 3
    assert program["Box"]().method.invoke({"x": 4}, callbacks=[handler]) == 4
    assert chain(lambda: program["add"](1, y=5)).invoke(callbacks=[handler]) == 6

    inputs = [json.loads(str((span.attributes or {})["input.value"])) for span in memory.get_finished_spans()]
    assert inputs == [{"x": 1}, {"x": 4}, {"x": 1, "y": 5}, {}]
    with pytest.raises(NameError, match=LATER):
        typing.get_type_hints(program["add"])
    program[LATER] = int
    assert typing.get_type_hints(program["add"]) == {"x": int, "y": int, "return": int}
