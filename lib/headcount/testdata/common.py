"""What the makers of test data share: how much of it, its seed, its way out."""

from collections.abc import Callable

from headcount.cli.parser import Parser
from headcount.cli.types import count, fraction, size
from headcount.errors import INTERRUPTED, OK
from headcount.io import interrupt, output, processes

_BLOCK = 1 << 20


def add_fractions(parser: Parser, *options: tuple[str, float, str]) -> None:
    """Add options that say how much of the data is of some kind: name, default, what is said."""
    for name, default, what in options:
        parser.add_argument(
            name,
            metavar="FRACTION",
            type=fraction,
            default=default,
            help=f"{what} (default: {default:g})",
        )


def add_options(parser: Parser, what: str, default: int = 1000) -> None:
    """Add how many lines to make, or how many bytes, and from which seed."""
    much = parser.add_mutually_exclusive_group()
    much.add_argument(
        f"--{what}",
        dest="lines",
        metavar="N",
        type=count,
        default=default,
        help=f"how many lines (default: {default})",
    )
    much.add_argument(
        "--size", type=size, help="bytes instead, to the end of a line: 100MB, 1GB (powers of ten)"
    )
    parser.add_argument(
        "--seed",
        metavar="N",
        type=count,
        default=1,
        help="the same seed and options make the same bytes (default: 1)",
    )


def write(options, make: Callable[[float], bytes]) -> int:
    """Print the lines that `make` makes, until it is enough or Ctrl-C; returns the exit status.

    `make` is told which part of all is done: at least 0, less than 1. Standard output stays open:
    when it ends, an answer in another file has to be complete.
    """
    processes.widen_pipe(1)
    total = options.lines if options.size is None else options.size
    by_size = options.size is not None
    done = held = 0
    block = []
    while done < total and not interrupt.requested():
        line = make(done / total)
        block.append(line)
        held += len(line)
        done += len(line) if by_size else 1
        if held >= _BLOCK:
            output.write(1, b"".join(block))
            block.clear()
            held = 0
    output.write(1, b"".join(block))
    return INTERRUPTED if interrupt.requested() else OK
