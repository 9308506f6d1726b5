"""A database of PostgreSQL for reading: the tables that a query names, copied into SQLite.

So reports, checks and functions of SQL are the same, to the letter, and so are their rows. Every
table is of one moment: that of the first one.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections.abc import Iterator

from headcount.checkout import ROOT
from headcount.db import address, properties
from headcount.db.postgres import server
from headcount.errors import NO_INPUT, Failure

_ROWS = 10_000  # at a time
_SEARCHED = {"comment_search": "comment", "recent_change_search": "recent_change_raw"}


class Copy(sqlite3.Connection):
    """Fetches a table when a query is the first to name it."""

    source = None  # a connection of psycopg
    missing: frozenset[str] = frozenset()

    def execute(self, statement: str, *values):
        """As it is, of tables that have come."""
        if self.missing and re.match(r"(\s|--[^\n]*\n)*(SELECT|WITH)\b", statement, re.IGNORECASE):
            for table in sorted(self._named(statement, *values) & self.missing):
                self.missing -= {table}
                self._fetch(table)
        return super().execute(statement, *values)

    def _named(self, statement: str, *values) -> set[str]:
        """The tables that a query reads, those behind views and functions of SQL among them."""
        if "pragma_" in statement:  # which look at all
            return set(self.missing)
        names = set()

        def note(action, table, _column, _database, _inner) -> int:
            if action == sqlite3.SQLITE_READ:
                names.add(table)
            return sqlite3.SQLITE_OK

        self.set_authorizer(note)
        try:
            super().execute(f"EXPLAIN {statement}", *values).close()
        finally:
            self.set_authorizer(None)
        return names

    def _fetch(self, table: str) -> None:
        if table in _SEARCHED:
            self._fetch(_SEARCHED[table])
            super().execute(f"INSERT INTO {table} ({table}) VALUES ('rebuild')")
            return
        columns = [row[1] for row in super().execute(f'PRAGMA main.table_info("{table}")')]
        names = ", ".join(f'"{column}"' for column in columns)
        places = ", ".join("?" * len(columns))
        with self.source.cursor(name="headcount_copy") as cursor:
            cursor.itersize = _ROWS
            cursor.execute(f'SELECT {names} FROM "{table}"')
            self.executemany(f'INSERT OR REPLACE INTO main."{table}" VALUES ({places})', cursor)


@contextlib.contextmanager
def for_reading(url: str, version: int) -> Iterator[sqlite3.Connection]:
    """The database, as store.for_reading gives one. Raises Failure as it does."""
    with (
        server.connect(url) as source,
        contextlib.closing(sqlite3.connect(":memory:", isolation_level=None, factory=Copy)) as db,
    ):
        with server.errors(url, "read"):
            source.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            if not server.check_version(source, url, version):
                raise Failure(f"{address.shown(url)}: no import has begun yet", NO_INPUT)
            tables = server.tables(source)
        with open(os.path.join(ROOT, "schema.sql")) as schema:
            db.executescript(schema.read())
        db.source = source
        for (number,) in source.execute("SELECT id FROM property") if "property" in tables else ():
            for statement in properties.schema(properties.prefix_of(number)):
                db.execute(statement)
        db.missing = frozenset({*tables, *_SEARCHED})
        with server.errors(url, "read"):
            yield db
