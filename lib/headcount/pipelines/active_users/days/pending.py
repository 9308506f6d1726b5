"""Engagements of a local day that do not add up to enough, so far: those of `summed`.

They are kept until their user's add up: then the set of the day says it all, for what is enough
stays enough. Copies of an event, in whatever order, change nothing: of its lengths the greatest
counts.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import reduce

from headcount.values import decimals

_TABLE = "pending_engagement"
_KEEP = f"""INSERT INTO {_TABLE} (date, user_id, event, origin_id, msec) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (date, user_id, event, origin_id) DO UPDATE SET msec = excluded.msec"""

Amounts = dict[str, object]  # milliseconds, by what tells an event from others


class Engagements:
    """Those of a run, by the origins that brought them, local day and user."""

    def __init__(self):
        self._amounts: dict[int, dict[str, dict[bytes, Amounts]]] = defaultdict(dict)

    def add(self, origin: int, day: str, user: bytes, event: str, msec) -> bool:
        """Whether it is news."""
        return _add(self._amounts[origin].setdefault(day, {}).setdefault(user, {}), event, msec)

    def names(self) -> set[bytes]:
        """Their users."""
        return {u for days in self._amounts.values() for users in days.values() for u in users}

    def of(self, origin: int) -> tuple[set[bytes], set[str]]:
        """The users and the days of an origin's."""
        days = self._amounts.get(origin, {})
        return {user for users in days.values() for user in users}, set(days)

    def drop(self, origin: int) -> None:
        """Forget what an origin brought."""
        self._amounts.pop(origin, None)

    def rename(self, others: dict[bytes, bytes | None]) -> None:
        """Give some users other names; those of None go."""
        for days in self._amounts.values():
            for users in days.values():
                for user in users.keys() & others.keys():
                    amounts, other = users.pop(user), others[user]
                    if other is not None:
                        _add_all(users.setdefault(other, {}), amounts)

    def days(self) -> set[str]:
        """The local days that they are of."""
        return {day for days in self._amounts.values() for day in days}

    def enough(self, least) -> Iterator[tuple[str, bytes]]:
        """Day and user of those whose engagements here add up."""
        for day in self.days():
            whole: dict[bytes, Amounts] = defaultdict(dict)
            for days in self._amounts.values():
                for user, amounts in days.get(day, {}).items():
                    _add_all(whole[user], amounts)
            yield from ((day, user) for user, amounts in whole.items() if _adds_up(amounts, least))

    def merge(
        self,
        db: sqlite3.Connection,
        day: str,
        ids: dict[bytes, int],
        origin_ids: dict[int, int],
        least,
        is_enough: Callable[[int, int], bool],
    ) -> tuple[set[tuple[int, int]], set[int]]:
        """Within a transaction: bring those of a day into the database.

        `is_enough(origin, user)`: whether an origin's set of the day has a user already, whose
        engagements need not be kept then. Returns pairs (origin, user) of those for whom what an
        origin brought is enough by itself, and the users for whom what all brought is.
        """
        query = f"SELECT origin_id, user_id, event, msec FROM {_TABLE} WHERE date = ?"
        kept: dict[tuple[int, int], Amounts] = defaultdict(dict)
        for origin, user, event, msec in db.execute(query, [day]).fetchall():
            kept[origin, user][event] = decimals.exact(msec)
        changed = set()
        for number, days in self._amounts.items():
            origin = origin_ids[number]
            for user, amounts in days.get(day, {}).items():
                pair = origin, ids[user]
                if not is_enough(*pair):
                    _add_all(kept[pair], amounts)
                    changed.add(pair)
        alone = {pair for pair in changed if _adds_up(kept[pair], least)}
        for origin, user in alone:
            del kept[origin, user]
        self._remove(db, day, alone)
        rows = [
            (day, user, event, origin, str(msec))
            for origin, user in changed - alone
            for event, msec in kept[origin, user].items()
        ]
        db.executemany(_KEEP, rows)
        whole: dict[int, Amounts] = defaultdict(dict)
        for (_, user), amounts in kept.items():
            _add_all(whole[user], amounts)
        return alone, {user for user, amounts in whole.items() if _adds_up(amounts, least)}

    @staticmethod
    def _remove(db: sqlite3.Connection, day: str, pairs) -> None:
        where = "WHERE date = ? AND origin_id = ? AND user_id = ?"
        db.executemany(f"DELETE FROM {_TABLE} {where}", [(day, *pair) for pair in pairs])


def days_of(db: sqlite3.Connection, origin: int) -> set[str]:
    """The local days on which an origin brought something that is kept."""
    query = f"SELECT DISTINCT date FROM {_TABLE} WHERE origin_id > 0 AND origin_id = ?"
    return {day for (day,) in db.execute(query, [origin]).fetchall()}


def replace(db: sqlite3.Connection, origin: int) -> None:
    """Within a transaction: what an origin had brought is no longer."""
    db.execute(f"DELETE FROM {_TABLE} WHERE origin_id > 0 AND origin_id = ?", [origin])


def fold(db: sqlite3.Connection, day: str, summed) -> None:
    """Within a transaction: join what the origins brought to a day; what its `summed` users did is
    not needed any more."""
    query = f"SELECT origin_id, user_id, event, msec FROM {_TABLE} WHERE date = ?"
    rows = db.execute(query, [day]).fetchall()
    kept: dict[int, Amounts] = defaultdict(dict)
    for _, user, event, msec in rows:
        if user not in summed:
            _add(kept[user], event, decimals.exact(msec))
    if rows:
        db.execute(f"DELETE FROM {_TABLE} WHERE date = ?", [day])
        for user, amounts in kept.items():
            rows = [(day, user, event, 0, str(msec)) for event, msec in amounts.items()]
            db.executemany(_KEEP, rows)


def remove_user(db: sqlite3.Connection, user_id: int) -> None:
    """Within a transaction: what is known of a user is no longer."""
    db.execute(f"DELETE FROM {_TABLE} WHERE user_id = ?", [user_id])


def _add(amounts: Amounts, event: str, msec) -> bool:
    if event in amounts and msec <= amounts[event]:
        return False
    amounts[event] = msec
    return True


def _add_all(amounts: Amounts, more: Amounts) -> None:
    for event, msec in more.items():
        _add(amounts, event, msec)


def _adds_up(amounts: Amounts, least) -> bool:
    return reduce(decimals.add, amounts.values(), decimals.exact("0")) >= least
