"""The bytes of an input as whole lines, as many at a time as were read."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterable, Iterator

from stringzilla import Str

from headcount.errors import Failure
from headcount.io import interrupt
from headcount.io.processes import Aside
from headcount.io.splits import Split
from headcount.values import tsv

CHUNK = 1 << 20  # measured: chat lines 10 % faster than by half of it, and others no slower
HEAD = 64 << 10  # bytes of a regular file that tell what it is, before the others are read
_spare: list[bytearray] = []  # a buffer for the next file: memory that is new takes time to fill


def of_chunks(chunks: Iterable[bytes], interrupted: Callable[[], bool]) -> Iterator[Str]:
    """Whole lines of what comes in pieces."""
    rest: list[bytes] = []  # pieces of a line without its end: joined once, however long
    for chunk in chunks:
        cut = chunk.rfind(b"\n") + 1
        if cut:
            yield Str(b"".join((*rest, memoryview(chunk)[:cut])))  # one copy
            rest = [chunk[cut:]] if cut < len(chunk) else []
        elif chunk:
            rest.append(chunk)
    if rest and not interrupted():  # an interrupted writer's last line is not whole
        yield Str(b"".join(rest))


def of_file(fd: int, split: Split, head: bytes, on_read) -> Iterator[Str]:
    """Whole lines of a regular file, read into one buffer again and again: no copies."""
    left = math.inf if split.stop is None else split.stop - split.start - len(head)
    size = 2 * max(CHUNK, len(head)) if head else CHUNK
    buffer = _spare.pop() if _spare and size == len(_spare[0]) else bytearray(size)

    def read(at: int, most: int) -> int:
        nonlocal left
        try:
            count = interrupt.read_into(fd, memoryview(buffer)[at : at + min(most, left)])
        except OSError as error:
            raise Failure(f"{tsv.escape(split.path)}: cannot read: {error.strerror}") from None
        on_read(count)
        left -= count
        return count

    try:
        buffer[: len(head)] = head
        searched, filled = 0, len(head)
        if 0 < filled < CHUNK:  # the first lines are as many as others
            filled += read(filled, CHUNK - filled)
        while True:
            text, view = Str(buffer), memoryview(buffer)
            cut = text.rfind(b"\n", searched, filled) + 1
            if cut:
                yield text[:cut]
                view[: filled - cut] = view[cut:filled]
                filled -= cut
            if filled == len(buffer):  # a line that is longer
                buffer = buffer + bytearray(len(buffer))
                text, view = Str(buffer), memoryview(buffer)
            searched = filled
            count = read(filled, CHUNK)
            if not count or interrupt.requested():
                break
            filled += count
        if filled and not interrupt.requested():  # an interrupted writer's last line is not whole
            yield text[:filled]
    finally:
        if len(buffer) == 2 * CHUNK:
            _spare[:] = [buffer]


def aside(chunks: Iterable[bytes], fd: int, on_read) -> Iterator[Str]:
    """Whole lines of an archive, which another process reads from `fd` and decompresses."""
    reported = os.lseek(fd, 0, os.SEEK_CUR)
    rest, long = b"", []  # the start of a line; one that does not fit before a part, in pieces
    with contextlib.closing(Aside(chunks)) as content:
        while not interrupt.requested() and (part := content.take(rest)) is not None:
            at = os.lseek(fd, 0, os.SEEK_CUR)  # the other's, too
            on_read(at - reported)
            reported = at
            text = Str(part)
            cut = text.rfind(b"\n") + 1
            if cut and long:
                yield Str(b"".join((*long, part[:cut])))
                long.clear()
            elif cut:
                yield text[:cut]
            rest = bytes(part[cut:])
            if long or len(rest) > content.ROOM:
                long.append(rest)
                rest = b""
    if (long or rest) and not interrupt.requested():
        yield Str(b"".join((*long, rest)))
