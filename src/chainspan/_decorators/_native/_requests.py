"""What a model is asked, as far as the arguments of a decorated function say.

The arguments are read by their names, which are those of the providers' own calls: a
function that takes ``messages`` and ``temperature``, and a client's method that is
decorated itself, are read alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from types import FunctionType
from typing import Any, Final

from chainspan._encode import attempt, to_json
from chainspan.langchain._answers import Turn

from ._blocks import add_blocks, is_part, result_of
from ._fields import at, has, items, plain_mapping, text
from ._messages import add_message

__all__ = ["read_request"]

_MESSAGES: Final = ("messages", "contents", "input", "prompt", "inputs")  # the last of Mistral's conversations
_SYSTEM: Final = (
    ("system",),
    ("instructions",),
    ("system_instruction",),
    ("config", "system_instruction"),
    ("config", "systemInstruction"),
)
_ROLES: Final[Mapping[str, str]] = {
    "AIMessageChunk": "assistant",
    "ai": "assistant",
    "assistant": "assistant",
    "developer": "system",
    "function": "tool",
    "human": "user",
    "model": "assistant",
    "system": "system",
    "tool": "tool",
    "user": "user",
}
# What a model says besides text and calls, as OpenAI's Responses API has it sent back.
_OF_MODEL: Final = frozenset({"reasoning", "mcp_approval_request", "mcp_list_tools"})
# What a call of Google's, or of a conversation with an agent of Mistral's, keeps in one object.
_SETTINGS: Final = ("config", "generation_config", "completion_args")
_PARSED: Final = ("response_format", "text_format", "output_format")  # classes that the clients' `parse` answers with
_NAMES: Final = {"modelId": "model", "model_id": "model", "model_name": "model"}
_NO_INPUT: Final = frozenset({"model", *_NAMES})
_CAPITAL: Final = re.compile("[A-Z]")
_LARGEST_INPUT: Final = 100_000  # bytes, of an argument that is no message


def read_request(arguments: Mapping[str, Any]) -> tuple[list[Turn], dict[str, Any]]:
    """Return the messages that a model is sent, and the parameters of the call."""
    name = next((name for name in _MESSAGES if _is_given(arguments.get(name))), None)
    name = name or next((name for name in arguments if name not in _NO_INPUT), None)
    asked = arguments.get(name) if name is not None else None
    turns = [*_system(arguments), *(_turns(asked) if asked is not None else ())]
    params = {_NAMES.get(key, key): value for key, value in arguments.items() if key not in (name, *_MESSAGES)}
    for key in _SETTINGS:
        if key in params:
            held = params.pop(key)
            params.update({_snake(setting): value for setting, value in plain_mapping(held).items()})
            params["tools"] = at(held, "tools") or params.get("tools")
    params["tools"] = _tools(params.get("tools"))
    if any(isinstance(params.get(key), type) for key in _PARSED):
        params["response_format"] = {"type": "json_schema"}
    params.pop("system", None)
    return turns, {key: value for key, value in params.items() if value is not None}


def _is_given(value: Any) -> bool:
    """Return whether an argument says anything: None does not, nor what a client has for one that is left out."""
    return value is not None and attempt(lambda: bool(value), True)


def _tools(offered: Any) -> Any:
    """Return the tools of a call; some clients take functions for them, and describe those themselves."""
    if not isinstance(offered, (list, tuple)):
        return offered
    return [_function(tool) if isinstance(tool, FunctionType) else tool for tool in offered]


def _function(tool: FunctionType) -> dict[str, Any]:
    return {"type": "function", "name": tool.__name__, "description": tool.__doc__}


def _snake(name: str) -> str:
    return _CAPITAL.sub(lambda found: f"_{found[0].lower()}", name)


def _system(arguments: Mapping[str, Any]) -> Iterator[Turn]:
    for path in _SYSTEM:
        if path[0] in arguments and (said := at(arguments, *path)):
            held = at(said, "parts")
            yield add_blocks(Turn(role="system"), said if held is None else held)


def _turns(given: Any) -> Iterator[Turn]:
    if has(given, "to_messages"):  # what a prompt of LangChain's makes
        given = given.to_messages()
    listed: Sequence[Any] = given if isinstance(given, (list, tuple)) else (given,)
    if not listed or not all(_is_turn(item) or is_part(item) for item in listed):
        listed = (to_json(given, limit_bytes=_LARGEST_INPUT),)
    has_parts = any(map(is_part, listed))
    for are_parts, group in groupby(listed, lambda item: is_part(item) or (has_parts and isinstance(item, str))):
        if are_parts:
            yield from _turn({"parts": [*group]})  # Google's client takes them for one message
        else:
            yield from (turn for item in group for turn in _turn(item))


def _is_turn(item: Any) -> bool:
    return isinstance(item, str) or has(item, "role") or isinstance(at(item, "type"), str) or has(item, "parts")


def _turn(item: Any) -> Iterator[Turn]:
    if isinstance(item, str):
        yield add_blocks(Turn(role="user"), item)
        return
    if (alone := result_of(item)) is not None:  # OpenAI's Responses API sends it as an item
        yield alone
        return
    turn = Turn(role=_role(item))
    content = at(item, "content")
    blocks = content if content is not None else items(item, "parts")
    yield from _results(blocks)
    turn.call_id = text(item, "tool_call_id", "name", "tool_name")
    if has(item, "parts"):
        add_blocks(turn, blocks)
    elif _is_block(item):
        add_blocks(turn, [item])
    else:
        add_message(turn, item)
    if turn.blocks or turn.calls:
        yield turn


def _is_block(item: Any) -> bool:
    """Return whether what stands among messages is none, but what one holds, as in OpenAI's Responses API."""
    return not has(item, "role") and text(item, "type") not in _ROLES


def _role(item: Any) -> str:
    kind = text(item, "role") or text(item, "type") or ""
    is_of_model = kind.endswith("_call") or kind in _OF_MODEL
    return _ROLES.get(kind, "assistant" if is_of_model else "user")


def _results(blocks: Any) -> Iterator[Turn]:
    if isinstance(blocks, (list, tuple)):
        yield from (found for block in blocks if (found := result_of(block)) is not None)
