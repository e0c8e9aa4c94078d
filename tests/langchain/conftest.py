"""What the tests of LangChain's side share."""

from __future__ import annotations

from tests._traces import traces

__all__ = ["traces"]
