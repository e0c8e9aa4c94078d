"""Secrets and binary data are found whole in texts of any kind, and nothing else is lost."""

from __future__ import annotations

import base64
import json
import random
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chainspan._content import ContentPolicy, Gate
from chainspan._encode import binary_marker, dumps, is_suspicious, mask_text

RANDOM = random.Random(7)
NOISE = RANDOM.randbytes(4_800)
SVG = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'><path d='M0 0L8 8'/></svg>"
QUOTED_SVG = SVG.replace("'", '"')
PERCENT_SVG = SVG.replace("<", "%3C").replace(">", "%3E").replace(" ", "%20")


def in_lines(data: bytes, width: int, end: str) -> str:
    """Return base64 in lines, as openssl prints it."""
    text = base64.b64encode(data).decode()
    return end.join(text[at : at + width] for at in range(0, len(text), width))


# ---------------------------------------------------------------- secrets by their name

MASKED = [
    ('{"password": "correct horse battery staple"}', '{"password": "[secret]"}'),
    ('{"password": "pa55,word&tail)more", "user": "u"}', '{"password": "[secret]", "user": "u"}'),
    ('{"password": "a\\"b\\\\", "user": "u"}', '{"password": "[secret]", "user": "u"}'),
    ('{"password": "x"}', '{"password": "[secret]"}'),
    ('{"password": " x y "}', '{"password": "[secret]"}'),
    ('{"password": "none of it"}', '{"password": "[secret]"}'),
    ('{"password": 12345678}', '{"password": "[secret]"}'),
    ('{"x": "{\\"password\\": \\"a b, c\\", \\"y\\": 1}"}', '{"x": "{\\"password\\": \\"[secret]\\", \\"y\\": 1}"}'),
    ("{'api_key': 'abc def ghi', 'a': 1}", "{'api_key': '[secret]', 'a': 1}"),
    ("{'password': \"it's so\", 'a': 1}", "{'password': \"[secret]\", 'a': 1}"),
    ("{'password': 'it''s so', 'a': 1}", "{'password': '[secret]', 'a': 1}"),
    ('password="two words" next', 'password="[secret]" next'),
    ("password = 'a b' # why", "password = '[secret]' # why"),
    ('{"password": "cut off in the mid', '{"password": "[secret]'),
    ('cfg.Password := "two words"', 'cfg.Password := "[secret]"'),
    ("if api_key == 'hunter22':", "if api_key == '[secret]':"),
    ("AccountName=a;AccountKey=hunter22==;EndpointSuffix=b", "AccountName=a;AccountKey=[secret];EndpointSuffix=b"),
    ("the password: must be changed", "the password: [secret] be changed"),
    ("https://h/?api_key=hunter22&x=1", "https://h/?api_key=[secret]&x=1"),
    (
        "https://h/x?X-Amz-Expires=9&X-Amz-Signature=5d672d79&x=1",
        "https://h/x?X-Amz-Expires=9&X-Amz-Signature=[secret]&x=1",
    ),
    ("![plot](https://h/x?X-Goog-Signature=5d672d79)", "![plot](https://h/x?X-Goog-Signature=[secret])"),
    ("https://h/c?sv=1&sig=ab%2Bc%3D&se=2", "https://h/c?sv=1&sig=[secret]&se=2"),
    (
        '<img src="https://h/x?Expires=9&amp;Signature=ab~c_-">',
        '<img src="https://h/x?Expires=9&amp;Signature=[secret]">',
    ),
    (
        '{"url": "https://h/x?a=1\\u0026sig=abcdef\\u0026b=1"}',
        '{"url": "https://h/x?a=1\\u0026sig=[secret]\\u0026b=1"}',
    ),
    ("Cookie: theme=dark; session=abc123\r\nHost: h", "Cookie: [secret]\r\nHost: h"),
    ("Set-Cookie: id=a3fWa; Expires=Wed, 21 Oct 2015\nX: y", "Set-Cookie: [secret]\nX: y"),
    ("curl -H 'Cookie: a=b; c=d' https://h", "curl -H 'Cookie: [secret]' https://h"),
    ('{"raw": "Cookie: a=b; c=d\\r\\nHost: h"}', '{"raw": "Cookie: [secret]\\r\\nHost: h"}'),
    ('{"Cookie": "theme=dark; session=abc"}', '{"Cookie": "[secret]"}'),
    ("Authorization: Token abcdef0123", "Authorization: Token [secret]"),
    ("Authorization: ApiKey ab:cd, ef", "Authorization: ApiKey [secret]"),
    ("Authorization: Basic dXNlcjpwYXNz\nX: y", "Authorization: Basic [secret]\nX: y"),
    (
        "Authorization: AWS4-HMAC-SHA256 Credential=AKID/2015, SignedHeaders=host;range, Signature=5d67\nX: y",
        "Authorization: AWS4-HMAC-SHA256 [secret]\nX: y",
    ),
    (
        'Authorization: Digest username="Mufasa", realm="a b", response="6629fae4"\nX: y',
        "Authorization: Digest [secret]\nX: y",
    ),
    ('-H "Authorization: Basic dXNlcjpwYXNz=" -H "X: y"', '-H "Authorization: Basic [secret]" -H "X: y"'),
    ('{"a": "Authorization: Basic dXNlcg==", "b": "c"}', '{"a": "Authorization: Basic [secret]", "b": "c"}'),
    ('{"a": "Authorization: Digest u=\\"M\\", r=\\"x y\\""}', '{"a": "Authorization: Digest [secret]"}'),
    ('{"Authorization": "Digest u=\\"M\\", r=\\"x\\""}', '{"Authorization": "Digest [secret]"}'),
    ("Authorization: Custom abc123 def", "Authorization: [secret]"),
    ('{"Authorization": "Bearer ab cd"}', '{"Authorization": "Bearer [secret]"}'),
    ('[["x-api-key", "hunter"], ["accept", "*/*"]]', '[["x-api-key", "[secret]"], ["accept", "*/*"]]'),
    ('[["accept", "*/*"], ["x-api-key", "hunter"]]', '[["accept", "*/*"], ["x-api-key", "[secret]"]]'),
    ("('authorization', 'Bearer abc')", "('authorization', 'Bearer [secret]')"),
    ("[(b'authorization', b'Token a b')]", "[(b'authorization', b'Token [secret]')]"),
    ('"[[\\"x-api-key\\",\\"a b1\\"]]"', '"[[\\"x-api-key\\",\\"[secret]\\"]]"'),
]


@pytest.mark.parametrize(("text", "expected"), MASKED)
def test_a_named_secret_is_masked_to_its_end(text: str, expected: str) -> None:
    """Quoted values go to their closing quote, headers to the end of the line, and what follows stays."""
    assert mask_text(text) == expected


@pytest.mark.parametrize("text", [text for text, _ in MASKED])
def test_what_is_masked_was_suspected_in_json(text: str) -> None:
    """The one search finds in JSON, once and twice escaped, what is masked in its texts; masked text stays."""
    once = mask_text(text)

    assert mask_text(once) == once
    assert is_suspicious(dumps([text]).encode())
    assert is_suspicious(dumps([dumps([text])]).encode())


VALUES = st.text(st.sampled_from("ab1 ,&)}]:;='\"\\\n{[/é"), max_size=12)
KEYS = st.sampled_from(["password", "Authorization", "cookie", "x-api-key", "plain", "raw"])
HEADS = st.sampled_from(["", "password: ", "Cookie: a=", "Authorization: Digest u=", "secret='", '["api_key", "'])


@given(st.dictionaries(KEYS, st.tuples(HEADS, VALUES).map("".join)), st.integers(1, 3))
@example({"raw": 'Authorization: Digest u="', "plain": "x"}, 1)
def test_json_in_text_stays_json(value: dict[str, str], depth: int) -> None:
    """A document of JSON, and JSON inside JSON, parses after its secrets are masked, and has lost them."""
    text = json.dumps(value)
    for _ in range(depth - 1):
        text = json.dumps({"in": text})

    masked: Any = mask_text(text)
    again = mask_text(masked)

    assert again == masked
    for _ in range(depth - 1):
        masked = json.loads(masked)["in"]
    seen = json.loads(masked)
    assert list(seen) == list(value)
    held = {seen[key] for key in ("password", "x-api-key") if len(value.get(key, "").strip()) > 0}
    assert all(text.endswith("[secret]") for text in held)


@given(st.lists(st.one_of(HEADS, VALUES, KEYS, st.sampled_from(['": "', "': '", "data:,", "[secret]", "Bearer "]))))
def test_any_mixture_is_masked_once_and_was_suspected(parts: list[str]) -> None:
    """Whatever stands next to what, a masked text stays as it is, and what changes was suspicious in JSON."""
    text = "".join(parts)

    masked = mask_text(text)

    assert mask_text(masked) == masked
    assert masked == text or is_suspicious(dumps([text]).encode())


@pytest.mark.parametrize("key", ["AWSSecretKey", "DBPassword", "OAuthClientSecret", "s3AccessKey", "accountKey"])
def test_name_of_a_secret_may_begin_with_an_abbreviation(key: str) -> None:
    """In a dict it is known as it is in a text."""
    assert Gate.of(True).json({key: "hunter22"}) == f'{{"{key}":"[secret]"}}'


@pytest.mark.parametrize("key", ["HIDToken", "totalTokens", "AndroidToken", "primaryKey", "monkey", "MaxTokens2"])
def test_name_that_looks_like_one_of_a_secret(key: str) -> None:
    """What only ends alike is kept."""
    assert Gate.of(True).json({key: "hunter22"}) == f'{{"{key}":"hunter22"}}'


@pytest.mark.parametrize("wrap", [list, tuple], ids=["list", "tuple"])
def test_a_header_of_a_list_is_masked(wrap: Any) -> None:
    """A pair of a secret's name and its value loses the value, in data as in text."""
    headers = [wrap(["x-api-key", "a b c"]), wrap(["accept", "*/*"])]

    seen = json.loads(str(Gate.of(ContentPolicy(capture=True)).json({"headers": headers})))

    assert seen == {"headers": [["x-api-key", "[secret]"], ["accept", "*/*"]]}


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ('{before}{{"api_key"\n\t: "{secret}"}} {before}', "two words"),
        ("{before}?x-amz-signature={secret} {before}", "5d67"),
    ],
    ids=["key", "signature"],
)
@pytest.mark.parametrize("blank", ["x ", "é ", "\U0001f43b ", "\ud800 "], ids=ascii)
@pytest.mark.parametrize("offset", range(-48, 16))
def test_a_named_secret_is_masked_wherever_it_stands(text: str, secret: str, blank: str, offset: int) -> None:
    """A long text is searched in blocks, none of which ends a name, its sign or a character too early."""
    before = blank * ((3 * 4_096 + offset) // len(blank.encode("utf-8", "replace")))

    masked = mask_text(text.format(before=before, secret=secret))

    assert masked == text.format(before=before, secret="[secret]")


@pytest.mark.parametrize("escape", ["\\n", "\\t", "\\\\n", "\\u000a"])
def test_escapes_of_json_stay_whole(escape: str) -> None:
    """The letter of an escape before a key or before data is neither a part of it nor hides it."""
    run = base64.b64encode(NOISE).decode()

    assert mask_text(f"a{escape}{run}") == f"a{escape}{binary_marker('base64', NOISE)}"
    if "u" not in escape:
        assert mask_text(f"a{escape}sk-proj-abcdefghijklmnopqrstuvwx") == f"a{escape}[secret]"


# ---------------------------------------------------------------- binary data


@pytest.mark.parametrize("width", [48, 64, 76])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\\n", "\\r\\n", "\n    ", "\\\\n"])
@pytest.mark.parametrize("around", ["{}", "see: {}.", '{{"data": "{}"}}', "-----BEGIN X-----\n{}\n-----END X-----"])
def test_base64_in_lines_becomes_size_and_hash(width: int, end: str, around: str) -> None:
    """Base64 that is broken into lines has the marker of the data, in text as in JSON."""
    text = around.format(in_lines(NOISE, width, end))

    assert mask_text(text) == around.format(binary_marker("base64", NOISE))
    assert is_suspicious(dumps([text]).encode())


@pytest.mark.parametrize("filler", [0, 255])
@pytest.mark.parametrize("blanks", [3_000, 30_000])
def test_data_that_begins_blank_is_data(filler: int, blanks: int) -> None:
    """Silence before a sound, or a white margin above a picture, hides neither."""
    data = bytes([filler]) * blanks + NOISE

    assert mask_text(base64.b64encode(data).decode()) == binary_marker("base64", data)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"data:image/svg+xml,{PERCENT_SVG}", "[image/svg+xml {}]"),
        (f"see data:image/svg+xml,{PERCENT_SVG} there", "see [image/svg+xml {}] there"),
        (f"see data:image/svg+xml;utf8,{SVG} there", "see [image/svg+xml {}] there"),
        (f"![x](data:image/svg+xml,{PERCENT_SVG})", "![x]([image/svg+xml {}])"),
        (f'{{"url": "data:image/svg+xml,{SVG}", "x": 1}}', '{{"url": "[image/svg+xml {}]", "x": 1}}'),
        (f"data:;charset=utf-8,{PERCENT_SVG}", "[data {}]"),
    ],
)
def test_an_address_of_data_becomes_type_size_and_hash(text: str, expected: str) -> None:
    """Data that stands in an address as it is, or with percent signs, has the marker of its bytes."""
    marker = binary_marker("x", SVG.encode())

    assert mask_text(text) == expected.format(marker[3:-1])
    assert is_suspicious(dumps([text]).encode())


def test_an_address_with_quotes_inside_goes_as_well() -> None:
    """Markup with quoted values is data to its last tag, whether JSON stands around it or not."""
    marker = binary_marker("image/svg+xml", QUOTED_SVG.encode())

    assert mask_text(f"data:image/svg+xml,{QUOTED_SVG} there") == f"{marker} there"
    assert '"there"' in mask_text(json.dumps(["data:image/svg+xml," + QUOTED_SVG, "there"]))


# ---------------------------------------------------------------- what is harmless

HARMLESS = [
    '{"token_count": 12, "max_tokens": 5, "usage": {"total_tokens": 17}}',
    '{"keyboard": "qwerty", "monkey": "see", "keys": ["a", "b"]}',
    '{"type": "object", "required": ["password", "email"], "properties": {}}',
    '{"required": ["api_key"], "enum": ["password", "e-mail", "sms"]}',
    '{"password": null, "api_key": "", "secret": false}',
    "keyboard: qwerty, monkey: see, key: value",
    "the key, the token, and the secret, all of them",
    "'the secret', she said: \"a good key\", he said",
    "Authorization: the act of allowing. Cookie: a sweet.",
    'os.getenv("API_KEY", "")',
    'form.get("password", "username")',
    "assert password == confirmed and api_key === other_key",
    "def login(user, password, *, token=None):\n    return check(user, password)",
    "for key, value in items: print(key, value)",
    "# Title\n\n- one: `a`\n- two: **b**\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
    "/usr/lib/python3/dist-packages/Some/Path/Of/Many/Parts/And/More/Of/Them/to/the/very/end.py\n" * 4,
    "C:\\Users\\Someone\\Documents\\new\\readme.txt",
    "\n".join(f"{i:08x}-1234-4abc-8def-1234567890ab" for i in range(9)),
    "\n".join(f"{i:064x}" for i in range(1 << 255, (1 << 255) + 9)),
    "\n".join(f"{i:064X}" for i in range(1 << 255, (1 << 255) + 9)),
    "\n".join(f"{i:0128x}" for i in range(1 << 511, (1 << 511) + 5)),
    "\n".join(["A" * 64] * 5),
    "\n".join(["=" * 64, "_" * 70, "-" * 64, "a" * 5_000, "A" * 5_000]),
    "\n".join(["AVeryLongNameOfSomeClassThatSomebodyWroteInTheirCodeBase"] * 4),
    "WORDSINUPPERCASE" * 400,
    "data: a, b",
    "data:text/plain,short",
    "data:,",
    "data: " + "word, " * 40,
    "rows of data:" + "x" * 60 + ", and more of it follows here and there and everywhere, all in prose",
    "https://example.com/search?q=" + "word+" * 9 + "&page=2&sort=asc#keys",
    "https://example.com/a/page?id=12345678-1234-1234-1234-123456789012&max_tokens=5",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_nothing_is_lost_from_harmless_texts(text: str) -> None:
    """Code, data, prose and addresses without secrets come out as they are, in JSON too."""
    assert mask_text(text) == text
    assert mask_text(json.dumps({"said": text})) == json.dumps({"said": text})


PIECES = """key=|password='|password='x |password: "|"password": "|password=\\"|cookie: a=|cookie: a="b |
authorization: a |authorization: token |["api_key", "|[['password', 'x|[(|data:,|"data:,|
data:text/html,<|\\|\\\\"|'| |AAAA|bearer |://a:"""


@pytest.mark.parametrize("piece", [*PIECES.replace("\n", "").split("|"), "aB3" * 16 + "\n", "aB3" * 16 + "\\n"])
@pytest.mark.parametrize("head", ["", "password: '", '["password", "', "data:text/html,<"])
def test_time_grows_with_the_text_only(head: str, piece: str) -> None:
    """No text makes the search start over and over: a quarter of a megabyte takes no seconds."""
    text = head + piece * (250_000 // len(piece))
    began = time.process_time()

    mask_text(text)

    assert time.process_time() - began < 5
