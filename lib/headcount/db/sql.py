"""Texts in SQL: quoted names, scripts, dictionaries (id INTEGER PRIMARY KEY, key TEXT)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence

from headcount.errors import USAGE, Failure


def quoted(name: str) -> str:
    """A name as SQL has it, whatever it is. Raises Failure 2 for one that SQL cannot have."""
    if not name or "\0" in name:
        raise Failure(f"{name!r} cannot be a name in SQL", USAGE)
    return '"' + name.replace('"', '""') + '"'


def statements(script: str) -> Iterator[str]:
    """The statements of a script: executescript would commit the transaction we are in."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


_LOOKUP = 500  # texts at a time: twice as fast as one by one, and more is no faster
_STEP = 100  # so that there are few different statements: SQLite keeps those it has prepared


def ids(db: sqlite3.Connection, table: str, keys: Iterable[str]) -> dict[str, int]:
    """The id of each key, within a transaction; new ones get one, in the order of the keys."""
    texts = sorted(set(keys))
    last = db.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()[0]
    known = select(db, f"SELECT key, id FROM {table} WHERE key", texts) if last else {}
    new = {text: last + i for i, text in enumerate((t for t in texts if t not in known), 1)}
    db.executemany(f"INSERT INTO {table} (key, id) VALUES (?, ?)", new.items())
    return known | new


def keys(db: sqlite3.Connection, table: str, ids: Iterable[int]) -> dict[int, str]:
    """The key of each id."""
    return select(db, f"SELECT id, key FROM {table} WHERE id", list(ids))


def select(db: sqlite3.Connection, columns: str, wanted: list, values: Sequence[str] = ()) -> dict:
    """What a query of two columns finds where the column that it ends with is in `wanted`.

    `values` are those of the places that the query has before.
    """
    ids = {}
    for start in range(0, len(wanted), _LOOKUP):
        batch = wanted[start : start + _LOOKUP]
        missing = -len(batch) % _STEP
        query = f"{columns} IN ({', '.join('?' * (len(batch) + missing))})"
        ids |= dict(db.execute(query, [*values, *batch, *[None] * missing]))
    return ids


def remake(db, tables: Iterable[str], make: Iterable[str], renamed: Mapping[str, str]) -> None:
    """Within a transaction: `make` the schema, these tables of it anew, with the rows they had.

    (A CHECK cannot be altered.) `renamed` has the new names of columns.
    """
    tables = list(tables)
    for table in tables:
        db.execute(f"ALTER TABLE {table} RENAME TO {table}_before")
    for statement in make:
        db.execute(statement)
    for table in tables:
        of_before = db.execute(f"SELECT * FROM {table}_before LIMIT 0").description
        names = [column[0] for column in of_before]
        columns = ", ".join(renamed.get(name, name) for name in names)
        db.execute(f"INSERT INTO {table} ({columns}) SELECT {', '.join(names)} FROM {table}_before")
        db.execute(f"DROP TABLE {table}_before")
