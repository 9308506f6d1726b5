"""Small numbers for texts, in the order in which they come."""

from __future__ import annotations

import numpy as np

MOST_WORDS = 5  # of a text that comes in words of 8 bytes

_MIX = np.uint64(0x9E3779B97F4A7C15)


class Codes(dict):
    """A number for each text."""

    def __init__(self):
        super().__init__()
        self._new: list[str] = []

    def __missing__(self, text: str) -> int:
        self[text] = code = len(self)
        self._new.append(text)
        return code

    def take_new(self) -> list[str]:
        """The texts that have come since this was asked last."""
        new, self._new = self._new, []
        return new

    def texts(self, codes: list[int]) -> list[str]:
        """The texts of some codes."""
        known = list(self)
        return [known[code] for code in codes]


class WordCodes:
    """Codes of texts that come as rows of words: found in a table, by a hash of the words."""

    def __init__(self, codes: Codes):
        self._codes = codes
        self._bits = 12
        self._clear()

    def _clear(self) -> None:
        size = 1 << self._bits
        self._slots = np.full(size, -1, np.int64)
        self._words = [np.zeros(size, np.uint64) for _ in range(MOST_WORDS)]
        self._lengths = np.zeros(size, np.uint8)  # in words
        self._used = 0

    def __call__(self, words: np.ndarray) -> np.ndarray:
        """The code of each row."""
        slots = self._hash(words)
        codes = self._slots[slots]
        missing = (codes < 0) | (self._lengths[slots] > words.shape[1])
        for known, word in zip(self._words, words.T, strict=False):
            missing |= known[slots] != word
        for row in np.flatnonzero(missing).tolist():
            codes[row] = self._look_up(words[row], int(slots[row]))
        if self._used > len(self._slots) // 16:
            self._bits += 2
            self._clear()
        return codes.astype(np.uint32)

    def _hash(self, words: np.ndarray) -> np.ndarray:
        mixed = words[:, 0] * _MIX
        for word in words.T[1:]:
            mixed = (mixed ^ (mixed >> np.uint64(29)) ^ word) * _MIX
        return (mixed >> np.uint64(64 - self._bits)).astype(np.int64)

    def _look_up(self, words: np.ndarray, slot: int) -> int:
        """By its text; it has its slot from now on."""
        text = words.tobytes().rstrip(b"\0")
        self._used += self._slots[slot] < 0
        self._slots[slot] = code = self._codes[text.decode()]
        for known, word in zip(self._words, words, strict=False):
            known[slot] = word
        self._lengths[slot] = -(-len(text) // 8)
        return code
