"""Batches of rows, which is how tables of any kind are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from headcount.filters.recognised import WrongKind
from headcount.filters.rejects import Reject, Table

PARQUET, CSV, TSV = KINDS = ("parquet", "csv", "tsv")


class How(NamedTuple):
    """How tables are to be read."""

    kind: str | None = None  # one of KINDS; None: find out
    columns: tuple[str, ...] | None = None  # which, in this order; None: all
    distinct: bool = False  # rows that repeat others near them may be left out
    base64: tuple[str, ...] = ()  # which columns of bytes to give so; of Parquet alone
    # Of text alone:
    header: tuple[str, ...] | None = None  # the names of columns, where no line has them
    encodings: tuple[str, ...] = ("utf-8",)  # for each record, the first that fits
    delimiter: str | None = ","  # None: the one in the first line
    escape: str | None = None  # stands before a quote in a quoted field
    # takes an input that is not such a table as an empty one
    allowed: Callable[[WrongKind], None] | None = None
    max_record: int = 16 << 20  # bytes: a quote that does not close within them never does


class Batch(NamedTuple):
    """Some records of a table, one after the other.

    Values are text; those of Parquet what JSON has (times, dates and such as text).
    """

    columns: Sequence[str]
    rows: list[tuple]
    numbers: Sequence[int]  # of each row: the line on which it starts; in Parquet which row it is
    filtered: int = 0  # blank lines, headers
    duplicate: int = 0  # rows left out because they repeat others
    rejects: Sequence[tuple[Reject, str, int, bytes]] = ()  # why, input, number, as it came
    table: Table | None = None  # of text: how a line of it, with all of its fields, is read

    @property
    def records(self) -> int:
        """How many records these are."""
        return len(self.rows) + self.filtered + self.duplicate + len(self.rejects)


def expected_columns(columns: Sequence[str] | None) -> str:
    """What a table should have been, for a message."""
    return f"a table with the columns {', '.join(columns)}" if columns else "a table of columns"


def chosen(path: str, names: Sequence[str], columns: Sequence[str] | None) -> list[int]:
    """The places of the columns among an input's names. Raises WrongKind if one is missing."""
    wanted = names if columns is None else columns
    for column in wanted:
        if names.count(column) != 1:
            number = "no column" if column not in names else "more than one column"
            has = ", ".join(name if name.isprintable() else repr(name) for name in names)
            got = f"{number} {column} in {has}"
            raise WrongKind(path, expected_columns(columns), got)
    return [names.index(column) for column in wanted]
