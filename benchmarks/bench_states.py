"""What one callback takes that is given five megabytes, or an object that is slow to print: with content on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import copy_context
from dataclasses import dataclass
from statistics import median
from typing import Any, Final
from uuid import uuid4

from benchmarks.contenders import provider
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage

from chainspan import OtelHandler

__all__ = ["AT_MOST_US", "STATES", "Taken", "taken"]

AT_MOST_US: Final = 1_000.0
"""What a callback may take, whatever it is given."""

_BYTES: Final = 5_000_000
_TIMES: Final = 15
_WORDS: Final = "The quick brown fox jumps over the lazy dog, again. "
_ACCENTS: Final = "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. "


class _Printed:
    """Prints itself as five megabytes, as data frames and arrays of some libraries do."""

    def __repr__(self) -> str:
        return "Printed(" + "x" * _BYTES + ")"


def _text(words: str, size: int = _BYTES) -> str:
    return (words * (size // len(words) + 1))[:size]


def _nested(depth: int) -> dict[str, Any]:
    below = [_nested(depth - 1) for _ in range(8)] if depth else []
    return {"name": "a node", "text": _text(_WORDS, 100), "below": below}


STATES: Final[Mapping[str, Callable[[], object]]] = {
    "one text": lambda: {"text": _text(_WORDS)},
    "one text, not ASCII": lambda: {"text": _text(_ACCENTS)},
    "one text, as it is": lambda: _text(_WORDS),
    "one text, not ASCII, as it is": lambda: _text(_ACCENTS),
    "bytes": lambda: {"data": bytes(range(256)) * (_BYTES // 256)},
    "base64": lambda: {"data": "QUJDa2Vk" * (_BYTES // 8)},
    "base64 in an address": lambda: {"url": "data:image/png;base64," + "QUJDa2Vk" * (_BYTES // 8)},
    "base64 in lines": lambda: {"data": f"{'QUJDa2Vk' * 9}\n" * (_BYTES // 73)},
    "base64 among words": lambda: {"text": f"{_WORDS}{'QUJDa2Vk' * (_BYTES // 8)}{_WORDS}"},
    "one text, with keys in it": lambda: {"text": _text(f"{_WORDS * 200}api_key=sk-proj-abcdefghijklmnopqrstuvwx ")},
    "texts of 1 KB": lambda: {"texts": [_text(_WORDS, 1_000) for _ in range(_BYTES // 1_000)]},
    "short texts": lambda: {"texts": [f"{number} {_WORDS}" for number in range(_BYTES // 60)]},
    "numbers": lambda: {"numbers": list(range(_BYTES // 7))},
    "dicts": lambda: {"rows": [{"id": number, "text": _text(_WORDS, 100)} for number in range(_BYTES // 120)]},
    "a tree": lambda: _nested(5),
    "documents": lambda: {"documents": [Document(page_content=_text(_WORDS, 1_000)) for _ in range(_BYTES // 1_000)]},
    "messages of 1 KB": lambda: {"messages": [HumanMessage(_text(_WORDS, 1_000)) for _ in range(_BYTES // 1_000)]},
    "messages of 1 KB, and more": lambda: {"messages": [AIMessage(_text(_WORDS, 1_000)) for _ in range(500)], "n": 1},
    "messages of 50 KB": lambda: {"messages": [HumanMessage(_text(_WORDS, 50_000)) for _ in range(_BYTES // 50_000)]},
    "an object that prints 5 MB": lambda: {"held": _Printed()},
}


@dataclass(frozen=True, kw_only=True)
class Taken:
    """How long the callbacks of one run took, in microseconds.

    Attributes:
        first_us: The start, of an object that nobody has seen before.
        again_us: The end, with the same object.
    """

    name: str
    first_us: float
    again_us: float


def taken() -> Iterator[Taken]:
    """Measure every state."""
    handler = OtelHandler(tracer_provider=provider(), content=True)
    for name, make in STATES.items():
        times = [copy_context().run(_once, handler, make()) for _ in range(_TIMES)]
        first, again = zip(*times, strict=True)
        yield Taken(name=name, first_us=median(first), again_us=median(again))


def _once(handler: Any, state: object) -> tuple[float, float]:
    run_id = uuid4()
    began = time.perf_counter_ns()
    handler.on_chain_start({}, state, run_id=run_id, name="Step", tags=[], metadata={})
    started = time.perf_counter_ns()
    handler.on_chain_end(state, run_id=run_id)
    return (started - began) / 1_000, (time.perf_counter_ns() - started) / 1_000
