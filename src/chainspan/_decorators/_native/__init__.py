"""The request and response objects of the providers' own clients, read by tables.

Nothing here imports a client: its objects are known by what they hold, for a version or a
compatible client that nobody has seen yet holds the same.
"""

from __future__ import annotations

from ._clients import made_with
from ._requests import read_request
from ._streams import Gathered
from ._whole import answer_of_text, provider_of_module, read_answer

__all__ = ["Gathered", "answer_of_text", "made_with", "provider_of_module", "read_answer", "read_request"]
