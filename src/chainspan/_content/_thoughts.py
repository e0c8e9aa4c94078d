"""What a model thought, wherever it stands in data: in messages and answers as the clients have them."""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["is_thought", "names_thought", "without_thoughts"]

# Of blocks and of events: Anthropic's, OpenAI's, LangChain's, OpenRouter's.
_TYPE: Final = re.compile(r"(?:response\.)?(?:redacted_)?(?:reasoning|thinking)(?:[._].*)?")
# Of DeepSeek's, OpenRouter's, Amazon's.
_FIELDS: Final = frozenset({"reasoning_content", "reasoning_details", "reasoningContent"})
_OF_MESSAGES: Final = frozenset({"reasoning", "thinking", "tool_plan"})  # elsewhere these are anybody's words


def without_thoughts(tree: Any) -> Any:
    """Return plain data without what a model thought before it answered."""
    return {} if is_thought(tree) else _rest(tree)


def _rest(tree: Any) -> Any:
    if type(tree) is list:
        return [_rest(item) for item in tree if not is_thought(item)]
    if type(tree) is not dict:
        return tree
    left_out = _FIELDS | _OF_MESSAGES if "role" in tree else _FIELDS
    return {key: _rest(item) for key, item in tree.items() if key not in left_out and not is_thought(item)}


def is_thought(item: Any) -> bool:
    """Return whether a block, or a part of a message, holds what a model thought."""
    if type(item) is not dict:
        return False
    return names_thought(item.get("type")) or item.get("thought") is True  # the latter Google's


def names_thought(kind: object) -> bool:
    """Return whether a block or an event of this type holds what a model thought."""
    return type(kind) is str and _TYPE.fullmatch(kind) is not None
