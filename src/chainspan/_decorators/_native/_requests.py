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

from ._blocks import add_blocks, add_calls, result_of
from ._fields import at, has, items, plain_mapping, text

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
    kind = text(item, "role") or text(item, "type") or "user"
    turn = Turn(role=_ROLES.get(kind, "assistant" if kind in ("function_call", "reasoning") else "user"))
    content = at(item, "content")
    blocks = content if content is not None else items(item, "parts")
    yield from _results(blocks)
    turn.call_id = text(item, "tool_call_id")
    add_blocks(turn, blocks if has(item, "content") or has(item, "parts") else [item])
    add_calls(turn, _calls(item))
    if turn.blocks or turn.calls:
        yield turn


def _results(blocks: Any) -> Iterator[Turn]:
    if isinstance(blocks, (list, tuple)):
        yield from (found for block in blocks if (found := result_of(block)) is not None)


def _calls(item: Any) -> list[Any]:
    """Return the calls of an assistant's message; LangChain's messages name the arguments otherwise."""
    return [
        {**call, "arguments": call["args"]} if isinstance(call, Mapping) and "args" in call else call
        for call in items(item, "tool_calls")
    ]
