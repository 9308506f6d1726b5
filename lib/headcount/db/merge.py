"""Staged rows merged into a table of the database."""

from __future__ import annotations

import sqlite3

from headcount.db.sql import quoted
from headcount.db.staging import Table, as_they_come, distinct, in_order, size

_CACHE = 64 << 10  # KB
# Indexes are sorted in parts that fit into a processor's cache, beside a thread that reads them.
# Measured: parts of 16 MB take half as long again; without the thread it takes a third longer.
_SORT = 4 << 10  # KB
_THREADS = 1


def merge(db: sqlite3.Connection, table: Table, runs: list[str]) -> int:
    """Within a transaction: merge attached runs; returns how many rows are new or have changed."""
    if not runs:
        return 0
    target = f"main.{table.name}"
    if not isinstance(db, sqlite3.Connection):
        return db.execute(table.merge_into(target, staged(db, table, runs, table.name))).rowcount
    db.execute(f"PRAGMA cache_size = -{_CACHE}")
    if db.execute(f"SELECT EXISTS (SELECT * FROM {target})").fetchone()[0]:
        return db.execute(table.merge_into(target, distinct(db, table, runs))).rowcount
    # All is new, whatever comes again: so there is no need to have each row once before, and
    # indexes may come last.
    indexes = db.execute(
        "SELECT name, sql FROM sqlite_schema "
        "WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL",
        [table.name],
    ).fetchall()
    for name, _ in indexes:
        db.execute(f"DROP INDEX {quoted(name)}")
    # What fits into the cache need not come in order, where all there is to write is the table.
    any_order = "INTEGER" in table.key and size(db, runs) < _CACHE << 10
    rows = as_they_come(table, runs) if any_order else in_order(db, table, runs)
    db.execute(table.merge_into(target, rows))
    db.execute(f"PRAGMA cache_size = -{_SORT}")
    db.execute(f"PRAGMA threads = {_THREADS}")
    for _, sql in indexes:
        db.execute(sql)
    return db.execute(f"SELECT count(*) FROM {target}").fetchone()[0]


def staged(db: sqlite3.Connection, table: Table, runs: list[str], target: str) -> str:
    """A query of the rows of attached runs, each key once, on their way to a target.

    (To another database's they are copied.)
    """
    if isinstance(db, sqlite3.Connection):
        return distinct(db, table, runs)
    rows = db.staging.execute(distinct(db.staging, table, runs))
    return db.stage(target, ", ".join(table.columns), rows)
