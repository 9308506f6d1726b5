"""Types of options: each turns a text into a value, or says what was expected."""

import argparse
import re
from collections.abc import Callable
from datetime import date

_SIZE = re.compile(r"([0-9]+)(?:\.([0-9]{1,3}))?([kmgt]?)b?", re.IGNORECASE)
_SIZE_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_TIME_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_NUMBER = r"[0-9]+(\.[0-9]+)?"


def expected(what: str, text: str) -> argparse.ArgumentTypeError:
    """The error of an option whose value is something else."""
    return argparse.ArgumentTypeError(f"expected {what}, got {text!r}")


def size(text: str) -> int:
    """Bytes of a text such as 500, 100MB or 1.5GB (powers of ten)."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise expected("a size such as 100MB", text)
    whole, part, unit = match.groups()
    return int(whole + (part or "").ljust(3, "0")) * _SIZE_UNITS[unit.lower()] // 1000


def count(text: str) -> int:
    """A whole number of 0 or more."""
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise expected("a whole number", text)
    return int(text)


def positive(text: str) -> int:
    """A whole number of 1 or more."""
    if not re.fullmatch(r"[0-9]{1,18}", text) or not int(text):
        raise expected("a positive whole number", text)
    return int(text)


def above_zero(text: str) -> float:
    """A number above 0, of up to 15 digits."""
    if not re.fullmatch(_NUMBER, text) or len(text) > 16 or not float(text):
        raise expected("a number above 0", text)
    return float(text)


def processes(text: str) -> int:
    """A number of worker processes."""
    if not re.fullmatch(r"[0-9]{1,4}", text) or not int(text):
        raise expected("a positive whole number", text)
    return int(text)


def part(text: str):
    """A part of the whole: an exact Fraction from 0 to 1."""
    from fractions import Fraction  # slow to import, and few programs take one

    from headcount.values import decimals

    try:
        value = Fraction(decimals.exact(text))
    except ValueError:
        value = Fraction(-1)
    if not 0 <= value <= 1:
        raise expected("a number from 0 to 1", text)
    return value


def fraction(text: str) -> float:
    """A number from 0 to 1."""
    return float(part(text))


def seconds(text: str) -> float:
    """A number of seconds, without a unit."""
    if not re.fullmatch(_NUMBER, text):
        raise expected("a number of seconds", text)
    return float(text)


def duration(text: str) -> float:
    """Seconds of a text such as 90s, 15m, 12h, 1d or 2w; a number alone is seconds."""
    match = re.fullmatch(f"({_NUMBER})([smhdw]?)", text)
    if not match:
        raise expected("a length of time such as 90s, 15m or 1d", text)
    return float(match[1]) * _TIME_UNITS[match[3]]


def some_time(text: str) -> float:
    """Seconds of such a text, above 0."""
    seconds = duration(text)
    if not seconds:
        raise expected("a length of time above 0, such as 15m", text)
    return seconds


def day(text: str) -> date:
    """A date as YYYY-MM-DD; no other spelling of ISO 8601."""
    try:
        value = date.fromisoformat(text)
    except ValueError:
        value = None
    if value is None or value.isoformat() != text:
        raise expected("a date as YYYY-MM-DD", text)
    return value


def allowance(text: str) -> str:
    """A bound on rejects, as N or N%; `allowed` says what it comes to."""
    if not re.fullmatch(f"{_NUMBER}%?", text):
        raise expected("a number or a percentage", text)
    return text


def allowed(allowance: str, lines: int):
    """How many of `lines` lines an `allowance` lets be rejected: an exact Fraction."""
    from fractions import Fraction

    bound = Fraction(allowance.removesuffix("%"))
    return bound * lines / 100 if allowance.endswith("%") else bound


def one_of(*values: str) -> Callable[[str], str]:
    """One of these texts."""

    def parse(text: str) -> str:
        if text not in values:
            raise expected(" or ".join(values), text)
        return text

    return parse


def named_file(text: str) -> str:
    """The name of a file, which need not exist."""
    if not text:
        raise expected("the name of a file", text)
    return text


def names(text: str) -> tuple[str, ...]:
    """The names in a comma-separated list of one or more."""
    listed = tuple(name for name in text.split(",") if name)
    if not listed:
        raise expected("one or more names, separated by commas", text)
    return listed


def names_if_any(text: str) -> tuple[str, ...]:
    """The names in a list that may be empty, as if the option had not been given."""
    return names(text) if text else ()


def assignment(text: str) -> tuple[str, str]:
    """The two sides of NAME=VALUE; the value may be empty."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise expected("NAME=VALUE", text)
    return name, value
