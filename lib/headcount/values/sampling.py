"""A part of the whole that does not depend on chance: what is in it follows from a hash."""

import hashlib
from fractions import Fraction

_BYTES = 8  # of a hash


class Sample:
    """Decides which values to keep, the same every time; a larger part keeps them, too."""

    def __init__(self, part: Fraction):
        self._below = part * 256**_BYTES

    def __call__(self, value: bytes) -> bool:
        digest = hashlib.blake2b(value, digest_size=_BYTES).digest()
        return int.from_bytes(digest) < self._below
