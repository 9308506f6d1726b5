"""Numbers that 8 digits each spell, many at once: as bytes of a word, the first the lowest.

Two neighbours are made one number, then two of those, and so on: three steps for all eight.
"""

import numpy as np


def _every(byte: int) -> np.uint64:
    return np.uint64(byte * 0x0101010101010101)


def decimal(words: np.ndarray) -> np.ndarray:
    """The numbers that decimal digits spell. Raises ValueError where there is something else."""
    values = words ^ _every(0x30)
    if ((values | (values + _every(6))) & _every(0xF0)).any():
        raise ValueError("no digits")
    for mask, factor, bits in (
        (0x00FF00FF00FF00FF, 10, 8),
        (0x0000FFFF0000FFFF, 100, 16),
        (0x00000000FFFFFFFF, 10_000, 32),
    ):
        values = (values * np.uint64(factor) + (values >> np.uint64(bits))) & np.uint64(mask)
    return values


def hexadecimal(words: np.ndarray) -> np.ndarray:
    """The 4 bytes that hexadecimal digits in lower case spell. Raises ValueError likewise."""
    letter = (words >> np.uint64(6)) & _every(1)
    values = (words & _every(0x0F)) + letter * np.uint64(9)
    spelt = values + _every(0x30) + letter * np.uint64(0x27)
    if (spelt != words).any() or (values & _every(0xF0)).any() or _low(values, letter):
        raise ValueError("no digits")
    for mask, left, right in (
        (0x00FF00FF00FF00FF, 4, 8),
        (0x0000FFFF0000FFFF, 0, 8),
        (0x00000000FFFFFFFF, 0, 16),
    ):
        values = (values << np.uint64(left) | values >> np.uint64(right)) & np.uint64(mask)
    return values


def _low(values: np.ndarray, letter: np.ndarray) -> bool:
    """Whether something that is no letter stands for more than 9 (`:` to `?` do)."""
    more = (values + _every(6)) >> np.uint64(4) & _every(1)
    return bool((more != letter).any())
