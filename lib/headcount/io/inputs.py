"""Inputs of every kind as blocks of whole lines: files, standard input, pipes, archives."""

import contextlib
import errno
import itertools
import os
import select
import stat
import time
from collections.abc import Iterable, Iterator
from types import MappingProxyType

from stringzilla import Str

from headcount.errors import NO_INPUT, Failure
from headcount.io import interrupt, whole_lines
from headcount.io.blocks import BOM, Block
from headcount.io.decompress import MAGIC_FIRST_BYTES, MAGIC_LENGTH, decompressed
from headcount.io.processes import widen_pipe
from headcount.io.splits import Offset, Offsets, Split
from headcount.values.tsv import shown

ASIDE_SIZE = 4 << 20  # bytes of an archive from which on a second process pays
FIFO_WAIT_SECONDS = 60


def blocks(
    paths: Iterable[str], on_read=lambda count: None, offsets: Offsets = MappingProxyType({})
) -> Iterator[Block]:
    """Blocks of every input in turn; `-` is standard input. `on_read` gets each raw byte count.

    Plain files are read from their offsets on. Lines end at `\\n` only. A byte order mark at the
    start of an input is dropped.
    Raises Failure: 66 for an input that is not there, 1 for one that cannot be read.
    """
    for path in paths:
        offset = offsets.get(path, Offset())
        for block in split_blocks(Split(path, offset.bytes), on_read, alone=True):
            block.line += offset.lines
            yield block
        if interrupt.requested():
            return


def split_blocks(split: Split, on_read=lambda count: None, *, alone=False) -> Iterator[Block]:
    """Blocks of one split; lines are numbered from its start.

    `alone` says that no other process is at work: then another one may decompress.
    """
    path, start, *_ = split
    with _opened(path, shown(path)) as fd:
        if start:
            os.lseek(fd, start, os.SEEK_SET)
        line = 1
        for text in _texts(fd, split, on_read, alone):
            dropped = 0
            if line == 1 and start == 0 and text.startswith(BOM):
                dropped = len(BOM)
                text = text[dropped:]
                if not len(text):
                    continue
            block = Block(text, path, line, dropped, start)
            line += block.lines()
            start += block.size
            yield block


def _texts(fd: int, split: Split, on_read, alone: bool) -> Iterator[Str]:
    """Whole lines, as many at a time as were read."""
    name = shown(split.path)
    chunks = _chunks(fd, name, on_read)
    if split.start:
        return whole_lines.of_file(fd, split, b"", on_read)
    head = _head(chunks)
    info = os.fstat(fd)
    regular = stat.S_ISREG(info.st_mode)
    aside = alone and regular and info.st_size >= ASIDE_SIZE
    if aside:
        chunks = _chunks(fd, name, lambda count: None)  # the other process has nobody to tell
    interrupted = interrupt.requested if regular else interrupt.requested_soon
    if archive := decompressed(name, head, chunks):
        if aside:
            return whole_lines.aside(archive, fd, on_read)
        return whole_lines.of_chunks(archive, interrupted)
    if regular:
        return whole_lines.of_file(fd, split, head[: split.stop], on_read)
    return whole_lines.of_chunks(itertools.chain([head], chunks), interrupted)


@contextlib.contextmanager
def _opened(path: str, name: str):
    if path == "-":
        try:
            os.fstat(0)
        except OSError:
            raise Failure("standard input is closed", NO_INPUT) from None
        widen_pipe(0)
        yield 0
        return
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        if getattr(error, "errno", None) == errno.ENXIO:
            reason = "is a socket"
        raise Failure(f"{name}: cannot open: {reason}", NO_INPUT) from None
    try:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise Failure(f"{name}: is a directory; name the files in it", NO_INPUT)
        widen_pipe(fd)
        yield fd
    finally:
        os.close(fd)


def _chunks(fd: int, name: str, on_read) -> Iterator[bytes]:
    try:
        chunk = _await_writer(fd, name) or interrupt.read(fd, whole_lines.CHUNK)
        while chunk:
            on_read(len(chunk))
            yield chunk
            chunk = interrupt.read(fd, whole_lines.CHUNK)
    except OSError as error:
        raise Failure(f"{name}: cannot read: {error.strerror}") from None


def _await_writer(fd: int, name: str) -> bytes:
    """Wait for a FIFO's writer, but not for ever; returns what was read on the way.

    Such a file is opened without waiting, so that Ctrl-C works meanwhile. A read from a FIFO
    without a writer gives nothing, from one with a silent writer it would block: that tells.
    """
    if os.get_blocking(fd) or not stat.S_ISFIFO(os.fstat(fd).st_mode):
        return b""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    deadline = time.monotonic() + FIFO_WAIT_SECONDS
    while not poll.poll(50) and not interrupt.requested():
        try:
            if data := os.read(fd, whole_lines.CHUNK):
                return data
        except BlockingIOError:
            return b""
        if time.monotonic() > deadline:
            raise Failure(f"{name}: no writer opened this FIFO in {FIFO_WAIT_SECONDS} s", NO_INPUT)
    return b""


def _head(chunks: Iterator[bytes]) -> bytes:
    """Enough of the start to tell an archive; no longer wait where the first byte says no."""
    head = next(chunks, b"")
    while head and head[0] in MAGIC_FIRST_BYTES and len(head) < MAGIC_LENGTH:
        more = next(chunks, b"")
        if not more:
            break
        head += more
    return head
