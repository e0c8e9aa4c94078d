"""The version, which the build reads here.

Not asked of the installed package's metadata: what reads that takes longer to import than the SDK.
"""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0.dev0"
