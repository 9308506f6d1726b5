"""Connections to the database, with what its errors mean.

Plain sqlite3 connections: to load sqlite-utils takes 70 ms, and an import would do so twice.
Whoever has more use for it wraps one.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections.abc import Callable, Iterator

from headcount.checkout import ROOT
from headcount.db import address, properties, sql
from headcount.db.postgres import server
from headcount.errors import FAILED, NO_INPUT, OTHER_SETTINGS, TRY_LATER, WRITE_FAILED, Failure

SCHEMA_VERSION = 11
# Tables that differ in a CHECK or a type from those of the version before.
_REMADE = {"active_day", "active_user_history", "pending_engagement", "pending_session"}
_RENAMED = {"event_timestamp": "event"}  # their columns, since then
# Sessions are kept since version 9; who was active through one before stays so.
_THEN = (
    9,
    "INSERT INTO active_day (date, signal, users) SELECT date, 'engaged-before', users "
    "FROM active_day WHERE signal = 'engaged-session' ON CONFLICT DO NOTHING",
)
_PAGE = 16 << 10  # bytes: large BLOBs are written in 3/4 of the time that 4 KB pages take


class Connection(properties.Named, sqlite3.Connection):
    """One of SQLite, about one property."""


@contextlib.contextmanager
def for_import(path: str, wait: float, *, create: bool = True) -> Iterator[Connection]:
    """The database, made if need be (mode 0600). `wait`: seconds to wait for another's lock.

    It is about the default property until properties.use says another. `path` may be the URL of a
    database of PostgreSQL; what is given then is as much of a connection as imports need.

    Raises Failure: 66 if it is missing and not to be made, 74 if it cannot be written, 75 if it
    stays locked, 78 if it is not a Headcount database of this version.
    """
    if address.is_url(path):
        from headcount.db.postgres import writer  # few have one

        with (
            _sqlite_errors(f"what is staged for {address.shown(path)}", "write"),
            writer.for_import(path, wait, SCHEMA_VERSION, _REMADE, _RENAMED, _THEN) as db,
        ):
            yield db
        return
    if not os.path.exists(path) and not create:
        raise Failure(f"no database {path}; an import makes it", NO_INPUT)
    try:
        # SQLite gives its journals the mode of the database.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror}", WRITE_FAILED) from None
    with (
        errors(path),
        contextlib.closing(
            sqlite3.connect(
                path,
                timeout=wait,
                isolation_level=None,
                check_same_thread=False,
                factory=Connection,
            )
        ) as db,
    ):
        db.execute("PRAGMA foreign_keys = ON")
        _check_version(db, path)
        db.execute(f"PRAGMA page_size = {_PAGE}")  # of a new one
        # Measured with real power cuts: WAL with NORMAL loses commits, WAL with FULL none.
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        if _version(db) < SCHEMA_VERSION:
            with transaction(db):
                _bring_up_to_date(db)
        yield db


@contextlib.contextmanager
def for_reading(path: str) -> Iterator[sqlite3.Connection]:
    """The database for reading; never makes or changes one.

    Raises Failure 66 if there is none, 78 if it is so old that it lacks a table or column that is
    asked for.
    """
    if address.is_url(path):
        from headcount.db.postgres import reader  # few have one

        with (
            _sqlite_errors(address.shown(path), "read"),
            reader.for_reading(path, SCHEMA_VERSION) as db,
        ):
            yield db
        return
    require(path)
    with errors(path, "read"), contextlib.closing(_open_read_only(path)) as db:
        _check_version(db, path)
        if _version(db) == 0:
            raise Failure(f"{path} is empty: no import has begun yet", NO_INPUT)
        try:
            yield db
        except sqlite3.OperationalError as error:
            if not re.match("no such (table|column)", str(error)):
                raise
            check_up_to_date(db, path)
            raise


def _bring_up_to_date(db: sqlite3.Connection) -> None:
    before = _version(db)
    made = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    with open(os.path.join(ROOT, "schema.sql")) as schema:
        statements = sql.statements(schema.read())
    db.execute("PRAGMA legacy_alter_table = ON")  # the rest of the schema is none of its business
    sql.remake(db, made & _REMADE, statements, _RENAMED)
    properties.remake(db, _REMADE, _RENAMED)
    db.execute("PRAGMA legacy_alter_table = OFF")
    if 0 < before < _THEN[0]:
        db.execute(_THEN[1])


def require(path: str, *, file: bool = True) -> None:
    """Raises Failure 66 if there is no such database, 2 if it should be a file and is none."""
    if file:
        address.refuse(path)
    there = server.has_tables(path) if address.is_url(path) else os.path.isfile(path)
    if not there:
        raise Failure(f"no database {address.shown(path)}; 'make import' makes one", NO_INPUT)


def check_up_to_date(db: sqlite3.Connection, path: str) -> None:
    """Raises Failure 78 if the database lacks what this version of its schema has."""
    if _version(db) < SCHEMA_VERSION:
        text = f"{path} was made by an older Headcount: the next import, of anything, mends that"
        raise Failure(text, OTHER_SETTINGS) from None


def _open_read_only(path: str) -> sqlite3.Connection:
    from pathlib import Path  # slow to import, and imports do without

    uri = Path(path).resolve().as_uri()
    connection = sqlite3.connect(f"{uri}?mode=ro", uri=True, timeout=60)
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema")
        return connection
    except sqlite3.OperationalError:
        # On a read-only disk SQLite cannot make its shared memory. If no writer left a journal
        # behind, the file alone is the whole truth.
        connection.close()
        wal = Path(f"{path}-wal")
        if wal.exists() and wal.stat().st_size:
            raise
        return sqlite3.connect(f"{uri}?mode=ro&immutable=1", uri=True)


def _version(db: sqlite3.Connection) -> int:
    return db.execute("PRAGMA user_version").fetchone()[0]


def _check_version(db: sqlite3.Connection, path: str) -> None:
    version = _version(db)
    tables = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise Failure(
            f"{path} was made by a newer Headcount (schema {version}, here {SCHEMA_VERSION}): "
            "update Headcount",
            OTHER_SETTINGS,
        )
    if version == 0 and tables:
        raise Failure(f"{path} is a database of another program; name another --db", OTHER_SETTINGS)


@contextlib.contextmanager
def transaction(db: sqlite3.Connection, commit: Callable[[], None] | None = None):
    """One transaction that holds the write lock from its start; all or nothing.

    `commit` ends it in another way: in another thread, say.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        if commit:
            commit()
        else:
            db.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def errors(path: str, verb: str = "write"):
    """Turn the database's errors into Failures with the right status."""
    of_kind = server.errors if address.is_url(path) else _sqlite_errors
    with of_kind(path, verb):
        yield


@contextlib.contextmanager
def _sqlite_errors(path: str, verb: str):
    try:
        yield
    except sqlite3.Error as error:
        message = str(error)
        name = getattr(error, "sqlite_errorname", "") or ""
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise Failure(f"{path} stayed locked by another program", TRY_LATER) from None
        if name.startswith(("SQLITE_READONLY", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN")):
            status = WRITE_FAILED if verb == "write" else NO_INPUT
            raise Failure(f"cannot {verb} {path}: {message}", status) from None
        if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
            raise Failure(
                f"{path}: {message}; restore a backup, or import the events anew into another --db",
                FAILED,
            ) from None
        raise Failure(f"{path}: {message}", FAILED) from None
