"""Which tools a model is offered, in the forms of every provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from .._encode import plain
from ._read import at, mapping

__all__ = ["tools_of"]

_TOOLS: Final = (("tools",), ("functions",), ("toolConfig", "tools"))
_TOOL_KEYS: Final = frozenset(path[0] for path in _TOOLS)
_SCHEMAS: Final = ("parameters", "input_schema", "inputSchema", "parameters_json_schema")
_NO_TOOLS: Final = frozenset({"cachePoint"})  # of Bedrock, among the tools
_MEMBER: Final = frozenset({"_name_", "_value_"})


def tools_of(kwargs: Mapping[str, Any]) -> Sequence[Mapping[str, object]]:
    """Return the definitions of the tools that a model is offered, as the conventions have them."""
    offered = _offered(mapping(kwargs.get("invocation_params"))) or _offered(mapping(kwargs.get("options")))
    return [tool for item in offered for tool in _definitions(item)]


def _offered(source: Mapping[str, Any]) -> Sequence[Any]:
    for path in () if _TOOL_KEYS.isdisjoint(source) else _TOOLS:
        found = at(source, path)
        if isinstance(found, (list, tuple)) and found:
            return found
    return ()


def _definitions(tool: Any) -> Sequence[Mapping[str, object]]:
    """Return one definition as the conventions have it: type, name, description, parameters."""
    if isinstance(tool, str):
        return [{"type": "function", "name": tool}]
    if type(tool) is not dict and not isinstance(tool, Mapping):
        tool = plain(tool)  # Cohere's are objects of its client's
        if type(tool) is not dict:
            return []
    inner = _inner(tool)
    name = inner.get("name") or inner.get("title") or inner.get("type")
    return [_definition(tool, inner, name)] if isinstance(name, str) else _of_google(tool)


def _definition(tool: Mapping[str, Any], inner: Mapping[str, Any], name: str) -> Mapping[str, object]:
    kind = tool.get("type")
    # ``web_search_20250305`` and its like are types of their own; a schema's ``object`` is none.
    definition: dict[str, object] = {
        "type": kind if isinstance(kind, str) and kind not in ("object", "custom") else "function",
        "name": name,
    }
    if isinstance(description := inner.get("description"), str):
        definition["description"] = description
    for key in _SCHEMAS:
        if (schema := inner.get(key)) is not None:
            definition["parameters"] = mapping(schema).get("json", schema) if key == "inputSchema" else schema
            break
    return definition


def _of_google(tool: Mapping[str, Any]) -> Sequence[Mapping[str, object]]:
    """Return what one tool of Google's holds: functions, and Google's own tools, which are known by their keys."""
    functions = tool.get("function_declarations")
    held = _without_gaps(functions) if isinstance(functions, (list, tuple)) else ()
    own = [key for key, value in tool.items() if isinstance(value, Mapping) and key not in _NO_TOOLS]
    return [
        *(definition for item in held for definition in _definitions(item)),
        *({"type": key, "name": key} for key in own),
    ]


def _without_gaps(value: Any) -> Any:
    """Return a schema of Google's without the fields that it leaves open, which are nearly all of some thirty.

    What should be a word out of an enumeration, langchain-google-genai gives as all that a member of that holds.
    """
    if isinstance(value, (list, tuple)):
        return [_without_gaps(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    if _MEMBER.issubset(value):
        return value["_value_"]
    return {key: _without_gaps(held) for key, held in value.items() if held is not None}


def _inner(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    for key in ("function", "custom", "toolSpec", "systemTool"):
        held = tool.get(key)
        if type(held) is dict or isinstance(held, Mapping):
            return held
    return tool
