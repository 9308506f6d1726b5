"""Exact arithmetic with numbers that are written as text: 0.1 is a tenth."""

import re

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_EXPONENT = 10**15  # far beyond any use, and well within what Decimal can shift


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
