"""Inputs in UTF-16 or UTF-32, recognised by how they start, as UTF-8."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from headcount.errors import Failure
from headcount.io import interrupt
from headcount.values.tsv import shown

_MARKS = {  # those of UTF-32 first: the one of UTF-16 starts one of them
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_SAMPLE = 64  # bytes


class Encoding(NamedTuple):
    """An encoding other than UTF-8: Python's name of it, and the length of its byte order mark."""

    name: str
    mark: int = 0


def detected(head: bytes, is_all: bool) -> Encoding | bool | None:
    """The encoding of an input that starts so; False for UTF-8 or any other; None: not known yet.

    It is told by its byte order mark, or by the NULs beside most characters; most of these must be
    ASCII, as they are in JSON or CSV. `is_all` says that the head is complete.
    """
    if not is_all:
        is_marked = head[:1] in (b"\xff", b"\xfe")
        needed = _SAMPLE if is_marked or b"\0" in head[:2] else 2
        if len(head) < needed:
            return None
    marked = (Encoding(name, len(mark)) for mark, name in _MARKS.items() if head.startswith(mark))
    encoding = next(marked, Encoding(json.detect_encoding(head[:_SAMPLE])))
    if encoding.name.startswith("utf-8"):
        return False
    decoder = codecs.getincrementaldecoder(encoding.name)("replace")
    text = decoder.decode(head[encoding.mark : _SAMPLE])
    usual = sum("\t" <= char <= "~" for char in text)
    return encoding if 2 * usual > len(text) or not text else False


def in_utf8(path: str, encoding: Encoding, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The text of an input from its start, in UTF-8, without its byte order mark.

    Raises Failure for bytes that are not text in its encoding.
    """
    decoder = codecs.getincrementaldecoder(encoding.name)()
    at = 0  # bytes before those to decode
    for chunk in chunks:
        skipped = min(max(encoding.mark - at, 0), len(chunk))
        at += skipped
        if text := _decoded(path, encoding, decoder, chunk[skipped:], at):
            yield text
        at += len(chunk) - skipped
    if not interrupt.requested_soon():  # an interrupted writer's last character may not be whole
        _decoded(path, encoding, decoder, b"", at, final=True)


def _decoded(
    path: str,
    encoding: Encoding,
    decoder: codecs.IncrementalDecoder,
    data: bytes,
    at: int,
    final: bool = False,
) -> bytes:
    before = at - len(decoder.getstate()[0])  # the start of a character may have been kept
    try:
        return decoder.decode(data, final).encode()
    except UnicodeDecodeError as error:
        name = encoding.name.upper()
        raise Failure(
            f"{shown(path)}: byte {before + error.start + 1}: not {name}: {error.reason}; "
            "nothing of it was counted"
        ) from None
