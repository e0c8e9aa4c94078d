"""A model provider on this machine, for trying things without a key.

It speaks the wire format of Anthropic's Messages API and of OpenAI's Chat Completions
API, whole answers and streams, so that the providers' own client libraries talk to it.
It adds up (``What is 1 + 2?`` is answered by ``1 + 2 = 3``), calls the first tool that
it is offered, and repeats what a tool said. The same request gets the same answer.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from typing_extensions import Self, override

__all__ = ["ProviderStub", "Received", "anthropic_or_stub"]

Json = dict[str, Any]
Events = Iterator[tuple[str, Json]]


@dataclass(frozen=True)
class Received:
    """A request as it came in. The names of its headers are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: Json


@dataclass(frozen=True)
class Answer:
    """What the model says, in no provider's format yet: a text, or a call of a tool."""

    text: str
    tool: str | None
    arguments: str
    input_tokens: int

    @property
    def output_tokens(self) -> int:
        """Count a token a word."""
        return len(f"{self.text} {self.arguments}".split())

    @property
    def pieces(self) -> list[str]:
        """Cut the answer as a stream does: a piece a word."""
        return re.findall(r"\S+\s*", self.arguments if self.tool else self.text)


def _text(content: object) -> str:
    """Return the text of a message's content, which is a string or a list of blocks."""
    if isinstance(content, list):
        return " ".join(_text(block) for block in content)
    if isinstance(content, dict):
        return _text(content.get("text", content.get("content", "")))
    return str(content or "")


def _is_tool_result(message: Json) -> bool:
    """Tell whether a message brings the result of a tool, in either provider's format."""
    blocks = message["content"] if isinstance(message["content"], list) else []
    return message["role"] == "tool" or any(block["type"] == "tool_result" for block in blocks)


def _call(tool: Json, question: str) -> tuple[str, str]:
    """Call a tool with the numbers of the question, or with its words where it takes text."""
    function = tool.get("function", tool)
    schema = function.get("input_schema") or function.get("parameters", {})
    numbers = deque(int(number) for number in re.findall(r"\d+", question))
    arguments = {
        name: question if of.get("type") == "string" or not numbers else numbers.popleft()
        for name, of in schema.get("properties", {}).items()
    }
    return function["name"], json.dumps(arguments)


def answer(body: Json) -> Answer:
    """Answer a request of either provider."""
    last = body["messages"][-1]
    question = _text(last["content"])
    words = len(f"{_text(body.get('system'))} {_text(body['messages'])}".split())
    if body.get("tools") and not _is_tool_result(last):
        name, arguments = _call(body["tools"][0], question)
        return Answer("", name, arguments, words)
    if _is_tool_result(last):
        return Answer(f"The tool says: {question}", None, "", words)
    if term := re.search(r"(\d+)\s*\+\s*(\d+)", question):
        total = int(term[1]) + int(term[2])
        return Answer(f"{term[1]} + {term[2]} = {total}", None, "", words)
    return Answer(f"You said: {question}", None, "", words)


class Anthropic:
    """The Messages API."""

    path: ClassVar[str] = "/v1/messages"
    words: ClassVar[Mapping[int, str]] = {
        401: "authentication_error",
        429: "rate_limit_error",
        500: "api_error",
        529: "overloaded_error",
    }

    def error(self, status: int) -> Json:
        """Return the body of a refusal."""
        kind = self.words.get(status, "api_error")
        error = {"type": kind, "message": f"The stub was told to answer {status}"}
        return {"type": "error", "error": error, "request_id": "req_stub"}

    def whole(self, body: Json, said: Answer) -> Json:
        """Return the answer in one piece."""
        block: Json = {"type": "text", "text": said.text}
        if said.tool:
            call = json.loads(said.arguments)
            block = {"type": "tool_use", "id": "toolu_stub", "name": said.tool, "input": call}
        usage = {"input_tokens": said.input_tokens, "output_tokens": said.output_tokens}
        return {
            "id": "msg_stub",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [block],
            "stop_reason": "tool_use" if said.tool else "end_turn",
            "stop_sequence": None,
            "usage": usage,
        }

    def events(self, body: Json, said: Answer) -> Events:
        """Yield the answer as the events of a stream."""
        message = self.whole(body, said)
        block, usage = message["content"][0], message["usage"]
        empty: Json = {"input": {}} if said.tool else {"text": ""}
        kind, key = ("input_json_delta", "partial_json") if said.tool else ("text_delta", "text")
        begun = {**message, "content": [], "stop_reason": None}
        begun["usage"] = {**usage, "output_tokens": 0}
        yield "message_start", {"message": begun}
        yield "content_block_start", {"index": 0, "content_block": {**block, **empty}}
        yield "ping", {}
        for piece in said.pieces:
            yield "content_block_delta", {"index": 0, "delta": {"type": kind, key: piece}}
        yield "content_block_stop", {"index": 0}
        stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
        yield "message_delta", {"delta": stop, "usage": usage}
        yield "message_stop", {}

    def stream(self, body: Json, said: Answer) -> Iterator[str]:
        """Yield the stream as it goes over the wire, an event at a time."""
        for name, data in self.events(body, said):
            yield f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n"


class OpenAI:
    """The Chat Completions API."""

    path: ClassVar[str] = "/v1/chat/completions"

    def error(self, status: int) -> Json:
        """Return the body of a refusal."""
        kind = "rate_limit_exceeded" if status == 429 else "server_error"
        message = f"The stub was told to answer {status}"
        return {"error": {"message": message, "type": kind, "param": None, "code": kind}}

    def whole(self, body: Json, said: Answer) -> Json:
        """Return the answer in one piece."""
        message: Json = {"role": "assistant", "content": said.text or None, "refusal": None}
        if said.tool:
            function = {"name": said.tool, "arguments": said.arguments}
            message["tool_calls"] = [{"id": "call_stub", "type": "function", "function": function}]
        reason = "tool_calls" if said.tool else "stop"
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        usage = {
            "prompt_tokens": said.input_tokens,
            "completion_tokens": said.output_tokens,
            "total_tokens": said.input_tokens + said.output_tokens,
        }
        return {**self._head(body, "chat.completion"), "choices": [choice], "usage": usage}

    def chunks(self, body: Json, said: Answer) -> Iterator[Json]:
        """Yield the answer as the chunks of a stream; the last one has the usage, if asked for."""
        whole = self.whole(body, said)
        first: Json = {"role": "assistant", "content": None if said.tool else ""}
        if said.tool:
            function = {"name": said.tool, "arguments": ""}
            call = {"index": 0, "id": "call_stub", "type": "function", "function": function}
            first["tool_calls"] = [call]
        deltas = [first, *(self._delta(piece, said) for piece in said.pieces), {}]
        for at, delta in enumerate(deltas, start=1):
            reason = whole["choices"][0]["finish_reason"] if at == len(deltas) else None
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
            yield {"choices": [choice]}
        if body.get("stream_options", {}).get("include_usage"):
            yield {"choices": [], "usage": whole["usage"]}

    def stream(self, body: Json, said: Answer) -> Iterator[str]:
        """Yield the stream as it goes over the wire, a chunk at a time."""
        head = self._head(body, "chat.completion.chunk")
        for chunk in self.chunks(body, said):
            yield f"data: {json.dumps({**head, **chunk})}\n\n"
        yield "data: [DONE]\n\n"

    @staticmethod
    def _head(body: Json, kind: str) -> Json:
        return {"id": "chatcmpl-stub", "object": kind, "created": 0, "model": body["model"]}

    @staticmethod
    def _delta(piece: str, said: Answer) -> Json:
        if said.tool:
            return {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
        return {"content": piece}


class _Handler(BaseHTTPRequestHandler):
    """Answers one request of a client."""

    protocol_version = "HTTP/1.1"
    server: _Server  # type: ignore[mutable-override]

    def do_POST(self) -> None:
        """Record the request, then answer or refuse it."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        stub = self.server.stub
        stub.requests.append(Received(self.path, headers, body))
        time.sleep(stub.delay_s)
        api = {api.path: api for api in (Anthropic(), OpenAI())}.get(self.path)
        if api is None:
            self._send_json(404, {"error": {"message": f"no {self.path} here"}})
        elif stub.refusals:
            status = stub.refusals.popleft()
            self._send_json(status, api.error(status))
        elif body.get("stream"):
            self._send_stream(api.stream(body, answer(body)), stub.break_after)
        else:
            self._send_json(200, api.whole(body, answer(body)))

    def _send_json(self, status: int, body: Json) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.send_header("retry-after-ms", "1")  # a client that tries again need not wait
        self.end_headers()
        self.wfile.write(data)

    def _send_stream(self, events: Iterator[str], break_after: int | None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        for sent, event in enumerate(events):
            if sent == break_after:
                return
            data = event.encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.write(b"0\r\n\r\n")

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the output belongs to the example."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    stub: ProviderStub


class ProviderStub:
    """The provider: runs inside ``with``, in a thread, on a free port of this machine.

    Attributes:
        url: Where it listens, such as ``http://127.0.0.1:49152``.
        requests: What it received, in order.
        refusals: The HTTP statuses to answer the next requests with, one for each.
        delay_s: How long to wait before each answer.
        break_after: After how many events to cut a stream off; None for never.
    """

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.refusals: deque[int] = deque()
        self.delay_s = 0.0
        self.break_after: int | None = None
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.stub = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        """Start to listen."""
        serve = self._server.serve_forever
        threading.Thread(target=serve, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and free the port."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def anthropic_or_stub() -> Iterator[Json]:
    """Yield what ChatAnthropic needs: nothing where a key is set, else the way to a stub."""
    if os.environ.get("ANTHROPIC_API_KEY"):
        yield {}
        return
    note = "ANTHROPIC_API_KEY is not set: a stand-in on this machine answers for Anthropic."
    print(note, file=sys.stderr)
    with ProviderStub() as stub:
        yield {"base_url": stub.url, "api_key": "none"}
