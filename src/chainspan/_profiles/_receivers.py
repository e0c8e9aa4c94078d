"""Which MeterProvider and which LoggerProvider there are, asked at every run and hence cheaply.

The API's own question, ``get_meter_provider()``, looks into the environment each time that
there is none. That costs more than everything else an unmetered run does.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from opentelemetry import metrics
from opentelemetry.metrics import MeterProvider

from .._encode import attempt
from .._exit import after_fork
from .._kept import Kept
from .._locks import Lock

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider

__all__ = ["Claims", "claims_of", "kept_with", "load_named_provider", "logger_provider", "meter_provider"]

T = TypeVar("T")

_MOST_CLAIMS: Final = 1_024  # two handlers of one call report its end one right after the other
_METERS: Final = "opentelemetry.metrics._internal"
_LOGGERS: Final = "opentelemetry._logs._internal"
_meters_api: Final = sys.modules[_METERS]


def meter_provider() -> MeterProvider | None:
    """Return the global MeterProvider; None where none is set up that would record anything."""
    provider: MeterProvider | None = getattr(_meters_api, "_METER_PROVIDER", None)
    return provider if provider is not None and _records(provider) else None


def logger_provider() -> LoggerProvider | None:
    """Return the global LoggerProvider; None where none is set up that would record anything."""
    api = sys.modules.get(_LOGGERS)  # what nobody has loaded, nobody has set up
    provider: LoggerProvider | None = getattr(api, "_LOGGER_PROVIDER", None)
    return provider if provider is not None and _records(provider) else None


def _records(provider: object) -> bool:
    """Return whether a provider is more than one of the API's own, which do nothing."""
    return type(provider).__module__ not in {_METERS, _LOGGERS}


@lru_cache(maxsize=1)
def load_named_provider() -> None:
    """Have the API load the provider that ``OTEL_PYTHON_METER_PROVIDER`` names, as it does when it is asked.

    Where that cannot be loaded the API says so in the log, and raises; then there is none.
    """
    attempt(metrics.get_meter_provider, None)


_kept: Kept[dict[Any, Any]] = Kept()
_kept_lock = Lock()


def kept_with(provider: object, key: object, make: Callable[[], T]) -> T:
    """Return what belongs to a provider, made when it is first asked for and kept as long as the provider."""
    held = _kept.get(provider)
    found: T | None = None if held is None else held.get(key)
    if found is None:
        with _kept_lock.inside:
            held = _kept.get(provider)
            if held is None:
                held = _kept.keep(provider, {})
            if key not in held:
                held[key] = make()
            found = held[key]
    return found


class Claims:
    """Which runs have been recorded with a provider, so that two handlers of one call count it once."""

    def __init__(self, most: int = _MOST_CLAIMS) -> None:
        self._most = most
        self._runs: dict[int, int] = {}
        self._renew_lock()
        after_fork(self._renew_lock)

    def take(self, run_id: int, pipeline: int) -> bool:
        """Claim a run that has ended, for a pipeline; False where another one has.

        Each pipeline ends a run once. What it ends again is another run of the same id, such as
        one that goes on with a graph by the config that it was begun with.
        """
        with self._lock:
            if self._runs.setdefault(run_id, pipeline) != pipeline:
                return False
            if len(self._runs) > self._most:
                self._runs.pop(next(iter(self._runs)), None)
            return True

    def _renew_lock(self) -> None:
        """Find it free in a forked child, too, and where the garbage collector ends a run while it is held."""
        self._lock = threading.RLock()


def claims_of(provider: object, signal: str) -> Claims:
    """Return the claims to one signal that all handlers which record with a provider share."""
    return kept_with(provider, (Claims, signal), Claims)
