"""The tables of counts, which are derived from the sets of users of each local day."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from pyroaring import BitMap

from headcount.db import properties, sql
from headcount.pipelines.active_users.days import (
    breakdowns,
    origins,
    pending,
    people,
    sessions,
    store,
)
from headcount.pipelines.active_users.days.store import active, definitions, sketch_mode
from headcount.values import clock


def count(db: sqlite3.Connection, day: str, definition: str) -> int:
    """How many users are active on a local day; about, where there are sketches alone."""
    if sketch_mode(db) == "instead":
        from headcount.pipelines.active_users.days import sketches  # who has sets needs none

        return sketches.count(db, day, definition)
    return len(active(db, day, definition))


def remove(
    db: properties.Named, users: Iterable[str], run_id: int
) -> dict[str, list[tuple[str, int, int]]]:
    """Within a transaction: take users out of all sets of all properties; returns the changes of
    each (date, old, new)."""
    ids = BitMap(sql.select(db, "SELECT key, id FROM user WHERE key", sorted(users)).values())
    changes = {name: _remove(db, ids, run_id) for name in properties.each(db)}
    for user_id in ids:
        db.execute("DELETE FROM user WHERE id = ?", [user_id])
    return changes


def _remove(db: properties.Named, ids: BitMap, run_id: int) -> list[tuple[str, int, int]]:
    all_days = db.execute("SELECT DISTINCT date FROM active_day").fetchall()
    sets = [
        (day, signal, there)
        for (day,) in all_days
        for signal, users in store.sets(db, day)
        if ids.intersect(there := BitMap.deserialize(users))
    ]
    days = {day for day, _, _ in sets}
    beside = None
    if sketch_mode(db):
        from headcount.pipelines.active_users.days.sketches import Beside  # few have them

        beside = Beside(db, sorted(days))
    for day, signal, there in sets:
        store.put(db, day, signal, there - ids)
    for user_id in ids:
        for table in (origins, pending, sessions, people):
            table.remove_user(db, user_id)
    restitched = set(store.days_of(db, people.restitch(db)))
    if beside:
        beside.update()
    reasons = dict.fromkeys(restitched - days, "login")
    return list(publish(db, sorted(days | restitched), run_id, reasons))


def publish(
    db: properties.Named,
    days: Iterable[str],
    run_id: int | None,
    reasons: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[tuple[str, int, int]]:
    """Bring the tables of counts in line with the sets of these days; yields what changed.

    `reasons`: why a day changes, where it is not that new events came.
    """
    now = clock.now()
    own, *others = definitions(db)
    for day in days:
        for other in others:
            _note(db, day, other, run_id, now)
        breakdowns.publish(db, day, run_id, now)
        row = db.execute(
            "SELECT active_user_count FROM active_user_table WHERE date = ?", [day]
        ).fetchone()
        old, new = row[0] if row else 0, count(db, day, own)
        if new == old:
            continue
        if new:
            db.execute(
                "INSERT INTO active_user_table (date, active_user_count) VALUES (?, ?) "
                "ON CONFLICT (date) DO UPDATE SET active_user_count = excluded.active_user_count",
                [day, new],
            )
            db.execute(
                "INSERT INTO active_users_by_property VALUES (?, ?, ?) ON CONFLICT "
                "(property, date) DO UPDATE SET active_user_count = excluded.active_user_count",
                [db.property, day, new],
            )
        else:
            db.execute("DELETE FROM active_user_table WHERE date = ?", [day])
            where = "property = ? AND date = ?"
            db.execute(f"DELETE FROM active_users_by_property WHERE {where}", [db.property, day])
        final_at = origins.final_at(db, day)
        db.execute(
            "INSERT INTO local_day (date, final_at) VALUES (?, ?) "
            "ON CONFLICT (date) DO UPDATE SET final_at = excluded.final_at",
            [day, final_at],
        )
        db.execute(
            "INSERT INTO active_user_history "
            "(date, run_id, active_user_count, status, changed_at, reason) "
            "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (date, run_id) DO UPDATE SET "
            "active_user_count = excluded.active_user_count, reason = excluded.reason",
            [
                day,
                run_id,
                new,
                "provisional" if now < final_at else "final",
                now,
                reasons.get(day),
            ],
        )
        yield day, old, new


def _note(db: sqlite3.Connection, day: str, definition: str, run_id: int | None, now: str) -> None:
    """Enter how many are active on a day by another definition, where that has changed."""
    row = db.execute(
        "SELECT active_user_count FROM definition_history "
        "WHERE date = ? AND definition = ? ORDER BY run_id DESC LIMIT 1",
        [day, definition],
    ).fetchone()
    users = count(db, day, definition)
    if users != (row[0] if row else 0):
        db.execute(
            "INSERT INTO definition_history VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (date, definition, run_id) DO UPDATE SET "
            "active_user_count = excluded.active_user_count",
            [day, definition, run_id, users, now],
        )
