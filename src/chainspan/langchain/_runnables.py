"""What a decorated function inherits from, so that LangChain takes it for one of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:

    class RunnableBase:
        """A step that LangChain's chains and graphs accept."""

else:
    try:
        from langchain_core.runnables.base import Runnable
    except ImportError:

        class RunnableBase:
            """Stands in for LangChain's base where LangChain is not installed."""

    else:

        class RunnableBase(Runnable):
            """A step of any type, which LangChain's chains and graphs accept."""

            InputType = Any
            OutputType = Any


__all__ = ["RunnableBase", "is_runnable"]


def is_runnable(value: object) -> bool:
    """Return whether a value is a runnable, LangChain's or ours."""
    base: type = RunnableBase if RunnableBase.__mro__[1] is object else RunnableBase.__mro__[1]
    return isinstance(value, base)
