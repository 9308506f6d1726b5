"""Numbers exactly as they are written, in JSON or as text: "3000", 3000, 3000.0 and 3e3 are one."""

import re

import msgspec

NULL = msgspec.Raw(b"null")

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_SHORT = 18  # digits that surely fit 64 bits


def number(raw: msgspec.Raw):
    """The value of a raw JSON number, or of a JSON string that spells one; None for null.

    An int where the number is short and whole, else an exact Decimal. Raises ValueError.
    """
    data = bytes(raw)
    bare = data[1:-1] if data[:1] == b'"' else data
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
        return Decimal(text)
    except InvalidOperation:  # an exponent of twenty digits
        raise ValueError("a number out of all bounds") from None


def whole_number(raw: msgspec.Raw, lowest: int, highest: int) -> int | None:
    """Likewise, for a whole number within bounds (both included). Raises ValueError."""
    value = number(raw)
    if value is None:
        return None
    if not lowest <= value <= highest or value != (whole := int(value)):
        raise ValueError("not a whole number within bounds")
    return whole


def thousandths(value) -> str:
    """An int's or Decimal's thousandth part, exactly: 1500 is 1.5."""
    from decimal import Decimal

    sign, digits, exponent = Decimal(value).as_tuple()
    return str(Decimal((sign, digits, exponent - 3)))  # arithmetic would round


def add(one, other):
    """The sum of two Decimals, exact to a thousand digits and for any exponent."""
    from decimal import MAX_EMAX, MIN_EMIN, Context

    return Context(prec=1000, Emax=MAX_EMAX, Emin=MIN_EMIN).add(one, other)
