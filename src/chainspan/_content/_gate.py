"""Whether and how content gets out: the object that every writer of telemetry asks."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from pydantic_core import from_json

from .._encode import (
    attempt,
    base64_marker,
    binary_marker,
    dump_bytes,
    is_suspicious,
    mask_text,
    plain,
    shrink,
    size_of,
    well_formed,
)
from .._model import AttributeValue, Message, RunStart
from ._exceptions import stack_of, type_of
from ._mask import Mask, mask_of
from ._policy import ContentPolicy

__all__ = ["Gate", "without_data"]

_LEAST_BYTES: Final = 256  # what an attribute gets even when its span's budget is spent
_MUCH: Final = 8
_MOST_NAMES: Final = 32  # tags, or keys of metadata; a span holds 128 attributes, and then forgets the first
_OFF_TAGS: Final = frozenset({"chainspan:no-content", "chainspan.content=false"})
_OFF_METADATA: Final = "chainspan.content"
# Stands for a message that was written before; random, so that no content can look like it.
_PLACE: Final = f"chainspan:{secrets.token_hex(6)}:"
_PLACES: Final = re.compile(rf'"{_PLACE}(\d+)"')


class Gate:
    """Lets content through, masked and cut to size, or not at all.

    A handler builds one with `of`. Each run has its own by `for_run`, which knows how
    much of the span's budget is left. A gate never raises, whatever it is given.

    Attributes:
        on: Whether content is recorded. Ask it before making anything costly.
        policy: What the user set.
    """

    __slots__ = ("_left", "_mask", "on", "policy")

    def __init__(self, policy: ContentPolicy, mask: Mask, *, on: bool, left: int | None = None) -> None:
        self.policy = policy
        self.on = on
        self._mask = mask
        self._left = left  # bytes that the run may still write; a handler's own gate has no bound

    @classmethod
    def of(cls, content: bool | ContentPolicy | None = None) -> Gate:
        """Return the gate of a handler: content on, off, by policy, or None as the environment says."""
        policy = content if isinstance(content, ContentPolicy) else ContentPolicy(capture=content)
        return cls(policy, mask_of(policy), on=policy.captures())

    def for_run(self, run: RunStart) -> Gate:
        """Return the gate of one run: with a budget of its own, and off where its tags or metadata say so.

        Nothing switches on what the handler has off.
        """
        if not self.on:
            return self
        return Gate(self.policy, self._mask, on=not _switched_off(run), left=self.policy.max_span_bytes)

    # ------------------------------------------------------------ content

    def text(self, text: str) -> str | None:
        """Return a text to be recorded, or None where content is off."""
        if not self.on:
            return None
        own = text if type(text) is str else attempt(lambda: str.__str__(text), "[unreadable]")
        if len(own) > _MUCH * self._limit():
            own = str(self._first_cut(own))
        masked = well_formed(self._mask.text(own))
        size = size_of(masked)
        if size > self._limit():
            masked = str(from_json(shrink(masked, self._limit())))
            size = size_of(masked)
        return self._spent(masked, size)

    def json(self, value: object) -> str | None:
        """Return any value as JSON text to be recorded, or None where content is off."""
        return self._written(value) if self.on else None

    def value(self, value: object) -> tuple[str, bool] | None:
        """Return a value as a text and whether that is JSON: a str stays as it is."""
        if not self.on:
            return None
        text = self.text(value) if isinstance(value, str) else self.json(value)
        return (text or "", not isinstance(value, str))

    def mask(self, tree: Any) -> Any:
        """Return plain data masked but not cut, for what writes it in a form of its own.

        Values under names of secrets are hidden, and what the user redacts. Unlike elsewhere,
        texts that look like secrets or binary data stay: this is shown, and not sent.
        """
        if not self._mask.is_active and not _has_name(tree, self._mask.hide):
            return tree
        hidden = plain(tree, hide=self._mask.hide)
        return self._mask.tree(hidden, self._mask.text) if self._mask.is_active else hidden

    def messages(self, messages: Sequence[Message], *, finish_reason: bool = False) -> str | None:
        """Return messages as one JSON text, or None where content is off.

        A message that was written before under the same policy is not written again.
        """
        if not self.on:
            return None
        written = [self._message(message, finish_reason) for message in messages]
        size = sum([size for _, size in written]) + len(written) + 1
        if size <= self._limit():
            return self._spent(f"[{','.join([text for text, _ in written])}]", size)
        return self._cut([self._message_tree(message, finish_reason) for message in messages])

    # ------------------------------------------------------------ exceptions

    def exception(self, error: BaseException) -> dict[str, AttributeValue]:
        """Return the attributes of an exception event: type and frames always, messages where content is on."""
        attributes: dict[str, AttributeValue] = {"exception.type": type_of(error)}
        message = self.error_message(error)
        if message is not None:
            attributes["exception.message"] = message
        stack = attempt(lambda: stack_of(error, with_messages=self.on), "")
        if stack:
            attributes["exception.stacktrace"] = (self.text(stack) or "") if self.on else stack
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
        return [self._mask.text(tag) for tag in chosen]

    def metadata(self, metadata: Mapping[str, object]) -> dict[str, AttributeValue]:
        """Return what may be recorded of a run's metadata: scalars as they are, the rest as JSON."""
        chosen = _allowed(metadata, self.policy.metadata, otherwise=self.on)
        pairs = ((key, self._metadatum(key, metadata[key])) for key in chosen)
        return {key: value for key, value in pairs if value is not None}

    def _metadatum(self, key: str, value: object) -> AttributeValue | None:
        marker = self._mask.hide(key)
        if marker is not None:
            return marker
        tree = plain(value, hide=self._mask.hide)
        if isinstance(tree, str):
            return self._mask.text(tree)
        if tree is None or isinstance(tree, (bool, int, float)):
            return tree
        return self._written(tree)

    # ------------------------------------------------------------ inside

    def _message(self, message: Message, finish_reason: bool) -> tuple[str, int]:
        known = message.memo
        if known and known[0] is self._mask and not finish_reason:
            _, text, size = known
            return text, size
        data = self._masked_message(message, finish_reason)[1]
        text, size = data.decode(), len(data)
        if not finish_reason:
            message.memo[:] = (self._mask, text, size)
        return text, size

    def _message_tree(self, message: Message, finish_reason: bool) -> Any:
        return self._masked_message(message, finish_reason)[0]

    def _masked_message(self, message: Message, finish_reason: bool) -> tuple[Any, bytes]:
        fields: dict[str, object] = {"role": message.role, "parts": self._parts(message)}
        if message.name:
            fields["name"] = message.name
        if finish_reason and message.finish_reason:
            fields["finish_reason"] = message.finish_reason
        return self._masked(plain(fields, hide=self._mask.hide), of_messages=True)

    def _parts(self, message: Message) -> list[Mapping[str, object]]:
        parts = [part for part in message.parts if self.policy.reasoning or part.get("type") != "reasoning"]
        return [without_data(part) for part in parts]

    def _masked(self, tree: Any, *, of_messages: bool = False) -> tuple[Any, bytes]:
        """Return plain data masked, and its JSON."""
        data = dump_bytes(tree)
        if len(data) > _MUCH * self._limit():
            tree = self._first_cut(tree)
            data = dump_bytes(tree)
        change = self._mask.text if self._mask.is_active else mask_text if is_suspicious(data) else None
        if change is None:
            return tree, data
        tree = (self._mask.messages if of_messages else self._mask.tree)(tree, change)
        return tree, dump_bytes(tree)

    def _written(self, value: object) -> str:
        embedded: list[tuple[str, int]] = []

        def embed(message: Message) -> str:
            embedded.append(self._message(message, finish_reason=False))
            return f"{_PLACE}{len(embedded) - 1}"

        # What a user's mask changes, it would change in the place of a message as well.
        whole = plain(value, hide=self._mask.hide, embed=None if self._mask.is_active else embed)
        tree, data = self._masked(whole)
        size = len(data) + sum([size for _, size in embedded])
        if size > self._limit():
            return self._cut(self._masked(plain(value, hide=self._mask.hide))[0] if embedded else tree)
        if not embedded:
            return self._spent(data.decode(), size)
        return self._spent(_PLACES.sub(lambda match: embedded[int(match[1])][0], data.decode()), size)

    def _first_cut(self, tree: Any) -> Any:
        """Return far too much data cut to twice what will be left, so that searching it takes no time.

        What a mask would find at the edges of this cut, the last one cuts away.
        """
        return from_json(shrink(tree, 2 * self._limit()))

    def _cut(self, tree: Any) -> str:
        text = shrink(tree, self._limit())
        return self._spent(text, size_of(text))

    def _limit(self) -> int:
        most = self.policy.max_attribute_bytes
        return most if self._left is None or self._left > most else max(self._left, _LEAST_BYTES)

    def _spent(self, text: str, size: int) -> str:
        if self._left is not None:
            self._left -= size
        return text


def _has_name(tree: Any, hide: Callable[[str], str | None]) -> bool:
    if type(tree) is dict:
        return any(hide(key) is not None or _has_name(value, hide) for key, value in tree.items())
    return type(tree) is list and any(_has_name(value, hide) for value in tree)


def _switched_off(run: RunStart) -> bool:
    if run.metadata and run.metadata.get(_OFF_METADATA) is False:
        return True
    return any(map(_is_off, run.tags)) if run.tags else False


def _is_off(tag: object) -> bool:
    return isinstance(tag, str) and tag in _OFF_TAGS


def _allowed(names: Collection[object], allowed: Collection[str] | None, *, otherwise: bool) -> list[str]:
    if allowed is None and not otherwise:
        return []
    chosen = [name for name in names if isinstance(name, str) and (allowed is None or name in allowed)]
    return chosen[:_MOST_NAMES]


def without_data(part: Mapping[str, object]) -> Mapping[str, object]:
    """Return a part of a message with its binary data replaced by type, size and hash."""
    content = part.get("content")
    if part.get("type") != "blob" or not isinstance(content, (str, bytes)):
        return part
    kind = str(part.get("mime_type") or part.get("modality") or "data")
    marker = base64_marker(kind, content) if isinstance(content, str) else binary_marker(kind, content)
    return {**part, "content": marker}
