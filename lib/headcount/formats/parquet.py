"""Tables of Parquet, some rows at a time, with values as JSON has them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.parquet import ParquetFile

from headcount.errors import Failure
from headcount.filters.rejects import Reject
from headcount.formats.batches import Batch, How, chosen
from headcount.values.tsv import shown

_ROWS = 1 << 16  # at a time
_PLACE = "place of the row"


def batches(file: BinaryIO, path: str, how: How) -> Iterator[Batch]:
    """The rows of one input, as `tables.batches` gives them."""
    try:
        parquet = ParquetFile(file)
        names = parquet.schema_arrow.names
        columns = [names[place] for place in chosen(path, names, how.columns)]
        first = 1
        for batch in parquet.iter_batches(_ROWS, columns=columns):
            yield _batch(pa.Table.from_batches([batch]).select(columns), path, first, how.distinct)
            first += len(batch)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise Failure(f"{shown(path)}: not a sound Parquet file: {reason}") from None


def _batch(table: pa.Table, path: str, first: int, distinct: bool) -> Batch:
    size, columns = len(table), table.column_names
    places = pa.array(range(first, first + size))
    if distinct:
        table = table.append_column(_PLACE, places).group_by(columns).aggregate([(_PLACE, "min")])
        places = table[f"{_PLACE}_min"]
    numbers = places.to_pylist()
    rejected: dict[int, Reject] = {}
    values = [_values(table[name], name, path, rejected) for name in columns]
    rows = list(zip(*values, strict=True))
    duplicate, rejects = size - len(rows), []
    if rejected:
        for i, why in sorted(rejected.items()):
            raw = repr(dict(zip(columns, rows[i], strict=True))).encode()
            rejects.append((why, path, numbers[i], raw))
        usable = [i for i in range(len(rows)) if i not in rejected]
        rows, numbers = [rows[i] for i in usable], [numbers[i] for i in usable]
    return Batch(columns, rows, numbers, 0, duplicate, rejects)


def _values(column: pa.ChunkedArray, name: str, path: str, rejected: dict[int, Reject]) -> list:
    """The values of a column; `rejected` gets the rows whose value has no place in JSON."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column.to_numpy().tolist()
    if pa.types.is_timestamp(kind):
        return _times(column)
    if pa.types.is_date(kind) or pa.types.is_time(kind):
        return column.cast(pa.string()).to_pylist()
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
                rejected[i] = Reject("not UTF-8", name)
    elif not (
        pa.types.is_integer(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_null(kind)
    ):
        _check_nested(kind, name, path)
    return values


def _times(column: pa.ChunkedArray) -> list[str | None]:
    """ISO texts: to the nanosecond, but without zeros at the end; with Z where there is a zone."""
    kind = column.type
    zone = ""
    if kind.tz:
        column, zone = column.cast(pa.timestamp(kind.unit, "UTC")), "Z"
    text = column.cast(pa.timestamp(kind.unit)).cast(pa.string())
    text = pc.replace_substring(text, " ", "T")
    text = pc.replace_substring_regex(text, r"(\.\d*?)0+$", r"\1")
    text = pc.replace_substring_regex(text, r"\.$", "")
    return [value and value + zone for value in text.to_pylist()]


def _check_nested(kind: pa.DataType, name: str, path: str) -> None:
    """Raises Failure for a type that JSON, or this program, has no values for."""
    inner = [kind.field(i).type for i in range(kind.num_fields)]
    plain = (
        pa.types.is_integer, pa.types.is_boolean, pa.types.is_string, pa.types.is_large_string,
        pa.types.is_null,
    )  # fmt: skip
    if not inner and not any(is_plain(kind) for is_plain in plain):
        raise Failure(f"{shown(path)}: column {name!r}: cannot read values of type {kind}")
    for child in inner:
        _check_nested(child, name, path)


def _is_binary(kind: pa.DataType) -> bool:
    return (
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
    )
