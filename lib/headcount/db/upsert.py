"""Rows for any table as it is: what upsert-rows does without a pipeline."""

import sqlite3

from headcount.db import address
from headcount.db import connection as database
from headcount.db.sql import quoted
from headcount.errors import FAILED, USAGE, Failure
from headcount.filters import runner
from headcount.filters.account import Account
from headcount.filters.rejects import Reject
from headcount.filters.results import Result
from headcount.io.blocks import Block
from headcount.values import tsv


class Rows:
    """Collects rows for a table as it is; those in `keys`, places of columns, may not be null."""

    def __init__(self, columns: list[str], keys: list[int]):
        self._columns, self._keys = columns, keys
        self.rows: list[list[str | None]] = []

    def add(self, block: Block) -> Result:
        """Take in the rows of a block."""
        return runner.each_line(self._add)(block)._replace(rows=b"")

    def _add(self, line: bytes) -> bytes | Reject:
        try:
            values = [tsv.unescape(column) for column in line.decode().split("\t")]
        except UnicodeDecodeError:
            return Reject("not UTF-8")
        if len(values) != len(self._columns):
            return Reject(f"needs {len(self._columns)} columns", f"has {len(values)}")
        for key in self._keys:
            if values[key] is None:
                return Reject("a key is null", self._columns[key])
        self.rows.append(values)
        return b""


def upsert(options) -> int:
    """Bring a table up to date with rows; returns the exit status.

    Raises Failure: 2 if there is no such table, or none with a key; 1 if a row is no good; then
    nothing is written.
    """
    address.refuse(options.db)
    with database.for_import(options.db, options.wait, create=options.create) as db:
        table = quoted(options.table)
        described = db.execute(f"PRAGMA table_info({table})").fetchall()
        if not described:
            raise Failure(f"{options.db} has no table {options.table}", USAGE)
        columns = [name for _, name, *_ in described]
        keys = [place for place, *_, key in described if key]
        if not keys:
            raise Failure(f"{options.table} has no key by which rows could be replaced", USAGE)
        rows = Rows(columns, keys)

        def finish(ours: Account) -> bytes:
            if ours.rejected:
                raise Failure("nothing was written: mend the rejected rows first", FAILED)
            with database.transaction(db):
                try:
                    db.executemany(_statement(table, columns, keys), rows.rows)
                except sqlite3.IntegrityError as error:
                    text = f"{options.table} refuses a row: {error}; nothing was written"
                    raise Failure(text) from None
            return b""

        return runner.run(options, rows.add, finish)


def _statement(table: str, columns: list[str], keys: list[int]) -> str:
    """What puts a row into a table, in place of the one with its key if there is one."""
    names = [quoted(name) for name in columns]
    key = ", ".join(names[place] for place in keys)
    changes = [f"{name} = excluded.{name}" for i, name in enumerate(names) if i not in keys]
    then = f"UPDATE SET {', '.join(changes)}" if changes else "NOTHING"
    places = ", ".join("?" * len(names))
    return (
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places}) ON CONFLICT ({key}) DO {then}"
    )
