"""Numbers exactly as they are written, in JSON or as text: "3000", 3000, 3000.0 and 3e3 are one."""

import re

import msgspec

NULL = msgspec.Raw(b"null")

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_EXPONENT = 10**15  # far beyond any use, and well within what Decimal can shift
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
    return exact(text)


def exact(text: str):
    """The exact Decimal that a text spells. Raises ValueError for anything but a plain number."""
    from decimal import Decimal, InvalidOperation  # slow to import, and rarely needed

    if not _NUMBER.fullmatch(text):
        raise ValueError("not a number")
    try:
        value = Decimal(text)
    except InvalidOperation:  # an exponent of twenty digits
        raise ValueError("a number out of all bounds") from None
    if abs(value.as_tuple().exponent) > _EXPONENT:
        raise ValueError("a number out of all bounds")
    return value


def whole_number(raw: msgspec.Raw, lowest: int, highest: int) -> int | None:
    """Likewise, for a whole number within bounds (both included). Raises ValueError."""
    value = number(raw)
    if value is None:
        return None
    if not lowest <= value <= highest or value != (whole := int(value)):
        raise ValueError("not a whole number within bounds")
    return whole


def shifted(value, places: int):
    """An int or Decimal times ten to the power of `places`, exactly: arithmetic would round."""
    from decimal import Decimal

    sign, digits, exponent = Decimal(value).as_tuple()
    return Decimal((sign, digits, exponent + places))


def plain(value) -> str:
    """The one way to write a Decimal without exponent: 3 for 3.0 and 3e0."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def add(one, other):
    """The sum of two Decimals, exact to a thousand digits and for any exponent."""
    from decimal import MAX_EMAX, MIN_EMIN, Context

    return Context(prec=1000, Emax=MAX_EMAX, Emin=MIN_EMIN).add(one, other)
