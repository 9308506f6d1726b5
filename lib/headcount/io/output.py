"""Standard output or other files, every write checked."""

import os
import select
import stat

from headcount.errors import WRITE_FAILED, Failure, ReaderGone


def write(fd: int, data: bytes, name: str = "standard output") -> None:
    """Write all of `data`. Raises ReaderGone for a closed pipe, Failure 74 for a failed write."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:  # another program made this pipe non-blocking
            poll = select.poll()
            poll.register(fd, select.POLLOUT)
            poll.poll()
        except BrokenPipeError:
            raise ReaderGone from None
        except OSError as error:
            raise Failure(f"cannot write {name}: {error.strerror}", WRITE_FAILED) from None


def write_imported(rows: list[bytes]) -> None:
    """Tell what an import has changed: not before its commit, for no number may yet fail.

    Raises Failure, but not for a closed pipe (`… | head`).
    """
    try:
        write(1, b"".join(rows))
    except Failure as failure:
        raise Failure(f"all is imported, but {failure}", failure.status) from None
    except ReaderGone:
        pass


def wait_for_reader_to_go(fd: int) -> None:
    """Return once nobody reads this pipe any more; never, if it is something else."""
    poll = select.poll()
    poll.register(fd, 0)  # a closed pipe is told without being asked for
    while not any(event & (select.POLLERR | select.POLLNVAL) for _, event in poll.poll()):
        pass


def open_private(path: str, flags: int) -> int:
    """Open a file for writing that only its owner may read (it can hold user ids)."""
    try:
        return os.open(path, flags | os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Failure(f"cannot write {path}: {reason}", WRITE_FAILED) from None


def close_stdout() -> None:
    """Let the system report a write that failed late (a network disk does)."""
    try:
        os.close(1)
    except OSError as error:
        raise Failure(f"cannot write: {error.strerror}", WRITE_FAILED) from None


def replace_file(path: str, content: str | bytes) -> None:
    """Write beside, then rename: whoever reads the file meanwhile sees the old one, whole.

    Raises Failure 74; then the old file is as it was.
    """
    import tempfile  # slow to import, and filters do without

    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=f".{name}.", delete=False) as file:
            try:
                os.fchmod(file.fileno(), _mode(target))
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
                os.replace(file.name, target)
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror}", WRITE_FAILED) from None


def _mode(path: str) -> int:
    """The permissions that a file has, or that a new one would get."""
    if os.path.exists(path):
        return stat.S_IMODE(os.stat(path).st_mode)
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask
