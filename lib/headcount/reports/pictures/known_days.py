"""The days behind a report's numbers: which are known, provisional or missing."""

from __future__ import annotations

import bisect
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

from headcount.pipelines.active_users.days import store
from headcount.reports.catalogue import Report
from headcount.values import clock

_STEPS = {"week": 7, "day": 1}  # days of a cohort's period, by the parameter `by`


@dataclass
class KnownDays:
    """What the database knows about the days of a report; without any, `days` is empty."""

    days: set[str] = field(default_factory=set)  # those with data, even if nobody was active
    provisional: set[str] = field(default_factory=set)  # of these: late data still counts
    window: int = 1  # days that end with a date and make up its number
    step: int = 0  # days of a period of a cohort
    zone: str = ""
    definition: str = ""

    def in_window(self, day: str) -> int:
        """How many days of the window that ends with this day are known."""
        return _between(self._known, day, -self.window, 0)

    def in_period(self, cohort: str, later: int) -> int:
        """How many days are known of the period so many steps after a cohort's first day."""
        return _between(self._known, cohort, later * self.step - 1, (later + 1) * self.step - 1)

    def is_provisional(self, day: str) -> bool:
        """Whether a day of the window can still change."""
        return _between(self._changing, day, -self.window, 0) > 0

    def in_days(self, period: str) -> tuple[int, int]:
        """Of a period FIRST/LAST: how many days are known, and how many it has."""
        first, last = period.split("/")
        length = (date.fromisoformat(last) - date.fromisoformat(first)).days + 1
        return _between(self._known, last, -length, 0), length

    @cached_property
    def _known(self) -> list[int]:
        return sorted(map(ordinal, self.days))

    @cached_property
    def _changing(self) -> list[int]:
        return sorted(map(ordinal, self.provisional))


def is_day(value: object) -> bool:
    """Whether it is a date in ISO format."""
    try:
        return isinstance(value, str) and str(date.fromisoformat(value)) == value
    except ValueError:
        return False


def ordinal(day: str) -> int:
    """A local day as a number: the next day is one more."""
    return date.fromisoformat(day).toordinal()


def _between(days: list[int], day: str, after: int, up_to: int) -> int:
    """How many of the sorted days lie after one that is so far from `day`, up to another."""
    at = ordinal(day)
    return bisect.bisect_right(days, at + up_to) - bisect.bisect_right(days, at + after)


def of(db: sqlite3.Connection, report: Report, params: Mapping[str, str]) -> KnownDays:
    """The days that a report of active users is made from. Other reports: their zone alone."""
    if not report.by and "active_user" not in report.sql and "active_day" not in report.sql:
        return KnownDays(zone=params.get("tz", ""))
    known = KnownDays(
        window=min(3650, _whole(params.get("window", "1"))),
        step=_STEPS.get(params.get("by", ""), 0),
        zone=store.setting(db, "tz"),
        definition=params.get("definition") or store.definitions(db)[0],
    )
    if by := params.get(report.by):
        query = "SELECT DISTINCT date FROM active_day_by WHERE dimension = ?"
        known.days = {day for (day,) in db.execute(query, [by])}
    else:
        known.days = {day for (day,) in db.execute("SELECT date FROM local_day")}
        known.days |= {day for (day,) in db.execute("SELECT date FROM active_user_table")}
    query = "SELECT date FROM local_day WHERE final_at > ?"
    provisional = {day for (day,) in db.execute(query, [clock.now()])}
    known.provisional = provisional & known.days
    return known


def _whole(text: str) -> int:
    """As SQLite casts it, for usual texts; at least 1."""
    try:
        return max(1, int(text))
    except ValueError:
        return 1
