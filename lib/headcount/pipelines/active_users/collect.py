"""Rows of active users, collected: into the sets of each local day, or counted."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from datetime import date

from pyroaring import BitMap

from headcount.db import sql
from headcount.filters.rejects import Reject
from headcount.filters.results import Result
from headcount.filters.runner import each_line
from headcount.io.blocks import Block
from headcount.pipelines.active_users import pending, publish, store
from headcount.pipelines.active_users.definitions import (
    AMOUNT,
    ANY_EVENT,
    BOTH,
    DEFINITIONS,
    ENGAGED,
    ENGAGED_SESSION,
    GA4_EVENT,
    GA4_FLAG,
    GA4_NOT_ACTIVE,
    KEY,
    OWN,
    PENDING,
    SESSION,
    SUMMED,
    TIMED,
    VALUABLE,
    VIEW,
)
from headcount.pipelines.active_users.pending import Pending
from headcount.values import decimals, tsv

_SIGNALS = {signal.encode() for signal in (ENGAGED, VALUABLE, BOTH)}
_ONE_BY_ONE = {ENGAGED, VALUABLE, GA4_EVENT, GA4_FLAG, GA4_NOT_ACTIVE, TIMED, ANY_EVENT}


class ActiveUsers:
    """Collects rows (date, user, signals; and what else qualify.py gives).

    They go into the store; or are counted, by a definition and the least engagement (milliseconds).
    """

    def __init__(self, definition: str = OWN, least=None):
        self._definition, self._least = definition, least
        self._users: dict[bytes, set[bytes]] = defaultdict(set)  # "date\tsignal": users
        self._pending = Pending()
        self._new = 0
        self.sketch_errors: list = []  # where there are sketches beside the sets

    def add(self, block: Block) -> Result:
        """Take in the rows of a block; one that says nothing new is a duplicate."""
        before = self._new
        counted = each_line(self._add)(block)
        kept = self._new - before
        return counted._replace(rows=b"", kept=kept, duplicate=counted.kept - kept)

    def _add(self, line: bytes) -> bytes | Reject:
        try:
            day, user, signals, *details = line.split(b"\t")
            date.fromisoformat(day.decode())
            user.decode()
            if details:
                return self._add_pending(day, user, _names(signals), *details)
        except ValueError:
            return Reject("not a row of date, user and signals")
        if signals in _SIGNALS:
            return self._add_signals(day, user, [signals])
        names = _names(signals)
        if not names <= _ONE_BY_ONE:
            return Reject("unknown signal")
        return self._add_signals(day, user, _sets(names))

    def _add_signals(self, day: bytes, user: bytes, signals: Iterable[bytes]) -> bytes:
        news = False
        for signal in signals:
            users = self._users[b"%b\t%b" % (day, signal)]
            if user not in users:
                users.add(user)
                news = True
        self._new += news
        return b""

    def _add_pending(
        self, day: bytes, user: bytes, names: set[str], event: bytes, amount: bytes, session: bytes
    ) -> bytes | Reject:
        """A row of one event that is a part of a sum, or of a session, or both.

        `event` tells it from others (ga4.identity). Raises ValueError.
        """
        if not names <= _ONE_BY_ONE | PENDING:
            return Reject("unknown signal")
        identity, news = event.decode(), False
        micros = int(identity.partition(":")[0])
        if AMOUNT in names:
            msec = decimals.exact(amount.decode())
            news = self._pending.add_amount(day.decode(), user, identity, msec)
        if SESSION in names and KEY not in names:
            view = identity if VIEW in names else None
            news |= self._pending.add_session(day.decode(), user, int(session), micros, view)
        sets = names - PENDING | ({ENGAGED_SESSION} if KEY in names else set())
        before = self._new
        self._add_signals(day, user, _sets(sets))
        self._new = before + (news or self._new > before)
        return b""

    def rows(self) -> bytes:
        """How many users are active on each day, by what was collected here alone."""
        for day, signal, user in self._pending.enough(self._least):
            self._users[f"{day}\t{signal}".encode()].add(user)
        counts = {}
        for day in {key.split(b"\t")[0] for key in self._users}:
            users = DEFINITIONS[self._definition].active(lambda signal: self._of(day, signal))
            counts[day] = len(users)
        return b"".join(b"%b\t%d\n" % (day, counts[day]) for day in sorted(counts) if counts[day])

    def _of(self, day: bytes, signal: str) -> set[bytes]:
        return self._users.get(b"%b\t%b" % (day, signal.encode()), set())

    def merge(
        self, db: sqlite3.Connection, run_id: int | None, *, replace: bool
    ) -> list[tuple[str, int, int]]:
        """Within a transaction: merge all, derive the counts; returns changes (date, old, new).

        With `replace` the collected rows are all there is to know of the days they touch.
        """
        days = {key.split(b"\t")[0].decode() for key in self._users}
        days = sorted(days.union(self._pending.amounts, self._pending.sessions))
        mode = store.sketch_mode(db)
        if mode:
            from headcount.pipelines.active_users import day_sketches  # few have them

            if mode == day_sketches.INSTEAD:
                day_sketches.merge(db, self._users, days if replace else ())
                return list(publish.publish(db, days, run_id))
        beside = day_sketches.Beside(db, days) if mode else None
        if replace:
            for day in days:
                db.execute("DELETE FROM active_day WHERE date = ?", [day])
                pending.remove_day(db, day)
        ids = _user_ids(db, self._pending.users().union(*self._users.values()))

        def active(day: str, signal: str) -> BitMap:
            new = self._users.get(f"{day}\t{signal}".encode(), ())
            return store.bitmap(db, day, signal) | BitMap(ids[user] for user in new)

        for day, signal, user in list(self._pending.merge(db, ids, active, store.least(db))):
            self._users[f"{day}\t{signal}".encode()].add(user)
        for day in days:
            pending.remove_enough(db, day, active(day, ENGAGED_SESSION), active(day, SUMMED))
        for key in sorted(self._users):
            day, signal = key.decode().split("\t")
            users = BitMap(ids[user] for user in self._users[key])
            users |= store.bitmap(db, day, signal)
            db.execute(
                "INSERT INTO active_day (date, signal, users) VALUES (?, ?, ?) "
                "ON CONFLICT (date, signal) DO UPDATE SET users = excluded.users",
                [day, signal, users.serialize()],
            )
        if beside:
            self.sketch_errors = beside.update()
        return list(publish.publish(db, days, run_id))


def _names(signals: bytes) -> set[str]:
    return set(signals.decode().split(","))


def _sets(names: set[str]) -> list[bytes]:
    """What they are in the store, where engaged and valuable in one are a signal of its own."""
    if {ENGAGED, VALUABLE} <= names:
        names = names - {ENGAGED, VALUABLE} | {BOTH}
    return [name.encode() for name in names]


def _user_ids(db: sqlite3.Connection, rows: set[bytes]) -> dict[bytes, int]:
    """The id of each user, as the rows spell it."""
    texts = {tsv.unescape(row.decode()): row for row in rows}
    return {texts[key]: known for key, known in sql.ids(db, "user", texts).items()}
