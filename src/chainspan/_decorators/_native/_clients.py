"""The clients whose methods are decorated: whom they ask."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from chainspan._encode import attempt

from ._fields import at

__all__ = ["made_with"]

# What a model of LangChain's is made with → where a client's method has it, from the object that it is bound to.
_FACTS: Final[Mapping[str, Sequence[tuple[str, ...]]]] = {
    "base_url": (
        ("_client", "base_url"),  # OpenAI, Anthropic, Groq, Cohere
        ("_api_client", "_http_options", "base_url"),  # Google
        ("_modules", "_api_client", "_http_options", "base_url"),  # its chats
        ("meta", "endpoint_url"),  # Amazon
        ("sdk_configuration", "server_url"),  # Mistral
    ),
    "vertexai": (("_api_client", "vertexai"), ("_modules", "_api_client", "vertexai")),
}

_CREDENTIALS: Final = re.compile("//[^/@]*@")
_MOST_WRAPPED: Final = 16


def made_with(function: Callable[..., Any]) -> dict[str, Any]:
    """Return what is known of the client that a method belongs to; of any other function nothing."""
    client = attempt(lambda: _client_of(function), None)
    if client is None:
        return {}
    facts = {name: _fact(client, paths) for name, paths in _FACTS.items()}
    return {name: fact for name, fact in facts.items() if fact is not None}


def _client_of(function: Any) -> Any:
    """Return what a method is bound to; the clients' own decorators stand around some."""
    for _ in range(_MOST_WRAPPED):
        if function is None or hasattr(function, "__self__"):
            break
        function = getattr(function, "__wrapped__", None)
    return getattr(function, "__self__", None)


def _fact(client: Any, paths: Sequence[tuple[str, ...]]) -> bool | str | None:
    held = attempt(lambda: next((found for path in paths if (found := at(client, *path)) is not None), None), None)
    return held if held is None or isinstance(held, bool) else attempt(lambda: _CREDENTIALS.sub("//", str(held)), None)
