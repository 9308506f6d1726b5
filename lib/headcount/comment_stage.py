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
from collections.abc import Iterable, Iterator

from headcount import store
from headcount.comment_tables import TABLES, Row, Table
from headcount.failure import Failure

MOST_FILES = 9  # SQLite opens ten beside a database
_MOST_ROWS = 50_000  # to hold
_RUNS = 32  # to merge at once: measured, hardly slower than two
_PAGE = 32 << 10  # bytes
_CACHE = 16 << 10  # KB
_SUFFIX = ".rows"


class Stage:
    """Takes the rows of a process, and of each that is forked from it."""

    def __init__(self, folder: str):
        self._folder = folder
        self._held: dict[Table, dict[str, Row]] = {table: {} for table in TABLES}
        self._runs: dict[Table, list[list[str]]] = {table: [] for table in TABLES}  # by level
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
        if len(held) > _MOST_ROWS:
            self._write(table)

    def flush(self) -> None:
        """Write what is held: the last thing that each process does."""
        for table in TABLES:
            self._write(table)
            levels = self._runs[table]
            if sum(map(len, levels)) > _RUNS:  # SQLite has its limits, and there are other stages
                self._merge(table, [run for level in levels for run in level])

    def _write(self, table: Table) -> None:
        held = self._held[table]
        if not held:
            return
        marks = ", ".join("?" * len(table.columns))
        with store.errors(self._folder):
            if self._db is None:
                self._db = self._open()
            with store.transaction(self._db):
                run = self._new_run(table)
                rows = map(held.get, sorted(held))
                self._db.executemany(f"INSERT INTO {run} VALUES ({marks})", rows)
                self._enter(table, run, 0)
        held.clear()

    def _open(self) -> sqlite3.Connection:
        path = os.path.join(self._folder, f"{os.getpid()}{_SUFFIX}")
        db = sqlite3.connect(path, isolation_level=None)
        # What is lost with a crash is read again.
        for pragma in (
            f"page_size = {_PAGE}",
            f"cache_size = -{_CACHE}",
            "journal_mode = OFF",
            "synchronous = OFF",
        ):
            db.execute(f"PRAGMA {pragma}")
        return db

    def _new_run(self, table: Table) -> str:
        run = f"{table.name}_{next(self._numbers)}"
        columns = ", ".join(table.columns)
        self._db.execute(f"CREATE TABLE {run} ({columns}, PRIMARY KEY ({table.key})) WITHOUT ROWID")
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
        self._db.execute(table.merge_into(merged, in_order(table, runs)))
        for run in runs:
            self._db.execute(f"DROP TABLE {run}")
        return merged


def in_order(table: Table, runs: list[str]) -> str:
    """A query of the rows of some runs, in the order of their keys; a key may come again."""
    return f"{_all(table, runs)} ORDER BY 1"


def grouped(table: Table, runs: list[str]) -> str:
    """Likewise, each key once; it sorts them anew."""
    columns = [table.key]
    columns += [f"min({name}) AS {name}" for name in table.least]
    columns += [f"max({name}) AS {name}" for name in table.greatest]
    return f"SELECT {', '.join(columns)} FROM ({_all(table, runs)}) GROUP BY 1"


def _all(table: Table, runs: list[str]) -> str:
    columns = ", ".join(table.columns)
    return " UNION ALL ".join(f"SELECT {columns} FROM {run}" for run in runs)


@contextlib.contextmanager
def attached(db: sqlite3.Connection, folder: str) -> Iterator[dict[Table, list[str]]]:
    """The runs of each table of all stages in a folder, as a database sees them meanwhile.

    Raises Failure if the folder is gone: then its pipeline is, too.
    """
    runs: dict[Table, list[str]] = {table: [] for table in TABLES}
    names = []
    try:
        files = [file for file in os.listdir(folder) if file.endswith(_SUFFIX)]
    except FileNotFoundError:
        raise Failure("was stopped: nothing was imported") from None
    for i, file in enumerate(files):
        names.append(name := f"stage_{i}")
        db.execute(f"ATTACH ? AS {name}", [os.path.join(folder, file)])
        for (run,) in db.execute(f"SELECT name FROM {name}.sqlite_schema WHERE type = 'table'"):
            table = next(table for table in TABLES if table.name == run.rpartition("_")[0])
            runs[table].append(f"{name}.{run}")
    yield runs
    for name in names:
        db.execute(f"DETACH {name}")
