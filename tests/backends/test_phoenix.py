"""Whatever is sent to Phoenix is there, span by span, and understood."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from ._apps import APPLICATIONS, Wire, tracing
from ._readers import Phoenix

pytestmark = pytest.mark.timeout(240)

STATUSES = {0: "UNSET", 1: "OK", 2: "ERROR"}


def told(span: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Phoenix says of a span that it does not translate."""
    return {
        "name": span["name"],
        "trace": span["context"]["trace_id"],
        "parent": span["parent_id"] or "",
        "status": (span["status_code"], span["status_message"]),
        "microseconds": [_microseconds(span["start_time"]), _microseconds(span["end_time"])],
        "events": [event["name"] for event in span["events"]],
    }


def expected(span: Span) -> dict[str, Any]:
    """Return the same of a span that was sent; Phoenix keeps microseconds."""
    return {
        "name": span.name,
        "trace": span.trace_id.hex(),
        "parent": span.parent_span_id.hex(),
        "status": (STATUSES[span.status.code], span.status.message),
        "microseconds": [span.start_time_unix_nano // 1000, span.end_time_unix_nano // 1000],
        "events": [event.name for event in span.events],
    }


def texts(span: Span) -> Iterator[tuple[str, str]]:
    """Return the attributes of a span that are text."""
    return ((attribute.key, attribute.value.string_value) for attribute in span.attributes)


def _microseconds(time: str) -> int:
    moment = datetime.fromisoformat(time)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


@pytest.mark.parametrize("wire", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("application", APPLICATIONS.values(), ids=APPLICATIONS)
def test_all_that_is_sent_is_there(phoenix: Phoenix, application: Callable[[Any], None], wire: Wire) -> None:
    """Phoenix has every span with its parent, times, status and events, and its texts in full."""
    with tracing(phoenix.url if wire == "http/protobuf" else phoenix.grpc, wire) as (sent, handler):
        application({"callbacks": [handler]})

    found = phoenix.wait_for(sent)

    assert sent.delivered
    assert {key: told(span) for key, span in found.items()} == {key: expected(s) for key, s in sent.spans.items()}
