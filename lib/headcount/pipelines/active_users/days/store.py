"""The users of each local day as bitmaps.

A set, unlike a sum, takes the same event any number of times, in any order: merging is OR.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pyroaring import BitMap

from headcount.errors import USAGE, Failure
from headcount.pipelines.active_users.days import people
from headcount.pipelines.active_users.definitions import BOTH, DEFINITIONS, ENGAGED, OWN, VALUABLE
from headcount.values import decimals, tsv


def least(db: sqlite3.Connection):
    """The least engagement that counts, in milliseconds."""
    return decimals.shifted(decimals.exact(setting(db, "min-engagement", "3")), 3)


def setting(db: sqlite3.Connection, name: str, default: str = "") -> str:
    """What the database was made with; the default where it does not say."""
    row = db.execute("SELECT value FROM setting WHERE name = ?", [name]).fetchone()
    return row[0] if row else default


def definitions(db: sqlite3.Connection) -> list[str]:
    """Those that the database keeps; active_user_table has the first."""
    row = db.execute("SELECT value FROM setting WHERE name = 'definition'").fetchone()
    return row[0].split(",") if row else [OWN]


def require(db: sqlite3.Connection, definition: str) -> None:
    """Raises Failure 2 unless the database keeps this definition."""
    if definition not in (kept := definitions(db)):
        raise Failure(f"the database does not keep {definition!r}, but: {', '.join(kept)}", USAGE)


def active(db: sqlite3.Connection, day: str, definition: str) -> BitMap:
    """The users who are active on a local day by a definition."""
    users = people.stitching(db)
    return DEFINITIONS[definition].active(lambda signal: users(bitmap(db, day, signal)))


def days_of(db: sqlite3.Connection, users: BitMap) -> list[str]:
    """The local days on which any of these gave a signal."""
    rows = db.execute("SELECT date, users FROM active_day").fetchall()
    return sorted({day for day, there in rows if users.intersect(BitMap.deserialize(there))})


def sketch_mode(db: sqlite3.Connection) -> str:
    """How the database keeps sketches: beside the sets, instead of them, or not at all."""
    return setting(db, "sketch")


def bitmap(db: sqlite3.Connection, day: str, signal: str) -> BitMap:
    """The users of a local day and a signal; or of a signal, a field and a value (breakdowns)."""
    table, names, texts = _place(signal)
    where = " AND ".join(f"{name} = ?" for name in ("date", *names))
    row = db.execute(f"SELECT users FROM {table} WHERE {where}", [day, *texts]).fetchone()
    return BitMap.deserialize(row[0]) if row else BitMap()


def sets(db: sqlite3.Connection, day: str) -> Iterator[tuple[str, bytes]]:
    """All sets of a local day, those of values among them."""
    query = "SELECT signal, users FROM active_day WHERE date = ?"
    yield from db.execute(query, [day]).fetchall()
    query = "SELECT signal, dimension, value, users FROM active_day_by WHERE date = ?"
    for signal, *of_value, users in db.execute(query, [day]).fetchall():
        yield "\t".join([signal, *map(tsv.escape, of_value)]), users


def _place(signal: str) -> tuple[str, tuple[str, ...], list[str]]:
    """The table of a set, which of its columns tell the set, and what these are."""
    if "\t" not in signal:
        return "active_day", ("signal",), [signal]
    texts = [tsv.unescape(text) for text in signal.split("\t")]
    return "active_day_by", ("signal", "dimension", "value"), texts


def union(sets: Iterable[BitMap]) -> BitMap:
    """Who is in any of the sets."""
    return BitMap.union(BitMap(), *sets)


def put(db: sqlite3.Connection, day: str, signal: str, users: BitMap) -> None:
    """Within a transaction: these are the users; no row if there are none."""
    table, names, texts = _place(signal)
    names = ("date", *names)
    if not users:
        where = " AND ".join(f"{name} = ?" for name in names)
        db.execute(f"DELETE FROM {table} WHERE {where}", [day, *texts])
        return
    key, marks = ", ".join(names), ", ".join("?" * (len(names) + 1))
    db.execute(
        f"INSERT INTO {table} ({key}, users) VALUES ({marks}) "
        f"ON CONFLICT ({key}) DO UPDATE SET users = excluded.users",
        [day, *texts, users.serialize()],
    )


class Signals(NamedTuple):
    """The users of a local day, by what they were: in one event or in several."""

    engaged: BitMap
    valuable: BitMap


def signals(db: sqlite3.Connection, day: str) -> Signals:
    """The users of a local day."""
    users = people.stitching(db)
    engaged, valuable, both = (users(bitmap(db, day, s)) for s in (ENGAGED, VALUABLE, BOTH))
    return Signals(engaged | both, valuable | both)


def rename(db: sqlite3.Connection, user: str, name: str) -> int:
    """Within a transaction: give a user another name, in the same sets; how many there were."""
    return db.execute("UPDATE user SET key = ? WHERE key = ?", [name, user]).rowcount
