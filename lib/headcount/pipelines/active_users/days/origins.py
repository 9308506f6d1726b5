"""Where events come from, told apart for as long as a day may be corrected.

Google exports a day as `events_intraday_YYYYMMDD` (and 360 as `events_fresh_YYYYMMDD`), which give
way to `events_YYYYMMDD`; that is changed for up to 72 hours. Source: Google Analytics help, "[GA4]
BigQuery Export", https://support.google.com/analytics/answer/9358801

A table is known by its name, wherever its file or folder lies (of several properties by a folder
`analytics_PROPERTY` above it): if it comes again, or one of its shards does, then what it had
brought is replaced. So are other files, if one asks for that. A day can be corrected until it is
final, and 72 hours from the last import that touched it; then all is folded into its sets.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple

from pyroaring import BitMap

from headcount.errors import REJECTS, Failure
from headcount.io.splits import is_url
from headcount.pipelines.active_users.days import pending, people, sessions, store
from headcount.pipelines.active_users.definitions import ENGAGED_SESSION, SUMMED
from headcount.values import clock, zones
from headcount.values.tsv import shown

CORRIGIBLE = timedelta(hours=72)  # the export's own tables change for up to three days
UNTOLD = 0  # the id of what came without a name, or has been folded

# (bq extract of events_YYYYMMDD* makes files whose number comes right behind the day.)
_NAME = re.compile(
    r"(?s)(events_intraday|events_fresh|events)_([0-9]{8})"
    r"(?:(?=[0-9]{12}(?![0-9]))|(?![0-9]))[-_.]?(.*)"
)
_RANKS = {"events_intraday": 0, "events_fresh": 1, "events": 2}  # each gives way to the later ones
_ENDINGS = re.compile(
    r"(?i)(\.(json|jsonl|ndjson|csv|tsv|txt|parquet|avro|gz|zst|bz2|xz|zip|lz4|br))+$"
)
_PROPERTY = re.compile(r"analytics_[0-9]+")


class Origin(NamedTuple):
    """A shard of an export table; or a file, which has its path as name, and no kind."""

    name: str
    kind: str = ""
    day: str = ""
    table: str = ""  # the property's, the kind's and the day's
    property: str = ""

    @classmethod
    def of(cls, path: str) -> Origin | None:
        """None for a stream, of which nobody knows where it comes from."""
        if path == "-" or path.startswith("/dev/") or (not is_url(path) and _is_special(path)):
            return None
        whole = path if is_url(path) else os.path.abspath(path)
        whole = whole.encode(errors="backslashreplace").decode()
        *folders, last = whole.split("/")
        known, shard = _NAME.fullmatch(last), ""
        if known:
            shard = _ENDINGS.sub("", "." + known[3])[1:]
        elif folders and (known := _NAME.fullmatch(folders[-1])):
            shard = f"{known[3]}/{_ENDINGS.sub('', last)}".lstrip("/")
        if not known:
            return cls(whole)
        above = [folder for folder in folders if _PROPERTY.fullmatch(folder)]
        prefix = f"{above[-1]}." if above else ""
        table = f"{prefix}{known[1]}_{known[2]}"
        name = f"{table}/{shard}" if shard.strip("*") else table
        return cls(name, known[1], known[2], table, prefix)

    def lesser(self) -> list[str]:
        """The tables that give way to this one."""
        return self._others(lambda rank: rank < _RANKS[self.kind])

    def greater(self) -> list[str]:
        """The tables that it gives way to."""
        return self._others(lambda rank: rank > _RANKS[self.kind])

    def _others(self, is_wanted) -> list[str]:
        kinds = [kind for kind, rank in _RANKS.items() if self.kind and is_wanted(rank)]
        return [f"{self.property}{kind}_{self.day}" for kind in kinds]


def _is_special(path: str) -> bool:
    return os.path.exists(path) and not os.path.isfile(path)


class Entered(NamedTuple):
    """The origins of a run in the database."""

    ids: dict[int, int]  # by their number in the run
    replaced: set[int]  # what these had brought is no longer
    left_out: dict[int, str]  # those that give way to a table that is there already
    moved: dict[int, str]  # of those that are replaced from another folder: the path of before
    settled: dict[int, str]  # the names of those that came so long ago that all may be folded


def enter(db: sqlite3.Connection, paths: dict[int, str], *, replace: bool) -> Entered:
    """Within a transaction: give each origin of a run, by its number there, an id.

    A table that is in one file replaces all its shards, and a shard a table that was in one file.
    With `replace`, files are replaced, too, and of a table all shards that do not come again.
    """
    until = clock.later(CORRIGIBLE)
    entered = Entered({UNTOLD: UNTOLD}, set(), {}, {}, {})
    found = {number: Origin.of(path) for number, path in paths.items()}
    tables = {origin.table for origin in found.values() if origin}
    settled = dict(db.execute("SELECT id, name FROM origin WHERE until IS NULL").fetchall())
    ours = {origin.name for origin in found.values() if origin}
    _refuse_twice(paths, found)
    new = set()
    for number, origin in found.items():
        if origin is None:
            entered.ids[number] = UNTOLD
            continue
        if greater := [t for t in origin.greater() if t in tables or _of_table(db, t)]:
            entered.left_out[number] = greater[-1]
            continue
        path = paths[number].encode(errors="backslashreplace").decode()
        query = "SELECT id, path FROM origin WHERE name = ?"
        row = db.execute(query, [origin.name]).fetchone()
        if row is None:
            query = "INSERT INTO origin (name, path) VALUES (?, ?) RETURNING id, path"
            row = db.execute(query, [origin.name, path]).fetchone()
            new.add(row[0])
        elif row[0] not in new and (origin.kind or replace):
            entered.replaced.add(row[0])
            if origin.kind and os.path.dirname(row[1]) != os.path.dirname(path):
                entered.moved[row[0]] = row[1]
            db.execute("UPDATE origin SET path = ? WHERE id = ?", [path, row[0]])
            new.add(row[0])
        entered.ids[number] = row[0]
        db.execute("UPDATE origin SET until = ? WHERE id = ?", [until, row[0]])
        for table in origin.lesser():
            entered.replaced.update(_of_table(db, table).values())
        if origin.kind:
            is_whole = replace or origin.name == origin.table
            for name, number_of in _of_table(db, origin.table).items():
                if name not in ours and (is_whole or name == origin.table):
                    entered.replaced.add(number_of)
    entered.settled.update((n, settled[n]) for n in entered.replaced if n in settled)
    return entered


def _refuse_twice(paths: dict[int, str], found: dict[int, Origin | None]) -> None:
    """Raises Failure if two files are the same shard: which of them is the last version?"""
    of_name: dict[str, str] = {}
    for number, origin in found.items():
        if origin and origin.kind:
            other = of_name.setdefault(origin.name, paths[number])
            if os.path.realpath(other) != os.path.realpath(paths[number]):
                raise Failure(
                    f"{shown(other)} and {shown(paths[number])} are the same table, "
                    f"{origin.name}: import its last version alone; of several properties, each "
                    "needs a folder analytics_PROPERTY above it. Nothing was imported",
                    REJECTS,
                )


def _of_table(db: sqlite3.Connection, table: str) -> dict[str, int]:
    """The ids of a table, and of its shards, by their names."""
    query = "SELECT name, id FROM origin WHERE name = ? OR (name >= ? AND name < ?)"
    return dict(db.execute(query, [table, f"{table}/", f"{table}0"]).fetchall())


# ---- the sets of a day that may be corrected


def corrigible(db: sqlite3.Connection, days: Iterable[str]) -> set[str]:
    """Those of these days whose sets are kept by origin."""
    known = {day for (day,) in db.execute("SELECT date FROM corrigible_day").fetchall()}
    return known.intersection(days)


def keep_apart(db: sqlite3.Connection, day: str, *, is_new: bool) -> None:
    """Within a transaction: keep a day's sets by origin from now on; until when is told anew."""
    if is_new:
        for signal, users in list(store.sets(db, day)):
            if signal != ENGAGED_SESSION:
                _put(db, day, signal, UNTOLD, users)
    until = max(final_at(db, day), clock.later(CORRIGIBLE))
    db.execute(
        "INSERT INTO corrigible_day (date, until) VALUES (?, ?) "
        "ON CONFLICT (date) DO UPDATE SET until = excluded.until",
        [day, until],
    )


def final_at(db: sqlite3.Connection, day: str) -> str:
    """When a local day is final: 72 hours after the midnight that ends it."""
    over = zones.end_of_day(store.setting(db, "tz", zones.DEVICE), date.fromisoformat(day))
    return (over + CORRIGIBLE).strftime(clock.FORMAT)


def by_origin(db: sqlite3.Connection, day: str, signal: str) -> dict[int, BitMap]:
    """The users of a day that can be corrected, by origin."""
    query = "SELECT origin_id, users FROM active_day_by_origin WHERE date = ? AND signal = ?"
    rows = db.execute(query, [day, signal]).fetchall()
    return {origin: BitMap.deserialize(users) for origin, users in rows}


def put(db: sqlite3.Connection, day: str, signal: str, origin: int, users: BitMap) -> None:
    """Within a transaction: the users that an origin brought."""
    _put(db, day, signal, origin, users.serialize())


def _put(db: sqlite3.Connection, day: str, signal: str, origin: int, users: bytes) -> None:
    db.execute(
        "INSERT INTO active_day_by_origin (date, signal, origin_id, users) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (date, signal, origin_id) DO UPDATE SET users = excluded.users",
        [day, signal, origin, users],
    )


def brought(db: sqlite3.Connection, origin: int) -> BitMap:
    """All users and devices that an origin has brought to days that can be corrected."""
    where = "WHERE origin_id > 0 AND origin_id = ?"
    rows = db.execute(f"SELECT users FROM active_day_by_origin {where}", [origin]).fetchall()
    found = store.union(BitMap.deserialize(users) for (users,) in rows)
    for table in ("pending_session", "pending_engagement"):
        rows = db.execute(f"SELECT DISTINCT user_id FROM {table} {where}", [origin]).fetchall()
        found |= BitMap(user for (user,) in rows)
    return found


def touches(db: sqlite3.Connection, origin: int) -> set[tuple[str, str]]:
    """The days and signals to which an origin has brought something that can be replaced.

    (What it has said of sessions is replaced by itself.)
    """
    query = "SELECT date, signal FROM active_day_by_origin WHERE origin_id > 0 AND origin_id = ?"
    found = {tuple(row) for row in db.execute(query, [origin]).fetchall()}
    return found | {(day, SUMMED) for day in pending.days_of(db, origin)}


def replace(db: sqlite3.Connection, origin: int) -> set[tuple[str, str]]:
    """Within a transaction: what an origin had brought is no longer; the days and signals that
    this changes."""
    found = touches(db, origin)
    db.execute("DELETE FROM active_day_by_origin WHERE origin_id > 0 AND origin_id = ?", [origin])
    pending.replace(db, origin)
    return found


def fold(db: sqlite3.Connection) -> None:
    """Within a transaction: of days that are not corrected any more nothing is told apart."""
    rows = db.execute("SELECT date FROM corrigible_day WHERE until <= ?", [clock.now()]).fetchall()
    for (day,) in rows:
        db.execute("DELETE FROM active_day_by_origin WHERE date = ?", [day])
        pending.fold(db, day, store.bitmap(db, day, SUMMED))
        sessions.fold(db, day)
        db.execute("DELETE FROM corrigible_day WHERE date = ?", [day])
    rows = db.execute("SELECT id FROM origin WHERE until <= ?", [clock.now()]).fetchall()
    for (origin,) in rows:
        people.fold(db, origin)
        db.execute("UPDATE origin SET until = NULL WHERE id = ?", [origin])


def remove_user(db: sqlite3.Connection, user_id: int) -> None:
    """Within a transaction: take a user out of what origins brought."""
    rows = db.execute("SELECT date, signal, origin_id, users FROM active_day_by_origin").fetchall()
    for day, signal, origin, users in rows:
        users = BitMap.deserialize(users)
        if user_id in users:
            users.remove(user_id)
            put(db, day, signal, origin, users)
