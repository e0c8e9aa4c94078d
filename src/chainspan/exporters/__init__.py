"""Span processors and exporters of chainspan's own; they know spans and nothing of LangChain."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._exit import flush_on_sigterm
    from ._console import ConsoleProcessor
    from ._counted import counted_once
    from ._gated import gated
    from ._otlp import OtlpExporter, otlp
    from ._spool import SpoolExporter
    from ._spools import spool

__all__ = [
    "ConsoleProcessor",
    "OtlpExporter",
    "SpoolExporter",
    "counted_once",
    "flush_on_sigterm",
    "gated",
    "otlp",
    "spool",
]

if not TYPE_CHECKING:  # a type checker that saw it would take any misspelt name for good
    _HOMES = {
        "ConsoleProcessor": "._console",
        "OtlpExporter": "._otlp",
        "SpoolExporter": "._spool",
        "counted_once": "._counted",
        "flush_on_sigterm": ".._exit",
        "gated": "._gated",
        "otlp": "._otlp",
        "spool": "._spools",
    }

    def __getattr__(name: str) -> object:
        """Load a public name when it is first asked for (PEP 562)."""
        if (home := _HOMES.get(name)) is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(home, __name__), name)
        return value

    def __dir__() -> list[str]:
        """List the public names, loaded or not."""
        return __all__.copy()
