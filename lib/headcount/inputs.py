"""Inputs of every kind as blocks of whole lines: files, standard input, pipes, archives."""

import contextlib
import errno
import fcntl
import os
import select
import stat
import time
from collections.abc import Callable, Iterable, Iterator

from headcount import interrupt, tsv
from headcount.decompress import MAGIC_FIRST_BYTES, MAGIC_LENGTH, decompressed
from headcount.failure import NO_INPUT, Failure
from headcount.search import count_newlines

CHUNK = 256 << 10  # measured: larger reads fall out of the processor's cache
PIPE_SIZE = 1 << 20
FIFO_WAIT_SECONDS = 60
BOM = b"\xef\xbb\xbf"


class Block:
    """Whole lines of one input; only an input's very last line may lack its newline.

    `name` is the input's path, `-` for stdin; `line` is the number of the first line.
    """

    __slots__ = ("_lines", "data", "line", "name")

    def __init__(self, data: bytes, name: str = "-", line: int = 1):
        self.data = data
        self.name = name
        self.line = line
        self._lines: int | None = None

    def lines(self, newlines: int | None = None) -> int:
        """How many lines; counted once, and not at all if whoever has counted says how many."""
        if self._lines is None:
            counted = count_newlines(self.data) if newlines is None else newlines
            self._lines = counted + (not self.data.endswith(b"\n"))
        return self._lines


def shown(path: str) -> str:
    """What a message, which is one line, calls an input."""
    return "stdin" if path == "-" else tsv.escape(path)


def widen_pipe(fd: int) -> None:
    """A larger buffer between two programs, where the system allows it: fewer switches."""
    with contextlib.suppress(OSError):
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_SIZE)


def blocks(paths: Iterable[str], on_read=lambda count: None) -> Iterator[Block]:
    """Blocks of every input in turn; `-` is standard input. `on_read` gets each raw byte count.

    Lines end at `\\n` only. A byte order mark at the start of an input is dropped.
    Raises Failure: 66 for an input that is not there, 1 for one that cannot be read.
    """
    for path in paths:
        name = shown(path)
        with _opened(path, name) as fd:
            chunks = _chunks(fd, name, on_read)
            head = _head(chunks)
            line = 1
            regular = stat.S_ISREG(os.fstat(fd).st_mode)
            interrupted = interrupt.requested if regular else interrupt.requested_soon
            for data in _whole_lines(decompressed(name, head, chunks), interrupted):
                if line == 1 and data.startswith(BOM):
                    data = data[len(BOM) :]
                    if not data:
                        continue
                block = Block(data, path, line)
                line += block.lines()
                yield block
        if interrupt.requested():
            return


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
        chunk = _await_writer(fd, name) or interrupt.read(fd, CHUNK)
        while chunk:
            on_read(len(chunk))
            yield chunk
            chunk = interrupt.read(fd, CHUNK)
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
            if data := os.read(fd, CHUNK):
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


def _whole_lines(chunks: Iterable[bytes], interrupted: Callable[[], bool]) -> Iterator[bytes]:
    rest: list[bytes] = []  # pieces of a line without its end: joined once, however long
    for chunk in chunks:
        cut = chunk.rfind(b"\n") + 1
        if cut:
            yield b"".join((*rest, memoryview(chunk)[:cut]))  # one copy
            rest = [chunk[cut:]] if cut < len(chunk) else []
        else:
            rest.append(chunk)
    if rest and not interrupted():  # an interrupted writer's last line is not whole
        yield b"".join(rest)


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
