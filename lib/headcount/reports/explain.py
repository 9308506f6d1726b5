"""Why a user is not active on a local day by a definition: what is lacking, if that is known."""

from __future__ import annotations

import json
import sqlite3

from headcount.pipelines.active_users.days import people, sessions, store
from headcount.pipelines.active_users.definitions import (
    DEFINITIONS,
    ENGAGED,
    ENGAGED_SESSION,
    GA4_FLAG,
    SUMMED,
    TIMED,
)
from headcount.values import decimals

_IN = "user_id IN (SELECT value FROM json_each(?))"
_OWNED = "owner_id IN (SELECT value FROM json_each(?))"
_SAYS_NO = "Google's is_active_user is false that day"

_CHANGED = {"summed", "engaged-session", "ga4-active"}  # with version 9 of the schema


def earlier_rules(
    db: sqlite3.Connection, definitions: list[str], changes: list[dict]
) -> str | None:
    """Which values of a day follow the rules of an earlier version, if some of its changes do."""
    since = int(store.setting(db, "rules.since-run", "0"))
    changed = sorted(_CHANGED.intersection(definitions))
    if not changed or not any(change["run"] < since for change in changes):
        return None
    return (
        f"values of runs before {since} follow earlier rules of {', '.join(changed)}: the web's "
        "engagement time, sessions past midnight and is_active_user did not count"
    )


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
        devices = people.devices_like(self._db, user)
        query = f"SELECT user_id, event, msec FROM pending_engagement WHERE date = ? AND {_IN}"
        longest: dict[tuple, object] = {}  # of copies, which several tables may have brought
        for device, event, msec in self._db.execute(query, [self._day, json.dumps(devices)]):
            longest[device, event] = max(longest.get((device, event), 0), decimals.exact(msec))
        sums = dict.fromkeys(devices, decimals.exact("0"))
        for (device, _), msec in longest.items():
            sums[device] = decimals.add(sums[device], msec)
        return f"{float(max(sums.values())) / 1000:g}"

    def _sessions(self, user: int) -> str:
        devices = json.dumps(people.devices_like(self._db, user))
        query = (
            "SELECT max(length), count(*) FROM ("
            "SELECT max(last_event) - min(first_event) AS length FROM pending_session "
            f"WHERE date = ? AND ({_IN} OR {_OWNED}) GROUP BY user_id, session) AS sessions"
        )
        given = [self._day, devices, devices]
        longest, number = self._db.execute(query, given).fetchone()
        if not number:
            return "there is no session"
        needed = f"{sessions.LONG_SESSION / 1e6:g} s, a key event or two views"
        return f"the longest of {number} has {longest / 1e6:g} s; none has {needed}"
