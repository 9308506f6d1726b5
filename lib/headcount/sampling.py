"""A part of the whole that does not depend on chance: what is in it follows from a hash."""

import argparse
import hashlib
from fractions import Fraction

from headcount import decimals

_BYTES = 8  # of a hash


def fraction(text: str) -> Fraction:
    """A part of the whole. Raises ArgumentTypeError for anything but a number from 0 to 1."""
    try:
        part = Fraction(decimals.exact(text))
    except ValueError:
        part = Fraction(-1)
    if not 0 <= part <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 1")
    return part


class Sample:
    """Decides which values to keep, the same every time; a larger part keeps them, too."""

    def __init__(self, part: Fraction):
        self._below = part * 256**_BYTES

    def __call__(self, value: bytes) -> bool:
        digest = hashlib.blake2b(value, digest_size=_BYTES).digest()
        return int.from_bytes(digest) < self._below
