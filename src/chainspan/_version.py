"""The version that is installed."""

from __future__ import annotations

from functools import lru_cache
from importlib import metadata

__all__ = ["version"]


@lru_cache(maxsize=1)
def version() -> str:
    """Return chainspan's version, or ``0`` where it is run without being installed."""
    try:
        return metadata.version("chainspan")
    except metadata.PackageNotFoundError:
        return "0"
