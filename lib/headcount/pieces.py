"""What kind of inputs there are, and how processes may share them."""

import contextlib
import itertools
import os
import stat
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from headcount.decompress import MAGIC_LENGTH, is_archive

_READ = 64 << 10


class Piece(NamedTuple):
    """Whole lines of one input: its bytes from `start` to `stop`, or to wherever it ends."""

    path: str
    start: int = 0
    stop: int | None = None


def cut(paths: Iterable[str], size: int) -> Iterator[Piece]:
    """The inputs in order, large plain files in pieces of about `size` bytes."""
    for path in paths:
        starts = [0]
        if path != "-":
            # what cannot be opened is found out, and said, by whoever reads it
            with contextlib.suppress(OSError, ValueError):
                starts += _line_starts(path, size)
        for start, stop in itertools.zip_longest(starts, starts[1:]):
            yield Piece(path, start, stop)


def _line_starts(path: str, size: int) -> Iterator[int]:
    """About every `size` bytes the start of a line, for a plain file."""
    info = os.stat(path)
    if info.st_size < 2 * size or not stat.S_ISREG(info.st_mode):
        return
    with open(path, "rb") as file:
        if is_archive(file.read(MAGIC_LENGTH)):
            return
        at = size
        while at < info.st_size:
            file.seek(at - 1)
            while not (part := file.readline(_READ)).endswith(b"\n"):
                if not part:
                    return
            yield file.tell()
            at = file.tell() + size


def is_stream(path: str) -> bool:
    """Whether an input can be read only once, from its start; not if it is not there."""
    if path == "-":
        return True
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def total_size(paths: Iterable[str]) -> int | None:
    """Bytes of all inputs together, None where one of them is no regular file."""
    total = 0
    for path in paths:
        try:
            info = os.fstat(0) if path == "-" else os.stat(path)
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(info.st_mode):
            return None
        total += info.st_size
    return total
