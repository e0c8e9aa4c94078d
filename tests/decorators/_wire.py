"""Stand-ins for Google's and Amazon's APIs, as far as their clients need them.

OpenAI, Anthropic, and Mistral and LiteLLM, which speak OpenAI's format, have theirs in
``examples/provider_stub.py``.
"""

from __future__ import annotations

import json
import struct
import threading
from binascii import crc32
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override

__all__ = ["google_and_amazon"]

Json = dict[str, Any]

GOOGLE_USAGE = {
    "promptTokenCount": 7,
    "candidatesTokenCount": 3,
    "thoughtsTokenCount": 2,
    "cachedContentTokenCount": 4,
    "totalTokenCount": 12,
}
AMAZON_USAGE = {"inputTokens": 5, "outputTokens": 3, "totalTokens": 12, "cacheReadInputTokens": 4}
PARTS: list[Json] = [
    {"text": "Let me see.", "thought": True},
    {"text": "Looking"},
    {"functionCall": {"id": "call-1", "name": "look", "args": {"q": "sun"}}},
]
BLOCKS: list[Json] = [
    {"reasoningContent": {"reasoningText": {"text": "Let me see."}}},
    {"text": "Looking"},
    {"toolUse": {"toolUseId": "call-1", "name": "look", "input": {"q": "sun"}}},
]
DELTAS: list[Json] = [
    {"reasoningContent": {"text": "Let me see."}},
    {"text": "Looking"},
    {"toolUse": {"input": '{"q": "sun"}'}},
]


def google(*parts: Json, last: bool = True) -> Json:
    """Return an answer of Gemini's, or one piece of it."""
    candidate: Json = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    body: Json = {"candidates": [candidate], "modelVersion": "gemini-9", "responseId": "resp-1"}
    if last:
        candidate["finishReason"] = "STOP"
        body["usageMetadata"] = GOOGLE_USAGE
    return body


def google_stream() -> bytes:
    """Return the answer as server-sent events, a part in each."""
    pieces = [google(part, last=part is PARTS[-1]) for part in PARTS]
    return b"".join(b"data: " + json.dumps(piece).encode() + b"\r\n\r\n" for piece in pieces)


def amazon() -> Json:
    """Return an answer of Bedrock's Converse."""
    message = {"role": "assistant", "content": BLOCKS}
    return {
        "output": {"message": message},
        "stopReason": "tool_use",
        "usage": AMAZON_USAGE,
        "metrics": {"latencyMs": 1},
    }


def amazon_events() -> Iterator[tuple[str, Json]]:
    """Yield the same answer as the events of ConverseStream."""
    yield "messageStart", {"role": "assistant"}
    for index, delta in enumerate(DELTAS):
        if "toolUse" in delta:
            start = {"toolUse": {"toolUseId": "call-1", "name": "look"}}
            yield "contentBlockStart", {"contentBlockIndex": index, "start": start}
        yield "contentBlockDelta", {"contentBlockIndex": index, "delta": delta}
        yield "contentBlockStop", {"contentBlockIndex": index}
    yield "messageStop", {"stopReason": "tool_use"}
    yield "metadata", {"usage": AMAZON_USAGE, "metrics": {"latencyMs": 1}}


def frame(kind: str, data: Json) -> bytes:
    """Return an event in Amazon's binary framing: lengths, headers, payload, and a checksum after each."""
    names = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in names.items()
    )
    payload = json.dumps(data).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", crc32(prelude)) + headers + payload
    return message + struct.pack(">I", crc32(message))


class _Handler(BaseHTTPRequestHandler):
    """Answers whichever of the two asks."""

    def do_POST(self) -> None:
        """Answer a request."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "streamGenerateContent" in self.path:
            self._send("text/event-stream", google_stream())
        elif "generateContent" in self.path:
            self._send("application/json", json.dumps(google(*PARTS)).encode())
        elif self.path.endswith("/converse-stream"):
            events = b"".join(frame(kind, data) for kind, data in amazon_events())
            self._send("application/vnd.amazon.eventstream", events)
        else:
            self._send("application/json", json.dumps(amazon()).encode())

    def _send(self, content_type: str, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("x-amzn-RequestId", "req-1")
        self.end_headers()
        self.wfile.write(data)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def google_and_amazon() -> Iterator[str]:
    """Yield the address at which both answer."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
