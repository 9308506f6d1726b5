"""Recent changes in the database: events, the ids that are known, the words to search for.

Ids are random, so each would go to another page of an index, to be written with every commit. So
the index takes a hundred thousand rows at a time, when a page gets many at once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from headcount.db import sql
from headcount.pipelines.recent_changes.gaps import Gaps
from headcount.values import clock

MOST = 100_000  # rows that the index is behind


class Ids:
    """The ids of all rows of recent_change_raw; the caller is the only one who adds any."""

    def __init__(self, db: sqlite3.Connection):
        self._db = db
        behind = "SELECT id FROM recent_change_raw WHERE pk > ?"
        self._newest = {row[0] for row in db.execute(behind, [self._indexed()])}

    def _indexed(self) -> int:
        last = self._db.execute("SELECT max(pk) FROM recent_change_indexed").fetchone()
        return last[0] or 0

    def unknown(self, ids: Iterable[str]) -> set[str]:
        """Those of these ids that no row has."""
        maybe = set(ids) - self._newest
        query = "SELECT id, pk FROM recent_change_id WHERE id"
        return maybe.difference(sql.select(self._db, query, list(maybe)))

    def add(self, ids: Iterable[str]) -> None:
        """These have rows now."""
        self._newest.update(ids)

    @property
    def are_many(self) -> bool:
        """Whether it is time to index them."""
        return len(self._newest) >= MOST

    def index(self) -> None:
        """Within a transaction: bring the index up to date."""
        indexed = self._indexed()
        self._db.execute(
            "INSERT INTO recent_change_id (id, pk) "
            "SELECT id, pk FROM recent_change_raw WHERE pk > ? ORDER BY id",
            [indexed],
        )
        self._db.execute("DELETE FROM recent_change_indexed")
        self._db.execute("INSERT INTO recent_change_indexed SELECT max(pk) FROM recent_change_raw")
        self._newest.clear()


_WORDS = 2000  # rows whose words are entered in one transaction: it shall not take long
_PAGES = 8000  # of the journal, before it is written back to the database
_CACHE = 64 << 10  # KB


# A change to keep: meta.id, timestamp, wiki, type, bot, user, and the event itself in UTF-8.
Row = tuple[str, int, str, str, int, str | None, bytes]


class ChangeStore:
    """Adds changes, in transactions of the caller's."""

    def __init__(self, db: sqlite3.Connection):
        self._db = db
        db.execute(f"PRAGMA wal_autocheckpoint = {_PAGES}")
        db.execute(f"PRAGMA cache_size = -{_CACHE}")
        self._ids = Ids(db)
        self._gaps = Gaps(db)

    def add(self, rows: list[Row]) -> int:
        """Add those that are new; returns how many."""
        ids = self._ids.unknown(row[0] for row in rows)
        new = {row[0]: row for row in reversed(rows) if row[0] in ids}  # the first of copies
        now = clock.now()
        self._db.executemany(
            "INSERT INTO recent_change_raw "
            "(id, timestamp, wiki, type, bot, user, event, created_at) "
            f"VALUES (?, ?, ?, ?, ?, ?, CAST(? AS TEXT), '{now}')",
            reversed(new.values()),
        )
        self._ids.add(ids)
        return len(new)

    def enter_offsets(self, offsets: dict[tuple[str, int], list[int]], near: int | None) -> None:
        """Enter which offsets have come in each topic and partition, about when (seconds)."""
        at = None if near is None else clock.at(near)
        for (topic, partition), numbers in offsets.items():
            self._gaps.enter(topic, partition, numbers, at)

    def move(self, url: str, last_event_id: str) -> None:
        """Enter up to where a stream has been read."""
        self._db.execute(
            "INSERT INTO stream_position (url, last_event_id, updated_at) VALUES (?, ?, ?) "
            "ON CONFLICT (url) DO UPDATE SET last_event_id = excluded.last_event_id, "
            "updated_at = excluded.updated_at",
            [url, last_event_id, clock.now()],
        )

    @property
    def has_many_ids(self) -> bool:
        """Whether it is time to index ids."""
        return self._ids.are_many

    def index_ids(self) -> None:
        """Enter the ids of all rows in their index."""
        self._ids.index()

    def index_words(self) -> bool:
        """Enter the words of some more rows; returns whether there were any.

        (Those that read from PostgreSQL make the index for themselves.)
        """
        if not isinstance(self._db, sqlite3.Connection):
            return False
        # the words have a row of their own for each row, by the same number
        last = self._db.execute("SELECT max(id) FROM recent_change_search_docsize").fetchone()
        done = self._db.execute(
            "INSERT INTO recent_change_search (rowid, title, comment) "
            "SELECT pk, title, comment FROM recent_change_text WHERE pk > ? ORDER BY pk LIMIT ?",
            [last[0] or 0, _WORDS],
        )
        return done.rowcount > 0


def position(db: sqlite3.Connection, url: str) -> str:
    """The last event id of a stream; "" if it is new."""
    query = "SELECT last_event_id FROM stream_position WHERE url = ?"
    event = db.execute(query, [url]).fetchone()
    return event[0] if event else ""
