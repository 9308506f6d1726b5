"""What an input looks like, for the message that says why it cannot be read."""

from __future__ import annotations

import csv
import io
import re

from headcount.errors import NO_INPUT, Failure
from headcount.io.blocks import BOM
from headcount.values.tsv import shown

HEAD = 4096  # bytes that are looked at
_SHOWN = 8  # keys or columns
# What a list is called in an object that does no more than hold others.
_HOLDERS = ("batch", "data", "events", "hits", "items", "records", "results", "rows")
_TEXT = 40  # characters
_NAME = 64  # characters, of a column, at most
_DELIMITERS = {"\t": "TSV", ",": "CSV", ";": "CSV", "|": "CSV"}

_UTF16 = "UTF-16 text"

# How binary files start. (Archives are told before: io/decompress.py.)
_MAGIC = [
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF-", "a PDF document"),
    (b"SQLite format 3", "a SQLite database"),
    (b"PAR1", "Parquet"),
    (_ENCRYPTED := b"PARE", ENCRYPTED := "encrypted Parquet"),
    (b"Obj\x01", "Avro"),
    (b"ORC", "ORC"),
    (b"ARROW1", "an Arrow file"),
    (b"\xff\xfe\0\0", "UTF-32 text"),
    (b"\xff\xfe", _UTF16),
    (b"\xfe\xff", _UTF16),
]
_TEXT_MAGIC = (b"PAR1", _ENCRYPTED, b"ORC", b"ARROW1")  # that text may begin with, too
_ARRAY_NAME = "a JSON array"
_OBJECTS = "JSON objects with the keys "
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r"))

_MARKUP = re.compile(r"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_XML = re.compile(r"<(?:\?xml|!--|!\w|\w[\w:.-]*(?:\s[^<>]*)?/?>)")
_ARRAY = re.compile(r'\[\s*(?:[\[{"\]]|-?[0-9]+(?:\.[0-9]+)?\s*[,\]]|(?:true|false|null)\b|$)')
# The combined and the common log format: https://httpd.apache.org/docs/current/logs.html
_ACCESS_LOG = re.compile(r'\S+ \S+ .*?\[[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[^\]]+\] "')
# A field or a comment of an event stream, in bytes, wherever a line starts:
# https://html.spec.whatwg.org/multipage/server-sent-events.html
EVENT_FIELD = re.compile(rb"(?:\A|[\r\n])(?::|(?:data|event|id|retry)(?::|[\r\n]|\Z))")


def described(head: bytes) -> str:
    """What an input looks like that begins with these bytes, once decompressed: a noun phrase."""
    head = head[:HEAD]
    for start, name in _MAGIC:
        if head.startswith(start) and (start not in _TEXT_MAGIC or _has_control(head)):
            return name
    if _is_utf16(head):
        return _UTF16
    try:
        text = _decoded(head.removeprefix(BOM))
    except UnicodeDecodeError:
        return _not_utf8(head)
    if "\0" in text:
        return _not_utf8(head)
    return _of_text(text.lstrip())


def refuse_encrypted(head: bytes, path: str) -> None:
    """Raises Failure for Parquet with an encrypted footer: of it, nothing can be told or read.

    It is never taken as an empty input, for it is one of the right kind.
    """
    # (A header of CSV may begin with PARENT, say.)
    if head.startswith(_ENCRYPTED) and described(head) == ENCRYPTED:
        raise encrypted(path)


def encrypted(path: str, column: str | None = None) -> Failure:
    """The error that says that a Parquet file, or one column of it, is encrypted."""
    of_column = "" if column is None else f", column {column!r}"
    way_out = "write it without encryption, with what has its keys"
    if column is not None:
        way_out += ", or read other columns"
    return Failure(f"{shown(path)}: encrypted Parquet{of_column}: {way_out}", NO_INPUT)


def is_foreign(head: bytes) -> bool:
    """Whether an input is not delimited text, whatever its columns are.

    It begins as a binary format does that has a name, as UTF-16, markup or JSON.
    """
    kind = described(head)
    binary = {name for _, name in _MAGIC} | {_UTF16}
    return kind in binary or kind in ("HTML", "XML", _ARRAY_NAME) or kind.startswith(_OBJECTS)


def _has_control(head: bytes) -> bool:
    return len(head.translate(None, _CONTROL)) < len(head)


def _is_utf16(head: bytes) -> bool:
    """Whether every other byte of nearly all is NUL, as in UTF-16 without a byte order mark."""
    nuls = [head[start::2].count(0) * 2 / max(1, len(head)) for start in (0, 1)]
    return len(head) > 1 and max(nuls) > 0.8 and min(nuls) < 0.2


def _decoded(head: bytes) -> str:
    """Raises UnicodeDecodeError for what is not UTF-8, wherever it was cut off."""
    try:
        return head.decode()
    except UnicodeDecodeError as error:
        if len(head) - error.start > 3 or error.reason != "unexpected end of data":
            raise
        return head[: error.start].decode()


def _not_utf8(head: bytes) -> str:
    if _has_control(head):
        return f"binary data: {head[:8].hex(' ')}…"
    return f"text that is not UTF-8: {_start(head.decode('latin-1'))}"


def _of_text(text: str) -> str:
    if not text:
        return "nothing"
    first = text.partition("\n")[0]
    if text.startswith("<"):
        if _MARKUP.search(text[:1000]):
            return "HTML"
        if _XML.match(text):
            return "XML"
    if _ARRAY.match(text):
        return _ARRAY_NAME
    if text.startswith("{"):
        keys, lists = _keys(text)
        if name := next(filter(_HOLDERS.__contains__, lists), ""):
            return f"{_OBJECTS}{_listed(keys)} (jq -c '.{name}[]' FILE prints what is in {name})"
        if keys:
            return f"{_OBJECTS}{_listed(keys)}"
    if _ACCESS_LOG.match(first):
        return "an access log"
    if EVENT_FIELD.match(first.encode()):
        return "server-sent events"
    if columns := _columns(text):
        kind, names = columns
        return f"{kind} with the columns {_listed(names)}"
    return f"text: {_start(text)}"


def _keys(text: str) -> tuple[list[str], list[str]]:
    """The keys of a JSON object, as far as there is text, and which of them have lists of objects.

    None for what is not JSON.
    """
    import ijson  # slow to import

    keys: list[str] = []
    lists: list[str] = []
    depth, before = 0, ""
    try:
        for event, value in ijson.basic_parse(text.encode(), multiple_values=True):
            if event == "start_map" and before == "start_array" and depth == 2:
                lists.append(keys[-1])
            depth += event.startswith("start_") - event.startswith("end_")
            before = event
            if event == "map_key" and depth == 1:
                keys.append(value)
            elif not depth:
                break
    except (ijson.JSONError, ValueError):  # the rest of the object is not here
        pass
    return keys, lists


def _columns(text: str) -> tuple[str, list[str]] | None:
    """CSV or TSV, and the names of its columns; None where the first line is no header."""
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    if delimiter not in first:
        return None
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    row: list[str] = []
    try:
        names = next(rows)
        row = next(rows, row)
    except csv.Error:  # the row may be cut off
        if not row and '"' in first:
            return None
        names = first.rstrip("\r").split(delimiter)
    if not all(0 < len(name.strip()) <= _NAME and name.isprintable() for name in names):
        return None
    if len(row) != len(names) and not all(name.strip().isidentifier() for name in names):
        return None
    return _DELIMITERS[delimiter], names


def _listed(names: list[str]) -> str:
    shown = [name if len(name) <= _NAME else f"{name[:_NAME]}…" for name in names[:_SHOWN]]
    return ", ".join([*shown, "…"] if len(names) > _SHOWN else shown)


def _start(text: str) -> str:
    line = text.strip().partition("\n")[0].rstrip("\r")
    return f"{line[:_TEXT]!r}" if len(line) <= _TEXT else f"{line[:_TEXT] + '…'!r}"
