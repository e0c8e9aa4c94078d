"""The examples, run as a reader runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from inline_snapshot import snapshot
from tests._warnings import STRICT

EXAMPLES = Path(__file__).parents[1] / "examples"

LIBRARIES = {"provider_stub"}
"""The modules among them that the others import."""


def run(name: str) -> tuple[str, str]:
    """Run an example and return what it wrote to standard output and standard error."""
    steering = re.compile(r"OTEL_|CHAINSPAN_|LANGSMITH_|LANGCHAIN_|ANTHROPIC_|NO_COLOR|FORCE_COLOR|PYTHON")
    env = {key: value for key, value in os.environ.items() if not steering.match(key)}
    done = subprocess.run(
        [sys.executable, *STRICT, EXAMPLES / f"{name}.py"],
        env=env | {"CHAINSPAN_STRICT": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    return masked(done.stdout), masked(done.stderr)


def masked(text: str) -> str:
    """Return the text without what differs from run to run."""
    return re.sub(r"lc_run--[0-9a-f-]+", "lc_run--ID", re.sub(r"\[\d+(\.\d+)?m?s\]", "[TIME]", text))


def test_every_example_is_tested() -> None:
    """A new example needs a test here."""
    assert {path.stem for path in EXAMPLES.glob("*.py")} - LIBRARIES == snapshot(
        {
            "agent_loop",
            "console_sinks",
            "decorators",
            "fastapi_stream",
            "langgraph_agent",
            "own_pipeline",
            "quickstart",
        }
    )


def test_quickstart_prints_the_trace_of_the_chain() -> None:
    """Without a key, the stand-in answers and the trace is the one that the README shows."""
    output, note = run("quickstart")

    assert output == snapshot("""\
[chain/start] [1:chain:RunnableSequence] Entering Chain run with input: {
  "number": "2"
}
[chain/start] [1:chain:RunnableSequence > 2:prompt:ChatPromptTemplate] Entering Chain run with input: {
  "number": "2"
}
[chain/end] [1:chain:RunnableSequence > 2:prompt:ChatPromptTemplate] [TIME] Exiting Chain run with output: {
  "lc": 1,
  "type": "constructor",
  "id": [
    "langchain_core",
    "prompt_values",
    "ChatPromptValue"
  ],
  "kwargs": {
    "messages": [
      {
        "lc": 1,
        "type": "constructor",
        "id": [
          "langchain_core",
          "messages",
          "HumanMessage"
        ],
        "kwargs": {
          "content": "What is 1 + 2?",
          "additional_kwargs": {},
          "response_metadata": {}
        }
      }
    ]
  }
}
[llm/start] [1:chain:RunnableSequence > 3:llm:ChatAnthropic] Entering LLM run with input: {
  "messages": [
    [
      {
        "lc": 1,
        "type": "constructor",
        "id": [
          "langchain_core",
          "messages",
          "HumanMessage"
        ],
        "kwargs": {
          "content": "What is 1 + 2?",
          "additional_kwargs": {},
          "response_metadata": {}
        }
      }
    ]
  ]
}
[llm/end] [1:chain:RunnableSequence > 3:llm:ChatAnthropic] [TIME] Exiting LLM run with output: {
  "generations": [
    [
      {
        "text": "1 + 2 = 3",
        "message": {
          "lc": 1,
          "type": "constructor",
          "id": [
            "langchain_core",
            "messages",
            "AIMessage"
          ],
          "kwargs": {
            "content": "1 + 2 = 3",
            "usage_metadata": {
              "input_tokens": 5,
              "output_tokens": 5,
              "total_tokens": 10,
              "input_token_details": {}
            },
            "response_metadata": {
              "id": "msg_stub",
              "container": null,
              "diagnostics": null,
              "model": "claude-sonnet-5-5",
              "stop_details": null,
              "stop_reason": "end_turn",
              "stop_sequence": null,
              "usage": {
                "cache_creation": null,
                "cache_creation_input_tokens": null,
                "cache_read_input_tokens": null,
                "inference_geo": null,
                "input_tokens": 5,
                "output_tokens": 5,
                "output_tokens_details": null,
                "server_tool_use": null,
                "service_tier": null,
                "speed": null
              },
              "model_name": "claude-sonnet-5-5",
              "model_provider": "anthropic"
            },
            "tool_calls": [],
            "invalid_tool_calls": [],
            "additional_kwargs": {},
            "id": "lc_run--ID"
          }
        }
      }
    ]
  ],
  "llmOutput": {
    "id": "msg_stub",
    "container": null,
    "diagnostics": null,
    "model": "claude-sonnet-5-5",
    "stop_details": null,
    "stop_reason": "end_turn",
    "stop_sequence": null,
    "usage": {
      "cache_creation": null,
      "cache_creation_input_tokens": null,
      "cache_read_input_tokens": null,
      "inference_geo": null,
      "input_tokens": 5,
      "output_tokens": 5,
      "output_tokens_details": null,
      "server_tool_use": null,
      "service_tier": null,
      "speed": null
    },
    "model_name": "claude-sonnet-5-5"
  }
}
[chain/end] [1:chain:RunnableSequence] [TIME] Exiting Chain run with output: {
  "lc": 1,
  "type": "constructor",
  "id": [
    "langchain_core",
    "messages",
    "AIMessage"
  ],
  "kwargs": {
    "content": "1 + 2 = 3",
    "usage_metadata": {
      "input_tokens": 5,
      "output_tokens": 5,
      "total_tokens": 10,
      "input_token_details": {}
    },
    "response_metadata": {
      "id": "msg_stub",
      "container": null,
      "diagnostics": null,
      "model": "claude-sonnet-5-5",
      "stop_details": null,
      "stop_reason": "end_turn",
      "stop_sequence": null,
      "usage": {
        "cache_creation": null,
        "cache_creation_input_tokens": null,
        "cache_read_input_tokens": null,
        "inference_geo": null,
        "input_tokens": 5,
        "output_tokens": 5,
        "output_tokens_details": null,
        "server_tool_use": null,
        "service_tier": null,
        "speed": null
      },
      "model_name": "claude-sonnet-5-5",
      "model_provider": "anthropic"
    },
    "tool_calls": [],
    "invalid_tool_calls": [],
    "additional_kwargs": {},
    "id": "lc_run--ID"
  }
}
""")
    assert note == snapshot("ANTHROPIC_API_KEY is not set: a stand-in on this machine answers for Anthropic.\n")


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        (
            "own_pipeline",
            snapshot(
                (
                    """\
ChatPromptTemplate ran in a run
chat ran in a run
StrOutputParser ran in a run
RunnableSequence ran by itself
""",
                    "",
                )
            ),
        ),
        (
            "langgraph_agent",
            snapshot(
                (
                    """\
The tool says: 42
chat claude-sonnet-5-5
model
execute_tool multiply
tools
chat claude-sonnet-5-5
model
invoke_agent calculator
""",
                    "ANTHROPIC_API_KEY is not set: a stand-in on this machine answers for Anthropic.\n",
                )
            ),
        ),
        (
            "console_sinks",
            snapshot(
                (
                    """\
[chain/start] [1:chain:double] Entering Chain run with input: {
  "input": 21
}
trace INFO [chain/start] [1:chain:double] Entering Chain run with input: {
  "input": 21
}
[chain/end] [1:chain:double] [TIME] Exiting Chain run with output: {
  "output": 42
}
trace INFO [chain/end] [1:chain:double] [TIME] Exiting Chain run with output: {
  "output": 42
}
The file has 6 lines, and the function was called 2 times.
""",
                    """\
[chain/start] [1:chain:double] Entering Chain run with input: {
  "input": 21
}
[chain/end] [1:chain:double] [TIME] Exiting Chain run with output: {
  "output": 42
}
""",
                )
            ),
        ),
    ],
)
def test_example_prints_what_it_promises(name: str, printed: tuple[str, str]) -> None:
    """Standard output and standard error are the same in every run."""
    assert run(name) == printed


def test_decorators_print_the_trace_of_plain_functions() -> None:
    """Decorated functions in a row are a sequence, and each is a step of it."""
    output, _ = run("decorators")

    assert output == snapshot("""\
[chain/start] [1:chain:Sequence] Entering Chain run with input: [inputs]
[chain/start] [1:chain:Sequence > 2:prompt:ask] Entering Chain run with input: [inputs]
[chain/end] [1:chain:Sequence > 2:prompt:ask] [TIME] Exiting Chain run with output: [outputs]
[llm/start] [1:chain:Sequence > 3:llm:claude] Entering LLM run with input: [inputs]
[llm/end] [1:chain:Sequence > 3:llm:claude] [TIME] Exiting LLM run with output: [response]
[chain/start] [1:chain:Sequence > 4:chain:lambda] Entering Chain run with input: [inputs]
[chain/end] [1:chain:Sequence > 4:chain:lambda] [TIME] Exiting Chain run with output: [outputs]
[chain/end] [1:chain:Sequence] [TIME] Exiting Chain run with output: [outputs]
1 + 2 = 3
""")


def test_agent_loop_prints_its_turns() -> None:
    """The turns of the agent and its tool's run are side by side below it."""
    output, _ = run("agent_loop")

    assert output == snapshot("""\
[chain/start] [1:chain:calculator] Entering Chain run with input: [inputs]
[llm/start] [1:chain:calculator > 2:llm:create] Entering LLM run with input: [inputs]
[llm/end] [1:chain:calculator > 2:llm:create] [TIME] Exiting LLM run with output: [response]
[tool/start] [1:chain:calculator > 3:tool:add] Entering Tool run with input: "[input]"
[tool/end] [1:chain:calculator > 3:tool:add] [TIME] Exiting Tool run with output: "[output]"
[llm/start] [1:chain:calculator > 4:llm:create] Entering LLM run with input: [inputs]
[llm/end] [1:chain:calculator > 4:llm:create] [TIME] Exiting LLM run with output: [response]
[chain/end] [1:chain:calculator] [TIME] Exiting Chain run with output: [outputs]
The tool says: 3
""")


def test_fastapi_stream_prints_the_trace_of_a_request() -> None:
    """The run of the endpoint's answer lasts until the last piece is sent."""
    output, _ = run("fastapi_stream")

    assert output == snapshot("""\
[chain/start] [1:chain:answer] Entering Chain run with input: [inputs]
[llm/start] [1:chain:answer > 2:llm:claude] Entering LLM run with input: [inputs]
[llm/end] [1:chain:answer > 2:llm:claude] [TIME] Exiting LLM run with output: [response]
[chain/end] [1:chain:answer] [TIME] Exiting Chain run with output: [outputs]
1 + 2 = 3
""")
