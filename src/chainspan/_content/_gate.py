"""Whether and how content gets out: the object that every writer of telemetry asks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate
from typing import Final, cast

from pydantic_core import from_json

from .._encode import attempt, label, plain, shrink, size_of
from .._model import AttributeValue, Message, RunStart
from ._exceptions import stack_of, type_of
from ._mask import Mask, mask_of
from ._policy import ContentPolicy
from ._writer import Writer, Written

__all__ = ["Gate"]

_LEAST_BYTES: Final = 256  # what an attribute gets even when its span's budget is spent
_MARKER: Final = 32  # bytes that it takes to say how many were cut away
_MOST_NAMES: Final = 32  # tags, or keys of metadata; a span holds 128 attributes, and then forgets the first
_OFF_TAGS: Final = ("chainspan:no-content", "chainspan.content=false")
_OFF_METADATA: Final = "chainspan.content"
_OFF_WORDS: Final = frozenset({"false", "0", "off", "no"})  # in any case; a config may hold but texts
_UNBOUNDED: Final = 1 << 62


class Gate:
    """Lets content through, masked and cut to size, or not at all.

    A handler builds one with `of`. Each run has its own by `for_run`, which knows how
    much of the span's budget is left. A gate never raises, whatever it is given.

    Attributes:
        on: Whether content is recorded. Ask it before making anything costly.
        is_silent: Whether nothing of the user's own is recorded: no content, tags, metadata or baggage.
        policy: What the user set.
    """

    __slots__ = ("_left", "_limit", "_mask", "_writer", "is_silent", "on", "policy")

    def __init__(self, policy: ContentPolicy, mask: Mask, writer: Writer, on: bool, left: int, limit: int) -> None:
        self.policy = policy
        self.on = on
        self.is_silent = not (on or policy.metadata or policy.tags or policy.baggage)
        self._mask = mask
        self._writer = writer
        self._left = left  # bytes that the run may still write; a handler's own gate has no bound
        self._limit = limit  # bytes that the next attribute may have

    @classmethod
    def of(cls, content: bool | ContentPolicy | None = None, *, in_events: bool = False) -> Gate:
        """Return the gate of a handler: content on, off, by policy, or None as the environment says.

        Args:
            content: As of the handler.
            in_events: Whether it is for events of the Logs API rather than for spans.
        """
        policy = content if isinstance(content, ContentPolicy) else ContentPolicy(capture=content)
        mask = mask_of(policy)
        on = policy.captures(in_events=in_events)
        return cls(policy, mask, Writer(policy, mask), on, _UNBOUNDED, policy.max_attribute_bytes)

    def for_run(self, run: RunStart) -> Gate:
        """Return the gate of one run: with a budget of its own, and off where its tags or metadata say so.

        Nothing switches on what the handler has off.
        """
        if not self.on and self.policy.metadata is None:
            return self
        policy, left = self.policy, self.policy.max_span_bytes
        limit = policy.max_attribute_bytes
        if left < limit:
            limit = min(limit, max(left, _LEAST_BYTES))
        return type(self)(policy, self._mask, self._writer, self.on and not _switched_off(run), left, limit)

    # ------------------------------------------------------------ content

    def text(self, text: str) -> str | None:
        """Return a text to be recorded, or None where content is off."""
        return self._fitted(text) if self.on else None

    def json(self, value: object) -> str | None:
        """Return any value as JSON text to be recorded, or None where content is off."""
        return self._spent(self._writer.value(value, self._limit)) if self.on else None

    def value(self, value: object) -> tuple[str, bool] | None:
        """Return a value as a text and whether that is JSON: a str stays as it is."""
        if not self.on:
            return None
        if issubclass(type(value), str):  # not isinstance: a value may lie about its class
            return self._fitted(cast("str", value)), False
        return self._spent(self._writer.value(value, self._limit)), True

    def again(self, text: str | None, *, is_json: bool) -> str | None:
        """Return a text that has been recorded already for a further attribute, where it takes room as well."""
        if text is None:
            return None
        size = size_of(text)
        if size > self._limit and not is_json:
            text = str(from_json(shrink(text, self._limit)))
            size = size_of(text)
        return self._spent((text, size))

    def messages(self, messages: Sequence[Message], reasons: Sequence[str] | None = None) -> str | None:
        """Return messages as one JSON text, or None where content is off.

        Args:
            messages: Of a conversation, in their order.
            reasons: Of a model's answers: why the model stopped, in each of them, as far as that is known.
                None: the messages do not say so.
        """
        if not self.on:
            return None
        return self._spent(self._writer.messages(messages, self._limit, reasons))

    # ------------------------------------------------------------ exceptions

    def exception(self, error: BaseException) -> dict[str, AttributeValue]:
        """Return the attributes of an exception event: type and frames always, messages where content is on."""
        attributes: dict[str, AttributeValue] = {"exception.type": type_of(error)}
        message = self.error_message(error)
        if message is not None:
            attributes["exception.message"] = message
        stack = attempt(lambda: stack_of(error, with_messages=self.on), "")
        if stack:
            attributes["exception.stacktrace"] = (self.text(stack) or "") if self.on else self.name(stack)
        return attributes

    def error_message(self, error: BaseException) -> str | None:
        """Return an exception's message, as for a span's status, or None where content is off."""
        return self.text(attempt(lambda: str(error), "[unprintable]")) if self.on else None

    # ------------------------------------------------------------ what is recorded by name

    def name(self, text: str) -> str:
        """Return a name or an id, which is no content, masked by the user's own patterns alone."""
        return self._mask.name(text)

    def tags(self, tags: Sequence[str]) -> list[str]:
        """Return those of a run's tags that may be recorded."""
        chosen = _allowed(tags, self.policy.tags, otherwise=self.on)
        made = [label(tag, self._mask.text) for tag in chosen]
        size = sum(map(size_of, made))
        if size > self._limit:
            made, size = self._within(made)
        self._left -= size
        self._limit = min(self._limit, max(self._left, _LEAST_BYTES))
        return made

    def metadata(self, metadata: Mapping[str, object]) -> dict[str, AttributeValue]:
        """Return what may be recorded of a run's metadata: scalars as they are, the rest as JSON."""
        chosen = _allowed(metadata, self.policy.metadata, otherwise=self.on)
        pairs = ((label(key, self._mask.text), self._metadatum(key, metadata[key])) for key in chosen)
        return {key: value for key, value in pairs if value is not None}

    def _within(self, tags: list[str]) -> tuple[list[str], int]:
        """Return as many tags as an attribute has room for, whole, and their size."""
        sizes = [size for size in accumulate(map(size_of, tags)) if size <= self._limit]
        return tags[: len(sizes)], sizes[-1] if sizes else 0

    def _metadatum(self, key: str, value: object) -> AttributeValue | None:
        marker = self._mask.hide(key)
        if marker is not None:
            return marker
        tree = plain(value, hide=self._mask.hide)
        if isinstance(tree, str):
            return self._fitted(tree)
        if tree is None or isinstance(tree, (bool, int, float)):
            return tree
        return self._spent(self._writer.value(value, self._limit))  # not the tree, which has messages whole

    # ------------------------------------------------------------ inside

    def _fitted(self, text: str) -> str:
        limit, own = self._limit, text if type(text) is str else str.__str__(text)  # whose own methods may do anything
        if len(own) <= limit and own.isascii() and self._mask.leaves(own):
            return self._spent((own, len(own)))
        writer = self._writer
        masked = writer.shortened(own, limit - _MARKER) if len(own) > 2 * limit else writer.changed(own)
        if size_of(masked) > limit:
            masked = str(from_json(shrink(masked, limit)))
        return self._spent((masked, size_of(masked)))

    def _spent(self, written: Written) -> str:
        """Return JSON, shortened where it is too large, and take its size off what is left."""
        text, size = written
        if size > self._limit:
            text = shrink(from_json(text), self._limit)
            size = size_of(text)
        self._left -= size
        if self._left < self._limit:
            self._limit = min(self._limit, max(self._left, _LEAST_BYTES))
        return text


def _switched_off(run: RunStart) -> bool:
    if run.metadata and (said := run.metadata.get(_OFF_METADATA)) is not None and _is_off(said):
        return True
    for tag in run.tags:  # noqa: SIM110 - of each run, and any() takes three times as long
        if type(tag) is str and tag in _OFF_TAGS:
            return True
    return False


def _is_off(said: object) -> bool:
    return type(said) in (bool, int, str) and str(said).strip().lower() in _OFF_WORDS


def _allowed(names: Collection[object], allowed: Collection[str] | None, *, otherwise: bool) -> list[str]:
    if allowed is None and not otherwise:
        return []
    texts = (str.__str__(name) for name in names if issubclass(type(name), str))
    return [name for name in texts if allowed is None or name in allowed][:_MOST_NAMES]
