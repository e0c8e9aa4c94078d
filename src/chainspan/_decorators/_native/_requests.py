"""What a model is asked, as far as the arguments of a decorated function say.

The arguments are read by their names, which are those of the providers' own calls: a
function that takes ``messages`` and ``temperature``, and a client's method that is
decorated itself, are read alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from chainspan._encode import to_json
from chainspan.langchain._answers import Turn

from ._blocks import add_blocks, result_of
from ._fields import at, has, items, plain_mapping, text
from ._messages import add_message

__all__ = ["read_request"]

_MESSAGES: Final = ("messages", "contents", "input", "prompt")
_SYSTEM: Final = (("system",), ("instructions",), ("system_instruction",), ("config", "system_instruction"))
_ROLES: Final[Mapping[str, str]] = {
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
_SETTINGS: Final = ("config", "generation_config")  # what Google's call keeps in one object
_NAMES: Final = {"modelId": "model", "model_id": "model", "model_name": "model"}
_LARGEST_INPUT: Final = 100_000  # bytes, of an argument that is no message


def read_request(arguments: Mapping[str, Any]) -> tuple[list[Turn], dict[str, Any]]:
    """Return the messages that a model is sent, and the parameters of the call."""
    name = next((name for name in _MESSAGES if name in arguments), None)
    if name is None:
        name = next(iter(arguments), None)
    turns = [*_system(arguments), *(_turns(arguments[name]) if name is not None else ())]
    params = {_NAMES.get(key, key): value for key, value in arguments.items() if key != name}
    for key in _SETTINGS:
        if key in params:
            params.update(plain_mapping(params.pop(key)))
    params.pop("system", None)
    return turns, {key: value for key, value in params.items() if value is not None}


def _system(arguments: Mapping[str, Any]) -> Iterator[Turn]:
    for path in _SYSTEM:
        if path[0] in arguments and (said := at(arguments, *path)):
            held = at(said, "parts")
            yield add_blocks(Turn(role="system"), said if held is None else held)


def _turns(given: Any) -> Iterator[Turn]:
    if isinstance(given, (list, tuple)) and given and all(_is_turn(item) for item in given):
        for item in given:
            yield from _turn(item)
    elif isinstance(given, str) or not _is_turn(given):
        text_of = given if isinstance(given, str) else to_json(given, limit_bytes=_LARGEST_INPUT)
        yield add_blocks(Turn(role="user"), text_of)
    else:
        yield from _turn(given)


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
    turn.call_id = text(item, "tool_call_id", "name")
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
