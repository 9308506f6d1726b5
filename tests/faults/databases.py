"""Databases of either kind, as the fault matrix copies, reads and locks them.

One of SQLite is a path, one of PostgreSQL a URL.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from pyroaring import BitMap

from headcount.db import address
from headcount.db.postgres import server as postgres
from helpers import postgres_server as server
from helpers.sessions import query, sound, stages

SQLITE, POSTGRESQL = "sqlite", "postgresql"
Db = Path | str


def on_server(db: Db) -> bool:
    return address.is_url(str(db))


def copy_db(source: Db, target: Db) -> Db:
    """A copy in the place of what is there, and of what SQLite keeps beside it."""
    if on_server(target):
        server.copy(source, target)
        return target
    for path in target.parent.glob(f"{target.name}*"):
        path.unlink()
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
    return target


# What a database holds, without numbers that only it gives, and times at which something was done.
_TABLES = {
    "active_user_table": "*",
    "site_activity": "*",
    "site_activity_by_day": "*",
    "site_online_interval": "*",
    "recent_change_raw": "id, timestamp, wiki, type, bot, user, event",
    "stream_extent": "*",
    "stream_gap": "topic, partition, first_offset, last_offset",
    "page": "*",
    "post": "*",
    "post_meta": "*",
    "comment": "comment_id, post_id, parent_id, created_at, up_likes, message",
    "waiting_text": "*",
    "event": "id, first_dimension_id, second_dimension_id, recorded_date, created_date, "
    "metric_one, metric_two, metric_n, other_metrics",
    "first_dimension": "*",
    "second_dimension": "*",
    "metric": "*",
    "metric_column": "*",
}

_USER = "(SELECT key FROM user WHERE user.id = user_id)"
_BY_ORIGIN = {
    "active_day_by_origin": "date, signal, name, users",
    "identity_day": "date, name, events, unidentified, refused",
    "pending_engagement": f"date, name, {_USER}, event, msec",
    "pending_session": f"date, name, {_USER}, session, first_event, last_event, is_key",
}


def content(db: Db) -> dict:
    """All that counts in a database; two that hold the same are equal, of whichever kind."""
    if not _has_tables(db):
        return {table: [] for table in _TABLES} | {"sets": {}, "lines": 0}
    found = {
        table: sorted(query(db, f"SELECT {columns} FROM {table}"), key=repr)
        for table, columns in _TABLES.items()
    }
    if len(found["metric_column"]) == 3:  # as every database has
        found["metric_column"] = []
    names = dict(query(db, "SELECT id, key FROM user"))
    found["sets"] = {
        (day, signal): _names(users, names)
        for day, signal, users in query(db, "SELECT date, signal, users FROM active_day")
    }
    found["lines"] = query(db, "SELECT coalesce(sum(lines), 0) FROM chat_lines")[0][0]
    return found


def by_origin(db: Db) -> dict:
    """What is kept by the table or file that it came from."""
    if not _has_tables(db):
        return {table: [] for table in _BY_ORIGIN}
    names, found = dict(query(db, "SELECT id, key FROM user")), {}
    for table, columns in _BY_ORIGIN.items():
        rows = query(db, f"SELECT {columns} FROM {table} LEFT JOIN origin ON id = origin_id")
        rows = ([_names(v, names) if isinstance(v, bytes) else v for v in row] for row in rows)
        found[table] = sorted(rows, key=repr)
    return found


def _names(users: bytes, names: dict[int, str]) -> list[str]:
    return sorted(names[number] for number in BitMap.deserialize(users))


def _has_tables(db: Db) -> bool:
    if on_server(db):
        return query(db, "SELECT to_regclass('run') IS NOT NULL") == [(True,)]
    return os.path.exists(db) and query(db, "SELECT 1 FROM sqlite_schema LIMIT 1") != []


def differences(db: Db, golden: dict) -> list[str]:
    """The tables whose content is not the golden one's."""
    found = content(db)
    if "active_day_by_origin" in golden:
        found |= by_origin(db)
    return [table for table in golden if found[table] != golden[table]]


def problems(db: Db) -> list[str]:
    """What no fault may leave, once the import has been run again."""
    found = [] if sound(db) else ["damaged"]
    found += [path.name for path in stages(db)]
    running = query(db, "SELECT id FROM run WHERE status = 'running'")
    found += [f"run {number} still counts as running" for (number,) in running]
    sums = "SELECT id FROM run WHERE status = 'done' AND "
    sums += "lines IS NOT kept + filtered + duplicate + rejected"
    return found + [f"lines of run {number} are lost" for (number,) in query(db, sums)]


def schema(db: Db) -> list[tuple]:
    """Tables, columns, indexes, views and triggers."""
    if not on_server(db):
        rows = query(db, "SELECT type, name, tbl_name, sql FROM sqlite_schema")
    else:
        rows = query(
            db,
            "SELECT table_name, column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = 'public' "
            "UNION ALL SELECT tablename, indexname, indexdef FROM pg_indexes "
            "WHERE schemaname = 'public'",
        )
    return sorted(rows, key=repr)


def stored(db: Db) -> bytes:
    """All that is stored, one way or another."""
    if not on_server(db):
        return b"".join(path.read_bytes() for path in db.parent.glob(f"{db.name}*"))
    tables = {name for name, *_ in schema(db)}
    rows = (query(db, f'SELECT t::text FROM "{table}" t') for table in sorted(tables))
    return "\n".join(text for found in rows for (text,) in found).encode()


@contextlib.contextmanager
def opened(db: Db) -> Iterator:
    """A connection of another program, for any thread."""
    if on_server(db):
        connection = postgres.connect(db)
    else:
        connection = sqlite3.connect(db, isolation_level=None, check_same_thread=False)
    with closing(connection):
        yield connection


@contextlib.contextmanager
def held(db: Db, mode: str = "EXCLUSIVE") -> Iterator[sqlite3.Connection]:
    """Another program is writing, and with EXCLUSIVE lets nobody read."""
    with opened(db) as other:
        if on_server(db):
            share = "ACCESS EXCLUSIVE" if mode == "EXCLUSIVE" else "EXCLUSIVE"
            other.execute("BEGIN")
            other.execute(f"LOCK TABLE run, run_input, setting IN {share} MODE")
        else:
            other.execute(f"BEGIN {mode}")
        yield other
        with contextlib.suppress(Exception):  # it may have ended by now
            other.execute("ROLLBACK")
