"""Tables of any kind as batches of rows: Parquet, CSV, TSV."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO

from headcount import checkout
from headcount.cli import types
from headcount.cli.parser import Parser
from headcount.filters.recognised import WrongKind, allowed
from headcount.filters.rejects import Reject
from headcount.formats.batches import CSV, KINDS, PARQUET, TSV, Batch, How
from headcount.io import inputs
from headcount.io.blocks import Block
from headcount.io.splits import is_plain

_MAGIC = b"PAR1"  # https://parquet.apache.org/docs/file-format/
_TSV_NAMES = (".tsv", ".tab")
_ARCHIVE_NAMES = (".gz", ".zst", ".bz2", ".xz")


def batches(
    path: str, how: How, on_read: Callable[[int], None] = lambda count: None
) -> Iterator[Batch]:
    """The rows of one input; `on_read` gets each count of bytes that were read.

    Raises Failure for an input that cannot be read to its end, and WrongKind for one that is no
    table, or lacks a column, unless `how` has it count as empty.
    """
    blocks = inputs.blocks([path], on_read)
    try:
        yield from _batches(blocks, path, how)
    except WrongKind as wrong:
        if not how.allowed:
            raise
        how.allowed(wrong)
        yield Batch([], [], [], sum(block.lines() for block in blocks))


def _batches(blocks: Iterator[Block], path: str, how: How) -> Iterator[Batch]:
    first = next(blocks, None)
    if first is None:
        return
    is_parquet = first.text.startswith(_MAGIC) if how.kind is None else how.kind == PARQUET
    # (The text of a block is there only until the next one is asked for.)
    rest = itertools.chain([first], blocks)
    if is_parquet:
        checkout.install("parquet")
        from headcount.formats import parquet  # slow to import

        with as_file(path, (memoryview(block.text) for block in rest)) as file:
            yield from parquet.batches(file, path, how)
    else:
        from headcount.formats import delimited, looks

        delimited.check_kind(bytes(first.text[: looks.HEAD]), path, how)
        kind = how.kind or (TSV if _is_named_tsv(path) else CSV)
        yield from delimited.batches(rest, path, how._replace(kind=kind))


def rejected(
    why: Reject, path: str, number: int, batch: Batch, row: Sequence
) -> tuple[Reject, str, int, bytes]:
    """What a Result wants of a row that was read, but cannot be used.

    Of text, it is kept as a line with the columns of the batch, to be read again as it was; of
    Parquet, as a JSON object.
    """
    if batch.table is not None:
        table = batch.table._replace(header=tuple(batch.columns))
        raw = table.record(row)
        if raw is None:
            table = table._replace(encoding="utf-8")
            raw = table.record(row)
        return why._replace(table=tuple(table)), path, number, raw
    import msgspec  # slow to import

    return why, path, number, msgspec.json.encode(dict(zip(batch.columns, row, strict=True)))


@contextlib.contextmanager
def as_file(path: str, chunks: Iterable[bytes | memoryview]) -> Iterator[BinaryIO]:
    """An input that can be read at any place: a copy of its chunks, if it is a pipe or archive."""
    if is_plain(path):
        with open(path, "rb") as file:
            yield file
        return
    import tempfile  # slow to import, and few inputs need it

    with tempfile.TemporaryFile() as copy:
        for chunk in chunks:
            copy.write(chunk)
        copy.seek(0)
        yield copy


def _is_named_tsv(path: str) -> bool:
    stem, end = os.path.splitext(path)
    return (os.path.splitext(stem)[1] if end in _ARCHIVE_NAMES else end) in _TSV_NAMES


def add_options(parser: Parser, delimiter: str | None = ",") -> None:
    """Add those that say how text is to be read."""
    default = "a comma" if delimiter else "the one that the header has: tab, comma, ; or |"
    parser.add_argument(
        "--delimiter",
        metavar="CHAR",
        type=_delimiter,
        default=delimiter,
        help=f"CSV: what stands between fields, \\t for a tab (default: {default})",
    )
    parser.add_argument(
        "--encoding",
        metavar="NAME",
        type=_encodings,
        default=("utf-8",),
        help="of text; of several (a,b) the first that fits each record (default: utf-8)",
    )
    parser.add_argument(
        "--escape",
        metavar="CHAR",
        type=_character,
        help="CSV: what stands before a quote in quotes, beside another quote (Spark: \\)",
    )
    parser.add_argument(
        "--header",
        metavar="NAMES",
        type=_names,
        help="text without a header line: the names of its columns (a,b)",
    )


def add_kind(parser: Parser) -> None:
    """Add what says of which kind tables are."""
    parser.add_argument(
        "--from",
        dest="kind",
        choices=KINDS,
        help="what tables are (default: by their content and, for tsv, their name)",
    )


def how(options) -> How:
    """How the options want tables to be read."""
    return How(
        header=options.header,
        encodings=options.encoding,
        delimiter=options.delimiter,
        escape=options.escape,
        allowed=allowed(options),
    )


def _character(text: str) -> str:
    if len(text) != 1 or not text.isascii() or text in '"\r\n':
        raise types.expected("one ASCII character other than a quote or a line end", text)
    return text


def _delimiter(text: str) -> str:
    return _character("\t" if text == "\\t" else text)


def _encodings(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        try:
            b"".decode(name)
            "".encode(name)
        except LookupError:
            raise types.expected("the name of an encoding", name) from None
    return names


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))
