"""What became of the lines of all inputs, found out in this process or in several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import MappingProxyType
from typing import NamedTuple

from headcount import inputs, jobs
from headcount.pieces import Mark, Marks, Piece, cut, is_stream
from headcount.rejects import Reject

_PIECE = 8 << 20  # bytes of a file that one process takes at a time
_BATCH = 1 << 18  # bytes of rows and rejects that it sends at once


class Result(NamedTuple):
    """What became of some lines: rows to print, and where the lines went.

    Where a line holds several records, these are counted, and `records` says how many there are.
    """

    rows: bytes
    kept: int = 0
    filtered: int = 0
    duplicate: int = 0
    rejects: Iterable[tuple[Reject, str, int, bytes]] = ()  # (why, input, line, raw line)
    records: int | None = None  # None: as many as lines


Process = Callable[[inputs.Block], Result]


def results(
    paths: list[str],
    process: Process,
    processes: int,
    on_read: Callable[[int], None],
    marks: Marks = MappingProxyType({}),
    at_end: Callable[[], None] = lambda: None,
) -> Iterator[tuple[str, int, Result]]:
    """An input's name, a number of lines and their Result, in the order of the inputs' lines.

    Inputs are read from their marks on. Each process calls `at_end` when it has no more to do.
    """
    # Two streams may be one (- and /dev/stdin), which only one process can read.
    if processes > 1 and sum(map(is_stream, paths)) < 2:
        pieces = list(cut(paths, _PIECE, marks))
        if len(pieces) > 1:
            yield from _spread(pieces, process, processes, on_read, marks, at_end)
            return
    for block in inputs.blocks(paths, on_read, marks):
        yield block.name, block.lines(), process(block)
    at_end()


def _spread(
    pieces: list[Piece],
    process: Process,
    processes: int,
    on_read: Callable[[int], None],
    marks: Marks,
    at_end: Callable[[], None],
) -> Iterator[tuple[str, int, Result]]:
    def work(index: int) -> Iterator[tuple]:
        batch = _Batch()
        for block in inputs.piece_blocks(pieces[index], batch.read):
            batch.add(block.lines(), process(block))
            if batch.size > _BATCH:
                yield index, *batch.take()
        yield index, *batch.take()

    current = None
    before = counted = 0  # lines before this piece in its input, and of it so far
    done = jobs.in_order(range(len(pieces)), work, processes, at_end)
    for index, lines, read, rejects, records, *result in done:
        if index != current:
            mark = marks.get(pieces[index].path, Mark())
            before = mark.lines if pieces[index].start == mark.bytes else before + counted
            current, counted = index, 0
        counted += lines
        on_read(read)
        numbered = [(Reject(*why), name, before + at, raw) for why, name, at, raw in rejects]
        yield pieces[index].path, lines, Result(*result, numbered, records)


class _Batch:
    """The results of some blocks of a piece, to be sent together."""

    def __init__(self):
        self._empty()

    def _empty(self) -> None:
        self.size = self._lines = self._read = 0
        self._rows: list[bytes] = []
        self._rejects: list[tuple] = []
        self._counts = [0, 0, 0]
        self._records = 0

    def read(self, count: int) -> None:
        """So many more bytes have been read."""
        self._read += count

    def add(self, lines: int, result: Result) -> None:
        rows, *counts, rejects, records = result
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
        head = (self._lines, self._read, self._rejects, self._records)
        content = (*head, rows, *self._counts)
        self._empty()
        return content
