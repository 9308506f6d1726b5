"""The users of each local day as bitmaps, and the table of counts that is derived from them.

A set, unlike a sum, takes the same event any number of times, in any order: merging is OR.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import NamedTuple

from pyroaring import BitMap

from headcount import clock, dictionary, tsv, zones
from headcount.filters import each_line
from headcount.inputs import Block
from headcount.rejects import Reject
from headcount.results import Result
from headcount.signals import BOTH, ENGAGED, VALUABLE

FINAL_AFTER = timedelta(hours=72)  # the export's own tables change for up to three days

_SIGNALS = {signal.encode() for signal in (ENGAGED, VALUABLE, BOTH)}


class ActiveUsers:
    """Collects rows (date, user, signals) and merges them into the store."""

    def __init__(self):
        self._users: dict[bytes, set[bytes]] = defaultdict(set)  # "date\tsignals": users

    def add(self, block: Block) -> Result:
        """Take in the rows of a block; one that was there before is a duplicate."""
        before = sum(map(len, self._users.values()))
        counted = each_line(self._add)(block)
        kept = sum(map(len, self._users.values())) - before
        return counted._replace(rows=b"", kept=kept, duplicate=counted.kept - kept)

    def _add(self, line: bytes) -> bytes | Reject:
        try:
            day, user, signals = line.split(b"\t")
            date.fromisoformat(day.decode())
            user.decode()
        except ValueError:
            return Reject("not a row of date, user and signals")
        if signals not in _SIGNALS:
            return Reject("unknown signal")
        self._users[b"%b\t%b" % (day, signals)].add(user)
        return b""

    def merge(
        self, db: sqlite3.Connection, run_id: int | None, *, replace: bool
    ) -> list[tuple[str, int, int]]:
        """Within a transaction: merge all, derive the counts; returns changes (date, old, new).

        With `replace` the collected rows are all there is to know of the days they touch.
        """
        days = sorted({key.split(b"\t")[0].decode() for key in self._users})
        if replace:
            for day in days:
                db.execute("DELETE FROM active_day WHERE date = ?", [day])
        ids = _user_ids(db, set().union(*self._users.values()))
        for key in sorted(self._users):
            day, signal = key.decode().split("\t")
            users = BitMap(ids[user] for user in self._users[key]) | _bitmap(db, day, signal)
            db.execute(
                "INSERT INTO active_day (date, signal, users) VALUES (?, ?, ?) "
                "ON CONFLICT (date, signal) DO UPDATE SET users = excluded.users",
                [day, signal, users.serialize()],
            )
        return list(_publish(db, days, run_id))


def _user_ids(db: sqlite3.Connection, rows: set[bytes]) -> dict[bytes, int]:
    """The id of each user, as the rows spell it."""
    texts = {tsv.unescape(row.decode()): row for row in rows}
    return {texts[key]: known for key, known in dictionary.ids(db, "user", texts).items()}


def _bitmap(db: sqlite3.Connection, day: str, signal: str) -> BitMap:
    row = db.execute(
        "SELECT users FROM active_day WHERE date = ? AND signal = ?", [day, signal]
    ).fetchone()
    return BitMap.deserialize(row[0]) if row else BitMap()


class Signals(NamedTuple):
    """The users of a local day, by what they were: in one event or in several."""

    engaged: BitMap
    valuable: BitMap

    @property
    def active(self) -> BitMap:
        return self.engaged & self.valuable


def signals(db: sqlite3.Connection, day: str) -> Signals:
    """The users of a local day."""
    both = _bitmap(db, day, BOTH)
    return Signals(_bitmap(db, day, ENGAGED) | both, _bitmap(db, day, VALUABLE) | both)


def rename(db: sqlite3.Connection, user: str, name: str) -> int:
    """Within a transaction: give a user another name, in the same sets; how many there were."""
    return db.execute("UPDATE user SET key = ? WHERE key = ?", [name, user]).rowcount


def remove(db: sqlite3.Connection, user: str, run_id: int) -> list[tuple[str, int, int]]:
    """Within a transaction: take a user out of all sets; returns changes (date, old, new)."""
    known = dictionary.select(db, "SELECT key, id FROM user WHERE key", [user])
    days = set()
    for number in known.values():
        rows = db.execute("SELECT date, signal, users FROM active_day").fetchall()
        for day, signal, users in rows:
            bitmap = BitMap.deserialize(users)
            if number not in bitmap:
                continue
            days.add(day)
            bitmap.remove(number)
            where = "WHERE date = ? AND signal = ?"
            if bitmap:
                row = [bitmap.serialize(), day, signal]
                db.execute(f"UPDATE active_day SET users = ? {where}", row)
            else:
                db.execute(f"DELETE FROM active_day {where}", [day, signal])
        db.execute("DELETE FROM user WHERE id = ?", [number])
    return list(_publish(db, sorted(days), run_id))


def _publish(
    db: sqlite3.Connection, days: Iterable[str], run_id: int | None
) -> Iterator[tuple[str, int, int]]:
    """Bring active_user_table in line with the sets of these days; yields what changed."""
    now = clock.now()
    zone = _zone(db)
    for day in days:
        row = db.execute(
            "SELECT active_user_count FROM active_user_table WHERE date = ?", [day]
        ).fetchone()
        old, new = row[0] if row else 0, len(signals(db, day).active)
        if new == old:
            continue
        if new:
            db.execute(
                "INSERT INTO active_user_table (date, active_user_count) VALUES (?, ?) "
                "ON CONFLICT (date) DO UPDATE SET active_user_count = excluded.active_user_count",
                [day, new],
            )
        else:
            db.execute("DELETE FROM active_user_table WHERE date = ?", [day])
        over = zones.end_of_day(zone, date.fromisoformat(day))
        final_at = (over + FINAL_AFTER).strftime(clock.FORMAT)
        db.execute(
            "INSERT INTO local_day (date, final_at) VALUES (?, ?) "
            "ON CONFLICT (date) DO UPDATE SET final_at = excluded.final_at",
            [day, final_at],
        )
        db.execute(
            "INSERT INTO active_user_history (date, run_id, active_user_count, status, changed_at) "
            "VALUES (?, ?, ?, ?, ?)",
            [day, run_id, new, "provisional" if now < final_at else "final", now],
        )
        yield day, old, new


def _zone(db: sqlite3.Connection):
    """The zone that the database's days are cut in; None for each device's own."""
    row = db.execute("SELECT value FROM setting WHERE name = 'tz'").fetchone()
    return None if row is None or row[0] == zones.DEVICE else zones.find(row[0])
