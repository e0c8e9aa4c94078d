"""JSON, white space and numbers as JavaScript writes them.

The console prints the text that LangChain.js prints. What differs between the two
languages on the way from a value to its text is settled here, and nowhere else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal

from pydantic_core import PydanticSerializationError, to_json

__all__ = ["in_key_order", "stringify", "to_fixed", "trim"]

# What String.prototype.trim removes (ECMA-262, WhiteSpace and LineTerminator). str.strip
# takes U+001C to U+001F and U+0085 too, and leaves U+FEFF.
_WHITE_SPACE = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
_SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]")
# A string, which stays as it is, or a number that JavaScript spells differently.
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|-?Infinity|NaN|-?[\d.]+e-\d+', re.DOTALL)
_LEAST_DECIMAL = Decimal("1e-6")  # below it, Number.prototype.toString writes an exponent
_MOST_LEVELS = 900  # each is indented by two more: a text of twice as many is four times as long
_ARRAY_INDEX = re.compile(r"0|[1-9]\d{0,9}", re.ASCII)
_LAST_ARRAY_INDEX = 2**32 - 2


def stringify(value: object, indent: int | None = 2) -> str:
    """Write plain data as ``JSON.stringify(value, null, 2)`` does; without an indent, as with no third argument.

    Plain data is None, bool, int, float, str, list, and dict with str keys. A float that
    is whole and an int beyond 2**53 keep Python's form, which says more.

    Raises:
        ValueError: The value nests too deep, or holds an int with too many digits.
    """
    try:
        text = to_json(value, indent=indent, inf_nan_mode="null").decode()
    except (PydanticSerializationError, ValueError):
        return _stringify_slowly(value, indent)
    return _TOKENS.sub(_javascript_token, text) if "e-" in text else text


def _stringify_slowly(value: object, indent: int | None) -> str:
    """Write what pydantic's encoder refuses: lone surrogates and more than 200 levels."""
    if _is_too_deep(value):  # Python's encoder goes tens of thousands of levels down from 3.14 on
        raise ValueError(f"nests more than {_MOST_LEVELS} levels deep")
    try:
        separators = (",", ":") if indent is None else None
        text = json.dumps(value, indent=indent, separators=separators, ensure_ascii=False)
    except (RecursionError, TypeError) as error:
        raise ValueError(str(error)) from error
    return _SURROGATES.sub(_well_formed, _TOKENS.sub(_javascript_token, text))


def _is_too_deep(value: object) -> bool:
    level: dict[int, object] = {id(value): value}
    for _ in range(_MOST_LEVELS):
        level = {id(item): item for held in level.values() for item in _containers_in(held)}
        if not level:
            return False
    return True


def _containers_in(value: object) -> Iterator[object]:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (item for item in items if isinstance(item, (dict, list)))


def _javascript_token(match: re.Match[str]) -> str:
    token = match[0]
    if token.startswith('"'):
        return token
    if token.endswith(("y", "N")):
        return "null"
    number = Decimal(token)
    return f"{number:f}" if abs(number) >= _LEAST_DECIMAL else token.replace("e-0", "e-")


def _well_formed(match: re.Match[str]) -> str:
    """Join two halves into their character, and escape one that is alone."""
    found = match[0]
    if len(found) == 1:
        return f"\\u{ord(found):04x}"
    return found.encode("utf-16", "surrogatepass").decode("utf-16")


def trim(text: str) -> str:
    """Remove what JavaScript's ``trim`` removes."""
    return text.strip(_WHITE_SPACE)


def to_fixed(number: float, digits: int) -> str:
    """Write a number as ``Number.prototype.toFixed`` does: of two equally near, the larger."""
    return str(Decimal(number).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


def in_key_order(record: Mapping[str, object]) -> Mapping[str, object]:
    """Put keys that are array indices first, rising, as every JavaScript object has them."""
    indices = [key for key in record if _is_array_index(key)]
    if not indices:
        return record
    ordered = {key: record[key] for key in sorted(indices, key=int)}
    return {**ordered, **record}


def _is_array_index(key: str) -> bool:
    return bool(_ARRAY_INDEX.fullmatch(key)) and int(key) <= _LAST_ARRAY_INDEX
