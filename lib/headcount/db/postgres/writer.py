"""A connection to PostgreSQL for imports, that takes the statements of SQLite.

They are translated by headcount.db.postgres.dialect. Large sets of rows go by COPY into a staging
table, and from there into theirs.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from headcount.db import properties, sql
from headcount.db.postgres import server
from headcount.db.postgres.dialect import statements, translated

_COPIED = 100  # rows: fewer are inserted one by one
_INSERT = re.compile(r"INSERT INTO (\w+)(?: \(([^)]*)\))? VALUES \([?, ]+\)(.*)", re.DOTALL)


class _Plain:
    """As far as imports need one of sqlite3."""

    def __init__(self, connection, wait: float):
        self._connection = connection
        self._wait = wait

    @functools.cached_property
    def staging(self) -> sqlite3.Connection:
        """Where stages are attached: they are files of SQLite."""
        return sqlite3.connect(":memory:", isolation_level=None)

    def execute(self, statement: str, values: Sequence = ()):
        """One statement; the start of a transaction waits for others."""
        if statement == "BEGIN IMMEDIATE":
            self._begin()
        elif statement == "ROLLBACK":
            with contextlib.suppress(Exception):  # a lost connection is rolled back by the server
                self._connection.execute(statement)
        elif not statement.startswith("PRAGMA"):
            return self._connection.execute(translated(statement), values)
        return None

    def _begin(self) -> None:
        self._connection.execute("BEGIN")
        server.wait_for_locks(self._connection, self._wait, "LOCAL")
        # of this schema: one database may hold several
        self._connection.execute(
            "SELECT pg_advisory_xact_lock(%s, hashtext(current_schema()))", [server.WRITING]
        )

    def executemany(self, statement: str, rows: Iterable[Sequence]):
        """Insert rows, if they are many by way of a staging table; or change some."""
        rows = iter(rows)
        batch = list(itertools.islice(rows, _COPIED))
        insert = _INSERT.fullmatch(statement)
        if len(batch) < _COPIED or not insert:
            cursor = self._connection.cursor()
            cursor.executemany(translated(statement), [*batch, *rows])
            return cursor
        table, columns, rest = insert.groups()
        columns = columns or ", ".join(self._columns(table))
        staged = self.stage(table, columns, itertools.chain(batch, rows))
        return self.execute(f"INSERT INTO {table} ({columns}) {staged} WHERE true {rest}")

    def _columns(self, table: str) -> list[str]:
        cursor = self.execute(f"SELECT * FROM {table} WHERE false")
        return [column.name for column in cursor.description]

    def stage(self, table: str, columns: str, rows: Iterable[Sequence]) -> str:
        """Within a transaction: copy rows to a place of their own, with the columns of a table.

        Returns a query of them.
        """
        stage = f"staged_{table}"
        cursor = self._connection.cursor()
        cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{stage}")
        cursor.execute(
            translated(
                f"CREATE TEMP TABLE {stage} ON COMMIT DROP AS "
                f"SELECT {columns} FROM {table} WHERE false"
            )
        )
        with cursor.copy(f"COPY {stage} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return f"SELECT {columns} FROM {stage}"


class Connection(properties.Named, _Plain):
    """The same, about one property."""


@contextlib.contextmanager
def for_import(
    url: str,
    wait: float,
    version: int,
    remade: Iterable[str] = (),
    renamed: Mapping[str, str] = MappingProxyType({}),
    then: tuple[int, str] = (0, ""),
) -> Iterator[Connection]:
    """The database, its tables made if need be; raises Failure as connection.for_import does.

    `remade` are the tables that are made anew in a database of an earlier version, some of whose
    columns are `renamed`; `then` is a statement for databases before some version.
    """
    with server.errors(url), server.connect(url) as connection:
        db = Connection(connection, wait)
        db.execute("BEGIN IMMEDIATE")
        try:
            made = server.check_version(connection, url, version)
            if made < version:
                sql.remake(db, remade if made else (), statements(), renamed)
                properties.remake(db, remade, renamed)
                if made and made < then[0]:
                    db.execute(then[1])
                db.execute(f"COMMENT ON TABLE active_user_table IS '{server.MADE_BY}{version}'")
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise
        yield db
