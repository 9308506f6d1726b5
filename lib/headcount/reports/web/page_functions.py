"""The SQL functions that only the queries of dashboards call.

told_of_days(things, days, since, until, selected, first, last)
                            which days a page shows, or that it shows none; a sentence
why_path(day, field, value) where a day is explained (plugins/why.py)
"""

from __future__ import annotations

import sqlite3
from urllib.parse import urlencode

WHY = "/-/why"


def register(db: sqlite3.Connection) -> None:
    """Let the queries of a connection call them."""
    db.create_function("told_of_days", 7, told_of_days, deterministic=True)
    db.create_function("why_path", 3, why_path, deterministic=True)


def told_of_days(
    things: str,
    days: str,
    since: str,
    until: str,
    selected: int,
    first: str | None,
    last: str | None,
) -> str:
    """Which days a page shows, as a sentence.

    `things` is what it counts, in the plural; `days` says what a day is. `since` and `until` are
    the filters of the page, or empty; `selected` is whether they select anything. `first` and
    `last` are the days of all that there is, or None.
    """
    if first is None or last is None:
        return f"No {things} yet"
    if selected:
        since, until = max(since[:10], first), min(until[:10] or last, last)
        shown = f"on {since}" if since == until else f"from {since} to {until}"
        return f"{things[0].upper()}{things[1:]} {shown}; {days}"
    asked = (f" from {since}" if since else "") + (f" to {until}" if until else "")
    return f"No {things}{asked or ' of this selection'}; there are some from {first} to {last}"


def why_path(day: str, field: str | None = "", value: str | None = "") -> str:
    """Where a day is explained: for all users, by a field, or for the users with a value."""
    asked = {"date": day, "by": field, "value": value}
    return f"{WHY}?{urlencode({name: text for name, text in asked.items() if text})}"
