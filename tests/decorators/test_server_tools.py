"""Tools that a provider runs itself, in the blocks of its client's answers."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chainspan import OtelHandler, llm

from ._told import messages_of

Block = dict[str, Any]


def call(name: str, arguments: Any, kind: str | None = None, **more: str) -> Block:
    """Return the part that such a call is."""
    held = {"type": kind or name, "arguments": arguments, **more}
    return {"type": "server_tool_call", "id": "1", "name": name, "server_tool_call": held}


def result(status: str, **more: Any) -> Block:
    """Return the part that what came of it is."""
    held = {"type": "server_tool_result", "status": status, **more}
    return {"type": "server_tool_call_response", "id": "1", "server_tool_call_response": held}


@pytest.mark.parametrize(
    ("block", "parts"),
    [
        (
            {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "sun"}},
            [call("web_search", {"type": "search", "query": "sun"}), result("success")],
        ),
        (
            {"type": "web_search_call", "status": "in_progress", "action": None},
            [call("web_search", {})],
        ),
        (
            {"type": "code_interpreter_call", "status": "failed", "code": "1 / 0", "outputs": []},
            [call("code_interpreter", {"code": "1 / 0"}), result("error", output=[])],
        ),
        (
            {"type": "file_search_call", "status": "completed", "queries": ["sun"], "results": [{"text": "Round."}]},
            [call("file_search", {"queries": ["sun"]}), result("success", output=[{"text": "Round."}])],
        ),
        (
            {"type": "mcp_call", "server_label": "dice", "name": "roll", "arguments": '{"d": 6}', "output": "4"},
            [call("roll", {"d": 6}, "remote_mcp", server_label="dice"), result("success", output="4")],
        ),
        (
            {"type": "mcp_call", "server_label": "dice", "name": "roll", "arguments": "{}", "error": "none left"},
            [call("roll", {}, "remote_mcp", server_label="dice"), result("error", output="none left")],
        ),
    ],
)
def test_openai(block: Block, parts: list[Block], handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """A call of OpenAI's holds what came of it too; it is named as LangChain names it."""
    output = [{"id": "1", **block}]
    answer = {"object": "response", "status": "completed", "output": output}

    llm(lambda prompt: answer).with_config(callbacks=[handler])("Look.")

    assert messages_of(memory, "output")[0]["parts"] == parts


def test_picture_of_openai(handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """What was drawn is an image, and no longer than that of any other message."""
    drawn = {"type": "image_generation_call", "id": "1", "result": "aGVsbG8=", "output_format": "webp"}

    llm(lambda prompt: {"output": [drawn]}).with_config(callbacks=[handler])("Draw.")

    content = "[image/webp 5 bytes sha256:2cf24dba5fb0a30e]"
    assert messages_of(memory, "output")[0]["parts"] == [
        {"type": "blob", "mime_type": "image/webp", "modality": "image", "content": content}
    ]


@pytest.mark.parametrize(
    ("block", "part"),
    [
        (
            {"type": "mcp_tool_use", "id": "1", "name": "roll", "server_name": "dice", "input": {"d": 6}},
            call("roll", {"d": 6}, "remote_mcp", server_name="dice"),
        ),
        (
            {"type": "mcp_tool_result", "tool_use_id": "1", "is_error": True, "content": "none left"},
            result("error", output="none left"),
        ),
        (
            {"type": "web_fetch_tool_result", "tool_use_id": "1", "content": {"error_code": "unavailable"}},
            result("error", output={"error_code": "unavailable"}),
        ),
        (
            {"type": "code_execution_tool_result", "tool_use_id": "1", "content": {"stdout": "2"}},
            result("success", output={"stdout": "2"}),
        ),
    ],
)
def test_anthropic(block: Block, part: Block, handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """Anthropic's calls and results are blocks each, also where an earlier answer is sent back."""
    asked = [{"role": "assistant", "content": [block]}]

    llm(lambda messages: {"stop_reason": "end_turn", "content": [block]}).with_config(callbacks=[handler])(asked)

    assert messages_of(memory, "output")[0]["parts"] == messages_of(memory, "input")[0]["parts"] == [part]


@pytest.mark.parametrize(("outcome", "status"), [("OUTCOME_OK", "success"), ("OUTCOME_FAILED", "error")])
def test_google(outcome: str, status: str, handler: OtelHandler, memory: InMemorySpanExporter) -> None:
    """Code that Gemini ran, and what it printed."""
    code = {"executableCode": {"id": "1", "language": "PYTHON", "code": "print(2)"}}
    printed = {"codeExecutionResult": {"id": "1", "outcome": outcome, "output": "2"}}
    answer = {"candidates": [{"content": {"parts": [code, printed]}}]}

    llm(lambda prompt: answer).with_config(callbacks=[handler])("Run.")

    assert messages_of(memory, "output")[0]["parts"] == [
        call("code_interpreter", {"language": "PYTHON", "code": "print(2)"}),
        result(status, output="2"),
    ]
