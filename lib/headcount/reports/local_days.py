"""The function local_days(zone, date) of SQL: which local days there are on a UTC day."""

from __future__ import annotations

import functools
import json
import sqlite3
from datetime import date

from headcount.values import clock, zones

_EPOCH = date(1970, 1, 1)


def register(db: sqlite3.Connection) -> None:
    """Let the queries of a connection call it."""
    db.create_function("local_days", 2, local_days, deterministic=True)


def local_days(zone: str, utc_date: str | None) -> str:
    """A JSON array of [local date, from when, until before when] (UTC), in the order of time.

    None of no date. Raises ValueError for a zone that there is not.
    """
    if utc_date is None:
        return "[]"
    day = (date.fromisoformat(utc_date) - _EPOCH).days
    pieces = _days(zone).pieces(day)
    starts = [clock.at(start) for start, _ in pieces]
    ends = [*starts[1:], utc_date + "T24"]  # after all times of that day, as texts go
    dates = [local.isoformat() for _, local in pieces]
    return json.dumps(list(zip(dates, starts, ends, strict=True)))


@functools.lru_cache
def _days(zone: str) -> zones.LocalDays:
    return zones.LocalDays(zones.find(zone))
