"""Processes that work for this one, each with a pipe from it."""

import contextlib
import fcntl
import mmap
import os
import signal
import stat
import sys
from collections.abc import Callable, Iterable, Iterator

from headcount.errors import FAILED, Failure, ReaderGone
from headcount.io import output

PIPE_SIZE = 1 << 20
_HEADER = 4  # bytes before a part: how long it is; 0 before the last words


def is_pipe(fd: int) -> bool:
    """Whether an open descriptor is a pipe or FIFO."""
    try:
        return stat.S_ISFIFO(os.fstat(fd).st_mode)
    except OSError:
        return False


def widen_pipe(fd: int) -> None:
    """A larger buffer between two programs, where the system allows it: fewer switches."""
    with contextlib.suppress(OSError):
        if is_pipe(fd):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_SIZE)


@contextlib.contextmanager
def starting():
    try:
        yield
    except OSError as error:
        raise Failure(f"cannot start a process: {error.strerror}; try --jobs 1") from None


class Process:
    """A fork of this process that does `work(writer)` and ends; `fd` reads what it writes.

    Raises Failure where there can be no more processes.
    """

    def __init__(self, work: Callable[[int], None], others: Iterable["Process"] = ()):
        with starting():
            self.fd, writer = os.pipe()
        widen_pipe(writer)
        try:
            with starting():
                self._pid = os.fork()
        except Failure:
            os.close(self.fd)
            os.close(writer)
            raise
        if self._pid:
            os.close(writer)
            return
        try:
            # Held open here, these would hide from other programs that their reader is gone.
            for fd in (self.fd, *(other.fd for other in others)):
                os.close(fd)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            work(writer)
            os._exit(0)
        except ReaderGone:
            os._exit(0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:  # never go back into the program that was forked
            os._exit(FAILED)

    def stop(self) -> None:
        """Kill it, if it still works, and see it off."""
        os.close(self.fd)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


class Aside:
    """Bytes that another process makes, handed over in memory that both share.

    `take` gives them part by part; a Failure in `chunks` comes behind the last of them.
    """

    _PART = 1 << 20  # measured: parts of 256 KB take 6 % more processor time
    _SLOTS = 4
    ROOM = 64 << 10  # before each part

    def __init__(self, chunks: Iterable[bytes]):
        self._memory = memoryview(mmap.mmap(-1, (self.ROOM + self._PART) * self._SLOTS))
        with starting():
            freed, self._free = os.pipe()
        os.write(self._free, bytes(self._SLOTS))  # a byte for each slot that may be filled

        def work(writer: int) -> None:
            os.close(self._free)
            try:
                for size in self._filled(chunks, freed):
                    output.write(writer, size.to_bytes(_HEADER), "a pipe")
                message = b"done"
            except Failure as failure:
                message = f"{failure.status} {failure}".encode(errors="surrogateescape")
            output.write(writer, bytes(_HEADER) + message, "a pipe")

        try:
            self._process = Process(work)
        finally:
            os.close(freed)
        self._taken = 0

    def _filled(self, chunks: Iterable[bytes], freed: int) -> Iterator[int]:
        """Fill the slots in turn; gives the length of each part, full but for the last one."""
        number = filled = 0
        try:
            for chunk in chunks:
                rest = memoryview(chunk)
                while rest:
                    if not filled and not os.read(freed, 1):
                        raise ReaderGone
                    start = self._start(number) + filled
                    taken = min(len(rest), self._PART - filled)
                    self._memory[start : start + taken] = rest[:taken]
                    rest, filled = rest[taken:], filled + taken
                    if filled == self._PART:
                        yield filled
                        number, filled = number + 1, 0
        except Failure:
            if filled:
                yield filled
            raise
        if filled:
            yield filled

    def _start(self, i: int) -> int:
        """Where in memory a part starts, behind its room."""
        return i % self._SLOTS * (self.ROOM + self._PART) + self.ROOM

    def take(self, rest: bytes) -> memoryview | None:
        """The next part, right behind `rest`, which fits into ROOM; None at the end.

        It is there until the next one is asked for.
        """
        if self._taken:
            with contextlib.suppress(BrokenPipeError):  # it has no more to bring
                os.write(self._free, b"\0")
        size = int.from_bytes(os.read(self._process.fd, _HEADER))
        if not size:
            self._end()
            return None
        start = self._start(self._taken)
        self._taken += 1
        self._memory[start - len(rest) : start] = rest
        return self._memory[start - len(rest) : start + size]

    def _end(self) -> None:
        message = os.read(self._process.fd, PIPE_SIZE)
        if message == b"done":
            return
        status, _, text = message.decode(errors="surrogateescape").partition(" ")
        if not text:
            raise Failure("a process of this program died")
        raise Failure(text, int(status))

    def close(self) -> None:
        """End the process."""
        os.close(self._free)
        self._process.stop()
