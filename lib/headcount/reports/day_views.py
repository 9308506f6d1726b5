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
_BROKEN_DOWN = [name for name, rule in DEFINITIONS.items() if _SEVERAL.isdisjoint(rule.signals())]


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


def _enough(name: str) -> set[str]:
    """The signals of a definition each of which makes active by itself. Whose event gave one of
    these with a value is active, so that the set of a value need not be held against the whole."""
    rule = DEFINITIONS[name]
    found = set(rule.signals()).intersection(*rule.needs)
    return set() if rule.unless else found


def _view_by(has_people: bool, of: str) -> str:
    """The view of values: their sets, as far as these are active; and who is in none of them.
    `of` is the view of all users."""
    parts = []
    for name in _BROKEN_DOWN:
        signals = _texts(DEFINITIONS[name].signals())
        having = _stitched("bitmap_or(users)", has_people)
        found = "SELECT date, dimension, {}" + (
            f"{having} AS users, {_is_enough(name)} AS is_enough "
            f"FROM active_day_by WHERE signal IN ({signals}) GROUP BY date, dimension"
        )
        parts += [
            f"SELECT day.date, '{name}', dimension, value, "
            "iif(is_enough, found.users, bitmap_and(found.users, day.users)), own "
            f"FROM ({found.format('value, ')}, value) AS found JOIN {of} AS day "
            f"ON day.date = found.date AND definition = '{name}' "
            "WHERE iif(is_enough, 1, bitmap_count(found.users, day.users)) > 0",
            f"SELECT day.date, '{name}', field, '{UNKNOWN}', "
            "bitmap_andnot(day.users, found.users), own "
            f"FROM {of} AS day JOIN dimension ON day.date >= since "
            f"LEFT JOIN ({found.format('')}) AS found "
            "ON found.date = day.date AND found.dimension = field "
            f"WHERE definition = '{name}' "
            "AND bitmap_count(day.users) > bitmap_count(day.users, found.users)",
        ]
    columns = "date, definition, dimension, value, users, own"
    return f"CREATE TEMP VIEW v_active_day_by ({columns}) AS {' UNION ALL '.join(parts)}"


def make(db: sqlite3.Connection) -> None:
    """Let the queries of a connection use both views."""
    has_people = _has_people(db)
    db.execute(_view(has_people))
    db.execute(_view_by(has_people, "v_active_day"))


class Narrowing:
    """The views of a connection, narrowed to those who had a value of a field; one after another.

    A day on which nobody had the value is known, too, as far as the field is.
    """

    def __init__(self, db: sqlite3.Connection, field: str, values: Iterable[str]):
        """`values`: those that will be asked for."""
        self._db, self._field = db, _text(field)
        self._has_people = _has_people(db)
        for view in (*_NARROWED, "v_active_day_by", "v_active_day_of_all"):
            db.execute(f"DROP VIEW IF EXISTS temp.{view}")
        db.execute(_view(self._has_people, "v_active_day_of_all"))
        db.execute(_view_by(self._has_people, "v_active_day_of_all"))
        # Large sets, and few need them: those of a value are mostly enough.
        query = "SELECT DISTINCT signal FROM active_day_by WHERE dimension = ?"
        signals = {signal for (signal,) in db.execute(query, [field])}
        needs_all = UNKNOWN in values or any(
            signals & DEFINITIONS[name].signals() - _enough(name) for name in _BROKEN_DOWN
        )
        users = "users" if needs_all else "NULL"
        query = (
            f"SELECT date, definition, {users}, own FROM v_active_day_of_all "
            f"WHERE date >= (SELECT since FROM dimension WHERE field = {self._field})"
        )
        db.execute("DROP TABLE IF EXISTS temp.day_of_field")
        db.execute("CREATE TEMP TABLE day_of_field (date, definition, users, own)")
        # (A SELECT by itself: it makes a copy of PostgreSQL fetch its tables.)
        db.executemany("INSERT INTO day_of_field VALUES (?, ?, ?, ?)", db.execute(query))

    def to(self, value: str) -> None:
        """From now on v_active_day, active_user_table and active_user_history are of those alone
        who had this value."""
        db, of_field = self._db, f"dimension = {self._field}"
        of_value = f"{of_field} AND value = {_text(value)}"
        for view in _NARROWED:
            db.execute(f"DROP VIEW IF EXISTS temp.{view}")
        parts = [
            "SELECT date, definition, NULL, own FROM day_of_field "
            f"WHERE definition NOT IN ({_texts(_BROKEN_DOWN)})"
        ]
        for name in _BROKEN_DOWN:
            users = _stitched("bitmap_or(part.users)", self._has_people)
            if value == UNKNOWN:
                users = f"bitmap_andnot(day.users, {users})"
            else:
                users = f"iif({_is_enough(name)}, {users}, bitmap_and({users}, day.users))"
            parts.append(
                f"SELECT day.date, '{name}', {users}, own FROM day_of_field AS day "
                f"LEFT JOIN active_day_by AS part ON part.date = day.date "
                f"AND signal IN ({_texts(DEFINITIONS[name].signals())}) "
                f"AND {of_field if value == UNKNOWN else of_value} "
                f"WHERE definition = '{name}' GROUP BY day.date"
            )
        columns = "date, definition, users, own"
        db.execute(f"CREATE TEMP VIEW v_active_day ({columns}) AS {' UNION ALL '.join(parts)}")
        db.execute(
            "CREATE TEMP VIEW active_user_table AS SELECT date, active_user_count "
            f"FROM active_users_by WHERE {of_value}"
        )
        db.execute(
            "CREATE TEMP VIEW active_user_history AS "
            "SELECT date, run_id, active_user_count, changed_at "
            f"FROM active_users_by_history WHERE {of_value}"
        )


def _has_people(db: sqlite3.Connection) -> bool:
    """Earlier versions had no table of them."""
    tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'stitching'"
    return db.execute(tables).fetchone()[0] > 0


def _of(signals: Iterable[str], has_people: bool) -> str:
    """Who has one of these, the devices of a person as one."""
    return _stitched(f"bitmap_or(users) FILTER (WHERE signal IN ({_texts(signals)}))", has_people)


def _stitched(users: str, has_people: bool) -> str:
    if not has_people:
        return users
    return f"stitched({users}, (SELECT devices FROM stitching), (SELECT users FROM stitching))"


def _is_enough(name: str) -> str:
    """Whether rows have no signals but those that are enough for a definition."""
    return f"min(signal IN ({_texts(_enough(name))}))"


def _texts(words: Iterable[str]) -> str:
    return ", ".join(map(_text, sorted(set(words))))


def _text(word: str) -> str:
    if "\0" in word:  # which ends a statement
        return f"CAST(X'{word.encode().hex()}' AS TEXT)"
    return f"'{word.replace(chr(39), 2 * chr(39))}'"
