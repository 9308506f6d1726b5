"""What is not enough yet: engagements of a day that do not add up, sessions that are not engaged.

It is kept until its user is active: then the set of the day says it all, for what is enough stays
enough. Copies of an event, in whatever order, change nothing: of an engagement's lengths the
greatest counts, of a session the earliest and the latest event, and two views that differ.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import reduce

from pyroaring import BitMap

from headcount.pipelines.active_users.definitions import ENGAGED_SESSION, SUMMED
from headcount.values import decimals

LONG_SESSION = 10_000_000  # microseconds

_AMOUNTS = "pending_engagement"
_SESSIONS = "pending_session"
_KEEP_AMOUNT = f"""INSERT INTO {_AMOUNTS} VALUES (?, ?, ?, ?)
    ON CONFLICT (date, user_id, event) DO UPDATE SET msec = excluded.msec"""
_KEEP_SESSION = f"""INSERT INTO {_SESSIONS} VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (date, user_id, session) DO UPDATE SET
        first_event = excluded.first_event, last_event = excluded.last_event,
        first_view = excluded.first_view, last_view = excluded.last_view"""


class Pending:
    """Collects it by local day and user."""

    def __init__(self):
        self.amounts: dict[str, dict[bytes, dict[str, object]]] = defaultdict(dict)
        self.sessions: dict[str, dict[bytes, dict[int, tuple]]] = defaultdict(dict)

    def add_amount(self, day: str, user: bytes, event: str, msec) -> bool:
        """An engagement, by what tells it from others; whether it is news."""
        return _add_amount(self.amounts[day].setdefault(user, {}), event, msec)

    def add_session(
        self, day: str, user: bytes, session: int, micros: int, view: str | None
    ) -> bool:
        """An event of a session, if a view with what tells it from others; whether it is news."""
        state = (micros, micros, view, view)
        return _add_session(self.sessions[day].setdefault(user, {}), session, state)

    def users(self) -> set[bytes]:
        """Whose it is."""
        return {
            user
            for kind in (self.amounts, self.sessions)
            for users in kind.values()
            for user in users
        }

    def enough(self, least) -> Iterator[tuple[str, str, bytes]]:
        """Day, signal and user of those for whom what is collected here is enough."""
        for day, users in self.amounts.items():
            yield from ((day, SUMMED, user) for user in users if _adds_up(users[user], least))
        for day, users in self.sessions.items():
            yield from ((day, ENGAGED_SESSION, user) for user in users if _engaged(users[user]))

    def merge(
        self,
        db: sqlite3.Connection,
        ids: dict[bytes, int],
        active: Callable[[str, str], BitMap],
        least,
    ) -> Iterator[tuple[str, str, bytes]]:
        """Likewise, with those of the database, within a transaction; what is not enough is kept.

        `active`: who has a signal on a day already.
        """
        for day, users in self.amounts.items():
            done = active(day, SUMMED)
            query = f"SELECT user_id, event, msec FROM {_AMOUNTS} WHERE date = ?"
            known = _known(db, query, day, decimals.exact, _add_amount)
            for user, amounts in users.items():
                if ids[user] in done:
                    continue
                for event, msec in known.get(ids[user], {}).items():
                    _add_amount(amounts, event, msec)
                if _adds_up(amounts, least):
                    yield day, SUMMED, user
                else:
                    rows = [(day, ids[user], event, str(msec)) for event, msec in amounts.items()]
                    db.executemany(_KEEP_AMOUNT, rows)
        for day, users in self.sessions.items():
            done = active(day, ENGAGED_SESSION)
            columns = "user_id, session, first_event, last_event, first_view, last_view"
            query = f"SELECT {columns} FROM {_SESSIONS} WHERE date = ?"
            known = _known(db, query, day, lambda *state: state, _add_session)
            for user, sessions in users.items():
                if ids[user] in done:
                    continue
                for session, state in known.get(ids[user], {}).items():
                    _add_session(sessions, session, state)
                if _engaged(sessions):
                    yield day, ENGAGED_SESSION, user
                else:
                    rows = [(day, ids[user], ident, *state) for ident, state in sessions.items()]
                    db.executemany(_KEEP_SESSION, rows)


def remove_day(db: sqlite3.Connection, day: str) -> None:
    """Within a transaction: what is known of a day is no longer."""
    for table in (_AMOUNTS, _SESSIONS):
        db.execute(f"DELETE FROM {table} WHERE date = ?", [day])


def remove_user(db: sqlite3.Connection, user_id: int) -> None:
    """Within a transaction: nor what is known of a user."""
    for table in (_AMOUNTS, _SESSIONS):
        db.execute(f"DELETE FROM {table} WHERE user_id = ?", [user_id])


def remove_enough(db: sqlite3.Connection, day: str, engaged: BitMap, summed: BitMap) -> None:
    """Within a transaction: what is no longer asked for, for its users are active."""
    for table, users in ((_SESSIONS, engaged), (_AMOUNTS, summed)):
        waiting = db.execute(f"SELECT DISTINCT user_id FROM {table} WHERE date = ?", [day])
        rows = [(day, user_id) for (user_id,) in waiting.fetchall() if user_id in users]
        db.executemany(f"DELETE FROM {table} WHERE date = ? AND user_id = ?", rows)


def _known(db, query: str, day: str, state: Callable, add: Callable) -> dict[int, dict]:
    """What is pending of a day in the database, by user."""
    known = defaultdict(dict)
    for user_id, key, *columns in db.execute(query, [day]):
        add(known[user_id], key, state(*columns))
    return known


def _add_amount(amounts: dict[str, object], event: str, msec) -> bool:
    if event in amounts and msec <= amounts[event]:
        return False
    amounts[event] = msec
    return True


def _adds_up(amounts: dict[str, object], least) -> bool:
    return reduce(decimals.add, amounts.values(), decimals.exact("0")) >= least


def _add_session(sessions: dict[int, tuple], session: int, state: tuple) -> bool:
    before = sessions.get(session, state)
    first, last, *views = zip(before, state, strict=True)
    views = [[view for view in pair if view is not None] or [None] for pair in views]
    after = (min(first), max(last), min(views[0]), max(views[1]))
    sessions[session] = after
    return after != before or before is state


def _engaged(sessions: dict[int, tuple]) -> bool:
    return any(
        last - first >= LONG_SESSION or first_view != last_view
        for first, last, first_view, last_view in sessions.values()
    )
