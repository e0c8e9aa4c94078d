"""What LangChain and LangGraph hand to a function beside its input, each to a parameter of its name."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from chainspan._encode import attempt

from ._binding import signature_of, whole_of

__all__ = ["handed", "handed_to"]

_CONFIG: Final = "config"
_ANNOTATED: Final[Mapping[str, re.Pattern[str]]] = {
    _CONFIG: re.compile(r"\bRunnableConfig\b"),
    "runtime": re.compile(r"\bRuntime\b"),
    "store": re.compile(r"\bBaseStore\b"),
    "error": re.compile(r"\bNodeError\b"),
    "writer": re.compile(r"\bStreamWriter\b|\bCallable\[\[typing\.Any\], None\]\Z"),  # the latter is what it stands for
}
_ERROR: Final = "error"  # a name so common that the annotation alone tells what it is for
_KINDS: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_NOTHING: Final[Mapping[str, Any]] = {}


def handed_to(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the parameters of a function that are for what it is handed, beside the one that it does something with.

    Each is annotated as what it is, or has no default.
    """
    signature = signature_of(function)
    parameters = () if signature is None else tuple(signature.parameters.values())[1:]
    annotations = attempt(lambda: whole_of(function).__annotations__, _NOTHING)
    return tuple(one.name for one in parameters if one.name in _ANNOTATED and _is_for_it(one, annotations))


def _is_for_it(parameter: inspect.Parameter, annotations: Mapping[str, Any]) -> bool:
    if parameter.kind not in _KINDS:
        return False
    is_required = parameter.default is inspect.Parameter.empty and parameter.name != _ERROR
    return is_required or _ANNOTATED[parameter.name].search(str(annotations.get(parameter.name))) is not None


def handed(names: Iterable[str], config: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what a function is handed: LangChain's config, and in a graph what LangGraph has for its nodes."""
    held = config or {}
    configurable = held.get("configurable") or _NOTHING
    runtime = configurable.get("__pregel_runtime")
    found: dict[str, Any] = {_CONFIG: held}
    if runtime is not None:
        found |= {"runtime": runtime, "store": runtime.store, "writer": runtime.stream_writer}
        found[_ERROR] = configurable.get("__pregel_node_error")
    return {name: found[name] for name in names if name in found}
