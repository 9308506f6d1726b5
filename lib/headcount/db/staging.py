"""Rows on their way into the database: sorted runs in files beside it, a file for each process.

A run is a table of some 50,000 rows, written in the order of its keys. Merged, runs bring their
rows to the database in that order, too: however many they are, it is written front to back, and
memory stays flat. (https://en.wikipedia.org/wiki/Log-structured_merge-tree)
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from headcount.db import connection
from headcount.errors import Failure

MOST_FILES = 9  # SQLite opens ten beside a database
MOST_ROWS = 50_000  # to hold
_VALUES = 1000  # to insert with a statement, which takes at most 32,766
_RUNS = 32  # to merge at once: measured, hardly slower than two
_PAGE = 32 << 10  # bytes
_CACHE = 16 << 10  # KB
_SUFFIX = ".rows"

# Where the module knows no adapter for a type, it searches for long: a quarter of the time went.
sqlite3.register_adapter(type(None), lambda none: none)

Row = tuple  # the key first


class Table(Protocol):
    """A table of the database, or of a stage of it, and how two rows with one key become one."""

    name: str
    columns: tuple[str, ...]
    key: str  # the first column, as it is declared

    def merged(self, one: Row, other: Row) -> Row:
        """One row of two with the same key; it makes no difference which comes first."""

    def merge_into(self, target: str, rows: str) -> str:
        """The statement that merges a query's rows into a table likewise.

        It changes as many rows as are new or become others.
        """


def _be_quick(db: sqlite3.Connection, name: str) -> None:
    """With a stage: what is lost with a crash is read again."""
    for pragma in (f"cache_size = -{_CACHE}", "journal_mode = OFF", "synchronous = OFF"):
        db.execute(f"PRAGMA {name}.{pragma}")


class Stage:
    """Takes the rows of a process, and of each that is forked from it."""

    def __init__(self, folder: str, tables: Sequence[Table], most_rows: int = MOST_ROWS):
        self._folder = folder
        self._most_rows = most_rows
        self._held: dict[Table, dict[object, Row]] = {table: {} for table in tables}
        self._runs: dict[Table, list[list[str]]] = {table: [] for table in tables}  # by level
        self._db: sqlite3.Connection | None = None
        self._numbers = itertools.count(1)

    def add(self, table: Table, rows: Iterable[Row]) -> None:
        """Take in rows; those with one key become one. Raises Failure 74 if the disk is full."""
        held = self._held[table]
        for row in rows:
            key = row[0]
            known = held.get(key)
            if known is None:
                held[key] = row
            elif known != row:
                held[key] = table.merged(known, row)
        if len(held) > self._most_rows:
            self._write(table)

    def settle(self) -> None:
        """Write what is held, if it is much: a good moment, as larger keys may follow from here on.

        (Runs that do not overlap need no merging.)
        """
        for table, held in self._held.items():
            if len(held) > self._most_rows // 2:
                self._write(table)

    def flush(self) -> None:
        """Write what is held: the last thing that each process does."""
        for table in self._held:
            self._write(table)
            levels = self._runs[table]
            if sum(map(len, levels)) > _RUNS:  # SQLite has its limits, and there are other stages
                self._merge(table, [run for level in levels for run in level])

    def _write(self, table: Table) -> None:
        held = self._held[table]
        if not held:
            return
        with connection.errors(self._folder):
            if self._db is None:
                self._db = self._open()
            with connection.transaction(self._db):
                run = self._new_run(table)
                _insert(self._db, run, list(map(held.get, sorted(held))))
                self._enter(table, run, 0)
        held.clear()

    def _open(self) -> sqlite3.Connection:
        path = os.path.join(self._folder, f"{os.getpid()}{_SUFFIX}")
        db = sqlite3.connect(path, isolation_level=None)
        db.execute(f"PRAGMA page_size = {_PAGE}")
        _be_quick(db, "main")
        return db

    def _new_run(self, table: Table) -> str:
        run = f"{table.name}_{next(self._numbers)}"
        self._db.execute(_made(run, table))
        return run

    def _enter(self, table: Table, run: str, level: int) -> None:
        """Merge runs of a level to one of the next as soon as there are many."""
        levels = self._runs[table]
        if level == len(levels):
            levels.append([])
        levels[level].append(run)
        if len(levels[level]) == _RUNS:
            merged = self._merge(table, levels[level])
            levels[level].clear()
            self._enter(table, merged, level + 1)

    def _merge(self, table: Table, runs: list[str]) -> str:
        merged = self._new_run(table)
        self._db.execute(table.merge_into(merged, in_order(self._db, table, runs)))
        for run in runs:
            self._db.execute(f"DROP TABLE {run}")
        return merged


def _insert(db: sqlite3.Connection, run: str, rows: list[Row]) -> None:
    """Some rows with each statement: that takes two thirds of the time."""
    width = len(rows[0])
    row, many = f"({', '.join('?' * width)})", max(1, _VALUES // width)
    for start in range(0, len(rows), many):
        batch = rows[start : start + many]
        values = list(itertools.chain.from_iterable(batch))
        db.execute(f"INSERT INTO {run} VALUES {', '.join([row] * len(batch))}", values)


def in_order(db: sqlite3.Connection, table: Table, runs: list[str]) -> str:
    """A query of the rows of some runs, in the order of their keys; a key may come again."""
    if chain := _chain(db, table, runs):
        return as_they_come(table, chain)
    return f"{as_they_come(table, runs)} ORDER BY 1"


def as_they_come(table: Table, runs: list[str]) -> str:
    """A query of the rows of some runs, one run after the other: it takes half the time."""
    columns = ", ".join(table.columns)
    return " UNION ALL ".join(f"SELECT {columns} FROM {run}" for run in runs)


def size(db: sqlite3.Connection, runs: list[str]) -> int:
    """The bytes that the stages of some attached runs take."""
    names = {run.partition(".")[0] for run in runs}
    pages = sum(db.execute(f"PRAGMA {name}.page_count").fetchone()[0] for name in names)
    return pages * _PAGE


def _chain(db: sqlite3.Connection, table: Table, runs: list[str]) -> list[str]:
    """The runs in the order of their keys; none if two overlap."""
    key, ends = table.columns[0], []
    for run in runs:
        # (SQLite looks at two ends of an index only if it is asked for one at a time.)
        query = f"SELECT (SELECT min({key}) FROM {run}), (SELECT max({key}) FROM {run})"
        ends.append((*db.execute(query).fetchone(), run))
    ends.sort()
    overlap = any(one[1] >= other[0] for one, other in itertools.pairwise(ends))
    return [] if overlap else [run for *_, run in ends]


def _made(name: str, table: Table) -> str:
    """The statement that makes a table of rows in the order of their keys."""
    others = "".join(f", {column}" for column in table.columns[1:])
    kind = "" if "INTEGER" in table.key else " WITHOUT ROWID"  # such a key is the rowid
    return f"CREATE TABLE {name} ({table.key} PRIMARY KEY{others}){kind}"


def distinct(db: sqlite3.Connection, table: Table, runs: list[str]) -> str:
    """A query of the rows of attached runs, in the order of their keys, each key once."""
    if not _chain(db, table, runs):
        merged = f"{runs[0].partition('.')[0]}.{table.name}_merged"
        db.execute(_made(merged, table))
        db.execute(table.merge_into(merged, in_order(db, table, runs)))
        runs = [merged]
    return in_order(db, table, runs)


@contextlib.contextmanager
def attached(
    db: sqlite3.Connection, folder: str, tables: Sequence[Table]
) -> Iterator[dict[Table, list[str]]]:
    """The runs of each table of all stages in a folder, as a database sees them meanwhile.

    Raises Failure if the folder is gone: then its pipeline is, too.
    """
    runs: dict[Table, list[str]] = {table: [] for table in tables}
    db = getattr(db, "staging", db)  # a database elsewhere sees no files
    names = []
    try:
        files = [file for file in os.listdir(folder) if file.endswith(_SUFFIX)]
    except FileNotFoundError:
        raise Failure("was stopped: nothing was imported") from None
    for i, file in enumerate(files):
        names.append(name := f"stage_{i}")
        db.execute(f"ATTACH ? AS {name}", [os.path.join(folder, file)])
        _be_quick(db, name)
        for (run,) in db.execute(f"SELECT name FROM {name}.sqlite_schema WHERE type = 'table'"):
            table = next(table for table in tables if table.name == run.rpartition("_")[0])
            runs[table].append(f"{name}.{run}")
    yield runs
    for name in names:
        db.execute(f"DETACH {name}")
