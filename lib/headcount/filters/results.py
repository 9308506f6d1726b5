"""What became of the lines of all inputs, found out in this process or in several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import MappingProxyType
from typing import NamedTuple

from headcount.filters.rejects import Reject
from headcount.io import inputs, workers
from headcount.io.blocks import Block
from headcount.io.splits import Offset, Offsets, Split, cut, is_stream

_SPLIT = 8 << 20  # bytes of a file that one process takes at a time
_BATCH = 1 << 18  # bytes of rows and rejects that it sends at once


class Result(NamedTuple):
    """What became of some lines: rows to print, and where the lines went.

    Where a line holds several records, these are counted, and `records` says how many there are.
    A program that looks at lines which a search would drop says how many it has `recognised`; and,
    if it looked and recognised none, or saw others besides, what the others are `like`.
    """

    rows: bytes
    kept: int = 0
    filtered: int = 0
    duplicate: int = 0
    rejects: Iterable[tuple[Reject, str, int, bytes]] = ()  # (why, input, line, raw line)
    records: int | None = None  # None: as many as lines
    recognised: int = 0
    like: str = ""
    passed: int = 0  # of those filtered, how many a search passed over without a look
    named: tuple[tuple[str, bool], ...] = ()  # as Account.see takes it, and the next, too
    others: tuple[str, ...] = ()


Process = Callable[[Block], Result]


def results(
    paths: list[str],
    process: Process,
    processes: int,
    on_read: Callable[[int], None],
    offsets: Offsets = MappingProxyType({}),
    at_end: Callable[[], bytes | None] = lambda: None,
    reader: inputs.Reader = inputs.LINES,
    take_last: Callable[[bytes], None] = lambda rows: None,
) -> Iterator[tuple[str, int, Result]]:
    """An input's name, a number of lines and their Result, in the order of the inputs' lines.

    Inputs are read from their offsets on. Each process calls `at_end` when it has no more to do:
    the rows that it has held back until then, if it returns any, go to `take_last`.
    """
    # Two streams may be one (- and /dev/stdin), which only one process can read.
    if processes > 1 and sum(map(is_stream, paths)) < 2:
        splits = list(cut(paths, _SPLIT, offsets, reader.is_divisible))
        if len(splits) > 1:
            ends = at_end, lambda rows: take_last(rows or b"")
            yield from _spread(splits, process, processes, on_read, offsets, ends, reader)
            return
    for block in inputs.blocks(paths, on_read, offsets, reader):
        yield block.name, *of_block(block, process)
    take_last(at_end() or b"")


def of_block(block: Block, process: Process) -> tuple[int, Result]:
    """How many lines a block is of its input, and what became of them.

    What the block's own reader has left out or rejected is among them.
    """
    result = process(block)
    if not block.left_out and not block.rejects:
        return block.lines(), result
    lines = block.lines() + block.left_out + len(block.rejects)
    return lines, result._replace(
        filtered=result.filtered + block.left_out, rejects=[*block.rejects, *result.rejects]
    )


def _spread(
    splits: list[Split],
    process: Process,
    processes: int,
    on_read: Callable[[int], None],
    offsets: Offsets,
    ends: tuple[Callable[[], bytes | None], Callable[[bytes | None], None]],
    reader: inputs.Reader,
) -> Iterator[tuple[str, int, Result]]:
    def work(index: int) -> Iterator[tuple]:
        batch = _Batch()
        for block in inputs.split_blocks(splits[index], batch.read, reader):
            batch.add(*of_block(block, process))
            if batch.size > _BATCH:
                yield index, *batch.take()
        yield index, *batch.take()

    current = None
    before = counted = 0  # lines before this split in its input, and of it so far
    done = workers.in_order(range(len(splits)), work, processes, *ends)
    for index, lines, read, rejects, counts, more in done:
        if index != current:
            offset = offsets.get(splits[index].path, Offset())
            before = offset.lines if splits[index].start == offset.bytes else before + counted
            current, counted = index, 0
        counted += lines
        on_read(read)
        numbered = [(Reject(*why), name, before + at, raw) for why, name, at, raw in rejects]
        found = Result(*counts, numbered, *more)
        yield splits[index].path, lines, found


class _Batch:
    """The results of some blocks of a split, to be sent together."""

    def __init__(self):
        self._empty()

    def _empty(self) -> None:
        self.size = self._lines = self._read = 0
        self._rows: list[bytes] = []
        self._rejects: list[tuple] = []
        self._counts = [0, 0, 0]
        self._records = self._recognised = self._passed = 0
        self._like = ""
        self._named: dict[str, bool] = {}
        self._others: tuple[str, ...] = ()

    def read(self, count: int) -> None:
        """So many more bytes have been read."""
        self._read += count

    def add(self, lines: int, result: Result) -> None:
        rows, *counts, rejects, records, recognised, like, passed, named, others = result
        self._passed += passed
        self._named.update(named)  # a process that has seen a name goes on saying so
        self._others += others
        self._recognised += recognised
        self._like = self._like or like
        self._lines += lines
        self._records += lines if records is None else records
        self._counts = [sum(pair) for pair in zip(self._counts, counts, strict=True)]
        self._rows.append(rows)
        self.size += len(rows)
        for why, name, line, raw in rejects:
            self._rejects.append((tuple(why), name, line, raw))
            self.size += len(raw) + 100

    def take(self) -> tuple:
        """Empties it. What `_spread` wants, for marshal."""
        rows = b"".join(self._rows)
        counts = (rows, *self._counts)
        looks = (
            self._recognised,
            self._like,
            self._passed,
            tuple(self._named.items()),
            self._others,
        )
        content = (self._lines, self._read, self._rejects, counts, (self._records, *looks))
        self._empty()
        return content
