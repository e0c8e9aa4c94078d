"""Who the runs of a block of code belong to, where no metadata says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from itertools import islice
from typing import Final, NamedTuple

from opentelemetry import baggage

from .._content import Gate
from .._encode import label, mask_text
from .._model import RunStart

__all__ = ["NOBODY", "Session", "current_session", "from_baggage", "keep_session", "session"]

_MOST_ENTRIES: Final = 32  # of baggage; a span holds 128 attributes, and then forgets the first


class Session(NamedTuple):
    """A conversation and a user; None: not said."""

    conversation: str | None = None
    user: str | None = None


NOBODY: Final = Session()

_current: ContextVar[Session] = ContextVar("chainspan_session", default=NOBODY)


@contextmanager
def session(*, conversation: str | None = None, user: str | None = None) -> Iterator[None]:
    """Put every run that starts inside into a conversation, and under a user's name.

    Carried like any context variable: into tasks, and into the threads that LangChain
    starts. A run whose metadata names a conversation or a user keeps those. A session inside
    of another changes what it names and leaves the rest.

    Args:
        conversation: The conversation's id; ``session.id`` and ``gen_ai.conversation.id``.
        user: The user's id; ``user.id``.
    """
    outer = _current.get()
    mine = Session(_id_of(conversation, outer.conversation), _id_of(user, outer.user))
    token = _current.set(mine)
    try:
        yield
    finally:
        _leave(token, mine, outer)


def _leave(token: Token[Session], mine: Session, outer: Session) -> None:
    try:
        _current.reset(token)
    except ValueError:  # another context than the block began in, as where another task closes a generator
        if _current.get() is mine:
            _current.set(outer)


def _id_of(given: object, otherwise: str | None) -> str | None:
    """Return an id as a text, a number of a database too, without secrets, as of who takes an API key for one."""
    text = "" if given is None else label(given if isinstance(given, str) else str(given))
    return text or otherwise  # an empty one, such as of a cookie that is not there, is nobody's, as in metadata


current_session: Final[Callable[[], Session]] = _current.get
"""Returns what the innermost session around here says."""


def keep_session(run: RunStart) -> None:
    """Write down whose a run is that no span will tell of: by its end another session may be current."""
    here = current_session()
    run.conversation_id = run.conversation_id or here.conversation
    run.user_id = run.user_id or here.user


def from_baggage(gate: Gate) -> Mapping[str, str]:
    """Return those entries of OpenTelemetry's baggage that the policy lets onto spans; of far too many, some."""
    carried = baggage.get_all()
    chosen = {key: carried[key] for key in islice(filter(carried.__contains__, gate.policy.baggage), _MOST_ENTRIES)}
    return {key: mask_text(gate.name(str(value))) for key, value in chosen.items()}
