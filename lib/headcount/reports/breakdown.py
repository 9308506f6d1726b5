"""Reports of active users by the values of a field: any report, once for each value."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from pyroaring import BitMap

from headcount.errors import USAGE, Failure
from headcount.pipelines.active_users.days import breakdowns, store
from headcount.reports import day_views
from headcount.reports.catalogue import Report

_SHOWN = 8  # values, in a message


def run(
    db: sqlite3.Connection, report: Report, params: Mapping[str, str]
) -> tuple[list[str], list[tuple]]:
    """The columns of a report and its rows.

    With a field, the same for each of its values, and the value as first column; with a value, too,
    for those alone who had it. Raises Failure 2 for a field, or a value, that
    the database does not have.
    """
    field, value = params.get(report.by, ""), params.get("value")
    if not field:
        if value:
            raise Failure(f"value={value}: name its field, with {report.by}=FIELD", USAGE)
        return _run(db, report, params)
    values = _values(db, field, params.get("definition", ""))
    if value and value not in values:
        known = ", ".join(values[:_SHOWN]) + (", …" if len(values) > _SHOWN else "")
        raise Failure(f"value={value}: {field} has no such value, but: {known}", USAGE)
    if params.get("until") == "":  # the same period for all
        (last,) = db.execute("SELECT max(date) FROM active_user_table").fetchone()
        params = {**params, "until": last or ""}
    values = [value] if value else values
    narrowing = day_views.Narrowing(db, field, values)
    columns, rows = [], []
    for each in values:
        narrowing.to(each)
        columns, found = _run(db, report, params)
        rows += found if value else [(each, *row) for row in found]
    return (columns if value else ["value", *columns]), rows


def notes(db: sqlite3.Connection, report: Report, params: Mapping[str, str]) -> list[str]:
    """What a reader of the rows has to know: users who are counted several times."""
    found = []
    if "v_active_day" in report.sql and store.setting(db, "pseudonyms") == "day":
        found.append("users have new pseudonyms each day: over days they add up")
    field, definition = params.get(report.by), params.get("definition", "")
    if field and (often := several(db, field, definition)):
        found.append("{1} of {2} users of {0} have several values".format(*often))
    return found


def several(
    db: sqlite3.Connection, field: str, definition: str = ""
) -> tuple[str, int, int] | None:
    """Of the last day that has values of a field: the day, how many users have several, and how
    many there are, by a definition (default: that of active_user_table). None if no user has
    several."""
    query = "SELECT max(date) FROM active_users_by WHERE dimension = ?"
    (day,) = db.execute(query, [field]).fetchone()
    if day is None:
        return None
    found = breakdowns.active(db, day, definition or store.definitions(db)[0])
    once, often = BitMap(), BitMap()
    for (other, _), users in found.items():
        if other == field:
            often |= once & users
            once |= users
    return (day, len(often), len(once)) if often else None


def _values(db: sqlite3.Connection, field: str, definition: str) -> list[str]:
    """The values of a field, those with the most active users first, by a definition (default: that
    of active_user_table). Raises Failure 2."""
    fields = [name for (name,) in db.execute("SELECT field FROM dimension ORDER BY field")]
    if field not in fields:
        known = f"but by: {', '.join(fields)}" if fields else "nor by any other field"
        text = f"by={field}: the database does not break down by it, {known}; see --by of"
        raise Failure(f"{text} import-active-users", USAGE)
    query = (
        "SELECT value FROM active_users_by WHERE dimension = ? "
        "GROUP BY value ORDER BY sum(active_user_count) DESC, value"
    )
    given = [field]
    if definition and definition != store.definitions(db)[0]:
        query = (
            "SELECT value FROM v_active_day_by WHERE dimension = ? AND definition = ? "
            "GROUP BY value ORDER BY sum(bitmap_count(users)) DESC, value"
        )
        given = [field, definition]
    return [value for (value,) in db.execute(query, given)]


def _run(
    db: sqlite3.Connection, report: Report, params: Mapping[str, str]
) -> tuple[list[str], list[tuple]]:
    cursor = db.execute(report.sql, params)
    if cursor.description is None:
        raise Failure(f"{report.name}: expected a query, got a statement without columns", USAGE)
    columns = [column[0] for column in cursor.description]
    return columns, cursor.fetchall()
