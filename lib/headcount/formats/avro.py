"""Records of Avro object container files, with values as JSON has them.

The format: https://avro.apache.org/docs/current/specification/#object-container-files
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Collection, Iterable, Iterator
from importlib.util import find_spec

import fastavro
import msgspec
from fastavro.read import LOGICAL_READERS
from fastavro.schema import SchemaParseException, UnknownType

from headcount.errors import FAILED, Failure
from headcount.filters.rejects import Reject
from headcount.values.tsv import shown

_CODECS = ("null", "deflate", "bzip2", "xz", "zstandard", "snappy")
_encode = msgspec.json.Encoder(decimal_format="number").encode


def lines(
    chunks: Iterable[bytes], path: str, columns: Collection[str] | None
) -> Iterator[bytes | tuple[Reject, bytes]]:
    """Each record as a line: a JSON object without nulls, of the wanted columns that it has.

    A record that JSON has no place for is a Reject, with the record as Python's json writes it.
    Raises Failure for a file that cannot be read to its end.
    """
    for record in _records(_Stream(chunks), path, columns):
        if type(record) is not dict:
            yield Reject("not an object", f"a record is {type(record).__name__}"), _raw(record)
            continue
        if columns is not None:  # there may be more, where a schema cannot be cut
            record = {name: value for name, value in record.items() if name in columns} or record
        try:
            yield _encode(_plain(record)) + b"\n"
        except (_NoJson, UnicodeEncodeError):
            yield _reject(record), _raw(record)


class _Stream:
    """Chunks as a file that fastavro can read; what is kept can be read a second time."""

    def __init__(self, chunks: Iterable[bytes]):
        self._chunks = filter(None, chunks)
        self._data, self._at = b"", 0  # the current chunk, how far it was read
        self._position = 0
        self._kept: list[bytes] | None = []

    def read(self, size: int) -> bytes:
        piece = self._data[self._at : self._at + size]
        self._at += len(piece)
        if len(piece) < size:
            pieces, missing = [piece], size - len(piece)
            while missing and (chunk := next(self._chunks, b"")):
                self._data, self._at = chunk, min(missing, len(chunk))
                pieces.append(chunk[: self._at])
                missing -= self._at
            piece = b"".join(pieces)
        self._position += len(piece)
        if self._kept is not None:
            self._kept.append(piece)
        return piece

    def tell(self) -> int:
        return self._position

    def rewind(self) -> None:
        """To the start; from here on nothing is kept."""
        self._data = b"".join((*self._kept, self._data[self._at :]))
        self._at = self._position = 0
        self._kept = None


def _records(stream: _Stream, path: str, columns: Collection[str] | None) -> Iterator[object]:
    count = 0
    try:
        for block in _blocks(stream, path, columns):
            for record in block:
                count += 1
                yield record
            if block.bytes_.read(1):
                count -= 1
                raise ValueError("a block holds more than its records")
    except Failure:  # of the input, which may be a damaged archive
        raise
    except Exception as error:  # there is nothing that damaged data does not make decoders raise
        reason = str(error).partition("\n")[0] or type(error).__name__
        message = f"record {count + 1}: Avro that is damaged or cut short: {reason}"
        raise Failure(f"{shown(path)}: {message}; nothing of it was counted", FAILED) from None


def _blocks(stream: _Stream, path: str, columns: Collection[str] | None) -> Iterator:
    reader = fastavro.block_reader(stream)
    if reader.codec not in _CODECS:
        expected = f"expected one of {', '.join(_CODECS)}, got {reader.codec!r}"
        raise Failure(f"{shown(path)}: codec: {expected}; write it with another codec", FAILED)
    if reader.codec == "snappy" and not find_spec("cramjam"):
        needs = "snappy needs the Python package cramjam, which is not installed"
        raise Failure(f"{shown(path)}: codec: {needs}; write it with deflate or zstandard", FAILED)
    schema = _projected(reader.writer_schema, columns)
    stream.rewind()
    yield from fastavro.block_reader(stream, schema, handle_unicode_errors="surrogateescape")


def _projected(schema: object, columns: Collection[str] | None) -> dict | None:
    """The schema of the wanted columns alone; None to read all."""
    if columns is None or type(schema) is not dict or schema.get("type") != "record":
        return None
    kept = {key: value for key, value in schema.items() if not key.startswith("__")}
    kept["fields"] = [field for field in schema["fields"] if field["name"] in columns]
    if not kept["fields"]:  # all, so that one can say what it is
        return None
    try:
        fastavro.parse_schema(kept)
    except (
        SchemaParseException,
        UnknownType,
    ):  # it names a type that a column defines which is not wanted
        return None
    return kept


class _NoJson(Exception):
    """A value that JSON has no place for: as a reason, and what was seen."""


class _NoSuchTime(int):
    """A number that is not a time or date of the calendar."""


def _plain(value: object) -> object:
    """A value as msgspec can write it."""
    kind = type(value)
    if kind is dict:
        return {
            key: item if type(item) is str or type(item) is int else _plain(item)
            for key, item in value.items()
            if item is not None
        }
    if kind is list:
        return [_plain(item) for item in value]
    if kind is float and not math.isfinite(value):
        raise _NoJson("no JSON number", str(value))
    if kind is bytes:
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise _NoJson("not UTF-8") from None
    if kind is datetime.datetime:
        return _iso(value)
    if kind is datetime.date or kind is datetime.time:
        return value.isoformat()
    if kind is _NoSuchTime:
        raise _NoJson("no such time", str(int(value)))
    return value


def _iso(time: datetime.datetime) -> str:
    """As Parquet's times are written: without zeros at the end; with Z if zoned."""
    text = time.replace(tzinfo=None).isoformat()
    if time.microsecond:
        text = text.rstrip("0")
    return text + "Z" if time.tzinfo else text


def _reject(record: dict) -> Reject:
    for name, value in record.items():
        try:
            _encode(_plain(value))
        except _NoJson as problem:
            reason, *seen = problem.args
            return Reject(reason, ": ".join([name, *seen]))
        except UnicodeEncodeError:
            return Reject("not UTF-8", name)
    raise AssertionError("every value of this record has a place in JSON")


def _raw(record: object) -> bytes:
    return json.dumps(record, separators=(",", ":"), default=_shown).encode()


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return str(value)


def _lenient(read):
    def read_or_not(data, writer_schema=None, reader_schema=None):
        try:
            return read(data, writer_schema, reader_schema)
        except (ValueError, OverflowError):
            return _NoSuchTime(data)

    return read_or_not


# How fastavro lets one change what logical types become:
# https://fastavro.readthedocs.io/en/latest/logical_types.html#custom-logical-types
# Else one time that cannot be would end the file.
for _name in list(LOGICAL_READERS):
    if "time" in _name or "date" in _name:
        LOGICAL_READERS[_name] = _lenient(LOGICAL_READERS[_name])
LOGICAL_READERS["string-uuid"] = lambda data, *_: data
