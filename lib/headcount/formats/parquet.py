"""Tables of Parquet, some rows at a time, with values as JSON has them."""

from __future__ import annotations

import base64
import contextlib
import decimal
import json
import math
from collections.abc import Collection, Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.parquet import ParquetFile

from headcount.errors import Failure
from headcount.filters.rejects import Reject
from headcount.formats import arrow_json, looks
from headcount.formats.batches import Batch, How, chosen
from headcount.io.blocks import Block
from headcount.values.tsv import shown

_ROWS = 1 << 16  # at a time
_FIRST_ROWS = 256  # of the first block, which tells how long they are
_BUFFER = 1 << 18  # bytes
_PLACE = "place of the row"


def batches(file: BinaryIO, path: str, how: How) -> Iterator[Batch]:
    """The rows of one input, as `tables.batches` gives them."""
    with _failures(path):
        parquet = ParquetFile(file)
        names = parquet.schema_arrow.names
        columns = [names[place] for place in chosen(path, names, how.columns)]
        _check_base64(path, how, columns, parquet.schema_arrow)
        first = 1
        for batch in _read(parquet, path, _ROWS, columns):
            yield _batch(pa.Table.from_batches([batch]).select(columns), path, first, how)
            first += len(batch)


def line_blocks(
    file: BinaryIO, path: str, columns: Collection[str] | None, rows: int, size: int
) -> Iterator[Block]:
    """The rows of one input as JSON Lines: objects without nulls, of the columns that it has.

    A block has at most so many rows, and about `size` bytes.
    """
    with _failures(path):
        # A buffer for each column, in place of a whole column chunk.
        parquet = ParquetFile(file, buffer_size=_BUFFER)
        has = parquet.schema_arrow.names
        names = has if columns is None else [name for name in has if name in columns]
        chosen(path, has, names)
        if not names:  # all that can be read: then one can say what it is
            names = [name for name in has if has.count(name) == 1 and _is_readable(parquet, name)]
        first, at_once = 1, min(rows, _FIRST_ROWS)
        for batch in _read(parquet, path, rows, names):
            start = 0
            while start < len(batch):
                some = batch.slice(start, at_once)
                block = _line_block(some, names, path, first)
                yield block
                start, first = start + len(some), first + len(some)
                at_once = max(1, min(rows, size * len(some) // (block.size + 1)))


def _line_block(batch: pa.RecordBatch, names: list[str], path: str, first: int) -> Block:
    values = [_texts(batch[name], name, path) for name in names]
    lines, count = arrow_json.lines(names, values, len(batch)), len(batch)
    numbers: Sequence[int] = range(first, first + count)
    rejects = []
    is_bad = arrow_json.is_bad(lines)
    if pc.any(is_bad).as_py():
        for i in pc.indices_nonzero(is_bad).to_pylist():
            of_row = [(name, text[i].as_py()) for name, text in zip(names, values, strict=True)]
            raw = arrow_json.unmarked(lines[i].as_py()).rstrip("\n").encode()
            why = arrow_json.first_bad(of_row)
            if why.detail in names and _is_binary(_value_type(batch[why.detail].type)):
                why = _not_text(why.detail)  # (other reasons have a value behind the name)
            rejects.append((why, path, first + i, raw))
        is_good = pc.invert(is_bad)
        lines = lines.filter(is_good)
        numbers = pa.array(numbers).filter(is_good).to_pylist()
    size = pc.sum(pc.binary_length(lines)).as_py() or 0
    # The texts of an array that was just made stand in one buffer, one behind the other.
    text = memoryview(lines.buffers()[2])[:size].tobytes() if size else b""
    block = Block(text, path, first)
    block.numbers, block.rejects = numbers, rejects
    return block


def _not_text(name: str) -> Reject:
    """A column of bytes has some that are no text. Says what can print them."""
    return Reject("not UTF-8", f"{name}: if it is binary, read-table --base64 {name} prints it")


def _texts(column: pa.Array, name: str, path: str) -> pa.Array:
    try:
        return arrow_json.texts(column)
    except arrow_json.NoJson as problem:
        reason = f"column {name!r}: cannot read values of type {problem}"
        way_out = "write them as text or numbers, or read other columns"
        raise Failure(f"{shown(path)}: {reason}: {way_out}") from None


def _read(parquet: ParquetFile, path: str, rows: int, names: list[str]) -> Iterator:
    """Record batches of the named columns alone. Raises Failure if one of them is encrypted."""
    try:
        yield from parquet.iter_batches(rows, columns=names)
    except OSError as error:
        if not _is_of_encryption(error):
            raise
        # (To ask the footer which it is, ends the process: Arrow 26.0.)
        column = next((name for name in names if _is_encrypted(parquet, name)), None)
        raise looks.encrypted(path, column) from None


def _is_of_encryption(error: Exception) -> bool:
    return "decrypt" in str(error)


def _is_encrypted(parquet: ParquetFile, name: str) -> bool:
    try:
        next(parquet.iter_batches(1, columns=[name]), None)
    except OSError as error:
        return _is_of_encryption(error)
    return False


def _is_readable(parquet: ParquetFile, name: str) -> bool:
    """Whether values of a column have JSON text; not whether they are sound."""
    if _is_encrypted(parquet, name):
        return False
    kind = parquet.schema_arrow.field(name).type
    try:
        arrow_json.texts(pa.nulls(0, kind))
    except arrow_json.NoJson:
        return False
    return True


def _check_base64(path: str, how: How, columns: list[str], schema: pa.Schema) -> None:
    """Raises Failure if a column that is wanted in base64 is not read, or has no bytes."""
    for name in how.base64:
        if name not in columns:
            raise Failure(f"{shown(path)}: --base64 {name}: no such column is read")
        kind = _value_type(schema.field(name).type)
        if not _is_binary(kind):
            raise Failure(f"{shown(path)}: --base64 {name}: is {kind}, not binary: leave it out")


@contextlib.contextmanager
def _failures(path: str) -> Iterator[None]:
    """Turns the errors of Arrow into a Failure."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        if _is_of_encryption(error):
            raise looks.encrypted(path) from None
        reason = str(error).partition("\n")[0]
        raise Failure(f"{shown(path)}: not a sound Parquet file: {reason}") from None


def _batch(table: pa.Table, path: str, first: int, how: How) -> Batch:
    size, columns = len(table), table.column_names
    places = pa.array(range(first, first + size))
    if how.distinct:
        table = table.append_column(_PLACE, places).group_by(columns).aggregate([(_PLACE, "min")])
        places = table[f"{_PLACE}_min"]
    numbers = places.to_pylist()
    rejected: dict[int, Reject] = {}
    values = [
        _base64(table[name]) if name in how.base64 else _values(table[name], name, path, rejected)
        for name in columns
    ]
    rows = list(zip(*values, strict=True))
    duplicate, rejects = size - len(rows), []
    if rejected:
        for i, why in sorted(rejected.items()):
            raw = repr(dict(zip(columns, rows[i], strict=True))).encode()
            rejects.append((why, path, numbers[i], raw))
        usable = [i for i in range(len(rows)) if i not in rejected]
        rows, numbers = [rows[i] for i in usable], [numbers[i] for i in usable]
    return Batch(columns, rows, numbers, 0, duplicate, rejects)


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _base64(column: pa.ChunkedArray) -> list[str | None]:
    """Bytes as RFC 4648 writes them; an empty value is one, null is none."""
    values = column.cast(_value_type(column.type)).to_pylist()
    return [None if value is None else base64.b64encode(value).decode() for value in values]


def _values(column: pa.ChunkedArray, name: str, path: str, rejected: dict[int, Reject]) -> list:
    """The values of a column; `rejected` gets the rows whose value has no place in JSON."""
    kind = _value_type(column.type)
    if kind is not column.type:
        column = column.cast(kind)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column.to_numpy().tolist()
    if pa.types.is_timestamp(kind):
        return arrow_json.iso_times(column).to_pylist()
    if pa.types.is_date(kind) or pa.types.is_time(kind):
        return column.cast(pa.string()).to_pylist()
    if not (
        pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or _is_binary(kind)
        or _is_simple(kind)
    ):
        return _nested(column, name, path, rejected)
    values = column.to_pylist()
    if pa.types.is_floating(kind):
        for i, value in enumerate(values):
            if value is not None and not math.isfinite(value):
                rejected[i] = Reject("no JSON number", f"{name}: {value}")
    elif _is_binary(kind):
        for i, value in enumerate(values):
            try:
                values[i] = value and value.decode()
            except UnicodeDecodeError:
                rejected[i] = _not_text(name)
    return values


def _nested(
    column: pa.ChunkedArray, name: str, path: str, rejected: dict[int, Reject]
) -> list[object]:
    """Values by way of JSON text: objects without nulls, numbers with a point as Decimal."""
    texts = _texts(column.combine_chunks(), name, path).to_pylist()
    for i, text in enumerate(texts):
        if text and "\0" in text:
            rejected[i] = arrow_json.first_bad([(name, text)])
            texts[i] = arrow_json.unmarked(text)
    return [text and json.loads(text, parse_float=decimal.Decimal) for text in texts]


def _is_simple(kind: pa.DataType) -> bool:
    """Whether what Arrow makes Python values of, is what JSON has."""
    inner = [kind.field(i).type for i in range(kind.num_fields)]
    if inner:
        return not pa.types.is_map(kind) and all(map(_is_simple, inner))
    return (
        pa.types.is_integer(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_null(kind)
    )


def _is_binary(kind: pa.DataType) -> bool:
    return (
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_fixed_size_binary(kind)
    )
