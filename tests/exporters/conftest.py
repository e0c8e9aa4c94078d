"""The endpoint that the exporters' tests send to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ._otlp_server import OtlpServer


@pytest.fixture
def server() -> Iterator[OtlpServer]:
    """A healthy endpoint."""
    with OtlpServer() as server:
        yield server
