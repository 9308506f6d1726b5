"""Inputs, cut into splits that processes can share."""

import contextlib
import itertools
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from headcount.io.decompress import MAGIC_LENGTH, is_archive

_READ = 64 << 10


class Split(NamedTuple):
    """Whole lines of one input: its bytes from `start` to `stop`, or to wherever it ends."""

    path: str
    start: int = 0
    stop: int | None = None


class Offset(NamedTuple):
    """How far an input has been read: whole lines, and the bytes they take."""

    bytes: int = 0
    lines: int = 0


Offsets = Mapping[str, Offset]  # of inputs, by path; one that is not there begins at its start


def is_plain(path: str) -> bool:
    """Whether an input is a regular file and no archive: one can read it from anywhere on.

    Raises OSError or ValueError if it cannot be opened.
    """
    if path == "-" or not stat.S_ISREG(os.stat(path).st_mode):
        return False
    with open(path, "rb") as file:
        return not is_archive(file.read(MAGIC_LENGTH))


def is_url(path: str) -> bool:
    """Whether an input is a stream of some server."""
    return path.startswith(("http://", "https://"))


def is_stream(path: str) -> bool:
    """Whether an input can be read only once, from its start; not if it is not there."""
    if path == "-":
        return True
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def total_size(paths: Iterable[str], offsets: Offsets) -> int | None:
    """Bytes that are left to read in all inputs; None if one of them is not a regular file."""
    total = 0
    for path in paths:
        try:
            info = os.fstat(0) if path == "-" else os.stat(path)
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(info.st_mode):
            return None
        total += info.st_size - offsets.get(path, Offset()).bytes
    return total


def cut(
    paths: Iterable[str],
    size: int,
    offsets: Offsets,
    is_divisible: Callable[[str], bool] = is_plain,
) -> Iterator[Split]:
    """The inputs in order, from their offsets on, large divisible files in splits of about `size`.

    The caller knows that inputs which are read from an offset on have lines.
    """
    for path in paths:
        starts = [offsets.get(path, Offset()).bytes]
        if path != "-":
            # what cannot be opened is reported by the code that reads it
            with contextlib.suppress(OSError, ValueError):
                starts += _line_starts(path, starts[0], size, is_divisible)
        for start, stop in itertools.zip_longest(starts, starts[1:]):
            yield Split(path, start, stop)


def _line_starts(path: str, start: int, size: int, is_divisible) -> Iterator[int]:
    """About every `size` bytes from `start` on the start of a line, for a divisible file."""
    info = os.stat(path)
    if info.st_size - start < 2 * size or not is_divisible(path):
        return
    with open(path, "rb") as file:
        at = start + size
        while at < info.st_size:
            file.seek(at - 1)
            while not (part := file.readline(_READ)).endswith(b"\n"):
                if not part:
                    return
            yield file.tell()
            at = file.tell() + size
