"""Inputs with recent changes, whatever form they have: each event, one after the other.

A captured body of server-sent events; JSON Lines of events; JSON Lines of read-sse.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from headcount.filters.rejects import Reject
from headcount.filters.runner import BLANKS
from headcount.formats import jsonl, sse
from headcount.formats.looks import EVENT_FIELD
from headcount.formats.sse import Captured
from headcount.io.blocks import BOM, Block
from headcount.values.search import split_lines

# The line where it was found, its id, its type and its data. (A plain tuple: fast.)
Event = tuple[int, str, str, bytes]


class Rejected(NamedTuple):
    """An event, or a line, that cannot be used: where it was found, why, and its bytes."""

    line: int
    reject: Reject
    raw: bytes


class _Line(msgspec.Struct, gc=False):
    """A line of read-sse."""

    id: str
    event: str
    data: msgspec.Raw


_HEAD = 4096  # bytes of an input, which tell what it is


def _is_body(head: bytes) -> bool:
    """Whether an input is a body of server-sent events: a broken line before them does not hide it.

    What looks like neither is taken for lines, for of these every one that is none is rejected.
    """
    for line in head.removeprefix(BOM).splitlines():
        if EVENT_FIELD.match(line):
            return True
        if line.startswith(b"{") or b"\0" in line:  # binary content has no fields to look for
            return False
    return False


class _Head(msgspec.Struct, gc=False):
    """A line of read-sse, without its data."""

    id: str
    event: str


_DATA = b'","data":'  # quotes within texts are escaped: the first is behind the type

_decode = msgspec.json.Decoder(_Line).decode
_decode_head = msgspec.json.Decoder(_Head).decode


class Reader:
    """Takes the blocks of inputs in turn."""

    def __init__(self, captured: Captured, *, is_of_read_sse: bool = False):
        """`is_of_read_sse`: all lines are as read-sse writes them."""
        self._captured = captured
        self._is_of_read_sse = is_of_read_sse
        self._name, self._is_json = "", False

    def events(self, block: Block) -> Iterator[Event | Rejected]:
        """The events of this block; its other lines are blank, or belong to an event's."""
        if self._is_of_read_sse:
            return self._of_read_sse(block)
        if block.line == 1 or block.name != self._name:
            self._name = block.name
            self._is_json = not _is_body(bytes(block.text[:_HEAD]))
        return self._of_lines(block) if self._is_json else self._of_body(block)

    def end(self) -> None:
        """The last input has ended."""
        self._captured.end()

    def _of_body(self, block: Block) -> Iterator[Event | Rejected]:
        for event in self._captured.events(block):
            if type(event) is sse.Event:
                data = event.data.replace(b"\n", b" ")  # in JSON it can only be white space
                yield event.line, event.id, event.type, data
            else:
                yield Rejected(event.line, event.reject, event.raw)

    def _of_read_sse(self, block: Block) -> Iterator[Event]:
        """Without another look through the data: it is JSON."""
        for number, text in enumerate(split_lines(block.text), block.line):
            line = bytes(text)
            end = line.index(_DATA)
            head = _decode_head(line[: end + 1] + b"}")
            yield number, head.id, head.event, line[end + len(_DATA) : -1]

    def _of_lines(self, block: Block) -> Iterator[Event | Rejected]:
        for number, text in enumerate(split_lines(block.text), block.line):
            line = bytes(text).removeprefix(BOM)  # where files were joined, each may begin with one
            try:
                event = _decode(line)
                yield number, event.id, event.event, bytes(event.data)
            except msgspec.ValidationError:  # no line of read-sse
                yield number, "", sse.MESSAGE, line.removesuffix(b"\r")
            except (msgspec.DecodeError, RecursionError):
                if bytes(text).strip(BLANKS):
                    reject = jsonl.record(_decode, line, may_have_mark=False)
                    yield Rejected(number, reject, line)
