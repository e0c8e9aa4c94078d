"""What leaves: nothing where content is off, and masked and cut to size where it is on."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.callbacks import dispatch_custom_event
from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tools import StructuredTool
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests import strategies

from chainspan import OtelHandler
from chainspan._content import CAPTURE_VARIABLE, ContentPolicy, Gate
from chainspan._encode import binary_marker
from chainspan._errors import ConfigurationError
from chainspan._model import Message, ModelRequest, ModelResponse, RunEnd, RunKind, RunStart, ToolRequest
from chainspan._profiles import profile

CANARY = "c4n4ry"


def _run(**fields: Any) -> RunStart:
    return RunStart(run_id=UUID(int=1), parent_id=None, kind=RunKind.CHAIN, run_type="chain", name="chain", **fields)


def _said(text: str) -> Message:
    return Message(role="user", parts=[{"type": "text", "content": text}])


# ---------------------------------------------------------------- a chain that says it everywhere


class CanaryChat(BaseChatModel):
    """Answers with the canary and a call of a tool with it."""

    @property
    def _llm_type(self) -> str:
        return "canary"

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        call = {"id": "call_1", "name": "look_up", "args": {"what": f"args {CANARY}"}}
        message = AIMessage(f"answer {CANARY}", tool_calls=[call])
        return ChatResult(generations=[ChatGeneration(message=message)])


class CanaryRetriever(BaseRetriever):
    """Finds a document with the canary in text, metadata and id."""

    def _get_relevant_documents(self, query: str, **_: Any) -> list[Document]:
        return [Document(f"text {CANARY} {query}", id=CANARY, metadata={"source": CANARY, CANARY: 1})]


def _look_up(what: str) -> str:
    dispatch_custom_event("looked", {"what": CANARY})
    if "raise" in what:
        raise LookupError(f"nothing for {CANARY}") from ValueError(CANARY)
    return f"result {CANARY}"


def _invoke_everything(*handlers: OtelHandler) -> None:
    tool = StructuredTool.from_function(_look_up, name="look_up", description=f"Looks up {CANARY}.")
    retriever = CanaryRetriever()

    def act(messages: Any, config: RunnableConfig) -> str:
        retriever.invoke(f"query {CANARY}", config)
        found = tool.invoke(messages.tool_calls[0], config)
        return f"{found.content} {CANARY}"

    prompt = ChatPromptTemplate([("system", f"template {CANARY}"), ("user", "{question}")])
    chain = prompt | CanaryChat() | RunnableLambda(act)
    config: RunnableConfig = {
        "callbacks": list(handlers),
        "tags": [f"tag-{CANARY}"],
        "metadata": {"note": CANARY, "order": 7, "thread_id": "thread-1"},
    }
    chain.invoke({"question": f"why {CANARY}?"}, config)
    with pytest.raises(LookupError):
        tool.invoke({"what": f"raise {CANARY}"}, config)


def _exported(content: bool | ContentPolicy | None, **options: Any) -> tuple[tuple[ReadableSpan, ...], str]:
    exporter = InMemorySpanExporter()
    handler = OtelHandler(SimpleSpanProcessor(exporter), content=content, **options)

    _invoke_everything(handler)

    spans = exporter.get_finished_spans()
    assert len(spans) == 7
    return spans, encode_spans(spans).SerializeToString().decode("utf-8", "replace")


@pytest.mark.parametrize("profile", ["compat", "latest", "openinference"])
def test_off_means_off(profile: str, caplog: pytest.LogCaptureFixture) -> None:
    """With content off nothing that a user wrote is in what is exported, nor in the log (pains #5)."""
    spans, exported = _exported(content=False, profile=profile)

    assert CANARY not in exported
    assert CANARY not in caplog.text
    events = [event for span in spans for event in span.events if event.name == "exception"]
    stacks = [str((event.attributes or {})["exception.stacktrace"]) for event in events]
    assert [(event.attributes or {})["exception.type"] for event in events] == ["LookupError"]
    assert "in _look_up\nLookupError" in stacks[0]


def test_the_canary_would_be_seen() -> None:
    """The test above fails without the gate: with content on, the canary is everywhere it was put."""
    spans, exported = _exported(content=True)

    assert exported.count(CANARY) > 20
    assert all(CANARY in json.dumps(dict(span.attributes or {})) for span in spans)


@pytest.mark.parametrize(
    "policy",
    [
        ContentPolicy(capture=True, redact_patterns=[CANARY]),
        ContentPolicy(capture=True, redact=lambda text: text.replace(CANARY, "***")),
    ],
    ids=["pattern", "function"],
)
@pytest.mark.parametrize("profile", ["compat", "latest", "openinference"])
def test_a_mask_reaches_everything(policy: ContentPolicy, profile: str) -> None:
    """What a mask takes out is nowhere: attributes, keys, tags, metadata, events, status (pains #6)."""
    spans, exported = _exported(policy, profile=profile)

    assert CANARY not in exported
    statuses = {span.status.description for span in spans if span.status.description}
    assert statuses == {f"nothing for {'[redacted]' if policy.redact is None else '***'}"}


class Panic(BaseException):
    """What a function in Rust raises, which is no Exception."""


@pytest.mark.parametrize("fault", [RuntimeError, Panic])
def test_a_mask_that_raises_lets_nothing_through(fault: type[BaseException]) -> None:
    """Where a mask fails, its text is not exported, and the application goes on."""

    def fail(text: str) -> str:
        raise fault(text)

    _, exported = _exported(ContentPolicy(capture=True, redact=fail))

    assert CANARY not in exported
    assert "[mask failed]" in exported


def test_two_handlers_each_obey_their_own_policy() -> None:
    """Content on for one handler does not switch it on for another of the same call (pains #54)."""
    with_content, without = InMemorySpanExporter(), InMemorySpanExporter()

    _invoke_everything(
        OtelHandler(SimpleSpanProcessor(with_content), content=True),
        OtelHandler(SimpleSpanProcessor(without), content=False),
    )

    assert CANARY in str(encode_spans(with_content.get_finished_spans()))
    assert CANARY not in str(encode_spans(without.get_finished_spans()))


@pytest.mark.parametrize("mark", [{"tags": ["chainspan:no-content"]}, {"metadata": {"chainspan.content": False}}])
def test_a_run_can_be_kept_private(mark: RunnableConfig) -> None:
    """A tag or metadata hides one run and what is below it, and nothing else."""
    exporter = InMemorySpanExporter()
    private = RunnableLambda(_echo).with_config(run_name="private", **mark)
    chain = (RunnableLambda(_echo) | private).with_config(run_name="outer")

    chain.invoke(CANARY, {"callbacks": [OtelHandler(SimpleSpanProcessor(exporter), content=True)]})

    said = {span.name: CANARY in str(dict(span.attributes or {})) for span in exporter.get_finished_spans()}
    assert said == {"private": False, "_echo": True, "outer": True}


def _echo(text: str) -> str:
    return text


# ---------------------------------------------------------------- switches


@pytest.mark.parametrize(
    ("variable", "argument", "on"),
    [
        (None, None, False),
        ("NO_CONTENT", None, False),
        ("EVENT_ONLY", None, False),
        ("span_only", None, True),
        ("SPAN_AND_EVENT", None, True),
        ("true", None, True),
        ("nonsense", None, False),
        ("true", False, False),
        (None, True, True),
        ("true", ContentPolicy(capture=False), False),
        ("true", ContentPolicy(), True),
    ],
)
def test_what_switches_content_on(
    variable: str | None, argument: bool | ContentPolicy | None, on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment decides where no argument does, and an argument wins."""
    if variable is not None:
        monkeypatch.setenv(CAPTURE_VARIABLE, variable)

    assert Gate.of(argument).on is on


def test_a_closed_gate_touches_nothing() -> None:
    """With content off no value is looked at: reading one would cost, or raise."""
    gate = Gate.of(False)

    assert gate.text("x") is None
    assert gate.json(strategies.RaisesOnEverything()) is None
    assert gate.value(strategies.RaisesOnEverything()) is None
    assert gate.messages([_said("x")]) is None
    assert gate.error_message(ValueError("x")) is None
    assert gate.for_run(_run()) is gate


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"redact_patterns": ["("]}, r"ContentPolicy\(redact_patterns=\): expected regular expressions .*, got '\('"),
        ({"redact_keys": "name"}, r"ContentPolicy\(redact_keys=\): expected a collection of names, got 'name'"),
        ({"redact_keys": [5]}, r"ContentPolicy\(redact_keys=\): expected a collection of names, got \[5\]"),
        ({"redact_patterns": "ACME"}, r"ContentPolicy\(redact_patterns=\): expected a collection of reg.*, got 'ACME'"),
        ({"redact_patterns": [b"a"]}, r"ContentPolicy\(redact_patterns=\): expected a collection of reg.* of texts"),
        ({"redact": "ACME"}, r"ContentPolicy\(redact=\): expected a function of a text, got 'ACME'"),
        ({"capture": "false"}, r"ContentPolicy\(capture=\): expected True, False or None, got 'false'"),
        ({"reasoning": "false"}, r"ContentPolicy\(reasoning=\): expected True or False, got 'false'"),
        ({"redact_keys": None}, r"ContentPolicy\(redact_keys=\): expected a collection of names, got None"),
        ({"max_span_bytes": "500"}, r"ContentPolicy\(max_span_bytes=\): expected a whole number .*200, got '500'"),
        ({"max_span_bytes": 1e6}, r"ContentPolicy\(max_span_bytes=\): expected a whole number .*, got 1000000.0"),
        ({"max_attribute_bytes": 5}, r"ContentPolicy\(max_attribute_bytes=\): expected a whole number .*200, got 5"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(settings: dict[str, Any], message: str) -> None:
    """A mistake in a policy is told when the policy is made, not when a request comes."""
    with pytest.raises(ConfigurationError, match=message):
        ContentPolicy(**settings)


def test_a_word_is_no_flag() -> None:
    """What a configuration file holds as a text switches content neither on nor, unnoticed, off."""
    with pytest.raises(ConfigurationError, match=r"ContentPolicy\(capture=\): expected True, False or None"):
        OtelHandler(content="false")  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [False, "false", 0, "off", " FALSE"])
def test_a_part_may_be_switched_off_by_any_such_word(value: object) -> None:
    """The metadata of a part of a graph may come from a file too, where it can hold texts alone."""
    gate = Gate.of(True)

    assert not gate.for_run(_run(metadata={"chainspan.content": value})).on
    assert gate.for_run(_run(metadata={"chainspan.content": [value]})).on


# ---------------------------------------------------------------- masks


def test_values_are_redacted_by_key() -> None:
    """The value under a named key is gone, in any case of the name, at any depth, whatever it is."""
    gate = Gate.of(ContentPolicy(capture=True, redact_keys=["Email"]))

    text = gate.json({"user": {"EMAIL": ["a@b.c"], "name": "Ada"}, "email": None})

    assert text == '{"user":{"EMAIL":"[redacted]","name":"Ada"},"email":"[redacted]"}'


def test_secrets_are_masked_whatever_is_set() -> None:
    """Keys, tokens and passwords never leave, by the name that they stand under or by their form (pains #53)."""
    gate = Gate.of(True)

    text = gate.json(
        {
            "headers": {"Authorization": "Bearer abc", "X-API-Key": "hunter22"},
            "config": strategies.WithSecret(),
            "url": "https://host/v1?api_key=hunter22",
            "said": "use sk-proj-abcdefghijklmnopqrstuvwx",
            "max_tokens": 5,
        }
    )

    assert text == (
        '{"headers":{"Authorization":"[secret]","X-API-Key":"[secret]"},"config":{"key":"[secret]"},'
        '"url":"https://host/v1?api_key=[secret]","said":"use [secret]","max_tokens":5}'
    )


def test_secrets_are_masked_in_what_is_always_recorded() -> None:
    """Allow-listed metadata and tags pass the mask as well, content or not."""
    gate = Gate.of(ContentPolicy(capture=False, metadata=["password", "note"], tags=["Bearer abcdefgh"]))

    assert gate.metadata({"password": "x", "note": "sk-proj-abcdefghijklmnopqrstuvwx", "other": 1}) == {
        "password": "[secret]",
        "note": "[secret]",
    }
    assert gate.tags(["Bearer abcdefgh", "other"]) == ["Bearer [secret]"]


def test_names_are_masked_by_pattern() -> None:
    """A pattern finds what it looks for in names and ids as well; a function is for texts (pains #6)."""
    run = _run(conversation_id="ada@b.c", user_id="ada@b.c", agent_name="for ada@b.c")
    run.name = "ask ada@b.c"
    gate = Gate.of(ContentPolicy(capture=False, redact_patterns=[r"\w+@\S+"], redact=lambda _: "*"))

    start = profile().start(run, gate)

    assert gate.name(profile().name_and_kind(run)[0]) == "ask [redacted]"
    assert "ada" not in str(start)
    assert start["user.id"] == "[redacted]"
    assert start["chainspan.run.type"] == "chain"


@pytest.mark.parametrize("name", ["compat", "latest", "openinference"])
def test_a_pattern_reaches_what_is_no_content(name: str) -> None:
    """Models, ids, stop sequences and reasons are masked as names are; what the conventions spell stays (pains #6)."""
    gate = Gate.of(ContentPolicy(capture=False, redact_patterns=["ACME|chat"]))
    run = RunStart(UUID(int=1), None, RunKind.CHAT, "llm", "model")
    run.request = ModelRequest(model="ft:ACME", provider="ACME", parameters={"stop_sequences": ["ACME!"], "seed": 7})
    end = RunEnd(response=ModelResponse(model="ft:ACME-1", response_id="id-ACME", finish_reasons=["ACME", "stop"]))
    call = RunStart(UUID(int=2), None, RunKind.TOOL, "tool", "f")
    call.tool = ToolRequest(name="f", call_id="call-ACME")

    said = {**profile(name).start(run, gate), **profile(name).end(run, end, gate), **profile(name).start(call, gate)}

    assert "ACME" not in str(said)
    assert profile(name).start(run, gate).get("gen_ai.operation.name") in ("chat", None)
    assert profile(name).start(run, Gate.of(False))["chainspan.run.id"] == str(run.run_id)
    assert "ft:ACME" in str(profile(name).start(run, Gate.of(False)))


def test_the_structure_of_messages_survives_a_mask() -> None:
    """A mask that blanks every text leaves roles, types and ids, so that backends show a conversation."""
    gate = Gate.of(ContentPolicy(capture=True, redact=lambda _: "*"))
    call = {"type": "tool_call", "id": "call_1", "name": "look_up", "arguments": {"type": "secret plan"}}

    text = gate.messages([_said("hello"), Message(role="assistant", parts=[call])])

    assert json.loads(text or "") == [
        {"role": "user", "parts": [{"type": "text", "content": "*"}]},
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "call_1", "name": "*", "arguments": {"*": "*"}}]},
    ]


@pytest.mark.parametrize("reasons", [["stop", "length"], [], ["stop"]])
def test_why_each_choice_stopped_is_said_with_it(reasons: list[str]) -> None:
    """Of an answer's choices each says why it ended, emptily where it is not known; what is kept does not."""
    gate = Gate.of(True)
    choices = [_said("a"), Message(role="assistant", parts=[{"type": "text", "content": "b"}], name="bot")]
    without = json.loads(gate.messages(choices) or "")

    written = json.loads(gate.messages(choices, reasons) or "")

    known = reasons if len(reasons) == 2 else ["", ""]
    assert written == [{**said, "finish_reason": reason} for said, reason in zip(without, known, strict=True)]
    assert json.loads(gate.messages(choices) or "") == without


def test_of_several_reasons_of_one_answer_the_first_is_said_with_it() -> None:
    """LangChain makes one message of a stream's choices, and then nothing says which of the reasons is whose."""
    [written] = json.loads(Gate.of(True).messages([_said("ab")], ["stop", "length"]) or "")

    assert written["finish_reason"] == "stop"


@pytest.mark.parametrize(
    "message",
    [
        Message("user", [{"type": "text", "content": 'a "quoted" text, and ü'}]),
        Message("assistant", [{"type": "text", "content": "sk-ant-api03-" + "a" * 40}]),
        Message("assistant", [{"type": "text", "content": "\ud800"}]),
        Message("critic", [{"type": "text", "content": "not a role of the conventions"}]),
        Message("user", [{"type": "text", "content": "named"}], "ada"),
        Message("user", [{"type": "text", "content": ""}]),
        Message("system", []),
    ],
)
def test_a_message_of_one_text_is_written_as_any_other(message: Message) -> None:
    """The short way to write what nearly all messages are gives what the long way does."""
    long_way = Gate.of(ContentPolicy(capture=True, redact=lambda text: text))

    text = Gate.of(True).messages([message])

    assert json.loads(text or "") == json.loads(long_way.messages([message]) or "")


def test_a_message_keeps_its_text_for_a_few_policies() -> None:
    """Handlers with policies of their own do not make one another write anew, and how many are kept is bounded."""
    written: list[str] = []
    message = _said("hello")

    def marking(mark: int) -> Callable[[str], str]:
        def mask(text: str) -> str:
            written.append(text)
            return f"{mark}: {text}"

        return mask

    gates = [Gate.of(ContentPolicy(capture=True, redact=marking(mark))) for mark in range(12)]

    texts = [gate.messages([message]) for gate in gates[:4] * 3]
    first = len(written)
    for gate in gates:
        gate.messages([message])

    assert [json.loads(text or "")[0]["parts"][0]["content"] for text in texts] == [f"{i}: hello" for i in range(4)] * 3
    assert first == 4
    kept, count = message.memo, 0
    while kept is not None:
        kept, count = kept[-1], count + 1
    assert count <= 4


def test_reasoning_has_a_switch_of_its_own() -> None:
    """Reasoning can be left out without the answer (pains #57)."""
    answer = Message(
        role="assistant", parts=[{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "yes"}]
    )

    gate = Gate.of(ContentPolicy(capture=True, reasoning=False))

    assert gate.messages([answer]) == '[{"role":"assistant","parts":[{"type":"text","content":"yes"}]}]'
    assert gate.metadata({"last": answer}) == {"last": '{"role":"assistant","parts":[{"type":"text","content":"yes"}]}'}


THOUGHT = {"type": "thinking", "thinking": CANARY, "signature": "s"}
SAID = {"type": "text", "text": "yes"}
ANSWER = {"role": "assistant", "content": "yes"}
MESSAGE = {"role": "assistant", "parts": [{"type": "text", "content": "yes"}]}


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (THOUGHT, {}),
        ({"content": [THOUGHT, SAID], "stop_reason": "end_turn"}, {"content": [SAID], "stop_reason": "end_turn"}),
        ({"role": "assistant", "content": "yes", "thinking": CANARY}, ANSWER),
        ({"role": "assistant", "content": "yes", "tool_plan": CANARY}, ANSWER),
        ({"choices": [{"delta": {"reasoning_content": CANARY}}]}, {"choices": [{"delta": {}}]}),
        ([{"reasoningContent": {"reasoningText": {"text": CANARY}}}, SAID], [{}, SAID]),
        ({"parts": [{"text": CANARY, "thought": True}, {"text": "yes"}]}, {"parts": [{"text": "yes"}]}),
        ({"delta": {"type": "thinking_delta", "thinking": CANARY}, "index": 0}, {"index": 0}),
        ([{"type": "response.reasoning_summary_text.delta", "delta": CANARY}, SAID], [SAID]),
        ({"output": [{"type": "reasoning", "summary": [{"text": CANARY}]}, SAID]}, {"output": [SAID]}),
        ({"role": "assistant", "content": "yes", "reasoning": CANARY, "reasoning_details": [{"text": CANARY}]}, ANSWER),
        (AIMessage([{"type": "reasoning_content", "reasoning_content": {"redactedContent": CANARY}}, "yes"]), MESSAGE),
    ],
    ids=[
        "block",
        "Anthropic",
        "Ollama",
        "Cohere",
        "DeepSeek",
        "Bedrock",
        "Google",
        "event of Anthropic",
        "event of OpenAI",
        "OpenAI",
        "OpenRouter",
        "message",
    ],
)
def test_reasoning_is_left_out_of_values_too(value: Any, left: Any) -> None:
    """What a chain hands on may be a client's answer, or messages as a client takes them."""
    gate = Gate.of(ContentPolicy(capture=True, reasoning=False))
    others_own = {"reasoning": "the user's", "thinking": {"type": "enabled"}}

    assert json.loads(gate.json(value) or "") == left
    assert json.loads(gate.json([value, others_own]) or "") == [*([left] if left else []), others_own]
    assert CANARY in (Gate.of(True).json(value) or "")


@pytest.mark.parametrize("name", ["compat", "latest", "openinference"])
def test_thoughts_in_messages_are_known_as_those_in_values(name: str) -> None:
    """A part that is left as a client has it is a thought wherever it stands, in each profile."""
    forms: list[dict[str, object]] = [{"type": "reasoning.text", "text": CANARY}, {"text": CANARY, "thought": True}]
    answer = Message(role="assistant", parts=[*forms, {"type": "text", "content": "yes"}])
    response = ModelResponse(messages=lambda: [answer])
    run = RunStart(run_id=UUID(int=1), parent_id=None, name="m", kind=RunKind.CHAT, run_type="llm")
    gate = Gate.of(ContentPolicy(capture=True, reasoning=False))

    said = str(profile(name).end(run, RunEnd(response=response), gate))

    assert CANARY not in said
    assert "yes" in said
    assert "{}" not in said


def test_a_message_that_stands_in_a_thought_costs_nothing_else() -> None:
    """Where what is left out holds a message that is written apart, the others stand where they stood."""
    gate = Gate.of(ContentPolicy(capture=True, reasoning=False))

    text = gate.json({"first": {"type": "reasoning", "of": _said(CANARY)}, "then": _said("yes")})

    assert json.loads(text or "") == {"then": {"role": "user", "parts": [{"type": "text", "content": "yes"}]}}


def test_a_function_that_is_an_object_may_redact() -> None:
    """An object that is called need not have a hash."""

    @dataclass
    class Stars:
        sign: str

        def __call__(self, text: str) -> str:
            return self.sign

    assert Gate.of(ContentPolicy(capture=True, redact=Stars("*"))).text("hello") == "*"


def test_a_message_in_a_state_is_written_as_elsewhere() -> None:
    """Reasoning that is switched off and binary data stay out of a state's messages too, whatever else is masked."""
    image = {"type": "blob", "mime_type": "image/png", "modality": "image", "content": "QUJD" * 20}
    said = Message(role="assistant", parts=[{"type": "reasoning", "content": "hm"}, image])
    gate = Gate.of(ContentPolicy(capture=True, reasoning=False, redact=lambda text: text.upper()))

    assert gate.json({"messages": [said]}) == f'{{"MESSAGES":{gate.messages([said])}}}'
    assert '"content":"[IMAGE/PNG 60 BYTES SHA256:' in (gate.messages([said]) or "")
    assert "HM" not in (gate.messages([said]) or "")


@pytest.mark.parametrize("held", [[], [_said("hi")], [_said("hi"), _said("sk-" + "a1" * 12)]], ids=len)
def test_messages_that_stand_alone_are_written_as_among_others(held: list[Message]) -> None:
    """A state of nothing but messages goes a shorter way, to the same text."""
    gate = Gate.of(True)

    alone, among_others = gate.json({"messages": held}), gate.json({"messages": held, "more": [1]})

    assert alone == (among_others or "").replace(',"more":[1]', "")
    assert "a1a1" not in (alone or "")


def test_messages_may_be_redacted_by_their_key() -> None:
    """Who hides what stands under ``messages`` hides them in a state of nothing else too."""
    gate = Gate.of(ContentPolicy(capture=True, redact_keys=["messages"]))

    assert gate.json({"messages": [_said("hi")]}) == '{"messages":"[redacted]"}'


def test_policies_do_not_share_what_they_wrote() -> None:
    """A message that one policy has written is written anew for another."""
    message = _said("hello Ada")
    Gate.of(True).messages([message])

    masked = Gate.of(ContentPolicy(capture=True, redact_patterns=["Ada"])).messages([message])

    assert masked == '[{"role":"user","parts":[{"type":"text","content":"hello [redacted]"}]}]'


# ---------------------------------------------------------------- sizes and binary data


def test_binary_data_never_leaves() -> None:
    """An image is type, size and hash in a message, in a state and in a text (pains #11)."""
    data = os.urandom(3_000)
    encoded = base64.b64encode(data).decode()
    image = {"type": "blob", "mime_type": "image/png", "modality": "image", "content": encoded}
    gate = Gate.of(True)

    texts = [
        gate.messages([Message(role="user", parts=[image])]),
        gate.json({"state": [{"image_url": {"url": f"data:image/png;base64,{encoded}"}}, data]}),
        gate.text(f"here: {encoded}"),
    ]

    assert not [text for text in texts if re.search(r"[A-Za-z0-9+/]{65}", text or "")]
    assert len({match for text in texts for match in re.findall(r"sha256:\w+", text or "")}) == 1
    assert json.loads(texts[0] or "")[0]["parts"][0]["content"].startswith("[image/png 3000 bytes sha256:")


_MEGABYTES = os.urandom(1_500_000)
_IN_RUN, _IN_LINES = base64.b64encode(_MEGABYTES).decode(), base64.encodebytes(_MEGABYTES).decode()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        pytest.param(_IN_RUN, "base64", id="a run"),
        pytest.param(_IN_LINES, "base64", id="lines"),
        pytest.param(_IN_LINES.replace("\n", "\r\n"), "base64", id="lines of mail"),
        pytest.param(_IN_LINES[:1_000_000] + "\n" + _IN_LINES[1_000_000:], "base64", id="lines of several widths"),
        pytest.param(_IN_LINES.replace("\n", "\n\f"), "base64", id="pages"),
        pytest.param(f"data:image/png;base64,{_IN_RUN}", "image/png", id="an address"),
    ],
)
def test_megabytes_of_data_are_told_whole(text: str, kind: str) -> None:
    """Data that is too much to be read is its type, its size and its hash all the same (pains #11, #37)."""
    gate = Gate.of(True)

    marker = binary_marker(kind, _MEGABYTES)

    assert marker.startswith(f"[{kind} 1500000 bytes first 64 KB sha256:")
    assert gate.value(text) == (marker, False)
    assert gate.json({"data": text}) == json.dumps({"data": marker}, separators=(",", ":"))
    assert marker in (gate.messages([_said(text)]) or "")


@pytest.mark.parametrize("around", ["{data} {words}", "{words} {data}", "{data} {words} {data}", "é{data} {words}"])
def test_megabytes_of_data_and_words_leave_neither_the_data_nor_nothing(around: str) -> None:
    """Where words stand among megabytes of data, that are cut, the data is taken out and said to be there."""
    text = around.format(data=_IN_RUN, words="Words, here. " * 100_000)

    written = Gate.of(True).json({"data": text}) or ""

    assert not re.search(r"[A-Za-z0-9+/]{65}", written)
    assert re.search(r"\[base64 \d+ bytes (first 64 KB )?sha256:\w{16}\]", written)
    assert re.search(r"\[\+\d+ (bytes|characters)\]", written)


def test_an_attribute_keeps_to_its_budget() -> None:
    """Messages over the budget are shortened inside, not cut off (pains #37)."""
    gate = Gate.of(ContentPolicy(capture=True, max_attribute_bytes=2_000))

    text = gate.messages([_said("short"), _said("é" * 5_000), _said("x" * 9_000)]) or ""

    assert len(text.encode()) <= 2_000
    first, second, third = json.loads(text)
    assert first == {"role": "user", "parts": [{"type": "text", "content": "short"}]}
    assert re.fullmatch(r"é+\[\+\d+ bytes\]é+", second["parts"][0]["content"])
    assert re.fullmatch(r"x+\[\+\d+ bytes\]x+", third["parts"][0]["content"])


def test_far_too_much_is_masked_and_counted_all_the_same() -> None:
    """Megabytes are cut before they are searched: the secrets in what is left are found, and the cut is told whole."""
    gate = Gate.of(ContentPolicy(capture=True, max_attribute_bytes=1_000))
    text = f"sk-proj-abcdefghijklmnopqrstuvwx {'x ' * 5_000_000} sk-proj-abcdefghijklmnopqrstuvwx"

    for written in (gate.text(text) or "", json.loads(gate.json([text]) or "")[0]):
        assert len(written) <= 1_000
        assert written.startswith("[secret] x x")
        assert written.endswith("x x  [secret]")
        [lost] = map(int, re.findall(r"\[\+(\d+) bytes\]", written))
        assert lost == pytest.approx(len(text) - len(written), abs=200)


def test_of_far_too_many_values_both_ends_are_kept() -> None:
    """A state of megabytes is gone through no further than its budget: first and last elements, and a count, remain."""
    texts = [f"{number} {'x' * 90}" for number in range(50_000)]

    written = json.loads(Gate.of(True).json({"texts": texts}) or "")

    assert written == {"texts": [*texts[:32], "[+49936]", *texts[-32:]]}


def test_of_far_too_long_a_history_the_newest_is_kept() -> None:
    """Messages that are many times what an attribute holds are not all written: the last ones are, and a count."""
    messages = [_said(f"{number} {'x' * 1_000}") for number in range(500)]

    written = json.loads(Gate.of(ContentPolicy(capture=True, max_attribute_bytes=40_000)).messages(messages) or "")

    assert written[0] == "[+424]"
    assert written[-1]["parts"][0]["content"].startswith("499 x")
    assert messages[0].memo is None


def test_where_there_is_room_messages_are_left_out_whole() -> None:
    """The newest of a long history are kept as they are, as many as fit."""
    messages = [_said(f"{number} {'x' * 1_000}") for number in range(100)]

    text = Gate.of(ContentPolicy(capture=True, max_attribute_bytes=70_000)).messages(messages) or ""

    written = json.loads(text)
    assert written[0] == f"[+{101 - len(written)}]"
    assert [message["parts"][0]["content"] for message in written[1:]] == [
        f"{number} {'x' * 1_000}" for number in range(101 - len(written), 100)
    ]
    assert 68_000 < len(text) <= 70_000


def test_a_secret_at_the_edge_of_a_cut_is_masked() -> None:
    """What is cut out of a long text is masked with what surrounds it: half of a key is not told for a key."""
    key = "sk-proj-abcdefghijklmnopqrstuvwx"
    gate = Gate.of(ContentPolicy(capture=True, max_attribute_bytes=1_000))

    for shift in range(0, 40, 3):
        text = f"{'.' * shift}{f'{key} ' * 500}"
        assert "abcdefgh" not in (gate.text(text) or "")
        assert "abcdefgh" not in (gate.json([text]) or "")
        assert "abcdefgh" not in (Gate.of(True).json([text * 100]) or "")


def test_a_span_keeps_to_its_budget() -> None:
    """What one run writes grows no further, however many events it has; another run starts anew (pains #10)."""
    handler = Gate.of(ContentPolicy(capture=True, max_attribute_bytes=10_000, max_span_bytes=25_000))
    gate = handler.for_run(_run())

    sizes = [len(gate.json(["x" * 50_000]) or "") for _ in range(5)]

    assert (
        sizes
        == [pytest.approx(10_000, abs=60)] * 2 + [pytest.approx(5_000, abs=120)] + [pytest.approx(240, abs=60)] * 2
    )
    assert len(handler.for_run(_run()).json(["x" * 50_000]) or "") == pytest.approx(10_000, abs=60)


@pytest.mark.parametrize("is_json", [True, False], ids=["json", "text"])
def test_what_stands_in_two_attributes_takes_room_twice(is_json: bool) -> None:
    """Backends read it under either name, and a request has to hold both."""
    policy = ContentPolicy(capture=True, max_attribute_bytes=10_000, max_span_bytes=25_000)
    gate = Gate.of(policy).for_run(_run())

    first = gate.json(["é" * 5_000]) if is_json else gate.text("é" * 5_000)
    pair, last = [gate.again(first, is_json=is_json) for _ in range(2)]

    assert [len((text or "").encode()) for text in (first, pair, last)] == [
        pytest.approx(10_000, abs=120),
        pytest.approx(10_000, abs=120),
        pytest.approx(5_000, abs=120),
    ]
    assert pair == first
    assert not is_json or isinstance(json.loads(last or ""), list)


class LongDocuments(BaseRetriever):
    """Finds documents that are too long for a span."""

    def _get_relevant_documents(self, query: str, **_: Any) -> list[Document]:
        return [Document(query, metadata={"source": "a"}) for _ in range(10)]


@pytest.mark.parametrize("profile", ["compat", "latest", "openinference"])
def test_what_a_retriever_finds_keeps_to_the_budget(profile: str) -> None:
    """Queries and documents stand under several names, which are within a span's bound together."""
    exporter = InMemorySpanExporter()
    policy = ContentPolicy(capture=True, max_attribute_bytes=10_000, max_span_bytes=25_000)
    handler = OtelHandler(SimpleSpanProcessor(exporter), content=policy, profile=profile)

    LongDocuments().invoke("word " * 3_000, {"callbacks": [handler]})

    [span] = exporter.get_finished_spans()
    texts = [value for value in (span.attributes or {}).values() if isinstance(value, str)]
    assert sum(len(text.encode()) for text in texts) < 25_000 + 256 * len(texts)


def test_tags_are_within_the_bounds() -> None:
    """Of many tags the first are kept, whole, as many as an attribute may have, and they are taken off the budget."""
    policy = ContentPolicy(capture=True, max_attribute_bytes=1_000, max_span_bytes=1_200)
    gate = Gate.of(policy).for_run(_run())

    assert gate.tags([f"{index}{'é' * 50}" for index in range(20)]) == [f"{index}{'é' * 50}" for index in range(9)]
    assert len(gate.text("a" * 1_000) or "") <= 300


@pytest.mark.parametrize("capture", [True, False])
def test_metadata_in_one_attribute_is_within_the_bounds(capture: bool) -> None:
    """OpenInference has all of a run's metadata in one: each value within its bound does not keep them all in it."""
    keys = [f"key{index}" for index in range(8)]
    policy = ContentPolicy(capture=capture, metadata=keys, max_attribute_bytes=1_000)
    run = _run(metadata=dict.fromkeys(keys, "a" * 500))

    held = str(profile("openinference").start(run, Gate.of(policy).for_run(run))["metadata"])

    assert len(held) <= 1_000
    assert json.loads(held).keys() == set(keys)


@given(strategies.hostile_values)
def test_any_value_passes_the_gate(value: object) -> None:
    """Nothing that an application holds makes the gate raise or write what is no JSON."""
    gate = Gate.of(ContentPolicy(capture=True, max_attribute_bytes=1_000, redact_patterns=["a"]))

    text = gate.json(value) or ""

    json.loads(text)
    assert len(text.encode()) <= 1_000


@given(st.lists(strategies.hostile_values, max_size=3), strategies.texts)
def test_any_message_passes_the_gate(values: list[object], role: str) -> None:
    """Messages of whatever parts are written as messages, twice alike."""
    message = Message(role=role, parts=[{"type": "tool_call_response", "response": value} for value in values])
    gate = Gate.of(True)

    once, again = gate.messages([message]), gate.messages([message, message])

    assert len(json.loads(once or "")[0]["parts"]) == len(values)
    assert again == f"[{(once or '')[1:-1]},{(once or '')[1:-1]}]"


# ---------------------------------------------------------------- exceptions


class HostileError(Exception):
    """An exception that cannot be printed."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def _raise(error: BaseException) -> None:
    raise error


def _raised(error: BaseException) -> BaseException:
    with pytest.raises(type(error)) as caught:
        _raise(error)
    return caught.value


def test_an_exception_without_content_has_type_and_frames() -> None:
    """Files, lines and functions remain of a failure and of its cause; what they said does not."""
    error = _raised(LookupError(CANARY))
    error.__cause__ = _raised(KeyError(CANARY))

    attributes = Gate.of(False).exception(error)

    assert attributes.keys() == {"exception.type", "exception.stacktrace"}
    assert re.sub(r'"[^"]+", line \d+', "FILE", str(attributes["exception.stacktrace"])).splitlines() == [
        "Traceback (most recent call last):",
        "  File FILE, in _raised",
        "  File FILE, in _raise",
        "KeyError",
        "",
        "The exception below came from the one above:",
        "",
        "Traceback (most recent call last):",
        "  File FILE, in _raised",
        "  File FILE, in _raise",
        "LookupError",
    ]


def test_an_exception_with_content_says_what_it_said() -> None:
    """With content on an exception is recorded as Python prints it, but for secrets."""
    attributes = Gate.of(True).exception(_raised(ValueError("key sk-proj-abcdefghijklmnopqrstuvwx is bad")))

    assert attributes["exception.type"] == "ValueError"
    assert attributes["exception.message"] == "key [secret] is bad"
    assert str(attributes["exception.stacktrace"]).endswith("ValueError: key [secret] is bad\n")


@pytest.mark.parametrize("content", [True, False])
def test_an_exception_that_cannot_be_printed_is_recorded(content: bool) -> None:
    """The type is known even of an exception whose text raises."""
    attributes = Gate.of(content).exception(_raised(HostileError()))

    assert attributes["exception.type"] == f"{__name__}.HostileError"
    assert attributes.get("exception.message") == ("[unprintable]" if content else None)


def test_a_deep_stack_is_bounded() -> None:
    """Only the innermost frames of a runaway recursion are recorded."""

    def again(depth: int) -> None:
        if depth == 0:
            raise ValueError
        again(depth - 1)

    with pytest.raises(ValueError) as caught:  # noqa: PT011
        again(200)

    stack = str(Gate.of(False).exception(caught.value)["exception.stacktrace"])

    assert stack.count("in again") == 64
    assert "[138 frames left out]" in stack


def test_frames_pass_the_users_patterns() -> None:
    """Where content is off as where it is on: a path may name somebody."""
    error = _raised(ValueError("a"))

    for capture in (False, True):
        gate = Gate.of(ContentPolicy(capture=capture, redact_patterns=[r"test_\w+\.py"]))
        stack = str(gate.exception(error)["exception.stacktrace"])
        assert "[redacted]" in stack
        assert "test_content.py" not in stack


def test_exceptions_in_a_circle_end() -> None:
    """A cause that leads back to its effect is followed once."""
    first, second = _raised(ValueError("a")), _raised(KeyError("b"))
    first.__cause__, second.__cause__ = second, first

    stack = str(Gate.of(False).exception(first)["exception.stacktrace"])

    assert (stack.count("ValueError"), stack.count("KeyError")) == (1, 1)
