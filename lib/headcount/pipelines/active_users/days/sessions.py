"""Sessions, which belong to devices: who is active through them on which local days.

A session is an engaged one if it lasts for 10 seconds, or has a key event, or two views that differ
(events/qualify.py has the source). It counts on the local day it began; one that passes midnight
also on each later day on which it is engaged by what is of it on that day alone. It is its last
user's, of those that are not the device itself (`--user` may name a login); else the device's.

What is known of a session on a day is kept for good: an earlier event may move the day on which it
began, a later one may say whose it is. Copies of an event, in whatever order, change nothing.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from functools import reduce
from itertools import chain
from typing import NamedTuple

from pyroaring import BitMap

from headcount.values import tsv

LONG_SESSION = 10_000_000  # microseconds

_TABLE = "pending_session"
_KEY = "user_id, session, date, origin_id"
_STATE = ("first_event", "last_event", "first_view", "last_view", "is_key")
_STATE += ("owner_event", "owner_id")
_SELECT = (
    f"SELECT user_id, session, date, origin_id, {', '.join(_STATE)}, key "
    f"FROM {_TABLE} LEFT JOIN user ON user.id = owner_id"
)
_KEEP = (
    f"INSERT INTO {_TABLE} ({_KEY}, {', '.join(_STATE)}) VALUES ({', '.join('?' * 11)}) "
    f"ON CONFLICT ({_KEY}) DO UPDATE SET {', '.join(f'{n} = excluded.{n}' for n in _STATE)}"
)
_AT_ONCE = 400  # sessions asked for in one query

Key = tuple  # device, number of the session
Active = set[tuple[str, object]]  # day, user


class Piece(NamedTuple):
    """What is known of a session on one local day."""

    first: int  # microseconds since 1970
    last: int
    first_view: str | None = None  # two views that differ, by what tells events apart
    last_view: str | None = None
    is_key: int = 0  # whether it has a key event
    owner_event: str | None = None  # the last event that has a user who is not the device
    owner: object = None

    def joined(self, other: Piece) -> Piece:
        """With what else is known of it."""
        views = [v for v in (self.first_view, other.first_view) if v is not None]
        lasts = [v for v in (self.last_view, other.last_view) if v is not None]
        owners = [p for p in (self, other) if p.owner is not None]
        last = max(owners, key=lambda p: (_place(p.owner_event), p.owner), default=Piece(0, 0))
        return Piece(
            min(self.first, other.first),
            max(self.last, other.last),
            min(views, default=None),
            max(lasts, default=None),
            self.is_key | other.is_key,
            last.owner_event,
            last.owner,
        )

    def of(self, others: dict[bytes, bytes | None]) -> Piece:
        """The same where the owner has another name."""
        return self._replace(owner=others.get(self.owner, self.owner))

    def is_engaged(self) -> bool:
        long = self.last - self.first >= LONG_SESSION
        return long or bool(self.is_key) or self.first_view != self.last_view


def _place(identity: str) -> list[int]:
    """Where an event stands among those of its device: what tells it from others, as numbers."""
    return [int(number or 0) for number in identity.split(":")]


def active_days(device, pieces: dict[str, Piece]) -> Active:
    """On which days somebody is active through a session, by its pieces; and who it is."""
    whole = reduce(Piece.joined, pieces.values())
    owner = device if whole.owner is None else whole.owner
    days = {day for day, piece in pieces.items() if piece.is_engaged()}
    if whole.is_engaged():
        days.add(min(pieces, key=lambda day: (pieces[day].first, day)))
    return {(day, owner) for day in days}


class Sessions:
    """Those of a run, by the origins that brought them."""

    def __init__(self):
        self._pieces: dict[int, dict[Key, dict[str, Piece]]] = defaultdict(dict)

    def add(self, origin: int, day: str, key: Key, piece: Piece) -> bool:
        """What an event says of a session; whether it is news."""
        days = self._pieces[origin].setdefault(key, {})
        before = days.get(day)
        days[day] = piece if before is None else before.joined(piece)
        return days[day] != before

    def of(self, origin: int) -> tuple[set[bytes], set[str]]:
        """The devices and the days of an origin's."""
        sessions = self._pieces.get(origin, {})
        return {device for device, _ in sessions}, {d for days in sessions.values() for d in days}

    def drop(self, origin: int) -> None:
        """Forget what an origin brought."""
        self._pieces.pop(origin, None)

    def rename(self, others: dict[bytes, bytes | None]) -> None:
        """Give some devices and users other names; those of None, and their sessions, go."""
        for sessions in self._pieces.values():
            for key in [key for key in sessions if key[0] in others]:
                days, device = sessions.pop(key), others[key[0]]
                if device is not None:
                    known = sessions.setdefault((device, key[1]), {})
                    for day, piece in days.items():
                        known[day] = known[day].joined(piece) if day in known else piece
            for key, days in list(sessions.items()):
                owners = {piece.owner for piece in days.values()} & others.keys()
                if any(others[owner] is None for owner in owners):
                    del sessions[key]
                elif owners:
                    sessions[key] = {day: piece.of(others) for day, piece in days.items()}

    def names(self) -> set[bytes]:
        """Their devices and users."""
        found = set()
        for sessions in self._pieces.values():
            for (device, _), days in sessions.items():
                found.add(device)
                found.update(piece.owner for piece in days.values() if piece.owner is not None)
        return found

    def days(self) -> set[str]:
        """The local days that they are of."""
        return {d for sessions in self._pieces.values() for days in sessions.values() for d in days}

    def active(self) -> Active:
        """Who is active on which day, by what was collected here alone."""
        whole: dict[Key, dict[str, Piece]] = defaultdict(dict)
        for sessions in self._pieces.values():
            for key, days in sessions.items():
                known = whole[key]
                for day, piece in days.items():
                    known[day] = known[day].joined(piece) if day in known else piece
        return set().union(*(active_days(key[0], days) for key, days in whole.items()))

    def merge(
        self,
        db: sqlite3.Connection,
        ids: dict[bytes, int],
        origin_ids: dict[int, int],
        replaced: Collection[int],
    ) -> tuple[Active, Active]:
        """Within a transaction: bring them into the database, where what `replaced` origins had
        brought is no longer; returns who is active through them, on which day, by id, and who no
        longer is.

        `ids` are those of users and devices, `origin_ids` those of origins, by their numbers here.
        """
        if not self._pieces and not replaced:
            return set(), set()
        new: dict[tuple, Piece] = {}  # by device, session, day and origin
        for origin, sessions in self._pieces.items():
            for (device, session), days in sessions.items():
                for day, piece in days.items():
                    owner = None if piece.owner is None else (piece.owner, ids[piece.owner])
                    row = ids[device], session, day, origin_ids[origin]
                    piece = piece._replace(owner=owner)
                    new[row] = new[row].joined(piece) if row in new else piece
        touched = {row[:2] for row in new}
        columns, where = "DISTINCT user_id, session", "origin_id > 0 AND origin_id = ?"
        of_origin = f"SELECT {columns} FROM {_TABLE} WHERE {where}"
        for origin in replaced:
            touched.update(tuple(row) for row in db.execute(of_origin, [origin]).fetchall())
        known = _of(db, touched)
        after = {row: piece for row, piece in known.items() if row[3] not in replaced}
        for row, piece in new.items():
            after[row] = after[row].joined(piece) if row in after else piece
        where = "user_id = ? AND session = ? AND date = ? AND origin_id = ?"
        db.executemany(f"DELETE FROM {_TABLE} WHERE {where}", known.keys() - after.keys())
        changed = [row for row in new if after[row] != known.get(row)]
        db.executemany(_KEEP, [_as_row(row, after[row]) for row in changed])
        now = _active(after)
        return now, _active(known) - now


def active_on(db: sqlite3.Connection, day: str) -> BitMap:
    """Who is active on a day through sessions, by all that is kept."""
    query = f"SELECT DISTINCT user_id, session FROM {_TABLE} WHERE date = ?"
    keys = {tuple(row) for row in db.execute(query, [day]).fetchall()}
    return BitMap(user for date, user in _active(_of(db, keys)) if date == day)


def fold(db: sqlite3.Connection, day: str) -> None:
    """Within a transaction: join what the origins brought to a day."""
    rows = db.execute(f"{_SELECT} WHERE date = ?", [day]).fetchall()
    joined: dict[tuple, Piece] = {}
    for (*key, _), piece in map(_parsed, rows):
        row = (*key, 0)
        joined[row] = joined[row].joined(piece) if row in joined else piece
    if any(origin for (*_, origin), _ in map(_parsed, rows)):
        db.execute(f"DELETE FROM {_TABLE} WHERE date = ?", [day])
        db.executemany(_KEEP, [_as_row(*pair) for pair in joined.items()])


def remove_user(db: sqlite3.Connection, user_id: int) -> None:
    """Within a transaction: what is known of a device's sessions is no longer, nor of those in
    which a user was."""
    query = f"SELECT DISTINCT user_id, session FROM {_TABLE} WHERE owner_id = ?"
    rows = db.execute(query, [user_id]).fetchall()
    db.executemany(f"DELETE FROM {_TABLE} WHERE user_id = ? AND session = ?", map(tuple, rows))
    db.execute(f"DELETE FROM {_TABLE} WHERE user_id = ?", [user_id])


def _of(db: sqlite3.Connection, keys: Iterable[Key]) -> dict[tuple, Piece]:
    """What is kept of these sessions."""
    found, ordered = {}, sorted(keys)
    for start in range(0, len(ordered), _AT_ONCE):
        some = ordered[start : start + _AT_ONCE]
        places = ", ".join(["(?, ?)"] * len(some))
        query = f"{_SELECT} WHERE (user_id, session) IN (VALUES {places})"
        found.update(map(_parsed, db.execute(query, list(chain(*some))).fetchall()))
    return found


def _parsed(row: Sequence) -> tuple[tuple, Piece]:
    *key, first, last, first_view, last_view, is_key, at, owner_id, name = row
    owner = None if owner_id is None else (tsv.escape(name).encode(), owner_id)
    return tuple(key), Piece(first, last, first_view, last_view, is_key, at, owner)


def _as_row(key: tuple, piece: Piece) -> tuple:
    return *key, *piece[:-1], piece.owner and piece.owner[1]


def _active(pieces: dict[tuple, Piece]) -> Active:
    """Who is active on which day, by id."""
    sessions: dict[Key, dict[str, Piece]] = defaultdict(dict)
    for (*key, day, _), piece in pieces.items():
        days = sessions[tuple(key)]
        days[day] = days[day].joined(piece) if day in days else piece
    found = set()
    for (device, _), days in sessions.items():
        for day, owner in active_days(device, days):
            found.add((day, owner[1] if type(owner) is tuple else owner))
    return found
