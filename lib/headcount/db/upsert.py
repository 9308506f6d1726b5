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
    """Collects rows for a table as it is."""

    def __init__(self, columns: list[str]):
        self._columns = columns
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
        self.rows.append(dict(zip(self._columns, values, strict=True)))
        return b""


def upsert(options) -> int:
    """Bring a table up to date with rows; returns the exit status.

    Raises Failure: 2 if there is no such table, 1 if a row is no good; then nothing is written.
    """
    address.refuse(options.db)
    from sqlite_utils import Database  # slow to import, and active_day does without

    with database.for_import(options.db, options.wait, create=options.create) as connection:
        db = Database(connection)
        if not db[options.table].exists():
            raise Failure(f"{options.db} has no table {options.table}", USAGE)
        rows = Rows([column.name for column in db[options.table].columns])

        def finish(ours: Account) -> bytes:
            if ours.rejected:
                raise Failure("nothing was written: mend the rejected rows first", FAILED)
            with database.transaction(connection):
                try:
                    db[options.table].upsert_all(rows.rows, pk=db[options.table].pks)
                except sqlite3.IntegrityError as error:
                    text = f"{options.table} refuses a row: {error}; nothing was written"
                    raise Failure(text) from None
            return b""

        return runner.run(options, rows.add, finish)
