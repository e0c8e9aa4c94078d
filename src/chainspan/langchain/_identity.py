"""Who a run belongs to, and which try it is, from the metadata and the tags that LangChain hands down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from .._encode import attempt, label
from ._kinds import AGENT_NAMES
from ._read import mapping

__all__ = ["NOBODY", "Identity", "identity"]

_CONVERSATION: Final = ("thread_id", "session_id", "conversation_id")
_RETRY: Final = "retry:attempt:"


class Identity(NamedTuple):
    """Who runs and in which conversation, as metadata and tags say.

    Attributes:
        attempt: Which try this is, from 2; of ``with_retry``.
    """

    conversation_id: str | None = None
    user_id: str | None = None
    agent_name: str | None = None
    attempt: int | None = None


NOBODY: Final = Identity()
_IDENTITY_KEYS: Final = frozenset({*_CONVERSATION, "user_id", *AGENT_NAMES})


def identity(metadata: Any, tags: Any) -> Identity:
    """Return who a run belongs to, from its metadata and tags."""
    known = metadata if type(metadata) is dict else mapping(metadata)
    attempt_number = _attempt(tags) if tags else None
    if not known or _IDENTITY_KEYS.isdisjoint(known):
        return NOBODY if attempt_number is None else Identity(attempt=attempt_number)
    return Identity(
        _id_in(known, _CONVERSATION),
        _id_in(known, ("user_id",)),
        _id_in(known, AGENT_NAMES),
        attempt_number,
    )


def _id_in(source: Mapping[str, Any], keys: Sequence[str]) -> str | None:
    for key in keys:
        value = source.get(key)
        if value is None:
            continue
        if type(value) is str and value:
            return label(value)
        if issubclass(type(value), (int, UUID)):
            return attempt(lambda: str(value), None)  # noqa: B023  # called at once
    return None


def _attempt(tags: Any) -> int | None:
    for tag in tags if isinstance(tags, (list, tuple)) else ():
        if type(tag) is str and _RETRY in tag and tag.startswith(_RETRY):
            number = tag[len(_RETRY) :]
            return int(number) if number.isascii() and number.isdigit() else None
    return None
