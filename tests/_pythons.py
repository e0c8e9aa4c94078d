"""What the Pythons that the tests run on differ in."""

from __future__ import annotations

import sys

import pytest

__all__ = ["needs_threads_at_exit"]


def needs_threads_at_exit() -> None:
    """Skip a test where a process that is ending can start no thread, and what is left waits for the next one."""
    if (3, 12, 0) <= sys.version_info[:3] <= (3, 12, 1):
        pytest.skip("a process that is ending starts no thread on Python 3.12.0 and 3.12.1")
