"""Many chat lines of one spelling, taken apart at once.

A program that writes chat lines spells them all alike: the same keys in the same order, the same
spaces. So what stands between the values of a line is compared with the first line of its kind, for
all lines in one go; where the values are follows from where the quotes are. Anything else (an
escape, a control character, another spelling) is left to the JSON parser. Measured, with packing:
0.45 us a line here, 0.7 us there.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from headcount import chat, digits
from headcount.chat_spelling import Piece, Span, Spelling
from headcount.codes import MOST_WORDS
from headcount.lines import All
from headcount.search import is_ascii

_PAD = 40  # bytes before and behind the text, so that one may read beyond its ends
_WORD = 8  # bytes
_UUID = 36  # characters
_DASHES = [8, 13, 18, 23]

_FIRST = np.array([2 ** (8 * i) - 1 for i in range(_WORD + 1)], np.uint64)  # bytes of a word
_LAST = ~_FIRST[::-1]
_ZEROS = np.uint64(int.from_bytes(b"0" * _WORD))


class Scanned(NamedTuple):
    """Some lines. Ids are the 16 bytes of UUIDs, as two words; texts are rows of words.

    `times` are seconds since 1970; `online` means nothing for messages.
    """

    ids: np.ndarray
    times: np.ndarray
    sites: np.ndarray
    names: np.ndarray
    status: np.ndarray
    online: np.ndarray


class _Lines:
    """Lines with the same number of quotes, or some `rows` of them."""

    def __init__(self, data: np.ndarray, starts, quotes, ends, rows: np.ndarray | None = None):
        self._data, self._rows = data, rows
        self._starts, self._quotes, self._ends = starts, quotes, ends
        self.last = quotes.shape[1] + 1  # the number of the last place

    def at(self, place: int) -> np.ndarray:
        """Where a place is, in each line."""
        if place == 0:
            found = self._starts
        elif place == self.last:
            found = self._ends
        else:
            found = self._quotes[:, place - 1]
        return found if self._rows is None else found[self._rows]

    def first(self) -> bytes:
        """The first line."""
        return self._data[self.at(0)[0] : self.at(self.last)[0]].tobytes()

    def rows(self, which: np.ndarray) -> _Lines:
        """Some of the lines."""
        return _Lines(self._data, self._starts, self._quotes, self._ends, which)

    def _from(self, at: np.ndarray, size: int) -> np.ndarray:
        """So many bytes from these places on."""
        # The data as rows that overlap: one from each byte on.
        rows = np.ndarray((len(self._data) - size + 1,), f"V{size}", self._data, strides=(1,))
        return rows[at]

    def have(self, piece: Piece) -> bool:
        """Whether all lines have it."""
        at = self.at(piece.place) + piece.offset
        return self._from(at, len(piece.text)).tobytes() == piece.text * len(at)

    def ends(self, piece: Piece, place: int) -> bool:
        """Whether the piece ends with that place in all lines."""
        end = self.at(piece.place) + (piece.offset + len(piece.text) - 1)
        return bool((end == self.at(place)).all())

    def _lengths(self, span: Span) -> tuple[np.ndarray, np.ndarray]:
        """Where values start, and how long they are."""
        start = self.at(span.place) + span.offset
        return start, self.at(span.end) + span.until - start

    def texts(self, span: Span) -> np.ndarray:
        """Values as words, filled up with zeros."""
        start, length = self._lengths(span)
        longest = int(length.max())
        if longest > MOST_WORDS * _WORD or not length.all():
            raise ValueError("long or empty")
        number = -(-longest // _WORD)
        words = self._from(start, number * _WORD).view(np.uint64).reshape(-1, number)
        for i in range(number):
            words[:, i] &= _FIRST[np.minimum(np.maximum(length - i * _WORD, 0), _WORD)]
        return words

    def numbers(self, span: Span) -> np.ndarray:
        """Values that are whole numbers of up to 16 digits."""
        start, length = self._lengths(span)
        shortest, longest = int(length.min()), int(length.max())
        if longest > 2 * _WORD or shortest < 1:
            raise ValueError("length")
        if (self._data[start[length > 1]] == ord("0")).any():
            raise ValueError("a leading zero")
        words = self._from(start + length - 2 * _WORD, 2 * _WORD).view(np.uint64).reshape(-1, 2)
        # of the first word and of the second; in one row for all, if all are as long
        lengths = length[:, None] if shortest < longest else np.array([[longest]])
        mask = _LAST[np.minimum(np.maximum(lengths - np.array([_WORD, 0]), 0), _WORD)]
        values = digits.decimal((words & mask) | (_ZEROS & ~mask))
        return (values[:, 0] * np.uint64(10**_WORD) + values[:, 1]).astype(np.int64)

    def uuids(self, span: Span) -> np.ndarray:
        """Values that are UUIDs in lower case: their bytes, as two words."""
        start, length = self._lengths(span)
        if (length != _UUID).any():
            raise ValueError("length")
        text = self._from(start, _UUID).view(np.uint8).reshape(-1, _UUID)
        if (text[:, _DASHES] != ord("-")).any():
            raise ValueError("dashes")
        spelt = np.empty((len(text), 32), np.uint8)
        to = 0
        for begin, end in pairwise([-1, *_DASHES, _UUID]):
            spelt[:, to : to + end - begin - 1] = text[:, begin + 1 : end]
            to += end - begin - 1
        halves = digits.hexadecimal(spelt.view(np.uint64))
        return halves[:, ::2] | halves[:, 1::2] << np.uint64(32)


class Scanner:
    """Takes lines apart; it remembers how they were spelt last."""

    def __init__(self):
        self._spellings: dict[tuple[int, bool], Spelling] = {}  # by last place, and if a status

    def __call__(self, lines: All) -> list[Scanned] | None:
        """The lines as columns; None if not all of them can be taken apart so."""
        text = lines.text
        if not text.endswith(b"\n") or text.find(b"\\") >= 0:
            return None
        data = np.zeros(len(text) + 2 * _PAD, np.uint8)
        body = data[_PAD:-_PAD]
        body[:] = np.frombuffer(text, np.uint8)
        if np.count_nonzero(body < ord(" ")) != lines.count:
            return None
        try:
            if not is_ascii(text):
                body.tobytes().decode()
            return [self._scan(some) for some in _of_one_length(data)]
        except (ValueError, LookupError):
            self._spellings.clear()
            return None

    def _scan(self, lines: _Lines) -> Scanned:
        """Raises ValueError or LookupError for lines that need a look of their own."""
        known = self._spellings.get((lines.last, False)) or Spelling(lines.first())
        kinds = lines.texts(known.spans["type"])
        status = kinds[:, 0] == _word(chat.STATUS)
        online = np.zeros(len(status), bool)
        spans = None
        for is_status, rows in ((True, np.flatnonzero(status)), (False, np.flatnonzero(~status))):
            if not len(rows):
                continue
            some = lines.rows(rows)
            found = dict(self._spelling(some, is_status).spans)
            if is_status:
                online[rows] = _online(some.texts(found.pop("status")))
            if spans not in (None, found):
                raise ValueError("keys in another order")
            spans = found
        times = lines.numbers(spans["timestamp"])
        if int(times.max()) > chat.LAST:
            raise ValueError("too late")
        return Scanned(
            lines.uuids(spans["id"]),
            times,
            lines.texts(spans["site_id"]),
            lines.texts(spans["from"]),
            status,
            online,
        )

    def _spelling(self, lines: _Lines, is_status: bool) -> Spelling:
        """How all of these lines are spelt."""
        known = self._spellings.get((lines.last, is_status))
        if known is None or not _are_spelt(lines, known):
            known = Spelling(lines.first())
            if not _are_spelt(lines, known):
                raise ValueError("another spelling")
            self._spellings[lines.last, is_status] = known
        return known


def _word(text: str) -> np.uint64:
    return np.uint64(int.from_bytes(text.encode(), "little"))


def _of_one_length(data: np.ndarray) -> Iterator[_Lines]:
    """All lines, by how many quotes they have. Raises ValueError for too many kinds of them."""
    ends = np.flatnonzero(data == ord("\n"))
    starts = np.append(_PAD, ends[:-1] + 1)
    quotes = np.flatnonzero(data == ord('"'))
    number, rest = divmod(len(quotes), len(ends))
    if not rest:
        of_lines = quotes.reshape(-1, number)
        if number and (of_lines[:, 0] >= starts).all() and (of_lines[:, -1] < ends).all():
            yield _Lines(data, starts, of_lines, ends)
            return
    behind = np.searchsorted(quotes, ends)
    counts = np.diff(behind, prepend=0)
    kinds = np.unique(counts).tolist()
    if len(kinds) > 4 or not kinds[0]:
        raise ValueError("no lines of one spelling")
    for number in kinds:
        rows = np.flatnonzero(counts == number)
        of_lines = quotes[behind[rows][:, None] - np.arange(number, 0, -1)]
        yield _Lines(data, starts[rows], of_lines, ends[rows])


def _are_spelt(lines: _Lines, spelling: Spelling) -> bool:
    for piece, then in zip(spelling.pieces, [*spelling.pieces[1:], None], strict=True):
        if not lines.have(piece):
            return False
        if then is None:
            place = lines.last
        elif then.offset < 0:  # behind the timestamp, by whose end it is placed
            continue
        else:
            place = then.place - 1
        if not lines.ends(piece, place):
            return False
    return True


def _online(statuses: np.ndarray) -> np.ndarray:
    online = statuses[:, 0] == _word(chat.ONLINE)
    if not (online | (statuses[:, 0] == _word(chat.OFFLINE))).all():
        raise ValueError("unknown status")
    return online
