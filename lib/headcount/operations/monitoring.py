"""What programs that watch over a database measure of it."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import NamedTuple

from headcount.db import properties
from headcount.db.ledger import IS_IMPORT
from headcount.values import zones

# Columns: what is measured, of which, and how much. Names are Prometheus': base units, and _total
# for what only grows (https://prometheus.io/docs/practices/naming/).
_JOBS = """
SELECT 'headcount_job_last_start_timestamp_seconds', job, unixepoch(max(started_at)) FROM job_run
GROUP BY job
UNION ALL
SELECT 'headcount_job_last_success_timestamp_seconds', job, unixepoch(max(ended_at)) FROM job_run
WHERE status = 'done' GROUP BY job
UNION ALL
SELECT 'headcount_job_every_seconds', job, every FROM job_run
WHERE every > 0 AND id IN (SELECT max(id) FROM job_run GROUP BY job)
UNION ALL
SELECT 'headcount_job_last_duration_seconds', job, seconds FROM job_run
WHERE id IN (SELECT max(id) FROM job_run WHERE seconds IS NOT NULL GROUP BY job)
UNION ALL
SELECT 'headcount_job_last_exit_status', job, exit FROM job_run
WHERE id IN (
    SELECT max(id) FROM job_run WHERE exit IS NOT NULL AND message NOT LIKE 'skipped: %'
    GROUP BY job
)
"""

_IMPORTS = f"""
SELECT 'headcount_import_last_success_timestamp_seconds', pipeline, unixepoch(max(ended_at))
FROM run WHERE status = 'done' AND {IS_IMPORT} GROUP BY pipeline
UNION ALL
SELECT 'headcount_import_last_duration_seconds', pipeline,
    unixepoch(ended_at) - unixepoch(started_at)
FROM run WHERE {IS_IMPORT}
AND id IN (SELECT max(id) FROM run WHERE status = 'done' GROUP BY pipeline)
UNION ALL
SELECT 'headcount_import_lines_total', pipeline, sum(lines) FROM run
WHERE status = 'done' AND {IS_IMPORT} GROUP BY pipeline
"""

_OUTCOMES = f"""
SELECT pipeline, sum(kept) AS kept, sum(filtered) AS filtered, sum(duplicate) AS duplicate,
    sum(rejected) AS rejected
FROM run WHERE status = 'done' AND {IS_IMPORT} GROUP BY pipeline
"""

_RUNS = f"""
SELECT pipeline, status, count(*) FROM run WHERE {IS_IMPORT}
GROUP BY pipeline, status
"""

_NEWEST_EVENTS = {
    "import-recent-changes": "SELECT max(timestamp) FROM recent_change_raw",
    "import-comments": "SELECT unixepoch(max(created_at)) FROM comment",
    "import-event-metrics": "SELECT unixepoch(max(recorded_date)) FROM event",
}

_NEWEST_DAYS = {
    "import-active-users": ("SELECT max(date) FROM active_user_table", "tz"),
    "import-site-activity": ("SELECT max(date) FROM site_activity_by_day", "site-activity.tz"),
}

# A series for each value costs Prometheus memory for ever: so the values with the most users.
_MOST_VALUES = 100
_BY_VALUE = """
SELECT dimension, value, active_user_count,
    row_number() OVER (PARTITION BY dimension ORDER BY active_user_count DESC, value) AS place,
    count(*) OVER (PARTITION BY dimension) AS of_all
FROM active_users_by WHERE date = (SELECT max(date) FROM active_user_table)
ORDER BY dimension, place
"""

# What each means, and the labels that tell its values apart.
HELP = {
    "headcount_job_last_start_timestamp_seconds": ("When the job began last", ("job",)),
    "headcount_job_last_success_timestamp_seconds": ("When the job last ended well", ("job",)),
    "headcount_job_every_seconds": ("How often the job should run", ("job",)),
    "headcount_job_last_duration_seconds": ("How long the job last took", ("job",)),
    "headcount_job_last_exit_status": ("0 and 65 (some rejects) are successes", ("job",)),
    "headcount_import_last_success_timestamp_seconds": (
        "When an import last ended well",
        ("pipeline",),
    ),
    "headcount_import_last_duration_seconds": (
        "How long the last good import took, in whole seconds",
        ("pipeline",),
    ),
    "headcount_import_lines_total": ("Lines read by good imports", ("pipeline",)),
    "headcount_import_lines_by_outcome_total": (
        "Where the lines went: they add up to headcount_import_lines_total",
        ("pipeline", "outcome"),
    ),
    "headcount_import_runs_total": ("Imports, by how they ended", ("pipeline", "status")),
    "headcount_newest_day_age_seconds": (
        "Since the end of the newest local day with a count; negative until it ends",
        ("pipeline",),
    ),
    "headcount_newest_event_age_seconds": ("Since the newest event", ("pipeline",)),
    "headcount_property_newest_day_age_seconds": (
        "The same of active users, for each property",
        ("property",),
    ),
    "headcount_active_users": (
        "Of the newest local day with a count; it may still grow",
        ("property",),
    ),
    "headcount_active_users_by": (
        f"Of the same day by the values of fields, the {_MOST_VALUES} of each with the most users; "
        "a user may have several",
        ("property", "dimension", "value"),
    ),
    "headcount_active_users_by_left_out": (
        "How many other values that day has",
        ("property", "dimension"),
    ),
    "headcount_database_size_bytes": ("Of the database, its journal included", ()),
    "headcount_schema_version": ("Of the database", ()),
}


class Measure(NamedTuple):
    """A value of one of HELP, with a value for each of its labels."""

    name: str
    labels: tuple[str, ...]
    value: float


def all_of(db: sqlite3.Connection, path: str) -> Iterator[Measure]:
    """All measures, those of one name not always side by side. Ages are as of now."""
    for name, which, value in db.execute(f"{_JOBS} UNION ALL {_IMPORTS}"):
        yield Measure(name, (which,), value)
    cursor = db.execute(_OUTCOMES)
    outcomes = [column[0] for column in cursor.description[1:]]
    for pipeline, *counts in cursor:
        for outcome, count in zip(outcomes, counts, strict=True):
            yield Measure("headcount_import_lines_by_outcome_total", (pipeline, outcome), count)
    for pipeline, status, count in db.execute(_RUNS):
        yield Measure("headcount_import_runs_total", (pipeline, status), count)
    yield from _ages(db)
    for name in properties.names(db):
        properties.show(db, name)
        yield from _of_last_day(db, name)
    sizes = [os.stat(name).st_size for name in (path, f"{path}-wal") if os.path.exists(name)]
    yield Measure("headcount_database_size_bytes", (), sum(sizes))
    yield Measure("headcount_schema_version", (), db.execute("PRAGMA user_version").fetchone()[0])


def _ages(db: sqlite3.Connection) -> Iterator[Measure]:
    settings = dict(db.execute("SELECT name, value FROM setting"))
    for pipeline, (sql, setting) in _NEWEST_DAYS.items():
        (day,) = db.execute(sql).fetchone()
        if day is not None:
            age = _age(day, settings.get(setting, "UTC"))
            yield Measure("headcount_newest_day_age_seconds", (pipeline,), age)
    for pipeline, sql in _NEWEST_EVENTS.items():
        (seconds,) = db.execute(sql).fetchone()
        if seconds is not None:
            age = time.time() - seconds
            yield Measure("headcount_newest_event_age_seconds", (pipeline,), age)


def _age(day: str, zone: str) -> float:
    """The seconds since a local day was over."""
    over = zones.end_of_day(zone, date.fromisoformat(day))
    return (datetime.now(UTC) - over.replace(tzinfo=UTC)).total_seconds()


def _of_last_day(db: sqlite3.Connection, whose: str) -> Iterator[Measure]:
    last = (
        "SELECT active_user_count, date, (SELECT value FROM setting WHERE name = 'tz') "
        "FROM active_user_table ORDER BY date DESC LIMIT 1"
    )
    for users, day, zone in db.execute(last):
        yield Measure("headcount_active_users", (whose,), users)
        age = _age(day, zone or "UTC")
        yield Measure("headcount_property_newest_day_age_seconds", (whose,), age)
    for field, value, users, place, values in db.execute(_BY_VALUE):
        if place == 1:
            left_out = max(0, values - _MOST_VALUES)
            yield Measure("headcount_active_users_by_left_out", (whose, field), left_out)
        if place <= _MOST_VALUES:
            yield Measure("headcount_active_users_by", (whose, field, value), users)
