"""Hypothesis strategies for what may come out of an application: ordinary values and hostile ones."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

__all__ = ["HOSTILE", "hostile_values", "json_values", "texts"]


class Colour(str, enum.Enum):
    """An enum that is a text as well."""

    RED = "red"


class Number(enum.IntEnum):
    """An enum that is a number as well."""

    ONE = 1


class RaisesOnEverything:
    """An object whose every method raises."""

    def __repr__(self) -> NoReturn:
        raise RuntimeError("no repr")

    def __str__(self) -> NoReturn:
        raise RuntimeError("no str")

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_repr_"):  # asked for by Hypothesis, to print a failing example
            raise AttributeError(name)
        raise RuntimeError(f"no {name}")


class RaisesInDump(BaseModel):
    """A pydantic model that refuses to be dumped."""

    text: str = "kept"

    def model_dump(self, **_: Any) -> NoReturn:
        raise RuntimeError("no dump")

    def __repr__(self) -> NoReturn:
        raise RuntimeError("no repr")


class RaisingMapping(Mapping[str, object]):
    """A mapping that raises when it is read."""

    def __getitem__(self, key: str) -> NoReturn:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(["there"])

    def __len__(self) -> int:
        return 1


class LyingText(str):
    """A text that says something else about itself."""

    __slots__ = ()

    def __str__(self) -> NoReturn:
        raise RuntimeError("no str")


@dataclass
class Point:
    """A dataclass that holds anything."""

    x: object
    y: object = None


class WithSecret(BaseModel):
    """A pydantic model that holds a secret."""

    key: SecretStr = SecretStr("canary")


def _cycle() -> list[Any]:
    values: list[Any] = [1]
    values.append({"again": values})
    return values


def _deep() -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for _ in range(2_000):
        tree = {"in": tree}
    return tree


HOSTILE: list[Any] = [
    RaisesOnEverything(),
    RaisesInDump(),
    RaisingMapping(),
    RaisesOnEverything,
    LyingText("text"),
    WithSecret(),
    _cycle(),
    _deep(),
    Colour.RED,
    Number.ONE,
    {Colour.RED: 1, "red": 2},
    {1: "a", "1": "b", None: "c", (1, 2): "e", b"k": "f"},
    {RaisesOnEverything(): 1},
    float("nan"),
    float("inf"),
    -float("inf"),
    2**63,
    -(2**64),
    10**5_000,
    "\ud800",
    {"\udfff": "\ud83d"},
    "a\x00b\u2028",
    b"\xff" * 100,
    bytearray(b"abc"),
    memoryview(b"abc"),
    set("ab"),
    frozenset({1}),
    iter([1, 2]),
    (value for value in [1]),
    lambda: None,
    len,
    object(),
    ValueError("said"),
    decimal.Decimal("1.10"),
    decimal.Decimal("NaN"),
    uuid.UUID(int=1),
    dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.timezone.utc),
    dt.timedelta(seconds=1),
    complex(1, 2),
    range(10**12),
    Point(1, Point(2)),
    type("Dynamic", (), {"__module__": None})(),
]


def _hostile(index: int) -> Any:
    return HOSTILE[index]


texts = st.text(st.characters(codec=None), max_size=200)
_scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
json_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(texts, inner, max_size=6),
    max_leaves=30,
)
hostile_values = st.recursive(
    # By their place in the list, since Hypothesis would print the values themselves.
    _scalars | st.integers(0, len(HOSTILE) - 1).map(_hostile) | st.binary(max_size=200),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.tuples(inner, inner)
        | st.dictionaries(texts | st.integers() | st.none(), inner, max_size=5)
        | inner.map(Point)
    ),
    max_leaves=20,
)
