"""Breakdowns of active users: for each value of a field, whose events had it.

A set of a value is kept like that of a signal, under a name of three columns: the signal, the field
and the value, as rows have them. So it merges, is corrected and is taken back in the same way.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping

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
    users: Users, most: int, known: Mapping[bytes, set[bytes]] | None = None
) -> dict[str, int]:
    """Leave each field its `most` values that have the most users, of equals the first by name; the
    others are OTHER. Returns how many values these were, of each field that has such.

    Values that are `known` already stay, and are among the most. The order of the input does not
    matter: it is decided once all rows are here.
    """
    of_values: dict[bytes, dict[bytes, set[bytes]]] = defaultdict(lambda: defaultdict(set))
    for key, some in users.items():
        _, _, *of_value = key.split(b"\t")
        if of_value:
            field, value = of_value
            of_values[field][value].update(some)
    folded: dict[str, int] = {}
    gone: set[tuple[bytes, bytes]] = set()
    other = OTHER.encode()
    for field, values in of_values.items():
        before = (known or {}).get(field, set()) - {other}
        new = values.keys() - before - {other}
        room = max(0, most - len(before))
        if len(new) > room:
            ranked = sorted(new, key=lambda value: (-len(values[value]), value))
            gone.update((field, value) for value in ranked[room:])
            folded[tsv.unescape(field.decode())] = len(new) - room
    for key in [key for key in users if tuple(key.split(b"\t")[2:]) in gone]:
        day, signal, field, _ = key.split(b"\t")
        into = users.setdefault(b"\t".join([day, signal, field, other]), {})
        for user, bits in users.pop(key).items():
            into[user] = into.get(user, 0) | bits
    return folded


def enter(
    db: sqlite3.Connection, run_id: int | None, users: Users, fields: Iterable[str], most: int
) -> dict[str, int]:
    """Within a transaction: a run brings `users` by these fields, and those that they have; what is
    beyond the `most` values of a field goes to OTHER, as `bound` has it."""
    known = {}
    there = {key.split(b"\t")[2] for key in users if key.count(b"\t") > 1}
    for field in sorted({*fields, *(tsv.unescape(field.decode()) for field in there)}):
        query = "INSERT INTO dimension (field, since_run) VALUES (?, ?) ON CONFLICT DO NOTHING"
        db.execute(query, [field, run_id])
        values = db.execute(_VALUES, [field, field]).fetchall()
        known[tsv.escape(field).encode()] = {tsv.escape(value).encode() for (value,) in values}
    folded = bound(users, most, known)
    for field, values in folded.items():
        db.execute("INSERT INTO run_dimension VALUES (?, ?, ?)", [run_id, field, values])
    return folded


def active(db: sqlite3.Connection, day: str, definition: str) -> dict[tuple[str, str], BitMap]:
    """Who is active on a local day, by field and value; all others of a field are UNKNOWN."""
    rule, stitched = DEFINITIONS[definition], people.stitching(db)
    query = "SELECT dimension, value, signal, users FROM active_day_by WHERE date = ?"
    found: dict[tuple[str, str], BitMap] = {}
    for field, value, signal, users in db.execute(query, [day]).fetchall():
        if signal in rule.signals():
            more = stitched(BitMap.deserialize(users))
            found[field, value] = found.get((field, value), BitMap()) | more
    if not found:
        return {}
    whole = store.active(db, day, definition)
    for field in {field for field, _ in found}:
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
