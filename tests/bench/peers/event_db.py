"""What the peers share that import events: the same table and index as ours, the same durability"""

import sqlite3

KNOWN = ("metric_one", "metric_two", "metric_n")
COLUMNS = ("id", "first_dimension_id", "second_dimension_id", "recorded_date", "created_date")

_TABLE = """CREATE TABLE event (
    id INTEGER PRIMARY KEY, first_dimension_id INTEGER NOT NULL,
    second_dimension_id INTEGER NOT NULL, recorded_date TEXT NOT NULL, created_date TEXT NOT NULL,
    metric_one INTEGER, metric_two INTEGER, metric_n INTEGER, other_metrics TEXT
)"""
_INDEX = "CREATE INDEX event_by_time ON event (recorded_date, first_dimension_id)"


def opened(path: str) -> sqlite3.Connection:
    """A new database with the table."""
    db = sqlite3.connect(path)
    db.execute("PRAGMA page_size = 16384")
    db.execute("PRAGMA cache_size = -65536")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(_TABLE)
    return db


def closed(db: sqlite3.Connection) -> None:
    """With its index: made after the load, it takes half the time."""
    db.execute(_INDEX)
    db.commit()
    db.close()
