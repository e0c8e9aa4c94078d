"""The one place where chainspan's own faults end, so that none reaches the application.

A fault is logged once for each place and kind, with its frames, and counted from
then on. ``CHAINSPAN_STRICT=1`` raises it instead, so that a swallowed bug is still a
red test.
"""

from __future__ import annotations

import logging
import traceback
from types import TracebackType
from typing import Literal

from opentelemetry import context as otel_context
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY

from . import _settings

__all__ = ["Guard", "faults", "log_quietly", "say_once"]

_logger = logging.getLogger("chainspan")
_faults: dict[tuple[str, type[BaseException]], int] = {}
_said: set[str] = set()
_MOST_KEPT = 1_000  # places and sentences are few; this bounds the two containers all the same


class Guard:
    """Keep the faults of a block of code from leaving it: ``with Guard("lifecycle.start"):``.

    Swallows Exception only: KeyboardInterrupt and its like are not ours. An instance has
    no state, so one serves all threads and may be entered again while it is entered.

    Args:
        site: The place that the log names.
    """

    __slots__ = ("_site",)

    def __init__(self, site: str) -> None:
        self._site = site

    def __enter__(self) -> None:
        """Do nothing: only the way out matters."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Swallow an Exception, and let everything else pass."""
        if not isinstance(error, Exception) or _settings.is_strict():
            return False
        _report(self._site, error)
        return True

    def caught(self, error: BaseException) -> None:
        """Take a fault from an ``except`` clause, which where nothing fails costs less than a guard.

        Raises:
            BaseException: The fault itself, in strict mode.
        """
        if _settings.is_strict():
            raise error
        _report(self._site, error)


def faults() -> dict[str, int]:
    """Return how often each fault was swallowed, by ``site: type``."""
    return {f"{site}: {kind.__name__}": count for (site, kind), count in _faults.items()}


def say_once(sentence: str, level: Literal[30, 20] = logging.WARNING) -> None:
    """Log a sentence the first time that it is said in this process."""
    if sentence in _said or len(_said) >= _MOST_KEPT:
        return
    _said.add(sentence)
    log_quietly(level, sentence)


def log_quietly(level: int, sentence: str, error: BaseException | None = None) -> None:
    """Log with instrumentation suppressed, so that the log call itself is not traced."""
    context = otel_context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, value=True)
    token = otel_context.attach(context)
    try:
        _logger.log(level, sentence, exc_info=error)
    finally:
        otel_context.detach(token)


def _report(site: str, error: BaseException) -> None:
    key = (site, type(error))
    known = key in _faults
    if not known and len(_faults) >= _MOST_KEPT:
        return
    _faults[key] = _faults.get(key, 0) + 1
    if not known:
        log_quietly(
            logging.WARNING,
            f"chainspan failed in {site} with {type(error).__qualname__}; the application goes on, with less "
            f"telemetry. Further faults of this kind are only counted.{_frames(error)}",
        )


def _frames(error: BaseException) -> str:
    """Return where an exception comes from, without its message: that may hold what a user wrote."""
    frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    return "".join(f'\n  File "{code.co_filename}", line {line}, in {code.co_name}' for code, line in frames)
