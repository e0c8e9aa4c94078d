"""Whether a handler may say that it is called in place, or would keep others from what they are to be told."""

from __future__ import annotations

from types import FrameType

__all__ = ["ASKERS", "drops_others"]

ASKERS = frozenset({"on_llm_start", "<listcomp>"})
"""The functions that may have to be told otherwise."""


def drops_others(asker: FrameType, ours: type) -> bool:
    """Return whether saying "inline" now would keep other handlers from a start event.

    For an asynchronous text model, langchain-core calls either the inline handlers or the
    others, and forgets the rest (``AsyncCallbackManager.on_llm_start``, seen in 1.7.2).

    Args:
        asker: The frame that asks, one of `ASKERS`.
        ours: The class of those that are inline wherever they can.
    """
    frame = asker.f_back if asker.f_code.co_name == "<listcomp>" else asker
    if frame is None or frame.f_code.co_name != "on_llm_start":
        return False
    handlers = getattr(frame.f_locals.get("self"), "handlers", ())
    foreign = [handler for handler in handlers if not isinstance(handler, ours)]
    return bool(foreign) and not any(handler.run_inline for handler in foreign)
