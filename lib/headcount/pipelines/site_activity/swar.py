"""Eight bytes at once, as a word of which the first byte is the lowest; of many words at once."""

import numpy as np


def every(byte: int) -> np.uint64:
    """A word of eight such bytes."""
    return np.uint64(byte * 0x0101010101010101)


FIRST = np.array([2 ** (8 * i) - 1 for i in range(9)], np.uint64)  # masks of so many bytes
_ONE = np.uint64(1)
_ONES, _HIGH = every(1), every(0x80)
_ZEROS, _SIX = every(ord("0")), every(0x76)


def before(rows: np.ndarray, byte: int) -> np.ndarray:
    """How many bytes stand before the first such byte of each row of two words; 16 if none is."""
    differ = rows.T ^ every(byte)
    first, second = _until((differ - _ONES) & ~differ & _HIGH)
    return first + second * (first == 8)


def _until(marks: np.ndarray) -> np.ndarray:
    """How many bytes stand before the first whose highest bit is set; 8 if none is.

    (What is above it may be wrong: sums carry upwards.)
    """
    lowest = marks & (~marks + _ONE)
    return (np.bitwise_count(lowest - _ONE) >> 3).astype(np.int64)


def decimal(words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The numbers that the digits spell with which words begin, and how many digits these are.

    Two neighbours are made one number, then two of those, and so on: three steps for all eight.
    """
    values = words ^ _ZEROS
    lengths = _until(((values + _SIX) | values) & _HIGH)
    values = values << (np.uint64(64) - (lengths.astype(np.uint64) << np.uint64(3)))
    for mask, factor, bits in (
        (0x00FF00FF00FF00FF, 10, 8),
        (0x0000FFFF0000FFFF, 100, 16),
        (0x00000000FFFFFFFF, 10_000, 32),
    ):
        values = (values * np.uint64(factor) + (values >> np.uint64(bits))) & np.uint64(mask)
    return values, lengths
