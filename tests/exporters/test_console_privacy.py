"""The console shows content, and no secrets: neither of ours nor of other libraries' spans."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Status, StatusCode
from pydantic import BaseModel, SecretStr

from chainspan import ConsoleHandler, ContentPolicy
from chainspan.exporters import ConsoleProcessor

KEY = "sk-proj-c4n4ryabcdefghijklmnopqrst"
DATA = "QUJDRGVmZ2hpamtsbW5vcHFyc3R1dnd4eXowMTIzNDU2Nzg5" * 4


class Settings(BaseModel):
    """Settings as an application hands them through its chains."""

    password: str = "c4n4ry-hunter"
    token: SecretStr = SecretStr("c4n4ry")


class Login(NamedTuple):
    """Names and values in a row."""

    password: str
    user: str


def _printed(value: Any, name: str = "run", **options: Any) -> str:
    lines: list[str] = []
    chain: RunnableLambda[Any, Any] = RunnableLambda(lambda given: given)
    handler = ConsoleHandler(lines.append, color=False, **options)
    chain.with_config(run_name=name).invoke(value, {"callbacks": [handler]})
    return "\n".join(lines)


@pytest.mark.parametrize(
    "value",
    [
        KEY,
        f"Bearer {KEY}",
        {"api_key": "c4n4ry"},
        {"headers": [{"Authorization": "Bearer c4n4ryc4n4ry"}]},
        {"url": "https://user:c4n4ry@host/v1?api_key=c4n4ryc4n4ry"},
        f'{{"x-api-key": "{KEY}"}}',
        Settings(),
        Login("c4n4ry", "ada"),
        {KEY: 1},
    ],
)
def test_secrets_are_not_printed(value: Any) -> None:
    """Whatever form a secret has, and wherever it stands, the line is there without it (pains #53)."""
    text = _printed(value)

    assert "c4n4ry" not in text
    assert text.count("[chain/") == 2


def test_names_are_printed_on_one_line_without_secrets() -> None:
    """A name cannot break a line, write to the terminal's memory, or hold a key."""
    assert _printed(1, f"a\nb\x1b]0;c\x07 {KEY}").splitlines()[0] == (
        "[chain/start] [1:chain:a b\ufffd]0;c\ufffd [secret]] Entering Chain run with input: {"
    )


def test_everything_else_is_shown_as_it_is() -> None:
    """Data in base64 and halves of characters stay: nothing has to carry them."""
    text = _printed({"data": DATA, "half": "\ud800", "url": f"data:image/png;base64,{DATA}"})

    assert text.count(DATA) == 4
    assert text.count('"half": "\\ud800"') == 2


def test_an_error_is_shown_as_javascript_shows_it() -> None:
    """Halves that belong together are one character, a single one is escaped, and a key is masked."""
    lines: list[str] = []

    def fail(_: object) -> None:
        raise ValueError(f"\ud83e\udd9c and \ud800 and {DATA} and {KEY}")

    with pytest.raises(ValueError, match="and"):
        RunnableLambda(fail).invoke(1, {"callbacks": [ConsoleHandler(lines.append, color=False)]})

    message = json.loads(lines[1].partition("errored with error: ")[2]).partition("\n")[0]
    assert message == f"🦜 and \ud800 and {DATA} and [secret]"


def test_a_policy_masks_what_is_printed() -> None:
    """Patterns, keys and functions of the user apply to names, keys and texts alike (pains #6)."""
    policy = ContentPolicy(
        redact_patterns=[r"\w+@\S+"], redact_keys=["iban"], redact=lambda text: text.replace("Q", "*")
    )

    text = _printed({"iban": "DE1", "to ada@host": "ada@host", "plan": ["Q"]}, "ask ada@host.org", content=policy)

    assert text.splitlines()[:5] == [
        "[chain/start] [1:chain:ask [redacted]] Entering Chain run with input: {",
        '  "iban": "[redacted]",',
        '  "to [redacted]": "[redacted]",',
        '  "plan": [',
        '    "*"',
    ]


@pytest.mark.parametrize(
    "answer",
    [
        AIMessage([{"type": "thinking", "thinking": "c4n4ry", "signature": "s"}, {"type": "text", "text": "yes"}]),
        AIMessage("yes", additional_kwargs={"reasoning_content": "c4n4ry"}),
        {"messages": [{"role": "assistant", "content": "yes", "reasoning": "c4n4ry"}]},
    ],
    ids=["in the content", "beside the content", "as data"],
)
def test_a_policy_hides_what_the_model_thought(answer: Any) -> None:
    """Reasoning is printed, unless a policy leaves it out."""
    shown, hidden = _printed(answer), _printed(answer, content=ContentPolicy(reasoning=False))

    assert shown.count("c4n4ry") == 2
    assert "c4n4ry" not in hidden
    assert hidden.count("yes") == shown.count("yes")


def test_a_mask_that_raises_shows_nothing() -> None:
    """Where a mask fails the text is not printed."""

    def fail(text: str) -> str:
        raise RuntimeError(text)

    text = _printed({"a": "c4n4ry"}, content=ContentPolicy(redact=fail))

    assert "c4n4ry" not in text
    assert "[mask failed]" in text


def test_other_libraries_spans_are_masked_too() -> None:
    """Spans that have passed no gate of ours are printed without their secrets."""
    lines: list[str] = []
    provider = TracerProvider()
    provider.add_span_processor(ConsoleProcessor(lines.append, color=False))

    with provider.get_tracer("other").start_as_current_span(f"chat {KEY}") as span:
        span.set_attributes({"openinference.span.kind": "LLM", "input.value": f"password={KEY}", "output.value": KEY})
        span.set_status(Status(StatusCode.ERROR, f"401 for {KEY}"))
    provider.shutdown()

    assert len(lines) == 2
    assert "c4n4ry" not in "".join(lines)


@pytest.mark.parametrize("depth", [150, 5_000])
def test_what_is_too_deep_is_printed_as_far_as_it_goes(depth: int) -> None:
    """A value that nests without end costs neither its run's lines nor the mask."""
    value: Any = {"password": "c4n4ry"}
    for _ in range(depth):
        value = {"in": [value]}

    text = _printed({"deep": value, "huge": 10**5_000, "password": "c4n4ry"})

    assert text.count("[chain/") == 2
    assert "c4n4ry" not in text
