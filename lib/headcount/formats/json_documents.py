"""JSON documents (arrays, pretty-printed or concatenated values), cut into a record a line.

A record is a value that stands by itself, or an element of an array that does. Only quotes,
backslashes and brackets are looked at; whether a record is sound JSON is for its parser to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np

from headcount.errors import Failure
from headcount.io import interrupt
from headcount.io.blocks import Block
from headcount.values.tsv import shown

MAX_RECORD = 64 << 20  # bytes
_SHORT = 64  # bytes
_STEP = 512 << 10  # bytes looked at together; half or twice as many are no faster

# A line break within a record becomes a tab: white space as well between the parts of a value, and
# within a string no more allowed than the line break was. So what was not JSON is not made so.
_ON_ONE_LINE = bytes.maketrans(b"\n\r", b"\t\t")

_WHITE = rb" \t\n\r\x1e"  # RFC 7464 puts the last one before each value
_WORD = rb'(?:[^%b,\[\]{}"\\]++|\\[\\"]?)++' % _WHITE
# What may stand between records that have brackets: white space, punctuation, another value.
_TOKEN = re.compile(
    rb'[%b]+|(?P<mark>[,\[\]{}])|(?P<value>"(?:[^"\\]++|\\.?)*+"?|%b(?:[ \t]++%b)*+[ \t]*+)'
    % (_WHITE, _WORD, _WORD),
    re.DOTALL,
)
# Where neither is, a string goes on, or another value.
_STRING_END, _VALUE_END = re.compile(b'"'), re.compile(rb'[\n\r\x1e,\[\]{}"]')


def blocks(path: str, chunks: Iterable[bytes], start: int = 0) -> Iterator[Block]:
    """Blocks of an input's records, which its text holds from the byte `start` on.

    A record's number is the line on which it begins; where the first two begin on the same line,
    as in an array on one line, it is how many records there are up to it.
    What stands between records and is neither white space nor the one comma between two of them
    (or, outside an array, behind the last one) is a record, too, so that it is rejected and not
    lost. A comma may be missing.
    Raises Failure if the input ends within a value or an array, or if a record is too long.
    """
    cutter = _Cutter(path, start)
    for chunk in chunks:
        for at in range(0, len(chunk), _STEP):
            cutter.take(chunk[at : at + _STEP])
            if block := cutter.block():
                yield block
    interrupted = interrupt.requested_soon()
    cutter.end(interrupted)
    if block := cutter.block(is_last=True):
        yield block


class _Scanner:
    """Where the records with brackets begin and end, in one piece of an input after the other."""

    def __init__(self):
        self.in_string = False
        self.in_array = False  # the value that stands by itself, around or before here, is one
        self.depth = 0  # brackets around the end of the last piece
        self._is_escaping = False  # it ended with a backslash

    @property
    def in_record(self) -> bool:
        return self.depth > self.in_array

    def scan(self, piece: bytes) -> tuple[list[int], list[int]]:
        """The places of the brackets that open records, and of those that close them."""
        data = np.frombuffer(piece, np.uint8)
        quotes = data == ord('"')
        if self._is_escaping or b"\\" in piece:
            self._drop_escaped(data, quotes)
        folded = data & 0xDF  # of { what [ is, of } what ] is, and of nothing else
        places = np.flatnonzero(quotes | (folded == ord("[")) | (folded == ord("]")))
        kinds = data[places]
        is_quote = kinds == ord('"')
        inside = np.cumsum(is_quote, dtype=np.uint8) & 1  # of quotes the closing ones are not
        if self.in_string:
            inside ^= 1
        if len(inside):
            self.in_string = bool(inside[-1])
        outside = np.flatnonzero(~(is_quote | inside.view(bool)))
        if not len(outside):
            return [], []
        return self._records(places[outside], kinds[outside])

    def _drop_escaped(self, data: np.ndarray, quotes: np.ndarray) -> None:
        """Leave of `quotes` those that no backslash escapes."""
        slashes = np.flatnonzero(data == ord("\\"))
        if self._is_escaping:
            slashes = np.concatenate(([-1], slashes))
        self._is_escaping = False
        if not len(slashes):
            return
        order = np.arange(len(slashes))
        begins = np.diff(slashes, prepend=-2) != 1  # a run of backslashes
        begins[0] = True
        in_run = order - np.maximum.accumulate(np.where(begins, order, 0))
        escaped = slashes[in_run & 1 == 0] + 1
        if escaped[-1] == len(data):
            self._is_escaping = True
            escaped = escaped[:-1]
        quotes[escaped] = False

    def _records(self, places: np.ndarray, kinds: np.ndarray) -> tuple[list[int], list[int]]:
        steps = ((kinds & 2) - 1).view(np.int8)  # 1 of an opening bracket, -1 of a closing one
        depth = np.cumsum(steps, dtype=np.int32)
        depth += self.depth
        if depth.min() < 0:  # what closes nothing has no depth of its own
            below = np.minimum.accumulate(np.minimum(depth, 0))
            depth -= below
            is_used = np.diff(below, prepend=0) == 0
            places, kinds, steps, depth = (
                values[is_used] for values in (places, kinds, steps, depth)
            )
            if not len(places):
                return [], []
        opens = steps > 0
        tops = opens & (depth == 1)
        level = np.int32(self.in_array)  # how deep records stand
        if tops.any():
            order = np.maximum.accumulate(np.where(tops, np.arange(len(tops)), -1))
            in_array = np.where(order < 0, self.in_array, kinds[order] == ord("["))
            self.in_array = bool(in_array[-1])
            level = in_array.astype(np.int32)
        self.depth = int(depth[-1])
        starts = places[opens & (depth == level + 1)]
        ends = places[~opens & (depth == level)]
        return starts.tolist(), ends.tolist()


class _Cutter:
    """Cuts an input, piece by piece, into records, and makes blocks of these."""

    def __init__(self, path: str, start: int):
        self._path = path
        self._scanner = _Scanner()
        self._at = start  # bytes before the piece
        self._line = 1  # the number of its first line
        # Of a record, or of what stands between two, as much as there is before the piece:
        self._begun: list[bytes] = []
        self._begun_size = self._begun_at = 0
        self._begun_line = 1
        # Between records:
        self._in_array = False
        self._needs_comma = False
        self._has_comma = False  # since the last record
        self._usual: set[bytes] = set()  # what only tells one record from the next, here
        # Of the block to come:
        self._records: list[bytes] = []
        self._starts: list[int] = []
        self._lines: list[int] = []
        self._count = 0  # records in earlier blocks
        self._by_lines: bool | None = None  # whether records are numbered so; None: not known yet

    def take(self, piece: bytes) -> None:
        """Cut some more of the input."""
        was_in_record = self._scanner.in_record
        known = len(self._records)
        starts, ends = self._scanner.scan(piece)
        at = 0
        if was_in_record:
            if not ends:
                self._begin(piece, self._at)
                return self._count_lines(piece, known)
            at = ends.pop(0) + 1
            self._add(self._begun_at, self._joined(piece[:at]))
        for start, end in zip(starts, ends, strict=False):  # the last one may go on
            between = piece[at:start]
            if self._begun or not (self._needs_comma and between in self._usual):
                self._between(between, self._at + at)
            at = end + 1
            self._add(self._at + start, piece[start:at])
        if len(starts) > len(ends):
            start = starts[-1]
            self._between(piece[at:start], self._at + at)
            self._begin(piece[start:], self._at + start)
        elif at < len(piece):
            self._between(piece[at:], self._at + at, is_open=True)
        return self._count_lines(piece, known)

    def end(self, interrupted: bool) -> None:
        """Take note that the input ends here."""
        if interrupted:
            return
        scanner = self._scanner
        in_value = scanner.in_record or scanner.in_string
        if not in_value:
            self._between(b"", self._at)
        if not (scanner.depth or in_value):
            self._lines += [self._begun_line] * (len(self._records) - len(self._lines))
            return
        number = self._count + len(self._records)
        where = f"record {number + 1}, which begins at byte {self._begun_at + 1}"
        if not in_value:
            where = f"an array, after its record {number}" if number else "an array"
        raise Failure(
            f"{shown(self._path)}: truncated: it ends at byte {self._at} inside {where}; "
            "nothing of it was counted"
        )

    def block(self, is_last: bool = False) -> Block | None:
        """The records cut since the last block; None if there are none, or not yet."""
        if self._by_lines is None:
            lines = self._lines[:2]
            if self._begun:
                lines = [*lines, self._begun_line][:2]
            if len(lines) == 2:
                self._by_lines = lines[0] != lines[1]
            elif lines and (is_last or self._line > lines[0]):
                self._by_lines = True
            else:
                return None
        if not self._records:
            return None
        text = b"\n".join(self._records)
        if text.count(b"\n") != len(self._records) - 1 or b"\r" in text:
            text = b"\n".join([record.translate(_ON_ONE_LINE) for record in self._records])
        block = Block(text + b"\n", self._path, self._count + 1, start=self._starts[0])
        if self._by_lines:
            block.numbers = self._lines
        self._count += len(self._records)
        self._records, self._starts, self._lines = [], [], []
        return block

    def _count_lines(self, piece: bytes, known: int) -> None:
        """Number the lines of the records that were added with a piece, and go on behind it."""
        starts = self._starts[known:]
        if self._by_lines is not False:
            newlines = np.flatnonzero(np.frombuffer(piece, np.uint8) == ord("\n")) + self._at
            before = 0
            if starts and starts[0] < self._at:  # it began in an earlier piece
                before = 1
                self._lines.append(self._begun_line)
            numbers = newlines.searchsorted(starts[before:]) + self._line
            self._lines += numbers.tolist()
            if self._begun_at >= self._at:
                self._begun_line = self._line + int(newlines.searchsorted(self._begun_at))
            self._line += len(newlines)
        self._at += len(piece)

    def _add(self, start: int, record: bytes) -> None:
        self._records.append(record)
        self._starts.append(start)
        self._needs_comma, self._has_comma = True, False

    def _begin(self, part: bytes, start: int) -> None:
        """Keep what ends in a later piece."""
        if not self._begun:
            self._begun_at = start
        self._begun.append(part)
        self._begun_size += len(part)
        if self._begun_size > MAX_RECORD:
            number = self._count + len(self._records) + 1
            raise Failure(
                f"{shown(self._path)}: record {number}, which begins at byte "
                f"{self._begun_at + 1}: expected at most {MAX_RECORD >> 20} MB, got more; if it is "
                "one object that holds the events, cut it first, for instance with "
                "jq -c '.events[]'"
            )

    def _joined(self, part: bytes) -> bytes:
        """What has begun, with its last part."""
        whole = b"".join((*self._begun, part))
        self._begun, self._begun_size = [], 0
        return whole

    def _between(self, text: bytes, start: int, is_open: bool = False) -> None:
        """Go through what stands between records; `is_open`: it may go on in the next piece."""
        ends = _STRING_END if self._scanner.in_string else _VALUE_END
        if is_open and self._begun and not ends.search(text):
            self._begin(text, start)  # still within the same value
            return
        if self._begun:
            start = self._begun_at
            text = self._joined(text)
        is_usual = self._needs_comma and not is_open and len(text) < _SHORT
        for token in _TOKEN.finditer(text):
            if mark := token["mark"]:
                is_usual = self._separates(mark, start + token.start()) and is_usual
            elif value := token["value"]:
                is_whole = value.startswith(b'"') and not self._scanner.in_string
                if is_open and token.end() == len(text) and not is_whole:
                    self._begin(value, start + token.start())
                    return
                self._add(start + token.start(), value.rstrip(b" \t"))
                is_usual = False
        if is_usual:
            self._usual.add(text)

    def _separates(self, mark: bytes, start: int) -> bool:
        """Go past a comma or a bracket; whether it only tells an element from the next."""
        if mark == b"," and self._needs_comma:
            self._needs_comma, self._has_comma = False, True
            return True
        self._usual.clear()
        if mark == b"[" and not self._in_array:
            self._in_array, self._needs_comma, self._has_comma = True, False, False
        elif mark == b"]" and self._in_array:
            if self._has_comma:
                self._add(start, b",")  # the one before the bracket
            self._in_array = self._needs_comma = self._has_comma = False
        else:
            if mark == b"}":
                self._in_array = False
            self._add(start, mark)
        return False
