"""Why a user is not active on a local day by a definition: what is lacking, if that is known."""

from __future__ import annotations

import sqlite3
from functools import reduce

from headcount.pipelines.active_users.days import sessions, store
from headcount.pipelines.active_users.definitions import (
    DEFINITIONS,
    ENGAGED,
    ENGAGED_SESSION,
    GA4_FLAG,
    SUMMED,
    TIMED,
)
from headcount.values import decimals

_SAYS_NO = "Google's is_active_user is false that day"


class Lacking:
    """Tells it of the users of a day."""

    def __init__(self, db: sqlite3.Connection, day: str, definition: str):
        self._db, self._day = db, day
        self._least = store.least(db)
        rule = DEFINITIONS[definition]
        self._needs = [
            (signals, [store.bitmap(db, day, signal) for signal in signals])
            for signals in rule.needs
        ]
        self._unless = store.bitmap(db, day, rule.unless)

    def of(self, user: int) -> str:
        """For people; nothing if the user is active."""
        if user in self._unless:
            return _SAYS_NO
        lacks = []
        for signals, sets in self._needs:
            if not any(user in users for users in sets):
                lacks += [text for signal in signals if (text := self._text(signal, user))]
        return "; ".join(dict.fromkeys(lacks))

    def _text(self, signal: str, user: int) -> str:
        least = decimals.plain(decimals.shifted(self._least, -3))
        if signal == ENGAGED:
            return f"an engagement of {least} s that counts"
        if signal == SUMMED:
            return f"engagements of {least} s (there are {self._engaged(user)} s)"
        if signal == ENGAGED_SESSION:
            return f"an engaged session ({self._sessions(user)})"
        if signal == GA4_FLAG:
            return "an event whose is_active_user is true"
        if signal == TIMED:
            return "an event with engagement_time_msec above 0"
        return {"valuable": "a valuable event", "ga4-event": "an event of GA4"}.get(signal, "")

    def _engaged(self, user: int) -> str:
        query = "SELECT msec FROM pending_engagement WHERE date = ? AND user_id = ?"
        amounts = [decimals.exact(msec) for (msec,) in self._db.execute(query, [self._day, user])]
        return f"{float(reduce(decimals.add, amounts, decimals.exact('0'))) / 1000:g}"

    def _sessions(self, user: int) -> str:
        query = (
            "SELECT max(last_event - first_event), count(DISTINCT session) FROM pending_session "
            "WHERE date = ? AND user_id = ?"
        )
        longest, number = self._db.execute(query, [self._day, user]).fetchone()
        if not number:
            return "there is no session"
        needed = f"{sessions.LONG_SESSION / 1e6:g} s, a key event or two views"
        return f"the longest of {number} has {longest / 1e6:g} s; none has {needed}"
