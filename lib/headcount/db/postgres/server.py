"""PostgreSQL in place of SQLite: how a database is reached.

Imports go by db.postgres.writer, reports by db.postgres.reader.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from headcount import checkout
from headcount.db.address import shown
from headcount.errors import FAILED, OTHER_SETTINGS, TRY_LATER, WRITE_FAILED, Failure

MADE_BY = "Headcount, schema "  # a comment, followed by the version: what user_version is in SQLite
_CANNOT_WRITE = "25", "53", "58"  # read-only, no room, a broken disk
_NO_RIGHT = "42501"
# When a server counts as gone, in seconds and milliseconds: the system would wait two hours.
_PATIENCE = {
    "connect_timeout": 20,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
# The classes of our advisory locks, so that they are no other program's.
WRITING, LOCK = 0x4865_6164, 0x4865_6165


def connect(url: str):
    """A connection of psycopg, whose values are SQLite's. Raises Failure 75 if there is none."""
    with errors(url):
        import urllib.parse  # slow to import, and databases of SQLite do without

        import psycopg

        from headcount.db.postgres import types

        given = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
        connection = psycopg.connect(
            url,
            autocommit=True,
            client_encoding="utf8",
            options=f"{given.get('options', [''])[-1]} -c datestyle=ISO -c timezone=UTC",
            application_name="headcount",
            **{name: value for name, value in _PATIENCE.items() if name not in given},
        )
    types.register(connection)
    return connection


def wait_for_locks(connection, seconds: float, scope: str = "SESSION") -> None:
    """How long statements wait for others' locks; with LOCAL, those of this transaction."""
    connection.execute(f"SET {scope} lock_timeout = {max(1, round(seconds * 1000))}")


def tables(connection) -> list[str]:
    """The names of the tables of a database."""
    names = connection.execute(
        "SELECT table_name FROM information_schema.tables "
        "WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY 1"
    )
    return [name for (name,) in names]


def _version(connection, url: str) -> int:
    """Which schema the database has; 0 if none. Raises Failure 78 if it is another program's."""
    made = connection.execute(
        "SELECT obj_description(to_regclass('active_user_table'), 'pg_class')"
    ).fetchone()[0]
    if made and made.startswith(MADE_BY):
        return int(made.removeprefix(MADE_BY))
    if tables(connection):
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
    made = _version(connection, url)
    if made > version:
        raise Failure(
            f"{shown(url)} was made by a newer Headcount (schema {made}, here {version}): "
            "update Headcount",
            OTHER_SETTINGS,
        )
    return made


@contextlib.contextmanager
def errors(url: str, verb: str = "write") -> Iterator[None]:
    """Turn PostgreSQL's errors into Failures with the right status."""
    checkout.install("postgres")
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
