"""Breakdowns of active users: for each value of a field, whose events had it.

A set of a value is kept like that of a signal, under a name of three columns: the signal, the field
and the value, as rows have them. So it merges, is corrected and is taken back in the same way.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from pyroaring import BitMap

from headcount.pipelines.active_users.days import people, store
from headcount.pipelines.active_users.definitions import DEFINITIONS
from headcount.pipelines.active_users.options.breakdown_options import OTHER, UNKNOWN
from headcount.values import tsv

# The values of a field, one look-up in the index for each, however many rows it has.
_VALUES = """
WITH RECURSIVE known (value) AS (
    SELECT min(value) FROM active_day_by WHERE dimension = ?
    UNION ALL
    SELECT (SELECT min(value) FROM active_day_by WHERE dimension = ? AND value > known.value)
    FROM known WHERE value IS NOT NULL
)
SELECT value FROM known WHERE value IS NOT NULL
"""

Users = dict[bytes, dict[bytes, int]]  # as collect.ActiveUsers has them


def bound(
    users: Users,
    most: int,
    known: Mapping[bytes, set[bytes]] = MappingProxyType({}),
    barred: Mapping[bytes, set[bytes]] = MappingProxyType({}),
) -> dict[bytes, set[bytes]]:
    """Leave each field its `most` values that have the most users, of equals the first by name; the
    others are OTHER. Returns these, of each field that has some.

    Values that are `known` already stay, and are among the most; those that are `barred` are among
    the others. The order of the input does not matter: it is decided once all rows are here.
    """
    of_values = _by_field(users)
    gone: dict[bytes, set[bytes]] = {}
    other = OTHER.encode()
    for field, values in of_values.items():
        before = known.get(field, set()) - {other}
        out = barred.get(field, set()) & values.keys()
        new = values.keys() - before - out - {other}
        ranked = sorted(new, key=lambda value: (-len(values[value]), value))
        if out := out | set(ranked[max(0, most - len(before)) :]):
            gone[field] = out
    for key in [key for key in users if key.count(b"\t") > 1]:
        day, signal, field, value = key.split(b"\t")
        if value in gone.get(field, ()):
            into = users.setdefault(b"\t".join([day, signal, field, other]), {})
            for user, bits in users.pop(key).items():
                into[user] = into.get(user, 0) | bits
    return gone


def _by_field(users: Users) -> dict[bytes, dict[bytes, set[bytes]]]:
    """The users by field and value."""
    of_values: dict[bytes, dict[bytes, set[bytes]]] = defaultdict(lambda: defaultdict(set))
    for key, some in users.items():
        _, _, *of_value = key.split(b"\t")
        if of_value:
            field, value = of_value
            of_values[field][value].update(some)
    return of_values


def counted(gone: Mapping[bytes, set[bytes]]) -> dict[str, int]:
    """How many values of each field are OTHER."""
    return {tsv.unescape(field.decode()): len(values) for field, values in gone.items()}


class Entered(NamedTuple):
    """What a run has brought of breakdowns."""

    in_other: dict[str, int]  # how many values are OTHER, of each field that has such
    days: set[str]  # those before, of which it is now known that their values are not


def enter(
    db: sqlite3.Connection, run_id: int | None, users: Users, fields: Iterable[str], most: int
) -> Entered:
    """Within a transaction: a run brings `users` by these fields, and those that they have; what is
    beyond the `most` values of a field goes to OTHER, as `bound` has it, and stays there: a part of
    its users is told apart no more."""
    known, barred, days = {}, {}, set()
    first: dict[bytes, bytes] = {}
    for key in users:
        day, _, *of_value = key.split(b"\t")
        if of_value:
            first[of_value[0]] = min(day, first.get(of_value[0], day))
    for field in sorted({*fields, *(tsv.unescape(field.decode()) for field in first)}):
        name = tsv.escape(field).encode()
        days |= _begin(db, run_id, field, first[name].decode() if name in first else None)
        values = db.execute(_VALUES, [field, field]).fetchall()
        known[name] = {tsv.escape(value).encode() for (value,) in values}
        others = db.execute("SELECT value FROM value_in_other WHERE dimension = ?", [field])
        barred[name] = {tsv.escape(value).encode() for (value,) in others.fetchall()}
    gone = bound(users, most, known, barred)
    for name, values in gone.items():
        field = tsv.unescape(name.decode())
        db.execute("INSERT INTO run_dimension VALUES (?, ?, ?)", [run_id, field, len(values)])
        db.executemany(
            "INSERT INTO value_in_other VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(field, tsv.unescape(value.decode())) for value in sorted(values)],
        )
    return Entered(counted(gone), days)


def _begin(db: sqlite3.Connection, run_id: int | None, field: str, first: str | None) -> set[str]:
    """Enter a field whose values a run brings from a `first` day on; returns the days with users
    from then until those that were known to have it."""
    row = db.execute("SELECT since FROM dimension WHERE field = ?", [field]).fetchone()
    since = row[0] if row else None
    if row is None:
        insert = "INSERT INTO dimension (field, since_run, since) VALUES (?, ?, ?)"
        db.execute(insert, [field, run_id, first])
    elif first and (since is None or first < since):
        db.execute("UPDATE dimension SET since = ? WHERE field = ?", [first, field])
    if first is None or (since is not None and since <= first):
        return set()
    query = "SELECT date FROM active_user_table WHERE date >= ? AND date < ?"
    return {day for (day,) in db.execute(query, [first, since or "9999-12-31"]).fetchall()}


def active(db: sqlite3.Connection, day: str, definition: str) -> dict[tuple[str, str], BitMap]:
    """Who is active on a local day, by field and value; all others of a field are UNKNOWN."""
    rule, stitched = DEFINITIONS[definition], people.stitching(db)
    query = "SELECT dimension, value, signal, users FROM active_day_by WHERE date = ?"
    found: dict[tuple[str, str], BitMap] = {}
    for field, value, signal, users in db.execute(query, [day]).fetchall():
        if signal in rule.signals():
            more = stitched(BitMap.deserialize(users))
            found[field, value] = found.get((field, value), BitMap()) | more
    fields = db.execute("SELECT field FROM dimension WHERE since <= ?", [day]).fetchall()
    if not fields:
        return {}
    whole = store.active(db, day, definition)
    for (field,) in fields:
        rest = whole - store.union(users for (other, _), users in found.items() if other == field)
        found[field, UNKNOWN] = rest
    found = {key: users & whole for key, users in found.items()}
    return {key: users for key, users in found.items() if users}


def publish(db: sqlite3.Connection, day: str, run_id: int | None, now: str) -> None:
    """Within a transaction: bring active_users_by in line with the sets of a day."""
    query = "SELECT dimension, value, active_user_count FROM active_users_by WHERE date = ?"
    old = {(field, value): count for field, value, count in db.execute(query, [day]).fetchall()}
    found = active(db, day, store.definitions(db)[0])
    new = {key: len(users) for key, users in found.items()}
    for field, value in sorted(old.keys() | new.keys()):
        count = new.get((field, value), 0)
        if count == old.get((field, value), 0):
            continue
        if count:
            db.execute(
                "INSERT INTO active_users_by VALUES (?, ?, ?, ?) ON CONFLICT (date, dimension, "
                "value) DO UPDATE SET active_user_count = excluded.active_user_count",
                [day, field, value, count],
            )
        else:
            where = "date = ? AND dimension = ? AND value = ?"
            db.execute(f"DELETE FROM active_users_by WHERE {where}", [day, field, value])
        db.execute(
            "INSERT INTO active_users_by_history VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (date, "
            "dimension, value, run_id) DO UPDATE SET active_user_count = "
            "excluded.active_user_count",
            [day, field, value, run_id, count, now],
        )
