"""event_db.py DB - what a database of events holds: with it, one import is compared with another

Prints a name and a number for each. Imported, it is what the peers share: the same table and index
as ours, and the same durability.
"""

import sqlite3
import sys

KNOWN = ("metric_one", "metric_two", "metric_n")
COLUMNS = ("id", "first_dimension_id", "second_dimension_id", "recorded_date", "created_date")

_TABLE = """CREATE TABLE event (
    id INTEGER PRIMARY KEY, first_dimension_id INTEGER NOT NULL,
    second_dimension_id INTEGER NOT NULL, recorded_date TEXT NOT NULL, created_date TEXT NOT NULL,
    metric_one INTEGER, metric_two INTEGER, metric_n INTEGER, other_metrics TEXT
)"""
_INDEX = "CREATE INDEX event_by_time ON event (recorded_date, first_dimension_id)"
_TOTALS = [
    ("events", "count(*)"),
    ("ids", "sum(id)"),
    ("hours", "count(DISTINCT substr(recorded_date, 1, 13))"),
    *((f"{name} {what}", f"{what}({name})") for name in KNOWN for what in ("sum", "count")),
    ("others", "count(other_metrics)"),
    ("length of others", "sum(length(other_metrics))"),
]


def opened(path: str) -> sqlite3.Connection:
    """A new database with the table."""
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(_TABLE)
    return db


def closed(db: sqlite3.Connection) -> None:
    """With its index: made after the load, it takes half the time."""
    db.execute(_INDEX)
    db.commit()
    db.close()


def show(path: str) -> None:
    db = sqlite3.connect(path)
    values = db.execute(f"SELECT {', '.join(term for _, term in _TOTALS)} FROM event").fetchone()
    for (name, _), value in zip(_TOTALS, values, strict=True):
        print(name, value, sep="\t")
    db.close()


if __name__ == "__main__":
    show(sys.argv[1])
