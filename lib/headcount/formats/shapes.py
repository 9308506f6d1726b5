"""What shape an input has, told from how it starts: lines, JSON documents, a table, UTF-16.

Whatever it is becomes blocks of JSON Lines, so that every filter reads it as it reads lines.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from headcount.formats import encodings
from headcount.io import inputs, interrupt, splits, whole_lines
from headcount.io.blocks import BOM, Block

_ENOUGH = 1 << 20  # bytes of an input that has not told its shape by then: it has lines

LINES, DOCUMENTS = "lines", "documents"
CSV, TSV, PARQUET, AVRO = "csv", "tsv", "parquet", "avro"  # kinds of table_lines
ENCRYPTED = "encrypted"  # Parquet that cannot be read
_MAGIC = {b"PAR1": PARQUET, b"Obj\x01": AVRO}
_DELIMITERS = ("\t", ",", ";", "|")
_RECORD_SEPARATOR = b"\x1e"
_WHITE = b" \t\r\n" + _RECORD_SEPARATOR

# Patterns are compiled where they are needed: lines do without.
# Empty arrays, as far as they are all there is, and an array of objects behind them.
_ARRAYS = rb"(?:\[[ \t\r\n]*\][ \t\r\n]*)*(?:(?P<objects>\[[ \t\r\n]*\{)|\[?[ \t\r\n]*)"
# How a pretty-printed object begins: no damage makes two lines of JSON Lines of it.
_PRETTY = rb'\{[ \t\r]*\n[ \t\r\n]*"'
_VALUE = json.JSONDecoder(parse_int=str, parse_float=str)
_ROOM = 16  # an error so near to the end may be the end itself, within a word or an escape

T = TypeVar("T")


class Wanted(NamedTuple):
    """What a reader of inputs is to look for."""

    columns: tuple[str, ...] | None  # names at the top level to read of a table; None: all
    is_header: Callable[[list[str]], bool]  # whether a text table so named holds what is wanted
    text: bool = False  # lines that are not JSON: only the encoding is looked at


def reader(wanted: Wanted) -> inputs.Reader:
    """How to read inputs of any shape, as blocks of lines.

    Reading raises Failure for an input that is not sound in the shape that it has.
    """
    shape_of = functools.partial(_shape_of, wanted)

    def convert(
        path: str, head: bytes, chunks: Iterator[bytes]
    ) -> tuple[bytes, Iterator[Block] | None]:
        start = _Start(head, chunks)
        encoding = start.ask(encodings.detected)
        if encoding:
            start = _Start(b"", encodings.in_utf8(path, encoding, start.all()))
        shape = start.ask(shape_of)
        if shape != LINES:
            return b"", _converted(path, shape, start, wanted)
        return (b"", _lines(path, start)) if encoding else (start.head, None)

    def is_divisible(path: str) -> bool:
        if not splits.is_plain(path):
            return False
        with open(path, "rb") as file:
            start = _Start(b"", iter(functools.partial(file.read, whole_lines.CHUNK), b""))
            return not start.ask(encodings.detected) and start.ask(shape_of) == LINES

    return inputs.Reader(convert, is_divisible)


class _Start:
    """The start of an input, of which no more is read than it takes to decide."""

    def __init__(self, head: bytes, chunks: Iterator[bytes]):
        self.head, self.chunks = head, chunks

    def ask(self, question: Callable[[bytes, bool], T | None]) -> T:
        """The answer to a question about the head, which must answer where that is all there is."""
        while (answer := question(self.head, False)) is None:
            more = next(self.chunks, None) if len(self.head) < _ENOUGH else None
            if more is None:
                return question(self.head, True)
            self.head += more
        return answer

    def all(self) -> Iterator[bytes]:
        """The input from its start."""
        return itertools.chain([self.head], self.chunks)


def _converted(path: str, shape: str, start: _Start, wanted: Wanted) -> Iterator[Block]:
    if shape == ENCRYPTED:
        from headcount.formats import looks

        looks.refuse_encrypted(start.head, path)
    if shape == DOCUMENTS:
        from headcount.formats import json_documents  # numpy, which lines do without

        mark = len(BOM) if start.head.startswith(BOM) else 0
        return json_documents.blocks(path, itertools.chain([start.head[mark:]], start.chunks), mark)
    from headcount.formats import table_lines  # libraries that may not be installed

    head = start.head.removeprefix(BOM)
    return table_lines.blocks(path, head, start.chunks, shape, wanted.columns)


def _lines(path: str, start: _Start) -> Iterator[Block]:
    line = 1
    for text in whole_lines.of_chunks(start.all(), interrupt.requested_soon):
        block = Block(text, path, line)
        line += block.lines()
        yield block


def _shape_of(wanted: Wanted, head: bytes, is_all: bool) -> str | None:
    """The shape of an input in UTF-8 that starts so; None if it takes more to tell."""
    if wanted.text:
        return LINES
    for magic, shape in _MAGIC.items():
        if head.startswith(magic):
            return shape
    if head.startswith(b"PARE"):
        from headcount.formats import looks  # JSON Lines do without

        if looks.described(head) == looks.ENCRYPTED:
            return ENCRYPTED
    head = head.removeprefix(BOM)
    text = head.lstrip(_WHITE)
    if not text:
        return LINES if is_all else None
    if text[:1] not in (b"[", b"{"):
        return _shape_of_table(wanted, head.lstrip(b"\r\n"), is_all)
    if _RECORD_SEPARATOR in head[: -len(text)]:
        return DOCUMENTS
    return (_shape_of_arrays if text.startswith(b"[") else _shape_of_objects)(text, is_all)


def _shape_of_arrays(text: bytes, is_all: bool) -> str | None:
    arrays = re.match(_ARRAYS, text)
    if arrays["objects"]:
        return DOCUMENTS
    if arrays.end() < len(text):
        return LINES
    return DOCUMENTS if is_all else None


def _shape_of_objects(text: bytes, is_all: bool) -> str | None:
    """By the first line, or if that is not an object by itself, by the first value.

    A first line that is damaged is still a line: DOCUMENTS is said only of what is sound.
    """
    first, is_line = _first_line(text)
    if not (is_line or is_all):
        return None
    end = _value_end(first)
    if end is None:
        return LINES
    if end:
        if first[end:].strip(_WHITE) == b",":
            return DOCUMENTS
        if not _is_row_of_objects(first):
            return LINES
        second, is_line = _first_line(text[len(first) :].lstrip(_WHITE))
        if not (is_line or is_all):
            return None
        # a line to which another one was glued is damage, unless the next is like it
        return DOCUMENTS if not second.strip() or _is_row_of_objects(second) else LINES
    if re.match(_PRETTY, text):
        return DOCUMENTS
    end = _value_end(text)
    if end:
        return DOCUMENTS
    return LINES if end is None or is_all else None


def _is_row_of_objects(line: bytes) -> bool:
    """Whether a line begins with two objects; the second may go on beyond what is known of it."""
    end = _value_end(line)
    if not end:
        return False
    rest = line[end:].lstrip(_WHITE)
    return rest.startswith(b"{") and (bool(_value_end(rest)) or len(line) >= _ENOUGH)


def _first_line(text: bytes) -> tuple[bytes, bool]:
    """The first line without its newline, and whether there is one."""
    end = text.find(b"\n")
    return (text, False) if end < 0 else (text[:end], True)


def _value_end(text: bytes) -> int | None:
    """Where the JSON value with which a text starts ends; 0 if that comes later, None if never."""
    chars = text.decode("latin-1")  # a character for each byte; UTF-8 is for the parser to check
    try:
        return _VALUE.raw_decode(chars)[1]
    except json.JSONDecodeError as error:
        is_open = error.msg.startswith("Unterminated string") or len(chars) - error.pos < _ROOM
        return 0 if is_open else None
    except RecursionError:
        return None


def _shape_of_table(wanted: Wanted, text: bytes, is_all: bool) -> str | None:
    import csv  # JSON Lines do without

    from headcount.formats.delimited import delimiter_of

    line, is_line = _first_line(text)
    if not (is_line or is_all):
        return None
    delimiter = delimiter_of(line)
    header = line.decode(errors="replace").removesuffix("\r")
    try:
        names = next(csv.reader([header], delimiter=delimiter))
    except csv.Error:
        return LINES
    if delimiter not in _DELIMITERS or not wanted.is_header(names):
        return LINES
    # TSV has no quotes: what has them is CSV with another delimiter
    return TSV if delimiter == "\t" and b'"' not in line else CSV
