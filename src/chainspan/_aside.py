"""Code that the garbage collector may execute, in the midst of anything.

A generator that is dropped is closed there, and weak references tell of what is gone. No context
variable may be set then: CPython's ``ContextVar.set`` walks the table of the current context while
it allocates, an allocation may start the collector (before Python 3.12), and what is set meanwhile
frees that table. The context has lost variables then, its owner's and others'. A copy of the
context can be changed at any time.

Nor may anything be waited for that the interrupted code holds: OpenTelemetry's SDK has locks that the
thread which is inside cannot enter again, of its metrics above all.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import ParamSpec

from ._starting import start_thread

__all__ = ["aside", "is_left"]

P = ParamSpec("P")

_SDK = "opentelemetry.sdk"
_MOST_FRAMES = 64  # between what the collector has interrupted and this


_collectors: set[int] = set()  # threads that the collector runs in


def is_left() -> bool:
    """Return whether a generator is being closed here, which the collector may have done, or the collector runs."""
    return type(sys.exc_info()[1]) is GeneratorExit or (bool(_collectors) and threading.get_ident() in _collectors)


def _note_collector(phase: str, _info: object) -> None:
    (_collectors.add if phase == "start" else _collectors.discard)(threading.get_ident())


if sys.version_info < (3, 12):  # LangChain has left the handler of the GeneratorExit when it reports some ends
    gc.callbacks.append(_note_collector)


def aside(function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Call a function in a copy of the current context; where the SDK is at work, in a thread of its own."""
    call = partial(copy_context().run, function, *args, **kwargs)
    if not _is_sdk_at_work():
        call()
        return
    start_thread(threading.Thread(target=call, name="chainspan-aside", daemon=True), otherwise=call)


def _is_sdk_at_work() -> bool:
    frame = sys._getframe(2).f_back  # noqa: SLF001 - the only way to see the stack
    for _ in range(_MOST_FRAMES):
        if frame is None:
            break
        if str(frame.f_globals.get("__name__")).startswith(_SDK):
            return True
        frame = frame.f_back
    return False
