"""Writes the table of docs/attributes.md by asking the code which attribute holds what.

Each row puts a value that occurs nowhere else into one of LangChain's fields, sends it
through the adapter and each profile, and looks where it comes out. So the table cannot
say what the code does not do::

    python tests/attribute_table.py          # writes the page
    python tests/attribute_table.py --check  # fails where the page is out of date

"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from chainspan._content import Gate
from chainspan._model import Outcome, RunEnd, RunFailure, RunKind, RunStart, Streaming
from chainspan._profiles import profile
from chainspan.langchain import _identity, _payloads, _responses

PAGE = Path(__file__).parents[1] / "docs" / "attributes.md"
BEGIN, END = "<!-- begin: written by tests/attribute_table.py -->", "<!-- end -->"
PROFILES = ("compat", "latest", "openinference")
TEXT, NUMBER = "zzmarkzz", 7919
Json = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One field of LangChain's, and a run that holds a mark in it and nowhere else."""

    field: str
    run: RunStart
    end: RunEnd | RunFailure | None = None
    content: bool = False


def run(kind: RunKind, name: str = "name", **fields: Any) -> RunStart:
    """Return a run that says nothing but what is asked."""
    metadata, tags = fields.get("metadata", {}), fields.get("tags", ())
    known = _identity.identity(metadata, tags)._asdict()
    start = RunStart(run_id=UUID(int=0), parent_id=None, kind=kind, run_type=kind.value, name=name)
    for key, value in {**known, **fields}.items():
        setattr(start, key, value)
    return start


def chat(serialized: Json | None = None, messages: Any = (), **kwargs: Any) -> RunStart:
    """Return the run of a chat model that was asked so."""
    request = _payloads.model_request(serialized, kwargs)
    metadata = kwargs.get("metadata", {})
    return run(
        RunKind.CHAT,
        request=request,
        messages=lambda: _payloads.input_messages(messages),
        tools=lambda: _payloads.offered_tools(kwargs),
        metadata=metadata,
    )


def answered(info: Json | None = None, output: Json | None = None, **message: Any) -> RunEnd:
    """Return the end of a model's run that answered so."""
    choice = ChatGeneration(message=AIMessage(**{"content": "", **message}), generation_info=info)
    result = LLMResult(generations=[[choice]], llm_output=output)
    return RunEnd(response=_responses.model_response(result))


def usage(**counts: Any) -> RunEnd:
    """Return the end of a model's run that used so many tokens."""
    whole = {"input_tokens": 10**6, "output_tokens": 10**6, "total_tokens": 10**6, **counts}
    return answered(usage_metadata=whole)


def common_rows() -> Iterator[Row]:
    """Yield what is recorded of every run."""
    chain = RunKind.CHAIN
    yield Row("`name`, else the class's name", run(chain, TEXT))
    yield Row("`run_id`", run(chain, run_id=UUID(int=NUMBER)))
    yield Row("`run_type`, or the callback's kind", run(chain, run_type=TEXT))
    yield Row("`metadata`: `thread_id`, `session_id`, `conversation_id`", run(chain, metadata={"thread_id": TEXT}))
    yield Row("the same, of an operation", run(RunKind.CHAT, metadata={"thread_id": TEXT}))
    yield Row("`metadata.user_id`", run(chain, metadata={"user_id": TEXT}))
    yield Row("`metadata`: `lc_agent_name`, `agent_name`", run(chain, metadata={"lc_agent_name": TEXT}))
    yield Row("the same, of an operation", run(RunKind.CHAT, metadata={"lc_agent_name": TEXT}))
    yield Row("other `metadata` of the user's own", run(chain, metadata={"order": TEXT}), content=True)
    yield Row("`tags` of the user's own", run(chain, tags=[TEXT]), content=True)
    yield Row("the tag `retry:attempt:N`", run(chain, tags=[f"retry:attempt:{NUMBER}"]))
    failure = RunFailure(error=type(TEXT, (Exception,), {"__module__": "builtins"})())
    yield Row("the class of an error", run(chain), failure)
    cancelled = RunFailure(error=GeneratorExit(), outcome=Outcome.CANCELLED)
    yield Row("how a run ended, where not well (`cancelled`)", run(chain), cancelled)


def value_rows() -> Iterator[Row]:
    """Yield what goes into chains and comes out of them."""
    state = {"messages": [HumanMessage(TEXT)]}
    yield Row("`inputs` of a chain, prompt, parser or node", run(RunKind.CHAIN, inputs={"x": TEXT}), content=True)
    yield Row("`outputs` of these", run(RunKind.CHAIN), RunEnd(outputs={"x": TEXT}), content=True)
    yield Row("`inputs.messages` of an agent or a graph", run(RunKind.AGENT, inputs=state), content=True)
    yield Row(
        "`outputs.messages`, the last; in `openinference` the whole state",
        run(RunKind.AGENT),
        RunEnd(outputs=state),
        content=True,
    )
    yield Row("`inputs` of a graph without messages", run(RunKind.WORKFLOW, inputs={"x": TEXT}), content=True)
    yield Row("`name` of an agent", run(RunKind.AGENT, TEXT))
    yield Row("`name` of a graph", run(RunKind.WORKFLOW, TEXT))
    yield Row("`metadata.langgraph_node`", run(RunKind.NODE, metadata={"langgraph_node": TEXT}))
    yield Row("`metadata.langgraph_step`", run(RunKind.NODE, metadata={"langgraph_step": NUMBER}))
    yield Row("`metadata.langgraph_checkpoint_ns`", run(RunKind.NODE, metadata={"langgraph_checkpoint_ns": TEXT}))


def request_rows() -> Iterator[Row]:
    """Yield what a model is asked for."""
    provider = "`metadata.ls_provider`, else the class; of OpenAI's client, whose host it asks"
    yield Row(provider, chat(metadata={"ls_provider": TEXT}))
    yield Row("`invocation_params.model`, `model_name`, `model_id`, …", chat(invocation_params={"model": TEXT}))
    host = "`serialized.kwargs.base_url` and its like, else the model's own: host"
    yield Row(host, chat({"kwargs": {"base_url": f"http://{TEXT}"}}))
    yield Row("the same: port", chat({"kwargs": {"base_url": f"http://x:{NUMBER}"}}))
    numbers = {
        "temperature": "temperature",
        "max_completion_tokens": (
            "max_completion_tokens`, `max_tokens`, `max_output_tokens`, `max_new_tokens`, `max_gen_len`, `num_predict"
        ),
        "top_p": "top_p",
        "top_k": "top_k",
        "frequency_penalty": "frequency_penalty",
        "presence_penalty": "presence_penalty",
        "seed": "seed",
        "n": "n`, where not 1; `candidate_count",
    }
    for key, words in numbers.items():
        yield Row(f"`{words}`", chat(invocation_params={key: NUMBER}))
    yield Row("`stop`, `stop_sequences`", chat(invocation_params={"stop": [TEXT]}))
    effort = chat(invocation_params={"reasoning_effort": TEXT})
    yield Row("`reasoning.effort`, `reasoning_effort`, `output_config.effort`", effort)
    yield Row("`previous_response_id`", chat(invocation_params={"previous_response_id": TEXT}))
    openai = {"metadata": {"ls_provider": "openai"}}
    yield Row("`service_tier`, of OpenAI", chat(invocation_params={"service_tier": TEXT}, **openai))
    yield Row("`tools`, `functions`", chat(invocation_params={"tools": [{"name": TEXT}]}), content=True)
    structured = {"ls_structured_output_format": {"schema": {"title": TEXT}}}
    yield Row("the schema of a structured answer", chat(options=structured), content=True)
    yield Row("`messages`, `prompts`", chat(messages=[HumanMessage(TEXT)]), content=True)
    yield Row("`metadata`: `prompt_name`, `lc_hub_repo`", chat(metadata={"prompt_name": TEXT}))
    yield Row("`metadata`: `prompt_version`, `lc_hub_commit_hash`", chat(metadata={"prompt_version": TEXT}))


def response_rows() -> Iterator[Row]:
    """Yield what a model answers."""
    asked = chat()
    yield Row("`response_metadata`: `model_name`, `model`", asked, answered(response_metadata={"model_name": TEXT}))
    yield Row("`response_metadata.id`, `llm_output.id`", asked, answered(response_metadata={"id": TEXT}))
    yield Row("`finish_reason`, `stop_reason`, `done_reason`, `status`", asked, answered({"finish_reason": TEXT}))
    yield Row("the same, where the conventions' word differs", asked, answered({"finish_reason": "MAX_TOKENS"}))
    openai = {"model_provider": "openai"}
    yield Row("`service_tier`, of OpenAI", asked, answered(response_metadata={**openai, "service_tier": TEXT}))
    fingerprint = answered(response_metadata={**openai, "system_fingerprint": TEXT})
    yield Row("`system_fingerprint`, of OpenAI", asked, fingerprint)
    streamed = RunEnd(streaming=Streaming(first_content_s=NUMBER))
    yield Row("the first content of a stream, in seconds", asked, streamed)
    yield Row("`usage_metadata.input_tokens`", asked, usage(input_tokens=NUMBER))
    yield Row("`usage_metadata.output_tokens`", asked, usage(output_tokens=NUMBER))
    for where, key, words in (
        ("input_token_details", "cache_read", "cache_read"),
        ("input_token_details", "cache_creation", "cache_creation`, `ephemeral_5m_input_tokens`, `…1h…"),
        ("output_token_details", "reasoning", "reasoning"),
        ("input_token_details", "audio", "audio"),
        ("output_token_details", "audio", "audio"),
    ):
        yield Row(f"`{where}`: `{words}`", asked, usage(**{where: {key: NUMBER}}))
    cached = usage(input_tokens=NUMBER, total_cost=0)
    yield Row("`input_tokens` of an answer from LangChain's cache", asked, cached)
    yield Row("the answer", asked, answered(content=TEXT), content=True)


def tool_rows() -> Iterator[Row]:
    """Yield what is recorded of tools and retrievers."""

    def tool(serialized: Mapping[str, Any], **kwargs: Any) -> RunStart:
        return run(RunKind.TOOL, tool=_payloads.tool_request({"name": "x", **serialized}, "", {"inputs": {}, **kwargs}))

    yield Row("`serialized.name` of a tool", tool({"name": TEXT}))
    yield Row("`serialized.description`", tool({"description": TEXT}), content=True)
    yield Row("`tool_call_id`", tool({}, tool_call_id=TEXT))
    yield Row("`inputs` of a tool", tool({}, inputs={"x": TEXT}), content=True)
    result, _ = _payloads.tool_output(ToolMessage(TEXT, tool_call_id="x"))
    yield Row("`output` of a tool", tool({}), RunEnd(outputs=result), content=True)
    failed = ToolMessage("x", tool_call_id="x", status="error")
    yield Row("`ToolMessage.status` of `error`", tool({}), RunEnd(outputs="x", failed=_payloads.tool_output(failed)[1]))
    yield Row("`query` of a retriever", run(RunKind.RETRIEVER, query=TEXT), content=True)
    found = RunEnd(documents=lambda: _payloads.documents([Document(TEXT)]))
    yield Row("`documents`", run(RunKind.RETRIEVER), found, content=True)
    store = {"ls_vector_store_provider": TEXT}
    yield Row("`metadata.ls_vector_store_provider`", run(RunKind.RETRIEVER, metadata=store))


SECTIONS: Mapping[str, Callable[[], Iterator[Row]]] = {
    "Every run": common_rows,
    "Chains, agents, graphs": value_rows,
    "What a model is asked": request_rows,
    "What a model answers": response_rows,
    "Tools and retrievers": tool_rows,
}
# Rows whose value is not the mark itself, but what the code makes of it.
MADE = {"cancelled", "length", "tool_error", "error"}


def holding(row: Row, name: str) -> list[str]:
    """Return the attributes of a profile that hold the row's mark."""
    chosen, gate = profile(name), Gate.of(True)
    said = dict(chosen.start(row.run, gate)) if row.end is None else {}
    if isinstance(row.end, RunEnd):
        said |= chosen.end(row.run, row.end, gate)
    elif isinstance(row.end, RunFailure):
        said |= chosen.failure(row.run, row.end, gate)
    return [key for key, value in said.items() if is_marked(value)]


def is_marked(value: Any) -> bool:
    """Return whether a value is or holds the mark."""
    if isinstance(value, (list, tuple)):
        return any(is_marked(item) for item in value)
    text = str(value)
    hexadecimal = str(UUID(int=NUMBER))
    return TEXT in text or str(NUMBER) in text or text == hexadecimal or text in MADE


def table(rows: Iterator[Row]) -> Iterator[str]:
    """Yield the lines of a table."""
    yield "| LangChain | `compat` | `latest` | `openinference` |"
    yield "|---|---|---|---|"
    for row in rows:
        compat, latest, openinference = (", ".join(f"`{key}`" for key in holding(row, name)) for name in PROFILES)
        cells = [compat or "-", "the same" if latest == compat and compat else latest or "-", openinference or "-"]
        yield f"| {row.field}{' ᶜ' if row.content else ''} | {' | '.join(cells)} |"


def tables() -> str:
    """Return all tables."""
    lines: list[str] = []
    for title, rows in SECTIONS.items():
        lines += [f"### {title}", "", *table(rows()), ""]
    return "\n".join(lines)


def page() -> str:
    """Return the page as it should be."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables()}\n{END}{after}"


def main() -> int:
    """Write the page, or check it."""
    expected = page()
    if "--check" in sys.argv[1:]:
        return int(PAGE.read_text(encoding="utf-8") != expected)
    PAGE.write_text(expected, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
