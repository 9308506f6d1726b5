"""How fresh the pages of a database are: its state, which changes with it; its newest event."""

from __future__ import annotations

import os
import sqlite3
from datetime import UTC, datetime

# SQL: the newest event, or day of events, of a dashboard; of the others it is that of users.
_NEWEST = {
    "comments": "SELECT datetime(max(created_at)) || ' UTC' FROM comment",
    "event-metrics": "SELECT max(recorded_date) FROM event",
    "recent-changes": "SELECT datetime(max(timestamp), 'unixepoch') || ' UTC' "
    "FROM recent_change_raw",
    "site-activity": "SELECT max(date) FROM site_activity_by_day",
}
_NEWEST_OF_USERS = "SELECT max(date) FROM active_user_table"


def state(path: str) -> str:
    """A text that is another one once the SQLite file has changed; also every hour, for some days
    become final as time goes by. Take it before what it is about is read."""
    parts = [datetime.now(UTC).strftime("%Y-%m-%dT%H")]
    for file in (path, f"{path}-wal"):
        try:
            found = os.stat(file)
        except FileNotFoundError:
            continue
        parts.append(f"{found.st_mtime_ns}-{found.st_size}")
    return " ".join(parts)


def newest(db: sqlite3.Connection, dashboard: str) -> str | None:
    """When the newest event of a dashboard happened, as text; None without events."""
    return db.execute(_NEWEST.get(dashboard, _NEWEST_OF_USERS)).fetchone()[0]
