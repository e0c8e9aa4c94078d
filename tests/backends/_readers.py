"""What backends have, read by their own APIs and put as what was sent is put."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import requests
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from ._apps import Sent, Spans, by_id
from ._programs import until

__all__ = ["Jaeger", "Phoenix"]

_ARRIVES_WITHIN_S = 60.0
_IDS = ("traceId", "spanId", "parentSpanId")


@dataclass(frozen=True)
class Jaeger:
    """A Jaeger, by the API that its UI is to use in the long run.

    Attributes:
        url: Of the query service.
        http: Where it takes OTLP over HTTP.
        grpc: Where it takes OTLP over gRPC.
    """

    url: str
    http: str
    grpc: str

    def wait_for(self, sent: Sent) -> Spans:
        """Return what there is of the traces that were sent, once every span of theirs is there."""
        expected = sent.spans.keys()
        until(lambda: self._spans(sent).keys() >= expected, _ARRIVES_WITHIN_S, f"{len(expected)} spans in Jaeger")
        return self._spans(sent)

    def services(self) -> list[str]:
        """Return the names of the services that it knows."""
        return list(self._get("services")["services"])

    def _spans(self, sent: Sent) -> Spans:
        return by_id(span for trace_id in sent.traces() for span in self._trace(trace_id))

    def _trace(self, trace_id: str) -> Iterator[Span]:
        for resource in self._get(f"traces/{trace_id}").get("result", {}).get("resourceSpans", []):
            for scope in resource["scopeSpans"]:
                yield from map(_parsed, scope["spans"])

    def _get(self, path: str) -> dict[str, Any]:
        answer = requests.get(f"{self.url}/api/v3/{path}", timeout=10)
        if answer.status_code == 404:  # nothing of that trace yet
            return {}
        answer.raise_for_status()
        return dict(answer.json())


@dataclass(frozen=True)
class Phoenix:
    """A Phoenix, by its REST API.

    Attributes:
        url: Of its API and its OTLP endpoint.
        grpc: Where it takes OTLP over gRPC.
    """

    url: str
    grpc: str

    def wait_for(self, sent: Sent) -> dict[str, dict[str, Any]]:
        """Return the spans of a project by their ids, once all that were sent are there."""
        expected = sent.spans.keys()
        until(lambda: self._spans(sent.service).keys() >= expected, _ARRIVES_WITHIN_S, f"{len(expected)} in Phoenix")
        return self._spans(sent.service)

    def _spans(self, project: str) -> dict[str, dict[str, Any]]:
        answer = requests.get(f"{self.url}/v1/projects/{project}/spans", params={"limit": 1000}, timeout=10)
        if answer.status_code == 404:  # a project comes with its first span
            return {}
        answer.raise_for_status()
        return {span["context"]["span_id"]: span for span in answer.json()["data"]}


def _parsed(span: dict[str, Any]) -> Span:
    # Jaeger notes on a span that was read before its parent came that the parent is missing, and keeps the note.
    span["attributes"] = [a for a in span.get("attributes", []) if a["key"] != "@jaeger@warnings"]
    for holder in (span, *span.get("links", [])):
        for key in _IDS:  # hex in OTLP's JSON, base64 in protobuf's
            if key in holder:
                holder[key] = base64.b64encode(bytes.fromhex(holder[key])).decode()
    return ParseDict(span, Span())
