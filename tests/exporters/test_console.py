"""What the console prints of spans, whoever made them, and what it keeps."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from inline_snapshot import snapshot
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, TracerProvider
from opentelemetry.trace import Status, StatusCode, set_span_in_context

from chainspan.exporters import ConsoleProcessor

MS = 1_000_000


class Console:
    """A provider whose spans are printed into a list, with times that the test sets."""

    def __init__(self, **options: Any) -> None:
        self.lines: list[str] = []
        self.processor = ConsoleProcessor(to=self.lines.append, **options)
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(self.processor)
        self._tracer = provider.get_tracer("test")

    def start(self, name: str, /, parent: Span | None = None, **attributes: Any) -> Span:
        """Start a span; attribute names are given with ``__`` for the dots."""
        context = set_span_in_context(parent) if parent else Context()
        named = {key.replace("__", "."): value for key, value in attributes.items()}
        span = self._tracer.start_span(name, context, attributes=named, start_time=0)
        assert isinstance(span, Span)
        return span

    def run(self, name: str, /, parent: Span | None = None, run_type: str = "chain", **attributes: Any) -> Span:
        """Start a span of chainspan's own."""
        own = {"chainspan__run__id": "id", "chainspan__run__type": run_type, "chainspan__run__name": name}
        return self.start(name, parent, **own, **attributes)

    @property
    def text(self) -> str:
        """All that was printed."""
        return "\n".join(self.lines)

    @property
    def heads(self) -> list[str]:
        """The beginnings of the lines: what happened to which run."""
        return [line.split("] [")[0][1:] + " " + line.split("] [")[1].split("]")[0] for line in self.lines]


@pytest.fixture
def console() -> Console:
    """A console without colour."""
    return Console(color=False)


def test_span_that_is_not_about_an_llm_is_passed_through(console: Console) -> None:
    """HTTP and database spans are not printed, take no number, and hide no run around them."""
    chain = console.run("chain")
    request = console.start("GET /", chain, http__request__method="GET")
    model = console.run("model", request, "llm")
    query = console.start("SELECT", model, db__system="sqlite")
    tool = console.run("tool", query, "tool")

    for span in (tool, query, model, request, chain):
        span.end(0)

    assert console.heads == snapshot(
        [
            "chain/start 1:chain:chain",
            "llm/start 1:chain:chain > 2:llm:model",
            "tool/start 1:chain:chain > 2:llm:model > 3:tool:tool",
            "tool/end 1:chain:chain > 2:llm:model > 3:tool:tool",
            "llm/end 1:chain:chain > 2:llm:model",
            "chain/end 1:chain:chain",
        ]
    )


def test_breadcrumbs_stop_at_a_run_that_has_ended(console: Console) -> None:
    """A run that outlives its parent stands alone, and so does one that starts too late."""
    chain = console.run("chain")
    model = console.run("model", chain, "llm")
    chain.end(0)
    tool = console.run("tool", model, "tool")
    late = console.run("late", chain)

    for span in (late, tool, model):
        span.end(0)

    assert console.heads[2:] == snapshot(
        [
            "chain/end 1:chain:chain",
            "tool/start 2:llm:model > 3:tool:tool",
            "chain/start 1:chain:late",
            "chain/end 1:chain:late",
            "tool/end 2:llm:model > 3:tool:tool",
            "llm/end 2:llm:model",
        ]
    )


def test_content_that_is_not_recorded_is_named_and_not_invented(console: Console) -> None:
    """Without recorded content the lines say where it would stand."""
    for run_type in ("chain", "llm", "tool", "retriever"):
        console.run("run", run_type=run_type).end(5 * MS)

    assert console.text == snapshot("""\
[chain/start] [1:chain:run] Entering Chain run with input: [inputs]
[chain/end] [1:chain:run] [5ms] Exiting Chain run with output: [outputs]
[llm/start] [1:llm:run] Entering LLM run with input: [inputs]
[llm/end] [1:llm:run] [5ms] Exiting LLM run with output: [response]
[tool/start] [1:tool:run] Entering Tool run with input: "[input]"
[tool/end] [1:tool:run] [5ms] Exiting Tool run with output: "[output]"
[retriever/start] [1:retriever:run] Entering Retriever run with input: [inputs]
[retriever/end] [1:retriever:run] [5ms] Exiting Retriever run with output: [outputs]""")


def test_error_shows_message_and_traceback(console: Console) -> None:
    """A failure that was raised shows its traceback, one that was not shows its message alone."""
    raised, given, told = (console.run("run") for _ in range(3))
    try:
        raise ValueError("boom")  # noqa: TRY301 - to have a traceback
    except ValueError as error:
        raised.record_exception(error)
    given.record_exception(KeyError("key"))
    for span in (raised, given, told):
        span.set_status(Status(StatusCode.ERROR, "told"))
        span.end(0)

    errors = [json.loads(line.split("errored with error: ")[1]) for line in console.lines[3:]]
    lines = errors[0].splitlines()
    assert [lines[0], lines[1], lines[2], lines[-1]] == snapshot(
        ["boom", "", "Traceback (most recent call last):", "ValueError: boom"]
    )
    assert errors[1:] == snapshot(["'key'", "told"])


def test_tool_that_answers_that_it_failed_has_ended(console: Console) -> None:
    """An error status without an exception is no raised error where there is an output."""
    tool = console.run("tool", run_type="tool")
    tool.set_attribute("output.value", "no such file")
    tool.set_status(Status(StatusCode.ERROR, "no such file"))

    tool.end(0)

    assert console.lines[1] == '[tool/end] [1:tool:tool] [0ms] Exiting Tool run with output: "no such file"'


@pytest.mark.parametrize("outcome", ["interrupted", "cancelled", "abandoned", "evicted"])
def test_run_that_neither_ended_nor_failed_says_so(console: Console, outcome: str) -> None:
    """An interrupt or a closed stream is no error, and is not passed off as an ordinary end."""
    run, partial = console.run("run"), console.run("partial")
    run.set_attribute("chainspan.run.outcome", outcome)
    partial.set_attributes({"chainspan.run.outcome": outcome, "output.value": '{"a": 1}'})

    run.end(0)
    partial.end(0)

    assert console.lines[2:] == [
        f"[chain/{outcome}] [1:chain:run] [0ms] Chain run {outcome}",
        f'[chain/{outcome}] [1:chain:partial] [0ms] Chain run {outcome} with output: {{\n  "a": 1\n}}',
    ]


def test_action_that_was_not_told_live_is_printed_before_the_end(console: Console) -> None:
    """Each action is printed once: as it happens where the processor is told, else at the end."""
    agent = console.run("agent")
    for tool in ("one", "two"):
        agent.add_event("agent_action", {"data": json.dumps({"tool": tool})})
    agent.add_event("retry", {"data": "{}"})
    console.processor.on_event(agent, "agent_action", {"data": json.dumps({"tool": "one"})})
    console.processor.on_event(agent, "retry", {"data": "{}"})

    agent.end(0)

    assert console.text == snapshot("""\
[chain/start] [1:chain:agent] Entering Chain run with input: [inputs]
[agent/action] [1:chain:agent] Agent selected action: {
  "tool": "one"
}
[agent/action] [1:chain:agent] Agent selected action: {
  "tool": "two"
}
[chain/end] [1:chain:agent] [0ms] Exiting Chain run with output: [outputs]""")


def test_action_of_a_run_that_is_not_open_is_ignored(console: Console) -> None:
    """An action that comes too late, or from a run that is no chain, prints nothing."""
    tool, ended = console.run("tool", run_type="tool"), console.run("ended")
    ended.end(0)
    before = len(console.lines)

    for span in (tool, ended):
        console.processor.on_event(span, "agent_action", {"data": "{}"})

    assert len(console.lines) == before


def test_span_of_the_genai_conventions_is_printed_when_its_content_is_known(console: Console) -> None:
    """Instrumentations that set content at the end get a complete pair of lines there."""
    agent = console.start("invoke_agent poet", gen_ai__operation__name="invoke_agent")
    chat = console.start("chat gpt", agent, gen_ai__operation__name="chat")
    assert console.lines == []

    chat.set_attribute("gen_ai.input.messages", '[{"role": "user"}]')
    chat.set_attribute("gen_ai.output.messages", '[{"role": "assistant"}]')
    chat.end(1_250 * MS)
    tool = console.start("execute_tool add", agent, gen_ai__operation__name="execute_tool")
    tool.set_attributes({"gen_ai.tool.call.arguments": '{"a": 1}', "gen_ai.tool.call.result": "3"})
    tool.end(0)
    agent.end(0)

    assert console.text == snapshot("""\
[chain/start] [1:agent:invoke_agent poet] Entering Chain run with input: [inputs]
[llm/start] [1:agent:invoke_agent poet > 2:llm:chat gpt] Entering LLM run with input: {
  "messages": [
    {
      "role": "user"
    }
  ]
}
[llm/end] [1:agent:invoke_agent poet > 2:llm:chat gpt] [1.25s] Exiting LLM run with output: {
  "messages": [
    {
      "role": "assistant"
    }
  ]
}
[tool/start] [1:agent:invoke_agent poet > 3:tool:execute_tool add] Entering Tool run with input: "{
  "a": 1
}"
[tool/end] [1:agent:invoke_agent poet > 3:tool:execute_tool add] [0ms] Exiting Tool run with output: "3"
[chain/end] [1:agent:invoke_agent poet] [0ms] Exiting Chain run with output: [outputs]""")


def test_span_that_tells_its_kind_late_is_recognised_when_it_does(console: Console) -> None:
    """Attributes set after the start count as soon as something starts inside, or at the end."""
    flow = console.start("flow")
    task = console.start("task", flow)
    task.set_attribute("traceloop.span.kind", "task")
    flow.set_attributes({"traceloop.span.kind": "workflow", "traceloop.entity.input": '{"a": 1}'})
    model = console.start("openai.chat", task, llm__request__type="chat", input__value="hi")
    for span in (model, task, flow):
        span.end(0)

    assert console.heads == snapshot(
        [
            "chain/start 1:chain:flow",
            "chain/start 1:chain:flow > 2:chain:task",
            "llm/start 1:chain:flow > 2:chain:task > 3:llm:openai.chat",
            "llm/end 1:chain:flow > 2:chain:task > 3:llm:openai.chat",
            "chain/end 1:chain:flow > 2:chain:task",
            "chain/end 1:chain:flow",
        ]
    )


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (
            {"openinference.span.kind": "LLM", "input.value": "hi"},
            '[llm/start] [1:llm:s] Entering LLM run with input: { "prompts": [ "hi" ] }',
        ),
        (
            {"openinference.span.kind": "AGENT", "input.value": "hi"},
            '[chain/start] [1:agent:s] Entering Chain run with input: { "input": "hi" }',
        ),
        (
            {"openinference.span.kind": "RERANKER"},
            "[chain/start] [1:chain:s] Entering Chain run with input: [inputs]",
        ),
        (
            {"openinference.span.kind": "RETRIEVER", "input.value": "q"},
            '[retriever/start] [1:retriever:s] Entering Retriever run with input: { "query": "q" }',
        ),
        (
            {"gen_ai.operation.name": "retrieval", "gen_ai.retrieval.query.text": "q"},
            '[retriever/start] [1:retriever:s] Entering Retriever run with input: { "query": "q" }',
        ),
        (
            {"gen_ai.operation.name": "embeddings", "input.value": ["a", "b"]},
            '[chain/start] [1:embeddings:s] Entering Chain run with input: { "input": [ "a", "b" ] }',
        ),
        (
            {"gen_ai.operation.name": "new_thing"},
            "[chain/start] [1:chain:s] Entering Chain run with input: [inputs]",
        ),
        (
            {"gen_ai.operation.name": "chat", "input.value": '{"cut'},
            '[llm/start] [1:llm:s] Entering LLM run with input: { "prompts": [ "{\\"cut" ] }',
        ),
        (
            {"chainspan.run.type": "tool", "input.value": '{"input": " x "}', "input.mime_type": "application/json"},
            '[tool/start] [1:tool:s] Entering Tool run with input: "x"',
        ),
        (
            {"chainspan.run.type": "tool", "input.value": '{"input": 1}', "input.mime_type": "text/plain"},
            '[tool/start] [1:tool:s] Entering Tool run with input: "{"input": 1}"',
        ),
    ],
    ids=["llm", "agent", "reranker", "retriever", "retrieval", "embeddings", "new", "cut", "argument", "text"],
)
def test_kind_and_input_are_read_from_any_convention(
    console: Console, attributes: dict[str, Any], expected: str
) -> None:
    """What the attributes tell is put under the key that LangChain.js would use."""
    console.start("s", None, **{key.replace(".", "__"): value for key, value in attributes.items()}).end(0)

    assert " ".join(console.lines[0].split()) == expected


def test_span_that_never_ends_makes_room(caplog: pytest.LogCaptureFixture) -> None:
    """Memory is bounded: the oldest open span is given up, and its late end prints nothing."""
    console = Console(color=False, max_open=2)
    oldest = console.run("oldest")
    child = console.run("child", oldest)
    console.run("newest")

    oldest.end(0)
    child.end(0)

    assert console.heads == snapshot(
        [
            "chain/start 1:chain:oldest",
            "chain/start 1:chain:oldest > 2:chain:child",
            "chain/start 1:chain:newest",
            "chain/end 2:chain:child",
        ]
    )
    assert caplog.records == []


def test_nothing_is_kept_of_runs_that_have_ended(console: Console) -> None:
    """When all runs have ended, no span is held any more."""
    spans = [console.run("run")]
    spans += [console.run("run", spans[-1]) for _ in range(10)]

    for span in spans:
        span.end(0)

    assert len(console.processor._runs) == 0


def test_concurrent_runs_do_not_mix(console: Console) -> None:
    """Twenty threads print whole lines, and each tree is numbered by itself."""

    def trace(name: str) -> None:
        root = console.run(name, input__value='{"a": "b"}')
        for _ in range(20):
            console.run(name, root, "llm").end(0)
        root.end(0)

    threads = [threading.Thread(target=trace, args=(f"t{number}",)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert console.processor.force_flush(1_000)
    for number in range(20):
        name = f"t{number}"
        mine = [line for line in console.heads if line.endswith(f":{name}")]
        children = [f"{at} 1:chain:{name} > {n}:llm:{name}" for n in range(2, 22) for at in ("llm/start", "llm/end")]
        assert mine == [f"chain/start 1:chain:{name}", *children, f"chain/end 1:chain:{name}"]


def test_color_marks_the_event_and_the_run() -> None:
    """With colour the text is the same, with the codes that LangChain.js writes."""
    console = Console(color=True)

    console.run("run", input__value="hi").end(0)

    assert console.lines[1] == snapshot(
        "\x1b[36m[chain/end]\x1b[39m [\x1b[90m\x1b[1m1:chain:run\x1b[22m\x1b[39m] [0ms] "
        "Exiting Chain run with output: [outputs]"
    )
