"""Ctrl-C as the end of the input: a filter stops reading, then finishes what it has.

Ctrl-C reaches every program of a pipe at once. So after it a filter still takes what its
neighbour had written, which ends when the neighbour ends; it only does not wait for long.
"""

import fcntl
import os
import select
import signal
import stat
import time

DRAIN_SECONDS = 2
SOON_SECONDS = 0.2

_wake: int | None = None
_deadline: float | None = None


def die() -> None:
    """Let SIGINT kill, even while the database waits for a lock (it is made for that)."""
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def catch() -> None:
    """Turn the first SIGINT into `requested()`; a second one kills as usual."""
    global _wake
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # started with `nohup` or by `… &`
        return
    # not among the standard descriptors, even where the caller closed one
    pipe = os.pipe()
    _wake, wake_writer = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3) for fd in pipe)
    for fd in pipe:
        os.close(fd)
    os.set_blocking(wake_writer, False)
    signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, _stop)


def _stop(_signal, _frame) -> None:
    _end_input()
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _end_input() -> None:
    global _deadline
    _deadline = _deadline or time.monotonic() + DRAIN_SECONDS


def requested() -> bool:
    """Whether this process was interrupted, or one that was forked from it, or from which it was.

    They share a pipe that nobody reads: what a signal once wrote there, all of them can see.
    """
    if _deadline is None and _wake is not None and _poll(_wake).poll(0):
        _end_input()
    return _deadline is not None


def requested_soon() -> bool:
    """Likewise, after a moment: Ctrl-C may end the writer of a pipe before we hear of it."""
    if not requested() and _wake is not None:
        _poll(_wake).poll(SOON_SECONDS * 1000)
    return requested()


def read(fd: int, size: int) -> bytes:
    """Up to `size` bytes; b"" at the end of the input, or once interrupted."""
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return b"" if requested() else os.read(fd, size)
    while True:
        if not requested():
            _poll(fd, _wake).poll()
        if requested():
            left = _deadline - time.monotonic()
            if left <= 0 or not _poll(fd).poll(min(left, 1) * 1000):
                return b""
        try:
            return os.read(fd, size)
        except BlockingIOError:  # someone made this pipe non-blocking: wait again
            continue


def wait(fd: int, seconds: float) -> bool:
    """Whether there is something to read, or an interrupt, within so many seconds."""
    return requested() or bool(_poll(fd, _wake).poll(seconds * 1000))


def read_into(fd: int, view: memoryview) -> int:
    """Likewise, from a regular file into `view`; returns how many bytes."""
    return 0 if requested() else os.readv(fd, [view])


def _poll(*fds: int | None) -> select.poll:
    poll = select.poll()
    for fd in fds:
        if fd is not None:
            poll.register(fd, select.POLLIN)
    return poll
