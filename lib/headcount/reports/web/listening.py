"""Where the browser's server listens: a port of this machine, or a socket in a folder."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import stat
from collections.abc import Iterator

from headcount.errors import FAILED, USAGE, Failure

HOST = "127.0.0.1"
_LONGEST = 107  # bytes of a socket's path, as sys/un.h has it


def on_port(port: int) -> socket.socket:
    """A socket that listens on a port; 0: on some free one. Raises Failure 1 for a taken one."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise Failure(f"port {port}: {error.strerror}; choose another --port", FAILED) from None
        text = f"port {port} is in use: another serve-db? choose another --port"
        raise Failure(text, FAILED) from None
    listener.listen()  # who comes from now on is answered
    return listener


@contextlib.contextmanager
def on_file(path: str) -> Iterator[socket.socket]:
    """A socket that listens at a path, for its owner alone; removed in the end, by signals, too.

    One that is left over is replaced. Raises Failure: 1 if another listens there, or it cannot be
    made; 2 if the path is too long, or that of something else.
    """
    size = len(os.fsencode(path))
    if size > _LONGEST:
        text = f"--socket: expected a path of at most {_LONGEST} bytes, got {size}: {path}"
        raise Failure(text, USAGE)
    with socket.socket(socket.AF_UNIX) as listener, _Removal(path) as removal:
        try:
            _make_room(path)
            before = os.umask(0o177)  # mode 0600 from the first moment
            try:
                listener.bind(path)
            finally:
                os.umask(before)
            removal.begin(os.lstat(path))
        except OSError as error:
            raise Failure(f"cannot listen on {path}: {error.strerror}", FAILED) from None
        listener.listen()
        yield listener


class _Removal:
    """Removes a socket when a block ends, or a signal ends the process.

    (A server with handlers of its own gives us the signal when it has ended.)
    """

    def __init__(self, path: str):
        self._path = path
        self._made: os.stat_result | None = None
        self._pending: int | None = None

    def __enter__(self) -> _Removal:
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._end)
        return self

    def begin(self, made: os.stat_result) -> None:
        """The socket is there now."""
        self._made = made
        if self._pending is not None:
            self._end(self._pending)

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            # not one that another has made since
            if self._made and os.path.samestat(os.lstat(self._path), self._made):
                os.unlink(self._path)

    def _end(self, number: int, _frame: object = None) -> None:
        if self._made is None:  # it may just be made: wait for that
            self._pending = number
            return
        self.__exit__()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)


def _make_room(path: str) -> None:
    """Removes a socket on which nothing listens any more."""
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(there.st_mode):
        raise Failure(f"--socket: expected no file yet or a socket, got {path}", USAGE)
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)  # one whose queue is full would keep us waiting
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        except (BlockingIOError, PermissionError):
            raise Failure(_taken(path), FAILED) from None
        else:
            raise Failure(_taken(path), FAILED)


def _taken(path: str) -> str:
    return f"socket {path} is in use: another serve-db? choose another --socket"
