"""Views of who was active on each local day, by definition or by the values of fields.

They call the functions of set_functions.py, which tells what their columns are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from headcount.pipelines.active_users.definitions import (
    DEFINITIONS,
    ENGAGED_SESSION,
    OWN,
    SUMMED,
)
from headcount.pipelines.active_users.options.breakdown_options import UNKNOWN

_NARROWED = ("v_active_day", "active_user_table", "active_user_history")
_SEVERAL = {SUMMED, ENGAGED_SESSION}  # signals that one event is not always enough for


def _view(has_people: bool, called: str = "v_active_day") -> str:
    """The view: for each definition what its signals come to, where the database keeps it."""
    kept = f"(SELECT coalesce(max(value), '{OWN}') || ',' FROM setting WHERE name = 'definition')"
    parts = []
    for name, rule in DEFINITIONS.items():
        unions = [_of(kinds, has_people) for kinds in rule.needs]
        users = unions[0] if len(unions) == 1 else f"bitmap_and({', '.join(unions)})"
        if rule.unless:
            users = f"bitmap_andnot({users}, {_of([rule.unless], has_people)})"
        if rule.always:
            users = f"bitmap_or({users}, {_of([rule.always], has_people)})"
        signals = _texts(rule.signals())
        parts.append(
            f"SELECT date, '{name}', {users}, instr({kept}, '{name},') = 1 FROM active_day "
            f"WHERE signal IN ({signals}) AND instr(',' || {kept}, ',{name},') GROUP BY date"
        )
    columns = "date, definition, users, own"
    return f"CREATE TEMP VIEW {called} ({columns}) AS {' UNION ALL '.join(parts)}"


def _view_by(has_people: bool, of: str) -> str:
    """The view of values: their sets, as far as these are active; and who is in none of them.
    `of` is the view of all users."""
    parts = []
    for name, rule in DEFINITIONS.items():
        if not _SEVERAL.isdisjoint(rule.signals()):
            continue
        signals = _texts(rule.signals())
        for value, key, users in (
            ("value", "date, dimension, value", "bitmap_and(found.users, day.users)"),
            (f"'{UNKNOWN}'", "date, dimension", "bitmap_andnot(day.users, found.users)"),
        ):
            found = (
                f"SELECT date, dimension, {value} AS value, "
                f"{_of(rule.signals(), has_people)} AS users "
                f"FROM active_day_by WHERE signal IN ({signals}) GROUP BY {key}"
            )
            parts.append(
                f"SELECT day.date, '{name}', dimension, value, {users} AS members, own "
                f"FROM ({found}) AS found "
                f"JOIN {of} AS day ON day.date = found.date AND definition = '{name}' "
                "WHERE bitmap_count(members) > 0"
            )
    columns = "date, definition, dimension, value, users, own"
    return f"CREATE TEMP VIEW v_active_day_by ({columns}) AS {' UNION ALL '.join(parts)}"


def make(db: sqlite3.Connection) -> None:
    """Let the queries of a connection use both views."""
    has_people = _has_people(db)
    db.execute(_view(has_people))
    db.execute(_view_by(has_people, "v_active_day"))


def narrow(db: sqlite3.Connection, dimension: str, value: str) -> None:
    """From now on v_active_day, active_user_table and active_user_history of this connection are of
    those alone who had a value of a field."""
    has_people = _has_people(db)
    for view in (*_NARROWED, "v_active_day_by", "v_active_day_of_all"):
        db.execute(f"DROP VIEW IF EXISTS temp.{view}")
    db.execute(_view(has_people, "v_active_day_of_all"))
    db.execute(_view_by(has_people, "v_active_day_of_all"))
    field, value = (f"'{text.replace(chr(39), 2 * chr(39))}'" for text in (dimension, value))
    # A day on which nobody had it is known, too, as far as the field is.
    db.execute(
        "CREATE TEMP VIEW v_active_day (date, definition, users, own) AS "
        "SELECT date, definition, bitmap_or(users), own FROM ("
        "SELECT date, definition, users, own FROM v_active_day_by "
        f"WHERE dimension = {field} AND value = {value} "
        "UNION ALL SELECT date, definition, NULL, own FROM v_active_day_of_all "
        f"WHERE date IN (SELECT date FROM active_day_by WHERE dimension = {field})"
        ") GROUP BY date, definition, own"
    )
    db.execute(
        "CREATE TEMP VIEW active_user_table AS SELECT date, active_user_count "
        f"FROM active_users_by WHERE dimension = {field} AND value = {value}"
    )
    db.execute(
        "CREATE TEMP VIEW active_user_history AS "
        "SELECT date, run_id, active_user_count, changed_at "
        f"FROM active_users_by_history WHERE dimension = {field} AND value = {value}"
    )


def _has_people(db: sqlite3.Connection) -> bool:
    """Earlier versions had no table of them."""
    tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'stitching'"
    return db.execute(tables).fetchone()[0] > 0


def _of(signals: Iterable[str], has_people: bool) -> str:
    """Who has one of these, the devices of a person as one."""
    users = f"bitmap_or(users) FILTER (WHERE signal IN ({_texts(signals)}))"
    if not has_people:
        return users
    return f"stitched({users}, (SELECT devices FROM stitching), (SELECT users FROM stitching))"


def _texts(words: Iterable[str]) -> str:
    return ", ".join(f"'{word}'" for word in sorted(set(words)))
