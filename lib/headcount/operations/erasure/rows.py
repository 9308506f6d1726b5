"""Texts in the tables of the database, row by row."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import NamedTuple

from headcount.db.postgres import server
from headcount.db.sql import quoted
from headcount.pipelines.recent_changes import record
from headcount.values.spellings import Spellings

_AT_ONCE = 2000  # rows
_TEXTS = ("TEXT", "DATE")


class Left(NamedTuple):
    """Where a name still stands."""

    table: str
    column: str
    row: str  # its number, or its key

    def __str__(self) -> str:
        return f"{self.table}.{self.column}, row {self.row}"


class Searched(NamedTuple):
    """A table that was searched."""

    table: str
    columns: tuple[str, ...]
    rows: int


def change(
    db: sqlite3.Connection, table: str, column: str, key: str, new: Callable[[str], str]
) -> int:
    """Within a transaction: change the texts of a column; how many have become others."""
    changed = 0
    for some in _batches(db, table, column, key):
        others = ((new(text), text, which) for which, text in some)
        updates = [(other, which) for other, text, which in others if other != text]
        db.executemany(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", updates)
        changed += len(updates)
    return changed


def _batches(db: sqlite3.Connection, table: str, column: str, key: str) -> Iterator[list[tuple]]:
    """Keys and texts; a large table comes in parts."""
    query = f"SELECT {key}, {column} FROM {table} WHERE {column} IS NOT NULL"
    if key == "rowid":
        yield db.execute(query).fetchall()
        return
    some = db.execute(f"{query} ORDER BY {key} LIMIT {_AT_ONCE}").fetchall()
    while some:
        yield some
        more = f"{query} AND {key} > ? ORDER BY {key} LIMIT {_AT_ONCE}"
        some = db.execute(more, [some[-1][0]]).fetchall()


def distinct(db: sqlite3.Connection, table: str, column: str) -> list[str]:
    """The texts of a column, each once."""
    query = f"SELECT DISTINCT {column} FROM {table} WHERE {column} IS NOT NULL"
    return [text for (text,) in db.execute(query).fetchall()]


def search(
    db: sqlite3.Connection, exact: Spellings, free: Spellings, is_part: bool
) -> tuple[list[Searched], list[Left]]:
    """Every text of every table: which tables that were, and where the name is.

    `free` is for the columns whose source spells names freely. `is_part`: it counts also as a part
    of a longer word.
    """
    searched, left = [], []
    for table, key, columns in _tables(db):
        count = 0
        spellings = [free if (table, c) in _FREE else exact for c in columns]
        query = f"SELECT {key}, {', '.join(map(quoted, columns))} FROM {quoted(table)}"
        for row in db.execute(query):
            count += 1
            values = row[-len(columns) :]
            for column, text, spelling in zip(columns, values, spellings, strict=True):
                if not isinstance(text, str) or not spelling.in_text(text):
                    continue
                if is_part or _stands_in(text, column, spelling):
                    number = ", ".join(_masked(spelling, v) for v in row[: -len(columns)])
                    left.append(Left(table, column, number))
        searched.append(Searched(table, columns, count))
    return searched, left


def search_server(
    url: str, exact: Spellings, free: Spellings, is_part: bool
) -> tuple[list[Searched], list[Left]]:
    """The same of a server's tables. Raises Failure."""
    with server.errors(url, "read"), server.connect(url) as connection:
        return search(_OfServer(connection), exact, free, is_part)


# The columns in which a name is looked for in any case, and with _ for its blanks.
_FREE = {
    ("recent_change_raw", "event"),
    ("recent_change_raw", "user"),
    ("comment", "message"),
    ("waiting_text", "message"),
    ("event", "other_metrics"),
}


def _stands_in(text: str, column: str, spelling: Spellings) -> bool:
    """Whether a name stands there as a word that would have been changed."""
    if column == "event":  # the events of recent changes
        return spelling.replaced_in_json(text, "", record.FIELDS) != text
    return spelling.stands_in(text)


def _masked(spelling: Spellings, value: object) -> str:
    """A key, without the name."""
    return "…" if isinstance(value, str) and spelling.in_text(value) else str(value)


class _OfServer:
    """A connection to a server, from which many rows come bit by bit."""

    def __init__(self, connection):
        self._connection = connection

    def tables(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """The tables with texts."""
        for table in server.tables(self._connection):
            query = (
                "SELECT column_name FROM information_schema.columns WHERE table_name = %s "
                "AND table_schema = current_schema() AND data_type IN ('text', 'date') ORDER BY 1"
            )
            columns = [name for (name,) in self._connection.execute(query, [table])]
            if columns:
                yield table, "ctid", tuple(columns)

    def execute(self, query: str) -> Iterator[tuple]:
        """The rows of a query."""
        with self._connection.transaction(), self._connection.cursor(name="rows") as cursor:
            cursor.execute(query)
            yield from cursor


def _tables(db) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """The tables with texts: name, what tells rows apart, the columns."""
    if isinstance(db, _OfServer):
        yield from db.tables()
        return
    query = "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
    for table, is_keyed in db.execute(f"{query} ORDER BY name").fetchall():
        if table.startswith("sqlite_"):
            continue
        info = db.execute("SELECT name, type, pk FROM pragma_table_xinfo(?)", [table]).fetchall()
        columns = tuple(name for name, kind, _ in info if kind.upper() in _TEXTS)
        keys = [quoted(name) for name, _, place in info if place]
        if columns:
            yield table, ", ".join(keys) if is_keyed else "rowid", columns
