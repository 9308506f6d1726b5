"""Files of events with metrics, read by several processes.

A file without quoted fields can be cut at any line, so its splits are shared out. Any other is
read by one process.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

from stringzilla import File, Str

from headcount.filters.recognised import WrongKind
from headcount.filters.rejects import Reject
from headcount.filters.results import Result
from headcount.formats import delimited, looks, tables
from headcount.formats.batches import chosen
from headcount.io import inputs, workers
from headcount.io.blocks import BOM, Block
from headcount.io.splits import Split, cut, is_stream
from headcount.pipelines.event_metrics.record import COLUMNS, Reader, Row

READ_BATCH = 5000  # records
_SPLIT = 8 << 20  # bytes
_HEAD = 1 << 20  # bytes in which a header ends


class TableSplit(NamedTuple):
    """What one process reads at a time: a file, or a split of one with that one's header."""

    split: Split
    header: tuple[str, ...] | None = None


class Work(NamedTuple):
    """How files are read, and what becomes of the rows of each: `take` returns what to print."""

    how: tables.How
    reader: Reader
    take: Callable[[list[Row], str], bytes]
    at_once: int = READ_BATCH  # rows
    at_end: Callable[[], None] = lambda: None  # of each source

    def results(
        self, source: TableSplit, on_read: Callable[[int], None]
    ) -> Iterator[tuple[int, Result]]:
        """A number of lines and what became of some records; lines are numbered from the source's
        start. Raises Failure for an input that cannot be read to its end, and WrongKind for one
        that is no table, or lacks a column, unless `how` has it count as empty.
        """
        blocks = inputs.split_blocks(source.split, on_read)
        try:
            yield from self._results(source, blocks)
        except WrongKind as wrong:
            if not self.how.allowed:
                raise
            if not source.split.start:  # once for all splits of a file
                self.how.allowed(wrong)
            lines = sum(block.lines() for block in blocks)
            yield lines, Result(b"", 0, lines, 0, (), lines)
        self.at_end()

    def _results(self, source: TableSplit, blocks: Iterator[Block]) -> Iterator[tuple[int, Result]]:
        path = source.split.path
        first = next(blocks, None)
        if first is None:
            return
        delimiter = self.how.delimiter or delimited.delimiter_of(bytes(first.text[:_HEAD]))
        header = source.header or self.how.header
        if source.header is None:  # a file's first
            how = self.how._replace(columns=COLUMNS)
            delimited.check_kind(bytes(first.text[: looks.HEAD]), path, how)
        how = self.how._replace(kind=tables.CSV, delimiter=delimiter, header=header)
        lines: list[int] = []  # of the blocks that were read for a batch
        blocks = _counted(itertools.chain([first], blocks), lines)
        pick = None
        for batch in delimited.batches(blocks, path, how):
            if batch.columns and not pick:
                pick = itemgetter(*chosen(path, batch.columns, COLUMNS))
            printed, kept, rejects = [], 0, list(batch.rejects)
            for start in range(0, len(batch.rows), self.at_once):
                taken = batch.rows[start : start + self.at_once]
                rows = self.reader(pick(list(zip(*taken, strict=True))))
                if Reject in set(map(type, rows)):
                    for number, fields, row in zip(
                        batch.numbers[start:], taken, rows, strict=False
                    ):
                        if type(row) is Reject:
                            rejects.append(tables.rejected(row, path, number, batch, fields))
                    rows = [row for row in rows if type(row) is not Reject]
                kept += len(rows)
                printed.append(self.take(rows, path))
            rejects.sort(key=itemgetter(2))
            right_kind = len(rejects) - len(batch.rejects)  # these have the columns
            counts = (kept, batch.filtered, 0, rejects, batch.records, right_kind)
            result = Result(b"".join(printed), *counts)
            yield sum(lines), result
            lines.clear()


def results(
    paths: Sequence[str],
    work: Work,
    processes: int,
    on_read: Callable[[int], None],
    at_end: Callable[[], None] = lambda: None,
) -> Iterator[tuple[str, int, Result]]:
    """An input's name, a number of lines and their Result, in the order of the inputs' lines.

    Each process calls `at_end` when it has no more to do.
    """
    # Two streams may be one (- and /dev/stdin), which only one process can read.
    if processes > 1 and sum(map(is_stream, paths)) < 2:
        sources = [source for path in paths for source in _splits(path, work.how)]
        if len(sources) > 1:
            yield from _spread(sources, work, processes, on_read, at_end)
            return
    for path in paths:
        for lines, result in work.results(TableSplit(Split(path)), on_read):
            yield path, lines, result
    at_end()


def _splits(path: str, how: tables.How) -> Iterator[TableSplit]:
    splits = list(cut([path], _SPLIT, {}))
    header = how.header
    if len(splits) > 1:
        text = Str(File(path))
        first = bytes(text[: text.find(b"\n")])
        delimiter = how.delimiter or delimited.delimiter_of(first)
        if how.escape or len(first) > _HEAD or not delimited.is_bare(text, delimiter):
            splits = [Split(path)]
        elif not header:
            try:
                names = first.removeprefix(BOM).decode(how.encodings[0]).rstrip("\r")
                header = tuple(names.split(delimiter))
            except UnicodeDecodeError:
                splits = [Split(path)]
    for split in splits:
        yield TableSplit(split, header if split.start else how.header)


def _spread(
    sources: list[TableSplit],
    work: Work,
    processes: int,
    on_read: Callable[[int], None],
    at_end: Callable[[], None],
) -> Iterator[tuple[str, int, Result]]:
    def messages(index: int) -> Iterator[tuple]:
        read: list[int] = []
        for lines, result in work.results(sources[index], read.append):
            rejects = [(tuple(why), number, raw) for why, _, number, raw in result.rejects]
            yield index, lines, sum(read), rejects, *result._replace(rejects=())
            read.clear()

    current, before, counted = None, 0, 0  # lines before this source in its input, and of it so far
    for index, lines, read, rejects, *result in workers.in_order(
        range(len(sources)), messages, processes, at_end
    ):
        split = sources[index].split
        if index != current:
            before = before + counted if split.start else 0
            current, counted = index, 0
        counted += lines
        on_read(read)
        numbered = [(Reject(*why), split.path, before + at, raw) for why, at, raw in rejects]
        yield split.path, lines, Result(*result)._replace(rejects=numbered)


def _counted(blocks: Iterable[Block], lines: list[int]) -> Iterator[Block]:
    for block in blocks:
        lines.append(block.lines())
        yield block
