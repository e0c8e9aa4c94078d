"""That a warning is an error in the programs that tests start, as it is in tests (pyproject.toml)."""

from __future__ import annotations

__all__ = ["FILTERS", "STRICT"]

# LangSmith's client, which LangChain imports, asks that of its functions; Python 3.14 says not to.
FILTERS = ("error", "ignore:'asyncio.iscoroutinefunction' is deprecated:DeprecationWarning")

STRICT = tuple(argument for rule in FILTERS for argument in ("-W", rule))  # of the interpreter
