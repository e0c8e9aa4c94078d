"""The providers that the tests of signals read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ._received import Logged, Metered, logged, metered


@pytest.fixture
def meters() -> Iterator[Metered]:
    """A MeterProvider and what it is told."""
    with metered() as held:
        yield held


@pytest.fixture
def logs() -> Iterator[Logged]:
    """A LoggerProvider and what it is told."""
    with logged() as held:
        yield held
