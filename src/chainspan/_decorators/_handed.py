"""What LangChain and LangGraph hand to a function beside its input, each to a parameter of its name."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, Final

from chainspan._encode import attempt

from ._binding import signature_of, whole_of

__all__ = ["handed", "handed_to"]

_CONFIG: Final = "config"
_ANNOTATED: Final[Mapping[str, re.Pattern[str]]] = {
    _CONFIG: re.compile(r"\bRunnableConfig\b"),
    "runtime": re.compile(r"\bRuntime\b"),
    "store": re.compile(r"\bBaseStore\b"),
    "writer": re.compile(r"\bStreamWriter\b|\bCallable\[\[typing\.Any\], None\]\Z"),  # the latter is what it stands for
}
_OF_RUNTIME: Final[Mapping[str, Callable[[Any], Any]]] = {
    "runtime": lambda runtime: runtime,
    "store": attrgetter("store"),
    "writer": attrgetter("stream_writer"),
}
_KINDS: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_NOTHING: Final[Mapping[str, Any]] = {}


def handed_to(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the parameters of a function that are for what it is handed, beside the one that it does something with.

    Each has no default, or is annotated as what it is.
    """
    signature = signature_of(function)
    parameters = () if signature is None else tuple(signature.parameters.values())[1:]
    annotations = attempt(lambda: whole_of(function).__annotations__, _NOTHING)
    return tuple(one.name for one in parameters if one.name in _ANNOTATED and _is_for_it(one, annotations))


def _is_for_it(parameter: inspect.Parameter, annotations: Mapping[str, Any]) -> bool:
    if parameter.kind not in _KINDS:
        return False
    is_required = parameter.default is inspect.Parameter.empty
    return is_required or _ANNOTATED[parameter.name].search(str(annotations.get(parameter.name))) is not None


def handed(names: Iterable[str], config: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what a function is handed: LangChain's config, and in a graph what LangGraph has for its nodes."""
    held = config or {}
    runtime = (held.get("configurable") or _NOTHING).get("__pregel_runtime")
    found = {} if runtime is None else {name: _OF_RUNTIME[name](runtime) for name in names if name in _OF_RUNTIME}
    return {**found, _CONFIG: held} if _CONFIG in names else found
