"""The functions that reports call, and anybody may; and those that dashboards alone call."""

from datasette import hookimpl

from headcount.db import properties
from headcount.reports import connection


@hookimpl
def prepare_connection(conn, database, datasette):
    if database in (None, "_internal", "_memory"):  # Datasette's own
        return
    connection.register(conn)
    properties.show(conn, datasette.property)
    conn.create_function("told_of_days", 7, _told_of_days, deterministic=True)


def _told_of_days(things, days, since, until, selected, first, last):
    """Which days a page is about.

    Of `things`, the plural, some are `selected` (whether any), of days `since` and `until`, as
    asked for, or empty; and there are some from the day `first` to `last`, or none: NULL.
    `days` says what days these are.
    """
    if first is None:
        return f"No {things} yet"
    if selected:
        since, until = max(since[:10], first), min(until[:10] or last, last)
        shown = f"on {since}" if since == until else f"from {since} to {until}"
        return f"{things[0].upper()}{things[1:]} {shown}; {days}"
    asked = (f" from {since}" if since else "") + (f" to {until}" if until else "")
    return f"No {things}{asked or ' of this selection'}; there are some from {first} to {last}"
