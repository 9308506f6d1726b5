"""Which ids of changes are known: an index of most rows, and a set of the newest.

Ids are random, so each would go to another page of an index, to be written with every commit. So
the index takes a hundred thousand rows at a time, when a page gets many at once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from headcount import dictionary

MOST = 100_000  # rows that the index is behind


class Ids:
    """The ids of all rows of recent_change_raw; the caller is the only one who adds any."""

    def __init__(self, db: sqlite3.Connection):
        self._db = db
        behind = "SELECT id FROM recent_change_raw WHERE pk > ?"
        self._newest = {row[0] for row in db.execute(behind, [self._indexed()])}

    def _indexed(self) -> int:
        found = self._db.execute("SELECT max(pk) FROM recent_change_indexed").fetchone()
        return found[0] or 0

    def unknown(self, ids: Iterable[str]) -> set[str]:
        """Those of these ids that no row has."""
        maybe = set(ids) - self._newest
        query = "SELECT id, pk FROM recent_change_id WHERE id"
        return maybe.difference(dictionary.select(self._db, query, list(maybe)))

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
