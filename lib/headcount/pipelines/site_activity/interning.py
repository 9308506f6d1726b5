"""Small numbers for texts, in the order in which they come."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np

MOST_WORDS = 5  # of a text that comes in words of 8 bytes

_LEAST_BITS, _MOST_BITS = 12, 18  # of the number of slots: 12 MB at most

_MIX = np.uint64(0x9E3779B97F4A7C15)


class Codes(dict):
    """A number for each text."""

    _taken = 0

    def of(self, texts: Iterable[str]) -> list[int]:
        """The codes of some texts: new ones, where need be."""
        setdefault = self.setdefault  # less than __missing__ takes
        return [setdefault(text, len(self)) for text in texts]

    def take_new(self) -> list[str]:
        """The texts that have come since this was asked last."""
        new = [*itertools.islice(reversed(self), len(self) - self._taken)]
        self._taken = len(self)
        return new[::-1]

    def texts(self, codes: list[int]) -> list[str]:
        """The texts of some codes."""
        known = list(self)
        return [known[code] for code in codes]


class WordCodes:
    """Codes of texts that come as rows of words: the latest are found in a table, by a hash."""

    def __init__(self, codes: Codes):
        self._codes = codes
        self._clear(_LEAST_BITS)

    def _clear(self, bits: int) -> None:
        self._bits = bits
        self._slots = np.full(1 << bits, -1, np.int64)
        self._words = [np.zeros(1 << bits, np.uint64) for _ in range(MOST_WORDS)]

    def __call__(self, words: np.ndarray) -> np.ndarray:
        """The code of each row."""
        first, second = self._places(words)
        codes, missing = self._found(words, first)
        if missing.any():
            rows = np.flatnonzero(missing)
            codes[rows], missing = self._found(words[rows], second[rows])
            if missing.any():
                rows = rows[missing]
                codes[rows] = self._look_up(words[rows], first[rows], second[rows])
        return codes.astype(np.uint32)

    def _places(self, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The two slots in which a text may be."""
        mixed = words[:, 0] * _MIX
        for word in words.T[1:]:
            mixed = (mixed ^ (mixed >> np.uint64(29)) ^ word) * _MIX
        first = mixed >> np.uint64(64 - self._bits)
        second = mixed >> np.uint64(64 - 2 * self._bits) & np.uint64(len(self._slots) - 1)
        return first.astype(np.int64), second.astype(np.int64)

    def _found(self, words: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The codes in these slots, and which of them are not those of the texts."""
        codes = self._slots[places]
        missing = codes < 0
        for known, word in zip(self._words, words.T, strict=False):
            missing |= known[places] != word
        for known in self._words[words.shape[1] : words.shape[1] + 1]:
            missing |= known[places] != 0  # a longer text
        return codes, missing

    def _look_up(self, words: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """By their texts; these have slots from now on, in place of others if need be."""
        texts = np.ascontiguousarray(words).view(f"S{words.nbytes // len(words)}")[:, 0].tolist()
        codes = np.array(self._codes.of(map(bytes.decode, texts)), np.int64)
        places = np.where(self._slots[first] < 0, first, second)
        self._slots[places] = codes
        for i, known in enumerate(self._words):
            known[places] = words[:, i] if i < words.shape[1] else 0
        if self._bits < _MOST_BITS and np.count_nonzero(self._slots >= 0) > len(self._slots) // 8:
            self._clear(self._bits + 2)
        return codes
