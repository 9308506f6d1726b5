"""Work spread over processes, its results in order.

Each process has a pipe of its own and takes every nth piece: nobody waits for a scheduler, and two
runs do the same. (Processes that share one pipe mix up what they write.)
"""

import marshal
import os
import select
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from headcount import output
from headcount.failure import FAILED, Failure
from headcount.processes import Process

_READ = 1 << 20
_AHEAD = 8 << 20  # bytes of results to hold while another process's turn lasts
_HEADER = 8  # bytes before each message: how long it is
_RESULT, _END, _FAILURE = range(3)  # what a message brings; _END is a piece's


def processors() -> int:
    """How many this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def in_order(pieces: Sequence, work: Callable[..., Iterable], jobs: int) -> Iterator:
    """The results of `work(piece)` for each piece in turn, worked out by that many processes.

    Results are what marshal can carry. Raises the first Failure, or one if a process died.
    """
    workers: list[_Worker] = []
    try:
        for i in range(min(jobs, len(pieces))):
            workers.append(_Worker(pieces[i::jobs], work, workers))
        for i in range(len(pieces)):
            yield from _results_of_piece(workers[i % jobs], workers)
    finally:
        for worker in workers:
            worker.stop()


def _results_of_piece(worker: "_Worker", workers: list["_Worker"]) -> Iterator:
    while True:
        while not worker.messages:
            _receive(worker, workers)
        kind, content = worker.take()
        if kind == _END:
            return
        if kind == _FAILURE:
            raise Failure(*content)
        yield content


def _receive(awaited: "_Worker", workers: list["_Worker"]) -> None:
    """Take what has come, also from the others, lest they wait."""
    poll = select.poll()
    for worker in workers:
        if worker is awaited or (not worker.ended and worker.held < _AHEAD):
            poll.register(worker.fd, select.POLLIN)
    ready = {fd for fd, _ in poll.poll()}
    for worker in workers:
        if worker.fd in ready:
            worker.receive()


class _Worker(Process):
    """A process that works on some pieces, and what has come from it."""

    def __init__(self, pieces: Sequence, work: Callable, others: list["_Worker"]):
        super().__init__(lambda writer: _serve(pieces, work, writer), others)
        self.messages: deque[bytearray] = deque()
        self.held = 0  # bytes that have come and not been asked for
        self.ended = False
        self._received = bytearray()

    def receive(self) -> None:
        """Read once."""
        data = os.read(self.fd, _READ)
        self._received += data
        start = 0
        while len(self._received) >= (begin := start + _HEADER):
            end = begin + int.from_bytes(self._received[start:begin])
            if len(self._received) < end:
                break
            self.messages.append(self._received[begin:end])
            start = end
        del self._received[:start]
        self.held += len(data)
        if not data:
            self.ended = True
            # Nobody asks for what is behind the last piece: who comes here misses something.
            self.messages.append(_message(_FAILURE, ("a process of this program died", FAILED)))

    def take(self) -> tuple:
        """The next message: its kind and what it brings."""
        message = self.messages.popleft()
        self.held -= _HEADER + len(message)
        return marshal.loads(message)


def _message(kind: int, content=None) -> bytes:
    return marshal.dumps((kind, content))


def _serve(pieces: Sequence, work: Callable, writer: int) -> None:
    """Send the results of these pieces."""

    def send(kind: int, content=None) -> None:
        message = _message(kind, content)
        output.write(writer, len(message).to_bytes(_HEADER) + message, "a pipe")

    for piece in pieces:
        try:
            for result in work(piece):
                send(_RESULT, result)
            send(_END)
        except Failure as failure:
            send(_FAILURE, (str(failure), failure.status))
        except MemoryError:
            send(_FAILURE, ("out of memory", FAILED))
