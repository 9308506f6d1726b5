"""PostgreSQL in place of SQLite: a connection for imports that takes the same statements.

The schema and the statements are SQLite's, translated by headcount.postgres_dialect. Large
sets of rows go by COPY into a staging table, and from there into theirs.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import re
import sqlite3
import subprocess
import urllib.parse
from collections.abc import Iterable, Iterator, Sequence

from headcount import extras
from headcount.failure import FAILED, OTHER_SETTINGS, TRY_LATER, USAGE, WRITE_FAILED, Failure
from headcount.postgres_dialect import statements, translated

_SCHEMES = ("postgresql://", "postgres://")
_SCHEMA = "Headcount, schema "  # a comment, followed by the version: what user_version is in SQLite
_CANNOT_WRITE = "25", "53", "58"  # read-only, no room, a broken disk
_NO_RIGHT = "42501"
_COPIED = 100  # rows: fewer are inserted one by one
# The classes of our advisory locks, so that they are no other program's.
WRITING, TURN = 0x4865_6164, 0x4865_6165
_INSERT = re.compile(r"INSERT INTO (\w+)(?: \(([^)]*)\))? VALUES \([?, ]+\)(.*)", re.DOTALL)


def is_url(db: str) -> bool:
    """Whether a database is one of PostgreSQL."""
    return db.startswith(_SCHEMES)


def refuse(db: str) -> None:
    """Raises Failure 2 if a database is one of PostgreSQL."""
    if is_url(db):
        raise Failure("this works on databases of SQLite alone", USAGE)


def beside(url: str) -> str:
    """How the names of what imports keep on this host begin; lib/import.sh makes them."""
    done = subprocess.run(["cksum"], input=os.fsencode(url), capture_output=True, check=True)
    return os.path.join(cache(), done.stdout.decode().strip().replace(" ", "-"))


def cache() -> str:
    """The folder where that is."""
    folder = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(folder, "headcount")


def shown(url: str) -> str:
    """What a message calls the database: without a password."""
    if not is_url(url):
        return url
    parts = urllib.parse.urlsplit(url)
    where = parts.netloc.rpartition("@")[2]
    who = parts.username
    query = "" if "password" in parts.query else parts.query
    netloc = f"{who}@{where}" if who else where
    return f"{parts.scheme}://{netloc}{parts.path}{query and '?'}{query}"


def connect(url: str):
    """A connection of psycopg, whose values are SQLite's. Raises Failure 75 if there is none."""
    with errors(url):
        import psycopg

        from headcount import postgres_types

        connection = psycopg.connect(
            url,
            autocommit=True,
            client_encoding="utf8",
            options=f"{_options(url)} -c datestyle=ISO -c timezone=UTC",
            application_name="headcount",
        )
    postgres_types.register(connection)
    return connection


def _options(url: str) -> str:
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
    return query.get("options", [""])[-1]


class Connection:
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
        msec = max(1, round(self._wait * 1000))
        self._connection.execute(f"SET LOCAL lock_timeout = {msec}")
        # of this schema: one database may hold several
        self._connection.execute(
            "SELECT pg_advisory_xact_lock(%s, hashtext(current_schema()))", [WRITING]
        )

    def executemany(self, statement: str, rows: Iterable[Sequence]):
        """Insert rows, if they are many by way of a staging table; or change some."""
        rows = iter(rows)
        some = list(itertools.islice(rows, _COPIED))
        insert = _INSERT.fullmatch(statement)
        if len(some) < _COPIED or not insert:
            cursor = self._connection.cursor()
            cursor.executemany(translated(statement), [*some, *rows])
            return cursor
        table, columns, rest = insert.groups()
        columns = columns or ", ".join(self._columns(table))
        staged = self.stage(table, columns, itertools.chain(some, rows))
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


@contextlib.contextmanager
def for_import(url: str, wait: float, version: int) -> Iterator[Connection]:
    """The database, its tables made if need be; raises Failure as store.for_import does."""
    with errors(url), connect(url) as connection:
        db = Connection(connection, wait)
        db.execute("BEGIN IMMEDIATE")
        try:
            if check_version(connection, url, version) < version:
                _bring_up_to_date(db, version)
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise
        yield db


def _version(connection, url: str) -> int:
    """Which schema the database has; 0 if none. Raises Failure 78 if it is another program's."""
    found = connection.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
    )
    tables = {name for (name,) in found}
    made = connection.execute(
        "SELECT obj_description(to_regclass('active_user_table'), 'pg_class')"
    ).fetchone()[0]
    if made and made.startswith(_SCHEMA):
        return int(made.removeprefix(_SCHEMA))
    if tables:
        raise Failure(
            f"{shown(url)} has tables of another program: name another --db, or a schema of its "
            "own: ?options=-csearch_path%3Dheadcount",
            OTHER_SETTINGS,
        )
    return 0


def has_tables(url: str) -> bool:
    """Whether an import has begun. Raises Failure as `check_version` does, or 75."""
    with errors(url, "read"), connect(url) as connection:
        return _version(connection, url) > 0


def check_version(connection, url: str, version: int) -> int:
    """Which schema the database has; 0 if none. Raises Failure 78 if it is not ours, or newer."""
    found = _version(connection, url)
    if found > version:
        raise Failure(
            f"{shown(url)} was made by a newer Headcount (schema {found}, here {version}): "
            "update Headcount",
            OTHER_SETTINGS,
        )
    return found


def _bring_up_to_date(db: Connection, version: int) -> None:
    for statement in statements():
        db.execute(statement)
    db.execute(f"COMMENT ON TABLE active_user_table IS '{_SCHEMA}{version}'")


@contextlib.contextmanager
def errors(url: str, verb: str = "write") -> Iterator[None]:
    """Turn PostgreSQL's errors into Failures with the right status."""
    extras.install("postgres")
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        message = (str(error).strip().splitlines() or [type(error).__name__])[0]
        state = error.sqlstate or ""
        name = shown(url)
        if isinstance(error, psycopg.errors.LockNotAvailable):
            raise Failure(f"{name} stayed locked by another program", TRY_LATER) from None
        if state[:2] in _CANNOT_WRITE or state == _NO_RIGHT:
            raise Failure(f"cannot {verb} {name}: {message}", WRITE_FAILED) from None
        if isinstance(error, psycopg.OperationalError):
            raise Failure(f"{name}: {message}", TRY_LATER) from None
        raise Failure(f"{name}: {message}", FAILED) from None
