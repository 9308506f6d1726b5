"""Tables as text: CSV as RFC 4180 has it or looser, TSV as it stands between our filters.

A record that cannot be used costs its first line and no more: reading goes on with the line behind
it. So a quote that never closes does not swallow the rest of a file.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from operator import itemgetter

from stringzilla import Str

from headcount.errors import Failure
from headcount.filters.recognised import Kind, WrongKind
from headcount.filters.rejects import Reject, Table
from headcount.formats import looks
from headcount.formats.batches import CSV, TSV, Batch, How, chosen, expected_columns
from headcount.io.blocks import Block
from headcount.values import tsv
from headcount.values.tsv import shown

csv.field_size_limit(sys.maxsize)

_ASCII = "".join(map(chr, range(128)))
_BYTES = "latin-1"  # a character for each byte
_DELIMITERS = ("\t", ",", ";", "|")
_UNFINISHED = "end of data"  # how the csv module says it

# A record: the place of its first line among some, that of the line behind it, and its fields.
_Record = tuple[int, int, list | Reject]
# Records of some lines, and how many of these they take: the others start one that goes on. (None
# does where these lines are the last.)
_Split = Callable[[list[str], bool], tuple[list[_Record], int]]


def batches(blocks: Iterable[Block], path: str, how: How) -> Iterator[Batch]:
    """The rows of one input, as `tables.batches` gives them."""
    blocks, encodings = iter(blocks), how.encodings
    if how.delimiter is None and (first := next(blocks, None)):
        how = how._replace(delimiter=delimiter_of(bytes(first.text)))
        blocks = itertools.chain([first], blocks)
    if not all(_ASCII.encode(name) == _ASCII.encode() for name in encodings):
        blocks, encodings = _in_utf8(blocks, path, encodings), ("utf-8",)
    split = _split_csv(how) if how.kind == CSV else _split_tsv
    table = _Table(path, how, encodings, split)
    for block in blocks:
        yield table.batch(bytes(block.text), is_last=False)
    yield table.batch(b"", is_last=True)


def check_kind(head: bytes, path: str, how: How) -> None:
    """Raises WrongKind for an input that begins as no table of text does.

    Where the options say what the columns are, or the encoding, they are believed. Raises Failure
    for encrypted Parquet, whatever they say, and for columns of bytes, which only Parquet has.
    """
    looks.refuse_encrypted(head, path)
    if how.base64:
        raise Failure(f"{shown(path)}: is text, which has no bytes: leave out --base64")
    if how.header is None and how.encodings == ("utf-8",) and looks.is_foreign(head):
        raise WrongKind(path, expected_columns(how.columns), looks.described(head))


def headless_kind(how: How) -> Kind | None:
    """What tables without a header are recognised by; None for others, whose header says it.

    That is the number of fields.
    """
    if how.header is None:
        return None
    width = len(how.header)
    delimiters = [mark.encode() for mark in ([how.delimiter] if how.delimiter else _DELIMITERS)]

    def is_like(raw: bytes) -> bool:
        return any(raw.count(mark) == width - 1 for mark in delimiters)

    return Kind(expected_columns(how.header), is_like, looks.described)


def delimiter_of(text: bytes) -> str:
    """What stands between the names in the first line of a text."""
    header = text.partition(b"\n")[0].decode(errors="replace")
    return max(_DELIMITERS, key=header.count)  # of equals the first


def is_bare(text: Str, delimiter: str) -> bool:
    """Whether CSV has no quoted fields: then each line is a record, each quote one of its own."""
    marks = (f'{delimiter}"'.encode(), b'\n"')
    return not text.startswith(b'"') and all(text.find(mark) < 0 for mark in marks)


class _Table:
    """Makes rows of lines, by the header, which is the first record."""

    def __init__(self, path: str, how: How, encodings: tuple[str, ...], split: _Split):
        self._path, self._how, self._encodings, self._split = path, how, encodings, split
        self._columns: list[str] | None = None
        self._table: Table | None = None
        self._width = 0
        self._is_plain, self._delimiter = how.kind == CSV and not how.escape, how.delimiter
        self._rejected: list[bytes] = []  # the first ones
        self._rest, self._line = b"", 1  # what is not used yet, and the number of its first line
        if how.header:
            self._begin(list(how.header))

    def _begin(self, header: list[str]) -> None:
        places = chosen(self._path, header, self._how.columns)
        self._columns, self._width = [header[place] for place in places], len(header)
        encoding, kind = ",".join(self._encodings), None if self._how.kind == CSV else TSV
        how = self._how
        delimiter = "\t" if kind else self._delimiter
        self._table = Table(tuple(header), delimiter, encoding, how.escape, kind)
        only = places[0]
        self._pick = itemgetter(*places) if len(places) > 1 else lambda fields: (fields[only],)

    def batch(self, data: bytes, *, is_last: bool) -> Batch:
        """The rows of some more lines, as far as these make whole records."""
        data, left_out = self._rest + data, 0
        if self._is_plain:
            if self._columns is None and (header := self._plain_header(data)):
                data, left_out = data[header:], 1
            if batch := self._plain_batch(data, left_out):
                return batch
        try:
            encoding = self._encodings[0]
            text = data.decode(encoding)
        except UnicodeDecodeError:
            encoding = _BYTES  # and then each record as it is
            text = data.decode(encoding)
        lines = list(io.StringIO(text, newline="\n"))
        records, used = self._split(lines, is_last)
        rows, numbers, rejects = [], [], []
        for start, end, fields in records:
            if encoding is _BYTES and type(fields) is list:
                fields = self._decoded(fields)
            if type(fields) is list:
                width = len(fields)
                if width < 2 and self._width != 1 and not (fields and fields[0].strip(" \t\r")):
                    left_out += 1
                    continue
                if self._columns is None:
                    self._begin(fields)
                    left_out += 1
                    continue
                if width == self._width:
                    rows.append(self._pick(fields))
                    numbers.append(self._line + start)
                    continue
                fields = Reject("wrong number of fields", f"{width} in place of {self._width}")
            raw = "".join(lines[start:end]).encode(encoding).rstrip(b"\r\n")
            why = fields._replace(table=self._table and tuple(self._table))
            rejects.append((why, self._path, self._line + start, raw))
        self._rejected = (self._rejected + [raw for *_, raw in rejects])[:20]
        if is_last and self._columns is None and self._rejected:
            got = looks.described(b"\n".join(self._rejected))
            raise WrongKind(self._path, expected_columns(self._how.columns), got)
        self._rest = "".join(lines[used:]).encode(encoding)
        self._line += used
        return Batch(self._columns or [], rows, numbers, left_out, 0, rejects, self._table)

    def _plain_header(self, data: bytes) -> int:
        """Begin with a first line that needs no CSV reader; returns its length, 0 for another."""
        line = data[: data.find(b"\n") + 1]
        names = line.removesuffix(b"\n").removesuffix(b"\r")
        if not names.strip() or b'"' in names or b"\r" in names:
            return 0
        try:
            self._begin(names.decode(self._encodings[0]).split(self._delimiter))
        except UnicodeDecodeError:
            return 0
        self._line += 1
        return len(line)

    def _plain_batch(self, data: bytes, left_out: int) -> Batch | None:
        """The rows of lines each of which is a record of the right width; None for others."""
        if self._width < 2 or not data.endswith(b"\n"):
            return None
        if not is_bare(Str(data), self._delimiter):
            return None
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n")
            if b"\r" in data:
                return None
        delimiter, count = self._delimiter, data.count(b"\n")
        line = (delimiter * (self._width - 1) + "\n").encode()
        if data.translate(None, bytes(set(range(256)).difference(line))) != line * count:
            return None
        try:
            fields = data.decode(self._encodings[0]).replace("\n", delimiter).split(delimiter)
        except UnicodeDecodeError:
            return None
        fields.pop()  # what is behind the last line
        if len(fields) != self._width * count:  # the delimiter's byte is part of a character
            return None
        columns = [fields[place :: self._width] for place in range(self._width)]
        numbers = range(self._line, self._line + count)
        self._rest, self._line = b"", numbers.stop
        rows = list(zip(*self._pick(columns), strict=True))
        return Batch(self._columns, rows, numbers, left_out, table=self._table)

    def _decoded(self, fields: list[str | None]) -> list[str | None] | Reject:
        data = [None if field is None else field.encode(_BYTES) for field in fields]
        for encoding in self._encodings:
            try:
                return [None if field is None else field.decode(encoding) for field in data]
            except UnicodeDecodeError as error:
                problem = f"byte {error.start + 1} of a field"
        return Reject(f"not {' or '.join(self._encodings)}", problem)


def _split_csv(how: How) -> _Split:
    def split(lines: list[str], is_last: bool) -> tuple[list[_Record], int]:
        records: list[_Record] = []
        at = 0
        while at < len(lines):
            begin = at
            reader = csv.reader(
                map(lines.__getitem__, range(at, len(lines))),
                delimiter=how.delimiter,
                escapechar=how.escape,
                strict=True,
            )
            try:
                for fields in reader:
                    end = begin + reader.line_num
                    records.append((at, end, fields))
                    at = end
            except csv.Error as error:
                problem = str(error)
                if _UNFINISHED in problem:
                    if not is_last and sum(map(len, islice(lines, at, None))) < how.max_record:
                        break
                    problem = "a quote that does not close"
                records.append((at, at + 1, Reject("not CSV", problem)))
                at += 1
        return records, at

    return split


def _split_tsv(lines: list[str], _is_last: bool) -> tuple[list[_Record], int]:
    records = [
        (i, i + 1, [tsv.unescape(field) for field in line.rstrip("\r\n").split("\t")])
        for i, line in enumerate(lines)
    ]
    return records, len(records)


def _in_utf8(blocks: Iterable[Block], path: str, encodings: tuple[str, ...]) -> Iterator[Block]:
    """Likewise, of an input in an encoding of its own, from whose bytes no line can be told."""
    if len(encodings) > 1:
        raise Failure(f"{shown(path)}: {'+'.join(encodings)}: only one such encoding at a time")
    decoder = codecs.getincrementaldecoder(encodings[0])()
    try:
        for block in blocks:
            yield Block(decoder.decode(bytes(block.text)).encode())
        yield Block(decoder.decode(b"", final=True).encode())
    except UnicodeError as error:
        raise Failure(f"{shown(path)}: {error}") from None
