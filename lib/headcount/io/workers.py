"""Work spread over processes, its results in order.

Each process has a pipe of its own, for processes that share one mix up what they write. All take
the numbers of the tasks from one other pipe, which was filled before they began: the next task
goes to whoever is free, and nobody waits for a scheduler.
"""

import contextlib
import marshal
import os
import select
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from headcount.errors import FAILED, Failure
from headcount.io import output
from headcount.io.processes import Process, starting

_READ = 1 << 20
_AHEAD = 8 << 20  # bytes of results to hold of a process that is ahead of the others
_HEADER = 8  # bytes before each message: how long it is
_NUMBER = 4  # bytes of a task's number
_ENTRIES = 1024  # of them fit into any pipe
_RESULT, _END, _FAILURE, _DONE = range(4)  # what a message brings: _END is a task's, _DONE all's


def processors() -> int:
    """How many this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def in_order(
    tasks: Sequence,
    work: Callable[..., Iterable],
    processes: int,
    at_end: Callable[[], object] = lambda: None,
    take_last: Callable[[object], None] = lambda last: None,
) -> Iterator:
    """The results of `work(task)` for each task in order, worked out by that many processes.

    Each process calls `at_end` after its last task; what that returns goes to `take_last`.
    Results are what marshal can carry. Raises the first Failure, or one if a process died.
    """
    workers: list[_Worker] = []
    try:
        with _Queue(tasks) as queue:
            for _ in range(min(processes, len(tasks))):
                workers.append(_Worker(queue, work, at_end, workers))
        for number in range(len(tasks)):
            yield from _results_of_piece(number, workers)
        for worker in workers:
            take_last(worker.await_end())
    finally:
        for worker in workers:
            worker.stop()


class _Queue:
    """What is to be done: processes that iterate over the same one share its tasks.

    Each gives numbers and tasks, some in a row where there are too many for a pipe.
    """

    def __init__(self, tasks: Sequence):
        self._tasks = tasks
        self._in_a_row = -(-len(tasks) // _ENTRIES) or 1

    def __enter__(self) -> "_Queue":
        with starting():
            self._fd, writer = os.pipe()
        firsts = range(0, len(self._tasks), self._in_a_row)
        os.write(writer, b"".join(first.to_bytes(_NUMBER) for first in firsts))
        os.close(writer)
        return self

    def __exit__(self, *_error) -> None:
        os.close(self._fd)

    def __iter__(self) -> Iterator[tuple[int, object]]:
        while entry := os.read(self._fd, _NUMBER):
            first = int.from_bytes(entry)
            yield from enumerate(self._tasks[first : first + self._in_a_row], first)


def _results_of_piece(number: int, workers: list["_Worker"]) -> Iterator:
    while True:
        # Each works on its tasks in order, so what comes first from it is of the earliest.
        worker = next((worker for worker in workers if worker.is_at(number)), None)
        if worker is None:
            _receive(workers)
            continue
        kind, content = worker.take()
        if kind == _END:
            return
        if kind == _FAILURE:
            raise Failure(*content)
        yield content


def _receive(workers: list["_Worker"]) -> None:
    """Take what has come, of all that are not far ahead."""
    poll = select.poll()
    for worker in workers:
        if worker.died:
            raise Failure("a process of this program died", FAILED)
        if worker.wants_more():
            poll.register(worker.fd, select.POLLIN)
    ready = {fd for fd, _ in poll.poll()}
    for worker in workers:
        if worker.fd in ready:
            worker.receive()


class _Worker(Process):
    """A process that works on some of the tasks, and what has come from it."""

    def __init__(self, queue: _Queue, work: Callable, at_end: Callable, others: list["_Worker"]):
        super().__init__(lambda writer: _serve(queue, work, at_end, writer), others)
        self._held = 0  # bytes that have come and not been asked for
        self.ended = self.died = False
        self._messages: deque[tuple[int, tuple]] = deque()  # how long, and what
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
            self._messages.append((end - start, marshal.loads(self._received[begin:end])))
            start = end
        del self._received[:start]
        self._held += len(data)
        if not data:
            self.ended = True
            self.died = not self._messages or self._messages[-1][1][0] != _DONE

    def wants_more(self) -> bool:
        """Whether to read on: always where a whole message is missing, for it may be awaited."""
        return not self.ended and (self._held < _AHEAD or not self._messages)

    def is_at(self, number: int) -> bool:
        """Whether the first of its messages is about that task."""
        return bool(self._messages) and self._messages[0][1][1] == number

    def await_end(self) -> object:
        """Wait until it has done all; returns what it said last. Raises Failure if that failed, or
        if it died."""
        while not self.ended:
            self.receive()
        if self.died:
            raise Failure("a process of this program died", FAILED)
        for _, (kind, _, content) in self._messages:
            if kind == _FAILURE:
                raise Failure(*content)
        return self._messages[-1][1][2]

    def take(self) -> tuple:
        """The next message: its kind and what it brings."""
        size, (kind, _, content) = self._messages.popleft()
        self._held -= size
        return kind, content


def _serve(queue: _Queue, work: Callable, at_end: Callable, writer: int) -> None:
    """Send the results of the tasks that come to this process."""

    def send(kind: int, number: int | None = None, content=None) -> None:
        message = marshal.dumps((kind, number, content))
        output.write(writer, len(message).to_bytes(_HEADER) + message, "a pipe")

    @contextlib.contextmanager
    def failures_sent(number: int | None = None):
        try:
            yield
        except Failure as failure:
            send(_FAILURE, number, (str(failure), failure.status))
        except MemoryError:
            send(_FAILURE, number, ("out of memory", FAILED))

    for number, task in queue:
        with failures_sent(number):
            for result in work(task):
                send(_RESULT, number, result)
            send(_END, number)
    last = None
    with failures_sent():
        last = at_end()
    send(_DONE, content=last)
