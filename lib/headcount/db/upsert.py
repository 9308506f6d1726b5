"""Rows for any table as it is: what upsert-rows does without a pipeline."""

import sqlite3

from headcount.db import address
from headcount.db import connection as database
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
        self.rows: list[dict[str, str | None]] = []

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
        self.rows.append(dict(zip(self._columns, values, strict=True)))
        return b""


def upsert(options) -> int:
    """Bring a table up to date with rows; returns the exit status.

    Raises Failure: 2 if the table is missing or lacks a key; 1 if a row is rejected. Then nothing
    is written.
    """
    address.refuse(options.db)
    from sqlite_utils import Database  # slow to import, and active_day does without

    with database.for_import(options.db, options.wait, create=options.create) as connection:
        table = Database(connection)[options.table]
        if not table.exists():
            raise Failure(f"{options.db} has no table {options.table}", USAGE)
        columns = [column.name for column in table.columns]
        keys = [i for i, column in enumerate(table.columns) if column.is_pk]
        if not keys:
            raise Failure(f"{options.table} has no key by which rows could be replaced", USAGE)
        rows = Rows(columns, keys)

        def finish(ours: Account) -> bytes:
            if ours.rejected:
                raise Failure("nothing was written: mend the rejected rows first", FAILED)
            with database.transaction(connection):
                try:
                    table.upsert_all(rows.rows, pk=table.pks)
                except sqlite3.IntegrityError as error:
                    text = f"{options.table} refuses a row: {error}; nothing was written"
                    raise Failure(text) from None
            return b""

        return runner.run(options, rows.add, finish)
