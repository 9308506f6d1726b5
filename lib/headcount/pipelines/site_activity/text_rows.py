"""Lines of a text as rows: what stands at some place of each, for all rows at once."""

from __future__ import annotations

import binascii
import re

import numpy as np
from stringzilla import Str

from headcount.pipelines.site_activity import swar
from headcount.values.search import is_ascii

WORD = 8  # bytes
UUID = 36  # characters

_PAD = 64  # quotes behind the text, where a search for one ends
_SPELT = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
_DASHES = [8, 13, 18, 23]
_DIGITS = np.dtype([("a", "u8"), ("b", "u4"), ("c", "u4"), ("d", "u4"), ("e", "V12")])
_DASHED = np.dtype(
    {
        "names": [*"abcde"],
        "formats": ["u8", "u4", "u4", "u4", "V12"],
        "offsets": [0, *(dash + 1 for dash in _DASHES)],
        "itemsize": UUID,
    }
)
_POWERS = 10 ** np.arange(WORD + 1, dtype=np.uint64)
_LOWER = swar.every(0x20)  # digits have this bit, and letters in lower case


class Lines:
    """The lines of a text, by number: `starts`, and `ends` before each newline.

    The text is copied into the `buffer`, if it fits: hand that on to the next text.
    """

    def __init__(self, text: Str, buffer: np.ndarray):
        self._source = text
        size = -(-len(text) // WORD) * WORD + _PAD
        self.buffer = buffer if len(buffer) >= size else np.empty(2 * size, np.uint8)
        self._data = self.buffer[:size]
        self._text = self._data[: len(text)]
        self._text[:] = np.frombuffer(text, np.uint8)
        self._data[len(text) :] = ord('"')
        controls = _places(self._data < ord(" "))
        is_end = self._text[controls] == ord("\n")
        self.ends = controls[is_end]
        self.starts = np.append(0, self.ends + 1)[:-1]
        self._controls = controls[~is_end]

    def line(self, row: int) -> bytes:
        """A line without its newline."""
        return self._text[self.starts[row] : self.ends[row]].tobytes()

    def spans(self, rows: np.ndarray) -> list[tuple[int, int]]:
        """From where to where these lines go, and with them the last, if it has no newline."""
        spans = [*zip(self.starts[rows].tolist(), (self.ends[rows] + 1).tolist(), strict=True)]
        begin = int(self.ends[-1]) + 1 if len(self.ends) else 0
        return [*spans, (begin, len(self._text))] if begin < len(self._text) else spans

    def are_plain(self) -> np.ndarray:
        """Which lines have neither control characters nor escapes, and are UTF-8."""
        plain = np.ones(len(self.ends) + 1, bool)  # the last is what has no newline
        plain[np.searchsorted(self.ends, self._controls)] = False
        if self._source.find(b"\\") >= 0:
            plain[self._having(self._text == ord("\\"))] = False
        if not is_ascii(self._source):
            try:
                self._text.tobytes().decode()
            except UnicodeDecodeError:
                rows = np.unique(self._having(self._text >= 0x80))
                plain[rows] &= [
                    row < len(self.ends) and _is_utf8(self.line(row)) for row in rows.tolist()
                ]
        return plain[:-1]

    def _having(self, mask: np.ndarray) -> np.ndarray:
        """The numbers of the lines that have such bytes: the same number for each byte."""
        return np.searchsorted(self.ends, np.flatnonzero(mask))

    def quotes(self) -> int:
        """How many all lines have."""
        end = self.ends[-1] if len(self.ends) else 0
        return np.count_nonzero(self._text[:end] == ord('"'))

    def quotes_of(self, rows: np.ndarray) -> int:
        """How many some lines have."""
        return sum(self.line(row).count(b'"') for row in rows.tolist())

    def quotes_of_each(self) -> np.ndarray:
        """How many each line has."""
        places = np.flatnonzero(self._text == ord('"'))
        return np.diff(np.searchsorted(places, self.ends), prepend=0)

    def _from(self, at: np.ndarray, size: int) -> np.ndarray:
        """So many bytes from these places on; of the end of the text, where there are not."""
        # The data as rows that overlap: one from each byte on.
        number = max(len(self._data) - size + 1, 0)
        rows = np.ndarray((number,), f"S{size}", self._data, strides=(1,))
        return rows[np.minimum(at, number - 1)]

    def _words(self, at: np.ndarray, number: int) -> np.ndarray:
        return self._from(at, number * WORD).view(np.uint64).reshape(-1, number)

    def have(self, at: np.ndarray, text: bytes) -> np.ndarray:
        """Whether this stands at each place."""
        if len(text) > len(self._data):
            return np.zeros(len(at), bool)
        found = self._from(at, len(text))
        if found.tobytes() == text * len(at):  # in a quarter of the time
            return np.ones(len(at), bool)
        return found == text

    def lengths(self, at: np.ndarray) -> np.ndarray:
        """How far it is to the next quote."""
        lengths = swar.before(self._words(at, 2), ord('"'))
        rows = np.flatnonzero(lengths == 2 * WORD)
        while len(rows):
            more = swar.before(self._words(at[rows] + lengths[rows], 2), ord('"'))
            lengths[rows] += more
            rows = rows[more == 2 * WORD]
        return lengths

    def which(self, at: np.ndarray, texts: list[bytes]) -> np.ndarray:
        """Which of these texts of up to 8 bytes each place has, as a number from 0; -1 if none."""
        found = np.full(len(at), -1)
        words = self._words(at, 1)[:, 0]
        for i, text in enumerate(texts):
            wanted = np.uint64(int.from_bytes(text, "little"))
            found[words & swar.FIRST[len(text)] == wanted] = i
        return found

    def texts(self, at: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Texts of these lengths as words, filled up with zeros."""
        number = -(-int(lengths.max()) // WORD)
        words = self._words(at, number)
        for i in range(number):
            words[:, i] &= swar.FIRST[np.minimum(np.maximum(lengths - i * WORD, 0), WORD)]
        return words

    def numbers(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Whole numbers, and their lengths; 0 where there is none, or one of more than 15 digits.

        (A number of two words may go on.)
        """
        words = self._words(at, 2)
        (first, second), (begun, more) = zip(*map(swar.decimal, words.T), strict=True)
        ended = begun < WORD
        second[ended] = more[ended] = 0
        lengths = begun + more
        lengths[lengths == 2 * WORD] = 0
        lengths[(words[:, 0] & np.uint64(0xFF) == ord("0")) & (lengths > 1)] = 0
        return (first * _POWERS[more] + second).astype(np.int64), lengths

    def uuids(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The bytes of UUIDs in lower case, as two words; and which of them are some."""
        text = self._from(at, UUID)
        digits = np.zeros(len(text), _DIGITS)
        for name in _DIGITS.names:
            digits[name] = text.view(_DASHED)[name]
        sound = np.ones(len(text), bool)
        if (decoded := _decoded(text, digits)) is None:
            sound = np.array([bool(_SPELT(one)) for one in text.tolist()], bool)
            digits[~sound] = np.frombuffer(b"0" * 32, _DIGITS)
            decoded = binascii.unhexlify(digits)
        return np.frombuffer(decoded, np.uint64).reshape(-1, 2), sound


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _places(mask: np.ndarray) -> np.ndarray:
    """Where a mask of whole words is true: fast where that is seldom."""
    words = mask.view(np.uint64)
    marked = np.flatnonzero(words != 0)
    if len(marked) != np.count_nonzero(mask):  # some word has several
        return np.flatnonzero(mask)
    return marked * WORD + (np.bitwise_count(words[marked] - np.uint64(1)) >> 3)


def _decoded(text: np.ndarray, digits: np.ndarray) -> bytes | None:
    """What the digits spell; None if not all of them are those of UUIDs in lower case."""
    characters = text.view(np.uint8).reshape(-1, UUID)
    if any((characters[:, dash] != ord("-")).any() for dash in _DASHES):
        return None
    if np.bitwise_and.reduce(digits.view(np.uint64)) & _LOWER != _LOWER:
        return None
    try:
        return binascii.unhexlify(digits)
    except binascii.Error:
        return None
