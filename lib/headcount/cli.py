"""Options, messages and exit statuses: one text and one meaning in every program."""

import argparse
import os
import re
import sys
from collections.abc import Callable

from headcount import __version__, interrupt, rejects
from headcount.failure import FAILED, INTERRUPTED, OK, USAGE, WRITE_FAILED, Failure, ReaderGone

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


def _allowance(text: str) -> str:
    try:
        rejects.allowed(text, 0)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return float(text)


def _jobs(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text) or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes")
    return int(text)


# The options that several programs take, each declared once.
_SHARED = {
    "--db": {
        "metavar": "FILE",
        "default": os.path.join(ROOT, "data", "headcount.db"),
        "help": "the database (default: data/headcount.db beside bin/); imports, reports and "
        "checks also take postgresql://USER@HOST/NAME",
    },
    "--tz": {
        "metavar": "ZONE",
        "default": "America/Chicago",
        "help": "IANA time zone, or device: each event's own offset (default: America/Chicago)",
    },
    "--rejects": {
        "metavar": "FILE",
        "help": "append each rejected line to FILE, as JSON that can be replayed",
    },
    "--quiet": {"action": "store_true", "help": "no progress bar and no notes"},
    "--progress": {
        "action": "store_true",
        "help": "a progress bar on stderr (the default on a terminal, for files)",
    },
    "--account": {
        "metavar": "FILE",
        "help": "write the counts of lines in, kept, filtered, duplicate and rejected, as JSON",
    },
    "--jobs": {
        "metavar": "N",
        "type": _jobs,
        "help": "how many processes share the work (default: as many as there are processors; "
        "into a pipe one, for there the next program needs them)",
    },
    "--upstream": {
        "metavar": "FILE",
        "action": "append",
        "default": [],
        "help": "the account of a filter before this one (repeat, in order); all must agree",
    },
    "--max-rejects": {
        "metavar": "N|N%",
        "type": _allowance,
        "default": "1%",
        "help": "refuse to commit if more lines were rejected (default: 1%%)",
    },
    "--wait": {
        "metavar": "SECONDS",
        "type": _seconds,
        "default": 60.0,
        "help": "how long to wait for a locked database before exit 75 (default: 60)",
    },
}


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """80 columns everywhere, and one margin, so that pipelines can quote an option's text."""

    def __init__(self, prog: str):
        super().__init__(prog, width=80, max_help_position=24)
        self._action_max_length = 24


class Parser(argparse.ArgumentParser):
    """A parser whose help is the program's docstring and then its options.

    The docstring's first line is `NAME OPERANDS - what it does`.
    """

    def __init__(self, doc: str):
        headline, _, body = doc.partition("\n")
        synopsis, _, summary = headline.partition(" - ")
        super().__init__(
            prog=os.path.basename(sys.argv[0]),
            usage=" ".join(["%(prog)s [OPTION…]", *synopsis.split(" ")[1:]]),
            description=f"{summary}\n{body}".strip("\n"),
            formatter_class=_HelpFormatter,
            allow_abbrev=False,
            add_help=False,
        )

    def shared(self, *names: str) -> None:
        """Take these of the options that mean the same everywhere."""
        for name in names:
            self.add_argument(name, **_SHARED[name])

    def parse(self, arguments: list[str] | None = None) -> argparse.Namespace:
        """The options; --help and --version are answered here."""
        self.add_argument("--help", action="help", help="show this text")
        self.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
        arguments = sys.argv[1:] if arguments is None else arguments
        if "--" in arguments:  # argparse would lose it between options and operands
            end = arguments.index("--")
            arguments = arguments[:end] + [
                f"./{name}" if name[0:1] == "-" and name != "-" else name
                for name in arguments[end + 1 :]
            ]
        options = self.parse_intermixed_args(arguments)
        for action in self._actions:  # only a file's name may be any bytes
            value = getattr(options, action.dest, None)
            texts = value if isinstance(value, list | tuple) else [value]
            if action.metavar != "FILE" and not all(map(_is_text, texts)):
                self.error(f"{value!a} is not UTF-8")
        return options

    def error(self, message: str):
        print(f"{self.prog}: {message}\nTry '{self.prog} --help'.", file=sys.stderr)
        sys.exit(USAGE)


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
        print(f"{prog}: {failure}", file=sys.stderr)
        status = failure.status
    except KeyboardInterrupt:
        status = INTERRUPTED
    except MemoryError:
        print(f"{prog}: out of memory", file=sys.stderr)
        status = FAILED
    # All is flushed: skip the interpreter's tidying up, which takes time.
    os._exit(status)


def split_command() -> tuple[list[str], list[str]]:
    """The arguments before --, and behind it a command, of programs that run one."""
    arguments = sys.argv[1:]
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:end], arguments[end + 1 :]


def note(text: str, options) -> None:
    """Say something that is no failure, unless `options` want it quiet."""
    if not options.quiet:
        print(f"{os.path.basename(sys.argv[0])}: {text}", file=sys.stderr)


def _is_text(value) -> bool:
    try:
        str(value).encode()
    except UnicodeEncodeError:
        return False
    return True


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
