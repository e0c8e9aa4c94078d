"""The next GenAI conventions, of their own repository; they have no release and no schema yet."""

from __future__ import annotations

from typing import Final

from .. import _semconv as names
from ._compat import COMPAT, GenAiProfile

__all__ = ["LATEST"]

_USAGE: Final = {
    **COMPAT.usage,
    "cache_write": names.GEN_AI_USAGE_CACHE_WRITE_INPUT_TOKENS,
    "audio_input": names.GEN_AI_USAGE_AUDIO_INPUT_TOKENS,
    "audio_output": names.GEN_AI_USAGE_AUDIO_OUTPUT_TOKENS,
}

LATEST: Final = GenAiProfile(
    name="latest",
    schema_url=None,
    usage=_USAGE,
    finish_reason_in_messages=False,
    wrap_results=True,
    prompts=True,
)
