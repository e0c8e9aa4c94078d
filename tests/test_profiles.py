"""What each profile says of each kind of run: the golden files are the reference."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Generator
from contextvars import copy_context
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import external_file
from opentelemetry import baggage
from opentelemetry.context import attach, detach

from chainspan import _messages as spoken
from chainspan._content import ContentPolicy, Gate
from chainspan._errors import ConfigurationError
from chainspan._model import (
    Message,
    ModelRequest,
    ModelResponse,
    Outcome,
    RetrievedDocument,
    RunEnd,
    RunFailure,
    RunKind,
    RunStart,
    Streaming,
    ToolRequest,
    Usage,
)
from chainspan._profiles import OPT_IN_VARIABLE, profile, session
from chainspan._profiles._session import current_session
from chainspan.langchain._identity import identity as identity_of

PROFILES = ["compat", "latest", "openinference"]
GOLDEN = Path(__file__).parent / "golden" / "profiles"


def _said(role: str, text: str) -> Message:
    return Message(role=role, parts=[{"type": "text", "content": text}])


REQUEST = ModelRequest(
    provider="openai",
    model="gpt-5",
    server_address="api.openai.com",
    server_port=443,
    parameters={
        "temperature": 0.2,
        "max_tokens": 100,
        "stop_sequences": ["END"],
        "choice_count": 1,
        "reasoning_level": "low",
        "service_tier": "flex",
    },
    output_type="json",
    output_schema={"title": "Answer"},
)
TOOLS = [{"type": "function", "name": "weather", "description": "Tells the weather.", "parameters": {"type": "object"}}]
ASKED = [
    _said("system", "Be brief."),
    _said("user", "Wie ist das Wetter in 東京?"),
    Message(
        role="assistant",
        parts=[
            {"type": "reasoning", "content": "Look it up."},
            {"type": "tool_call", "id": "call_1", "name": "weather", "arguments": {"city": "東京"}},
        ],
    ),
    Message(role="tool", parts=[{"type": "tool_call_response", "id": "call_1", "response": "20 °C"}]),
]
RESPONSE = ModelResponse(
    model="gpt-5-2026-01-01",
    response_id="resp_1",
    finish_reasons=["stop"],
    usage=Usage(input_tokens=100, output_tokens=20, cache_read=60, cache_write=10, reasoning=12, audio_input=0),
    extra={"openai.response.service_tier": "flex"},
    messages=lambda: [_said("assistant", "Zwanzig Grad.")],
)
COMMON: dict[str, Any] = {
    "run_id": UUID(int=1),
    "parent_id": None,
    "tags": ["prod", "seq:step:1"],
    "metadata": {"order": 7, "n": {"a": 1}, "ls_provider": "openai", "thread_id": "thread-1"},
    "conversation_id": "thread-1",
    "user_id": "ada",
    "agent_name": "helper",
}
STATE_IN = {"messages": [("user", "hi")]}
STATE_OUT = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]}
FOUND = [RetrievedDocument(content="Text.", id="d1", score=0.5, metadata={"source": "a.md"})]
NODE = {"langgraph_node": "plan", "langgraph_step": 2, "langgraph_checkpoint_ns": "plan:1"}


def _run(kind: RunKind, name: str, run_type: str | None = None, **fields: Any) -> RunStart:
    return RunStart(kind=kind, run_type=run_type or kind.value, name=name, **{**COMMON, **fields})


RUNS: dict[str, tuple[RunStart, RunEnd]] = {
    "chain": (_run(RunKind.CHAIN, "RunnableSequence", inputs={"number": "2"}), RunEnd(outputs="four")),
    "prompt": (_run(RunKind.PROMPT, "Greeting", inputs={"name": "Ada"}), RunEnd(outputs=ASKED[:2])),
    "parser": (_run(RunKind.PARSER, "StrOutputParser", inputs=ASKED[1]), RunEnd(outputs={"n": [1, 2.5, None]})),
    "chat": (
        _run(RunKind.CHAT, "ChatOpenAI", "llm", request=REQUEST, tools=lambda: TOOLS, messages=lambda: ASKED),
        RunEnd(response=RESPONSE, streaming=Streaming(first_content_s=0.25)),
    ),
    "llm": (
        _run(RunKind.LLM, "OpenAI", "llm", request=REQUEST, tools=lambda: TOOLS, messages=lambda: ASKED[1:2]),
        RunEnd(response=RESPONSE),
    ),
    "embeddings": (
        _run(RunKind.EMBEDDINGS, "OpenAIEmbeddings", request=ModelRequest(provider="openai", model="te-3")),
        RunEnd(response=ModelResponse(usage=Usage(input_tokens=7))),
    ),
    "tool": (
        _run(
            RunKind.TOOL,
            "weather",
            tool=ToolRequest(name="weather", description="Tells it.", call_id="call_1", arguments={"city": "東京"}),
        ),
        RunEnd(outputs=["20", "°C"]),
    ),
    "retriever": (_run(RunKind.RETRIEVER, "Docs", query="why?"), RunEnd(documents=lambda: FOUND)),
    "agent": (_run(RunKind.AGENT, "helper", "chain", inputs=STATE_IN), RunEnd(outputs=STATE_OUT)),
    "workflow": (_run(RunKind.WORKFLOW, "support", "chain", inputs={"ticket": 5}), RunEnd(outputs={"ticket": 6})),
    "node": (_run(RunKind.NODE, "plan", "chain", metadata=NODE, inputs=STATE_IN), RunEnd(outputs=STATE_OUT)),
}
FAILURE = RunFailure(
    error=ValueError("boom"),
    response=ModelResponse(finish_reasons=["error"], messages=lambda: [_said("assistant", "Zwan")]),
)


@pytest.mark.parametrize("kind", RUNS)
@pytest.mark.parametrize("name", PROFILES)
def test_a_kind_of_run_in_a_profile(name: str, kind: str) -> None:
    """The span's name, kind and attributes at start, end and failure are those of the golden file (pains #49)."""
    run, end = RUNS[kind]
    chosen, gate = profile(name), Gate.of(True).for_run(run)

    said = {
        "span_name": chosen.name_and_kind(run)[0],
        "span_kind": chosen.name_and_kind(run)[1].name,
        "start": chosen.start(run, gate),
        "end": chosen.end(run, end, gate),
        "failure": chosen.failure(run, FAILURE, gate),
    }

    assert json.loads(json.dumps(said)) == external_file(GOLDEN / name / f"{kind}.json")  # tuples are lists there


@pytest.mark.parametrize("kind", RUNS)
@pytest.mark.parametrize("name", PROFILES)
def test_with_content_off_only_content_is_missing(name: str, kind: str) -> None:
    """Switching content off takes attributes away and changes none of the others."""
    run, end = RUNS[kind]
    chosen, on, off = profile(name), Gate.of(True), Gate.of(False)

    whole = chosen.start(run, on) | chosen.end(run, end, on) | chosen.failure(run, FAILURE, on)
    bare = chosen.start(run, off) | chosen.end(run, end, off) | chosen.failure(run, FAILURE, off)

    assert bare.items() <= whole.items()
    assert {"chainspan.run.id", "session.id", "user.id", "openinference.span.kind", "error.type"} <= bare.keys()


@pytest.mark.parametrize("kind", RUNS)
def test_only_operations_of_the_conventions_have_their_keys(kind: str) -> None:
    """A chain, prompt, parser or node carries no gen_ai key: backends would take it for a model call."""
    run, end = RUNS[kind]
    chosen, gate = profile("compat"), Gate.of(True)

    keys = chosen.start(run, gate) | chosen.end(run, end, gate) | chosen.failure(run, FAILURE, gate)

    is_operation = kind not in ("chain", "prompt", "parser", "node")
    assert any(key.startswith("gen_ai.") for key in keys) is is_operation
    assert not any(key.startswith("gen_ai.prompt") for key in keys)


@pytest.mark.parametrize("kind", RUNS)
def test_profiles_name_and_kind_spans_alike(kind: str) -> None:
    """Switching the profile changes the names of attributes, and nothing else."""
    run, _ = RUNS[kind]

    said = {profile(name).name_and_kind(run) for name in PROFILES}

    assert len(said) == 1


@pytest.mark.parametrize(
    ("kind", "named"),
    [("chat", "summary"), ("tool", "summary"), ("retriever", "summary"), ("chain", "summary")],
)
def test_the_users_name_wins(kind: str, named: str) -> None:
    """A `run_name` is the span's name, whatever the operation would be called."""
    run, _ = RUNS[kind]
    run = _run(run.kind, named, request=run.request, tool=run.tool, named=True)

    assert profile().name_and_kind(run)[0] == named


def test_a_graph_without_a_name_is_just_invoked() -> None:
    """`LangGraph` is what every graph without a name is called, and says nothing."""
    run = _run(RunKind.WORKFLOW, "LangGraph", "chain")

    assert profile().name_and_kind(run)[0] == "invoke_workflow"
    assert "gen_ai.workflow.name" not in profile().start(run, Gate.of(False))


def test_a_model_without_a_name_has_a_span_all_the_same() -> None:
    """Neither model nor provider need be known."""
    run = _run(RunKind.CHAT, "FakeModel", request=None)

    assert profile().name_and_kind(run)[0] == "chat"
    assert profile().start(run, Gate.of(False))["gen_ai.operation.name"] == "chat"


@pytest.mark.parametrize("name", PROFILES)
def test_absent_usage_is_absent(name: str) -> None:
    """Where nobody counted tokens no count is written, least of all 0."""
    run, _ = RUNS["chat"]

    end = profile(name).end(run, RunEnd(response=ModelResponse(model="m")), Gate.of(False))

    assert not [key for key in end if "token" in key]


@pytest.mark.parametrize("name", PROFILES)
def test_an_answer_from_the_cache_is_not_billed(name: str) -> None:
    """A hit of LangChain's cache is marked, and its tokens are no usage."""
    run, _ = RUNS["chat"]
    response = ModelResponse(usage=Usage(input_tokens=10, output_tokens=2), cache_hit=True)

    end = profile(name).end(run, RunEnd(response=response), Gate.of(False))

    assert end == {
        "chainspan.cache.hit": True,
        "chainspan.saved.input_tokens": 10,
        "chainspan.saved.output_tokens": 2,
    }


@pytest.mark.parametrize(
    ("request_", "known", "kept"),
    [
        (ModelRequest(provider="openai"), {}, True),
        (ModelRequest(provider="azure.ai.openai"), {}, True),
        (ModelRequest(provider="together"), {}, False),
        (ModelRequest(provider="custom"), {"gen_ai.provider.name": "openai"}, True),
        (None, {}, True),
    ],
    ids=["openai", "azure", "another", "known-later", "unknown"],
)
def test_what_is_openais_is_said_of_openai(request_: ModelRequest | None, known: dict[str, str], *, kept: bool) -> None:
    """An integration made of OpenAI's calls its answers OpenAI's, of whoever speaks that protocol."""
    extra = {**known, "chainspan.response.finish_reasons_raw": "eos"}
    of_openai = {"openai.api.type": "chat_completions", "openai.response.system_fingerprint": "fp"}
    end = RunEnd(response=ModelResponse(extra={**extra, **of_openai}))

    said = profile().end(_run(RunKind.CHAT, "ChatTogether", "llm", request=request_), end, Gate.of(False))

    assert said == (extra | of_openai if kept else extra)


def test_a_tool_that_says_it_failed_has_failed() -> None:
    """A result with the status of an error is an error, though nothing was raised."""
    run, _ = RUNS["tool"]

    end = profile().end(run, RunEnd(outputs="no such city", failed="no such city"), Gate.of(False))

    assert end == {"error.type": "tool_error", "chainspan.run.outcome": "error"}


@pytest.mark.parametrize("outcome", [item for item in Outcome if item not in (Outcome.OK, Outcome.ERROR)])
def test_what_is_no_error_has_no_error_type(outcome: Outcome) -> None:
    """An interrupt, a cancellation and a broken-off stream say so, and are no errors."""
    run, _ = RUNS["chain"]

    said = profile().failure(run, RunFailure(error=GeneratorExit(), outcome=outcome), Gate.of(True))

    assert said == {"chainspan.run.outcome": outcome.value}


def test_attributes_that_cannot_be_exported_are_made_so() -> None:
    """None is dropped, a number beyond 64 bits is a text, and a lone surrogate is replaced."""
    request = ModelRequest(model="m\ud800", parameters={"seed": 2**70, "temperature": None, "top_p": float("nan")})
    run = RunStart(
        run_id=UUID(int=1), parent_id=None, kind=RunKind.CHAT, run_type="llm", name="ChatOpenAI", request=request
    )

    start = profile().start(run, Gate.of(False))

    assert start["gen_ai.request.model"] == "m\ufffd"
    assert start["gen_ai.request.seed"] == str(2**70)
    assert "gen_ai.request.temperature" not in start


@pytest.mark.parametrize("name", PROFILES)
def test_a_long_conversation_leaves_room_for_the_rest(name: str) -> None:
    """300 messages, 60 tools and 200 keys of metadata do not push out the model or the session (pains #23)."""
    call = {"type": "tool_call", "id": "call_1", "name": "f", "arguments": {}}
    tools = [{"type": "function", "name": f"tool-{number}"} for number in range(60)]
    run = _run(
        RunKind.CHAT,
        "ChatOpenAI",
        request=ModelRequest(model="gpt-5"),
        tools=lambda: tools,
        messages=lambda: [Message(role="assistant", parts=[call, call])] * 300,
        metadata={f"key-{number}": number for number in range(200)},
    )
    gate = Gate.of(True)

    said = profile(name).start(run, gate) | profile(name).end(run, RUNS["chat"][1], gate)

    assert len(said) <= 128
    assert "gpt-5" in said.values()


def _calling(calls: int) -> Message:
    """Return an answer that says a word and calls a tool so many times."""
    called = [{"type": "tool_call", "id": f"c{n}", "name": "f", "arguments": {"n": n}} for n in range(calls)]
    return Message(role="assistant", parts=[{"type": "text", "content": "Hm."}, *called])


def _openinference(asked: list[Message], answered: list[Message], **fields: Any) -> dict[str, Any]:
    """Return all that a call of a model says in the profile openinference, whether it ends well or not."""
    run = _run(RunKind.CHAT, "ChatOpenAI", "llm", **fields, request=REQUEST, messages=lambda: asked)
    response = dataclasses.replace(RESPONSE, usage=USED, messages=lambda: answered)
    openinference, gate = profile("openinference"), Gate.of(ContentPolicy(capture=True, baggage=BAGGAGE))
    failure = RunFailure(error=ValueError("boom"), response=response, inputs="why?")
    return {
        **openinference.start(run, gate),
        **openinference.end(run, RunEnd(response=response, failed="no"), gate),
        **openinference.failure(run, failure, gate),
    }


USED = Usage(input_tokens=9, output_tokens=9, cache_read=1, cache_write=2, reasoning=3, audio_input=4, audio_output=5)
BAGGAGE = [f"entry-{number}" for number in range(60)]
ADDED_LATER = 7  # a cost, a fault, and the sums of a trace
CALLS = st.lists(st.integers(0, 50), max_size=60)


@given(asked=CALLS, answered=CALLS, tools=st.integers(0, 60), carried=st.integers(0, 60))
def test_openinference_fits_into_a_span(asked: list[int], answered: list[int], tools: int, carried: int) -> None:
    """Whatever is asked, offered, answered and carried along, nothing of the 128 attributes has to go for it."""
    context = baggage.clear()
    for entry in BAGGAGE[:carried]:
        context = baggage.set_baggage(entry, "x", context)
    token = attach(context)

    said = _openinference(
        [_calling(calls) for calls in asked],
        [_calling(calls) for calls in answered],
        tools=lambda: TOOLS * tools,
        metadata={"prompt_version": "2", "order": 7, "retry": 1},
        attempt=2,
    )
    detach(token)

    assert len(said) <= 128 - ADDED_LATER


def test_openinference_keeps_the_newest_messages_whole() -> None:
    """Of a long conversation the last messages are there with all their calls, beside the tools."""
    asked = [_calling(number % 3) for number in range(60)]

    said = spoken.messages_from_span({"attributes": _openinference(asked, [], tools=lambda: TOOLS * 60)})

    assert [len(message.parts) - 1 for message in said] == [0, 1, 2, 0, 1, 2]
    assert said[-1] == spoken.messages_from_span({"attributes": _openinference(asked[-1:], [])})[0]


def test_openinference_keeps_whole_calls_of_an_answer_that_has_too_many() -> None:
    """An answer with forty calls has the first of them, each with its name, its id and its arguments."""
    [said] = spoken.messages_from_span({"attributes": _openinference([], [_calling(40)])})
    [some] = spoken.messages_from_span({"attributes": _openinference([], [_calling(10)])})

    assert said == some
    assert len(some.parts) == 11


CALL = {"type": "tool_call", "id": "call_1", "name": "mail", "arguments": {"to": "ada"}}
PICTURE = {"type": "uri", "mime_type": "image/png", "modality": "image", "uri": "https://a.example/b.png"}
THOUGHT = {"type": "reasoning", "content": "To Ada?"}


@pytest.mark.parametrize("name", PROFILES)
def test_a_message_without_a_text_is_shown_as_it_is(name: str) -> None:
    """Of a picture that was asked about, and a call that waits for somebody's word, lists show the message."""
    asked, answered = Message(role="user", parts=[PICTURE]), Message(role="assistant", parts=[THOUGHT, CALL])
    kind = RunKind.CHAT if name == "openinference" else RunKind.AGENT
    run = _run(kind, "helper", inputs={"messages": []}, messages=lambda: [asked])
    end = RunEnd(response=ModelResponse(messages=lambda: [answered]), outputs={"messages": [answered]})
    gate = Gate.of(ContentPolicy(capture=True, reasoning=False)).for_run(run)

    said = profile(name).start(run, gate) | profile(name).end(run, end, gate)

    assert (said["input.value"], said["input.mime_type"]) == (_as_json("user", PICTURE), "application/json")
    assert (said["output.value"], said["output.mime_type"]) == (_as_json("assistant", CALL), "application/json")


def _as_json(role: str, part: Any) -> str:
    return json.dumps([{"role": role, "parts": [part]}], separators=(",", ":"))


def test_of_thoughts_that_are_left_out_nothing_is_shown() -> None:
    """Where a message holds nothing but what may not be recorded, there is no output to show."""
    run = _run(RunKind.CHAT, "gpt-5")
    end = RunEnd(response=ModelResponse(messages=lambda: [Message(role="assistant", parts=[THOUGHT])]))

    said = profile("openinference").end(run, end, Gate.of(ContentPolicy(capture=True, reasoning=False)))

    assert said == {"llm.output_messages.0.message.role": "assistant"}


def test_openinference_tells_embeddings_parameters_from_what_is_embedded() -> None:
    """Parameters of an embedding stand where OpenInference has them, and how many texts there are is none of them."""
    asked = ModelRequest(provider="openai", model="te-3", parameters={"dimensions": 64, "count": 2})

    said = profile("openinference").start(_run(RunKind.EMBEDDINGS, "te-3", request=asked), Gate.of(False))

    told = ("llm.invocation", "embedding.", "chainspan.embeddings")
    assert {key: value for key, value in said.items() if key.startswith(told)} == {
        "embedding.model_name": "te-3",
        "embedding.invocation_parameters": '{"dimensions":64}',
        "chainspan.embeddings.count": 2,
    }


def test_openinference_has_documents_whole() -> None:
    """Of very many documents the first are there with all their fields, and leave room for the rest."""
    run, _ = RUNS["retriever"]

    said = profile("openinference").end(run, RunEnd(documents=lambda: FOUND * 60), Gate.of(True))

    assert said == {
        f"retrieval.documents.{index}.document.{key}": value
        for index in range(18)
        for key, value in {"id": "d1", "score": 0.5, "content": "Text.", "metadata": '{"source":"a.md"}'}.items()
    }


@pytest.mark.parametrize(
    ("found", "lacks"),
    [
        (RetrievedDocument(content="Text.", id="d1"), "score"),
        (RetrievedDocument(content="Text.", score=0.5), "id"),
    ],
)
def test_documents_stand_one_by_one_where_no_list_of_them_is_taken(found: RetrievedDocument, lacks: str) -> None:
    """A document without an id or a score makes Phoenix drop the list, so the first ones stand there singly too."""
    run, _ = RUNS["retriever"]
    whole, end = profile("latest"), RunEnd(documents=lambda: [*FOUND, *[found] * 30])

    said = profile("compat").end(run, end, Gate.of(True))

    singly = {key: value for key, value in said.items() if key.startswith("retrieval.documents.")}
    assert {key: value for key, value in said.items() if key not in singly} == whole.end(run, end, Gate.of(True))
    keys = ["id", "score", "content"]
    keys.remove(lacks)
    assert list(singly) == [
        *(f"retrieval.documents.0.document.{key}" for key in ("id", "score", "content", "metadata")),
        *(f"retrieval.documents.{index}.document.{key}" for index in range(1, 23) for key in keys),
    ]
    assert profile("compat").end(run, end, Gate.of(False)) == {}


@pytest.mark.parametrize("name", PROFILES)
def test_tool_definitions_may_be_left_out(name: str) -> None:
    """Where the policy says so, a model's input is recorded without the tools offered to it, and all else stays."""
    run, _ = RUNS["chat"]

    every = profile(name).start(run, Gate.of(True))
    some = profile(name).start(run, Gate.of(ContentPolicy(capture=True, tool_definitions=False)))

    assert some == {key: value for key, value in every.items() if not key.startswith(("gen_ai.tool.", "llm.tools."))}
    assert some != every


def test_metadata_is_typed_and_only_the_users_own() -> None:
    """Scalars stay scalars, the rest is JSON, and what LangChain put there itself is left out."""
    run, _ = RUNS["chain"]

    start = profile().start(run, Gate.of(ContentPolicy(capture=False, metadata=["order", "n", "ls_provider"])))

    assert {key: value for key, value in start.items() if key.startswith("chainspan.metadata")} == {
        "chainspan.metadata.order": 7,
        "chainspan.metadata.n": '{"a":1}',
        "chainspan.metadata.ls_provider": "openai",
    }


def test_a_session_says_whose_runs_they_are() -> None:
    """Runs inside a session carry its conversation and user, unless they name their own (pains #12)."""
    run = _run(RunKind.CHAT, "ChatOpenAI", conversation_id=None, user_id=None)
    named = _run(RunKind.CHAIN, "chain", conversation_id="own", user_id=None)
    gate = Gate.of(False)

    with session(conversation="c1", user="ada"), session(user="eve"):
        inside, own = profile().start(run, gate), profile().start(named, gate)
    outside = profile().start(run, gate)

    assert {key: inside[key] for key in ("session.id", "gen_ai.conversation.id", "user.id")} == {
        "session.id": "c1",
        "gen_ai.conversation.id": "c1",
        "user.id": "eve",
    }
    assert (own["session.id"], own["user.id"]) == ("own", "eve")
    assert not {"session.id", "gen_ai.conversation.id", "user.id"} & outside.keys()


def test_a_session_may_end_in_another_context() -> None:
    """A generator with a session in it is closed by whoever is done with it, such as a web framework's other thread."""

    def body() -> Generator[None]:
        with session(conversation="c1"):
            yield

    left, kept = body(), body()
    copy_context().run(next, left)
    inside = copy_context()
    inside.run(next, kept)
    left.close()
    copied = inside.copy()
    copied.run(kept.close)
    with session(conversation="c2"):
        start = profile().start(_run(RunKind.CHAIN, "chain", conversation_id=None, user_id=None), Gate.of(False))

    assert start["session.id"] == "c2"
    assert copied.run(current_session) == (None, None)


def test_ids_of_a_session_are_texts() -> None:
    """A number from a database is recorded as the same id from a run's metadata is."""
    run = _run(RunKind.CHAT, "ChatOpenAI", conversation_id=None, user_id=None)

    with session(conversation=5, user=7):  # type: ignore[arg-type]  # what people do
        inside = profile().start(run, Gate.of(False))

    assert [inside[key] for key in ("session.id", "gen_ai.conversation.id", "user.id")] == ["5", "5", "7"]


def test_an_empty_id_is_nobodys() -> None:
    """Who has no cookie is in no conversation, rather than in one with all others who have none."""
    run = _run(RunKind.CHAT, "ChatOpenAI", conversation_id=None, user_id=None)

    with session(conversation="", user=""):
        nowhere = profile().start(run, Gate.of(False))
    with session(conversation="c1", user="ada"), session(conversation="", user=""):
        inside = profile().start(run, Gate.of(False))

    assert not {"session.id", "gen_ai.conversation.id", "user.id"} & nowhere.keys()
    assert (inside["session.id"], inside["user.id"]) == ("c1", "ada")


def test_an_api_key_is_nobodys_id() -> None:
    """Secrets leave by no id: not that of a session, and not one that metadata says."""
    key = "sk-proj-abcdefghijklmnopqrstuvwx"
    identity = identity_of({"thread_id": key, "user_id": f"key {key}", "agent_name": key}, [])

    with session(conversation=key, user=key):
        start = profile().start(_run(RunKind.CHAIN, "chain", conversation_id=None, user_id=None), Gate.of(False))

    assert identity[:3] == ("[secret]", "key [secret]", "[secret]")
    assert (start["session.id"], start["user.id"]) == ("[secret]", "[secret]")


@pytest.mark.parametrize("name", PROFILES)
def test_baggage_on_the_list_is_on_the_span(name: str) -> None:
    """Of what comes with a request only the named entries become attributes, masked (pains #81)."""
    run, _ = RUNS["chain"]
    context = baggage.set_baggage("tenant", "sk-proj-abcdefghijklmnopqrstuvwx")
    token = attach(baggage.set_baggage("other", "x", context))

    start = profile(name).start(run, Gate.of(ContentPolicy(capture=False, baggage=["tenant", "absent"])))
    detach(token)

    assert start["tenant"] == "[secret]"
    assert not {"other", "absent"} & start.keys()


def test_the_prompts_name_and_version_are_known_to_latest() -> None:
    """Which template made a model's input is on the model's span, but for Langfuse's sake not in compat (pains #66)."""
    run, _ = RUNS["chat"]
    run = _run(run.kind, "ChatOpenAI", metadata={"lc_hub_repo": "greeting", "lc_hub_commit_hash": "abc"})
    gate = Gate.of(False)

    said = {name: {key for key in profile(name).start(run, gate) if "prompt" in key} for name in PROFILES}

    assert said == {
        "compat": set(),
        "latest": {"gen_ai.prompt.name", "gen_ai.prompt.version"},
        "openinference": {"llm.prompt_template.version"},
    }


def test_the_environment_chooses_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """The opt-in variable of the conventions chooses `latest`; an argument wins over it."""
    monkeypatch.setenv(OPT_IN_VARIABLE, "http, gen_ai_latest_experimental")

    assert profile().name == "latest"
    assert profile("compat").name == "compat"


def test_an_unknown_profile_is_refused() -> None:
    """A misspelt name is an error that says which there are."""
    with pytest.raises(ConfigurationError, match=r"profile: expected one of compat, latest, openinference, got 'x'"):
        profile("x")
