"""The sketches of the users of each local day, beside their exact sets or instead of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from headcount.db import sql
from headcount.pipelines.active_users.days import store
from headcount.pipelines.active_users.definitions import DEFINITIONS
from headcount.values import sketches, tsv

BESIDE, INSTEAD = "beside", "instead"


class Error(NamedTuple):
    """How far the sketch of a day is from the exact count."""

    day: str
    definition: str
    estimate: float
    exact: int

    @property
    def percent(self) -> float:
        return 100 * abs(self.estimate - self.exact) / max(self.exact, 1)


def read(db: sqlite3.Connection, day: str, definition: str) -> bytes | None:
    """The sketch of a day; None if there is none."""
    row = db.execute(
        "SELECT sketch FROM active_day_sketch WHERE date = ? AND definition = ?", [day, definition]
    ).fetchone()
    return row and row[0]


def count(db: sqlite3.Connection, day: str, definition: str) -> int:
    """About how many users are active on a day."""
    return round(sketches.estimate(read(db, day, definition)))


def remove_day(db: sqlite3.Connection, day: str) -> None:
    """Within a transaction: what is known of a day is no longer."""
    db.execute("DELETE FROM active_day_sketch WHERE date = ?", [day])


def add(db: sqlite3.Connection, day: str, definition: str, keys: Iterable[str]) -> None:
    """Within a transaction: these users are active, too."""
    sketch = sketches.of(keys, read(db, day, definition))
    db.execute(
        "INSERT INTO active_day_sketch (date, definition, sketch) VALUES (?, ?, ?) "
        "ON CONFLICT (date, definition) DO UPDATE SET sketch = excluded.sketch",
        [day, definition, sketch],
    )


def merge(db: sqlite3.Connection, users: dict[bytes, set[bytes]], replaced: Iterable[str]) -> None:
    """Within a transaction: users by "date\\tsignal", of which nothing is kept but sketches.

    Of definitions that one event is enough for: of others nothing can be told without ids.
    """
    for day in replaced:
        remove_day(db, day)
    for definition in store.definitions(db):
        for key in sorted(users):
            day, signal = key.decode().split("\t")
            if signal in DEFINITIONS[definition].needs[0]:
                add(db, day, definition, (tsv.unescape(user.decode()) for user in users[key]))


class Beside:
    """Keeps the sketches of some days in line with their sets, which are about to change."""

    def __init__(self, db: sqlite3.Connection, days: Iterable[str]):
        self._db = db
        self._before = {
            (day, definition): store.active(db, day, definition)
            for day in days
            for definition in store.definitions(db)
        }

    def update(self) -> list[Error]:
        """Within a transaction: they have changed. A sketch forgets nobody, but is made anew."""
        errors = []
        for (day, definition), before in self._before.items():
            after = store.active(self._db, day, definition)
            new = after - before
            if before - after or (before and read(self._db, day, definition) is None):
                self._db.execute(
                    "DELETE FROM active_day_sketch WHERE date = ? AND definition = ?",
                    [day, definition],
                )
                new = after
            if new:
                add(self._db, day, definition, sql.keys(self._db, "user", new).values())
            if after:
                about = sketches.estimate(read(self._db, day, definition))
                errors.append(Error(day, definition, about, len(after)))
        return errors
