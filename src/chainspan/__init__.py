"""OpenTelemetry tracing for LLM chains: pass a handler when you invoke, get a tree of spans.

Everything meant for users is a name of this package; modules that begin with an
underscore are not. A name is loaded when it is first asked for, so that importing
the package costs next to nothing and needs neither LangChain nor an exporter.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__

if TYPE_CHECKING:
    from ._configure import configure, flush
    from ._content import ContentPolicy
    from ._current import carry_context, current_span, span_of
    from ._decorators import Traced, agent, chain, llm, prompt, retriever, tool
    from ._delivery import Delivery
    from ._errors import ChainspanError, ConfigurationError
    from ._handlers import ConsoleHandler, OtelHandler
    from ._model import RunKind, Usage
    from ._profiles import ModelCall, record_evaluation, session
    from .langchain import messages_from_span
    from .langchain._embeddings import traced_embeddings

__all__ = [
    "ChainspanError",
    "ConfigurationError",
    "ConsoleHandler",
    "ContentPolicy",
    "Delivery",
    "ModelCall",
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
    "messages_from_span",
    "prompt",
    "record_evaluation",
    "retriever",
    "session",
    "span_of",
    "tool",
    "traced_embeddings",
]

if not TYPE_CHECKING:  # a type checker that saw it would take any misspelt name for good
    _HOMES = {
        "ChainspanError": "_errors",
        "ConfigurationError": "_errors",
        "ConsoleHandler": "_handlers",
        "ContentPolicy": "_content",
        "Delivery": "_delivery",
        "ModelCall": "_profiles",
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
        "messages_from_span": "langchain",
        "prompt": "_decorators",
        "record_evaluation": "_profiles",
        "retriever": "_decorators",
        "session": "_profiles",
        "span_of": "_current",
        "tool": "_decorators",
        "traced_embeddings": "langchain._embeddings",
    }

    def __getattr__(name: str) -> object:
        """Load a public name when it is first asked for (PEP 562)."""
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{home}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        """List the public names, loaded or not."""
        return __all__.copy()
