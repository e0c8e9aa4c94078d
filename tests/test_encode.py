"""Any value becomes JSON text: valid, harmless and as small as asked for."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import strategies

from chainspan._encode import (
    base64_marker,
    binary_marker,
    dumps,
    flat,
    is_secret_key,
    is_suspicious,
    mask_text,
    message_of,
    plain,
    register,
    shortened,
    shrink,
    to_json,
)
from chainspan._encode._visitors import VISITORS
from chainspan._model import Message

BLOB = base64.b64encode(bytes(range(256))).decode()


@given(strategies.hostile_values)
def test_anything_becomes_valid_json(value: object) -> None:
    """Whatever a value is made of, its text parses and has a UTF-8 form."""
    text = to_json(value)

    json.loads(text)
    text.encode()


@given(strategies.hostile_values, st.integers(min_value=200, max_value=2_000))
def test_a_budget_holds(value: object, limit: int) -> None:
    """From 200 bytes up the text fits into any budget and still parses (pains #37)."""
    text = to_json([value, "x" * 3_000], limit_bytes=limit)

    assert len(text.encode()) <= limit
    json.loads(text)


@given(st.dictionaries(st.one_of(st.text(max_size=9), st.integers()), strategies.hostile_values, max_size=3))
def test_what_is_taken_without_a_walk_is_what_a_walk_makes_of_it(value: dict[Any, Any]) -> None:
    """The short way that most inputs go leads to the same place."""
    taken = flat(value, lambda _: None)

    assert taken is None or dumps(taken) == to_json(value)


@pytest.mark.parametrize(
    "value",
    [
        {"text": "x", "number": 1, "ratio": 0.5, "flag": True, "nothing": None},
        {},
    ],
)
def test_short_plain_values_are_taken_without_a_walk(value: dict[str, object]) -> None:
    """What most steps are given is copied, since another thread may change it meanwhile."""
    taken = flat(value, lambda _: None)

    assert taken == value
    assert taken is not value


@pytest.mark.parametrize(
    "held",
    ["x" * 256, 1 << 63, float("nan"), float("inf"), [], {}, b"x", type("Text", (str,), {})("x")],
    ids=repr,
)
def test_other_values_are_left_to_a_walk(held: object) -> None:
    """What has to be counted, changed or gone into is not taken as it is."""
    assert flat({"key": held}, lambda _: None) is None
    assert flat({"key": "x"}, lambda key: f"[{key}]") is None
    assert flat({1: "x"}, lambda _: None) is None
    assert flat(dict.fromkeys(map(str, range(33)), "x"), lambda _: None) is None


@given(strategies.json_values)
def test_plain_data_is_kept(value: Any) -> None:
    """What JSON can say comes back as it was, but for numbers and characters that it cannot."""
    text = to_json(value)

    assert to_json(json.loads(text)) == text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("東京 'n\"", '"東京 \'n\\""', id="readable"),
        pytest.param([float("nan"), float("inf"), -float("inf")], '["NaN","Infinity","-Infinity"]', id="not-finite"),
        pytest.param([2**63 - 1, 2**63], '[9223372036854775807,"9223372036854775808"]', id="over-64-bit"),
        pytest.param(10**5_000, '"[int of 16610 bits]"', id="unprintable-int"),
        pytest.param("a\ud800\ud83d\ude00", '"a\ufffd😀"', id="surrogates"),
        pytest.param(strategies.Colour.RED, '"red"', id="enum"),
        pytest.param({strategies.Number.ONE: 1, None: 2, 1.5: 3}, '{"1":1,"none":2,"1.5":3}', id="keys"),
        pytest.param({1: "a", "1": "b"}, '{"1":"a","1~":"b"}', id="same-key-twice"),
        pytest.param(b"\x00\x01", '"[bytes 2 bytes sha256:b413f47d13ee2fe6]"', id="bytes"),
        pytest.param({"b", "a"}, '["a","b"]', id="set"),
        pytest.param(strategies.Point(1, (2,)), '{"x":1,"y":[2]}', id="dataclass"),
        pytest.param(strategies.RaisesInDump(), '{"text":"kept"}', id="model-that-refuses"),
        pytest.param(
            strategies.RaisesOnEverything(), '"[unprintable tests.strategies.RaisesOnEverything]"', id="hostile"
        ),
        pytest.param(strategies.WithSecret(), '{"key":"[secret]"}', id="secret-str"),
        pytest.param(object(), '"[builtins.object]"', id="unknown"),
        pytest.param((item for item in [1]), '"[generator <genexpr>]"', id="generator"),
        pytest.param(ValueError("no"), '{"error":"builtins.ValueError","message":"no"}', id="exception"),
    ],
)
def test_values_without_json(value: object, expected: str) -> None:
    """Each kind of value that JSON has no form for has a readable one of ours."""
    VISITORS.pop(strategies.RaisesOnEverything, None)  # which a busy machine may have found slow in another test

    assert to_json(value) == expected


def test_a_value_that_contains_itself_ends() -> None:
    """A cycle is marked where it closes; the same value twice side by side is none."""
    shared = [1]
    values: list[object] = [shared, shared]
    values.append(values)

    assert to_json(values) == '[[1],[1],"[cycle]"]'


class Timed:
    """Takes its time to print, where it is told to."""

    printed = 0

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __repr__(self) -> str:
        Timed.printed += 1
        until = time.thread_time() + self.seconds
        while time.thread_time() < until:
            pass
        return "Timed()"


def test_a_class_that_prints_slowly_is_asked_twice() -> None:
    """Nothing can stop foreign code that runs, but it need not be run for ever."""
    VISITORS.pop(Timed, None)
    Timed.printed = 0

    texts = [to_json(Timed(0.01)) for _ in range(4)]

    assert texts == [*['"Timed()"'] * 2, *[f'"[{__name__}.Timed]"'] * 2]
    assert Timed.printed == 2


def test_a_class_that_prints_slowly_once_is_printed() -> None:
    """The garbage collector may run while a value is printed, of which its class knows nothing."""
    VISITORS.pop(Timed, None)

    texts = [to_json(Timed(seconds)) for seconds in (0.01, 0.0, 0.01, 0.0)]

    assert texts == ['"Timed()"'] * 4


def test_of_much_data_the_beginning_is_hashed() -> None:
    """To hash megabytes takes longer than a callback may; data as it is and as base64 are known by the same hash."""
    data = bytes(range(256)) * 1_000
    of_first = hashlib.sha256(data[: 64 * 1024]).hexdigest()[:16]

    marker = f"[image/png 256000 bytes first 64 KB sha256:{of_first}]"
    assert binary_marker("image/png", data) == marker
    assert base64_marker("image/png", base64.b64encode(data)) == marker
    assert base64_marker("image/png", base64.encodebytes(data)) == marker


def test_of_a_very_long_text_characters_are_counted() -> None:
    """How many bytes those are that are not ASCII would take a look at each of them."""
    assert shortened("ä" * 1_000_000, 300) == f"{'ä' * 66}[+999901 characters]{'ä' * 33}"
    assert shortened("ä" * 1_000, 300) == f"{'ä' * 66}[+1802 bytes]{'ä' * 33}"


def test_rows_of_plain_values_are_all_kept() -> None:
    """A table counts by its values, anything deeper by its containers as well."""
    rows = [{"id": number, "name": "x", "ok": True} for number in range(300)]

    assert plain({"rows": rows}, room=1_300) == {"rows": rows}
    assert len(plain({"rows": [{**row, "more": []} for row in rows]}, room=1_300)["rows"]) == 65


def test_depth_and_number_are_bounded() -> None:
    """Neither nesting nor length makes the text or the time grow without end."""
    deep = to_json(strategies.HOSTILE[7])
    long = to_json(list(range(1_000_000)))

    assert deep.count("in") == 64
    assert deep.endswith('"[too deep]"' + "}" * 64)
    assert json.loads(long) == [*range(32), "[+999936]", *range(999_968, 1_000_000)]


def test_a_generator_is_not_consumed() -> None:
    """Recording an iterator leaves every value to the application."""
    values = iter([1, 2])

    to_json({"stream": values})

    assert list(values) == [1, 2]


def test_a_dict_that_changes_meanwhile_is_survived() -> None:
    """A state that another thread writes to is recorded as it was at some moment."""
    state: dict[int, int] = {}
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            state[number % 100] = number
            state.pop((number + 50) % 100, None)
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(500):
            json.loads(to_json({"state": state}))
    finally:
        stop.set()
        writer.join()


def test_a_class_can_be_registered_by_name() -> None:
    """An adapter tells how its framework's objects look without importing the framework here."""

    class Widget:
        pass

    register(f"{__name__}.{Widget.__qualname__}", lambda _: {"widget": strategies.Point(1)})

    assert to_json([Widget()]) == '[{"widget":{"x":1,"y":null}}]'


def test_a_registered_message_is_known_as_one() -> None:
    """A framework's message can be asked for as ours; anything else is none."""

    class Said:
        pass

    said = Message(role="user", parts=[{"type": "text", "content": "hi"}])
    register(f"{__name__}.{Said.__qualname__}", lambda _: said)

    assert message_of(Said()) is said
    assert message_of("hi") is None
    assert to_json([Said()]) == '[{"role":"user","parts":[{"type":"text","content":"hi"}]}]'


# ---------------------------------------------------------------- shortening


def test_the_longest_texts_are_shortened_first() -> None:
    """Short texts stay whole while long ones are; each says how much is missing."""
    tree = {"long": "l" * 500, "longer": "m" * 900, "short": "s" * 50}

    short = json.loads(shrink(tree, 600))

    assert short == {
        "long": f"{'l' * 156}[+266 bytes]{'l' * 78}",
        "longer": f"{'m' * 156}[+666 bytes]{'m' * 78}",
        "short": "s" * 50,
    }


def test_structure_survives_shortening() -> None:
    """Roles, types and ids stay whole, and head and tail of what was cut (pains #37)."""
    messages = [
        {"role": "user", "parts": [{"type": "text", "content": f"{n} begin {'x' * 5_000} end {n}"}]} for n in range(4)
    ]

    short = json.loads(shrink(messages, 1_000))

    assert [message["role"] for message in short] == ["user"] * 4
    assert [message["parts"][0]["type"] for message in short] == ["text"] * 4
    assert short[3]["parts"][0]["content"].startswith("3 begin xxx")
    assert short[3]["parts"][0]["content"].endswith("x end 3")


def test_bytes_are_counted_and_not_characters() -> None:
    """A text of characters that take four bytes is cut to a quarter of their number."""
    text = shrink(["😀" * 1_000], 1_000)

    assert len(text.encode()) <= 1_000
    assert len(text) < 270


def test_escapes_are_counted() -> None:
    """Characters that JSON writes as six take the room of six."""
    text = shrink(["\x00" * 1_000], 1_000)

    assert len(text) <= 1_000
    assert json.loads(text)[0].startswith("\x00" * 50)


def test_a_long_list_loses_its_middle() -> None:
    """Where shortening texts does not help, elements are left out and counted."""
    text = shrink(list(range(10_000)), 300)

    assert json.loads(text) == [*range(32), "[+9936]", *range(9_968, 10_000)]


def test_as_much_as_fits_is_kept() -> None:
    """A single long text fills its budget."""
    text = shrink("x" * 10_000, 1_000)

    assert 950 <= len(text) <= 1_000


# ---------------------------------------------------------------- secrets and binary data

SECRETS = [
    "sk-proj-abcdefghijklmnopqrstuvwx",
    "sk-ant-api03-abcdefghijklmnopqrstuvwx-AA",
    "AIzaSyA1234567890123456789012345678901",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "github_pat_11ABCDEFG0abcdefghijklmnop",
    "xoxb-1234567890-abcdefghij",
    "hf_abcdefghijklmnopqrstuvwxyz",
    "gsk_abcdefghijklmnopqrstuvwxyz",
    "lsv2_pt_abcdefghijklmnopqrstuvwx",
    "pk-lf-12345678-1234-1234-1234-123456789012",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("around", ["{}", "my key is {} ok?", '{{"a": "{}"}}', "é{}é", "url?x={}&y=1"])
def test_a_key_in_a_text_is_masked(secret: str, around: str) -> None:
    """Keys of well-known formats are masked wherever they stand, and nothing around them."""
    assert mask_text(around.format(secret)) == around.format("[secret]")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Authorization: Bearer abcdefgh", "Authorization: Bearer [secret]"),
        ("bearer abcdefgh!", "bearer [secret]!"),
        ("api_key=hunter22&x=1", "api_key=[secret]&x=1"),
        ("{'x-api-key': 'hunter22'}", "{'x-api-key': '[secret]'}"),
        ('{\\"password\\": \\"hunter22\\"}', '{\\"password\\": \\"[secret]\\"}'),
        ("postgres://user:hunter22@host/db", "postgres://user:[secret]@host/db"),
        ("https://host/v1?key=hunter22", "https://host/v1?key=[secret]"),
        ("AWS_SECRET_ACCESS_KEY=hunter22", "AWS_SECRET_ACCESS_KEY=[secret]"),
    ],
)
def test_an_assigned_secret_is_masked(text: str, expected: str) -> None:
    """What is assigned to the name of a secret is masked, in headers, addresses and JSON in JSON."""
    assert mask_text(text) == expected


@pytest.mark.parametrize(
    "secret", [*SECRETS, "password\n: hunter22", "secret\x0b=hunter22", "postgres://ü:geheim@host"]
)
@pytest.mark.parametrize("around", ["{}", "\n{}", "é{}é", "\x00{}"])
def test_json_is_suspected_wherever_a_text_is_masked(secret: str, around: str) -> None:
    """What the one search for secrets passes over in JSON is nothing that would be masked in its texts."""
    text = around.format(secret)

    assert mask_text(text) != text
    assert is_suspicious(dumps({"said": text}).encode())


@pytest.mark.parametrize(
    "text",
    [
        "The secret of a good key is the token count: 5 of them.",
        "password: null, token=None",
        "max_tokens=100 and total_tokens: 5000",
        "x" * 200,
        "a/path/that/is/rather/long/" * 5,
        "a-slug-of-many-words-" * 6,
        "https://example.com/a/page?id=12345678-1234-1234-1234-123456789012",
        "call_abcdefghijklmnopqrstuvwx",
        "the signature: def f(sig=design, signature=None); sigma=5 and https://h/?design=plain&sigil=plain",
    ],
)
def test_ordinary_texts_are_left_alone(text: str) -> None:
    """Talk about secrets, long words, paths and ids is no secret."""
    assert mask_text(text) == text


@pytest.mark.parametrize(
    ("key", "is_secret"),
    [
        ("api_key", True),
        ("X-API-Key", True),
        ("openaiApiKey", True),
        ("accessToken", True),
        ("Authorization", True),
        ("client_secret", True),
        ("password", True),
        ("set-cookie", True),
        ("key", False),
        ("max_tokens", False),
        ("token_count", False),
        ("secretary", False),
        ("keyword", False),
    ],
)
def test_names_of_secrets(key: str, is_secret: bool) -> None:
    """A key is known for a secret's by what its name ends in, however it is written."""
    assert is_secret_key(key) is is_secret


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"data:image/png;base64,{BLOB}", "[image/png 256 bytes sha256:40aff2e9d2d8922e]"),
        (f"see {BLOB} there", "see [base64 256 bytes sha256:40aff2e9d2d8922e] there"),
        (BLOB.replace("+", "-").replace("/", "_"), "[base64 256 bytes sha256:40aff2e9d2d8922e]"),
        ("\n".join(BLOB[at : at + 76] for at in range(0, len(BLOB), 76)), "[base64 256 bytes sha256:40aff2e9d2d8922e]"),
    ],
    ids=["data-url", "in-text", "url-safe", "in-lines"],
)
def test_binary_data_becomes_type_size_and_hash(text: str, expected: str) -> None:
    """Base64 is replaced in any of its spellings, and one thing has one hash in all of them."""
    assert mask_text(text) == expected


@given(st.binary(min_size=150, max_size=600), st.text(max_size=20), st.text(max_size=20))
def test_no_long_run_of_base64_remains(data: bytes, before: str, after: str) -> None:
    """Random binary data leaves no run of its base64 behind, whatever stands around it."""
    encoded = base64.b64encode(data).decode()
    if len(set(data)) < 20:  # not told from a word
        return

    masked = mask_text(f"{before} {encoded} {after}")

    assert encoded[:65] not in masked


@given(strategies.texts)
def test_masking_never_raises_and_is_stable(text: str) -> None:
    """A text masked twice is the text masked once."""
    once = mask_text(text)

    assert mask_text(once) == once


@given(strategies.hostile_values)
def test_plain_data_needs_no_further_care(value: object) -> None:
    """What `plain` returns, the encoder writes."""
    json.loads(dumps(plain(value)))
