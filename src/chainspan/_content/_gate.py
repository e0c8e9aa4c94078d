"""Whether and how content gets out: the object that every writer of telemetry asks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Any, Final, cast

from pydantic_core import from_json

from .._encode import (
    PLACE,
    attempt,
    dump_bytes,
    dumps,
    is_suspicious,
    label,
    mask_text,
    plain,
    shortened,
    shrink,
    size_of,
    well_formed,
    without_data,
)
from .._model import AttributeValue, Message, RunStart
from ._exceptions import stack_of, type_of
from ._mask import Mask, mask_of
from ._policy import ContentPolicy

__all__ = ["Gate"]

_LEAST_BYTES: Final = 256  # what an attribute gets even when its span's budget is spent
_MARKER: Final = 32  # bytes that it takes to say how many were cut away
_LONG: Final = 64 * 1024  # characters of a text that may have to be cut before it is written
_MOST_NAMES: Final = 32  # tags, or keys of metadata; a span holds 128 attributes, and then forgets the first
_OFF_TAGS: Final = ("chainspan:no-content", "chainspan.content=false")
_OFF_METADATA: Final = "chainspan.content"
_UNBOUNDED: Final = 1 << 62
_PLACE: Final = f'"{PLACE}"'
_MOST_POLICIES: Final = 4  # whose texts a message keeps


class Gate:
    """Lets content through, masked and cut to size, or not at all.

    A handler builds one with `of`. Each run has its own by `for_run`, which knows how
    much of the span's budget is left. A gate never raises, whatever it is given.

    Attributes:
        on: Whether content is recorded. Ask it before making anything costly.
        policy: What the user set.
    """

    __slots__ = ("_left", "_mask", "on", "policy")

    def __init__(self, policy: ContentPolicy, mask: Mask, *, on: bool, left: int = _UNBOUNDED) -> None:
        self.policy = policy
        self.on = on
        self._mask = mask
        self._left = left  # bytes that the run may still write; a handler's own gate has no bound

    @classmethod
    def of(cls, content: bool | ContentPolicy | None = None, *, in_events: bool = False) -> Gate:
        """Return the gate of a handler: content on, off, by policy, or None as the environment says.

        Args:
            content: As of the handler.
            in_events: Whether it is for events of the Logs API rather than for spans.
        """
        policy = content if isinstance(content, ContentPolicy) else ContentPolicy(capture=content)
        return cls(policy, mask_of(policy), on=policy.captures(in_events=in_events))

    def for_run(self, run: RunStart) -> Gate:
        """Return the gate of one run: with a budget of its own, and off where its tags or metadata say so.

        Nothing switches on what the handler has off.
        """
        if not self.on and self.policy.metadata is None:
            return self
        on = self.on and not _switched_off(run)
        return type(self)(self.policy, self._mask, on=on, left=self.policy.max_span_bytes)

    # ------------------------------------------------------------ content

    def text(self, text: str) -> str | None:
        """Return a text to be recorded, or None where content is off."""
        return self._fitted(text) if self.on else None

    def _fitted(self, text: str) -> str:
        limit = self._limit()
        own = text if type(text) is str else attempt(lambda: str.__str__(text), "[unreadable]")
        masked = shortened(own, limit - _MARKER, self._changed) if len(own) > 2 * limit else self._changed(own)
        size = size_of(masked)
        if size > limit:
            masked = str(from_json(shrink(masked, limit)))
            size = size_of(masked)
        self._left -= size
        return masked

    def json(self, value: object) -> str | None:
        """Return any value as JSON text to be recorded, or None where content is off."""
        return self._written(value) if self.on else None

    def value(self, value: object) -> tuple[str, bool] | None:
        """Return a value as a text and whether that is JSON: a str stays as it is."""
        if not self.on:
            return None
        is_text = issubclass(type(value), str)  # not isinstance: a value may lie about its class
        text = self.text(cast("str", value)) if is_text else self.json(value)
        return (text or "", not is_text)

    def messages(self, messages: Sequence[Message], *, finish_reason: bool = False) -> str | None:
        """Return messages as one JSON text, or None where content is off.

        A message that was written before under the same policy is not written again.
        """
        if not self.on:
            return None
        texts: list[str] = []
        mask, size, most = self._mask, 1, max(2 * self._limit(), _LONG)
        for message in reversed(messages):
            if size > most:  # and the oldest are left out
                texts.append(f'"[+{len(messages) - len(texts)}]"')
                break
            text, length = message.memo.get(mask) or self._write(message)
            if finish_reason and message.finish_reason:
                text = f'{text[:-1]},"finish_reason":{dumps(message.finish_reason)}}}'
                length = size_of(text)
            texts.append(text)
            size += length + 1
        return self._spent(f"[{','.join(reversed(texts))}]", max(size, 2))

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
        return [label(tag, self._mask.text) for tag in chosen]

    def metadata(self, metadata: Mapping[str, object]) -> dict[str, AttributeValue]:
        """Return what may be recorded of a run's metadata: scalars as they are, the rest as JSON."""
        chosen = _allowed(metadata, self.policy.metadata, otherwise=self.on)
        pairs = ((label(key, self._mask.text), self._metadatum(key, metadata[key])) for key in chosen)
        return {key: value for key, value in pairs if value is not None}

    def _metadatum(self, key: str, value: object) -> AttributeValue | None:
        marker = self._mask.hide(key)
        if marker is not None:
            return marker
        tree = plain(value, hide=self._mask.hide)
        if isinstance(tree, str):
            return self._fitted(tree)
        if tree is None or isinstance(tree, (bool, int, float)):
            return tree
        return self._written(tree)

    # ------------------------------------------------------------ inside

    def _changed(self, text: str) -> str:
        return self._mask.text(well_formed(text))

    def _plain(self, value: object, limit: int, apart: list[Message] | None = None) -> Any:
        """Return a value as plain data of about so many bytes at most."""
        room = 2 * limit // 64 + _LEAST_BYTES
        return plain(value, hide=self._mask.hide, apart=apart, room=room, shorten=self._shortened)

    def _shortened(self, text: str, length: int) -> str:
        return shortened(text, length, self._changed)

    def _write(self, message: Message) -> tuple[str, int]:
        """Return a message as JSON with its size, and note both on it: this policy need not write it again."""
        fields: dict[str, object] = {"role": message.role, "parts": self._parts(message)}
        if message.name:
            fields["name"] = message.name
        data = self._masked(fields, of_messages=True)
        if len(message.memo) >= _MOST_POLICIES:
            message.memo.clear()
        written = message.memo[self._mask] = (data.decode(), len(data))
        return written

    def _parts(self, message: Message) -> list[object]:
        parts = [part for part in message.parts if self.policy.reasoning or part.get("type") != "reasoning"]
        limit = self.policy.max_attribute_bytes
        return [part if _is_short_text(part) else self._plain(without_data(part), limit) for part in parts]

    def _masked(self, tree: Any, *, of_messages: bool = False) -> bytes:
        """Return the JSON of plain data, masked."""
        data = dump_bytes(tree)
        change = self._mask.text if self._mask.is_active else mask_text if is_suspicious(data) else None
        if change is None:
            return data
        return dump_bytes((self._mask.messages if of_messages else self._mask.tree)(tree, change))

    def _written(self, value: object) -> str:
        found: list[Message] = []
        data = self._masked(self._plain(value, self._limit(), found))
        text, size = data.decode(), len(data)
        if found:
            written = [message.memo.get(self._mask) or self._write(message) for message in found]
            texts = [*[text for text, _ in written], ""]
            text = "".join(chain(*zip(text.split(_PLACE), texts, strict=True)))
            size += sum([size for _, size in written])
        return self._spent(text, size)

    def _spent(self, text: str, size: int) -> str:
        """Return JSON, shortened where it is too large, and take its size off what is left."""
        limit = self._limit()
        if size > limit:
            text = shrink(from_json(text), limit)
            size = size_of(text)
        self._left -= size
        return text

    def _limit(self) -> int:
        most = self.policy.max_attribute_bytes
        return min(most, max(self._left, _LEAST_BYTES))


def _is_short_text(part: Mapping[str, object]) -> bool:
    if type(part) is not dict or len(part) != 2 or part.get("type") != "text":
        return False
    content = part.get("content")
    return type(content) is str and len(content) < _LONG


def _switched_off(run: RunStart) -> bool:
    if run.metadata and run.metadata.get(_OFF_METADATA) is False:
        return True
    return any(map(_is_off, run.tags)) if run.tags else False


def _is_off(tag: object) -> bool:
    return type(tag) is str and tag in _OFF_TAGS


def _allowed(names: Collection[object], allowed: Collection[str] | None, *, otherwise: bool) -> list[str]:
    if allowed is None and not otherwise:
        return []
    texts = (str.__str__(name) for name in names if issubclass(type(name), str))
    return [name for name in texts if allowed is None or name in allowed][:_MOST_NAMES]
