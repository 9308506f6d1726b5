"""Times of crawled comments, as 2018-01-06T11:58:01+0000, in UTC as the database writes them."""

from __future__ import annotations

import re
from datetime import UTC

from headcount.values import clock

# As RFC 3339 has it, but that offsets may lack their colon or minutes.
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]((?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2})(?:[.,][0-9]+)?"
    r"(Z|z|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_MOST = 100_000  # pieces of times to remember
_BARE = len("2018-01-06T11:58:01")


def utc(text: str, assumed: str = "") -> str:
    """The second of an instant, UTC; `assumed` is the offset of one that has none.

    Raises ValueError, with the reason, for anything else.
    """
    whole = text + assumed if len(text) == _BARE else text
    try:
        return DATES[whole[:10]] + MINUTES[whole[10:16]] + SECONDS[whole[16:]]
    except ValueError:
        return _parsed(text, assumed)


def _parsed(text: str, assumed: str = "") -> str:
    from dateutil.parser import isoparse  # rarely needed, for most times are known

    match = _TIME.fullmatch(text)
    if not match:
        raise ValueError("not like 2018-01-06T11:58:01+0000")
    date, time, offset = match.groups()
    offset = offset or assumed
    if not offset:
        raise ValueError("no offset from UTC")
    try:
        instant = isoparse(f"{date}T{time}{offset.upper()}").astimezone(UTC)
    except OverflowError:
        raise ValueError("year is out of range") from None
    if not 2 <= instant.year <= 9998:  # in any zone there is such a day
        raise ValueError("year is out of range")
    return clock.text(instant)


class _Dates(dict):
    """Dates, checked when they come for the first time."""

    def __missing__(self, date: str) -> str:
        return _kept(self, date, _parsed(date + "T00:00:00Z")[:10])


class _Minutes(dict):
    """Hours and minutes, as T11:58, checked in the same way."""

    def __missing__(self, minute: str) -> str:
        return _kept(self, minute, _parsed("2000-01-01" + minute + ":00Z")[10:16])


class _Seconds(dict):
    """Seconds and what follows, as :01+0000. Raises ValueError for an offset other than zero."""

    def __missing__(self, second: str) -> str:
        at = _parsed("2000-01-01T00:00" + second)
        if not at.startswith("2000-01-01T00:00"):
            raise ValueError("an offset from UTC")
        return _kept(self, second, at[16:])


def _kept(known: dict, text: str, meaning: str) -> str:
    if len(known) >= _MOST:
        known.clear()
    known[text] = meaning
    return meaning


# An instant without offset is DATES[text[:10]] + MINUTES[text[10:16]] + SECONDS[text[16:]]; others
# are for `utc`. (Of whole times of day there are 86,400, and to check one takes 12 µs.)
DATES, MINUTES, SECONDS = _Dates(), _Minutes(), _Seconds()
