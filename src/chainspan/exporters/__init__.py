"""Span processors and exporters of chainspan's own; they know spans and nothing of LangChain."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._console import ConsoleProcessor

__all__ = ["ConsoleProcessor"]

if not TYPE_CHECKING:  # a type checker that saw it would take any misspelt name for good
    _HOMES = {"ConsoleProcessor": "_console"}

    def __getattr__(name: str) -> object:
        """Load a public name when it is first asked for (PEP 562)."""
        if (home := _HOMES.get(name)) is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
        return value

    def __dir__() -> list[str]:
        """List the public names, loaded or not."""
        return __all__.copy()
