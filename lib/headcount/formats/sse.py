"""Server-sent events, by the rules of https://html.spec.whatwg.org/multipage/server-sent-events.html

Lines end with LF, CR LF or CR; what is not UTF-8 is replaced by U+FFFD. An event ends with an empty
line; one that the stream breaks off in is none. Of an event we keep its type, its data (several
lines joined by LF) and the last id so far.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from stringzilla import Str

from headcount.filters.recognised import Kind
from headcount.filters.rejects import Reject
from headcount.formats import looks
from headcount.io.blocks import BOM, Block
from headcount.values.tsv import shown

MAX_EVENT = 16 << 20  # bytes
_LF = 10
_COMMENTS = 4096  # bytes of comments are not as many as that
MESSAGE = "message"  # the type of an event that names none
# How an event begins as most servers send it, with one line of data: faster than line by line.
_USUAL = re.compile(rb"(?:event: ?([^\n]*)\n)?id: ?([^\n\0]*)\ndata: ?")


KIND = Kind(
    "server-sent events (lines that start with data:, event:, id:, retry: or a colon)",
    lambda line: looks.EVENT_FIELD.search(line) is not None,
    looks.described,
)


class Event(NamedTuple):
    """An event. `id` is the last one that the stream gave, "" for none; `line` where it begins."""

    id: str
    type: str
    data: bytes  # UTF-8
    line: int


class Rejected(NamedTuple):
    """An event that cannot be used: why, the line where it begins, its bytes as far as kept."""

    reject: Reject
    line: int
    raw: bytes


class Parser:
    """Takes a stream piece by piece, however it is cut.

    `last_id` is what resumes it; `retry` how many milliseconds the server wants to be left alone
    before that, if it said so.
    """

    def __init__(self, max_event: int = MAX_EVENT, last_id: str = "", *, has_begun: bool = False):
        """`has_begun`: the byte order mark that a stream may begin with has been dropped."""
        self.last_id = last_id
        self.retry: int | None = None
        self._max_event = max_event
        self._rest = bytearray()  # of an event that has not ended
        self._line = 1  # where that begins
        self._searched = 0  # bytes of it that hold no end
        self._ended_with_cr = False
        self._begun = has_begun
        self._skipping = False  # the rest of an event that is too large

    def feed(self, data: bytes) -> Iterator[Event | Rejected]:
        """The events that these bytes end."""
        data = self._with_lf(data)
        if not self._begun:
            data = self._after_bom(data)
        self._rest += data
        end = self._rest.rfind(b"\n\n", self._searched) + 2
        if end >= 2:
            text, self._rest = bytes(self._rest[:end]), self._rest[end:]
            usual = len(text) <= self._max_event and not self._skipping and self._usual(text)
            yield from usual or self._each(text)
        self._searched = max(0, len(self._rest) - 1)
        if len(self._rest) > self._max_event:
            if not self._skipping:
                yield self._too_large(bytes(self._rest[: self._max_event]))
            self._skipping = True
            self._line += self._rest.count(b"\n", 0, len(self._rest) - 1)
            del self._rest[:-1]  # which may be half of the end
            self._searched = 0

    def _usual(self, text: bytes) -> list[Event] | None:
        """Events as most servers send them, all at once; None if one is not.

        (That takes half of the time that one by one takes.)
        """
        *lines, _ = text.split(b"\n")
        kinds, ids, data, ends = (lines[i::4] for i in range(4))
        of_lines = {line: line[7:].decode(errors="replace") or MESSAGE for line in set(kinds)}
        if (
            any(ends)
            or len(lines) % 4
            or not all(line.startswith(b"event: ") for line in of_lines)
            or not all(line.startswith(b"id: ") and b"\0" not in line for line in ids)
            or not all(line.startswith(b"data: ") for line in data)
        ):
            return None
        try:
            ids = [line[4:].decode() for line in ids]
            for line in data:
                line.decode()
        except UnicodeDecodeError:
            return None
        numbers = range(self._line, self._line + len(lines), 4)
        self.last_id = ids[-1]
        self._line += len(lines)
        return [
            Event(ident, of_lines[kind], line[6:], number)
            for ident, kind, line, number in zip(ids, kinds, data, numbers, strict=True)
        ]

    def _each(self, text: bytes) -> Iterator[Event | Rejected]:
        # (this split takes a third of the time that one of bytes does)
        *blocks, rest = map(bytes, Str(text).split("\n\n"))
        self._rest[:0] = rest  # the last of three newlines
        for block in blocks:
            if self._skipping:
                self._skipping = False
            elif len(block) > self._max_event:
                yield self._too_large(block)
            elif block and (event := self._event(block)) is not None:
                yield event
            self._line += block.count(b"\n") + 2

    @property
    def unfinished(self) -> bool:
        """Whether the stream has broken off within an event."""
        if self._skipping or len(self._rest) > _COMMENTS:
            return True
        lines = self._rest.split(b"\n")
        return any(line and not line.startswith(b":") for line in lines)

    def _with_lf(self, data: bytes) -> bytes:
        if self._ended_with_cr and data.startswith(b"\n"):
            data = data[1:]
            self._ended_with_cr = False
        if data:
            self._ended_with_cr = data.endswith(b"\r")
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return data

    def _after_bom(self, data: bytes) -> bytes:
        self._rest += data
        if len(self._rest) < len(BOM) and BOM.startswith(self._rest):
            return b""
        self._begun = True
        data = bytes(self._rest).removeprefix(BOM)
        self._rest.clear()
        return data

    def _too_large(self, block: bytes) -> Rejected:
        detail = f"more than {self._max_event} bytes"
        return self._rejected(Reject("event too large", detail), block[: self._max_event])

    def _rejected(self, reject: Reject, block: bytes) -> Rejected:
        return Rejected(reject, self._begin(block), block)

    def _begin(self, block: bytes) -> int:
        """The line of an event's first one that is not blank."""
        return self._line + (len(block) - len(block.lstrip(b"\n")) if block[0] == _LF else 0)

    def _event(self, block: bytes) -> Event | None:
        """None where a block only says when to come again, or the id so far."""
        try:
            block.decode()
        except UnicodeDecodeError:  # by the standard, what is not UTF-8 is replaced
            block = block.decode(errors="replace").encode()
        usual = _USUAL.match(block)
        if usual and block.find(b"\n", usual.end()) < 0:
            kind, last_id = usual.groups(b"")
            self.last_id = last_id.decode()
            kind = kind.decode() or MESSAGE
            return Event(self.last_id, kind, block[usual.end() :], self._line)
        data, kind = [], b""
        for line in block.split(b"\n"):
            field, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if field == b"data":
                data.append(value)
            elif field == b"event":
                kind = value
            elif field == b"id":
                if b"\0" not in value:
                    self.last_id = value.decode()
            elif field == b"retry" and value.isdigit():
                self.retry = int(value[:9])
        if not data:
            return None
        return Event(self.last_id, kind.decode() or MESSAGE, b"\n".join(data), self._begin(block))


class Captured:
    """Takes blocks of such files, one file after the other; tells `note` of unfinished ones."""

    def __init__(self, max_event: int, note: Callable[[str], None]):
        self._max_event, self._note = max_event, note
        self._name, self._parser = "", Parser()

    def events(self, block: Block) -> Iterator[Event | Rejected]:
        """The events that end in this block."""
        if block.line == 1 or block.name != self._name:
            self.end()
            # (who reads files has dropped a byte order mark)
            self._name, self._parser = block.name, Parser(self._max_event, has_begun=True)
        return self._parser.feed(bytes(block.text))

    def end(self) -> None:
        """The last file has ended."""
        if self._parser.unfinished:
            text = "breaks off within an event: that is left out"
            self._note(f"{shown(self._name)}: {text}")
        self._parser = Parser()


def no_field(block: Block) -> tuple | None:
    """A reject of the first line of a block in which no line is one of an event stream's."""
    text = bytes(block.text)
    is_foreign = block.line == 1 and looks.is_foreign(text[: looks.HEAD])
    if not text.strip() or (KIND.is_like(text) and not is_foreign):
        return None
    number, line = next((i, line) for i, line in enumerate(text.split(b"\n")) if line.strip())
    return Reject("no field of an event"), block.name, block.line + number, line
