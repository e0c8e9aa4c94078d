"""The messages in what a graph is given, in any form that LangChain lets users write them in."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Final

from .._encode import attempt
from .._model import Message
from ._messages import messages
from ._read import mapping

__all__ = ["state_messages"]

_UTILS: Final = "langchain_core.messages.utils"  # loaded where there are graphs
_MOST: Final = 1_000
_NONE: Final[Sequence[Message]] = ()


def state_messages(state: Any) -> Sequence[Message]:
    """Return the messages of a graph's state, also where they are given as texts, pairs or dicts; else none."""
    return attempt(lambda: _messages_of(mapping(state).get("messages")), _NONE)


def _messages_of(held: Any) -> Sequence[Message]:
    utils: Any = sys.modules.get(_UTILS)
    items = held if isinstance(held, list) else [held]  # a tuple is one message: its role and its content
    if held is None or utils is None or len(items) > _MOST:
        return ()
    return messages(utils.convert_to_messages(items))
