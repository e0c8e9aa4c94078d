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
    marker_of_all,
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
from ._thoughts import is_thought, without_thoughts

__all__ = ["Writer", "Written"]

_LONG: Final = 64 * 1024  # characters of a text that may have to be cut before it is written
_SAID: Final = 64  # bytes that it takes to say how many messages were left out
_SPARE: Final = 256  # values that are visited beyond what the limit has room for
_PLACE: Final = f'"{PLACE}"'
_NO_REASON: Final = ',"finish_reason":""}'
_MOST_POLICIES: Final = 4  # whose texts a message keeps

_PLAIN: Final = {  # how a message begins that is one text, by who says it
    role: f'{{"role":"{role}","parts":[{{"type":"text","content":' for role in ("system", "user", "assistant")
}

Written = tuple[str, int]
"""A text and its size in UTF-8."""

_Kept = tuple[Mask, str, int, Any]
"""What a message keeps: under which mask it was written, as what, its size, and the same of other masks, or None."""


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
            data = self._masked(self._allowed(tree))
            return data.decode(), len(data)
        said = conversation_of(value)
        if type(said) is Message:
            return self._message(said)[1:3]
        if type(said) is not list or self._mask.hide("messages") is not None:
            return self._walked(value, limit)
        text, size = self.messages(said, limit)
        name = dump_bytes(self._mask.text("messages")).decode() if self._mask.is_active else '"messages"'
        return f"{{{name}:{text}}}", size + size_of(name) + len("{:}")

    def messages(self, messages: Sequence[Message], limit: int, reasons: Sequence[str] | None = None) -> Written:
        """Return messages as one JSON array; of far too many the last.

        A message that was written before under the same policy is not written again.

        Args:
            messages: Of a conversation, or the choices of an answer.
            limit: About how many bytes.
            reasons: Why the model stopped, in each of its choices; there are more where LangChain made one of some.
                Where there are fewer, nobody knows of which, and each has an empty one. None: messages have none.
        """
        is_roomy = limit >= _LONG  # then the oldest are left out whole; else all are shortened
        most = limit - _SAID if is_roomy else max(2 * limit, _LONG)
        ends = [] if reasons is None else _ends(reasons, len(messages))
        mask, size, length = self._mask, 1, 0
        texts: list[str] = []
        for message in reversed(messages):
            kept = message.memo
            _, text, length, _ = kept if kept is not None and kept[0] is mask else self._message(message)
            if ends:
                text = text[:-1] + ends[-1 - len(texts)]
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

    def shortened(self, text: str, length: int, *, is_changed_again: bool = False) -> str:
        """Return a long text masked and cut to about so many characters, or what stands for it where it is all data."""
        marker = None if self._mask.is_active else marker_of_all(text)
        return marker or shortened(text, length, self.changed, is_changed_again=is_changed_again)

    # ------------------------------------------------------------ inside

    def _walked(self, value: object, limit: int, *, are_apart: bool = True) -> Written:
        found: list[Message] = []
        data = self._masked(self._plain(value, limit, found if are_apart else None))
        text, size = data.decode(), len(data)
        if found and text.count(_PLACE) < len(found):  # one stood in what may not be recorded
            return self._walked(value, limit, are_apart=False)
        if found:
            written = [self._message(message) for message in found]
            texts = [*[text for _, text, _, _ in written], ""]
            text = "".join(chain(*zip(text.split(_PLACE), texts, strict=True)))
            size += sum([size for _, _, size, _ in written])
        return text, size

    def _plain(self, value: object, limit: int, apart: list[Message] | None = None) -> Any:
        """Return a value as plain data of about so many bytes at most."""
        room = 2 * limit // 64 + _SPARE
        most = limit - _SPARE if limit >= _LONG else limit  # what fits need not be cut again

        def shorten(text: str, length: int) -> str:
            return self.shortened(text, min(length, most), is_changed_again=not self._mask.is_active)

        return self._allowed(plain(value, hide=self._mask.hide, apart=apart, room=room, shorten=shorten))

    def _allowed(self, tree: Any) -> Any:
        return tree if self._policy.reasoning else without_thoughts(tree)

    def _message(self, message: Message) -> _Kept:
        """Return a message as JSON with its size, which it keeps: this policy need not write it again."""
        kept: _Kept | None = message.memo
        others = 0
        while kept is not None:
            if kept[0] is self._mask:
                return kept
            kept, others = kept[3], others + 1
        text, size = self._plainly(message) or self._written(message)
        message.memo = kept = (self._mask, text, size, message.memo if others < _MOST_POLICIES else None)
        return kept

    def _plainly(self, message: Message) -> Written | None:
        """Return a message that is one short text, as nearly all are, or None: then it takes more to write it."""
        parts, head = message.parts, _PLAIN.get(message.role)
        if head is None or len(parts) != 1 or message.name or self._mask.is_active or not _is_short_text(parts[0]):
            return None
        data = dump_bytes(parts[0]["content"])
        return None if is_suspicious(data) else (f"{head}{data.decode()}}}]}}", len(head) + len(data) + len("}]}"))

    def _written(self, message: Message) -> Written:
        fields: dict[str, object] = {"role": message.role, "parts": self._parts(message.parts)}
        if message.name:
            fields["name"] = message.name
        data = self._masked(fields, of_messages=True)
        return data.decode(), len(data)

    def _parts(self, parts: Sequence[Mapping[str, object]]) -> Sequence[object]:
        if len(parts) == 1 and _is_short_text(parts[0]):
            return parts
        limit = self._policy.max_attribute_bytes
        return [
            part if _is_short_text(part) else self._plain(without_data(part), limit)
            for part in parts
            if self._policy.reasoning or not is_thought(part)
        ]

    def _masked(self, tree: Any, *, of_messages: bool = False) -> bytes:
        """Return the JSON of plain data, masked."""
        data = dump_bytes(tree)
        mask = self._mask
        change = mask.text if mask.is_active else mask_text if is_suspicious(data) else None
        if change is None:
            return data
        return dump_bytes((mask.messages if of_messages else mask.tree)(tree, change))


def _ends(reasons: Sequence[str], count: int) -> list[str]:
    if len(reasons) < count:
        return [_NO_REASON] * count
    return [f',"finish_reason":{dumps(reason)}}}' for reason in reasons[:count]]


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
