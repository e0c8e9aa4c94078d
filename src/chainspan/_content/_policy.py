"""What may be recorded of what users write, and how much of it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, TypeGuard

from .._errors import ConfigurationError

__all__ = ["CAPTURE_VARIABLE", "ContentPolicy", "asks_for_content_in_events"]

CAPTURE_VARIABLE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
"""Whether content is recorded where no argument says so; ``NO_CONTENT`` by default.

``SPAN_ONLY``, ``SPAN_AND_EVENT`` and ``true`` switch it on for spans; ``EVENT_ONLY``,
``SPAN_AND_EVENT`` and ``true`` for events of the Logs API, where those are emitted.
"""

_EVERYWHERE: Final = frozenset({"span_and_event", "true", "1", "yes", "on"})
_ON_SPANS: Final = _EVERYWHERE | {"span_only"}
_IN_EVENTS: Final = _EVERYWHERE | {"event_only"}
_LEAST_BYTES: Final = 200
_NAMES: Final = ("redact_keys", "metadata", "tags", "baggage")


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_size(value: object) -> bool:
    return isinstance(value, int) and value >= _LEAST_BYTES


def _are_names(value: object) -> bool:
    return _are_several(value) and all(isinstance(name, str) for name in value)


def _are_patterns(value: object) -> bool:
    return _are_several(value) and all(isinstance(getattr(pattern, "pattern", pattern), str) for pattern in value)


def _are_several(value: object) -> TypeGuard[Collection[object]]:
    """Return whether a value is a collection, and not one text, which is a collection of its letters."""
    return isinstance(value, Collection) and not isinstance(value, (str, bytes))


# Of what sort each value is, and whether it may be None.
_CHECKS: Final[Mapping[str, tuple[Callable[[object], bool], bool, str]]] = {
    "capture": (_is_flag, True, "True, False or None"),
    "redact": (callable, True, "a function of a text"),
    "redact_keys": (_are_names, False, "a collection of names"),
    "redact_patterns": (_are_patterns, False, "a collection of regular expressions of texts"),
    "metadata": (_are_names, True, "a collection of names"),
    "tags": (_are_names, True, "a collection of names"),
    "baggage": (_are_names, False, "a collection of names"),
    "reasoning": (_is_flag, False, "True or False"),
    "tool_definitions": (_is_flag, False, "True or False"),
    "max_attribute_bytes": (_is_size, False, f"a whole number of bytes, at least {_LEAST_BYTES}"),
    "max_span_bytes": (_is_size, False, f"a whole number of bytes, at least {_LEAST_BYTES}"),
}


@dataclass(frozen=True, kw_only=True)
class ContentPolicy:
    """Whether content is recorded, what is masked in it, and how large it may get.

    Content is what a user or a model wrote: messages, prompts, arguments, results,
    documents, template variables, metadata values, tags, tool descriptions, exception
    messages. Secrets (API keys, bearer tokens, passwords, ``SecretStr``) are masked
    whatever stands here, and binary data is replaced by its type, size and hash.

    Attributes:
        capture: Whether content is recorded. None: as the environment variable
            ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`` says, else not.
        redact: Called with every text that is content; its result is recorded instead. One that
            raises records ``[mask failed]``. Names and ids are masked by `redact_patterns` alone.
        redact_keys: Names, in any case, whose values are recorded as ``[redacted]``.
        redact_patterns: Regular expressions whose matches are recorded as ``[redacted]``, in
            names and ids as well.
        metadata: Which keys of a run's metadata become attributes, content or not. None:
            all of the user's own where content is recorded, else none.
        tags: The same for a run's tags.
        baggage: Which entries of OpenTelemetry's baggage become attributes of every span.
        reasoning: Whether a model's reasoning is recorded with the rest of its answer.
        tool_definitions: Whether the tools offered to a model are recorded with its input.
        max_attribute_bytes: The size in UTF-8 that one attribute is shortened to.
        max_span_bytes: The size that the content of one span and its events has together.

    Raises:
        ConfigurationError: If a value is of another type than these, a pattern does not compile, or a size
            is too small. A word such as ``"false"`` is no flag: taken for one, it would be true.
    """

    capture: bool | None = None
    redact: Callable[[str], str] | None = None
    redact_keys: Collection[str] = ()
    redact_patterns: Collection[str | re.Pattern[str]] = ()
    metadata: Collection[str] | None = None
    tags: Collection[str] | None = None
    baggage: Collection[str] = ()
    reasoning: bool = True
    tool_definitions: bool = True
    max_attribute_bytes: int = 256 * 1024
    max_span_bytes: int = 1024 * 1024

    def __post_init__(self) -> None:
        """Check and normalise, so that a policy can be compared, hashed and shared."""
        for name, (is_expected, may_be_none, expected) in _CHECKS.items():
            value = getattr(self, name)
            if not (is_expected(value) or (value is None and may_be_none)):
                raise ConfigurationError(f"ContentPolicy({name}=)", expected=expected, got=value)
        for name in _NAMES:
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else frozenset(value))
        object.__setattr__(self, "redact_keys", frozenset(key.lower() for key in self.redact_keys))
        object.__setattr__(self, "redact_patterns", tuple(map(_compiled, self.redact_patterns)))

    def captures(self, *, in_events: bool = False) -> bool:
        """Return whether content is recorded on spans, or in events, asking the environment where nothing was set."""
        if self.capture is not None:
            return self.capture
        return _chosen() in (_IN_EVENTS if in_events else _ON_SPANS)


def asks_for_content_in_events() -> bool:
    """Return whether the environment asks for events by asking for the content in them."""
    return _chosen() in {"event_only", "span_and_event"}


def _chosen() -> str:
    return os.environ.get(CAPTURE_VARIABLE, "").strip().lower()


def _compiled(pattern: str | re.Pattern[str]) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ConfigurationError(
            "ContentPolicy(redact_patterns=)", expected=f"regular expressions ({error})", got=pattern
        ) from error
