"""Decorators where LangChain cannot be imported: the same calls, the same trace."""

# ruff: noqa: E501 - attributes as they are

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest
from inline_snapshot import snapshot

ABSENT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"langchain", "langchain_core", "langgraph", "langsmith"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""

SPANS = """
import asyncio, json
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from chainspan import OtelHandler, agent, chain, llm, prompt, retriever, tool

memory = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(memory))
handler = OtelHandler(tracer_provider=provider, content=True)
mark = lambda name: provider.get_tracer("app").start_span(name).end()

def show():
    spans = {span.context.span_id: span for span in memory.get_finished_spans()}
    for span in sorted(spans.values(), key=lambda span: span.start_time):
        above = spans.get(span.parent.span_id) if span.parent else None
        print(span.name, "<", above.name if above else "-")
"""


def printed_by(code: str) -> str:
    """Run code where LangChain is absent, and return what it printed."""
    command = [sys.executable, "-W", "error", "-c", ABSENT + SPANS + dedent(code)]
    run = subprocess.run(command, check=False, capture_output=True, text=True)
    if run.stderr:
        pytest.fail(run.stderr, pytrace=False)
    return run.stdout


def test_tree_and_current_span() -> None:
    """Steps nest, generators and tasks keep to their places, and native spans to theirs."""
    printed = printed_by("""
        @tool
        async def look(q):
            "Look it up."
            await asyncio.sleep(0)
            mark("in look")

        @chain
        async def words():
            mark("in words")
            yield "one"

        @agent
        async def outer(q):
            async for word in words():
                mark("between")
            await asyncio.gather(look("a"), look("b"))

        asyncio.run((outer | {"a": look}).ainvoke("x", callbacks=[handler]))
        show()
    """)

    assert printed == snapshot("""\
Sequence < -
invoke_agent outer < Sequence
words < invoke_agent outer
in words < words
between < invoke_agent outer
execute_tool look < invoke_agent outer
execute_tool look < invoke_agent outer
in look < execute_tool look
in look < execute_tool look
Parallel < Sequence
execute_tool look < Parallel
in look < execute_tool look
""")


def test_what_a_model_says() -> None:
    """A model's request and answer are recorded as they are with LangChain."""
    printed = printed_by("""
        answer = {
            "output": {"message": {"content": [
                {"reasoningContent": {"reasoningText": {"text": "Let me see."}}},
                {"text": "Looking"},
                {"toolUse": {"toolUseId": "1", "name": "look", "input": {"q": "sun"}}},
            ]}},
            "stopReason": "tool_use",
            "usage": {"inputTokens": 5, "outputTokens": 3},
        }
        model = llm(provider="aws.bedrock", model="nova")(lambda messages, system: answer)
        find = retriever(lambda query: ["sun"])
        history = [
            {"role": "user", "content": [{"text": "Look."}]},
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "0", "name": "look", "input": {}}}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "0", "content": [{"text": "blue"}]}}]},
        ]
        model.invoke({"messages": history, "system": "Be brief."}, callbacks=[handler])
        find.invoke("q", callbacks=[handler])
        for span in memory.get_finished_spans():
            for key, value in span.attributes.items():
                if key.startswith("gen_ai"):
                    print(key, value)
    """)

    assert printed == snapshot("""\
gen_ai.operation.name chat
gen_ai.provider.name aws.bedrock
gen_ai.request.model nova
gen_ai.input.messages [{"role":"system","parts":[{"type":"text","content":"Be brief."}]},{"role":"user","parts":[{"type":"text","content":"Look."}]},{"role":"assistant","parts":[{"type":"tool_call","id":"0","name":"look","arguments":{}}]},{"role":"tool","parts":[{"type":"tool_call_response","id":"0","response":"blue"}]}]
gen_ai.response.model nova
gen_ai.response.finish_reasons ('tool_call',)
gen_ai.usage.input_tokens 5
gen_ai.usage.output_tokens 3
gen_ai.output.messages [{"role":"assistant","parts":[{"type":"reasoning","content":"Let me see."},{"type":"text","content":"Looking"},{"type":"tool_call","id":"1","name":"look","arguments":{"q":"sun"}}],"finish_reason":"tool_call"}]
gen_ai.operation.name retrieval
gen_ai.retrieval.query.text q
gen_ai.retrieval.documents [{"content":"sun"}]
""")


def test_handlers_of_ones_own() -> None:
    """Whatever has the callbacks' names is told, asynchronous or not, and its failures stay its own."""
    printed = printed_by("""
        class Handler:
            async def on_chain_start(self, serialized, inputs, **ids):
                print("start", ids["name"], inputs)
            def on_chain_end(self, outputs, **ids):
                print("end", outputs)

        step = chain(name="step", callbacks=[Handler()])(lambda x: x + 1)
        print(step(1), asyncio.run(step.ainvoke(2)))
    """)

    assert printed == snapshot("""\
start step {'x': 1}
end 2
start step {'x': 2}
end 3
2 3
""")


CONSOLE = """
from chainspan import ConsoleHandler, chain, llm, retriever

call = {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
broken = {"id": "2", "type": "function", "function": {"name": "add", "arguments": "{"}}
message = {"role": "assistant", "content": "Let me add.", "tool_calls": [call, broken]}
usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
answer = {"model": "m", "choices": [{"index": 0, "finish_reason": "tool_calls", "message": message}], "usage": usage}
history = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "What"}, {"type": "text", "text": "is 1 + 2?"}]},
    {"role": "assistant", "content": "", "tool_calls": [call]},
    {"role": "tool", "tool_call_id": "1", "content": "3"},
]
find = retriever(lambda query: ["sun", {"text": "moon", "page": 2}])
ask = llm(lambda messages: answer)
say = llm(lambda text: "3")

@chain
def outer(q):
    find(q), ask(history), say(q)
    return {"itself": [q]}

outer.invoke("q", callbacks=[ConsoleHandler(color=False, clock=lambda: 0)])
"""


def test_console_prints_the_same() -> None:
    """Messages, answers and documents are printed as LangChain's own are."""
    command = [sys.executable, "-c", CONSOLE]
    with_langchain = subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert printed_by(CONSOLE) == with_langchain
    assert "invalid_tool_call" in with_langchain
    assert "pageContent" in with_langchain


def test_log_of_a_handler_that_fails() -> None:
    """What is said of a fault is its place and its class: its message may be a user's words."""
    printed = printed_by("""
        import logging

        class Handler:
            def on_chain_start(self, serialized, inputs, **ids):
                raise ValueError(inputs)

        logging.basicConfig(stream=sys.stdout, format="%(name)s: %(message)s")
        chain(name="step", callbacks=[Handler()])(lambda x: x)("what was written")
    """)

    assert printed == snapshot("""\
chainspan: Error in Handler.on_chain_start callback: ValueError
""")
