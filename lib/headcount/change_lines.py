"""Inputs with recent changes, whatever form they have: each event, one after the other.

A captured body of server-sent events; JSON Lines of events; JSON Lines of read-sse.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from headcount import sse, strict_json
from headcount.captured import Captured
from headcount.filters import BLANKS
from headcount.inputs import BOM, Block
from headcount.rejects import Reject
from headcount.search import split_lines

# The line where it was found, its id, its type and its data. (A plain tuple: fast.)
Event = tuple[int, str, str, bytes]


class Unusable(NamedTuple):
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
_FIELDS = (b"data", b"id", b"event", b"retry", b":")  # what begins a line of a body


def _is_body(head: bytes) -> bool:
    """Whether an input is a body of server-sent events: a broken line before them does not hide it.

    What looks like neither is taken for lines, for of these every one that is none is rejected.
    """
    for line in head.removeprefix(BOM).splitlines():
        if line.startswith(_FIELDS):
            return True
        if line.startswith(b"{"):
            return False
    return False


_decode = msgspec.json.Decoder(_Line).decode


class Reader:
    """Takes the blocks of inputs in turn."""

    def __init__(self, captured: Captured):
        self._captured = captured
        self._name, self._is_json = "", False

    def events(self, block: Block) -> Iterator[Event | Unusable]:
        """The events of this block; its other lines are blank, or belong to an event's."""
        if block.line == 1 or block.name != self._name:
            self._name = block.name
            self._is_json = not _is_body(bytes(block.text[:_HEAD]))
        return self._of_lines(block) if self._is_json else self._of_body(block)

    def end(self) -> None:
        """The last input has ended."""
        self._captured.end()

    def _of_body(self, block: Block) -> Iterator[Event | Unusable]:
        for found in self._captured.events(block):
            if type(found) is sse.Event:
                data = found.data.replace(b"\n", b" ")  # in JSON it can only be white space
                yield found.line, found.id, found.type, data
            else:
                yield Unusable(found.line, found.reject, found.raw)

    def _of_lines(self, block: Block) -> Iterator[Event | Unusable]:
        for number, text in enumerate(split_lines(block.text), block.line):
            line = bytes(text)
            try:
                found = _decode(line)
                yield number, found.id, found.event, bytes(found.data)
            except msgspec.ValidationError:  # no line of read-sse
                yield number, "", sse.MESSAGE, line.removesuffix(b"\r")
            except (msgspec.DecodeError, RecursionError):
                if line.strip(BLANKS):
                    reject = strict_json.record(_decode, line)
                    yield Unusable(number, reject, line)
