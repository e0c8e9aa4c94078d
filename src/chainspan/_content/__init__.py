"""The one gate that everything a user may have written passes before it leaves.

`ContentPolicy` is what a user sets; `Gate` is what the rest of chainspan asks. Where the
gate is closed nothing is serialised at all.
"""

from __future__ import annotations

from .._encode import without_data
from ._gate import Gate
from ._policy import CAPTURE_VARIABLE, ContentPolicy, asks_for_content_in_events
from ._shown import ShownGate
from ._thoughts import is_thought, names_thought

__all__ = [
    "CAPTURE_VARIABLE",
    "ContentPolicy",
    "Gate",
    "ShownGate",
    "asks_for_content_in_events",
    "is_thought",
    "names_thought",
    "without_data",
]
