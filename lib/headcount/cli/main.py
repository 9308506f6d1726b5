"""The start of a program, where failures become messages with statuses."""

import contextlib
import os
import sys
from collections.abc import Callable

from headcount.errors import FAILED, INTERRUPTED, OK, WRITE_FAILED, Failure, ReaderGone
from headcount.io import interrupt


def say(text: str) -> None:
    """A line on stderr; nothing where that is closed, or cannot be written."""
    with contextlib.suppress(OSError):
        if sys.stderr is not None:  # print would take stdout in its place
            print(text, file=sys.stderr, flush=True)


def start(main: Callable[[], int], *, drains: bool = True) -> None:
    """Run `main` and exit with its status; turn failures into one line on stderr.

    Ctrl-C ends the input of a program that `drains`, and kills any other at once.
    """
    prog = os.path.basename(sys.argv[0])
    try:
        _guard_closed_outputs()
        if drains:
            interrupt.catch()
        else:
            interrupt.die()
        try:
            status = main()
        except SystemExit as exit:  # --help, --version or a usage error
            status = exit.code
        _flush()
    except ReaderGone:
        status = OK
    except Failure as failure:
        say(f"{prog}: {failure}")
        status = failure.status
    except KeyboardInterrupt:
        status = INTERRUPTED
    except MemoryError:
        say(f"{prog}: out of memory")
        status = FAILED
    # All is flushed: skip the interpreter's tidying up, which takes time.
    os._exit(status)


def start_as(main: Callable[[], int], *, drains: bool = True) -> None:
    """As `start`, for a module that a pipeline runs: messages are in the name that comes first."""
    sys.argv.pop(0)
    start(main, drains=drains)


def split_command() -> tuple[list[str], list[str]]:
    """The arguments before --, and behind it a command, of programs that run one."""
    arguments = sys.argv[1:]
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:end], arguments[end + 1 :]


def note(text: str, options) -> None:
    """Say something that is no failure, unless `options` want it quiet."""
    if not options.quiet:
        say(f"{os.path.basename(sys.argv[0])}: {text}")


def _guard_closed_outputs() -> None:
    """Where the caller closed stdout or stderr, let no other file take its number."""
    for fd in (1, 2):
        try:
            os.fstat(fd)
        except OSError:
            unwritable = os.open(os.devnull, os.O_RDONLY)
            os.dup2(unwritable, fd)


def _flush() -> None:
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        raise ReaderGone from None
    except OSError as error:
        raise Failure(f"cannot write standard output: {error.strerror}", WRITE_FAILED) from None
