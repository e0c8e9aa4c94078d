"""LangChain objects as LangChain.js writes them: plain data with its names and key order.

``JSON.stringify`` calls ``toJSON`` on what has one and lists the fields of everything
else. Both are done here for the Python objects of the same meaning. Objects that
LangChain.js does not know get a short form that shows what they are.
"""

from __future__ import annotations

import dataclasses
import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from functools import singledispatch
from itertools import islice
from numbers import Integral, Real
from uuid import UUID

from langchain_core.agents import AgentAction, AgentActionMessageLog, AgentFinish
from langchain_core.documents import Document
from langchain_core.load.serializable import Serializable
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult
from langchain_core.prompt_values import ChatPromptValue, ImagePromptValue, StringPromptValue
from pydantic import BaseModel

from chainspan._encode import attempt
from chainspan._jstext import in_key_order

from ._js_graphs import graph_fields
from ._js_messages import message_fields

__all__ = ["js_form"]

_MAX_DEPTH = 100  # each takes several frames of Python's stack
_MOST_VALUES = 100_000  # of one list or mapping, as there are some without an end
_MAX_REPR_CHARS = 200
_ESCAPED = "__lc_escaped__"  # LC_ESCAPED_KEY, load/validation.ts


def js_form(value: object) -> object:
    """Return a value as plain data in the shape that LangChain.js prints for it.

    Never raises: a part that cannot be read is replaced by the name of its type, one that
    contains itself by ``[Circular]``. The value is not changed.
    """
    return _Walk().form(value)


class _Walk:
    """One passage through a value: what it is inside of now."""

    def __init__(self) -> None:
        self._ancestors: set[int] = set()
        self._escaping = False

    def form(self, value: object) -> object:
        """Return the plain form of a value."""
        if value is None or type(value) in _PLAIN:
            return value
        if id(value) in self._ancestors:
            return "[Circular]"
        if len(self._ancestors) >= _MAX_DEPTH:
            return "[...]"
        self._ancestors.add(id(value))
        try:
            return _form(value, self)
        except Exception:  # noqa: BLE001 - a foreign object may raise anything from anywhere
            return _type_name(value)
        finally:
            self._ancestors.discard(id(value))

    def each(self, values: Collection[object]) -> list[object]:
        """Return the forms of several values, and of too many how many there are beside."""
        shown = [self.form(value) for value in islice(values, _MOST_VALUES)]
        return shown if len(shown) < _MOST_VALUES else [*shown, *_beyond(values)]

    def record(self, mapping: Mapping[object, object]) -> object:
        """Return the form of a mapping, marked where it could be taken for a constructor."""
        if self._escaping and _needs_escaping(mapping):
            with self._escape(on=False):
                return {_ESCAPED: self.record(mapping)}
        shown = {_key(key): self.form(value) for key, value in islice(mapping.items(), _MOST_VALUES)}
        if len(shown) == _MOST_VALUES:
            shown.update((gap, "") for gap in _beyond(mapping))
        return in_key_order(shown)

    def fields(self, pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
        """Return the form of named fields, without those that are None: undefined, there."""
        return {name: self.form(value) for name, value in pairs if value is not None}

    def constructor(self, names: Sequence[str], pairs: Iterable[tuple[str, object]]) -> object:
        """Return what ``Serializable.toJSON`` (load/serializable.ts) returns."""
        with self._escape(on=True):
            kwargs = self.fields(pairs)
        return {"lc": 1, "type": "constructor", "id": ["langchain_core", *names], "kwargs": kwargs}

    @contextmanager
    def _escape(self, *, on: bool) -> Iterator[None]:
        before, self._escaping = self._escaping, on
        try:
            yield
        finally:
            self._escaping = before


_PLAIN = frozenset({str, bool, int, float})


@singledispatch
def _form(value: object, walk: _Walk) -> object:
    if isinstance(value, Enum):
        return walk.form(value.value)
    if (told := graph_fields(value)) is not None:
        return walk.fields(told)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        shown = [f.name for f in dataclasses.fields(value) if f.repr]
        return in_key_order({name: walk.form(getattr(value, name)) for name in shown})
    return _short(value)


@_form.register
def _(value: str, walk: _Walk) -> object:
    return walk.form(value.value) if isinstance(value, Enum) else str.__str__(value)


@_form.register
def _(value: int, walk: _Walk) -> object:
    return walk.form(value.value) if isinstance(value, Enum) else int.__int__(value)


@_form.register
def _(value: float, walk: _Walk) -> object:
    return walk.form(value.value) if isinstance(value, Enum) else float.__float__(value)


@_form.register
def _(value: Integral, _walk: _Walk) -> object:  # such as NumPy's
    return int(value)


@_form.register
def _(value: Real, _walk: _Walk) -> object:
    return float(value)


@_form.register(list)
@_form.register(deque)
def _(value: Collection[object], walk: _Walk) -> object:
    return walk.each(value)


@_form.register(tuple)
def _(value: tuple[object, ...], walk: _Walk) -> object:
    names = getattr(type(value), "_fields", None)
    return walk.each(value) if names is None else walk.record(dict(zip(names, value, strict=False)))


@_form.register(set)
@_form.register(frozenset)
def _(value: Collection[object], walk: _Walk) -> object:
    return sorted(walk.each(value), key=repr)  # a set has no order of its own to keep


@_form.register(Mapping)
def _(value: Mapping[object, object], walk: _Walk) -> object:
    return walk.record(value)


@_form.register(bytes)
@_form.register(bytearray)
def _(value: bytes, _walk: _Walk) -> object:
    return f"<{len(value)} bytes>"


@_form.register(date)
@_form.register(time)
def _(value: date | time, _walk: _Walk) -> object:
    return value.isoformat()


@_form.register
def _(value: datetime, _walk: _Walk) -> object:
    if value.tzinfo is None:
        return value.isoformat()
    utc = value.astimezone(timezone.utc)
    return utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@_form.register(UUID)
@_form.register(Decimal)
@_form.register(timedelta)
@_form.register(os.PathLike)
def _(value: object, _walk: _Walk) -> object:
    return str(value)


@_form.register
def _(value: BaseException, _walk: _Walk) -> object:
    return f"{type(value).__name__}: {value}"[:_MAX_REPR_CHARS]


@_form.register
def _(value: BaseModel, walk: _Walk) -> object:
    fields = type(value).model_fields
    shown: dict[object, object] = {
        name: given for name, given in value.__dict__.items() if name in fields and not fields[name].exclude
    }
    shown.update(value.__pydantic_extra__ or {})
    return walk.record(shown)


@_form.register
def _(value: Serializable, _walk: _Walk) -> object:
    # Not its arguments: a model or a store holds clients and keys.
    return {"lc": 1, "type": "not_implemented", "id": value.lc_id()}


@_form.register
def _(value: Document, walk: _Walk) -> object:
    return walk.fields([("pageContent", value.page_content), ("metadata", value.metadata), ("id", value.id)])


@_form.register
def _(value: BaseMessage, walk: _Walk) -> object:
    return walk.constructor(("messages", type(value).__name__), message_fields(value))


@_form.register
def _(value: ChatPromptValue, walk: _Walk) -> object:
    return walk.constructor(("prompt_values", "ChatPromptValue"), [("messages", list(value.messages))])


@_form.register
def _(value: StringPromptValue, walk: _Walk) -> object:
    return walk.constructor(("prompt_values", "StringPromptValue"), [("value", value.text)])


@_form.register
def _(value: ImagePromptValue, walk: _Walk) -> object:
    return walk.constructor(("prompt_values", "ImagePromptValue"), [("image_url", value.image_url)])


@_form.register
def _(value: Generation, walk: _Walk) -> object:
    message = value.message if isinstance(value, ChatGeneration) else None
    return walk.fields([("text", value.text), ("message", message), ("generationInfo", value.generation_info)])


@_form.register
def _(value: LLMResult, walk: _Walk) -> object:
    return walk.fields([("generations", value.generations), ("llmOutput", value.llm_output)])


@_form.register
def _(value: AgentAction, walk: _Walk) -> object:
    log = value.message_log if isinstance(value, AgentActionMessageLog) else None
    return walk.fields([("tool", value.tool), ("toolInput", value.tool_input), ("log", value.log), ("messageLog", log)])


@_form.register
def _(value: AgentFinish, walk: _Walk) -> object:
    return walk.fields([("returnValues", value.return_values), ("log", value.log)])


def _beyond(values: Collection[object]) -> Sequence[str]:
    """Return what says how many values are not shown, if there are any."""
    missing = attempt(lambda: len(values), 0) - _MOST_VALUES
    return [f"[+{missing}]"] if missing > 0 else []


def _needs_escaping(mapping: Mapping[object, object]) -> bool:
    return "lc" in mapping or (len(mapping) == 1 and _ESCAPED in mapping)


def _key(key: object) -> str:
    if type(key) is str:
        return key
    if isinstance(key, Enum):
        return _key(key.value)
    special = {True: "true", False: "false", None: "null"}
    if key is None or isinstance(key, bool):
        return special[key]
    return str(key) if isinstance(key, (str, int, float, UUID)) else _short(key)


def _short(value: object) -> str:
    """Return the beginning of an object's own description, or its type where it has none."""
    describe: Callable[[object], str] = type(value).__repr__
    if describe is object.__repr__:
        return _type_name(value)
    try:
        text = describe(value)
    except Exception:  # noqa: BLE001 - see above
        return _type_name(value)
    return text if len(text) <= _MAX_REPR_CHARS else f"{text[:_MAX_REPR_CHARS]}..."


def _type_name(value: object) -> str:
    return f"<{type(value).__qualname__}>"
