"""Tables as blocks of JSON Lines, for filters that read events: Parquet, Avro, CSV, TSV.

A null, and an empty field of text, is a key that the object lacks.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import msgspec
from stringzilla import Str

from headcount import checkout
from headcount.errors import Failure
from headcount.filters.rejects import Reject
from headcount.formats import delimited
from headcount.formats.batches import CSV, PARQUET, TSV, Batch, How
from headcount.io import interrupt, whole_lines
from headcount.io.blocks import BOM, Block
from headcount.io.splits import is_stream

AVRO = "avro"
KINDS = (PARQUET, AVRO, CSV, TSV)

_ROWS = 4096  # at most, of a block
_NULL = "\\N"  # as MySQL, Hive, Snowflake and PostgreSQL write it
_BARE_QUOTE = Reject(
    "not one row", "a field in quotes holds whole rows; is its first quote a part of it?"
)
_SIZE = 1 << 20  # bytes of a block, about

_encode = msgspec.json.Encoder().encode


def blocks(
    path: str,
    head: bytes,
    chunks: Iterator[bytes],
    kind: str,
    columns: Collection[str] | None = None,
) -> Iterator[Block]:
    """The rows of one input as blocks of lines, each row a JSON object.

    `kind` is one of KINDS. `head` and `chunks` are the bytes of the input from its start,
    decompressed. Of the named `columns` those that the table has are read; None: all.
    Numbers of lines, and places of rejects, are the lines of text on which records start; in
    Parquet and Avro the records' numbers from 1.
    Raises Failure for an input that cannot be read to its end. An interrupt ends it quietly.
    """
    read = _KINDS[kind]
    interrupted = interrupt.requested_soon if is_stream(path) else interrupt.requested
    try:
        for block in read(path, itertools.chain([head], chunks), columns, interrupted):
            yield block
            if interrupt.requested():
                return
    except Failure:
        if not interrupted():  # what an interrupted writer left behind is not whole
            raise


def _parquet(path: str, chunks: Iterable[bytes], columns, _interrupted) -> Iterator[Block]:
    checkout.install("parquet")
    from headcount.formats import parquet  # slow to import
    from headcount.formats.tables import as_file

    with as_file(path, chunks) as file:
        yield from parquet.line_blocks(file, path, columns, _ROWS, _SIZE)


def _avro(path: str, chunks: Iterable[bytes], columns, _interrupted) -> Iterator[Block]:
    checkout.install("avro")
    from headcount.formats import avro  # slow to import

    size = 0
    lines, numbers, rejects = [], [], []
    for number, line in enumerate(avro.lines(chunks, path, columns), 1):
        if type(line) is bytes:
            lines.append(line)
            numbers.append(number)
            size += len(line)
        else:
            why, raw = line
            rejects.append((why, path, number, raw))
        if size >= _SIZE or len(lines) + len(rejects) == _ROWS:
            yield _block(path, b"".join(lines), numbers, rejects)
            lines, numbers, rejects, size = [], [], [], 0
    if lines or rejects:
        yield _block(path, b"".join(lines), numbers, rejects)


def _text(
    path: str,
    chunks: Iterable[bytes],
    columns: Collection[str] | None,
    interrupted: Callable[[], bool],
    kind: str,
) -> Iterator[Block]:
    """As spreadsheets and databases export it: with a header, fields with line ends in quotes.

    TSV has the rules of CSV, as exporters either quote JSON in it or write it as it is. Where they
    quote nothing, a quote may begin a field that only one in a later row ends: what is taken for a
    row, but has whole rows for its lines, is a reject.
    """
    texts = whole_lines.of_chunks(chunks, interrupted)
    first = next(texts, None)
    if first is None:
        return
    start = bytes(first).removeprefix(BOM)
    delimiter = "\t" if kind == TSV else delimited.delimiter_of(start.lstrip(b"\r\n"))
    how = How(kind=CSV, delimiter=delimiter)
    whole = _whole(itertools.chain([Str(start)], texts), path, interrupted)
    for batch in delimited.batches(whole, path, how):
        yield from _batch_blocks(_checked(batch, path) if kind == TSV else batch, path, columns)


def _whole(texts: Iterable[Str], path: str, interrupted: Callable[[], bool]) -> Iterator[Block]:
    """Raises Failure behind the last of an interrupted input: a quote in it may still be open."""
    for text in texts:
        yield Block(text, path)
    if interrupted():
        raise Failure("interrupted")


def _batch_blocks(batch: Batch, path: str, columns: Collection[str] | None) -> Iterator[Block]:
    wanted = [
        (place, name)
        for place, name in enumerate(batch.columns)
        if columns is None or name in columns
    ]
    rejects, left_out = batch.rejects, batch.filtered
    lines, first, size = [], 0, 0
    for i, row in enumerate(batch.rows, 1):
        line = _line(row, wanted)
        lines.append(line)
        size += len(line)
        if size >= _SIZE or len(lines) == _ROWS or i == len(batch.rows):
            yield _block(path, b"".join(lines), batch.numbers[first:i], rejects, left_out)
            rejects, left_out = (), 0
            lines, first, size = [], i, 0
    if rejects or left_out:
        yield _block(path, b"", (), rejects, left_out)


def _checked(batch: Batch, path: str) -> Batch:
    """A batch of TSV, with rejects in place of rows that a bare quote may have made of several."""
    tabs = len(batch.columns) - 1
    bad = set()
    for i, row in enumerate(batch.rows):
        if tabs and any("\n" in field and "\t" in field for field in row):
            lines = "\t".join(row).split("\n")
            if all(line.count("\t") == tabs for line in lines):
                bad.add(i)
    if not bad:
        return batch
    rejects = [
        (_BARE_QUOTE, path, batch.numbers[i], "\t".join(batch.rows[i]).encode()) for i in bad
    ]
    good = [i for i in range(len(batch.rows)) if i not in bad]
    return batch._replace(
        rows=[batch.rows[i] for i in good],
        numbers=[batch.numbers[i] for i in good],
        rejects=[*batch.rejects, *rejects],
    )


def _line(row: Sequence[str], wanted: list[tuple[int, str]]) -> bytes:
    values = {}
    for place, name in wanted:
        field = row[place]
        if field and field != _NULL:
            values[name] = _nested(field) if field[0] in "{[" else field
    return _encode(values) + b"\n"


def _nested(field: str) -> msgspec.Raw | str:
    """An object or array on one line; a field that is not JSON, though it begins so, as it is."""
    try:
        return msgspec.Raw(msgspec.json.format(field, indent=-1))
    except (msgspec.DecodeError, RecursionError):
        return field


def _block(
    path: str,
    text: bytes,
    numbers: Sequence[int],
    rejects: Sequence[tuple[Reject, str, int, bytes]],
    left_out: int = 0,
) -> Block:
    block = Block(text, path, numbers[0] if numbers else 1)
    block.numbers, block.rejects, block.left_out = numbers, rejects, left_out
    return block


_KINDS: dict[str, Callable[..., Iterator[Block]]] = {
    PARQUET: _parquet,
    AVRO: _avro,
    CSV: functools.partial(_text, kind=CSV),
    TSV: functools.partial(_text, kind=TSV),
}
