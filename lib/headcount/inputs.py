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

from headcount import interrupt, tsv, whole_lines
from headcount.decompress import MAGIC_FIRST_BYTES, MAGIC_LENGTH, decompressed
from headcount.failure import NO_INPUT, Failure
from headcount.pieces import Mark, Marks, Piece
from headcount.processes import widen_pipe

ASIDE_SIZE = 4 << 20  # bytes of an archive from which on a second process pays
FIFO_WAIT_SECONDS = 60
BOM = b"\xef\xbb\xbf"


class Block:
    """Whole lines of one input; only an input's very last line may lack its newline.

    `text` views the bytes, and only until the next block is asked for: take what is to be kept.
    `name` is the input's path, `-` for stdin; `line` is the number of the first line. `size` is
    how many bytes of the input these are, with a byte order mark that was dropped, and `start` how
    many stand before them.
    """

    __slots__ = ("_lines", "line", "name", "size", "start", "text")

    def __init__(
        self, data: Str | bytes, name: str = "-", line: int = 1, dropped: int = 0, start: int = 0
    ):
        self.text = data if isinstance(data, Str) else Str(data)
        self.size = len(self.text) + dropped
        self.start = start
        self.name = name
        self.line = line
        self._lines: int | None = None

    def lines(self) -> int:
        """How many lines; counted once."""
        if self._lines is None:
            self._lines = self.text.count(b"\n") + (not self.text.endswith(b"\n"))
        return self._lines


def shown(path: str) -> str:
    """What a message, which is one line, calls an input."""
    return "stdin" if path == "-" else tsv.escape(path)


def blocks(
    paths: Iterable[str], on_read=lambda count: None, marks: Marks = MappingProxyType({})
) -> Iterator[Block]:
    """Blocks of every input in turn; `-` is standard input. `on_read` gets each raw byte count.

    Plain files are read from their marks on. Lines end at `\\n` only. A byte order mark at the
    start of an input is dropped.
    Raises Failure: 66 for an input that is not there, 1 for one that cannot be read.
    """
    for path in paths:
        mark = marks.get(path, Mark())
        for block in piece_blocks(Piece(path, mark.bytes), on_read, alone=True):
            block.line += mark.lines
            yield block
        if interrupt.requested():
            return


def piece_blocks(piece: Piece, on_read=lambda count: None, *, alone=False) -> Iterator[Block]:
    """Likewise, of one piece; lines are numbered from its start.

    `alone` says that no other process is at work: then another one may decompress.
    """
    path, start, *_ = piece
    with _opened(path, shown(path)) as fd:
        if start:
            os.lseek(fd, start, os.SEEK_SET)
        line = 1
        for text in _texts(fd, piece, on_read, alone):
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


def _texts(fd: int, piece: Piece, on_read, alone: bool) -> Iterator[Str]:
    """Whole lines, as many at a time as were read."""
    name = shown(piece.path)
    chunks = _chunks(fd, name, on_read)
    if piece.start:
        return whole_lines.of_file(fd, piece, b"", on_read)
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
        return whole_lines.of_file(fd, piece, head[: piece.stop], on_read)
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
