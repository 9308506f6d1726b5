"""Inputs of every kind as blocks of whole lines: files, standard input, pipes, archives."""

import contextlib
import errno
import itertools
import os
import select
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from types import MappingProxyType
from typing import NamedTuple

from stringzilla import Str

from headcount.errors import NO_INPUT, Failure
from headcount.io import interrupt, whole_lines
from headcount.io.blocks import BOM, Block
from headcount.io.decompress import (
    MAGIC_FIRST_BYTES,
    MAGIC_LENGTH,
    decompressed,
    refuse_many,
)
from headcount.io.processes import widen_pipe
from headcount.io.splits import Offset, Offsets, Split, is_plain
from headcount.values.tsv import shown

ASIDE_SIZE = 4 << 20  # bytes of an archive from which on a second process pays
FIFO_WAIT_SECONDS = 60


# Lines of an input that has another shape: given its path, how it starts, and the chunks behind
# that, from which it may read on to decide. Returns how the input starts, as far as it was read,
# and its blocks; None where it has lines already.
Convert = Callable[[str, bytes, Iterator[bytes]], tuple[bytes, Iterator[Block] | None]]


class Reader(NamedTuple):
    """How inputs become blocks: by lines, or as `convert` says where they have another shape.

    `is_divisible` says whether processes may share a file: it raises OSError or ValueError if the
    file cannot be opened.
    """

    convert: Convert | None = None
    is_divisible: Callable[[str], bool] = is_plain


LINES = Reader()


def blocks(
    paths: Iterable[str],
    on_read=lambda count: None,
    offsets: Offsets = MappingProxyType({}),
    reader: Reader = LINES,
) -> Iterator[Block]:
    """Blocks of every input in turn; `-` is standard input. `on_read` gets each raw byte count.

    Plain files are read from their offsets on. Lines end at `\\n` only. A byte order mark at the
    start of an input is dropped.
    Raises Failure: 66 for an input that is not there, 1 for one that cannot be read.
    """
    for path in paths:
        offset = offsets.get(path, Offset())
        for block in split_blocks(Split(path, offset.bytes), on_read, reader, alone=True):
            block.line += offset.lines
            yield block
        if interrupt.requested():
            return


def split_blocks(
    split: Split, on_read=lambda count: None, reader: Reader = LINES, *, alone=False
) -> Iterator[Block]:
    """Blocks of one split; lines are numbered from its start.

    `alone` says that no other process is at work: then another one may decompress.
    """
    path, start, *_ = split
    with _opened(path, shown(path)) as fd:
        if start:
            os.lseek(fd, start, os.SEEK_SET)
            yield from _numbered(split, whole_lines.of_file(fd, split, b"", on_read))
            return
        texts, converted = _contents(fd, split, on_read, reader.convert, alone)
        yield from converted or _numbered(split, texts)


def _numbered(split: Split, texts: Iterable[Str]) -> Iterator[Block]:
    path, start, *_ = split
    line = 1
    for text in texts:
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


def _contents(
    fd: int, split: Split, on_read, convert: Convert | None, alone: bool
) -> tuple[Iterator[Str], Iterator[Block] | None]:
    """An input from its start: whole lines, as many at a time as were read; or converted blocks."""
    name = shown(split.path)
    info = os.fstat(fd)
    regular = stat.S_ISREG(info.st_mode)
    first = min(whole_lines.HEAD, whole_lines.CHUNK) if regular else whole_lines.CHUNK
    chunks = _chunks(fd, name, on_read, first)
    head = _head(chunks)
    aside = alone and regular and info.st_size >= ASIDE_SIZE
    if aside:
        chunks = _chunks(fd, name, lambda count: None)  # the other process has nobody to tell
    if archive := decompressed(name, head, chunks):
        before = os.lseek(fd, 0, os.SEEK_CUR) if aside else 0
        head, chunks = next(archive, b""), archive
        if aside:
            on_read(os.lseek(fd, 0, os.SEEK_CUR) - before)
    refuse_many(name, head)
    converted = None
    if convert:
        head, converted = convert(split.path, head, chunks)
    if archive and aside:
        texts = whole_lines.aside(itertools.chain([head], chunks), fd, on_read)
    elif regular and not archive:
        texts = whole_lines.of_file(fd, split, head[: split.stop], on_read)
    else:
        interrupted = interrupt.requested if regular else interrupt.requested_soon
        texts = whole_lines.of_chunks(itertools.chain([head], chunks), interrupted)
    return texts, converted


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


def _chunks(fd: int, name: str, on_read, first: int = whole_lines.CHUNK) -> Iterator[bytes]:
    try:
        chunk = _await_writer(fd, name) or interrupt.read(fd, first)
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
