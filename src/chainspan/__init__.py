"""OpenTelemetry tracing for LLM chains: pass a handler when you invoke, get a tree of spans.

Everything meant for users is a name of this package; modules that begin with an
underscore are not. A name is loaded when it is first asked for, so that importing
the package costs next to nothing and needs neither LangChain nor an exporter.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._configure import configure, flush
    from ._content import ContentPolicy
    from ._current import carry_context, current_span, span_of
    from ._decorators import Traced, agent, chain, llm, prompt, retriever, tool
    from ._delivery import Delivery
    from ._errors import ChainspanError, ConfigurationError
    from ._handlers import ConsoleHandler, OtelHandler
    from ._model import RunKind, Usage
    from ._profiles import session

    __version__: str

__all__ = [
    "ChainspanError",
    "ConfigurationError",
    "ConsoleHandler",
    "ContentPolicy",
    "Delivery",
    "OtelHandler",
    "RunKind",
    "Traced",
    "Usage",
    "__version__",
    "agent",
    "carry_context",
    "chain",
    "configure",
    "current_span",
    "flush",
    "llm",
    "prompt",
    "retriever",
    "session",
    "span_of",
    "tool",
]

if not TYPE_CHECKING:  # a type checker that saw it would take any misspelt name for good
    _HOMES = {
        "ChainspanError": "_errors",
        "ConfigurationError": "_errors",
        "ConsoleHandler": "_handlers",
        "ContentPolicy": "_content",
        "Delivery": "_delivery",
        "OtelHandler": "_handlers",
        "RunKind": "_model",
        "Traced": "_decorators",
        "Usage": "_model",
        "agent": "_decorators",
        "carry_context": "_current",
        "chain": "_decorators",
        "configure": "_configure",
        "current_span": "_current",
        "flush": "_configure",
        "llm": "_decorators",
        "prompt": "_decorators",
        "retriever": "_decorators",
        "session": "_profiles",
        "span_of": "_current",
        "tool": "_decorators",
    }

    def __getattr__(name: str) -> object:
        """Load a public name when it is first asked for (PEP 562)."""
        if name == "__version__":
            value = import_module(f"{__name__}._version").version()
        elif home := _HOMES.get(name):
            value = getattr(import_module(f"{__name__}.{home}"), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        """List the public names, loaded or not."""
        return __all__.copy()
