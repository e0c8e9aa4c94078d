"""Whatever is sent to Jaeger is there, span by span."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ._apps import APPLICATIONS, HTTP, Wire, tracing
from ._readers import Jaeger

pytestmark = pytest.mark.timeout(180)


@pytest.mark.parametrize("wire", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("application", APPLICATIONS.values(), ids=APPLICATIONS)
def test_all_that_is_sent_is_there(jaeger: Jaeger, application: Callable[[Any], None], wire: Wire) -> None:
    """Jaeger has every span with its parent, times, status, attributes and events, and knows the service."""
    with tracing(jaeger.http if wire == HTTP else jaeger.grpc, wire=wire) as (sent, handler):
        application({"callbacks": [handler]})

    assert sent.delivered
    assert jaeger.wait_for(sent) == sent.spans
    assert sent.service in jaeger.services()
