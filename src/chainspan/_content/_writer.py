"""What one policy makes of values and messages: JSON, masked, and about as large as asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Final

from .._encode import (
    PLACE,
    conversation_of,
    dump_bytes,
    dumps,
    flat,
    is_suspicious,
    mask_text,
    plain,
    shortened,
    size_of,
    well_formed,
    without_data,
)
from .._model import Message
from ._mask import Mask
from ._policy import ContentPolicy

__all__ = ["Writer", "Written"]

_LONG: Final = 64 * 1024  # characters of a text that may have to be cut before it is written
_SAID: Final = 64  # bytes that it takes to say how many messages were left out
_SPARE: Final = 256  # values that are visited beyond what the limit has room for
_PLACE: Final = f'"{PLACE}"'
_MOST_POLICIES: Final = 4  # whose texts a message keeps

Written = tuple[str, int]
"""A text and its size in UTF-8."""


class Writer:
    """Makes JSON of values under one policy. Safe to share between threads.

    What it returns may be larger than the limit that it is given, by some factor: it is
    the gate that cuts. The limit keeps it from reading what would be cut away.
    """

    __slots__ = ("_mask", "_policy")

    def __init__(self, policy: ContentPolicy, mask: Mask) -> None:
        self._policy = policy
        self._mask = mask

    def value(self, value: object, limit: int) -> Written:
        """Return any value as JSON."""
        tree = flat(value, self._mask.hide)
        if tree is not None:
            data = self._masked(tree)
            return data.decode(), len(data)
        said = conversation_of(value)
        if type(said) is Message:
            return said.memo.get(self._mask) or self._write(said)
        if type(said) is not list or self._mask.hide("messages") is not None:
            return self._walked(value, limit)
        text, size = self.messages(said, limit)
        name = dump_bytes(self._mask.text("messages")).decode() if self._mask.is_active else '"messages"'
        return f"{{{name}:{text}}}", size + size_of(name) + len("{:}")

    def messages(self, messages: Sequence[Message], limit: int, *, finish_reason: bool = False) -> Written:
        """Return messages as one JSON array; of far too many the last.

        A message that was written before under the same policy is not written again.
        """
        is_roomy = limit >= _LONG  # then the oldest are left out whole; else all are shortened
        most = limit - _SAID if is_roomy else max(2 * limit, _LONG)
        mask = self._mask
        known: list[Any] = [message.memo.get(mask) for message in messages]
        if known and not finish_reason and all(known):
            size = sum([length for _, length in known]) + len(known) + 1
            if size <= most:
                return _listed([text for text, _ in known]), size
        return self._newest(messages, most, is_roomy=is_roomy, finish_reason=finish_reason)

    def _newest(self, messages: Sequence[Message], most: int, *, is_roomy: bool, finish_reason: bool) -> Written:
        mask, size, length = self._mask, 1, 0
        texts: list[str] = []
        for message in reversed(messages):
            text, length = message.memo.get(mask) or self._write(message)
            if finish_reason and message.finish_reason:
                text = f'{text[:-1]},"finish_reason":{dumps(message.finish_reason)}}}'
                length = size_of(text)
            texts.append(text)
            size += length + 1
            if size > most:
                break
        if size > most and is_roomy and len(texts) > 1:
            texts.pop()
            size -= length + 1
        if len(texts) < len(messages):
            texts.append(f'"[+{len(messages) - len(texts)}]"')
        if not texts:
            return "[]", 2
        return _listed(texts[::-1]), size

    def changed(self, text: str) -> str:
        """Return one text masked."""
        return self._mask.text(well_formed(text))

    # ------------------------------------------------------------ inside

    def _walked(self, value: object, limit: int) -> Written:
        found: list[Message] = []
        data = self._masked(self._plain(value, limit, found))
        text, size = data.decode(), len(data)
        if found:
            written = [message.memo.get(self._mask) or self._write(message) for message in found]
            texts = [*[text for text, _ in written], ""]
            text = "".join(chain(*zip(text.split(_PLACE), texts, strict=True)))
            size += sum([size for _, size in written])
        return text, size

    def _plain(self, value: object, limit: int, apart: list[Message] | None = None) -> Any:
        """Return a value as plain data of about so many bytes at most."""
        room = 2 * limit // 64 + _SPARE
        most = limit - _SPARE if limit >= _LONG else limit  # what fits need not be cut again

        def shorten(text: str, length: int) -> str:
            is_changed_again = not self._mask.is_active
            return shortened(text, min(length, most), self.changed, is_changed_again=is_changed_again)

        return plain(value, hide=self._mask.hide, apart=apart, room=room, shorten=shorten)

    def _write(self, message: Message) -> Written:
        """Return a message as JSON with its size, and note both on it: this policy need not write it again."""
        fields: dict[str, object] = {"role": message.role, "parts": self._parts(message.parts)}
        if message.name:
            fields["name"] = message.name
        data = self._masked(fields, of_messages=True)
        if len(message.memo) >= _MOST_POLICIES:
            message.memo.clear()
        written = message.memo[self._mask] = (data.decode(), len(data))
        return written

    def _parts(self, parts: Sequence[Mapping[str, object]]) -> Sequence[object]:
        if len(parts) == 1 and _is_short_text(parts[0]):
            return parts
        limit = self._policy.max_attribute_bytes
        return [
            part if _is_short_text(part) else self._plain(without_data(part), limit)
            for part in parts
            if self._policy.reasoning or part.get("type") != "reasoning"
        ]

    def _masked(self, tree: Any, *, of_messages: bool = False) -> bytes:
        """Return the JSON of plain data, masked."""
        data = dump_bytes(tree)
        mask = self._mask
        change = mask.text if mask.is_active else mask_text if is_suspicious(data) else None
        if change is None:
            return data
        return dump_bytes((mask.messages if of_messages else mask.tree)(tree, change))


def _listed(texts: list[str]) -> str:
    """Return texts as a JSON array, which may be long, and is copied once."""
    texts[0] = f"[{texts[0]}"
    texts[-1] = f"{texts[-1]}]"
    return ",".join(texts)


def _is_short_text(part: Mapping[str, object]) -> bool:
    if type(part) is not dict or len(part) != 2 or part.get("type") != "text":
        return False
    content = part.get("content")
    return type(content) is str and len(content) < _LONG
