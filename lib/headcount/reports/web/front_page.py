"""The answers at a glance: of each pipeline the newest complete day, whether that is usual, whether
to trust it.

A day is complete once it is over, in the time zone that the pipeline counts by.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from headcount.db import ledger
from headcount.values import zones

DAYS = 28  # of the line
_WEEK = timedelta(days=7)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Source:
    """A pipeline, and where its numbers are."""

    pipeline: str  # its import
    title: str
    unit: str
    dashboard: str
    counts: str  # SQL: dates since :since, and their counts
    newest: str  # SQL: the newest date
    zone: str = ""  # the setting that names it; UTC without one
    begin: str = ""  # how to


def _by_day(table: str, column: str, day: str, bound: str) -> str:
    """SQL: the days since :since that have rows of a table, and how many: counted in the index of
    a column, from day to day, which is ten times as fast as asking each row for its day. `day` and
    `bound` are how to make a day of the column's values, and a value of a day."""
    first = f"SELECT {day.format(f'min({column})')} FROM {table} WHERE {column} >= "
    next_day = bound.format("date(date, '+1 day')")
    end = f"coalesce({next_day}, '~')"  # of the last day that SQLite knows: more than all
    return f"""
WITH RECURSIVE day (date) AS (
    {first}{bound.format(":since")}
    UNION ALL
    SELECT ({first}{next_day}) FROM day WHERE date IS NOT NULL
)
SELECT date, (
    SELECT count(*) FROM {table}
    WHERE {column} >= {bound.format("date")} AND {column} < {end}
) FROM day WHERE date IS NOT NULL
"""


_SOURCES = [
    Source(
        "import-active-users",
        "Active users",
        "active users",
        "active-users",
        "SELECT date, active_user_count FROM active_user_table WHERE date >= :since",
        "SELECT max(date) FROM active_user_table",
        "tz",
        "import-active-users FILE",
    ),
    Source(
        "import-site-activity",
        "Site activity",
        "chats",
        "site-activity",
        "SELECT date, sum(messages) FROM site_activity_by_day WHERE date >= :since GROUP BY date",
        "SELECT max(date) FROM site_activity_by_day",
        "site-activity.tz",
        "import-site-activity FILE",
    ),
    Source(
        "import-recent-changes",
        "Recent changes",
        "changes",
        "recent-changes",
        _by_day("recent_change_raw", "timestamp", "date({}, 'unixepoch')", "unixepoch({})"),
        "SELECT date(max(timestamp), 'unixepoch') FROM recent_change_raw",
        begin="import-recent-changes --url URL",
    ),
    Source(
        "import-comments",
        "Comments",
        "comments",
        "comments",
        _by_day("comment", "created_at", "substr({}, 1, 10)", "{}"),
        "SELECT substr(max(created_at), 1, 10) FROM comment",
        begin="import-comments --info FILE",
    ),
    Source(
        "import-event-metrics",
        "Event metrics",
        "events",
        "event-metrics",
        _by_day("event", "recorded_date", "substr({}, 1, 10)", "{}"),
        "SELECT substr(max(recorded_date), 1, 10) FROM event",
        begin="import-event-metrics FILE",
    ),
]

_IMPORTS = """
SELECT
    max(ended_at) FILTER (WHERE status = 'done'),
    (
        SELECT status FROM run WHERE pipeline = :pipeline AND status <> 'running'
        ORDER BY id DESC LIMIT 1
    )
FROM run WHERE pipeline = :pipeline
"""
_FAILED_JOBS = """
SELECT job, exit FROM job_run WHERE id IN (SELECT max(id) FROM job_run GROUP BY job)
AND status IN ('failed', 'aborted') ORDER BY job
"""


@dataclass(frozen=True)
class Card:
    """What is told of a pipeline that has data."""

    source: Source
    day: date  # the newest complete one, or the newest of all
    is_complete: bool
    count: int
    before: int | None  # of the same weekday a week before
    line: list[tuple[date, int | None]]  # the last DAYS days; None: no number
    zone: str
    status: str  # of the day
    age: int  # days since that day, by the zone's clock; 1: yesterday
    imported_at: str | None
    last_import: str | None  # how the last one ended

    @property
    def percent(self) -> float | None:
        """How much it differs from a week before."""
        return 100 * (self.count - self.before) / self.before if self.before else None

    @property
    def least(self) -> int:
        """The smallest number of the line."""
        return min(count for _, count in self.line if count is not None)

    @property
    def most(self) -> int:
        """The largest."""
        return max(count for _, count in self.line if count is not None)

    @property
    def known(self) -> int:
        """How many days of the line have a number."""
        return sum(count is not None for _, count in self.line)


def cards(db: sqlite3.Connection) -> tuple[list[Card], list[Source]]:
    """Those of the pipelines that have data, and the pipelines that have none."""
    settings = dict(db.execute("SELECT name, value FROM setting"))
    found, empty = [], []
    for source in _SOURCES:
        (newest,) = db.execute(source.newest).fetchone()
        if newest is None:
            empty.append(source)
        else:
            found.append(_card(db, source, date.fromisoformat(newest), settings))
    return found, empty


def _card(
    db: sqlite3.Connection, source: Source, newest: date, settings: Mapping[str, str]
) -> Card:
    zone = settings.get(source.zone, "UTC") if source.zone else "UTC"
    today = _today(zone)
    last = min(newest, today - _DAY)  # of a device's own days, UTC's: all are over a day later
    since = last - timedelta(days=DAYS - 1)
    counts = _counts(db, source, min(since, last - _WEEK))
    day = max((each for each in counts if each <= last), default=None)
    complete = day is not None
    if day is None:
        day = newest
        counts = _counts(db, source, day)
    imported_at, last_import = db.execute(_IMPORTS, {"pipeline": source.pipeline}).fetchone()
    return Card(
        source,
        day,
        complete,
        counts[day],
        counts.get(day - _WEEK),
        [(each, counts.get(each)) for each in (day - n * _DAY for n in reversed(range(DAYS)))],
        zone,
        _status(db, source, day) if complete else "not over yet",
        (today - day).days,
        imported_at,
        last_import,
    )


def _counts(db: sqlite3.Connection, source: Source, since: date) -> dict[date, int]:
    rows = db.execute(source.counts, {"since": since.isoformat()}).fetchall()
    return {date.fromisoformat(day): count for day, count in rows}


def _today(zone: str) -> date:
    now = datetime.now(UTC)
    if zone == zones.DEVICE:  # the last clocks of all
        return (now - timedelta(hours=12)).date()
    return now.astimezone(zones.find(zone)).date()


def _status(db: sqlite3.Connection, source: Source, day: date) -> str:
    """Of active users: whether the day can still grow by the usual late data."""
    if source.pipeline != "import-active-users":
        return "complete"
    query = "SELECT final_at FROM local_day WHERE date = ?"
    final_at = db.execute(query, [day.isoformat()]).fetchone()
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return "provisional" if final_at and final_at[0] > now else "final"


def jobs(db: sqlite3.Connection) -> list[str]:
    """What is wrong with jobs: overdue ones, and those whose last run failed."""
    told = [
        f"{job} is overdue: its last success began {success or 'never'}"
        for job, success, _ in db.execute(ledger.OVERDUE)
    ]
    return told + [
        f"{job} failed" + (f" with exit status {status}" if status is not None else "")
        for job, status in db.execute(_FAILED_JOBS)
    ]


def by_property(db: sqlite3.Connection) -> list[tuple[str, str, int]]:
    """The newest day of each property with its count, if there are several."""
    rows = db.execute(
        "SELECT property, max(date), active_user_count FROM active_users_by_property "
        "GROUP BY property ORDER BY property"
    ).fetchall()
    return rows if len(rows) > 1 else []


def path(
    line: Sequence[tuple[date, int | None]], width: float, height: float, *, is_last: bool = False
) -> str:
    """The line as a path of SVG, from 0 to the most; a gap where a number is missing. Or its last
    day alone, which has one."""
    most = max((count for _, count in line if count), default=0) or 1
    parts, is_on = [], False
    for i, (_, count) in enumerate(line):
        if count is None or (is_last and i + 1 < len(line)):
            is_on = False
            continue
        x = width * i / max(1, len(line) - 1)
        y = height * (1 - count / most)
        if not is_on:  # a day between two gaps is a dot: a line of no length with round ends
            parts.append(f"M{x:.1f} {y:.1f}h0")
        parts.append(f"L{x:.1f} {y:.1f}")
        is_on = True
    return "".join(parts)
