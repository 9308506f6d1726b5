"""What the makers of test data share: how much of it, its seed, and its way out."""

import argparse
import re
from collections.abc import Callable

from headcount import cli, interrupt, output, processes, sampling
from headcount.failure import INTERRUPTED, OK

_BLOCK = 1 << 20
_SIZE = re.compile(r"([0-9]+)(?:\.([0-9]{1,3}))?([kmgt]?)b?", re.IGNORECASE)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def size(text: str) -> int:
    """Bytes of a text such as 500, 100MB or 1.5GB (powers of ten)."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; sizes are like 100MB")
    whole, part, unit = match.groups()
    return int(whole + (part or "").ljust(3, "0")) * _UNITS[unit.lower()] // 1000


def count(text: str) -> int:
    """A whole number, none included."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def some(text: str) -> int:
    """A whole number, at least one."""
    if count(text) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return int(text)


def fraction(text: str) -> float:
    """A number from 0 to 1."""
    return float(sampling.fraction(text))


def add_fractions(parser: cli.Parser, *options: tuple[str, float, str]) -> None:
    """Add options that say how much of the data is of some kind: name, default, what is said."""
    for name, default, what in options:
        parser.add_argument(
            name,
            metavar="FRACTION",
            type=fraction,
            default=default,
            help=f"{what} (default: {default:g})",
        )


def add_options(parser: cli.Parser, what: str, default: int = 1000) -> None:
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
