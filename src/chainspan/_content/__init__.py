"""The one gate that everything a user may have written passes before it leaves.

`ContentPolicy` is what a user sets; `Gate` is what the rest of chainspan asks. Where the
gate is closed nothing is serialised at all.
"""

from __future__ import annotations

from ._gate import Gate, without_data
from ._policy import CAPTURE_VARIABLE, ContentPolicy

__all__ = ["CAPTURE_VARIABLE", "ContentPolicy", "Gate", "without_data"]
