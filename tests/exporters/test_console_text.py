"""Numbers, strings and white space as JavaScript writes them; the values are those of Node.js 20."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainspan._jstext import in_key_order, stringify, to_fixed, trim
from chainspan.exporters._console_text import Crumb, start_line


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (-0.25, "-0.25"),
        (0.0001, "0.0001"),
        (1e-05, "0.00001"),
        (-1.5e-06, "-0.0000015"),
        (1e-06, "0.000001"),
        (9.999999e-07, "9.999999e-7"),
        (1e-07, "1e-7"),
        (-2.5e-10, "-2.5e-10"),
        (1.7976931348623157e-310, "1.79769313486234e-310"),
        (5e-324, "5e-324"),
        (123456789.12345679, "123456789.12345679"),
        (float("nan"), "null"),
        (float("inf"), "null"),
        (float("-inf"), "null"),
        (2**53 - 1, "9007199254740991"),
        (True, "true"),
        (None, "null"),
    ],
    ids=str,
)
def test_number_is_written_as_javascript_does(value: object, text: str) -> None:
    """Small numbers keep their zeros until 1e-6; what is no number is null."""
    assert stringify(value) == text
    assert stringify([value, "\ud800"]) == f'[\n  {text},\n  "\\ud800"\n]'


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1.0"), (-0.0, "-0.0"), (1e16, "1e+16"), (1e21, "1e+21"), (2**53 + 1, "9007199254740993")],
    ids=str,
)
def test_number_that_only_python_tells_apart_keeps_its_form(value: object, text: str) -> None:
    """A whole float stays a float, and a large integer is exact."""
    assert stringify(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("\b\t\n\f\r", r'"\b\t\n\f\r"'),
        ("\x00\x1f\x7f\x85", '"\\u0000\\u001f\x7f\x85"'),
        ("\u2028\u2029\ufeff", '"\u2028\u2029\ufeff"'),
        ('"\\/', r'"\"\\/"'),
        ("é 日本語 🦜", '"é 日本語 🦜"'),
        ("\ud800", r'"\ud800"'),
        ("a\udfffb", r'"a\udfffb"'),
        ("\udc00\ud800", r'"\udc00\ud800"'),
        ("\ud83e\udd9c", '"🦜"'),
        ('1e-05 NaN "1e-07', r'"1e-05 NaN \"1e-07"'),
        ('\ud800 1e-05 NaN "1e-07\\', r'"\ud800 1e-05 NaN \"1e-07\\"'),
    ],
    ids=ascii,
)
def test_string_is_escaped_as_json_stringify_does(value: str, text: str) -> None:
    """Only what JSON cannot hold is escaped; text that looks like a number is left alone."""
    assert stringify(value) == text
    assert stringify({value: value}) == f"{{\n  {text}: {text}\n}}"


@pytest.mark.parametrize("lone", ["", "\ud800"], ids=["fast", "slow"])
def test_containers_are_indented_by_two(lone: str) -> None:
    """Empty containers stay on their line, others get a line for each item."""
    value = {"a": [], "b": {}, "c": [1, {"d": [2]}], "e": lone}

    text = stringify(value)

    assert text == json.dumps(value, indent=2)


def test_what_cannot_be_written_is_a_value_error() -> None:
    """Nesting without end is refused in a way that the console can answer."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    with pytest.raises(ValueError, match="nests"):
        stringify(deep)


def test_depth_is_bounded_whatever_the_interpreter_allows() -> None:
    """Indented, 10,000 characters of brackets would be 50 million, which Python 3.14 does not refuse."""
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    limit = sys.getrecursionlimit()

    sys.setrecursionlimit(12_000)
    try:
        with pytest.raises(ValueError, match="nests more than"):
            stringify(deep)
    finally:
        sys.setrecursionlimit(limit)


def test_line_names_what_cannot_be_written() -> None:
    """Content that nests without end is replaced by the words of LangChain.js."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    crumbs = [Crumb("chain", "chain", "run", 1)]

    line = start_line(crumbs, {"a": deep}, color=False)

    assert line == "[chain/start] [1:chain:run] Entering Chain run with input: [inputs]"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_number_is_read_back_as_the_same_number(value: float) -> None:
    """No digit is lost, however small the number."""
    assert json.loads(stringify(value)) == value
    assert json.loads(stringify([value, "\ud800"]))[0] == value


@pytest.mark.parametrize(
    ("text", "trimmed"),
    [
        ("  a b \n\t\v\f\r", "a b"),
        ("\u00a0\ufeff\u2003\u2028\u2029\u202f\u205f\u3000\u1680a", "a"),
        ("\x1ca\x85", "\x1ca\x85"),
        ("\u200ba\u180e", "\u200ba\u180e"),
        ("", ""),
    ],
    ids=ascii,
)
def test_white_space_is_what_javascript_takes_for_it(text: str, trimmed: str) -> None:
    """The byte order mark is white space there, and control characters are not."""
    assert trim(text) == trimmed


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1.0, "1.00"),
        (13.355, "13.36"),
        (1.005, "1.00"),
        (1.125, "1.13"),
        (2.675, "2.67"),
        (8.835, "8.84"),
        (3600.0, "3600.00"),
    ],
    ids=str,
)
def test_two_digits_are_rounded_as_to_fixed_does(number: float, text: str) -> None:
    """The exact binary value counts, and of two equally near the larger is taken."""
    assert to_fixed(number, 2) == text


def test_array_indices_come_first() -> None:
    """Keys that a JavaScript object takes for indices rise; all others keep their place."""
    keys = ["b", "4294967295", "4294967294", "10", "2", "01", "-1", "1.5", "0", "a", "²"]

    ordered = list(in_key_order(dict.fromkeys(keys)))

    assert ordered == ["0", "2", "10", "4294967294", "b", "4294967295", "01", "-1", "1.5", "a", "²"]
