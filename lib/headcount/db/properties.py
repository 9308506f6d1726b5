"""Properties: several apps in one database, whose days, settings, counts are their own.

The tables of active users are there once for each property: under their plain names for the default
one, as p1_active_day and so on for the one whose number is 1 (table `property`). So whatever holds
for one holds for each, and no query can mix them up. The users' dictionary, the ledger and what is
known of erasures are of all: a user id that two apps share is one user.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from headcount.checkout import ROOT
from headcount.errors import USAGE, Failure
from headcount.values.tsv import shown

if TYPE_CHECKING:
    import sqlite3  # slow to import, and a count does without

DEFAULT = "default"
# Those that each property has.
TABLES = (
    "active_day",
    "active_day_by",
    "active_day_by_origin",
    "active_day_sketch",
    "active_user_history",
    "active_user_table",
    "active_users_by",
    "active_users_by_definition",
    "active_users_by_history",
    "corrigible_day",
    "definition_history",
    "dimension",
    "identity_day",
    "local_day",
    "login",
    "origin",
    "pending_engagement",
    "pending_session",
    "run_dimension",
    "setting",
    "stitching",
    "value_in_other",
)
_NAMES = "|".join(TABLES)
# A table is named behind such a word, or before a column of it.
_TABLE = re.compile(
    rf"\b((?:FROM|JOIN|INTO|UPDATE|TABLE|EXISTS|ON|REFERENCES)\s+)({_NAMES})\b(?!')"
    rf"|(?<![\w.'])(?:{_NAMES})(?=\.\w)"
)
_INDEX = re.compile(r"\b(INDEX IF NOT EXISTS )(?=\w)")
_MADE = re.compile(
    r"CREATE (?:TABLE|VIEW) IF NOT EXISTS (\w+)|CREATE INDEX .*? ON (\w+)|INSERT INTO (setting) "
)


@functools.lru_cache(1000)
def named(statement: str, prefix: str) -> str:
    """A statement about the tables of the default property, as one about those of another."""
    statement = _TABLE.sub(lambda m: f"{m[1]}{prefix}{m[2]}" if m[1] else prefix + m[0], statement)
    return _INDEX.sub(rf"\1{prefix}", statement)


class Named:
    """A connection whose statements are about one property: that of `use`."""

    prefix = ""  # of its tables' names
    property = DEFAULT

    def execute(self, statement: str, *values):
        """As sqlite3 does."""
        return super().execute(named(statement, self.prefix) if self.prefix else statement, *values)

    def executemany(self, statement: str, rows: Iterable):
        """As sqlite3 does, for each of the rows."""
        return super().executemany(
            named(statement, self.prefix) if self.prefix else statement, rows
        )


def prefix_of(number: int) -> str:
    """How the names of a property's tables begin."""
    return f"p{number}_"


def statements(script: Iterable[str], prefix: str) -> Iterator[str]:
    """Those of a schema that make the tables of a property."""
    for statement in script:
        plain = re.sub(r"--[^\n]*", "", statement)
        made = _MADE.search(plain.strip())
        if made and next(filter(None, made.groups())) in TABLES:
            yield named(plain, prefix)


def schema(prefix: str) -> Iterator[str]:
    """The same, of schema.sql."""
    from headcount.db import sql

    with open(os.path.join(ROOT, "schema.sql")) as file:
        yield from statements(sql.statements(file.read()), prefix)


def numbers(db) -> dict[str, int]:
    """The number of each property that has one: all but the default one, those among them that only
    a failed run has named."""
    return {name: number for number, name in db.execute("SELECT id, name FROM property").fetchall()}


def names(db: sqlite3.Connection) -> list[str]:
    """For reading: all properties, the default one first."""
    return [DEFAULT, *sorted(_there(db))]


def use(db: Named, name: str) -> None:
    """Within a transaction: from now on the connection is about this property, made if need be."""
    if name == DEFAULT:
        db.prefix, db.property = "", name
        return
    db.prefix, number = "", numbers(db).get(name)
    if number is None:
        last = db.execute("SELECT coalesce(max(id), 0) FROM property").fetchone()[0]
        number = last + 1
        db.execute("INSERT INTO property (id, name) VALUES (?, ?)", [number, name])
        for statement in schema(prefix_of(number)):
            db.execute(statement)
    db.prefix, db.property = prefix_of(number), name


def each(db: Named) -> Iterator[str]:
    """Use all properties in turn, and at the end the one that was used before."""
    before = db.property
    try:
        for name in [DEFAULT, *sorted(numbers(db))]:
            use(db, name)
            yield name
    finally:
        use(db, before)


def remake(db: Named, tables: Iterable[str], renamed: Mapping[str, str]) -> None:
    """Within a transaction: bring the tables of all properties up to date, as sql.remake does."""
    from headcount.db import sql

    for number in numbers(db).values():
        prefix = prefix_of(number)
        remade = [f"{prefix}{table}" for table in tables if table in TABLES]
        sql.remake(db, remade, schema(prefix), renamed)


def show(db: sqlite3.Connection, name: str) -> None:
    """For reading: from now on the plain names are those of this property's tables, in this
    connection. active_user_table_of_all and active_user_history_of_all are its tables of all users,
    also where the plain names are narrowed to the users of a value. Raises Failure 2 if there is no
    such property."""
    there = _there(db)
    if name != DEFAULT and name not in there:
        known = ", ".join(map(shown, [DEFAULT, *sorted(there)]))
        raise Failure(f"no property {shown(name)} in the database; there are: {known}", USAGE)
    prefix = prefix_of(there[name]) if name != DEFAULT else ""
    for table in TABLES:
        _stand_in(db, table, f"main.{prefix}{table}" if prefix else "")
    for table in ("active_user_table", "active_user_history"):
        _stand_in(db, f"{table}_of_all", f"main.{prefix}{table}")


def show_none(db: sqlite3.Connection) -> None:
    """For reading: from now on these tables look empty."""
    for (table,) in db.execute("SELECT name FROM main.sqlite_schema WHERE sql > ''").fetchall():
        if table in TABLES:
            _stand_in(db, table, f"main.{table} WHERE 0")


def _stand_in(db: sqlite3.Connection, table: str, source: str) -> None:
    """Have a plain name mean something else; the table itself, if there is no source."""
    db.execute(f"DROP VIEW IF EXISTS temp.{table}")
    if source:
        db.execute(f"CREATE TEMP VIEW {table} AS SELECT * FROM {source}")


def _there(db: sqlite3.Connection) -> dict[str, int]:
    """The numbers of those that a finished run has brought; a database of an earlier version knows
    none."""
    query = "SELECT count(*) FROM sqlite_schema WHERE name = 'run_property'"
    if not db.execute(query).fetchone()[0]:
        return {}
    brought = {name for (name,) in db.execute("SELECT DISTINCT property FROM run_property")}
    return {name: number for name, number in numbers(db).items() if name in brought}
