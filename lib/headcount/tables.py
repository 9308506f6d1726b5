"""Tables of any kind as batches of rows: Parquet, CSV, TSV."""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, NamedTuple

from headcount import extras, inputs
from headcount.failure import FAILED, Failure
from headcount.inputs import Block, shown
from headcount.pieces import is_plain
from headcount.rejects import Reject

PARQUET, CSV, TSV = KINDS = ("parquet", "csv", "tsv")
_MAGIC = b"PAR1"  # https://parquet.apache.org/docs/file-format/
_TSV_NAMES = (".tsv", ".tab")
_ARCHIVE_NAMES = (".gz", ".zst", ".bz2", ".xz")


class How(NamedTuple):
    """How tables are to be read."""

    kind: str | None = None  # one of KINDS; None: find out
    columns: tuple[str, ...] | None = None  # which, in this order; None: all
    distinct: bool = False  # rows that repeat others near them may be left out
    # Of text alone:
    header: tuple[str, ...] | None = None  # the names of columns, where no line has them
    encodings: tuple[str, ...] = ("utf-8",)  # for each record, the first that fits
    delimiter: str | None = ","  # None: the one in the first line
    escape: str | None = None  # stands before a quote in a quoted field
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

    @property
    def records(self) -> int:
        """How many records these are."""
        return len(self.rows) + self.filtered + self.duplicate + len(self.rejects)


def batches(
    path: str, how: How, on_read: Callable[[int], None] = lambda count: None
) -> Iterator[Batch]:
    """The rows of one input; `on_read` gets each count of bytes that were read.

    Raises Failure for an input that cannot be read to its end, or lacks a column.
    """
    blocks = inputs.blocks([path], on_read)
    first = next(blocks, None)
    if first is None:
        return
    is_parquet = first.text.startswith(_MAGIC) if how.kind is None else how.kind == PARQUET
    # (The text of a block is there only until the next one is asked for.)
    rest = itertools.chain([first], blocks)
    if is_parquet:
        extras.install("parquet")
        from headcount import parquet_table  # slow to import

        with _as_file(path, rest) as file:
            yield from parquet_table.batches(file, path, how)
    else:
        from headcount import text_table

        kind = how.kind or (TSV if _is_named_tsv(path) else CSV)
        yield from text_table.batches(rest, path, how._replace(kind=kind))


def chosen(path: str, names: Sequence[str], columns: Sequence[str] | None) -> list[int]:
    """The places of the columns among the names that an input has. Raises Failure if one lacks."""
    if columns is None:
        columns = names
    for column in columns:
        if names.count(column) != 1:
            number = "no column" if column not in names else "more than one column"
            has = ", ".join(map(repr, names))
            raise Failure(f"{shown(path)}: {number} {column!r}; it has: {has}", FAILED)
    return [names.index(column) for column in columns]


@contextlib.contextmanager
def _as_file(path: str, blocks: Iterator[Block]) -> Iterator[BinaryIO]:
    """An input that can be read at any place: a copy, if it is a pipe or an archive."""
    if is_plain(path):
        with open(path, "rb") as file:
            yield file
        return
    with tempfile.TemporaryFile() as copy:
        for block in blocks:
            copy.write(memoryview(block.text))
        copy.seek(0)
        yield copy


def _is_named_tsv(path: str) -> bool:
    stem, end = os.path.splitext(path)
    return (os.path.splitext(stem)[1] if end in _ARCHIVE_NAMES else end) in _TSV_NAMES
