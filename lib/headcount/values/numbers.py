"""Numbers in raw JSON, exactly as they are written."""

import msgspec

from headcount.values import decimals

NULL = msgspec.Raw(b"null")

_QUOTE = ord('"')
_SHORT = 18  # digits that surely fit 64 bits


def number(raw: msgspec.Raw):
    """The value of a raw JSON number, or of a JSON string that spells one; None for null.

    An int where the number is short and whole, else an exact Decimal. Raises ValueError.
    """
    if raw is NULL:
        return None
    data = bytes(raw)
    bare = data[1:-1] if data[0] == _QUOTE else data
    if bare.isdigit() and len(bare) <= _SHORT:
        return int(bare)
    if data == b"null":
        return None
    text = msgspec.json.decode(data, type=str) if data[:1] == b'"' else data.decode()
    return decimals.exact(text)


def whole_number(raw: msgspec.Raw, lowest: int, highest: int) -> int | None:
    """Likewise, for a whole number within bounds (both included). Raises ValueError."""
    value = number(raw)
    if value is None:
        return None
    if not lowest <= value <= highest or value != (whole := int(value)):
        raise ValueError("not a whole number within bounds")
    return whole
