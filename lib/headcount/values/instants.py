"""Instants of any spelling as microseconds since 1970-01-01T00:00:00Z."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

from headcount.values import decimals

SECOND = 1_000_000  # microseconds
# Patterns are compiled where they are needed, which is rare.
_YEAR = r"(?<!\d)\d{4}(?!\d)|(?<!\d)\d{8}(?!\d)"
_DAY_OR_MONTH = r"(?<!\d)\d{1,2}[-/.]\d{1,2}[-/.]\d{4}(?!\d)"  # which is which?
_YEAR_FIRST = r"\s*\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?!\d)"  # then the month comes, then the day
_DIGITS = 30  # of a whole number: far more than any instant has
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

ISO = "iso"  # no number at all: a text, which says for itself what it means
# Units of numbers: how many powers of ten are between each and a microsecond.
UNITS = {"s": 6, "ms": 3, "us": 0, "ns": -3}
UNIT_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}

# As web servers write it: https://httpd.apache.org/docs/current/logs.html#common
_OF_SERVERS = r"(?a)\[?(\d\d)/([A-Z][a-z][a-z])/(\d{4}):(\d\d:\d\d:\d\d) ([+-]\d{4})\]?"
_NAMES_OF_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
_MONTHS = {name: f"{i:02}" for i, name in enumerate(_NAMES_OF_MONTHS.split(), 1)}

EARLIEST = 946_684_800 * SECOND  # 2000-01-01T00:00:00Z: most clocks that are wrong say less


def of_text(text: str) -> int:
    """Microseconds of a date with a time of day; the second is the least that is cut off.

    ISO 8601, what BigQuery prints (`2026-01-10 16:00:00.123456 UTC`), what web servers log
    (`10/Jan/2026:16:00:00 +0000`), and whatever else python-dateutil reads without a doubt. A time
    without an offset is UTC. Raises ValueError for any other text: a date alone, a day and month
    that could be one another, a zone by a name other than UTC or GMT.
    """
    try:
        if len(text) <= 10:  # a date alone
            raise ValueError
        at = datetime.fromisoformat(text.removesuffix(" UTC"))
    except ValueError:
        at = _of_unusual(text)
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds


def _of_unusual(text: str) -> datetime:
    match = re.fullmatch(_OF_SERVERS, text)
    if match and match[2] in _MONTHS:
        day, month, year, time, offset = match.groups()
        return datetime.fromisoformat(f"{year}-{_MONTHS[month]}-{day}T{time}{offset}")

    from dateutil import parser  # slow to import, and most data has one of the usual spellings

    if len(text) > 100 or not any(map(str.isdigit, text)):
        raise ValueError("not a date with a time of day")
    if not re.search(_YEAR, text) or re.search(_DAY_OR_MONTH, text):
        raise ValueError("not one certain date: expected the year in four digits, and first")

    def zone(name: str | None, offset: int | None):
        if offset is not None:
            return offset
        if name is not None and name.upper() not in ("UTC", "GMT", "Z"):
            raise ValueError(f"unknown time zone {name!r}")
        return UTC

    readings = set()
    try:
        # What the text does not say would be different in these.
        days_first = (False,) if re.match(_YEAR_FIRST, text) else (False, True)
        for day_first in days_first:
            for default in (datetime(2001, 2, 3, 4, 5), datetime(2004, 7, 8, 9, 10)):
                at = parser.parse(text, default=default, dayfirst=day_first, tzinfos=zone)
                readings.add(at)
    except (parser.ParserError, OverflowError, TypeError, AttributeError) as error:
        raise ValueError("not a date with a time of day") from error
    if len(readings) != 1:
        raise ValueError("not one certain date with a time of day")
    return readings.pop()


def of_number(value, unit: str) -> int:
    """Microseconds, rounded down, of a number of `unit` (one of UNITS).

    Raises ValueError for a unit that is ISO, as a number alone says nothing, and for what is none.
    """
    if unit == ISO:
        raise ValueError("a number, and no unit is known for it; see --time-unit")
    if type(value) is int:
        power = UNITS[unit]
        return value * 10**power if power >= 0 else value // 10**-power
    if type(value) is float:
        value = decimals.exact(repr(value))
    if not hasattr(value, "adjusted"):  # not a Decimal: true, a list
        raise ValueError("neither a number nor a text")
    if value.adjusted() > _DIGITS:
        raise ValueError("a number out of all bounds")
    return math.floor(decimals.shifted(value, UNITS[unit]))


def micros(value: str | int | float, unit: str) -> int:
    """Microseconds of a number, a text that spells one, or a date with a time of day.

    Raises ValueError.
    """
    if type(value) is str:
        digits = value.removeprefix("-")
        if digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS:
            return of_number(int(value), unit)
        try:
            number = decimals.exact(value)
        except ValueError:
            return of_text(value)
        return of_number(number, unit)
    return of_number(value, unit)


def shown(at: int) -> str:
    """An instant for people: to the second, UTC; or just how many microseconds, if far away."""
    try:
        return f"{_EPOCH + at * _MICROSECOND:%Y-%m-%d %H:%M:%S} UTC"
    except OverflowError:
        return f"{at} microseconds"


def fitting_units(values, unit: str, earliest: int, latest: int) -> list[str]:
    """The units other than `unit` by which all these numbers are between two instants."""
    fitting = []
    for other in UNITS:
        try:
            if other != unit and all(earliest <= micros(v, other) <= latest for v in values):
                fitting.append(other)
        except ValueError:
            continue
    return fitting
